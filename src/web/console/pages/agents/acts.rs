//! What is done with the agent of a host: it is cut off, or its host gets a token to enrol by, which is shown once.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::{PATH, host_of, path_of_host, path_to};
use crate::base::text::{capitalized, url_encoded};
use crate::base::{Error, HostName, Result};
use crate::domain::actions::fleet::{Cut, ENROL, EnrolmentToken, REVOKE, TokenWish};
use crate::domain::agents::QueueFate;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan;
use crate::web::console::kit::session::{Session, see_other};
use crate::web::console::kit::text::TimeTag;
use crate::web::console::pages::hand_over::our_url;
use crate::web::state::App;

/// Systems whose hosts unpack what they get, by the words of people and of Go.
const UNPACKING: [(&str, &str); 2] = [("Linux", "linux"), ("macOS", "darwin")];

#[derive(Template)]
#[template(path = "console/agent_enrol.html")]
struct Form {
    frame: Frame,
    problem: String,
    host: String,
    /// What a host runs that DNS knows.
    line: String,
}

#[derive(Template)]
#[template(path = "console/agent_token.html")]
struct TokenPage {
    frame: Frame,
    host: HostName,
    token: String,
    until: TimeTag,
    /// What the host runs, by its system.
    lines: Vec<(&'static str, String)>,
    back: String,
}

/// What the form, or the address, says of the queue.
#[derive(Deserialize)]
pub struct Fate {
    #[serde(default)]
    queue: String,
}

impl Fate {
    fn read(&self) -> Result<QueueFate> {
        if self.queue.is_empty() { Ok(QueueFate::default()) } else { self.queue.parse().map_err(Error::invalid) }
    }
}

/// For how many minutes a token counts; for an hour unless said.
#[derive(Deserialize)]
pub struct Lasting {
    #[serde(default)]
    minutes: String,
}

impl Lasting {
    fn asked(session: &Session) -> Self {
        Self { minutes: session.query("minutes").unwrap_or_default().to_owned() }
    }

    fn read(&self) -> Result<TokenWish> {
        if self.minutes.is_empty() {
            return Ok(TokenWish::default());
        }
        self.minutes.parse().map(TokenWish::of).map_err(|_| Error::invalid("expected a number of minutes"))
    }
}

/// The page of a host's agent; that of all while it has none.
fn home(app: &App, host: &HostName) -> String {
    app.agents.queueloc_of(host).map_or_else(|_| PATH.to_owned(), |queueloc| path_to(&queueloc))
}

/// Asks before an agent is cut off; `?queue=purge` and `?queue=delete` say what becomes of its queue.
pub async fn plan_revocation(app: App, session: Session) -> Result<Response> {
    let fate = Fate { queue: session.query("queue").unwrap_or_default().to_owned() };
    let (host, queue) = (host_of(&session)?, fate.read()?);
    let mut asked = Asked::of(host.as_str(), format!("{}/revoke", path_of_host(&host)), home(&app, &host));
    if queue != QueueFate::Keep {
        asked.words.extend(["--queue", queue.as_str()]);
    }
    asked.fields = vec![("queue", queue.as_str().to_owned())];
    act::ask(&app, &session, &REVOKE, host.clone(), Cut::with(queue), asked).await
}

pub async fn revoke(app: App, session: Session, form: CheckedForm<Fate>) -> Result<Response> {
    let (host, queue) = (host_of(&session)?, form.input.read()?);
    act::run(&app, &session, &form, &REVOKE, host.clone(), Cut::with(queue)).await?;
    plan::done(&session, &home(&app, &host))
}

/// Asks for the host that is to enrol, and goes on to what a token for it would do.
pub async fn ask_host(app: App, session: Session) -> Result<Response> {
    let host = session.query("host").unwrap_or_default().trim().to_owned();
    let problem = match HostName::parse(&host) {
        Ok(host) => {
            let Lasting { minutes } = Lasting::asked(&session);
            let asked = if minutes.is_empty() { minutes } else { format!("?minutes={}", url_encoded(&minutes)) };
            return Ok(see_other(&format!("{}{}/token{asked}", session.root, path_of_host(&host))));
        }
        Err(_) if host.is_empty() => String::new(),
        Err(error) => format!("{}.", capitalized(error.message())),
    };
    let frame = Frame::of(&app, &session, "Enrol a host").await;
    Ok(page(&Form { frame, problem, host, line: unpack(&app, &session, UNPACKING[0].1, None) }))
}

/// What a token would do; `?minutes=` says for how long it counts.
pub async fn plan_token(app: App, session: Session) -> Result<Response> {
    let (host, lasting) = (host_of(&session)?, Lasting::asked(&session));
    let mut asked = Asked::of(host.as_str(), format!("{}/token", path_of_host(&host)), home(&app, &host));
    if !lasting.minutes.is_empty() {
        asked.words.extend(["--minutes", &lasting.minutes]);
        asked.fields.push(("minutes", lasting.minutes.clone()));
    }
    act::ask(&app, &session, &ENROL, host.clone(), lasting.read()?, asked).await
}

/// Makes a token, and shows it: here and nowhere else.
pub async fn make_token(app: App, session: Session, form: CheckedForm<Lasting>) -> Result<Response> {
    let host = host_of(&session)?;
    let made = act::run(&app, &session, &form, &ENROL, host, form.input.read()?).await?;
    let EnrolmentToken { host, token, until } = made;
    let token = token.0.expose().to_owned();
    let lines = UNPACKING.iter().map(|(name, os)| (*name, unpack(&app, &session, os, Some(&token)))).collect();
    Ok(page(&TokenPage {
        frame: Frame::after(&app, &session, format!("Enrol the agent of {host}")).await?,
        token,
        until: TimeTag { at: until, now: session.now },
        lines,
        back: home(&app, &host),
        host,
    }))
}

/// What a host runs to get its files, and to put them where they belong.
fn unpack(app: &App, session: &Session, os: &str, token: Option<&str>) -> String {
    // On macOS `/etc` is a link, behind which `tar` unpacks nothing unless told to.
    let (query, how) = if os == "darwin" { ("?form=tar&os=darwin", "-xPC") } else { ("?form=tar", "-xC") };
    format!("{} | tar {how} /", fetch(app, session, query, token))
}

fn fetch(app: &App, session: &Session, query: &str, token: Option<&str>) -> String {
    let shown = token.map(|token| format!("-H 'Authorization: Bearer {token}' ")).unwrap_or_default();
    format!("curl -fsS {shown}'{}/api/keylender/v1/agents/enrol{query}'", our_url(app, session))
}
