//! Clients that connect to a bed over TLS.

use super::{Authority, Bed, connect};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::TcpStream;
use std::sync::Arc;
use sx_net::PeerCertificate;
use sx_net::tls::{CertificateSource, Pem};
use sx_types::Transport;

pub type Peer = StreamOwned<ClientConnection, TcpStream>;

fn bytes(pem: &Pem) -> &[u8] {
    let Pem::Bytes(bytes) = pem else { panic!("a file") };
    bytes
}

/// A client that trusts `authority` and shows `identity`.
pub fn client(bed: &Bed, authority: &Authority, identity: Option<&CertificateSource>, name: &str) -> Peer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.pem).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain =
                CertificateDer::pem_slice_iter(bytes(&identity.chain)).map(|der| der.expect("a certificate")).collect();
            let key = PrivateKeyDer::from_pem_slice(bytes(&identity.key)).expect("a key");
            config.with_client_auth_cert(chain, key).expect("an identity")
        }
    };
    let tls = ClientConnection::new(Arc::new(config), name.to_owned().try_into().expect("a name")).expect("a client");
    StreamOwned::new(tls, connect(bed.address(Transport::Tls)))
}

/// Turns the loop until the client's handshake is done or has failed.
pub fn handshake(bed: &mut Bed, peer: &mut Peer) -> Result<PeerCertificate, std::io::Error> {
    for _ in 0..2_000 {
        match peer.conn.complete_io(&mut peer.sock) {
            Ok(_) if !peer.conn.is_handshaking() => {
                let shown = peer.conn.peer_certificates().expect("a certificate");
                return Ok(PeerCertificate::parse(&shown[0]).expect("a certificate"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        bed.turn();
    }
    panic!("the handshake never ends");
}
