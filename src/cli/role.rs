//! `keylender role`: roles of the own store, expanded into scopes.

use clap::Subcommand;
use serde_json::json;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Role {
    /// Makes a role, or gives it other scopes
    #[command(after_help = "Example:\n  keylender role create 'pulse-user:*' --scope 'pulse:namespace:<..>'")]
    Create {
        /// The role id: who holds `assume:<id>` holds its scopes; a final `*` takes a parameter
        id: String,
        /// A scope it stands for, perhaps with `<..>` for the parameter; may be repeated
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<String>,
    },
    /// Lists the roles
    #[command(after_help = "Example:\n  keylender role list")]
    List(Format),
    /// Removes a role
    #[command(after_help = "Example:\n  keylender role delete 'pulse-user:*'")]
    Delete {
        /// The role id
        id: String,
    },
}

pub(super) async fn run(command: Role, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    let path = |id: &str| format!("/roles/{}", output::segment(id));
    match command {
        Role::Create { id, scope } => {
            drop(operator.call("PUT", &path(&id), Some(json!({ "scopes": scope }))).await?);
        }
        Role::List(format) => {
            let list = operator.call("GET", "/roles", None).await?;
            match format.json {
                true => output::json(&list),
                false => {
                    output::table(&["ROLE", "SCOPES"], &output::rows(&list, "roles", &["roleId", "scopes"]));
                }
            }
        }
        Role::Delete { id } => drop(operator.call("DELETE", &path(&id), None).await?),
    }
    Ok(())
}
