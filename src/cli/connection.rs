//! `keylender connection`: who is connected as a user of a namespace, closing one with a reason, and exchanges.

use clap::Subcommand;
use serde_json::json;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Connection {
    /// Lists the connections of the users of namespaces
    #[command(after_help = "Example:\n  keylender connection list")]
    List(Format),
    /// Closes a connection; its client reads the reason
    #[command(
        after_help = "Example:\n  keylender connection close '10.1.2.3:40000 -> 10.1.2.4:5672' --reason 'old password'"
    )]
    Close {
        /// As `connection list` shows it
        name: String,
        /// Why, for the client and the audit log
        #[arg(long, value_name = "WHY")]
        reason: String,
    },
    /// Lists the exchanges of namespaces, with how much is bound to each
    #[command(after_help = "Example:\n  keylender connection exchanges")]
    Exchanges(Format),
    /// Lists what is bound to an exchange: where it hands messages on to
    #[command(after_help = "Example:\n  keylender connection bindings exchange/taskcluster-builds/events")]
    Bindings {
        /// As `connection exchanges` shows it
        exchange: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(command: Connection, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Connection::List(format) => {
            let list = operator.call("GET", "/connections", None).await?;
            let members = ["connection", "user", "peerHost", "connectedAt", "clientName"];
            match format.json {
                true => output::json(&list),
                false => output::table(
                    &["CONNECTION", "USER", "FROM", "SINCE", "CLIENT"],
                    &output::rows(&list, "connections", &members),
                ),
            }
        }
        Connection::Close { name, reason } => {
            let path = format!("/connections/{}/close", output::segment(&name));
            drop(operator.call("POST", &path, Some(json!({ "reason": reason }))).await?);
        }
        Connection::Exchanges(format) => {
            let list = operator.call("GET", "/exchanges", None).await?;
            let rows = output::rows(&list, "exchanges", &["exchange", "type", "bindings", "namespace"]);
            match format.json {
                true => output::json(&list),
                false => output::table(&["EXCHANGE", "TYPE", "BINDINGS", "NAMESPACE"], &rows),
            }
        }
        Connection::Bindings { exchange, format } => {
            let found = operator.call("GET", &format!("/exchanges/{}", output::segment(&exchange)), None).await?;
            let rows = output::rows(&found, "bindings", &["destination", "destinationType", "namespace", "routingKey"]);
            match format.json {
                true => output::json(&found),
                false => output::table(&["TO", "KIND", "NAMESPACE", "ROUTING KEY"], &rows),
            }
        }
    }
    Ok(())
}
