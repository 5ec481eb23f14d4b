//! `keylender namespace`: namespaces as operators see them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Act, Given, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Result, Span};
use crate::domain::actions::{About, namespaces as actions};

#[derive(Subcommand)]
pub(super) enum Namespace {
    /// Lists all namespaces
    #[command(after_help = "Example:\n  keylender namespace list --unused '30 days'")]
    List {
        /// Only those that were made that long ago and whose users were not seen connected within
        #[arg(long, value_name = "SPAN")]
        unused: Option<Span>,
        #[command(flatten)]
        format: Format,
    },
    /// Shows one namespace with its broker users
    #[command(after_help = "Example:\n  keylender namespace show taskcluster-builds")]
    Show {
        /// The namespace
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Replaces the password that is lent; the present one works on until it was promised
    #[command(after_help = "Example:\n  keylender namespace rotate taskcluster-builds")]
    Rotate(Rotation),
    #[command(flatten)]
    Act(Act<Namespaces>),
    /// Lets a namespace end later; the next claim says again when it ends
    #[command(after_help = "Example:\n  keylender namespace extend taskcluster-builds --until 2026-12-24T00:00:00Z")]
    Extend {
        /// The namespace
        name: String,
        /// When it ends
        #[arg(long, value_name = "TIME")]
        until: String,
        #[command(flatten)]
        given: Given,
    },
    /// Sets what operators should know of a namespace; an empty note takes it away
    #[command(after_help = "Example:\n  keylender namespace note taskcluster-builds 'is moved in spring'")]
    Note {
        /// The namespace
        name: String,
        /// The note
        note: String,
        #[command(flatten)]
        given: Given,
    },
    /// Claims a namespace as a service would and logs in to the broker with it; the password goes to nobody
    #[command(after_help = "Example:\n  keylender namespace test taskcluster-builds")]
    Test {
        /// The namespace; one that is not there lasts for an hour
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Tells somebody else, too, when something is wrong with a namespace; no claim changes that
    #[command(after_help = "Example:\n  keylender namespace own taskcluster-builds team@example.org")]
    Own(Owner),
    /// Takes an owner of a namespace away
    #[command(after_help = "Example:\n  keylender namespace disown taskcluster-builds team@example.org")]
    Disown(Owner),
}

// A rotation can be of all, too.
noun!(Namespaces: actions::FINISH, actions::EXPIRE);

/// Who is told of what.
#[derive(Args)]
pub(super) struct Owner {
    /// The namespace
    name: String,
    /// The mail address
    address: String,
    #[command(flatten)]
    given: Given,
}

/// The rotation of one or of all.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Rotated {
    /// The namespace
    name: Option<String>,
    /// Rotate every namespace
    #[arg(long)]
    all: bool,
}

/// Which rotation, and how.
#[derive(Args)]
pub(super) struct Rotation {
    #[command(flatten)]
    of: Rotated,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn run(command: Namespace, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Namespace::List { unused, format } => {
            let mut all = all(&operator).await?;
            if let Some(span) = unused {
                output::retain_unused(&mut all["namespaces"], span, |namespace, earliest| {
                    output::is_before(namespace, "created", earliest)
                        && output::is_before(namespace, "lastConnected", earliest)
                });
            }
            if format.json {
                output::json(&all["namespaces"])
            } else {
                output::table(
                    &["NAMESPACE", "CREATED", "EXPIRES", "LAST CONNECTED", "CONTACT"],
                    &output::rows(&all, "namespaces", &["namespace", "created", "expires", "lastConnected", "contact"]),
                )
            }
        }
        Namespace::Rotate(Rotation { of: Rotated { name: Some(name), .. }, given }) => {
            act::run(&operator, &actions::ROTATE.about, &[&name], &given, None).await?;
        }
        Namespace::Rotate(Rotation { given, .. }) => rotate_all(&operator, &given).await?,
        Namespace::Act(act) => act.run(&operator).await?,
        Namespace::Extend { name, until, given } => {
            let input = json!({ "expires": until });
            act::run(&operator, &actions::EXTEND.about, &[&name], &given, Some(input)).await?;
        }
        Namespace::Note { name, note, given } => {
            let input = json!({ "note": note });
            act::run(&operator, &actions::NOTE.about, &[&name], &given, Some(input)).await?;
        }
        Namespace::Test { name, format } => {
            let path = format!("/namespaces/{}/test", output::segment(&name));
            let tested = operator.call("POST", &path, None).await?;
            if format.json {
                output::json(&tested);
            }
            report(&tested, format.json)?;
        }
        Namespace::Own(owner) => change_owner(&operator, &actions::OWN.about, &owner).await?,
        Namespace::Disown(owner) => change_owner(&operator, &actions::DISOWN.about, &owner).await?,
        Namespace::Show { name, format } => {
            let shown = operator.call("GET", &format!("/namespaces/{}", output::segment(&name)), None).await?;
            if format.json { output::json(&shown) } else { show(&shown) }
        }
    }
    Ok(())
}

/// What a claim for a test came to; an error unless the broker let the user in.
fn report(tested: &Value, is_printed: bool) -> Result<()> {
    let text = |member: &str| output::text(tested, member);
    if !is_printed {
        output::line(&format!(
            "claimed as {} in {} ms, until {}",
            text("account"),
            text("claimMilliseconds"),
            text("expires")
        ));
    }
    match tested["loginWorks"].as_bool() {
        Some(true) if is_printed => Ok(()),
        Some(true) => {
            output::line(&format!("the broker at {} let it in", text("address")));
            Ok(())
        }
        Some(false) => Err(Error::conflict(format!("the broker at {} refuses the login", text("address")))),
        None => {
            let (address, cause) = (text("address"), text("loginCause"));
            Err(Error::unavailable(format!("whether {address} lets it in is not known: {cause}")))
        }
    }
}

/// All namespaces, page by page.
async fn all(operator: &Operator) -> Result<Value> {
    let mut all = Vec::new();
    let mut path = "/namespaces".to_owned();
    loop {
        let page = operator.call("GET", &path, None).await?;
        all.extend(page["namespaces"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => path = format!("/namespaces?from={}", output::segment(next)),
            None => return Ok(json!({ "namespaces": all })),
        }
    }
}

async fn change_owner(operator: &Operator, about: &About, Owner { name, address, given }: &Owner) -> Result<()> {
    act::run(operator, about, &[name, address], given, None).await.map(drop)
}

/// Visits every namespace even when some must wait, and then says how many.
async fn rotate_all(operator: &Operator, given: &Given) -> Result<()> {
    let all = all(operator).await?;
    let mut refused = 0;
    for namespace in all["namespaces"].as_array().into_iter().flatten() {
        let name = output::value(namespace, "namespace");
        if let Err(error) = act::run(operator, &actions::ROTATE.about, &[&name], given, None).await {
            output::complain(&format!("{name}: {error}"));
            refused += 1;
        }
    }
    match refused {
        0 => Ok(()),
        _ => Err(Error::conflict(format!("{refused} namespaces were not rotated"))),
    }
}

fn show(namespace: &Value) {
    for (label, member) in [
        ("namespace", "namespace"),
        ("created", "created"),
        ("expires", "expires"),
        ("session", "session"),
        ("contact", "contact"),
        ("owners", "owners"),
        ("active slot", "activeSlot"),
        ("next rotation", "nextRotation"),
        ("last connected", "lastConnected"),
    ] {
        output::line(&format!("{label:14} {}", output::text(namespace, member)));
    }
    output::line("");
    let mut rows = output::rows(namespace, "accounts", &["account", "usable", "settled"]);
    for (row, account) in rows.iter_mut().zip(namespace["accounts"].as_array().into_iter().flatten()) {
        let sites = account["sites"].as_object().into_iter().flatten();
        let behind: Vec<_> = sites.filter(|(_, settled)| **settled == false).map(|(site, _)| site.as_str()).collect();
        if !behind.is_empty() {
            row[2] = format!("not at {}", behind.join(", "));
        }
    }
    output::table(&["BROKER USER", "MAY LOG IN", "SETTLED"], &rows);
    if namespace["connections"].is_null() {
        return output::line("\nThe broker could not be asked who is connected.");
    }
    let rows = output::rows(namespace, "connections", &["account", "peerHost", "clientName", "connectedAt"]);
    if !rows.is_empty() {
        output::line("");
        output::table(&["CONNECTED AS", "FROM", "CLIENT", "SINCE"], &rows);
    }
}
