//! `keylender serve`: the appliance.

use super::Outcome;
use crate::app::settings::Settings;
use crate::app::{serve, telemetry};

pub(super) async fn run(settings: &Settings, warnings: &[String]) -> Outcome {
    let log = telemetry::init(&settings.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let served = serve(settings, &log).await;
    log.close().await;
    Ok(served?)
}
