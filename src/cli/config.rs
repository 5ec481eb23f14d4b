//! `keylender config`: the effective value of every setting, its source, its help; secrets are masked.

use clap::Args;
use serde_json::json;

use super::{Format, Outcome, output};
use crate::app::settings;
use crate::web::state::SettingView;

#[derive(Args)]
pub(super) struct Config {
    /// Print instead a settings file with every setting and its default, as a package brings it
    #[arg(long, conflicts_with = "json")]
    pub(super) template: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) fn template() -> Outcome {
    output::line(settings::template().trim_end_matches('\n'));
    Ok(())
}

pub(super) fn run(config: &Config, effective: &[SettingView], warnings: &[String]) -> Outcome {
    for warning in warnings {
        output::complain(&format!("warning: {warning}"));
    }
    if config.format.json {
        let settings: Vec<_> = effective
            .iter()
            .map(|SettingView { name, value, source, help }| {
                json!({"name": name, "value": value, "source": source, "help": help})
            })
            .collect();
        output::json(&json!({ "settings": settings }));
        return Ok(());
    }
    let row = |setting: &SettingView| {
        let value = setting.value.clone().unwrap_or_else(|| "–".into());
        vec![setting.name.to_owned(), value, setting.source.clone(), setting.help.to_owned()]
    };
    output::table(&["SETTING", "VALUE", "SOURCE", "MEANING"], &effective.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
