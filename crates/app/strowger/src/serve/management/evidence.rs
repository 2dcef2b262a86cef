//! Evidence: given with an escalation in parts, handed out to whoever may see it, each with a record of its own.
//!
//! ```text
//!  announced ──► parts ──► whole: as announced? ──► text: blotted out ──► recorded ──► handed out ──► receipt
//! ```

use super::Operators;
use super::change::{Change, actor};
use super::rooms::random;
use crate::serve::clock::wall;
use crate::serve::custody::Custody;
use crate::signer::hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use sx_engine::Time;
use sx_http::{
    ApiAnswer, ApiProblem, BASE, Caller, Chunk, Content, Link, LinkRefused, NewUpload, ProblemMore, Role, UploadState,
};
use sx_store::{EvidenceEntry, EvidenceError, NewEvidence, WitnessLog};
use sx_types::{CallId, TraceId};
use sx_witness::{Draft, Facts, Kind};

/// How long a record waits for the disk.
const PATIENCE: Duration = Duration::from_secs(3);
/// The public name of every link, as tokens have one.
const LINK_ID: &str = "link";

impl Operators {
    /// For whom is the link?
    pub(super) fn link_holder(&self, link: &Link) -> Result<Caller, LinkRefused> {
        self.custody.check(link, wall())?;
        Ok(Caller { name: link.to.clone(), role: Role::Viewer, id: format!("{LINK_ID} to {}", link.to) })
    }

    pub(super) fn add_evidence(&self, caller: &Caller, id: &str, upload: &NewUpload) -> Result<ApiAnswer, ApiProblem> {
        let found = self.found(id);
        let trace = found.as_ref().ok().map(|(_, report)| report.id);
        let piece = TraceId::from(CallId::new(self.clock.now().as_millis(), random()));
        // A name may say of persons what a text must not.
        let name = redacted(&upload.name).0;
        let length = i64::try_from(upload.length).unwrap_or(i64::MAX);
        let change = Change { trace, ..Change::new("add_evidence", id) };
        let change = change.with("evidence", piece.to_string()).with("name", name.as_str()).with("bytes", length);
        let change = match &upload.sha256 {
            Some(hash) => change.with("sha256", hex(hash)),
            None => change,
        };
        self.change(caller, &change, || {
            let (_, report) = found?;
            if report.state == "rejected" {
                return Err(ApiProblem::conflict(
                    "the escalation was refused, so that nobody looks at evidence for it",
                ));
            }
            let by = actor(caller);
            let new = NewEvidence {
                escalation: report.id,
                id: piece,
                name: &name,
                media_type: &upload.media_type,
                length: upload.length,
                sha256: upload.sha256,
                by: &by,
            };
            let mut evidence = self.custody.evidence();
            let entry = evidence.create(new, wall()).map_err(|error| refused(&error))?.clone();
            let location = format!("{BASE}/escalations/{}/evidence/{piece}", report.id);
            let expires = Some((entry.created + evidence.limits().unfinished_for).as_secs());
            let body = Some(shown(&entry));
            let state = UploadState { location: Some(location), offset: 0, length: entry.length, expires, body };
            Ok(ApiAnswer::Upload(state))
        })
    }

    pub(super) fn evidence_of(&self, id: &str) -> Result<ApiAnswer, ApiProblem> {
        let escalation = parsed(id)?;
        let pieces: Vec<Value> = self.custody.evidence().list(escalation).map(shown).collect();
        if pieces.is_empty() {
            // That there is none is said of an escalation that there is.
            self.found(id)?;
        }
        Ok(ApiAnswer::Json(json!({ "total": pieces.len(), "evidence": pieces })))
    }

    pub(super) fn evidence_piece(&self, id: &str, piece: &str) -> Result<ApiAnswer, ApiProblem> {
        let (escalation, piece) = (parsed(id)?, parsed(piece)?);
        // What had all come when the exchange ended is looked at when somebody asks for it.
        let entry = self.finished(escalation, piece)?;
        let state = UploadState {
            location: None,
            offset: entry.offset,
            length: entry.length,
            expires: self.gives_up(&entry),
            body: Some(shown(&entry)),
        };
        Ok(ApiAnswer::Upload(state))
    }

