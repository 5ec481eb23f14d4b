//! Which appliance a proxy is attached to, if it is, and who it is there.

use url::{Host, Url};

use super::{secrets, variable};
use crate::app::proxy::{Alone, Appliance};
use crate::base::{Error, Result, Secret};
use crate::cli::output;
use crate::domain::proxy::TaskRun;
use crate::proto::proxy::command_line::{CommandLine, Opt};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::upstream::Base;

const URL: &str = "KEYLENDER_URL";
const TOKEN: &str = "KEYLENDER_TOKEN";
const TOKEN_FILE: &str = "KEYLENDER_TOKEN_FILE";
const READABLE: &str = "it is asked over plain HTTP: whoever is on the way can read the credentials of the task";

/// Options of both programs.
pub(super) const OPTIONS: &[Opt] = &[
    Opt { short: None, long: "appliance", takes_value: true },
    Opt { short: None, long: "token-file", takes_value: true },
    Opt { short: None, long: "run-id", takes_value: true },
];

/// The appliance that the command line or the environment names.
pub(super) fn appliance(line: &CommandLine, alone: &Alone) -> Result<Option<Appliance>> {
    let named = line.value("appliance").filter(|url| !url.is_empty()).map(str::to_owned).or_else(|| variable(URL));
    let Some(named) = named else {
        return match ["token-file", "run-id"].iter().find(|option| line.has(option)) {
            Some(option) => {
                Err(Error::invalid(format!("--{option} is for a proxy that is attached: name --appliance")))
            }
            None => Ok(None),
        };
    };
    let url = base(&named)?;
    if is_readable(&url) {
        alone.log.say(&format!("Warning - the appliance: {READABLE}"));
    }
    Appliance::new(url, who(&token(line)?)?, alone.clock.clone()).map(Some)
}

/// The appliance that the environment names, and who we are there.
pub(in crate::cli) fn named_by_environment() -> Result<Option<(Base, Delegation)>> {
    let Some(named) = variable(URL) else { return Ok(None) };
    let url = base(&named)?;
    if is_readable(&url) {
        output::remark(&format!("Warning - the appliance: {READABLE}"));
    }
    let token = match variable(TOKEN) {
        Some(token) => Some(Secret::new(token)),
        None => secrets::read(variable(TOKEN_FILE).as_deref(), None)?,
    };
    let missing = || Error::invalid(format!("the client of the appliance is missing: {TOKEN} or {TOKEN_FILE}"));
    Ok(Some((url, who(&token.ok_or_else(missing)?)?)))
}

fn base(named: &str) -> Result<Base> {
    let wrong = || Error::invalid("an appliance is a URL like https://keylender.example.com, and nothing behind it");
    let url = Base::parse(named).map_err(|_| wrong())?;
    // The path of a base is nothing, or begins with a slash.
    if url.to_string().matches('/').count() == 2 { Ok(url) } else { Err(wrong()) }
}

fn is_readable(url: &Base) -> bool {
    url.to_string().starts_with("http:") && !is_of_this_host(url)
}

/// Of names only the one that never leaves this host.
fn is_of_this_host(url: &Base) -> bool {
    match Url::parse(&url.to_string()).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

fn token(line: &CommandLine) -> Result<Secret> {
    let file = line.value("token-file").filter(|file| !file.is_empty()).map(str::to_owned);
    if file.is_none()
        && let Some(token) = variable(TOKEN)
    {
        return Ok(Secret::new(token));
    }
    let missing =
        || Error::invalid(format!("the client of the appliance is missing: {TOKEN}, {TOKEN_FILE} or --token-file"));
    secrets::read(file.or_else(|| variable(TOKEN_FILE)).as_deref(), None)?.ok_or_else(missing)
}

/// A client with its token, or credentials as a worker has them, which may be temporary.
fn who(token: &Secret) -> Result<Delegation> {
    if token.expose().starts_with('{') {
        let secrets::Credentials { client_id, access_token, certificate } = secrets::credentials(token)?;
        return Delegation::new(&client_id, Secret::new(access_token), certificate.as_deref(), None);
    }
    let wrong = || Error::invalid("the client of the appliance is not like <clientId>/<accessToken>");
    let (client_id, token) = token.expose().rsplit_once('/').ok_or_else(wrong)?;
    Delegation::new(client_id, Secret::new(token), None, None).map_err(|_| wrong())
}

/// A run of a task: the first one unless another is named.
pub(super) fn run_of(line: &CommandLine, task_id: &str) -> Result<TaskRun> {
    let run = line.value("run-id").filter(|run| !run.is_empty()).unwrap_or("0");
    let run_id = run.parse().map_err(|_| Error::invalid(format!("--run-id is a number, not {run:?}")))?;
    Ok(TaskRun { task_id: task_id.to_owned(), run_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_host() {
        for own in
            ["http://localhost", "http://LOCALHOST:80", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1"]
        {
            assert!(is_of_this_host(&Base::parse(own).unwrap()), "{own}");
        }
        for other in ["localhost.evil.example", "127.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"] {
            assert!(!is_of_this_host(&Base::parse(&format!("http://{other}")).unwrap()), "{other}");
        }
    }
}
