//! Changes that somebody can ask for, each declared once: the API, the console, the command line and the documents of
//! all three are made from what stands here, so that none of them can say or allow something else.

/// What goes on while a change is planned or made: a closure whose body may wait.
macro_rules! work {
    (|$($argument:pat_param),*| $body:expr) => { |$($argument),*| Box::pin(async move { $body }) };
}

/// The same of one that leaves nothing to say.
macro_rules! done {
    (|$($argument:pat_param),*| $body:expr) => { work!(|$($argument),*| $body.await.map(|()| $crate::domain::actions::DONE)) };
}

pub mod agents;
pub mod alarms;
pub mod archives;
pub mod audit;
pub mod backups;
pub mod broker;
pub mod clients;
pub mod connections;
pub mod fleet;
pub mod hosts;
pub mod keys;
pub mod leases;
pub mod loops;
pub mod namespaces;
pub mod operators;
pub mod proxy;
pub mod queues;
pub mod relay;
pub mod roles;
pub mod services;

use std::future::Future;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Domain;
use super::auth::Caller;
use super::auth::scopes::{self, RequiredScope};
use crate::base::{Result, Scope, Secret};

/// What a change is called in each face, and what it says of itself. Names are promises (interface.md).
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The method of the API: `pauseLoop`.
    pub name: &'static str,
    /// Its method, and where it is below the API's mount: `POST /loops/<loop>/pause`. Its arguments, if it has any, are what
    /// it changes.
    pub route: &'static str,
    /// What it needs.
    pub scope: RequiredScope,
    /// The words behind `keylender`, with what must be given: `loop pause <loop>`.
    pub command: &'static str,
    /// How the command calls its argument, and what it says of it.
    pub argument: (&'static str, &'static str),
    /// What is typed behind those words, for the help of the command.
    pub example: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// The title of its page, with the argument in it, and what its button says: `Pause <loop>`, `Pause`.
    pub page: (&'static str, &'static str),
    /// What it takes of a person.
    pub weight: Weight,
    /// Whether programs must give a reason, too. Those that never had to may go on without, and may give one.
    pub asks_programs: bool,
    /// Whether its input may hold a secret, which nothing may repeat.
    pub is_secret: bool,
}

impl About {
    /// `POST`, `PUT` or `DELETE`.
    pub fn method(&self) -> &'static str {
        self.route.split(' ').next().unwrap_or_default()
    }

    /// Where it is below the API's mount, with its arguments in `<>`.
    pub fn path(&self) -> &'static str {
        self.route.split(' ').nth(1).unwrap_or_default()
    }
}

/// What is so of most. Whatever does not say what it needs is for those who may do everything with operators.
const ABOUT: About = About {
    name: "",
    route: "",
    scope: scopes::OPERATOR_ALL,
    command: "",
    argument: ("", ""),
    example: "",
    says: "",
    page: ("", ""),
    weight: Weight::Light,
    asks_programs: false,
    is_secret: false,
};

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

/// A change of a `T` with an input `I`, which answers with an `A`.
pub struct Action<T, A, I = ()> {
    /// What it says of itself.
    pub about: About,
    /// Reads its argument; of several, all with a space between. `Invalid` for what cannot be one.
    pub on: fn(&Domain, &str) -> Result<T>,
    /// What it would do now, a sentence each. Changes nothing; fails as the change would, as far as that can be known
    /// beforehand.
    pub plan: fn(Domain, Caller, T, I) -> Work<Vec<String>>,
    /// Does it. The faces carry it through when who asked goes away.
    pub run: fn(Domain, Caller, T, I) -> Work<A>,
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

/// Why something is ended.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    // Read for all inputs alike.
    #[serde(default, rename = "reason")]
    #[schemars(!default)]
    _reason: String,
}

// No words for the schema: it is told there what it is. A secret as a document has it, on its way in or out.
#[derive(JsonSchema)]
pub struct Plain(#[schemars(with = "String")] pub Secret);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'d> Deserialize<'d> for Plain {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// What has no argument.
#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn nothing(_: &Domain, _: &str) -> Result<()> {
    Ok(())
}

/// What changes from one list of scopes to another, a sentence each: first what is lost.
fn lost_and_given(old: &[Scope], new: &[Scope]) -> Vec<String> {
    let lost = old.iter().filter(|scope| !new.contains(scope)).map(|scope| format!("It loses the scope {scope}."));
    let given = new.iter().filter(|scope| !old.contains(scope)).map(|scope| format!("It gets the scope {scope}."));
    lost.chain(given).collect()
}

/// An argument that is a name as it was written, whatever it is.
#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn any_name(_: &Domain, text: &str) -> Result<String> {
    Ok(text.to_owned())
}
