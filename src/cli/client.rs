//! `keylender client`: API clients in the own store.

use clap::Subcommand;
use serde_json::json;

use super::act::{self, Act, Given, Printed, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Clock, Span};
use crate::domain::actions::clients as actions;

#[derive(Subcommand)]
pub(super) enum Client {
    /// Makes a client; its access token is shown once
    #[command(
        after_help = "Example:\n  keylender client create builds --scope 'pulse:namespace:taskcluster-*' --lasts '90 days'"
    )]
    Create {
        /// The client id
        id: String,
        /// A scope it gets; may be repeated
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<String>,
        /// After what time it ends, such as `90 days` [default: never]
        #[arg(long, value_name = "SPAN")]
        lasts: Option<Span>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// The DNS name or URI in certificates by which it is known, too; see TLS_CLIENT_CA
        #[arg(long, value_name = "NAME")]
        certificate_name: Option<String>,
        #[command(flatten)]
        printed: Printed,
    },
    /// Gives a client other scopes, another end or another description; its access token stays
    #[command(after_help = "Examples:\n  keylender client change builds --scope 'pulse:namespace:taskcluster-a'\n  \
                            keylender client change builds --lasts '90 days'")]
    Change {
        /// The client id
        id: String,
        /// A scope it has from now on, instead of all that it had; may be repeated
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// After what time from now it ends, such as `90 days`
        #[arg(long, value_name = "SPAN")]
        lasts: Option<Span>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        given: Given,
    },
    /// Lists the clients
    #[command(after_help = "Example:\n  keylender client list --unused '90 days'")]
    List {
        /// Only those that were made that long ago and not used within
        #[arg(long, value_name = "SPAN")]
        unused: Option<Span>,
        #[command(flatten)]
        format: Format,
    },
    /// Gives a client a new access token; the old one ends at once, or later
    #[command(after_help = "Examples:\n  keylender client reset builds\n  \
                            keylender client reset builds --keep-old '1 day'    # until the service has the new one")]
    Reset {
        /// The client id
        id: String,
        /// How long the old one is good, too; at most `7 days`
        #[arg(long, value_name = "SPAN")]
        keep_old: Option<Span>,
        #[command(flatten)]
        printed: Printed,
    },
    /// Makes a client known by certificates with a name, too; see TLS_CLIENT_CA
    #[command(after_help = "Examples:\n  keylender client certificate builds spiffe://example.org/builds\n  \
                            keylender client certificate builds --none")]
    Certificate {
        /// The client id
        id: String,
        /// The DNS name or URI that stands in the certificate as an alternative name
        #[arg(required_unless_present = "none", conflicts_with = "none")]
        name: Option<String>,
        /// By no certificate any more
        #[arg(long)]
        none: bool,
        #[command(flatten)]
        given: Given,
    },
    #[command(flatten)]
    Act(Act<Clients>),
}

noun!(Clients: actions::DISABLE, actions::ENABLE, actions::DELETE);

pub(super) async fn run(command: Client, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Client::Create { id, scope, lasts, description, certificate_name, printed: Printed { format, given } } => {
            let mut input = json!({"scopes": scope, "description": description});
            if let Some(lasts) = lasts {
                input["expires"] = Clock::system().now().plus(lasts.size()).to_string().into();
            }
            if let Some(name) = certificate_name {
                input["certificateName"] = name.into();
            }
            let issued = act::run(&operator, &actions::CREATE.about, &[&id], &given, Some(input)).await?;
            show_token(issued, format.json);
        }
        Client::Change { id, scope, lasts, description, given } => {
            let mut input = json!({});
            if !scope.is_empty() {
                input["scopes"] = scope.into();
            }
            if let Some(lasts) = lasts {
                input["expires"] = Clock::system().now().plus(lasts.size()).to_string().into();
            }
            if let Some(description) = description {
                input["description"] = description.into();
            }
            act::run(&operator, &actions::CHANGE.about, &[&id], &given, Some(input)).await?;
        }
        Client::Reset { id, keep_old, printed: Printed { format, given } } => {
            let seconds = keep_old.map_or(0, |span| span.size().as_secs());
            let path = format!("/clients/{}/reset?keepSeconds={seconds}", output::segment(&id));
            let issued = act::run_at(&operator, &actions::RESET.about, path, &given, None).await?;
            show_token(issued, format.json);
        }
        Client::List { unused, format } => {
            let mut list = operator.call("GET", "/clients", None).await?;
            if let Some(span) = unused {
                output::retain_unused(&mut list["clients"], span, |client, earliest| {
                    output::is_before(client, "created", earliest) && output::is_before(client, "lastUsed", earliest)
                });
            }
            if format.json {
                output::json(&list)
            } else {
                output::table(
                    &["CLIENT", "EXPIRES", "DISABLED", "LAST USED", "CERTIFICATE", "SCOPES"],
                    &output::rows(
                        &list,
                        "clients",
                        &["clientId", "expires", "disabled", "lastUsed", "certificateName", "scopes"],
                    ),
                )
            }
        }
        Client::Certificate { id, name, none: _, given } => {
            let input = json!({ "certificateName": name });
            act::run(&operator, &actions::CERTIFICATE.about, &[&id], &given, Some(input)).await?;
        }
        Client::Act(act) => act.run(&operator).await?,
    }
    Ok(())
}

fn show_token(issued: Option<serde_json::Value>, as_json: bool) {
    let Some(issued) = issued else { return };
    if as_json {
        return output::json(&issued);
    }
    output::line(&format!("client id:    {}", output::text(&issued, "clientId")));
    output::line(&format!("access token: {}", output::text(&issued, "accessToken")));
    output::line("Keep the token now: it is not shown again.");
}
