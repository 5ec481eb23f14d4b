//! `keylender proxy`: sessions of a running appliance, its upstreams, and what scopes are worth there.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::secrets;
use crate::app::operate::Operator;
use crate::app::settings::{Settings, read_upstreams};
use crate::base::{Error, Result, Secret};
use crate::cli::act::{self, Given};
use crate::cli::{Format, Outcome, output};
use crate::domain::actions::proxy::{END, STORE};

#[derive(Subcommand)]
pub(in crate::cli) enum Proxy {
    /// Sessions of the task proxy
    #[command(subcommand, after_help = "Example:\n  keylender proxy session list")]
    Session(Session),
    /// Says what a task with these scopes could do at each upstream, and why
    #[command(
        after_help = "Example:\n  keylender proxy explain project:ours:symbols:read queue:get-artifact:private/x"
    )]
    Explain {
        /// The scopes
        #[arg(required = true)]
        scopes: Vec<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Shows what sessions can reach
    #[command(after_help = "Example:\n  keylender proxy upstreams")]
    Upstreams(Format),
    /// Stores a declaration of upstreams; PROXY_UPSTREAMS_FILE must not be set
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender proxy store upstreams.toml --reason 'symbols moved'"
    )]
    Store {
        /// The declaration
        file: PathBuf,
        #[command(flatten)]
        given: Given,
    },
    /// Says what is wrong with a declaration of upstreams, without an appliance
    #[command(after_help = "Example:\n  keylender proxy check /etc/keylender-upstreams.toml")]
    Check {
        /// The declaration
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(in crate::cli) enum Session {
    /// Lists sessions, the youngest first
    #[command(after_help = "Example:\n  keylender proxy session list --open")]
    List {
        /// Only those that are open
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Shows a session
    #[command(after_help = "Example:\n  keylender proxy session show cqsb5PaVQ0GvPHq1Nn6u8g")]
    Show {
        /// The session
        session: String,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the calls of a session that are over
    #[command(after_help = "Example:\n  keylender proxy session calls cqsb5PaVQ0GvPHq1Nn6u8g")]
    Calls {
        /// The session
        session: String,
        #[command(flatten)]
        format: Format,
    },
    /// Opens a session for a task, and prints what belongs into the task's environment
    #[command(
        after_help = "Example:\n  keylender proxy session open --task fN1SbArXTPSVFNUvaOlinQ --run 0 --user 1000 --port"
    )]
    Open(Box<Opening>),
    /// Ends a session at once
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender proxy session end cqsb5PaVQ0GvPHq1Nn6u8g --reason 'it should not be there'"
    )]
    End {
        /// The session
        session: String,
        #[command(flatten)]
        given: Given,
    },
}

#[derive(Args)]
#[command(group = ArgGroup::new("who").required(true).args(["task", "scopes"]))]
pub(in crate::cli) struct Opening {
    /// The task, whose scopes the queue tells
    #[arg(long, value_name = "TASK", requires = "run", allow_hyphen_values = true)]
    task: Option<String>,
    /// Which of its runs
    #[arg(long, value_name = "NUMBER")]
    run: Option<u32>,
    /// Instead of a task, a scope; can be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Only this upstream; can be given several times
    #[arg(long = "upstream", value_name = "NAME")]
    upstreams: Vec<String>,
    /// A port instead of a socket
    #[arg(long)]
    port: bool,
    /// The number of a user of this host who may ask; can be given several times
    #[arg(long = "user", value_name = "NUMBER")]
    users: Vec<u32>,
    /// A network from which others may ask; can be given several times
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// File with credentials of the task: clientId, accessToken and certificate, in JSON
    #[arg(long, value_name = "FILE")]
    credentials: Option<String>,
    /// Seconds after which it is over at the latest
    #[arg(long, value_name = "SECONDS")]
    lasts: Option<u32>,
    #[command(flatten)]
    format: Format,
}

/// What needs no appliance; nothing for other commands.
pub(in crate::cli) fn offline(command: &Proxy) -> Option<Outcome> {
    match command {
        Proxy::Check { file } => Some(check(file).map(|_| ()).map_err(Into::into)),
        _ => None,
    }
}

pub(in crate::cli) async fn run(command: Proxy, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Proxy::Session(command) => session(command, &operator, settings).await?,
        Proxy::Explain { scopes, format } => {
            let path = format!("/proxy/explain?scopes={}", output::segment(&scopes.join(" ")));
            print(&operator.call("GET", &path, None).await?, &format, show_explanation);
        }
        Proxy::Upstreams(format) => {
            print(&operator.call("GET", "/proxy/upstreams", None).await?, &format, show_upstreams);
        }
        Proxy::Store { file, given } => {
            // Here, where the places of mistakes are those of the file.
            let text = check(&file)?;
            act::run(&operator, &STORE.about, &[], &given, Some(json!({ "text": text.expose() }))).await?;
        }
        command @ Proxy::Check { .. } => return offline(&command).unwrap_or(Ok(())),
    }
    Ok(())
}

