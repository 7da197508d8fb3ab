//! Checksums of migrations: ours, and those that other tools keep in their histories.

use crate::migrate::model::Statement;
use sha2::{Digest, Sha256, Sha384};

/// Of what the statements do: line endings, trailing blanks and what stands between statements do not matter.
pub fn ours(statements: &[Statement]) -> String {
    let mut hash = Sha256::new();
    for statement in statements {
        for line in statement.sql.lines() {
            hash.update(line.trim_end().as_bytes());
            hash.update(b"\n");
        }
        hash.update(b";\n");
    }
    hex(&hash.finalize())
}

/// What sqlx keeps: every byte counts.
pub(super) fn sqlx(raw: &str) -> String {
    hex(&Sha384::digest(raw.as_bytes()))
}

/// What Flyway keeps: a CRC-32 over the lines without their ends, as a signed number.
pub(super) fn flyway(text: &str) -> String {
    let mut crc = u32::MAX;
    let mut feed = |byte: u8| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    };
    text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(&mut feed);
    (!crc).cast_signed().to_string()
}

/// What refinery keeps: SipHash-1-3 over name, version and text, as a number.
pub(super) fn refinery(name: &str, version: u64, text: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len() + text.len() + 6);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0xff);
    // versions are 32 bits wide unless it was built for wider ones, which it needs for a moment of time
    match i32::try_from(version) {
        Ok(version) => bytes.extend_from_slice(&version.to_le_bytes()),
        Err(_) => bytes.extend_from_slice(&version.to_le_bytes()),
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0xff);
    sip13(&bytes).to_string()
}

/// SipHash with one round a word and three at the end, its key being 0.
fn sip13(bytes: &[u8]) -> u64 {
    let mut v: [u64; 4] =
        [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = word.iter().rev().fold(0, |all, byte| (all << 8) | u64::from(*byte));
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    let rest = words.remainder().iter().rev().fold(0, |all, byte| (all << 8) | u64::from(*byte));
    let last = ((bytes.len() as u64 & 0xff) << 56) | rest;
    v[3] ^= last;
    round(&mut v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    #[test]
    fn the_siphash_is_the_known_one() {
        for length in [0, 1, 7, 8, 9, 63, 300] {
            let bytes: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let mut known = DefaultHasher::new();
            known.write(&bytes);
            assert_eq!(sip13(&bytes), known.finish(), "{length} bytes");
        }
    }

    #[test]
    fn the_crc_is_the_known_one_and_signed() {
        // the check value of CRC-32 over 123456789 is cbf43926
        assert_eq!(flyway("1234\r\n56789\n"), 0xcbf4_3926_u32.cast_signed().to_string());
    }
}
