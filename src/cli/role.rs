//! `keylender role`: roles of the own store, expanded into scopes.

use clap::Subcommand;
use serde_json::json;

use super::act::{self, Act, Given, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::domain::actions::roles as actions;

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
        #[command(flatten)]
        given: Given,
    },
    /// Lists the roles
    #[command(after_help = "Example:\n  keylender role list")]
    List(Format),
    #[command(flatten)]
    Act(Act<Roles>),
}

noun!(Roles: actions::DELETE);

pub(super) async fn run(command: Role, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Role::Create { id, scope, given } => {
            let input = json!({ "scopes": scope });
            act::run(&operator, &actions::CREATE.about, &[&id], &given, Some(input)).await?;
        }
        Role::List(format) => {
            let list = operator.call("GET", "/roles", None).await?;
            if format.json {
                output::json(&list)
            } else {
                output::table(&["ROLE", "SCOPES"], &output::rows(&list, "roles", &["roleId", "scopes"]));
            }
        }
        Role::Act(act) => act.run(&operator).await?,
    }
    Ok(())
}
