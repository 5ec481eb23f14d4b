//! The payload of a task, as a file or from standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::output;
use crate::base::{Error, Result};
use crate::proto::services::{Payload, TEXT_LEN_MAX, parse};

/// What stands for standard input.
const STDIN: &str = "-";

/// A payload that can be used. What is wrong with another is said, each with its place.
pub(super) fn read(file: &Path) -> Result<Payload> {
    parse(&text(file)?).map_err(|mistakes| {
        for mistake in &mistakes {
            output::remark(&format!("{}: {mistake}", shown(file)));
        }
        Error::invalid("this is no payload that can be used")
    })
}

pub(super) fn shown(file: &Path) -> String {
    if file == Path::new(STDIN) { "standard input".to_owned() } else { file.display().to_string() }
}

/// A payload, no more of it than one may have.
fn text(file: &Path) -> Result<String> {
    let unreadable = |error: io::Error| Error::invalid(format!("{} cannot be read", shown(file))).because(error);
    let input: &mut dyn Read =
        if file == Path::new(STDIN) { &mut io::stdin().lock() } else { &mut File::open(file).map_err(unreadable)? };
    let mut bytes = Vec::new();
    input.take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > TEXT_LEN_MAX {
        return Err(Error::invalid(format!("the payload has more than {TEXT_LEN_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("the payload is no UTF-8"))
}