    /// The next part of a piece. What is not what it says it is has a record, and is not taken.
    pub(super) fn upload(
        &self,
        caller: &Caller,
        id: &str,
        piece: &str,
        chunk: &Chunk,
    ) -> Result<ApiAnswer, ApiProblem> {
        let (escalation, piece) = (parsed(id)?, parsed(piece)?);
        let found: [u8; 32] = Sha256::digest(&chunk.bytes).into();
        if let Some(said) = chunk.sha256.filter(|said| *said != found) {
            let entry = self.custody.evidence().get(escalation, piece).map_err(|error| refused(&error))?.clone();
            let facts = Facts::new()
                .with("offset", i64::try_from(chunk.offset).unwrap_or(i64::MAX))
                .with("announced_sha256", hex(&said))
                .with("sha256", hex(&found));
            let reason = "a part has another SHA-256 than it says";
            self.witness_evidence(&actor(caller), &entry, "refused", reason, facts)?;
            //= https://tus.io/protocols/resumable-upload#checksum
            // 460: it was discarded, and may be sent again.
            return Err(ApiProblem::new(460, "checksum-mismatch", "Checksum mismatch", reason));
        }
        let appended = self.custody.evidence().append(escalation, piece, chunk.offset, &chunk.bytes).cloned();
        let mut entry = appended.map_err(|error| refused(&error))?;
        if entry.offset == entry.length {
            entry = self.finished(escalation, piece)?;
        }
        let expires = self.gives_up(&entry);
        let state = UploadState { location: None, offset: entry.offset, length: entry.length, expires, body: None };
        Ok(ApiAnswer::Upload(state))
    }

    /// A piece; when all of it has come it is looked at, and what it is is on record.
    fn finished(&self, escalation: TraceId, piece: TraceId) -> Result<EvidenceEntry, ApiProblem> {
        let mut evidence = self.custody.evidence();
        let entry = evidence.get(escalation, piece).map_err(|error| refused(&error))?.clone();
        if entry.offset < entry.length {
            return Ok(entry);
        }
        let finished = match entry.whole {
            Some(_) => Ok(entry.clone()),
            None => evidence.finish(escalation, piece, wall(), redacted).cloned().inspect(|entry| {
                self.custody.became_whole(entry.id);
            }),
        };
        // The log may take its time, for which nobody else waits.
        drop(evidence);
        match finished {
            Ok(entry) => {
                self.record_whole(&entry)?;
                Ok(entry)
            }
            Err(EvidenceError::Mismatch { announced, found }) => {
                let facts = Facts::new().with("announced_sha256", hex(&announced)).with("sha256", hex(&found));
                let reason = "the evidence has another SHA-256 than was announced";
                self.witness_evidence(&entry.by, &entry, "refused", reason, facts)?;
                Err(refused(&EvidenceError::Mismatch { announced, found }))
            }
            Err(error) => Err(refused(&error)),
        }
    }

    /// Writes down what a piece is that has become whole, unless that was done.
    fn record_whole(&self, entry: &EvidenceEntry) -> Result<(), ApiProblem> {
        let Some(whole) = entry.whole.as_ref().filter(|_| self.custody.is_unrecorded(entry.id)) else { return Ok(()) };
        let facts = Facts::new()
            .with("sha256", hex(&whole.sha256))
            .with("kept_sha256", hex(&whole.kept_sha256))
            .with("bytes", i64::try_from(whole.bytes).unwrap_or(i64::MAX))
            .with("redacted", i64::from(whole.redacted));
        self.witness_evidence(&entry.by, entry, "whole", "", facts)?;
        self.custody.recorded(entry.id);
        Ok(())
    }

    pub(super) fn remove_evidence(&self, caller: &Caller, id: &str, piece: &str) -> Result<ApiAnswer, ApiProblem> {
        let (escalation, piece) = (parsed(id)?, parsed(piece)?);
        let change = Change { trace: Some(escalation), ..Change::new("remove_evidence", id) };
        self.change(caller, &change.with("evidence", piece.to_string()), || {
            self.custody.evidence().remove(escalation, piece).map_err(|error| refused(&error))?;
            self.custody.recorded(piece);
            Ok(ApiAnswer::NoContent)
        })
    }

    /// Hands a piece out. That it was is on the disk of the witness log before the first byte goes.
    pub(super) fn hand_out(&self, caller: &Caller, id: &str, piece: &str) -> Result<ApiAnswer, ApiProblem> {
        let (escalation, piece) = (parsed(id)?, parsed(piece)?);
        let (entry, path) = {
            let evidence = self.custody.evidence();
            let entry = evidence.get(escalation, piece).map_err(|error| refused(&error))?.clone();
            let path = evidence.content(&entry);
            (entry, path)
        };
        let Some(whole) = &entry.whole else {
            let EvidenceEntry { offset: at, length, .. } = entry;
            return Err(refused(&EvidenceError::Unfinished { at, length }));
        };
        self.record_whole(&entry)?;
        if self.custody.takes(piece, &caller.name, wall()) {
            let facts = Facts::new()
                .with("to", caller.name.as_str())
                .with("sha256", hex(&whole.kept_sha256))
                .with("bytes", i64::try_from(whole.bytes).unwrap_or(i64::MAX));
            self.witness_evidence(&caller.name, &entry, "handed_out", "", facts)?;
        }
        Ok(ApiAnswer::Content(Content {
            path,
            bytes: whole.bytes,
            media_type: entry.media_type.to_string(),
            name: entry.name.to_string(),
            sha256: whole.kept_sha256,
        }))
    }

