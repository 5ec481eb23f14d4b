//! `keylender claim`: claims a namespace, or fetches an account of the relay, as a client would.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use serde_json::{Map, Value};

use super::{Outcome, output};
use crate::app::hardening::Before;
use crate::app::operate::read;
use crate::app::settings::Settings;
use crate::base::{ClientId, Clock, Error, Result, Secret, Span};
use crate::ports::keylender::{CALL_TIMEOUT, KeylenderClient};
use crate::proto::ext;
use crate::proto::hawk::{Header, Target};

pub(super) const EXAMPLES: &str = "Examples:
  TASKCLUSTER_CLIENT_ID=builds TASKCLUSTER_ACCESS_TOKEN=… keylender claim taskcluster-builds
  keylender claim taskcluster-builds --wrap --for '20 minutes'
  keylender claim taskcluster-builds --url https://keylender.example --exec ./consumer --verbose
  keylender claim --account warehouse --exec ./warehouse
  keylender claim --account warehouse --wrap

The command of --exec finds KEYLENDER_NAMESPACE, KEYLENDER_CONNECTION_STRING and KEYLENDER_RECLAIM_AT in its environment;
for an account of the relay KEYLENDER_ACCOUNT, KEYLENDER_USERNAME and KEYLENDER_PASSWORD instead of the first.";
/// Characters of a nonce, as the JavaScript client sends.
const NONCE_LEN: usize = 6;
/// The variables that every Taskcluster tool reads.
const CLIENT_ID: &str = "TASKCLUSTER_CLIENT_ID";
const ACCESS_TOKEN: &str = "TASKCLUSTER_ACCESS_TOKEN";
const CERTIFICATE: &str = "TASKCLUSTER_CERTIFICATE";

/// What a command finds in its environment after a claim: variables, and places in the answer.
const OF_NAMESPACE: [(&str, &str); 3] =
    [("NAMESPACE", "/namespace"), ("CONNECTION_STRING", "/connectionString"), ("RECLAIM_AT", "/reclaimAt")];
/// And with an account.
const OF_ACCOUNT: [(&str, &str); 5] = [
    ("ACCOUNT", "/account"),
    ("USERNAME", "/username"),
    ("PASSWORD", "/password"),
    ("CONNECTION_STRING", FIRST_VHOST),
    ("RECLAIM_AT", "/expires"),
];
/// The connection string of an account that may enter several vhosts, or one. Empty for one that may enter none.
const FIRST_VHOST: &str = "/vhosts/0/connectionString";

#[derive(Args)]
pub(super) struct Claim {
    /// The namespace
    #[arg(required_unless_present = "account")]
    namespace: Option<String>,
    /// An account of the relay instead; its connection string is for its first vhost, --json prints all
    #[arg(long, value_name = "NAME", conflicts_with_all = ["namespace", "lasts"])]
    account: Option<String>,
    /// The appliance [default: this host, at the port of the settings]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How long the namespace lasts, such as `1 day` [default: 4 hours]
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    lasts: Option<Span>,
    /// Whom to tell about queues that grow, and of a link that was opened twice
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// Print a link instead, by which somebody else gets the credentials once
    #[arg(long, conflicts_with_all = ["env", "exec"])]
    wrap: bool,
    /// How long the link can be opened, such as `20 minutes`; at most 7 days [default: 1 hour]
    #[arg(long = "for", value_name = "SPAN", requires = "wrap")]
    wrap_for: Option<Span>,
    /// Print the answer as JSON
    #[arg(long, conflicts_with_all = ["env", "exec"])]
    json: bool,
    /// Print lines for a shell to evaluate
    #[arg(long, conflicts_with = "exec")]
    env: bool,
    /// Run a command with the credentials in its environment; takes the rest of the line
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,
}

/// Who signs.
struct Credentials {
    id: ClientId,
    token: Secret,
    certificate: Option<String>,
}

