//! What a witness decides when a log asks for its cosignature: has this log only grown since the last time?
//!
//! ```text
//!  body ─► parse ─► its log is known? ─► signed? ─► old ≤ new? ─► old is what was seen? ─► same root ─► hashes lead there ─► cosign
//! ```
//!
//! It knows no file and no lock: whoever asks must hold what was seen still from before the question until the new
//! checkpoint is on the disk, or two requests at a time could lead it back.

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::key::VerifyingKey;
use crate::proof::{ConsistencyProof, ProofError};
use crate::tree::{Frontier, verify_consistency};

/// The last that a witness has cosigned of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many records there were.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// Why a checkpoint is not cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignRefused {
    /// The request is not in its form.
    #[error("the request is not in its form: {0}")]
    Malformed(#[from] ProofError),
    /// No key is known for the log it names.
    #[error("this log is not known here")]
    UnknownLog,
    /// None of its signatures is by a key of the log.
    #[error("the checkpoint is not signed by a key of its log")]
    NotSigned,
    /// It claims to go on from a size that it does not have itself.
    #[error("the old size is larger than that of the checkpoint")]
    OldBeyondNew,
    /// It goes on from another size than the one that was cosigned last.
    #[error("the checkpoint that was cosigned last has {seen} records")]
    OtherSize {
        /// The size of that.
        seen: u64,
    },
    /// The log has signed two trees of one size: it shows different people different things.
    #[error("another root was cosigned for this size")]
    OtherRoot,
    /// The hashes do not lead from what was cosigned to this checkpoint: the log was rewritten, or the proof is no proof.
    #[error("the proof does not lead from the checkpoint that was cosigned last to this one")]
    Inconsistent,
}

/// The longest body of an `add-checkpoint` request: the old size, as many hashes as there may be, the longest checkpoint.
pub const ADD_CHECKPOINT_BYTES_MAX: usize = 36 * 1024;

impl Seen {
    /// What a witness has seen of a log it has never cosigned.
    pub fn nothing() -> Self {
        Self { size: 0, root: Frontier::new().root() }
    }

    /// What it has seen when it has cosigned this.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root }
    }

    /// May this be cosigned? `keys` are those of all logs that are known; those of the log in question have its name.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order in which the protocol has them looked at.
    pub fn admit(&self, proof: &ConsistencyProof, keys: &[VerifyingKey]) -> Result<(), CosignRefused> {
        has_signed(&proof.checkpoint, keys)?;
        let Checkpoint { size, root, .. } = proof.checkpoint;
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // The old size is at most that of the checkpoint, or else the request is a bad one.
        if proof.old > size {
            return Err(CosignRefused::OldBeyondNew);
        }
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // A request that goes on from elsewhere is in conflict, and is told from where to go on.
        if proof.old != self.size {
            return Err(CosignRefused::OtherSize { seen: self.size });
        }
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // With equal sizes the roots must be equal as well.
        if proof.old == size && root != self.root {
            return Err(CosignRefused::OtherRoot);
        }
        match verify_consistency(proof.old, size, self.root, root, &proof.path) {
            true => Ok(()),
            false => Err(CosignRefused::Inconsistent),
        }
    }
}

impl CosignRefused {
    /// Does it accuse the log? Two checkpoints of one size that it has signed do, with different roots. Hashes that lead
    /// nowhere do not: whoever has seen a checkpoint of the log can send it with hashes of their own.
    pub const fn is_accusation(&self) -> bool {
        matches!(self, Self::OtherRoot)
    }
}

