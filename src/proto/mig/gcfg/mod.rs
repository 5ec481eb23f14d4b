//! The configuration files of Mozilla InvestiGator's programs that use a relay or its database, as each age of them
//! reads them: an unknown key ends a scheduler, an API or a worker, and makes an agent go on with built-in settings.
//!
//! Settings have the sections and keys of the files. Three things differ:
//!
//! - `mq.user`, `mq.pass` and `mq.vhost` come from the login of the broker's account, and stand in no settings.
//! - An agent's file has no section `mq`: its settings do, with `host`, `port` and `usetls` as those of a scheduler,
//!   and `agent.relay` is made of them and of the login.
//! - `agent.proxies` and `agent.tags` are lists.
//!
//! Values are written so that the programs understand what was meant: they put some of them into URLs as they are, and
//! so these are percent-encoded here. A key that is needed and has a usual value gets that one; others are left out.
//!
//! Facts are from runs of programs of five ages (docs/mig.md). `keys` is the list of keys that drives everything,
//! `forms` what a value has to be and how it is written, `chosen` the values that hold, `rules` what does not go together
//! among them, and `reading` puts all of it together.

mod age;
mod chosen;
mod forms;
mod keys;
mod reading;
mod rules;
mod words;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use age::Age;

use reading::Reading;

/// The first line of each file. All ages take it for a comment.
const HEAD: &str = "; written by Keylender: changes are overwritten\n";
/// Mistakes that are told at once. Whoever has more has other settings in hand than were meant.
const MISTAKES_MAX: usize = 100;

/// A program that reads a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Hands actions to agents and takes their heartbeats and results.
    Scheduler,
    /// Serves investigators, and from December 2018 on takes heartbeats. It speaks to the database only.
    Api,
    /// The worker that prints agents that were refused, `agent-verif`. There is none from October 2017 on.
    Worker,
    /// Runs on each endpoint.
    Agent,
}

impl Program {
    const ALL: [Self; 4] = [Self::Scheduler, Self::Api, Self::Worker, Self::Agent];

    /// The program of this name.
    ///
    /// # Errors
    ///
    /// Says which names there are.
    pub fn parse(word: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|program| program.name() == word)
            .ok_or_else(|| format!("expected one of {}", names()))
    }

    /// Its name, as in declarations and on pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "mig-scheduler",
            Self::Api => "mig-api",
            Self::Worker => "mig-worker",
            Self::Agent => "mig-agent",
        }
    }

    /// What its file is called in `/etc/mig`, where it looks unless told otherwise. (The worker of March 2015 has
    /// underscores in place of the hyphens.)
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler.cfg",
            Self::Api => "api.cfg",
            Self::Worker => "agent-verif-worker.cfg",
            Self::Agent => "mig-agent.cfg",
        }
    }

    /// Whether its file holds a login of the broker.
    #[must_use]
    pub const fn needs_login(self) -> bool {
        !matches!(self, Self::Api)
    }
}

/// A login of the broker, as it is there: nothing is encoded. It has no `Debug`, so that no log shows the password.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user's name.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The virtual host, such as `mig` or `/`.
    pub vhost: &'a str,
}

/// Something that is wrong with settings, and what to do about it. It repeats no value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: a section, or a section and a key such as `postgres.sslmode`; empty if it is about the whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl Mistake {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// The text of the file that `program` of this `age` reads as meant: UTF-8, a line for each value, a line feed at the
/// end. It holds the passwords. An API's file has no login, and one that is given is not looked at.
///
/// # Errors
///
/// All mistakes at once, as far as they are among the first hundred.
pub fn render(
    program: Program,
    age: Age,
    settings: &Map<String, Value>,
    login: Option<&Login<'_>>,
) -> Result<String, Vec<Mistake>> {
    let mut reading = Reading::of(program, age, settings, login);
    if program.needs_login() {
        match login {
            None => reading.mistakes.push(Mistake::new("login", "the login of the broker's account is missing")),
            Some(Login { user, password, vhost }) if [user, password, vhost].iter().any(|part| part.is_empty()) => {
                reading.mistakes.push(Mistake::new("login", "user, password and vhost must not be empty"));
            }
            Some(_) => {}
        }
    }
    if !reading.mistakes.is_empty() {
        return Err(limited(reading.mistakes));
    }
    Ok(HEAD.to_owned() + &reading.text())
}

/// What is wrong with settings, without a login: the same that [`render`] would say, at most a hundred mistakes.
#[must_use]
pub fn check(program: Program, age: Age, settings: &Map<String, Value>) -> Vec<Mistake> {
    limited(Reading::of(program, age, settings, None).mistakes)
}

fn limited(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.truncate(MISTAKES_MAX);
    mistakes
}
