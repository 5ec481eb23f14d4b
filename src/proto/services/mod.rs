//! Services beside a task: what a payload says of them in JSON, as was proposed for docker-worker.
//!
//! ```json
//! {
//!   "services": [
//!     {
//!       "name": "db",
//!       "image": "postgres:16",
//!       "command": ["-c", "fsync=off"],
//!       "env": { "POSTGRES_PASSWORD": "x" }
//!     }
//!   ]
//! }
//! ```
//!
//! A task writes it, and the image of a service may be trusted with scopes that the task does not have. So a payload says
//! what the service is asked to do, and never what the engine is told of it. Every mistake is told at once, with its place.

mod image;
mod judge;
mod members;
mod mistakes;
mod name;
mod schema;
#[cfg(test)]
mod tests;
mod tree;
mod variable;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::image::{IMAGE_LEN_MAX, ImageName};
pub use self::mistakes::Mistake;
use self::mistakes::Mistakes;
pub use self::name::{NAME_LEN_MAX, ServiceName};
pub use self::schema::schema;

/// Longest payload. A task has some 1 MiB in all, of which the services are a small part.
pub const TEXT_LEN_MAX: usize = 4 << 20;
/// Services of a task. Each is a network and a container, which a worker starts before the task and ends behind it.
pub const SERVICES_MAX: usize = 32;
/// Bytes of all services, written as JSON: with what the engine says of their images they are one request to the appliance,
/// which takes 64 KiB.
pub const SERVICES_LEN_MAX: usize = 40 << 10;
/// Words of a command: a command line that somebody wrote, no list of files.
pub const COMMAND_WORDS_MAX: usize = 256;
/// Bytes of a command, each word with the NUL behind it.
pub const COMMAND_LEN_MAX: usize = 16 << 10;
/// Variables of a service.
pub const ENV_MAX: usize = 256;
/// Longest name of a variable.
pub const ENV_NAME_LEN_MAX: usize = 256;
/// Longest value of a variable. A file belongs into the image.
pub const ENV_VALUE_LEN_MAX: usize = 16 << 10;
/// Bytes of all variables, each with its `=` and NUL.
pub const ENV_LEN_MAX: usize = 32 << 10;

/// What a payload says of services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// In the order of the text. No two have one name.
    pub services: Vec<Service>,
}

/// One service beside a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The host name by which the task reaches it.
    pub name: ServiceName,
    /// What runs.
    pub image: ImageName,
    /// What is put behind the image's entry point. An empty one is the image's own.
    pub command: Vec<String>,
    /// Variables of the task's choice.
    pub env: BTreeMap<String, String>,
}

/// Reads a payload, of which only the services are looked at. What is wrong is told with its places, in the order of the
/// text: at least one mistake.
pub fn parse(text: &str) -> Result<Payload, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    if text.len() > TEXT_LEN_MAX {
        mistakes.note("", format!("the payload has {} bytes; there may be {TEXT_LEN_MAX}", text.len()));
        return Err(mistakes.list());
    }
    let services = match tree::read(text) {
        Ok(root) => judge::payload(root, &mut mistakes),
        Err(message) => {
            mistakes.note("", format!("this is no JSON that can be read: {message}"));
            Vec::new()
        }
    };
    if mistakes.is_empty() { Ok(Payload { services }) } else { Err(mistakes.list()) }
}
