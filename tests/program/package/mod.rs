//! The packages and what they put on a host: built, checked, installed into a host of their own, run there, removed.

mod host;
mod init;
mod rpm;
