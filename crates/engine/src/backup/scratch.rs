//! A private folder for files in the making, gone when dropped; what a killed process left is removed by the next one.

use crate::error::Result;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use targets::files::failed;

/// The folder.
pub(crate) struct Scratch {
    folder: PathBuf,
    /// Locked for as long as this process lives.
    _lock: File,
}

impl Scratch {
    /// Makes one inside `base`.
    pub fn new(base: &Path, id: &str) -> Result<Self> {
        let doing = format!("cannot make a scratch folder in `{}`", base.display());
        let told = |error| failed(&doing, error);
        DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(told)?;
        remove_the_dead(base);
        let folder = base.join(format!("backup-{id}-{}", std::process::id()));
        // The lock first: a folder without one is taken for dead.
        let lock = loop {
            let lock = File::create(lock_of(&folder)).map_err(told)?;
            lock.lock().map_err(told)?;
            // Between the two somebody may have taken it for that of a dead process.
            if lock_of(&folder).exists() {
                break lock;
            }
        };
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(told)?;
        Ok(Self { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(lock_of(&self.folder));
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

fn remove_the_dead(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("backup-") {
            continue;
        }
        // Whoever died before it made its folder left a lock alone.
        let folder = entry.path().with_extension("");
        let lock = File::open(lock_of(&folder));
        let alive = lock.as_ref().is_ok_and(|lock| lock.try_lock().is_err());
        if !alive {
            let _ = std::fs::remove_dir_all(&folder);
            let _ = std::fs::remove_file(lock_of(&folder));
        }
    }
}
