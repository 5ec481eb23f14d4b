//! Lists of scopes as people write them, one on a line.

use crate::base::{Result, Scope};

/// The scopes of a field of a form; lines that are empty say nothing.
pub fn read(text: &str) -> Result<Vec<Scope>> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Scope::parse).collect()
}

/// The field for some scopes.
pub fn write(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join("\n")
}

/// The scopes in one line.
pub fn line(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// The words of a command that name some scopes.
pub fn words(scopes: &[Scope]) -> Vec<&str> {
    scopes.iter().flat_map(|scope| ["--scope", scope.as_str()]).collect()
}
