//! Tokens, their secrets and their ends.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::{TempDir, tempdir};

const MINUTE_S: u64 = 60;

fn open() -> (TempDir, SharedFolder, Tokens) {
    let dir = tempdir().expect("a folder");
    let folder = SharedFolder::attach(dir.path()).expect("a folder");
    let tokens = folder.tokens().expect("the tokens");
    (dir, folder, tokens)
}

fn at(seconds: u64) -> Time {
    Time::from_secs(1_800_000_000 + seconds)
}

/// Bytes in which name and secret differ with the seed.
fn random(seed: u64) -> [u8; TOKEN_RANDOM_BYTES] {
    let mut bytes = [7; TOKEN_RANDOM_BYTES];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&seed.to_le_bytes());
    bytes
}

fn made(tokens: &mut Tokens, seed: u64, expires: Option<Time>) -> (TokenEntry, String) {
    let new = NewToken { name: "anna", role: Role::Operator, expires };
    let (entry, secret) = tokens.create(new, at(0), &random(seed)).expect("a token");
    (entry, secret.as_str().to_owned())
}

#[test]
fn what_becomes_of_a_token_is_told_once_whoever_has_done_it() {
    let (_dir, folder, mut tokens) = open();
    let mut watch = folder.tokens().expect("the tokens");
    let (anna, secret) = made(&mut tokens, 1, None);
    let (bert, _) = made(&mut tokens, 2, Some(at(60)));
    tokens.revoke(&bert.id, at(5)).expect("it is there");
    let before = watch.version().expect("a number");
    let revoked = TokenNews::Revoked { id: bert.id.clone(), since: at(5) };
    let made_bert = TokenNews::Made(TokenEntry { revoked: Some(at(5)), ..bert.clone() });
    let all = [TokenNews::Made(anna.clone()), made_bert, revoked];
    assert_eq!(watch.news().expect("news"), all);
    assert_eq!(watch.news().expect("news"), all, "they were not taken");
    for news in &all {
        watch.told(news).expect("it is noted");
    }
    assert_eq!(watch.news().expect("news"), []);
    assert_eq!(watch.version().expect("a number"), before, "what one does oneself is no change");
    assert!(!format!("{all:?}").contains(&secret));

    tokens.revoke(&anna.id, at(9)).expect("it is there");
    assert_ne!(watch.version().expect("a number"), before);
    let news = [TokenNews::Revoked { id: anna.id.clone(), since: at(9) }];
    assert_eq!(watch.news().expect("news"), news);
    // Another process goes on where this one has ended.
    drop(watch);
    let mut watch = folder.tokens().expect("the tokens");
    assert_eq!(watch.news().expect("news"), news);
    watch.told(&news[0]).expect("it is noted");
    tokens.connection.execute("DELETE FROM tokens WHERE id = ?", [&*bert.id]).expect("it is gone");
    let news = [TokenNews::Gone { id: bert.id }];
    assert_eq!(watch.news().expect("news"), news);
    watch.told(&news[0]).expect("it is noted");
    assert_eq!(watch.news().expect("news"), []);
}

#[test]
fn a_secret_opens_what_its_token_says_and_no_other_does() {
    let (_dir, _folder, mut tokens) = open();
    let (entry, secret) = made(&mut tokens, 1, None);
    let (other, other_secret) = made(&mut tokens, 2, None);
    let (found, role) = tokens.look_up(&secret, at(1)).expect("a good token");
    assert_eq!(role, Role::Operator);
    assert_eq!(found, TokenEntry { last_used: Some(at(1)), ..entry.clone() });
    assert_eq!(tokens.look_up(&other_secret, at(1)).expect("a good token").0.id, other.id);

    let flipped = format!("{}{}", &secret[..46], if secret.ends_with('A') { "B" } else { "A" });
    for wrong in ["", "sxt_", &secret[4..], &flipped, &secret.to_uppercase(), &format!("{secret} ")] {
        assert!(matches!(tokens.look_up(wrong, at(1)), Err(TokenRefused::Unknown)), "{wrong}");
    }
    let list = tokens.list().expect("the tokens");
    assert_eq!(list.iter().map(|token| &token.id).collect::<Vec<_>>(), [&entry.id, &other.id]);
}

#[test]
fn a_role_that_this_program_does_not_know_opens_nothing() {
    let (_dir, _folder, mut tokens) = open();
    let (entry, secret) = made(&mut tokens, 1, None);
    for word in ["auditor", "Operator", ""] {
        tokens.connection.execute("UPDATE tokens SET role = ?", [word]).expect("changed");
        let refused = tokens.look_up(&secret, at(1)).expect_err("nobody knows what it may do");
        assert!(matches!(&refused, TokenRefused::Role { id } if *id == entry.id), "{refused}");
        let listed = tokens.list().expect("the tokens");
        assert_eq!((listed[0].role, listed[0].last_used), (None, None), "it is listed, and was not used");
    }
}

