//! The way of a part into the store and back: compressed, encrypted if wanted, summed.

use super::manifest::{Backup, StoredPart};
use super::{BackupPolicy, names};
use crate::archive::{Tally, hex};
use crate::error::{Error, Result};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use targets::files::{Files, NewFile, failed};

const BUFFER: usize = 256 << 10;
/// Buffers on the way between the two threads.
const WAITING: usize = 8;

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

/// Writes one part of a backup: while one thread reads, another compresses, encrypts, sums and writes.
pub(super) fn send(
    store: &dyn Files,
    backup: &Backup,
    part: &str,
    alone: bool,
    policy: &BackupPolicy,
    from: &mut dyn Read,
) -> Result<Pending> {
    let name = names::part(backup, part, alone);
    let doing = format!("cannot write `{name}` in `{}`", store.label());
    let told = |error| failed(&doing, error);
    let tally = Tally::new(store.create(&name)?);
    let sealed = super::seal::Sealed::new(tally, policy.recipient.as_deref())?;
    let mut way = Way::new(sealed, policy.compression).map_err(told)?;
    let (full, filled) = sync_channel::<Vec<u8>>(WAITING);
    let (empty, emptied) = sync_channel::<Vec<u8>>(WAITING);
    let (sent, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for buffer in filled {
                way.write_all(&buffer)?;
                // Who reads may have gone already.
                let _ = empty.try_send(buffer);
            }
            way.finish()?.finish()
        });
        let sent = fill(from, &full, &emptied);
        drop(full);
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the backup ended")));
        (sent, written)
    });
    // A broken source looks like the end of it to whoever writes.
    let plain_bytes = match (sent, &written) {
        (Err(error), _) => return Err(told(error)),
        (Ok(None), Ok(_)) => return Err(told(io::Error::other("a thread of the backup ended"))),
        (Ok(plain_bytes), _) => plain_bytes.unwrap_or(0),
    };
    let (file, bytes, sha256) = written.map_err(told)?.into_parts();
    Ok(Pending { file, stored: StoredPart { name, part: part.to_owned(), bytes, sha256, plain_bytes } })
}

/// Hands on what is read; none when nobody takes it any more.
fn fill(
    from: &mut dyn Read,
    to: &SyncSender<Vec<u8>>,
    emptied: &Receiver<Vec<u8>>,
) -> io::Result<Option<u64>> {
    let mut poured = 0;
    loop {
        let mut buffer = emptied.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut length = 0;
        // Pipes give little at a time.
        while length < BUFFER {
            match from.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if length == 0 {
            return Ok(Some(poured));
        }
        poured += length as u64;
        buffer.truncate(length);
        if to.send(buffer).is_err() {
            return Ok(None);
        }
    }
}

/// With compression or without.
enum Way<W: Write> {
    Plain(W),
    Compressed(zstd::Encoder<'static, W>),
}

impl<W: Write> Way<W> {
    fn new(to: W, level: u8) -> io::Result<Self> {
        if level == 0 {
            return Ok(Self::Plain(to));
        }
        let mut encoder = zstd::Encoder::new(to, i32::from(level))?;
        encoder.include_checksum(true)?;
        Ok(Self::Compressed(encoder))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.write_all(bytes),
            Self::Compressed(to) => to.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Compressed(to) => to.finish(),
        }
    }
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
            let mut plain: Box<dyn Read + '_> = match backup.compression {
                Some(_) => Box::new(zstd::Decoder::with_buffer(opened).map_err(told)?),
                None => Box::new(opened),
            };
            let place = folder.join(&file.part);
            let mut to = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&place)
                .map_err(|error| failed(&format!("cannot write `{}`", place.display()), error))?;
            pour(plain.as_mut(), &mut to).map(drop).map_err(told)
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
