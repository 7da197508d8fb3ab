//! Encryption of backups to age recipients, in age's own format, so that `age -d` reads them too.
//!
//! The primitives are those of the one cryptographic library in the tree; only the format (a header that wraps a file key to
//! X25519 recipients, then chunks of 64 KiB) is spoken here. A changed, cut off or re-ordered chunk is an error.

use super::bech32;
use crate::error::{Error, Result};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::io::{self, BufRead, Read, Write};

const VERSION: &str = "age-encryption.org/v1";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const LONGEST_HEADER: u64 = 64 << 10;

/// A writer that encrypts, or does not.
pub(super) struct Sealed<W> {
    to: W,
    chunks: Option<Chunks>,
    waiting: Vec<u8>,
}

impl<W: Write> Sealed<W> {
    /// Writes the header. `recipients` are `age1…`, with commas between.
    pub fn new(mut to: W, recipients: Option<&str>) -> Result<Self> {
        let Some(recipients) = recipients else { return Ok(Self { to, chunks: None, waiting: Vec::new() }) };
        let key: [u8; 16] = random()?;
        let mut header = format!("{VERSION}\n");
        for recipient in recipients.split(',').map(str::trim) {
            header.push_str(&stanza(recipient, &key)?);
        }
        header.push_str("---");
        let mac = hmac::sign(&header_key(&key)?, header.as_bytes());
        header.push_str(&format!(" {}\n", BASE64.encode(mac)));
        let nonce: [u8; 16] = random()?;
        to.write_all(header.as_bytes())
            .and_then(|()| to.write_all(&nonce))
            .map_err(|error| targets::files::failed("cannot write the backup", error))?;
        Ok(Self { to, chunks: Some(Chunks::new(&key, &nonce)?), waiting: Vec::with_capacity(CHUNK + TAG) })
    }

    /// Writes what is left, and the mark of the end.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(chunks) = &mut self.chunks {
            chunks.seal(&mut self.waiting, true)?;
            self.to.write_all(&self.waiting)?;
        }
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(chunks) = &mut self.chunks else { return self.to.write(bytes) };
        // A full chunk goes only when more follows: the last one is marked.
        if self.waiting.len() == CHUNK && !bytes.is_empty() {
            chunks.seal(&mut self.waiting, false)?;
            self.to.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        let taken = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The way back. Who has no identity cannot read what is encrypted.
pub(super) fn opened<'a>(
    from: &'a mut dyn Read,
    encrypted: bool,
    identity: Option<&str>,
) -> Result<io::BufReader<Box<dyn Read + 'a>>> {
    if !encrypted {
        return Ok(io::BufReader::new(Box::new(from)));
    }
    let Some(identity) = identity else {
        return Err(Error::usage("the backup is encrypted, and there is no identity to read it with")
            .help("set `identity = \"file:/path/of/the/key\"` in `[backup]`"));
    };
    let mut from = io::BufReader::with_capacity(CHUNK + TAG, from);
    let key = unwrap_key(&mut from, identity)?;
    let mut nonce = [0; 16];
    from.read_exact(&mut nonce).map_err(|_| damaged("it ends in its header"))?;
    let opened = Opened { from, chunks: Chunks::new(&key, &nonce)?, plain: Vec::new(), at: 0, over: false };
    Ok(io::BufReader::new(Box::new(opened)))
}

/// Whether a text is a recipient, or a list of them.
pub fn check_recipients(recipients: &str) -> Result<()> {
    recipients.split(',').try_for_each(|recipient| public_key(recipient.trim()).map(drop))
}

fn damaged(why: &str) -> Error {
    Error::system(format!("an encrypted backup is damaged: {why}"))
        .help("use another backup: `sexton backup list`")
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::system("the system gives no random numbers"))?;
    Ok(bytes)
}

fn public_key(recipient: &str) -> Result<[u8; 32]> {
    let key = bech32::decode(recipient, "age").and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| {
        Error::usage(format!("`{recipient}` is no age recipient"))
            .help("it begins with `age1` and has 62 characters: `age-keygen` prints one with its identity")
    })
}

