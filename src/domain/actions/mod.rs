//! Changes that somebody can ask for, each declared once: the API, the console, the command line and the documents of
//! all three are made from what stands here, so that none of them can say or allow something else.

pub mod clients;
pub mod connections;
pub mod loops;
pub mod namespaces;
pub mod queues;
pub mod roles;

use std::future::Future;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::Domain;
use super::auth::Caller;
use super::auth::scopes::RequiredScope;
use crate::base::Result;

/// What a change is called in each face, and what it says of itself. Names are promises (interface.md).
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The method of the API: `pauseLoop`.
    pub name: &'static str,
    /// `POST` or `DELETE`.
    pub method: &'static str,
    /// Where below the API's mount: `/loops/<loop>/pause`. Its one argument is what it changes.
    pub route: &'static str,
    /// What it needs.
    pub scope: RequiredScope,
    /// The words behind `keylender`: `loop pause <loop>`.
    pub command: &'static str,
    /// How the command calls its argument, and what it says of it.
    pub argument: (&'static str, &'static str),
    /// What is typed behind those words, for the help of the command.
    pub example: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// The title of its page, with the argument in it: `Pause <loop>`.
    pub title: &'static str,
    /// What its button says.
    pub button: &'static str,
    /// What it takes of a person.
    pub weight: Weight,
    /// Whether programs must give a reason, too. Those that never had to may go on without, and may give one.
    pub asks_programs: bool,
}

/// What a change takes of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A click.
    Light,
    /// A reason.
    Reasoned,
    /// A reason, and a warning: something is lost that cannot be had back.
    Destroys,
}

impl Weight {
    /// Whether it asks for a reason.
    pub fn is_reasoned(self) -> bool {
        self != Self::Light
    }

    /// Whether something is lost.
    pub fn destroys(self) -> bool {
        self == Self::Destroys
    }
}

/// What goes on while a change is planned or made.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A change of a `T`, which answers with an `A`.
pub struct Action<T, A> {
    /// What it says of itself.
    pub about: About,
    /// Reads its argument. `Invalid` for what cannot be one.
    pub on: fn(&Domain, &str) -> Result<T>,
    /// What it would do now, a sentence each. Changes nothing; fails as the change would, as far as that can be known
    /// beforehand.
    pub plan: fn(Domain, T) -> Work<Vec<String>>,
    /// Does it. The faces carry it through when who asked goes away.
    pub run: fn(Domain, Caller, T) -> Work<A>,
}

/// The answer to a change that leaves nothing to say.
#[derive(Serialize, JsonSchema)]
pub struct Done {
    done: bool,
}

/// What a loop did, or would do, in words; empty for nothing.
#[derive(Serialize, JsonSchema)]
pub struct Report {
    /// In words; empty for nothing.
    pub report: String,
}

/// Says that it is done.
pub const DONE: Done = Done { done: true };

/// An argument that is a name as it was written, whatever it is.
#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn any_name(_: &Domain, text: &str) -> Result<String> {
    Ok(text.to_owned())
}