    /// Whoever has taken a piece says what they have got: when that is what it is, they get a receipt.
    pub(super) fn acknowledge(
        &self,
        caller: &Caller,
        id: &str,
        piece: &str,
        sha256: &[u8; 32],
    ) -> Result<ApiAnswer, ApiProblem> {
        let (escalation, piece) = (parsed(id)?, parsed(piece)?);
        let entry = self.custody.evidence().get(escalation, piece).map_err(|error| refused(&error))?.clone();
        let Some(whole) = &entry.whole else {
            return Err(refused(&EvidenceError::Unfinished { at: entry.offset, length: entry.length }));
        };
        let facts = Facts::new().with("to", caller.name.as_str()).with("sha256", hex(sha256));
        if *sha256 != whole.kept_sha256 {
            let reason = "what has come is not what was handed out";
            self.witness_evidence(&caller.name, &entry, "damaged", reason, facts)?;
            return Err(ApiProblem::new(409, "damaged", "It was damaged on the way", reason));
        }
        self.witness_evidence(&caller.name, &entry, "received", "", facts)?;
        let body = self.custody.receipt(&entry, sha256, whole.bytes, &caller.name, self.clock.now());
        let location = format!("{BASE}/escalations/{escalation}/evidence/{piece}");
        Ok(ApiAnswer::Created { location, body })
    }

    pub(super) fn link_evidence(
        &self,
        caller: &Caller,
        id: &str,
        to: &str,
        seconds: Option<u64>,
    ) -> Result<ApiAnswer, ApiProblem> {
        let escalation = parsed(id)?;
        let until = wall() + seconds.map_or(self.custody.link_time(), Duration::from_secs);
        let change = Change { trace: Some(escalation), ..Change::new("link_evidence", id) };
        self.change(caller, &change.with("to", to).with("until", until.to_string()), || {
            if self.custody.evidence().list(escalation).next().is_none() {
                self.found(id)?;
            }
            let url = self.custody.link_until(escalation, to, until);
            let url = url.ok_or_else(|| ApiProblem::unavailable("where the exchange is reached is not known yet"))?;
            let location = url.find(BASE).map_or_else(String::new, |at| url[at..].to_owned());
            Ok(ApiAnswer::Created { location, body: json!({ "url": url, "to": to, "expires": until.to_string() }) })
        })
    }

    /// When an upload that is not whole is given up.
    fn gives_up(&self, entry: &EvidenceEntry) -> Option<u64> {
        let unfinished_for = self.custody.evidence().limits().unfinished_for;
        entry.whole.is_none().then(|| (entry.created + unfinished_for).as_secs())
    }

    fn witness_evidence(
        &self,
        who: &str,
        entry: &EvidenceEntry,
        outcome: &str,
        reason: &str,
        facts: Facts<'_>,
    ) -> Result<(), ApiProblem> {
        let now = self.clock.now();
        let subject = entry.id.to_string();
        let draft = Draft {
            actor: who,
            subject: &subject,
            outcome,
            reason,
            trace: Some(entry.escalation),
            facts,
            ..Draft::new(now, Kind::Evidence)
        };
        match self.log.record(&draft, now, PATIENCE) {
            true => Ok(()),
            false => {
                let detail = "the witness log cannot be written; no evidence changes hands that it does not have";
                Err(ApiProblem::unavailable(detail))
            }
        }
    }
}

/// Removes what was kept for long enough, or has not become whole in time, and writes down that it did.
pub fn sweep(custody: &Custody, log: &WitnessLog, now: Time) {
    let removed = custody.evidence().sweep(wall());
    for entry in removed {
        let (subject, reason) = match &entry.whole {
            Some(_) => (entry.id.to_string(), "it was kept for long enough"),
            None => (entry.id.to_string(), "not all of it has come in time"),
        };
        let draft = Draft {
            actor: "exchange",
            subject: &subject,
            outcome: "removed",
            reason,
            trace: Some(entry.escalation),
            ..Draft::new(now, Kind::Evidence)
        };
        if !log.record(&draft, now, PATIENCE) {
            tracing::error!(evidence = subject, "that evidence was removed is not in the witness log");
        }
    }
}