pub(super) async fn run(
    command: Claim,
    settings: &Settings,
    environment: &[(String, String)],
    before: &Before,
) -> Outcome {
    if command.account.is_some() && command.contact.is_some() && !command.wrap {
        return Err(Error::invalid("--contact is for links to an account: it goes with --wrap").into());
    }
    let credentials = credentials(environment)?;
    let url = command.url.clone().unwrap_or_else(|| {
        // A certificate is for a name.
        let here = if settings.listen.tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        format!("{here}:{}", settings.listen.port)
    });
    let door = KeylenderClient::network(&url)?;
    let (method, path, body) = request(&command);
    let authorization = sign(&credentials, method, &door.url(&path))?;
    let answer = door.call(method, &path, Some(&authorization), body, CALL_TIMEOUT).await?;
    let claimed = read(&answer)?;
    if command.wrap {
        show_link(claimed, &door, command.json);
        return Ok(());
    }
    let members = if command.account.is_some() { &OF_ACCOUNT[..] } else { &OF_NAMESPACE };
    let text = |place: &str| claimed.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let variables = members.iter().map(|(name, place)| (format!("KEYLENDER_{name}"), text(place)));
    match command.exec.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            // What is handed on is short-lived; what claimed it stays behind.
            for name in [CLIENT_ID, ACCESS_TOKEN, CERTIFICATE] {
                command.env_remove(name);
            }
            before.restore();
            let error = command.args(arguments).envs(variables).exec();
            return Err(Error::invalid(format!("cannot run {program}: {error}")).into());
        }
        None if command.json => output::json(&claimed),
        None if command.env => {
            for (name, value) in variables {
                output::line(&format!("export {name}='{}'", value.replace('\'', r"'\''")));
            }
        }
        None => output::line(&text(if command.account.is_some() { FIRST_VHOST } else { "/connectionString" })),
    }
    Ok(())
}

/// What is asked for, and how.
fn request(command: &Claim) -> (&'static str, String, Option<String>) {
    if let Some(account) = &command.account {
        let path = format!("/api/keylender/v1/relay/accounts/{}", output::segment(account));
        return if command.wrap {
            ("POST", path + "/wrap", Some(input(command).to_string()))
        } else {
            ("GET", path + "/credentials", None)
        };
    }
    let name = output::segment(command.namespace.as_deref().unwrap_or_default());
    let path = if command.wrap { format!("/api/keylender/v1/wraps/{name}") } else { format!("/v1/namespace/{name}") };
    ("POST", path, Some(input(command).to_string()))
}

/// A link, below the address that we asked when the appliance does not know its own.
fn show_link(mut made: Value, door: &KeylenderClient, json: bool) {
    if made["url"].is_null() {
        made["url"] = door.url(&output::value(&made, "path")).into();
    }
    if json {
        return output::json(&made);
    }
    output::line(&output::value(&made, "url"));
    output::remark(&format!(
        "It opens once, until {}: in a browser, or with `curl -X POST`.",
        output::text(&made, "until")
    ));
}

fn input(command: &Claim) -> Value {
    let mut input = Map::new();
    if let Some(lasts) = command.wrap_for {
        input.insert("lastsSeconds".into(), lasts.size().as_secs().into());
    }
    if let Some(lasts) = command.lasts {
        input.insert("expires".into(), Clock::system().now().plus(lasts.size()).to_string().into());
    }
    if let Some(contact) = &command.contact {
        input.insert("contact".into(), contact.clone().into());
    }
    Value::Object(input)
}

/// The credentials that every Taskcluster tool reads. They are not settings of the appliance.
fn credentials(environment: &[(String, String)]) -> Result<Credentials> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(variable, value)| variable == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let needed = |name: &str| {
        variable(name).ok_or_else(|| {
            Error::unauthenticated(format!("{name} is not set: `keylender client create` makes credentials"))
        })
    };
    Ok(Credentials {
        id: ClientId::parse(&needed(CLIENT_ID)?)?,
        token: Secret::new(needed(ACCESS_TOKEN)?),
        certificate: variable(CERTIFICATE),
    })
}

fn sign(credentials: &Credentials, method: &str, url: &str) -> Result<String> {
    let ts = Clock::system().now().as_seconds().to_string();
    let random = Secret::generate();
    let ext = ext::encode(credentials.certificate.as_deref(), None)?;
    let header = Header {
        id: credentials.id.as_str(),
        ts: &ts,
        nonce: &random.expose()[..NONCE_LEN],
        ext: ext.as_deref(),
        ..Header::default()
    };
    Ok(header.signed(&credentials.token, &Target::of_url(method, url)?))
}
