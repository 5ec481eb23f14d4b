//! `keylender relay recipe`: commands for whoever looks after a cluster, as text. None of them is run.

use clap::{Args, Subcommand};

use super::{Outcome, output};
use crate::base::{Error, Result};
use crate::proto::mig::clusters::{self, Node, Version};

#[derive(Subcommand)]
pub(super) enum Recipe {
    /// How a node becomes a member of a cluster
    #[command(after_help = "Example:\n  keylender relay recipe join rabbit@relay2 rabbit@relay1 --broker 4.3")]
    Join {
        /// The node that joins, such as rabbit@relay2
        node: String,
        /// One that is in the cluster
        member: String,
        /// The vhost whose queues get a member there
        #[arg(long, default_value = "mig")]
        vhost: String,
        #[command(flatten)]
        broker: Broker,
    },
    /// How a node is taken out that does not come back
    #[command(after_help = "Example:\n  keylender relay recipe forget rabbit@relay2 rabbit@relay1 --broker 3.8")]
    Forget {
        /// The node that is lost
        node: String,
        /// One that runs
        member: String,
        #[command(flatten)]
        broker: Broker,
    },
    /// How a cluster is got back whose last node, or most of it, is lost
    #[command(after_help = "Example:\n  keylender relay recipe recover rabbit@relay1 --lost rabbit@relay2")]
    Recover {
        /// The node to begin with
        node: String,
        /// One that is lost
        #[arg(long, value_name = "NODE")]
        lost: Vec<String>,
        #[command(flatten)]
        broker: Broker,
    },
    /// The way out when agents are told `NOT_FOUND - no binding`
    #[command(after_help = "Example:\n  keylender relay recipe limbo --vhost mig --off rabbit@relay2")]
    Limbo {
        /// The vhost
        #[arg(long, default_value = "mig")]
        vhost: String,
        /// A node that is off
        #[arg(long, value_name = "NODE")]
        off: Vec<String>,
        #[command(flatten)]
        broker: Broker,
    },
}

/// The broker's version, by which the commands differ.
#[derive(Args)]
pub(super) struct Broker {
    /// The version of RabbitMQ, such as 3.10
    #[arg(long, value_name = "VERSION", default_value = "4.3")]
    broker: String,
}

impl Broker {
    fn version(&self) -> Result<Version> {
        let (oldest, newest) = clusters::KNOWN;
        let wrong =
            || Error::invalid(format!("expected a version of RabbitMQ from {oldest} to {newest}, such as 3.10"));
        let (major, minor) = self.broker.split_once('.').ok_or_else(wrong)?;
        // What stands behind the second number makes no difference.
        let minor = minor.split('.').next().unwrap_or(minor);
        let version = Version(major.parse().map_err(|_| wrong())?, minor.parse().map_err(|_| wrong())?);
        if (oldest..=newest).contains(&version) { Ok(version) } else { Err(wrong()) }
    }
}

pub(super) fn print(recipe: &Recipe) -> Outcome {
    let text = match recipe {
        Recipe::Join { node, member, vhost, broker } => {
            clusters::join(&named(node)?, &named(member)?, vhost, broker.version()?).map_err(Error::invalid)?
        }
        Recipe::Forget { node, member, broker } => clusters::forget(&named(node)?, &named(member)?, broker.version()?),
        Recipe::Recover { node, lost, broker } => clusters::recover(&named(node)?, &all(lost)?, broker.version()?),
        Recipe::Limbo { vhost, off, broker } => {
            clusters::limbo(vhost, &all(off)?, broker.version()?).map_err(Error::invalid)?
        }
    };
    output::line(text.trim_end_matches('\n'));
    Ok(())
}

fn named(name: &str) -> Result<Node> {
    Node::parse(name).map_err(Error::invalid)
}

fn all(names: &[String]) -> Result<Vec<Node>> {
    names.iter().map(|name| named(name)).collect()
}
