//! `keylender connection`: who is connected as a user of a namespace, closing one with a reason, and exchanges.

use clap::Subcommand;

use super::act::{Act, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::domain::actions::connections;

#[derive(Subcommand)]
pub(super) enum Connection {
    /// Lists the connections of the users of namespaces
    #[command(after_help = "Example:\n  keylender connection list")]
    List(Format),
    #[command(flatten)]
    Act(Act<Connections>),
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

noun!(Connections: connections::CLOSE);

pub(super) async fn run(command: Connection, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Connection::List(format) => {
            let list = operator.call("GET", "/connections", None).await?;
            let members = ["connection", "user", "peerHost", "connectedAt", "clientName"];
            if format.json {
                output::json(&list)
            } else {
                output::table(
                    &["CONNECTION", "USER", "FROM", "SINCE", "CLIENT"],
                    &output::rows(&list, "connections", &members),
                )
            }
        }
        Connection::Act(act) => act.run(&operator).await?,
        Connection::Exchanges(format) => {
            let list = operator.call("GET", "/exchanges", None).await?;
            let rows = output::rows(&list, "exchanges", &["exchange", "type", "bindings", "namespace"]);
            if format.json {
                output::json(&list)
            } else {
                output::table(&["EXCHANGE", "TYPE", "BINDINGS", "NAMESPACE"], &rows)
            }
        }
        Connection::Bindings { exchange, format } => {
            let found = operator.call("GET", &format!("/exchanges/{}", output::segment(&exchange)), None).await?;
            let rows = output::rows(&found, "bindings", &["destination", "destinationType", "namespace", "routingKey"]);
            if format.json {
                output::json(&found)
            } else {
                output::table(&["TO", "KIND", "NAMESPACE", "ROUTING KEY"], &rows)
            }
        }
    }
    Ok(())
}
