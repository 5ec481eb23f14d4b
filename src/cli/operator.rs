//! `keylender operator`: people who use the console.

use std::io::Read as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::act::{self, Act, Given, Printed, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator as Operate;
use crate::app::settings::Settings;
use crate::base::{Error, Result};
use crate::domain::actions::operators as actions;

/// Bytes of a password that are read.
const PASSWORD_LEN_MAX: u64 = 4096;

#[derive(Subcommand)]
pub(super) enum Operator {
    /// Makes an operator; their password is made and shown once, or read from standard input
    #[command(after_help = "Example:\n  keylender operator create ada --role admin")]
    Create {
        /// The name they sign in with
        name: String,
        /// viewer, operator, auditor or admin
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        printed: Printed,
    },
    /// Lists the operators
    #[command(after_help = "Example:\n  keylender operator list --json")]
    List(Format),
    /// Gives an operator a new password, takes their second factor away, and ends their sessions
    #[command(after_help = "Example:\n  keylender operator reset ada")]
    Reset {
        /// The operator
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        printed: Printed,
    },
    /// Gives an operator another role, and ends their sessions
    #[command(after_help = "Example:\n  keylender operator role ada auditor")]
    Role {
        /// The operator
        name: String,
        /// viewer, operator, auditor or admin
        role: String,
        #[command(flatten)]
        given: Given,
    },
    /// Lists the sessions
    #[command(after_help = "Example:\n  keylender operator sessions")]
    Sessions(Format),
    #[command(flatten)]
    Act(Act<Operators>),
}

noun!(Operators: actions::DISABLE, actions::ENABLE, actions::DELETE, actions::REVOKE_SESSION);

pub(super) async fn run(command: Operator, settings: &Settings) -> Outcome {
    let operate = Operate::connect(settings)?;
    match command {
        Operator::Create { name, role, password_stdin, printed: Printed { format, given } } => {
            let mut input = with_password(password_stdin)?;
            input["role"] = role.into();
            show(act::run(&operate, &actions::CREATE.about, &[&name], &given, Some(input)).await?, format.json);
        }
        Operator::Reset { name, password_stdin, printed: Printed { format, given } } => {
            let input = with_password(password_stdin)?;
            show(act::run(&operate, &actions::RESET.about, &[&name], &given, Some(input)).await?, format.json);
        }
        Operator::List(format) => {
            let list = operate.call("GET", "/operators", None).await?;
            let columns = ["operator", "role", "disabled", "hasSecondFactor", "lastLogin"];
            if format.json {
                output::json(&list)
            } else {
                output::table(
                    &["OPERATOR", "ROLE", "DISABLED", "SECOND FACTOR", "LAST SIGN-IN"],
                    &output::rows(&list, "operators", &columns),
                )
            }
        }
        Operator::Sessions(format) => {
            let list = operate.call("GET", "/sessions", None).await?;
            if format.json {
                output::json(&list)
            } else {
                output::table(
                    &["OPERATOR", "SINCE", "LAST USED", "ADDRESS", "SESSION"],
                    &output::rows(&list, "sessions", &["operator", "started", "seen", "address", "session"]),
                )
            }
        }
        Operator::Role { name, role, given } => {
            let input = json!({ "role": role });
            act::run(&operate, &actions::ROLE.about, &[&name], &given, Some(input)).await?;
        }
        Operator::Act(act) => act.run(&operate).await?,
    }
    Ok(())
}

/// An input with the password of standard input, or without one.
fn with_password(from_stdin: bool) -> Result<Value> {
    if !from_stdin {
        return Ok(json!({}));
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(PASSWORD_LEN_MAX).read_to_string(&mut text);
    read.map_err(|e| Error::invalid("the password on standard input cannot be read").because(e))?;
    Ok(json!({ "password": text.trim_end_matches(['\r', '\n']) }))
}

fn show(made: Option<Value>, as_json: bool) {
    let Some(made) = &made else { return };
    if as_json {
        return output::json(made);
    }
    output::line(&format!("operator:  {}", output::text(made, "operator")));
    output::line(&format!("role:      {}", output::text(made, "role")));
    if made["password"].is_string() {
        output::line(&format!("password:  {}", output::text(made, "password")));
        output::line("Keep the password now: it is not shown again.");
    }
}
