//! Keylender lends short-lived, scoped credentials.
//!
//! The layers, lowest first. A file may name its own layer and lower ones; `tests/tidy.rs` reads the imports.
//! What is public in the lower three floors is documented, because their readers are elsewhere; above, names must do.

#[warn(missing_docs)]
pub mod base; // 1  words everybody speaks; no I/O, no async

#[warn(missing_docs)]
pub mod proto; // 2  hostile bytes and signed formats; pure; time is an argument

#[warn(missing_docs)]
pub mod store; // 3  what we remember: tables, audit chain, sealing; the only user of redb
// 3  clients of everything outside; a stranger to the store
#[warn(missing_docs)]
pub mod ports;

pub mod domain; // 4  every rule of the product, one module per noun

pub mod web; // 5  faces of the domain over HTTP

pub mod app; // 6  settings → ports → domain → loops → listeners → shutdown

pub mod cli; // 7  subcommands; the only readers of argv and stdin

/// Requests allocate on one thread and are freed on another, the store's: glibc's allocator spends as much time on its
/// locks as the work takes, and musl's more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
