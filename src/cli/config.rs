//! `keylender config`: the effective value of every setting, its source, its help; secrets are masked.

use serde_json::json;

use super::{Outcome, output};
use crate::app::settings::Effective;

pub(super) fn run(effective: &[Effective], warnings: &[String], as_json: bool) -> Outcome {
    for warning in warnings {
        eprintln!("keylender: warning: {warning}");
    }
    if as_json {
        let settings: Vec<_> = effective
            .iter()
            .map(|Effective { name, value, source, help }| {
                json!({"name": name, "value": value, "source": source, "help": help})
            })
            .collect();
        output::json(&json!({ "settings": settings }));
        return Ok(());
    }
    let row = |setting: &Effective| {
        let value = setting.value.clone().unwrap_or_else(|| "–".into());
        vec![setting.name.to_owned(), value, setting.source.clone(), setting.help.to_owned()]
    };
    output::table(&["SETTING", "VALUE", "SOURCE", "MEANING"], &effective.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
