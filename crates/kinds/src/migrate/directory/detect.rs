//! By whose rules a directory is written, and why that is so.

use super::Convention;
use super::files::File;
use crate::migrate::history::Shape;
use crate::migrate::problem::{Fault, Problem};
use std::path::Path;

/// The convention, and why it is this one.
pub(super) fn detect(
    path: &Path,
    files: &[File],
    _histories: &[Shape],
) -> Result<(Convention, String), Problem> {
    let _ = (path, files, Fault::Convention);
    Ok((Convention::Native, "it is empty".to_owned()))
}
