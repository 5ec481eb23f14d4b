//! `taskcluster-proxy`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{attach, print, secrets, variable, wrong};
use crate::app::proxy::{Alone, Appliance, By, Style, Wanted};
use crate::base::{Clock, Error, Result, Scope, Secret};
use crate::domain::proxy::Credentials;
use crate::ports::system;
use crate::proto::proxy::command_line::{CommandLine, Opt, Syntax};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::upstream::Base;
use crate::proto::proxy::{declaration, go, taskcluster};

const VERSION: &str = concat!("Taskcluster proxy 106.0.0 (keylender ", env!("CARGO_PKG_VERSION"), ")");
const SHORT_VERSION: &str = "106.0.0";
const PORT: &str = "8080";

const SYNTAX: Syntax = Syntax {
    usage: "\
Adds signatures of Taskcluster to requests, so that code in a task needs no credentials.

  Usage:
    taskcluster-proxy [options] [<scope>...]
    taskcluster-proxy --help | --version | --short-version

  Options:
    -p --port <port>            Port to listen on [default: 8080]
    -i --ip-address <address>   Address to listen on; all of them if there is none
    -t --task-id <taskId>       Task whose scopes are added to those given
    --root-url <url>            Root URL of the deployment
    --client-id <clientId>      Client id of the credentials
    --access-token <token>      Access token of the credentials
    --certificate <json>        Certificate of temporary credentials
    --from-file <file>          File with the credentials: {\"clientId\": …, \"accessToken\": …, \"certificate\": …}
    --from-fd <number>          The same from an inherited descriptor
    --allowed-user <name>       User of this host who may ask, besides root; a name or a number
    --allowed-network <cidr>    Network from which users of other hosts may ask
    -h --help                   Shows this
    --version                   Shows the version
    --short-version             Shows the version as a number

  Attached to an appliance of Keylender, it passes everything to a session there, which ends with it:
    --appliance <url>           The appliance, or KEYLENDER_URL
    --token-file <file>         File with <clientId>/<accessToken> of a client of it, or KEYLENDER_TOKEN_FILE; or
                                KEYLENDER_TOKEN has them
    --run-id <number>           Run of the task [default: 0]

  Without <scope> and without a task, requests have all scopes of the credentials. Credentials and root URL may also
  come from TASKCLUSTER_ROOT_URL, TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and TASKCLUSTER_CERTIFICATE.
  PROXY_RESOLVE says where hosts are without asking DNS: host:port=address:port,…
",
    options: &[
        Opt { short: Some('p'), long: "port", takes_value: true },
        Opt { short: Some('i'), long: "ip-address", takes_value: true },
        Opt { short: Some('t'), long: "task-id", takes_value: true },
        Opt { short: None, long: "root-url", takes_value: true },
        Opt { short: None, long: "client-id", takes_value: true },
        Opt { short: None, long: "access-token", takes_value: true },
        Opt { short: None, long: "certificate", takes_value: true },
        Opt { short: None, long: "from-file", takes_value: true },
        Opt { short: None, long: "from-fd", takes_value: true },
        Opt { short: None, long: "allowed-user", takes_value: true },
        Opt { short: None, long: "allowed-network", takes_value: true },
        Opt { short: Some('h'), long: "help", takes_value: false },
        Opt { short: None, long: "version", takes_value: false },
        Opt { short: None, long: "short-version", takes_value: false },
    ],
    own: attach::OPTIONS,
    needs_separator: false,
};

pub(super) async fn run(arguments: &[String]) -> Result<()> {
    let line = SYNTAX.parse(arguments).map_err(|error| wrong(&SYNTAX, &error))?;
    for (option, text) in [("help", SYNTAX.usage), ("version", VERSION), ("short-version", SHORT_VERSION)] {
        if line.has(option) {
            print(text);
            return Ok(());
        }
    }
    let mut alone = Alone::new(Clock::system(), Style::Taskcluster, super::zone(), super::pins()?);
    alone.log.say(&format!("Version: {VERSION}"));
    listening(&line, &mut alone)?;
    if let Some(appliance) = attach::appliance(&line, &alone)? {
        return attached(&line, alone, appliance).await;
    }
    let root_url = option(&line, "root-url", "TASKCLUSTER_ROOT_URL", "Root URL")?;
    alone.log.say(&format!("Root URL: '{root_url}'"));
    let root_url = taskcluster::root_url(&root_url)?;
    let declared = declaration::taskcluster(root_url.as_str())?;
    let given = credentials(&line, &alone)?;
    let authorized = scopes(&line, &alone, &Base::parse(root_url.as_str())?).await?;
    match &authorized {
        Some(scopes) => {
            let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
            alone.log.say(&format!("Proxy with scopes:  {}", go::printed_list(&scopes)));
        }
        None => alone.log.say("Proxy has full scopes of provided credentials - no scope reduction being applied"),
    }
    let secrets::Credentials { client_id, access_token, certificate } = given;
    let delegation = Delegation::new(&client_id, Secret::new(access_token), certificate.as_deref(), authorized)?;
    alone.taskcluster(&declared, delegation).await
}

/// The same by a session of an appliance. It may do no more than what it is named for, so what the credentials may is read
/// in their certificate where nothing is named.
async fn attached(line: &CommandLine, alone: Alone, appliance: Appliance) -> Result<()> {
    let root_url = option(line, "root-url", "TASKCLUSTER_ROOT_URL", "Root URL").ok();
    let root_url = root_url.map(|url| Base::parse(taskcluster::root_url(&url)?.as_str())).transpose()?;
    let secrets::Credentials { client_id, access_token, certificate } = credentials(line, &alone)?;
    let credentials = Credentials { client_id, access_token: Secret::new(access_token), certificate };
    let task = line.value("task-id").filter(|id| !id.is_empty());
    let by = match (task, line.arguments.is_empty()) {
        (Some(_), false) => {
            return Err(Error::invalid(
                "attached to an appliance, a proxy is for a task or for scopes: name one of them",
            ));
        }
        (Some(task_id), true) => By::Task(attach::run_of(line, task_id)?),
        (None, false) => By::Scopes(named(line, &alone)?),
        (None, true) => By::Scopes(certified(&credentials)?),
    };
    let granted_words = "Proxy with scopes:  ";
    let credentials = Some(credentials);
    alone.attached(appliance, Wanted { upstream: "taskcluster", by, credentials, root_url, granted_words }).await
}

/// All scopes of temporary credentials.
fn certified(Credentials { client_id, access_token, certificate }: &Credentials) -> Result<Vec<Scope>> {
    let delegation = Delegation::new(client_id, access_token.clone(), certificate.as_deref(), None)?;
    delegation.certified.ok_or_else(|| {
        Error::invalid(
            "permanent credentials do not say what they may, and an appliance must know it: name scopes or a task",
        )
    })
}

/// Where to listen, and for whom.
fn listening(line: &CommandLine, alone: &mut Alone) -> Result<()> {
    let port = line.value("port").unwrap_or(PORT);
    let number: i64 = port.parse().map_err(|_| Error::invalid(format!("--port is a number, not {port:?}")))?;
    let port = u16::try_from(number).map_err(|_| Error::invalid(format!("port {number} is not in range [0,65535]")))?;
    let ip = match line.value("ip-address").filter(|text| !text.is_empty()) {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(text) => {
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            bare.parse()
                .map_err(|_| Error::invalid(format!("invalid IPv4/IPv6 address specified - cannot parse: {text}")))?
        }
    };
    let address = SocketAddr::new(ip, port);
    let shown = if ip.is_unspecified() { format!(":{port}") } else { address.to_string() };
    alone.log.say(&format!("Listening on: {shown}"));
    alone.addresses.push(address);
    if let Some(name) = line.value("allowed-user").filter(|name| !name.is_empty()) {
        let user = system::user_id("/".as_ref(), name).or_else(|| name.parse().ok());
        let unknown = || Error::invalid(format!("Failed to create connection verifier: unknown user {name:?}"));
        alone.peers.users = Some(vec![user.ok_or_else(unknown)?]);
        alone.log.say(&format!("Allowed user: {name}"));
    }
    if let Some(text) = line.value("allowed-network").filter(|text| !text.is_empty()) {
        let network: ipnet::IpNet = text.parse().map_err(|_| {
            Error::invalid(format!("invalid --allowed-network CIDR {text:?}: it is one like 172.17.0.0/16"))
        })?;
        if network.prefix_len() == 0 {
            return Err(Error::invalid(format!("--allowed-network CIDR {text:?} is too broad: it allows everybody")));
        }
        alone.peers.networks.push(network);
        // Nobody of this host, unless a user was named.
        alone.peers.users.get_or_insert_default();
        alone.log.say(&format!("Allowed network: {text}"));
        // As the ancestor, so that users of this host reach it, too.
        if !ip.is_unspecified() && !ip.is_loopback()
            || matches!(ip, IpAddr::V4(ip) if ip.is_loopback() && ip != Ipv4Addr::LOCALHOST)
        {
            alone.addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        }
    }
    Ok(())
}

/// An option, or else its variable.
fn option(line: &CommandLine, long: &str, name: &str, what: &str) -> Result<String> {
    let given = line.value(long).filter(|value| !value.is_empty()).map(str::to_owned);
    given.or_else(|| variable(name)).ok_or_else(|| {
        Error::invalid(format!("{what} must be passed via environment variable {name} or command line option --{long}"))
    })
}

fn credentials(line: &CommandLine, alone: &Alone) -> Result<secrets::Credentials> {
    let given = match secrets::read(line.value("from-file"), line.value("from-fd"))? {
        Some(text) => secrets::credentials(&text)?,
        None => secrets::Credentials {
            client_id: option(line, "client-id", "TASKCLUSTER_CLIENT_ID", "Client ID")?,
            access_token: option(line, "access-token", "TASKCLUSTER_ACCESS_TOKEN", "Access token")?,
            certificate: option(line, "certificate", "TASKCLUSTER_CERTIFICATE", "Certificate").ok(),
        },
    };
    alone.log.say(&format!("Client ID: '{}'", given.client_id));
    alone.log.say("Access Token: <not shown>");
    if line.value("access-token").is_some_and(|token| !token.is_empty()) {
        alone.log.say(&format!("Warning - the access token: {}", secrets::WARNING));
    }
    match &given.certificate {
        Some(_) => alone.log.say("Certificate: <not shown>"),
        None => {
            alone.log.say("Warning - no taskcluster certificate set - assuming permanent credentials are being used")
        }
    }
    Ok(given)
}

/// The scopes that requests are limited to: those given, then those of the task. Neither is no limit.
async fn scopes(line: &CommandLine, alone: &Alone, base: &Base) -> Result<Option<Vec<Scope>>> {
    let mut is_limited = !line.arguments.is_empty();
    let mut scopes = named(line, alone)?;
    if let Some(task_id) = line.value("task-id").filter(|id| !id.is_empty()) {
        alone.log.say(&format!("taskId: '{task_id}'"));
        is_limited = true;
        let failed =
            |e: Error| Error::unavailable(format!("could not fetch taskcluster task '{task_id}' : {}", e.chain()));
        scopes.extend(alone.scopes_of(&base.url("/api/queue"), task_id).await.map_err(failed)?);
    }
    Ok(is_limited.then_some(scopes))
}

/// The scopes that stand on the command line.
fn named(line: &CommandLine, alone: &Alone) -> Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for text in &line.arguments {
        if text == "--" {
            alone.log.say("Warning - `--` is not taken as a scope: no client holds one, and it separates nothing here");
        } else {
            scopes.push(Scope::parse(text)?);
        }
    }
    Ok(scopes)
}