/// The private key in the content of a key file.
fn secret_key(identity: &str) -> Result<PrivateKey> {
    let line = identity
        .lines()
        .map(str::trim)
        .find(|line| line.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-1"));
    let bytes = line.and_then(|line| bech32::decode(line, "age-secret-key-"));
    bytes.and_then(|bytes| PrivateKey::from_private_key(&X25519, &bytes).ok()).ok_or_else(|| {
        Error::usage("the identity of `[backup]` is no age identity")
            .help("it is a line that begins with `AGE-SECRET-KEY-1`, or a file with such a line")
    })
}

fn public_of(key: &PrivateKey) -> Result<Vec<u8>> {
    let public = key.compute_public_key().map_err(|_| Error::system("a key cannot be computed"))?;
    Ok(public.as_ref().to_vec())
}

/// The key that wraps the file key between the two of them.
fn wrapping(own: &PrivateKey, other: &[u8], share: &[u8], recipient: &[u8]) -> Result<LessSafeKey> {
    let other = UnparsedPublicKey::new(&X25519, other);
    let salt = [share, recipient].concat();
    agree(own, other, damaged("its key exchange fails"), |shared| cipher(&derived(shared, &salt, INFO)?))
}

fn derived(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<[u8; 32]> {
    let mut out = [0; 32];
    let info = [info];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| Error::system("a key cannot be derived"))?;
    Ok(out)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| Error::system("a key cannot be used"))?;
    Ok(LessSafeKey::new(key))
}

fn header_key(file_key: &[u8; 16]) -> Result<hmac::Key> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &derived(file_key, &[], b"header")?))
}

fn stanza(recipient: &str, file_key: &[u8; 16]) -> Result<String> {
    let recipient = public_key(recipient)?;
    let own = PrivateKey::from_private_key(&X25519, &random::<32>()?)
        .map_err(|_| Error::system("a key cannot be made"))?;
    let share = public_of(&own)?;
    let key = wrapping(&own, &recipient, &share, &recipient)?;
    let mut body = file_key.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut body)
        .map_err(|_| Error::system("a key cannot be wrapped"))?;
    Ok(format!("-> X25519 {}\n{}\n", BASE64.encode(share), BASE64.encode(body)))
}

fn unwrap_key(from: &mut impl BufRead, identity: &str) -> Result<[u8; 16]> {
    let own = secret_key(identity)?;
    let public = public_of(&own)?;
    let mut header = String::new();
    let mut limited = from.take(LONGEST_HEADER);
    let mut line = String::new();
    let (mut found, mut stanza): (Option<[u8; 16]>, Option<Vec<u8>>) = (None, None);
    loop {
        line.clear();
        limited.read_line(&mut line).map_err(|_| damaged("its header is no text"))?;
        let text = line.strip_suffix('\n').ok_or_else(|| damaged("its header does not end"))?;
        if header.is_empty() && text != VERSION {
            return Err(damaged("it does not begin like one"));
        }
        if let Some(mac) = text.strip_prefix("--- ") {
            header.push_str("---");
            let key = found.ok_or_else(|| {
                Error::usage("the backup is encrypted to somebody else than the identity of `[backup]`")
                    .help("set the `identity` that belongs to the recipient it was made for")
            })?;
            let mac = BASE64.decode(mac).map_err(|_| damaged("its header has no seal"))?;
            hmac::verify(&header_key(&key)?, header.as_bytes(), &mac)
                .map_err(|_| damaged("the seal of its header does not fit"))?;
            return Ok(key);
        }
        if let Some(share) = text.strip_prefix("-> X25519 ") {
            stanza = BASE64.decode(share).ok();
        } else if text.starts_with("-> ") {
            stanza = None;
        } else if let Some(share) = stanza.take()
            && let Ok(mut body) = BASE64.decode(text)
            && let Ok(key) = wrapping(&own, &share, &share, &public)
            && let Ok(plain) =
                key.open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut body)
        {
            found = found.or((&*plain).try_into().ok());
        }
        header.push_str(&line);
    }
}

