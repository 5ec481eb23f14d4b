//! `keylender services`: containers beside a task.

use std::sync::Arc;

use clap::Subcommand;

use super::{Outcome, services_run};
use crate::app::hardening::Before;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Services {
    /// Starts the services of a payload, runs the task beside them, and removes them with it
    Run(Box<services_run::Run>),
    /// Removes what runs left over that ended without cleaning up
    Clean(services_run::Clean),
}

pub(super) async fn run(command: Services, settings: &Settings, before: Arc<Before>) -> Outcome {
    match command {
        Services::Run(command) => services_run::run(*command, settings, before).await,
        Services::Clean(command) => services_run::run_clean(command).await,
    }
}
