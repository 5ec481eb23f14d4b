//! `keylender services`: what a task's payload says of the services beside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use super::{Outcome, output, services_operate, services_run};
use crate::app::hardening::Before;
use crate::app::settings::Settings;
use crate::base::text::pluralize;
use crate::base::{Error, Result};
use crate::proto::services::{Payload, Service, TEXT_LEN_MAX, parse, schema};

/// What stands for standard input.
const STDIN: &str = "-";

#[derive(Subcommand)]
pub(super) enum Services {
    /// Says everything that is wrong with the services of a payload, without an appliance
    #[command(
        after_help = "Examples:\n  keylender services check payload.json\n  keylender services check - <payload.json"
    )]
    Check {
        /// The payload, or - for standard input
        file: PathBuf,
    },
    /// Prints the JSON schema of payloads, for editors
    #[command(after_help = "Example:\n  keylender services schema >services.schema.json")]
    Schema,
    /// Starts the services of a payload, runs the task beside them, and removes them with it
    Run(Box<services_run::Run>),
    /// Removes what runs left over that ended without cleaning up
    Clean(services_run::Clean),
    #[command(flatten)]
    Operate(services_operate::Operate),
}

/// What needs neither an appliance nor its settings; nothing for other commands.
pub(super) fn offline(command: &Services) -> Option<Outcome> {
    match command {
        Services::Check { file } => Some(check(file).map_err(Into::into)),
        Services::Schema => {
            output::json(&schema());
            Some(Ok(()))
        }
        _ => None,
    }
}

pub(super) async fn run(command: Services, settings: &Settings, before: Arc<Before>) -> Outcome {
    match command {
        Services::Run(command) => services_run::run(*command, settings, before).await,
        Services::Clean(command) => services_run::run_clean(command).await,
        Services::Operate(command) => services_operate::run(command, settings).await,
        command => offline(&command).unwrap_or(Ok(())),
    }
}

/// Says which services a payload has, or everything that is wrong with it.
fn check(file: &Path) -> Result<()> {
    let payload = payload(file)?;
    let count = pluralize(payload.services.len(), "service", "services");
    output::line(&format!("{} is right: {count}{}", shown(file), in_brackets(&payload.services)));
    Ok(())
}

/// A payload that can be used. What is wrong with another is said, each with its place.
pub(super) fn payload(file: &Path) -> Result<Payload> {
    parse(&read(file)?).map_err(|mistakes| {
        for mistake in &mistakes {
            output::remark(&format!("{}: {mistake}", shown(file)));
        }
        Error::invalid("this is no payload that can be used")
    })
}

fn shown(file: &Path) -> String {
    if file == Path::new(STDIN) { "standard input".to_owned() } else { file.display().to_string() }
}

fn in_brackets(services: &[Service]) -> String {
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// A payload, no more of it than one may have.
fn read(file: &Path) -> Result<String> {
    let unreadable = |error: io::Error| Error::invalid("the payload cannot be read").because(error);
    let input: &mut dyn Read =
        if file == Path::new(STDIN) { &mut io::stdin().lock() } else { &mut File::open(file).map_err(unreadable)? };
    let mut bytes = Vec::new();
    input.take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > TEXT_LEN_MAX {
        return Err(Error::invalid(format!("the payload has more than {TEXT_LEN_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("the payload is no UTF-8"))
}
