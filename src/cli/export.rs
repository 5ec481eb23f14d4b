//! What is written to a new file, or to standard output.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::base::{Error, Result};

/// Writes to a file, or to standard output where none is named. A file that could not be written to its end is taken away
/// again.
pub(super) async fn to<T>(file: Option<&Path>, write: impl AsyncFnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let Some(path) = file else {
        let mut out = io::stdout().lock();
        let written = write(&mut out).await?;
        return out.flush().map(|()| written).map_err(unwritable);
    };
    // A new one: an export that somebody keeps is not written over. What is in it is for nobody else's eyes.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = made.map_err(|e| Error::invalid(format!("cannot make {}", path.display())).because(e))?;
    let mut out = BufWriter::new(&file);
    let written = match write(&mut out).await {
        Ok(written) => out.flush().and_then(|()| file.sync_all()).map(|()| written).map_err(unwritable),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // The first error is the one to hear of.
        let _ = fs::remove_file(path);
    }
    written
}

pub(super) fn unwritable(error: io::Error) -> Error {
    Error::unavailable("the export cannot be written").because(error)
}
