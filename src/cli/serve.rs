//! `keylender serve`: the appliance.

use super::Outcome;
use crate::app::settings::Settings;
use crate::app::{serve, telemetry};

pub(super) async fn run(settings: &Settings, warnings: &[String]) -> Outcome {
    telemetry::init(&settings.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(serve(settings).await?)
}
