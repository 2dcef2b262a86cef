//! Records of any content: their bytes, and their rows.

use super::super::encoding::{decode, peek};
use super::*;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = Address> {
    ("\\PC{0,12}", "[a-z.]{0,12}").prop_map(|(user, domain)| Address { user: user.into(), domain: domain.into() })
}

fn times() -> impl Strategy<Value = (u64, Option<u64>, Option<u64>, u64)> {
    any::<(u64, Option<u64>, Option<u64>, u64)>()
}

fn stats() -> impl Strategy<Value = Option<PortStats>> {
    let numbers = any::<([u64; 5], u64, [u32; 2], [u64; 3], u8, [u64; 2], [u16; 5])>();
    proptest::option::of(numbers.prop_map(
        |(received, packets_lost, times, refused, last_payload_type, coded, quality)| PortStats {
            round_trip_us: times[1],
            mos_min_x100: quality[0],
            mos_mean_x100: quality[1],
            mos_last_x100: quality[2],
            r_last_x10: quality[3],
            loss_max_permille: quality[4],
            packets_transcoded: coded[0],
            decode_errors: coded[1],
            packets_received: received[0],
            bytes_received: received[1],
            packets_sent: received[2],
            bytes_sent: received[3],
            rtcp_received: received[4],
            packets_lost,
            jitter_us: times[0],
            rejected_source: refused[0],
            rejected_format: refused[1],
            send_errors: refused[2],
            last_payload_type,
        },
    ))
}

fn attempt() -> impl Strategy<Value = Attempt> {
    ("\\PC{0,20}", address(), times(), any::<(u8, u16)>()).prop_map(
        |(target, routed, (start, ring, answer, end), (cause, status))| Attempt {
            target: target.into(),
            routed,
            start,
            ring,
            answer,
            end,
            cause: Cause(cause),
            status,
        },
    )
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        address().prop_map(Source::User),
        "\\PC{0,9}".prop_map(|name| Source::Trunk(name.into())),
        Just(Source::Exchange)
    ]
}

prop_compose! {
    fn cdr()(
        (call, trace, cause, status) in any::<(u128, u128, u8, u16)>(),
        (source, caller, dialled) in (source(), address(), address()),
        (start, ring, answer, end) in times(),
        ended_by in proptest::sample::select(table::ENDERS.to_vec()),
        attempts in proptest::collection::vec(attempt(), 0..4),
        codec in proptest::option::of(proptest::sample::select(vec![Codec::Pcmu, Codec::Opus, Codec::TelephoneEvent])),
        (caller_media, called_media) in (stats(), stats()),
    ) -> Cdr {
        let (call, trace, cause) = (CallId::from_u128(call), TraceId::from_u128(trace), Cause(cause));
        Cdr { call, trace, source, caller, dialled, start, ring, answer, end, cause, status, ended_by, attempts, codec,
            caller_media, called_media }
    }
}

proptest! {
    #[test]
    fn any_record_survives_its_encoding(cdr in cdr(), at in any::<u64>(), by in "\\PC{0,20}") {
        let call = cdr.call;
        let cdr = Box::new(cdr);
        for record in [CallRecord::Begun(cdr.clone()), CallRecord::Answered { call, at, by: by.into() }, CallRecord::Ended(cdr), CallRecord::Moved { call, at }, CallRecord::Alive { at }] {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(record));
            // Cut short or with something behind it, it is no record.
            for length in 0..bytes.len() {
                prop_assert!(decode(&bytes[..length]).is_err());
            }
            bytes.push(0);
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        for kind in [1, 2, 3, 4, 5] {
            let bytes = [&[1, kind][..], &bytes].concat();
            if let Ok(record) = decode(&bytes) {
                let mut again = Vec::new();
                encode(&record, &mut again);
                prop_assert_eq!(decode(&again), Ok(record));
                prop_assert_eq!(peek(&again).map(|head| head.call), peek(&bytes).map(|head| head.call));
            }
        }
    }

    #[test]
    fn any_call_survives_the_database(cdr in cdr()) {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        connection.execute_batch(&table::SCHEMA).expect("the tables");
        prop_assert!(table::insert(&connection, &cdr).expect("an insert"));
        prop_assert!(!table::insert(&connection, &cdr).expect("an insert"));
        let mut read = connection.query_row(&table::SELECT, [], table::read).expect("a row");
        read.attempts = table::read_attempts(&connection, cdr.call).expect("the attempts");
        prop_assert_eq!(read, cdr);
    }
}
