//! The packages and what they put on a host: built, checked, installed into a host of their own, run there, removed.

mod host;
mod init;
mod rpm;
#[path = "../support/static_program.rs"]
mod static_program;
