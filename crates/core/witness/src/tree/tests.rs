//! The tree against its definition, written down again as the RFC has it.

use super::*;

const SIZES: u64 = 130;

fn leaf(number: u64) -> Hash {
    leaf_hash(&Hash::of(&number.to_be_bytes()))
}

/// `MTH` of the RFC, by its recursion.
fn definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            let mut bytes = vec![1];
            bytes.extend(definition(&leaves[..k]).0);
            bytes.extend(definition(&leaves[k..]).0);
            Hash::of(&bytes)
        }
    }
}

fn roots() -> Vec<Hash> {
    let leaves: Vec<Hash> = (0..SIZES).map(leaf).collect();
    (0..=leaves.len()).map(|size| definition(&leaves[..size])).collect()
}

#[test]
fn a_leaf_is_hashed_with_a_zero_byte_in_front() {
    let record = Hash::of(b"a record");
    let mut bytes = vec![0];
    bytes.extend(record.0);
    assert_eq!(leaf_hash(&record), Hash::of(&bytes));
}

#[test]
fn the_frontier_has_the_root_of_the_definition() {
    //= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1
    //= type=test
    let mut frontier = Frontier::new();
    for (size, root) in roots().iter().enumerate() {
        assert_eq!((frontier.size(), frontier.root()), (size as u64, *root), "size {size}");
        frontier.push(leaf(size as u64));
    }
}

#[test]
fn every_leaf_of_every_size_has_a_proof_and_no_other_leaf_has_it() {
    //= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3
    //= type=test
    for (size, root) in roots().iter().enumerate() {
        let size = size as u64;
        for index in 0..size {
            let proof = inclusion_proof(size, index, leaf);
            assert!(verify_inclusion(size, index, leaf(index), &proof, *root), "leaf {index} of {size}");
            assert!(!verify_inclusion(size, index, leaf(index + 1), &proof, *root));
            assert!(size == 1 || !verify_inclusion(size, (index + 1) % size, leaf(index), &proof, *root));
            assert!(!verify_inclusion(size, index, leaf(index), &proof, leaf(SIZES)));
            let longer = [proof.as_slice(), &[leaf(0)]].concat();
            assert!(!verify_inclusion(size, index, leaf(index), &longer, *root));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify_inclusion(size, index, leaf(index), shorter, *root));
            }
        }
        assert!(inclusion_proof(size, size, leaf).is_empty());
        assert!(!verify_inclusion(size, size, leaf(size), &[], *root));
    }
}

#[test]
fn every_size_is_the_beginning_of_every_larger_one() {
    //= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4
    //= type=test
    let roots = roots();
    for new in 0..=SIZES {
        for old in 0..=new {
            let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
            let proof = consistency_proof(old, new, leaf);
            assert!(verify_consistency(old, new, old_root, new_root, &proof), "{old} of {new}");
            assert!(!verify_consistency(old, new, leaf(0), leaf(1), &proof), "{old} of {new}, other roots");
            let longer = [proof.as_slice(), &[leaf(0)]].concat();
            assert!(!verify_consistency(old, new, old_root, new_root, &longer), "{old} of {new}, longer");
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify_consistency(old, new, old_root, new_root, shorter), "{old} of {new}, shorter");
            }
        }
    }
    assert!(!verify_consistency(2, 1, roots[2], roots[1], &[]));
}
