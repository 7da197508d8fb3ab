//! The way of a part into the store and back: compressed, encrypted if wanted, summed.

use super::manifest::{Backup, StoredPart};
use super::names;
use crate::archive::{Tally, hex};
use crate::error::{Error, Result};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use targets::files::{Files, NewFile, failed};

/// Fast: the disk and the database are what a backup should wait for.
const LEVEL: i32 = 1;
const BUFFER: usize = 256 << 10;

/// A part that is written but not visible under its name yet.
pub(super) struct Pending {
    file: Box<dyn NewFile>,
    stored: StoredPart,
}

impl Pending {
    /// Makes it durable and visible.
    pub fn finish(self) -> Result<StoredPart> {
        self.file.finish()?;
        Ok(self.stored)
    }
}

/// Writes one part of a backup.
pub(super) fn send(
    store: &dyn Files,
    backup: &Backup,
    part: &str,
    alone: bool,
    recipient: Option<&str>,
    from: &mut dyn Read,
) -> Result<Pending> {
    let name = names::part(&backup.database, &backup.id, part, alone, recipient.is_some());
    let doing = format!("cannot write `{name}` in `{}`", store.label());
    let told = |error| failed(&doing, error);
    let tally = Tally::new(store.create(&name)?);
    let sealed = super::seal::Sealed::new(tally, recipient)?;
    let mut compressed = zstd::Encoder::new(sealed, LEVEL).map_err(told)?;
    compressed.include_checksum(true).map_err(told)?;
    let plain_bytes = pour(from, &mut compressed).map_err(told)?;
    let sealed = compressed.finish().map_err(told)?;
    let (file, bytes, sha256) = sealed.finish().map_err(told)?.into_parts();
    Ok(Pending { file, stored: StoredPart { name, part: part.to_owned(), bytes, sha256, plain_bytes } })
}

/// Reads a stored file again and compares it with what was written.
pub(super) fn compare(store: &dyn Files, file: &StoredPart) -> Result<()> {
    let mut sum = Sum::new(store.open(&file.name)?);
    io::copy(&mut sum, &mut io::sink())
        .map_err(|error| failed(&format!("cannot read `{}` in `{}`", file.name, store.label()), error))?;
    sum.compare(store, file)
}

/// Brings all parts of a backup into a folder, as the database gave them.
pub(super) fn fetch(store: &dyn Files, backup: &Backup, identity: Option<&str>, folder: &Path) -> Result<()> {
    for file in &backup.files {
        let mut sum = Sum::new(store.open(&file.name)?);
        let poured = (|| -> Result<()> {
            let told = |error| failed(&format!("cannot unpack `{}`", file.name), error);
            let opened = super::seal::opened(&mut sum, backup.encryption.is_some(), identity)?;
            let mut plain = zstd::Decoder::new(opened).map_err(told)?;
            let place = folder.join(&file.part);
            let mut to = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&place)
                .map_err(|error| failed(&format!("cannot write `{}`", place.display()), error))?;
            pour(&mut plain, &mut to).map(drop).map_err(told)
        })();
        // The checksum tells better than a decoder what is wrong with damaged bytes.
        let _ = io::copy(&mut sum, &mut io::sink());
        sum.compare(store, file)?;
        poured?;
    }
    Ok(())
}

fn pour(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut poured = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(poured),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                poured += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Sum {
    inner: Box<dyn Read + Send>,
    hasher: Sha256,
    bytes: u64,
}

impl Sum {
    fn new(inner: Box<dyn Read + Send>) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    fn compare(self, store: &dyn Files, file: &StoredPart) -> Result<()> {
        let sha256 = hex(&self.hasher.finalize());
        if self.bytes > 0 && (self.bytes, &sha256) == (file.bytes, &file.sha256) {
            return Ok(());
        }
        Err(Error::system(format!(
            "`{}` in `{}` is not what was written: {} bytes with sha256 {sha256}, not {} bytes with {}",
            file.name,
            store.label(),
            self.bytes,
            file.bytes,
            file.sha256
        ))
        .help("do not rely on this backup: take a new one with `sexton backup create`, and look at the disk of the store"))
    }
}

impl Read for Sum {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
