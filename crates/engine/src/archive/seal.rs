//! The seal of an archive file: its row count, and a checksum of all other bytes and the row count.
//!
//! The seal is a skippable zstd frame, so that `zstdcat` shows the rows and nothing else. In a Parquet file it
//! stands in the gap before the footer, where no reader looks. It finds damage, not malice: whoever can write the file can
//! seal it again, which is what the manifest is for.

use sha2::{Digest, Sha256};
use std::io::{Read, Write};

/// The length of a seal in bytes.
pub const LENGTH: usize = 48;
/// A skippable zstd frame of 40 bytes.
const START: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 40, 0, 0, 0];

/// Row count and checksum.
#[derive(Debug, PartialEq, Eq)]
pub struct Seal {
    pub rows: u64,
    pub sha256: [u8; 32],
}

impl Seal {
    fn new(rows: u64, others: Sha256) -> Self {
        // The row count too, or a flipped bit in it would make a reader wait for rows that never were.
        Self { rows, sha256: others.chain_update(rows.to_le_bytes()).finalize().into() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        [&START[..], &self.rows.to_le_bytes(), &self.sha256].concat()
    }

    /// None when these are not the bytes of a seal.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&START)?;
        let (rows, sha256) = rest.split_first_chunk::<8>()?;
        Some(Self { rows: u64::from_le_bytes(*rows), sha256: sha256.try_into().ok()? })
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A writer that counts and sums what goes through it.
pub struct Tally<W> {
    inner: W,
    bytes: u64,
    hasher: Sha256,
}

impl<W: Write> Tally<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, bytes: 0, hasher: Sha256::new() }
    }

    /// The seal of what went through so far.
    pub fn seal(&self, rows: u64) -> Seal {
        Seal::new(rows, self.hasher.clone())
    }

    /// The inner writer, the number of bytes, their checksum in hex.
    pub fn into_parts(self) -> (W, u64, String) {
        (self.inner, self.bytes, hex(&self.hasher.finalize()))
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// A reader that sums what goes through it, twice: all of it, and all but the seal at the end.
pub struct Tail<R> {
    inner: R,
    bytes: u64,
    hasher: Sha256,
    last: Vec<u8>,
}

impl<R: Read> Tail<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, bytes: 0, hasher: Sha256::new(), last: Vec::new() }
    }

    /// The seal, if the last bytes are one, and whether it fits the bytes before it; the number of all bytes, their checksum in hex.
    pub fn into_parts(self) -> (Option<(Seal, bool)>, u64, String) {
        let seal = Seal::from_bytes(&self.last).map(|seal| {
            let fits = seal == Seal::new(seal.rows, self.hasher.clone());
            (seal, fits)
        });
        let whole = self.hasher.chain_update(&self.last).finalize();
        (seal, self.bytes, hex(&whole))
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        self.last.extend_from_slice(&buffer[..read]);
        let sealed = self.last.len().saturating_sub(LENGTH);
        self.hasher.update(&self.last[..sealed]);
        self.last.drain(..sealed);
        Ok(read)
    }
}