async fn session(command: Session, operator: &Operator, settings: &Settings) -> Result<()> {
    let at = |session: &str| format!("/proxy/sessions/{}", output::segment(session));
    match command {
        Session::List { open, format } => {
            let mut list = operator.call("GET", "/proxy/sessions", None).await?;
            if let Some(sessions) = list["sessions"].as_array_mut().filter(|_| open) {
                sessions.retain(|session| session["ended"].is_null());
            }
            print(&list, &format, show_sessions);
        }
        Session::Show { session, format } => print(&operator.call("GET", &at(&session), None).await?, &format, show),
        Session::Calls { session, format } => {
            let path = format!("{}/calls", at(&session));
            print(&operator.call("GET", &path, None).await?, &format, show_calls);
        }
        // Its listener is that of a process that goes on.
        Session::Open(opening) => open(*opening, &Operator::running(settings)?).await?,
        Session::End { session, given } => {
            act::run(operator, &END.about, &[&session], &given, None).await?;
        }
    }
    Ok(())
}

async fn open(opening: Opening, operator: &Operator) -> Result<()> {
    let Opening { task, run, scopes, upstreams, port, users, networks, credentials, lasts, format } = opening;
    let credentials = match secrets::read(credentials.as_deref(), None)? {
        Some(text) => {
            let secrets::Credentials { client_id, access_token, certificate } = secrets::credentials(&text)?;
            Some(json!({ "clientId": client_id, "accessToken": access_token, "certificate": certificate }))
        }
        None => None,
    };
    let mut input = json!({
        "upstreams": upstreams,
        "listen": { "on": if port { "port" } else { "socket" }, "users": users, "networks": networks },
    });
    let given = [
        ("taskId", task.map(Value::from)),
        ("runId", run.map(Value::from)),
        ("scopes", (!scopes.is_empty()).then(|| scopes.into())),
        ("credentials", credentials),
        ("lastsSeconds", lasts.map(Value::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            input[name] = value;
        }
    }
    let opened = operator.change("POST", "/proxy/sessions", Some(input)).await?;
    if format.json {
        output::json(&opened);
        return Ok(());
    }
    for (name, value) in opened["environment"].as_object().into_iter().flatten() {
        output::line(&format!("{name}={}", value.as_str().unwrap_or_default()));
    }
    output::remark(&format!("session {} until {}", output::text(&opened, "session"), output::text(&opened, "ends")));
    Ok(())
}

fn print(document: &Value, format: &Format, show: fn(&Value)) {
    if format.json { output::json(document) } else { show(document) }
}

/// Says how many upstreams a declaration has, or everything that is wrong with it.
fn check(file: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(file);
    let text = Secret::new(text.map_err(|error| Error::invalid("the declaration cannot be read").because(error))?);
    match read_upstreams(text.expose()) {
        Ok(declared) => {
            for one in &declared {
                output::remark(&format!("`{}` is reached by {}", one.upstream.name, one.kind()));
            }
            Ok(text)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                output::remark(&format!("{}: {mistake}", file.display()));
            }
            Err(Error::invalid("these are no upstreams that can be used"))
        }
    }
}

fn show_sessions(list: &Value) {
    let members = ["session", "taskId", "opener", "opened", "ends", "ended", "calls", "address"];
    output::table(
        &["SESSION", "TASK", "OPENER", "OPENED", "ENDS", "ENDED", "CALLS", "ADDRESS"],
        &output::rows(list, "sessions", &members),
    );
}

fn show(session: &Value) {
    for (label, member) in [
        ("session", "session"),
        ("task", "taskId"),
        ("run", "runId"),
        ("opened by", "opener"),
        ("asked at", "address"),
        ("asked by", "peers"),
        ("scopes", "scopes"),
        ("opened", "opened"),
        ("ends", "ends"),
        ("ended", "ended"),
        ("ended by", "endedBy"),
        ("because", "cause"),
        ("calls", "calls"),
        ("namespaces", "namespaces"),
    ] {
        let text = output::text(session, member);
        if !text.is_empty() {
            output::line(&format!("{label:10} {text}"));
        }
    }
    output::line("");
    output::table(
        &["UPSTREAM", "SET", "PERMISSIONS"],
        &output::rows(session, "upstreams", &["upstream", "set", "permissions"]),
    );
    let tokens = output::rows(session, "tokens", &["upstream", "ends"]);
    if !tokens.is_empty() {
        output::line("");
        output::table(&["TOKEN FOR", "ENDS"], &tokens);
    }
}

fn show_calls(calls: &Value) {
    let members = ["ended", "peer", "method", "url", "status", "sentBytes", "receivedBytes", "tookMs", "cause"];
    output::table(
        &["ENDED", "PEER", "METHOD", "URL", "STATUS", "SENT", "RECEIVED", "MS", "CAUSE"],
        &output::rows(calls, "calls", &members),
    );
}

fn show_explanation(explained: &Value) {
    for upstream in explained["upstreams"].as_array().into_iter().flatten() {
        let permissions = output::text(upstream, "permissions");
        let missing = output::text(upstream, "missing");
        let worth = if permissions.is_empty() { format!("nothing; it needs {missing}") } else { permissions };
        output::line(&format!("{} ({}): {worth}", output::text(upstream, "upstream"), output::text(upstream, "kind")));
        for reason in upstream["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            output::line(&format!("  {reason}"));
        }
    }
}

fn show_upstreams(upstreams: &Value) {
    let rows = upstreams["upstreams"].as_array().into_iter().flatten().flat_map(|upstream| {
        let head = ["upstream", "kind", "methods"].map(|member| output::text(upstream, member));
        output::rows(upstream, "paths", &["path", "to"])
            .into_iter()
            .map(move |leads| head.iter().cloned().chain(leads).collect())
    });
    output::table(&["UPSTREAM", "KIND", "METHODS", "PATH", "LEADS TO"], &rows.collect::<Vec<_>>());
}
