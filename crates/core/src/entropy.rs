//! Randomness as an argument.

/// A source of random bytes fit for secrets.
pub trait Entropy {
    /// Fills the whole buffer.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// Bytes that are taken from a source at a time.
const POOLED: usize = 1_024;

/// Random bytes, taken from their source many at a time: a call of the platform costs more than the bytes. They lie in memory
/// before they are used, so no secret is made of them, but ids are: nobody can tell from one how many there were before it.
#[derive(Default)]
pub struct Pool {
    bytes: Vec<u8>,
}

impl Pool {
    /// The next of them. Each byte is handed out once.
    pub fn take<const N: usize>(&mut self, source: &mut dyn Entropy) -> [u8; N] {
        if let Some(next) = self.bytes.last_chunk().copied() {
            self.bytes.truncate(self.bytes.len() - N);
            return next;
        }
        // What is left is too little, and is not used.
        self.bytes = vec![0; POOLED];
        source.fill(&mut self.bytes);
        let Some(next) = self.bytes.last_chunk().copied() else { return bytes(source) };
        self.bytes.truncate(POOLED - N);
        next
    }
}

/// As many random bytes as the array holds.
pub fn bytes<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut buffer = [0; N];
    entropy.fill(&mut buffer);
    buffer
}
