//! `keylender operator`: people who use the console.

use std::io::Read as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Format, Outcome, output};
use crate::app::operate::Operator as Operate;
use crate::app::settings::Settings;
use crate::base::{Error, Result};

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
        format: Format,
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
        format: Format,
    },
    /// Gives an operator another role, and ends their sessions
    #[command(after_help = "Example:\n  keylender operator role ada auditor")]
    Role {
        /// The operator
        name: String,
        /// viewer, operator, auditor or admin
        role: String,
    },
    /// Refuses an operator from now on, and ends their sessions
    #[command(after_help = "Example:\n  keylender operator disable ada")]
    Disable {
        /// The operator
        name: String,
    },
    /// Takes that back
    #[command(after_help = "Example:\n  keylender operator enable ada")]
    Enable {
        /// The operator
        name: String,
    },
    /// Removes an operator, and ends their sessions
    #[command(after_help = "Example:\n  keylender operator delete ada")]
    Delete {
        /// The operator
        name: String,
    },
    /// Lists the sessions
    #[command(after_help = "Example:\n  keylender operator sessions")]
    Sessions(Format),
    /// Ends a session
    #[command(after_help = "Example:\n  keylender operator revoke 5f1c…")]
    Revoke {
        /// The session, as `keylender operator sessions` names it
        session: String,
    },
}

pub(super) async fn run(command: Operator, settings: &Settings) -> Outcome {
    let operate = Operate::connect(settings)?;
    let path = |name: &str, verb: &str| format!("/operators/{}{verb}", output::segment(name));
    match command {
        Operator::Create { name, role, password_stdin, format } => {
            let mut input = with_password(password_stdin)?;
            input["role"] = role.into();
            show(&operate.call("PUT", &path(&name, ""), Some(input)).await?, format.json);
        }
        Operator::Reset { name, password_stdin, format } => {
            let input = with_password(password_stdin)?;
            show(&operate.call("POST", &path(&name, "/reset"), Some(input)).await?, format.json);
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
        Operator::Role { name, role } => {
            operate.call("PUT", &path(&name, "/role"), Some(json!({ "role": role }))).await?;
        }
        Operator::Disable { name } => {
            operate.call("POST", &path(&name, "/disable"), None).await?;
        }
        Operator::Enable { name } => {
            operate.call("POST", &path(&name, "/enable"), None).await?;
        }
        Operator::Delete { name } => {
            operate.call("DELETE", &path(&name, ""), None).await?;
        }
        Operator::Revoke { session } => {
            operate.call("DELETE", &format!("/sessions/{}", output::segment(&session)), None).await?;
        }
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

fn show(made: &Value, as_json: bool) {
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