/// The key of the chunks and the number of the next one.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(file_key: &[u8; 16], nonce: &[u8; 16]) -> Result<Self> {
        Ok(Self { key: cipher(&derived(file_key, nonce, b"payload")?)?, number: 0 })
    }

    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(last);
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> io::Result<()> {
        let nonce = self.nonce(last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), chunk);
        sealed.map_err(|_| io::Error::other("a part of the backup cannot be encrypted"))
    }
}

struct Opened<R> {
    from: R,
    chunks: Chunks,
    plain: Vec<u8>,
    at: usize,
    over: bool,
}

impl<R: BufRead> Opened<R> {
    fn next(&mut self) -> io::Result<()> {
        let told = |why: &str| io::Error::other(damaged(why));
        let mut chunk = Vec::with_capacity(CHUNK + TAG);
        self.from.by_ref().take((CHUNK + TAG) as u64).read_to_end(&mut chunk)?;
        let last = self.from.fill_buf()?.is_empty();
        let nonce = self.chunks.nonce(last);
        let length = self
            .chunks
            .key
            .open_in_place(nonce, Aad::empty(), &mut chunk)
            .map_err(|_| told("a part of it was changed, or the end is missing"))?
            .len();
        chunk.truncate(length);
        (self.plain, self.at, self.over) = (chunk, 0, last);
        Ok(())
    }
}

impl<R: BufRead> Read for Opened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if self.over {
                return Ok(0);
            }
            self.next()?;
        }
        let taken = buffer.len().min(self.plain.len() - self.at);
        buffer[..taken].copy_from_slice(&self.plain[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: &str = "age1xse43vfalu3jevaae6av0x84wv7r48yvlqluc74dw28qrl8j05eq7556nz";
    const IDENTITY: &str =
        "# a key file\nAGE-SECRET-KEY-1267MMFK7QAGC5W7CHD66KX964URMKZ25836P0NT2LE0PER7UDV7QMP0KSE\n";

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealed = Sealed::new(Vec::new(), Some(RECIPIENT)).unwrap();
        sealed.write_all(plain).unwrap();
        sealed.finish().unwrap()
    }

    fn read(mut bytes: &[u8], identity: &str) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let mut from = opened(&mut bytes, true, Some(identity)).map_err(|error| error.what)?;
        from.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_is_opened_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7] {
            let plain: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
            let bytes = sealed(&plain);
            assert_eq!(read(&bytes, IDENTITY).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn a_file_made_by_age_itself_is_opened() {
        let made = BASE64.decode("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBLVmY3dS9wV29yTkNQNFRJSm5BR085SFlyVnpzSkEzVGEzYUpRQnZBQmljCk82Q3dER2hQRFBrRTF4dU1xZitGOGU5bm9uV3ZueldxK1FmcGgxd01NTkEKLT4gYEFeLWdyZWFzZSAtWwprMm1RdlZPMzJOZ0VSbEw5NWoycGd1LzhzakRRa3pYNG9QcnY2R3BNa1JWd3RoZ252bis4Ci0tLSAwTHVMQWowdy9lTE1vVGxQWWJkd2pzeWdGSGVoY2dLc21qYVViSlhLR3RzCqLpJzxKry6B4BFy5Zm4rLeX1VFhI72NGwnubhOZ9p/JV52YpJNhA73iDbfmoraLcQ0/Ng").unwrap();
        assert_eq!(read(&made, IDENTITY).unwrap(), b"made by age itself\n");
    }

    #[test]
    fn a_changed_byte_a_missing_end_and_another_key_are_refused() {
        let bytes = sealed(&vec![7; 2 * CHUNK + 5]);
        for at in [40, 150, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed, IDENTITY).is_err(), "byte {at}");
        }
        for cut in [1, TAG + 5, CHUNK, CHUNK + TAG + 5] {
            assert!(read(&bytes[..bytes.len() - cut], IDENTITY).is_err(), "without the last {cut}");
        }
        assert!(read(&bytes, "nonsense").unwrap_err().contains("no age identity"));
        assert!(check_recipients("age1nonsense").is_err());
    }
}
