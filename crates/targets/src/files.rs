//! The contract of a file store: a local folder or a bucket.
//!
//! Names are relative, with `/` between parts, and never leave the store: `..`, absolute names and symbolic
//! links are refused by every implementation.

use crate::db::Result;
use std::io::{Read, Write};

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the store.
    pub name: String,
    /// In bytes.
    pub bytes: u64,
    /// Last change, microseconds since 1970.
    pub modified_us: i64,
}

/// A place for files.
pub trait Files: Send + Sync {
    /// The name used in messages; never with a secret.
    fn label(&self) -> &str;
    /// Begins a file. It appears under its name, whole, only when [`NewFile::finish`] returns; a file of that name is
    /// replaced.
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>>;
    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>>;
    /// All files whose name begins with `prefix`, in the order of their names.
    fn list(&self, prefix: &str) -> Result<Vec<File>>;
    /// Removes a file; false when there was none.
    fn remove(&self, name: &str) -> Result<bool>;
}

/// A file being written. Dropped without `finish` it leaves nothing behind.
pub trait NewFile: Write + Send {
    /// Makes the file durable (synced, uploaded) and visible under its name.
    fn finish(self: Box<Self>) -> Result<()>;
}