fn has_signed(checkpoint: &Checkpoint, keys: &[VerifyingKey]) -> Result<(), CosignRefused> {
    let mut of_log = keys.iter().filter(|key| key.name() == checkpoint.origin).peekable();
    //= https://c2sp.org/tlog-witness#add-checkpoint
    // An origin that is not known is not found; one that none of its keys has signed for is forbidden.
    if of_log.peek().is_none() {
        return Err(CosignRefused::UnknownLog);
    }
    match of_log.any(|key| checkpoint.verify(key).is_ok()) {
        true => Ok(()),
        false => Err(CosignRefused::NotSigned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;
    use crate::tree::{consistency_proof, leaf_hash};
    use sx_engine::Time;

    fn key(name: &str) -> SigningKey {
        SigningKey::from_seed(name, [3; 32]).expect("a good name")
    }

    fn leaf(number: u64) -> Hash {
        leaf_hash(&Hash::of(&number.to_be_bytes()))
    }

    fn other_leaf(number: u64) -> Hash {
        if number == 2 { leaf(999) } else { leaf(number) }
    }

    fn root(size: u64, leaf: fn(u64) -> Hash) -> Hash {
        let mut tree = Frontier::new();
        (0..size).for_each(|number| tree.push(leaf(number)));
        tree.root()
    }

    fn request(old: u64, size: u64, leaf: fn(u64) -> Hash) -> ConsistencyProof {
        let checkpoint = Checkpoint::sign(size, root(size, leaf), Time::ZERO, &key("a.example/log"));
        ConsistencyProof { old, path: consistency_proof(old, size, leaf), checkpoint }
    }

    fn seen(size: u64) -> Seen {
        Seen { size, root: root(size, leaf) }
    }

    #[test]
    fn a_log_that_only_grows_is_cosigned_at_every_size() {
        let keys = [key("a.example/log").verifying_key()];
        for old in 0..20 {
            for size in old..20 {
                assert_eq!(seen(old).admit(&request(old, size, leaf), &keys), Ok(()), "{old} to {size}");
            }
        }
        assert_eq!(Seen::nothing(), seen(0));
    }

    #[test]
    fn the_first_fault_in_the_order_of_the_protocol_is_told_and_only_another_root_accuses() {
        let keys = [key("a.example/log").verifying_key()];
        let check = |seen: Seen, request: &ConsistencyProof, keys: &[VerifyingKey], expected: CosignRefused| {
            assert_eq!(seen.admit(request, keys), Err(expected));
            assert_eq!(expected.is_accusation(), expected == CosignRefused::OtherRoot);
        };
        let good = request(5, 9, leaf);
        check(seen(5), &good, &[key("b.example/log").verifying_key()], CosignRefused::UnknownLog);
        let another = SigningKey::from_seed("a.example/log", [4; 32]).expect("a good name").verifying_key();
        check(seen(5), &good, &[another], CosignRefused::NotSigned);
        let backwards = ConsistencyProof { old: 10, ..good.clone() };
        check(seen(10), &backwards, &keys, CosignRefused::OldBeyondNew);
        check(seen(4), &good, &keys, CosignRefused::OtherSize { seen: 4 });
        check(seen(9), &request(9, 9, other_leaf), &keys, CosignRefused::OtherRoot);
        check(seen(5), &request(5, 9, other_leaf), &keys, CosignRefused::Inconsistent);
        let needless = ConsistencyProof { path: vec![leaf(1)], ..request(0, 9, leaf) };
        check(Seen::nothing(), &needless, &keys, CosignRefused::Inconsistent);
        let empty = request(0, 0, leaf);
        let lie = ConsistencyProof {
            checkpoint: Checkpoint::sign(0, leaf(1), Time::ZERO, &key("a.example/log")),
            ..empty.clone()
        };
        assert_eq!(Seen::nothing().admit(&empty, &keys), Ok(()));
        check(Seen::nothing(), &lie, &keys, CosignRefused::OtherRoot);
    }

    #[test]
    fn the_longest_request_fits_into_its_limit() {
        let hashes = crate::proof::HASHES_MAX * 45;
        let longest = "old 18446744073709551615\n".len() + hashes + 1 + crate::checkpoint::NOTE_BYTES_MAX;
        assert!(longest <= ADD_CHECKPOINT_BYTES_MAX, "{longest}");
    }
}
