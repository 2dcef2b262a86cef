//! Memory that a disk may be written from without a copy: whole blocks, at addresses that are multiples of a block.

/// What writes begin at and are multiples of, in bytes: the page, and no less than any disk's sector.
pub(crate) const BLOCK_BYTES: usize = 4096;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// Whole blocks; what was not filled is zeros.
#[derive(Default)]
pub(crate) struct Blocks(Vec<Block>);

impl Blocks {
    /// Takes these bytes, in place of what was there.
    pub(crate) fn fill(&mut self, parts: &[&[u8]]) {
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        let blocks = bytes.div_ceil(BLOCK_BYTES);
        self.0.resize(blocks, Block([0; BLOCK_BYTES]));
        let mut at = 0;
        let filled = self.bytes_mut();
        for part in parts {
            filled[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        filled[at..].fill(0);
    }

    /// So many zeros.
    pub(crate) fn zeros(blocks: usize) -> Self {
        Self(vec![Block([0; BLOCK_BYTES]); blocks])
    }

    /// All of them, zeros at the end included.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: a block is its bytes and nothing else, and the vector holds so many of them one after the other.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * BLOCK_BYTES) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any byte is a valid byte of a block.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * BLOCK_BYTES) }
    }

    /// Gives back what a large commit has grown it to.
    pub(crate) fn shrink(&mut self, bytes_kept: usize) {
        if self.0.capacity() * BLOCK_BYTES > bytes_kept {
            self.0 = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_end_in_zeros() {
        let mut blocks = Blocks::default();
        blocks.fill(&[&[1; 4000], &[2; 200]]);
        assert_eq!(blocks.bytes().as_ptr() as usize % BLOCK_BYTES, 0);
        assert_eq!((blocks.bytes().len(), blocks.bytes()[4199], blocks.bytes()[4200]), (8192, 2, 0));
        blocks.fill(&[&[3; 10]]);
        assert_eq!(blocks.bytes().len(), 4096);
        assert!(blocks.bytes()[10..].iter().all(|byte| *byte == 0), "nothing is left of what was there before");
    }
}
