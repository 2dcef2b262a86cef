//! What is written down of an expert is read whole or refused with all that is wrong.

use serde_json::{Value, json};
use sx_engine::Time;
use sx_expert::{Profile, ProfileError, Standing};

fn good() -> Value {
    json!({
        "id": "chem-1", "name": "Dr. Lind", "addresses": ["300", "+49301234567"], "organisation": "acme",
        "networks": ["192.0.2.0/24"], "specialisations": [{"subject": "safety", "level": 3}, {"subject": "chemistry"}],
        "languages": ["de-CH"], "hours": "mon-fri 09:00-17:00", "zone": "Europe/Berlin",
        "on_call": [{"from": "2027-01-01T08:00:00Z", "to": "2027-01-01T20:00:00+01:00"}], "calls_max": 2
    })
}

fn read(value: Value) -> Profile {
    serde_json::from_value(value).expect("a profile")
}

#[test]
fn a_profile_makes_the_expert_that_it_says() {
    let expert = read(good()).expert(Standing::Suspended).expect("a good one");
    assert_eq!((&*expert.id, &*expert.name, &*expert.organisation), ("chem-1", "Dr. Lind", "acme"));
    assert_eq!(
        (expert.level_of("safety"), expert.level_of("chemistry"), expert.level_of("law")),
        (Some(3), Some(1), None)
    );
    assert_eq!((expert.calls_max, expert.standing, &*expert.languages[0]), (2, Standing::Suspended, "de-ch"));
    let shift = expert.shifts[0];
    assert_eq!(shift.to.since(shift.from).as_secs(), 11 * 3_600);
    assert!(expert.is_on_call(Time::from_secs(1_798_790_400)) && !expert.is_on_call(Time::from_secs(1_798_830_000)));
}

#[test]
fn what_is_signed_does_not_depend_on_how_it_was_written() {
    let mut other = serde_json::Map::new();
    let Value::Object(members) = good() else { panic!("an object") };
    members.into_iter().rev().for_each(|(name, value)| {
        other.insert(name, value);
    });
    let canonical = read(good()).canonical().expect("a form");
    assert_eq!(read(Value::Object(other)).canonical(), Some(canonical.clone()));
    assert!(canonical.starts_with(br#"{"addresses":["300","+49301234567"],"calls_max":2,"hours""#));
    let again: Profile = serde_json::from_slice(&canonical).expect("a profile");
    assert_eq!(again, read(good()));
}

#[track_caller]
fn wrong(change: impl FnOnce(&mut Value), expected: &[&str]) {
    let mut value = good();
    change(&mut value);
    let errors = read(value).expert(Standing::Active).expect_err("something is wrong");
    assert_eq!(errors.iter().map(ProfileError::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn all_that_is_wrong_is_told() {
    wrong(
        |value| {
            value["id"] = json!("chem 1");
            value["addresses"] = json!([]);
            value["networks"] = json!(["192.0.2.0/33"]);
            value["on_call"] = json!([{"from": "2027-01-01T20:00:00Z", "to": "2027-01-01T08:00:00Z"}]);
            value["hours"] = json!("always");
            value["calls_max"] = json!(0);
            value["specialisations"] = json!([{"subject": "safety", "level": 0}]);
        },
        &[
            "id \"chem 1\" is not 1 to 255 bytes without control characters and blanks",
            "addresses: 0 are said, and 1 to 64 have to be",
            "calls_max is 1 to 1000",
            "the level of a specialisation is 1 or more",
            "networks: \"192.0.2.0/33\" is no network as 192.0.2.0/24 is",
            "on_call: \"2027-01-01T20:00:00Z\" to \"2027-01-01T08:00:00Z\" is no time as from 2027-01-01T08:00:00Z to 2027-01-01T20:00:00Z is",
            "hours: \"always\" is not written as in \"mon-fri 09:00-17:00, sat 10:00-12:00\"",
        ],
    );
    wrong(|value| value["zone"] = Value::Null, &["hours and zone are said together"]);
    wrong(|value| value["name"] = json!("a\nb"), &["name \"a\\nb\" is not 1 to 255 bytes without control characters"]);
    wrong(|value| value["languages"] = json!(vec!["de"; 65]), &["languages: 65 are said, and 1 to 64 have to be"]);
}

#[test]
fn a_member_that_is_not_known_is_no_profile() {
    let mut value = good();
    value["adress"] = json!("300");
    let error = serde_json::from_value::<Profile>(value).expect_err("it is not known");
    assert!(error.to_string().contains("adress"), "{error}");
}
