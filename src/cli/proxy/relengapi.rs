//! `relengapi-proxy`.

use std::net::{Ipv4Addr, SocketAddr};

use super::{attach, print, secrets, variable, wrong};
use crate::app::proxy::{Alone, By, Style, Wanted};
use crate::base::{Clock, Error, Result, Secret};
use crate::domain::proxy::judge;
use crate::proto::proxy::command_line::{CommandLine, Opt, Syntax};
use crate::proto::proxy::upstream::Base;
use crate::proto::proxy::{declaration, go, taskcluster};

const VERSION: &str = concat!("RelengAPI proxy 2.3.1 (keylender ", env!("CARGO_PKG_VERSION"), ")");
const PORT: &str = "8080";
/// The queue of the deployment that the ancestor was made for.
const QUEUE: &str = "https://queue.taskcluster.net";

const SYNTAX: Syntax = Syntax {
    usage: "\
Adds a token of RelengAPI to requests that is limited to the scopes of a task.

  Usage:
    relengapi-proxy [options] -- <taskId>
    relengapi-proxy --help | --version

  Options:
    -p --port <port>            Port to listen on [default: 8080]
    --relengapi-token <token>   Token by which temporary ones are minted
    --from-file <file>          File with that token
    --from-fd <number>          The same from an inherited descriptor
    --relengapi-host <host>     Means nothing; taken because it always was
    --root-url <url>            Root URL of the deployment whose queue knows the task
    -h --help                   Shows this
    --version                   Shows the version

  Attached to an appliance of Keylender, it passes everything to a session there, which ends with it:
    --appliance <url>           The appliance, or KEYLENDER_URL
    --token-file <file>         File with <clientId>/<accessToken> of a client of it, or KEYLENDER_TOKEN_FILE; or
                                KEYLENDER_TOKEN has them
    --run-id <number>           Run of the task [default: 0]

  The token may also come from RELENGAPI_TOKEN. PROXY_RESOLVE says where hosts are without asking DNS:
  host:port=address:port,…
",
    options: &[
        Opt { short: Some('p'), long: "port", takes_value: true },
        Opt { short: None, long: "relengapi-token", takes_value: true },
        Opt { short: None, long: "relengapi-host", takes_value: true },
        Opt { short: None, long: "from-file", takes_value: true },
        Opt { short: None, long: "from-fd", takes_value: true },
        Opt { short: None, long: "root-url", takes_value: true },
        Opt { short: Some('h'), long: "help", takes_value: false },
        Opt { short: None, long: "version", takes_value: false },
    ],
    own: attach::OPTIONS,
    needs_separator: true,
};

pub(super) async fn run(arguments: &[String]) -> Result<()> {
    let line = SYNTAX.parse(arguments).map_err(|error| wrong(&SYNTAX, &error))?;
    for (option, text) in [("help", SYNTAX.usage), ("version", VERSION)] {
        if line.has(option) {
            print(text);
            return Ok(());
        }
    }
    let port = line.value("port").unwrap_or(PORT);
    let number: i64 = port
        .parse()
        .map_err(|_| Error::invalid(format!("Failed to convert port to integer (value supplied: {port})")))?;
    let mut alone = Alone::new(Clock::system(), Style::Relengapi, super::zone(), super::pins()?);
    let task_id = || line.arguments.first().filter(|id| !id.is_empty()).ok_or(Error::invalid("--task-id is required"));
    if let Some(appliance) = attach::appliance(&line, &alone)? {
        alone.addresses.push(address(number)?);
        let by = By::Task(attach::run_of(&line, task_id()?)?);
        let granted_words = "Proxying to RelengAPI with permissions: ";
        let wanted = Wanted { upstream: "relengapi", by, credentials: None, root_url: None, granted_words };
        return alone.attached(appliance, wanted).await;
    }
    let issuing = token(&line, &alone)?;
    let task_id = task_id()?;
    let queue = match line.value("root-url").filter(|url| !url.is_empty()) {
        Some(url) => Base::parse(taskcluster::root_url(url)?.as_str())?.url("/api/queue"),
        None => QUEUE.to_owned(),
    };
    let failed = |e: Error| Error::unavailable(format!("Could not fetch taskcluster task '{task_id}' : {}", e.chain()));
    let scopes = alone.scopes_of(&queue, task_id).await.map_err(failed)?;
    let declared = declaration::relengapi(&issuing)?;
    let permissions = judge(&declared.rule, &scopes).permissions;
    if permissions.is_empty() {
        return Err(Error::forbidden(format!(
            "No RelengAPI permission scopes (matching '{}*') found on task {task_id}",
            declaration::RELENGAPI_PREFIX
        )));
    }
    alone
        .log
        .say(&format!("Proxying to RelengAPI with permissions: {} on port {number}", go::printed_list(&permissions)));
    alone.addresses.push(address(number)?);
    alone.relengapi(&declared, permissions).await
}

/// All addresses of this host.
fn address(port: i64) -> Result<SocketAddr> {
    let number = u16::try_from(port).map_err(|_| Error::invalid(format!("address {port}: invalid port")))?;
    Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), number))
}

fn token(line: &CommandLine, alone: &Alone) -> Result<Secret> {
    if let Some(token) = secrets::read(line.value("from-file"), line.value("from-fd"))? {
        return Ok(token);
    }
    if let Some(token) = line.value("relengapi-token").filter(|token| !token.is_empty()) {
        alone.log.say(&format!("Warning - the RelengAPI token: {}", secrets::WARNING));
        return Ok(Secret::new(token));
    }
    let missing = || Error::invalid("--relengapi-token is required");
    variable("RELENGAPI_TOKEN").map(Secret::new).ok_or_else(missing)
}
