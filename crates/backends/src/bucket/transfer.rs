//! Files on their way to and from a bucket: uploads in parts, downloads in ranges.
//!
//! One part or one range is in memory at a time. Nothing is sent in parallel: an archive or a backup is made more slowly
//! than it is sent.

use super::Shared;
use bytes::{Buf as _, Bytes};
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::io::{self, Read, Write};
use std::sync::Arc;
use targets::db::{Error, Result};
use targets::files::NewFile;

const PART_BYTES: usize = 16 << 20;
/// The service's limit.
const MOST_PARTS: usize = 10_000;
const READ_BYTES: u64 = 8 << 20;

/// An upload: nothing until the first full part, then a multipart upload.
pub struct Upload {
    shared: Arc<Shared>,
    name: String,
    path: Path,
    buffer: Vec<u8>,
    parts: usize,
    begun: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub fn new(shared: Arc<Shared>, name: &str, path: Path) -> Self {
        Self { shared, name: name.to_owned(), path, buffer: Vec::new(), parts: 0, begun: None }
    }

    fn send_part(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if self.parts == MOST_PARTS {
            let what = format!("`{}` is too large for `{}`", self.name, shared.label);
            return Err(Error::system(what).help("keep files larger than 156 GiB in a local folder"));
        }
        let part = std::mem::take(&mut self.buffer);
        let failed = |error| shared.failed("write", &self.name, error);
        let upload = match &mut self.begun {
            Some(upload) => upload,
            None => {
                let begun =
                    shared.runtime.block_on(shared.store.put_multipart(&self.path)).map_err(failed)?;
                self.begun.insert(begun)
            }
        };
        self.parts += 1;
        shared.runtime.block_on(upload.put_part(part.into())).map_err(failed)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART_BYTES {
            self.send_part().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Upload {
    fn finish(mut self: Box<Self>) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if self.begun.is_none() {
            let whole = std::mem::take(&mut self.buffer);
            let put = shared.runtime.block_on(shared.store.put(&self.path, whole.into()));
            return put.map(drop).map_err(|error| shared.failed("write", &self.name, error));
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        if let Some(upload) = &mut self.begun {
            let completed = shared.runtime.block_on(upload.complete());
            completed.map_err(|error| shared.failed("write", &self.name, error))?;
            self.begun = None;
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(upload) = &mut self.begun {
            // Parts that cannot be taken back now are invisible; the bucket's lifecycle rule removes them.
            let _ = self.shared.runtime.block_on(upload.abort());
        }
    }
}

/// A file being read in ranges.
pub struct Download {
    shared: Arc<Shared>,
    name: String,
    there: ObjectMeta,
    at: u64,
    buffer: Bytes,
}

impl Download {
    pub fn new(shared: Arc<Shared>, name: &str, there: ObjectMeta) -> Self {
        Self { shared, name: name.to_owned(), there, at: 0, buffer: Bytes::new() }
    }

    fn fetch(&mut self) -> Result<()> {
        let end = self.there.size.min(self.at + READ_BYTES);
        let options = GetOptions {
            range: Some((self.at..end).into()),
            if_match: self.there.e_tag.clone(),
            ..Default::default()
        };
        let shared = &self.shared;
        let replaced = || {
            Error::transient(format!("`{}` in `{}` was replaced while it was read", self.name, shared.label))
                .help("read it again from its beginning")
        };
        let got = shared.runtime.block_on(async {
            let got = shared.store.get_opts(&self.there.location, options).await?;
            // Not every service heeds `If-Match`.
            let same = got.meta.size == self.there.size && got.meta.e_tag == self.there.e_tag;
            Ok((same, got.bytes().await?))
        });
        match got {
            Ok((true, bytes)) if bytes.len() as u64 == end - self.at => self.buffer = bytes,
            Ok(_) | Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                return Err(replaced());
            }
            Err(error) => return Err(shared.failed("read", &self.name, error)),
        }
        self.at = end;
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && self.at < self.there.size {
            self.fetch().map_err(io::Error::other)?;
        }
        let read = buffer.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}
