//! Keylender lends short-lived, scoped credentials.
//!
//! The layers, lowest first. A file may name its own layer and lower ones; `tests/tidy.rs` reads the imports.

pub mod base; // 1  words everybody speaks; no I/O, no async
pub mod proto; // 2  hostile bytes and signed formats; pure; time is an argument

pub mod ports; // 3  doors to the outside; store and ports are strangers to each other