/// What is left of a text when what it says of persons is blotted out, and how much that was.
fn redacted(text: &str) -> (String, u32) {
    let findings = sx_pii::find(text);
    (sx_pii::redact(text, &findings), u32::try_from(findings.len()).unwrap_or(u32::MAX))
}

fn parsed(id: &str) -> Result<TraceId, ApiProblem> {
    id.parse().map_err(|_| ApiProblem::not_found("there is no such escalation or piece of evidence"))
}

fn refused(error: &EvidenceError) -> ApiProblem {
    let detail = error.to_string();
    match error {
        EvidenceError::Unknown => ApiProblem::not_found(detail),
        EvidenceError::TooLong { .. } => ApiProblem::new(413, "too-much-evidence", "Too long", detail),
        EvidenceError::TooMany { .. } | EvidenceError::Whole => ApiProblem::conflict(detail),
        EvidenceError::NoRoom { .. } => ApiProblem::unavailable(detail),
        EvidenceError::WrongOffset { at } => {
            //= https://tus.io/protocols/resumable-upload#patch
            let more = ProblemMore { members: vec![("offset", at.to_string())], retry_after_s: 0 };
            let problem = ApiProblem::new(409, "wrong-offset", "Another part is wanted", detail);
            ApiProblem { more: Some(Box::new(more)), ..problem }
        }
        EvidenceError::Unfinished { .. } => ApiProblem::new(409, "unfinished", "Not all of it has come", detail),
        EvidenceError::Mismatch { announced, found } => {
            let members = vec![("announced_sha256", hex(announced)), ("sha256", hex(found))];
            let problem = ApiProblem::new(460, "checksum-mismatch", "Checksum mismatch", detail);
            ApiProblem { more: Some(Box::new(ProblemMore { members, retry_after_s: 0 })), ..problem }
        }
        EvidenceError::File(error) => {
            tracing::error!(%error, "evidence could not be kept");
            ApiProblem::unavailable("the disk does not take it; the log of the exchange says more")
        }
    }
}

fn shown(entry: &EvidenceEntry) -> Value {
    let time = |time: Time| time.to_string();
    let whole = entry.whole.as_ref();
    json!({
        "id": entry.id.to_string(),
        "escalation": entry.escalation.to_string(),
        "name": &*entry.name,
        "media_type": &*entry.media_type,
        "state": if whole.is_some() { "whole" } else { "coming" },
        "length": entry.length,
        "offset": entry.offset,
        "announced": time(entry.created),
        "by": &*entry.by,
        "finished": whole.map(|whole| time(whole.finished)),
        "original_sha256": whole.map(|whole| hex(&whole.sha256)),
        "sha256": whole.map(|whole| hex(&whole.kept_sha256)),
        "bytes": whole.map(|whole| whole.bytes),
        "redacted": whole.map(|whole| whole.redacted),
        "chunk_bytes": sx_store::CHUNK_BYTES,
        "chunks": whole.map(|whole| whole.chunks.iter().map(|hash| hex(hash)).collect::<Vec<_>>()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{operators, records};
    use super::*;

    const ESCALATION: TraceId = TraceId::from_u128(7);

    /// A piece of which all has come, and nobody has looked at it.
    fn all_come(operators: &Operators, piece: TraceId) {
        let new = NewEvidence {
            escalation: ESCALATION,
            id: piece,
            name: "valve.log",
            media_type: "text/plain",
            length: 5,
            sha256: None,
            by: "anna",
        };
        let mut evidence = operators.custody.evidence();
        evidence.create(new, wall()).expect("there is room");
        evidence.append(ESCALATION, piece, 0, b"valve").expect("it is its first part");
    }

    #[test]
    fn a_piece_that_is_whole_is_handed_out_when_that_is_on_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() };
        let pieces = [1, 2].map(TraceId::from_u128);
        pieces.iter().for_each(|piece| all_come(&operators, *piece));
        let [first, second] = pieces.map(|piece| piece.to_string());
        let escalation = ESCALATION.to_string();
        let status = |answer: Result<ApiAnswer, ApiProblem>| answer.map(|_| ()).map_err(|problem| problem.status);
        for _ in 0..2 {
            assert_eq!(status(operators.evidence_piece(&escalation, &first)), Ok(()));
        }
        assert!(operators.log.close(operators.clock.now(), PATIENCE));
        let whole = |record: &&Value| record["outcome"] == "whole";
        assert_eq!(records(folder.path()).iter().filter(whole).count(), 1, "once, however often it is looked at");
        for _ in 0..2 {
            assert_eq!(status(operators.evidence_piece(&escalation, &second)), Err(503));
            assert_eq!(status(operators.hand_out(&caller, &escalation, &second)), Err(503));
        }
    }
}
