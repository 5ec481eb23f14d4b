//! A method of an API, as it is served and as documents tell of it.

use axum::routing::MethodFilter;
use schemars::JsonSchema;

use super::shapes::{self, Shape};
use crate::domain::auth::scopes::RequiredScope;
use crate::proto::formats;

/// A method of an API: what its reference document says of it, and what is checked before its handler runs.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// The name that clients generate a function from, such as `claimNamespace`.
    pub name: &'static str,
    pub method: MethodFilter,
    /// The route below the mount, with `<arguments>`.
    pub route: &'static str,
    /// Query parameters; others are refused.
    pub query: &'static [QueryParameter],
    /// The one scope a caller needs. Where it is about one thing, that is the first argument of the route. `None`:
    /// public, credentials are not even looked at.
    pub scope: Option<RequiredScope>,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The JSON body that is required; `None`: none is read.
    pub input: Option<Shape>,
    pub answer: Shape,
    /// Whether it answers with any number of such documents, each in a line.
    pub is_lines: bool,
    /// The command that does the same, with `<arguments>`: the words behind `keylender`.
    pub command: Option<&'static str>,
    /// Whether errors leave out the body, which they repeat otherwise: it is a secret.
    pub hides_input: bool,
}

/// A query parameter: its name, the pattern it must match as the error message shows it, and the check.
pub struct QueryParameter {
    pub name: &'static str,
    /// The pattern, for the message.
    pub pattern: &'static str,
    pub matches: fn(&str) -> bool,
}

impl QueryParameter {
    /// A time, which [`Call::time`](super::Call::time) gives.
    pub(super) const fn time(name: &'static str) -> Self {
        Self { name, pattern: "a time", matches: |text| formats::date_time(text).is_ok() }
    }
}

impl Endpoint {
    /// An endpoint that anybody may GET. What it answers with is still to be said.
    pub const fn public(name: &'static str, route: &'static str, summary: &'static str) -> Self {
        let method = MethodFilter::GET;
        let answer = shapes::of::<()>;
        let (scope, input, command) = (None, None, None);
        let (is_lines, hides_input) = (false, false);
        Self { name, method, route, query: &[], scope, summary, input, answer, is_lines, command, hides_input }
    }

    /// With a POST instead of a GET.
    pub(super) const fn posted(self) -> Self {
        Self { method: MethodFilter::POST, ..self }
    }

    /// With the command that does the same.
    pub const fn command(self, command: &'static str) -> Self {
        Self { command: Some(command), ..self }
    }

    /// With a JSON body of this type.
    pub const fn takes<T: JsonSchema>(self) -> Self {
        self.takes_as(shapes::of::<T>)
    }

    /// With a JSON body that is read by hand.
    pub const fn takes_as(self, input: Shape) -> Self {
        Self { input: Some(input), ..self }
    }

    /// With an answer of this type.
    pub const fn answers<T: JsonSchema>(self) -> Self {
        Self { answer: shapes::of::<T>, ..self }
    }

    /// The route below the mount, with `{arguments}`.
    pub fn path(&self) -> String {
        self.route.replace('<', "{").replace('>', "}")
    }

    /// The method in lower case, as reference documents have it.
    pub fn method_name(&self) -> &'static str {
        match self.method {
            MethodFilter::GET => "get",
            MethodFilter::PUT => "put",
            MethodFilter::DELETE => "delete",
            _ => "post",
        }
    }
}

/// An endpoint of our own API, which looks at something: always with a scope.
pub(super) const fn endpoint(
    name: &'static str,
    route: &'static str,
    scope: RequiredScope,
    summary: &'static str,
) -> Endpoint {
    Endpoint { scope: Some(scope), ..Endpoint::public(name, route, summary) }
}
