//! `keylender services`: what a task's payload says of the services beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use super::{Outcome, output, services_operate, services_payload, services_run};
use crate::app::hardening::Before;
use crate::app::settings::Settings;
use crate::base::Result;
use crate::base::text::pluralize;
use crate::proto::services::{Service, schema};

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
    let payload = services_payload::read(file)?;
    let count = pluralize(payload.services.len(), "service", "services");
    output::line(&format!("{} is right: {count}{}", services_payload::shown(file), in_brackets(&payload.services)));
    Ok(())
}

fn in_brackets(services: &[Service]) -> String {
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}
