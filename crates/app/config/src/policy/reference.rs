//! The reference of policy files.

use crate::error::ERRORS_MAX;
use crate::keys;
use crate::reference::all_keys;
use sx_guard::{Action, BUILT_IN, RULES_MAX};

const OPENING: &str = r#"# Policies

<!-- Made by `cargo run -p sx-config --example policy_reference > docs/policy.md`. Change crates/app/config/src/keys/policy.rs instead. -->

A policy says who may do what. One TOML file:

```toml
[gate.codec]
allowed = ["opus", "PCMA", "PCMU"]

[[gate.codec.trunk]]
name = "carrier"
allowed = ["PCMA"]

[[identity]]
identity = "mallory@example.com"
status = "suspended"

[[rule]]
name = "no premium numbers by night"
when = { dialled_prefix = ["0900", "+49900"], hours = "20-08" }
then = "reject"
status = 603
reason = "premium numbers are not for the night"

[[rule]]
name = "abroad for an hour at most"
when = { dialled_prefix = "00", source = "user" }
then = "conditional"
obligations = { codecs = ["PCMA", "PCMU"], limit_s = 3600 }
```

## How a request is decided

A request is a set of facts: what is asked for, by whom, from where, how they have shown who they are, for whom, with which codecs, how often of late. The same facts and the same file always give the same answer. It is asked in this order:

1. **Authenticity** (`[gate.authenticity]`): has whoever asks shown enough of who they are? A signature must be made with the registered key, be right, be no older than `signature_age_max_s` and no further ahead, and never have been used; the first of these that is not so is the reason.
2. **Identity** (`[gate.identity]`, `[[identity]]`): is the identity in good standing?
3. **Rules** (`[[rule]]`), in the order of the file.
4. Of escalations: **personal data**, that none is to stay in the text but in an emergency that overrides this, and **specialisation**: that there is an expert who knows about the hazard, is approved, is of the organisation of whoever asks, and may be rung from there.
5. **Codecs** (`[gate.codec]`).
6. Of escalations: **fairness** (`[gate.fairness]`), that the calls of whoever asks take no more than their share of bandwidth, and that the room is not full.
7. **Rate** (`[gate.rate]`), last, so that only what passes everything else is counted. Of an escalation also that not every expert was rung as often of late as they may be.

The answer is `approve`, `conditional` (approve, with obligations) or `reject` with a SIP status and a sentence. An approval by a rule ends the rules; the gates after them are asked all the same.

| Gate | Refuses with | Status |
| --- | --- | --- |
| authenticity | `not-authenticated`, `key-mismatch`, `bad-signature`, `stale`, `replayed` | 403 |
| identity | `suspended`, `revoked`, `unlisted` | 403 |
| rules | `rule` | the rule's, or 403 |
| rules, when all gates have approved | `obligation`: a call is bound to what nothing here can do | 403 |
| pii | `unredacted-pii` | 403 |
| specialisation | `no-specialist` | 404 |
| specialisation | `expert-not-approved`, `bad-source` | 403 |
| codec | `codec-not-allowed` | 488 |
| fairness | `bandwidth-exceeded` (Retry-After: 10 s) | 503 |
| fairness | `room-full` (Retry-After: 10 s) | 486 |
| rate | `rate-exceeded` (Retry-After: until there is room), `too-many-calls` (Retry-After: 10 s) | 429 |

A transfer and a redirection (3xx) have somebody called as well: each address they name is asked for as a call of the one who transfers or redirects, before anything is planned. It counts for that one's rate, and is no further call of its. When it is refused, the transfer ends with that status, and the redirection is an attempt that has failed. What it is bound to holds from then on. An attended transfer names no address but a party that was called before, and is not asked for again. What is known of a called user is that it has registered: by the weakest digest of `registrar.algorithms`, or by the certificate of its connection. A number is judged, routed and sent on without the separators (`-`, `.`, brackets and whatever else nobody dials) that it was written with, and judged without the parameters behind it (`0900;x=y` is `0900`). Escapes are undone first; a semicolon that is escaped (`09%3B001`) begins no parameters and is a separator.

**What has a letter is a name**, `09a001` as much as `alice2` or `room-17`. Nothing here takes the letter out: a trunk is asked for `09a001`, for which a rule about `0900` does not speak, since it is no such number for the next hop either. Where a carrier's switch may ignore letters, say what may be called and reject the rest, or reject by a prefix in front of any letter: `dialled_prefix = "09"` takes both.

What users who have authenticated, and trunks, ask for is counted over all workers; a name that nobody has proved is counted by each worker.

Nothing asks for these actions yet: {not asked}. What a file says of them is checked and waits for its time.

**Two obligations cannot be met yet**: `announce` and `bandwidth_kbps`. Nothing announces anything to both parties of a call or limits bandwidth, and nobody is let in who must be bound to that: each call, message or registration to which such an obligation applies is refused. So it is with `record` where the configuration has no `[recording]`. `strowger policy check`, a start and a reload name the rules that have one.

A rule with `record = true` says on what ground (`consent`); a rule without a ground, and a ground without `record`, are refused. Which ground holds where the parties are is for whoever writes the policy to know: the exchange writes it down, in the record of the admission, in that of the recording and beside its files.

A file that contradicts itself is refused: two rules of one name; two rules with the same conditions and different outcomes; a rule that can never match because an earlier one that approves or rejects takes all that it would take, be it by another condition, as `dialled_prefix` takes what `dialled` names; a rule that wants a `trunk` and a `source` that is none; an identity or a key that stands in the registry twice, in whatever case or spelling; a status or a reason where nothing is refused; obligations where something is. All errors are found in one run, each with file, line, key and value; of a file with more than {errors max} the first {errors max} are said and the others counted. A trunk that it names and the configuration does not have is a warning. A file that has no rule and says nothing of a gate, as one does whose saving was cut short, is refused as well, at a start and at a reload, which keeps the old policy: whoever means it says `rule = []`. There may be {rules max} rules, since each is held against those before it; of more, those beyond are not compared. A file longer than 16 MiB is not read.

Records name a policy by its **version**: the first 16 hexadecimal digits of the SHA-256 of the file's bytes. With a `registry` it is the SHA-256 of both files' SHA-256, the policy's first.

## Without a file

Where no file is named this policy holds, whose gates let everything pass that the exchange's own configuration does:

```toml
"#;

/// The text of `docs/policy.md`.
pub fn policy_reference() -> String {
    let not_asked: Vec<String> = NOT_ASKED.iter().map(|action| format!("`{action}`")).collect();
    let text = OPENING.replace("{not asked}", &not_asked.join(", "));
    let text = text.replace("{errors max}", &ERRORS_MAX.to_string());
    let mut text = text.replace("{rules max}", &RULES_MAX.to_string());
    text.push_str(BUILT_IN);
    text.push_str("```\n\n");
    all_keys(&mut text, keys::POLICY.keys);
    text.push_str(FACTS);
    for key in keys::FACTS.keys {
        crate::reference::item(&mut text, key, "");
    }
    text
}

/// What no part of the exchange asks its guard for yet.
const NOT_ASKED: [Action; 6] =
    [Action::H323Admission, Action::RoomJoin, Action::BrowserJoin, Action::Evidence, Action::Recording, Action::Export];

const FACTS: &str = r#"
## Facts to try a policy with

A file of facts, TOML or JSON, has these keys:

"#;
