//! Ours and that of the program `age`: each reads what the other wrote.

use super::seal::{Sealed, opened};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const CHUNK: usize = 64 << 10;

fn age(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{program}: {error}\nhelp: apt-get install age"))
}

/// A folder with a key file; the recipient that belongs to it.
fn key() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    assert!(age("age-keygen", &["-o", "key"], folder.path()).status.success());
    let public = age("age-keygen", &["-y", "key"], folder.path());
    let recipient = String::from_utf8(public.stdout).unwrap().trim().to_owned();
    let identity = std::fs::read_to_string(folder.path().join("key")).unwrap();
    (folder, recipient, identity)
}

fn plain(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

fn sealed(plain: &[u8], recipients: &str) -> Vec<u8> {
    let mut sealed = Sealed::new(Vec::new(), Some(recipients)).unwrap();
    sealed.write_all(plain).unwrap();
    sealed.finish().unwrap()
}

fn read(mut bytes: &[u8], identity: &str) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let mut from = opened(&mut bytes, true, Some(identity)).map_err(|error| error.what)?;
    from.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// None of one byte, one chunk, and several; the ends of chunks on both sides.
const LENGTHS: [usize; 8] = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7, 1 << 20];

#[test]
fn age_reads_what_we_sealed_and_we_read_what_age_sealed() {
    let (folder, recipient, identity) = key();
    let (_other_folder, other, other_identity) = key();
    let at = |name: &str| folder.path().join(name);
    for length in LENGTHS {
        let plain = plain(length);
        let both = format!("{other}, {recipient}");
        std::fs::write(at("ours.age"), sealed(&plain, &both)).unwrap();
        let said = age("age", &["-d", "-i", "key", "ours.age"], folder.path());
        assert!(said.status.success(), "{length}: {}", String::from_utf8_lossy(&said.stderr));
        assert!(said.stdout == plain, "{length} bytes");

        std::fs::write(at("plain"), &plain).unwrap();
        let said = age("age", &["-r", &recipient, "-r", &other, "-o", "theirs.age", "plain"], folder.path());
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let theirs = std::fs::read(at("theirs.age")).unwrap();
        for identity in [&identity, &other_identity] {
            assert!(read(&theirs, identity).unwrap() == plain, "{length} bytes");
        }
        std::fs::remove_file(at("theirs.age")).unwrap();
    }
}

#[test]
fn both_refuse_what_was_cut_off_flipped_or_put_in_another_order() {
    let (folder, recipient, identity) = key();
    let bytes = sealed(&plain(3 * CHUNK + 7), &recipient);
    let header = bytes.len() - (3 * (CHUNK + 16) + 7 + 16);
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in [1, 7 + 16, CHUNK / 2, CHUNK + 16 + 7 + 16] {
        bad.push((format!("without the last {cut}"), bytes[..bytes.len() - cut].to_vec()));
    }
    for at in [30, header - 20, header - 1, header, header + CHUNK, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        bad.push((format!("byte {at} flipped"), flipped));
    }
    let mut swapped = bytes.clone();
    let (first, second) = swapped[header..].split_at_mut(CHUNK + 16);
    first.swap_with_slice(&mut second[..CHUNK + 16]);
    bad.push(("two chunks exchanged".to_owned(), swapped));
    bad.push(("something at the end".to_owned(), [&bytes[..], b"x"].concat()));
    for (what, bytes) in bad {
        std::fs::write(folder.path().join("bad.age"), &bytes).unwrap();
        let theirs = age("age", &["-d", "-i", "key", "-o", "out", "bad.age"], folder.path());
        assert!(!theirs.status.success(), "age takes it: {what}");
        assert!(read(&bytes, &identity).is_err(), "we take it: {what}");
    }
}