#[test]
fn an_operator_is_told_whether_a_token_expired_or_was_revoked() {
    let (_dir, _folder, mut tokens) = open();
    let (expiring, secret) = made(&mut tokens, 1, Some(at(10)));
    assert!(tokens.look_up(&secret, at(9)).is_ok());
    let refused = tokens.look_up(&secret, at(10)).expect_err("expired");
    assert!(matches!(&refused, TokenRefused::Expired { id, since } if *id == expiring.id && *since == at(10)));
    assert!(!refused.to_string().contains(&secret));

    let (revoked, secret) = made(&mut tokens, 2, None);
    tokens.revoke(&revoked.id, at(5)).expect("a known token");
    tokens.revoke(&revoked.id, at(6)).expect("twice is as once");
    let refused = tokens.look_up(&secret, at(7)).expect_err("revoked");
    assert!(matches!(&refused, TokenRefused::Revoked { id, since } if *id == revoked.id && *since == at(5)));
    let unknown = tokens.revoke("nobody", at(5));
    assert!(matches!(unknown, Err(TokensError::Unknown { .. })), "{unknown:?}");
}

#[test]
fn a_token_that_another_process_revokes_opens_nothing_from_then_on() {
    let (_dir, folder, mut server) = open();
    let mut command_line = folder.tokens().expect("another connection");
    let (entry, secret) = made(&mut command_line, 1, None);
    assert!(server.look_up(&secret, at(1)).is_ok());
    command_line.revoke(&entry.id, at(2)).expect("a known token");
    assert!(matches!(server.look_up(&secret, at(2)), Err(TokenRefused::Revoked { .. })));
}

#[test]
fn the_last_use_is_written_once_a_minute() {
    let (_dir, _folder, mut tokens) = open();
    let (_, secret) = made(&mut tokens, 1, None);
    let mut used = |seconds| {
        tokens.look_up(&secret, at(seconds)).expect("a good token");
        tokens.list().expect("the tokens")[0].last_used
    };
    assert_eq!(used(1), Some(at(1)));
    assert_eq!(used(MINUTE_S), Some(at(1)));
    assert_eq!(used(MINUTE_S + 1), Some(at(MINUTE_S + 1)));
}

#[test]
fn what_makes_no_token_is_refused() {
    let (_dir, _folder, mut tokens) = open();
    let long = "x".repeat(TOKEN_NAME_BYTES_MAX + 1);
    for name in ["", "a\nb", &long] {
        let new = NewToken { name, role: Role::Viewer, expires: None };
        assert!(matches!(tokens.create(new, at(0), &random(1)), Err(TokensError::Name { .. })), "{name:?}");
    }
    let new = NewToken { name: "late", role: Role::Viewer, expires: Some(at(0)) };
    assert!(matches!(tokens.create(new, at(0), &random(1)), Err(TokensError::ExpiresAtOnce)));
    assert_eq!(tokens.list().expect("the tokens"), []);
}

#[test]
fn a_full_table_gives_up_the_oldest_useless_token_and_no_other() {
    let (_dir, _folder, mut tokens) = open();
    // One commit instead of hundreds.
    tokens.connection.execute_batch("BEGIN").expect("a transaction");
    for seed in 0..TOKENS_MAX {
        let (id, secret) = secret::of(&random(seed));
        let sql = "INSERT INTO tokens (id, name, role, hash, created) VALUES (?, 'x', 'viewer', ?, ?)";
        let created = stored(at(seed));
        tokens.connection.execute(sql, params![id, hash_of(secret.as_str()), created]).expect("a row");
    }
    tokens.connection.execute_batch("COMMIT").expect("a commit");
    let new = NewToken { name: "one more", role: Role::Viewer, expires: None };
    assert!(matches!(tokens.create(new, at(999), &random(1000)), Err(TokensError::TooMany)));
    let list = tokens.list().expect("the tokens");
    for useless in [&list[9].id, &list[5].id] {
        tokens.revoke(useless, at(999)).expect("a known token");
    }
    tokens.create(new, at(999), &random(1000)).expect("the place of a revoked one");
    let left = tokens.list().expect("the tokens");
    assert_eq!(left.len() as u64, TOKENS_MAX);
    assert!(left.iter().any(|token| token.id == list[9].id) && !left.iter().any(|token| token.id == list[5].id));
}

#[test]
fn no_secret_is_on_the_disk_or_in_a_debug_text() {
    let (dir, folder, mut tokens) = open();
    let new = NewToken { name: "anna", role: Role::Administrator, expires: None };
    let (entry, secret) = tokens.create(new, at(0), &random(1)).expect("a token");
    assert_eq!(format!("{secret:?}"), "TokenSecret");
    assert!(!format!("{entry:?}").contains(secret.as_str()));
    drop(tokens);
    for file in std::fs::read_dir(dir.path()).expect("the folder") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("its bytes");
        let found = bytes.windows(secret.as_str().len()).any(|window| window == secret.as_str().as_bytes());
        assert!(!found, "{}", path.display());
    }
    let mode = std::fs::metadata(folder.path().join(FILE)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
