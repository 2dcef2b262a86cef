use sx_sip::message::Message;
#[test]
fn probe() {
    for e in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture")).unwrap() {
        let p = e.unwrap().path();
        let b = std::fs::read(&p).unwrap();
        println!("{:45} {:?}", p.file_name().unwrap().to_string_lossy(), Message::parse(&b[..]).map(|m| m.check()));
    }
}
