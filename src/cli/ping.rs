//! `keylender ping`: whether the appliance answers. It never opens a store that rests, so it is in nobody's way.

use super::{Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

pub(super) async fn run(settings: &Settings) -> Outcome {
    Operator::running(settings)?.fetch("/loops").await?;
    output::line("keylender answers");
    Ok(())
}
