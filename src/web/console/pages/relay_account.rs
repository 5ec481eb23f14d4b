//! An account of the relay: how it stands, what it may do, and what can be done with it.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::hand_over;
use super::relay::{path_to, rotation};
use crate::base::text::url_encoded;
use crate::base::{AccountName, Error, Result};
use crate::domain::accounts::AccountStatus;
use crate::domain::actions::relay::{ROTATE, Rotation};
use crate::domain::auth::scopes;
use crate::domain::wraps::LASTS;
use crate::proto::relay_profile::Grant;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/relay_account.html")]
struct AccountPage {
    frame: Frame,
    path: String,
    /// What happened and happens to its password; nothing before it is applied.
    times: Vec<(&'static str, TimeTag)>,
    /// How many hold a password that works.
    holders: Option<usize>,
    may_rotate: bool,
    may_hand_over: bool,
    facts: Vec<(&'static str, Untrusted<'static>)>,
    users: Vec<(String, State)>,
    grants: Vec<GrantRow>,
    equivalents: Equivalents,
}

/// What an account may do in a vhost.
struct GrantRow {
    vhost: Untrusted<'static>,
    configure: Untrusted<'static>,
    write: Untrusted<'static>,
    read: Untrusted<'static>,
    topics: Vec<[Untrusted<'static>; 3]>,
    consumes: Vec<Untrusted<'static>>,
}

impl From<&Grant> for GrantRow {
    fn from(grant: &Grant) -> Self {
        let text = |text: &str| Untrusted::of(text.to_owned());
        let topics = grant.topics.iter();
        Self {
            vhost: text(grant.vhost.as_str()),
            configure: text(&grant.configure),
            write: text(&grant.write),
            read: text(&grant.read),
            topics: topics.map(|topic| [&topic.exchange, &topic.write, &topic.read].map(|part| text(part))).collect(),
            consumes: grant.consumes.iter().map(|queue| text(queue)).collect(),
        }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let name = session.param("account");
    let profile = &app.relay.declared()?.profile;
    let account = profile.accounts().iter().find(|account| account.name.as_str() == name);
    let account = account.ok_or_else(|| Error::not_found("the relay declares no account of this name"))?;
    let fact = |text: String| Untrusted::of(if text.is_empty() { "none".to_owned() } else { text });
    let limit = |limit: Option<u32>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let standing = app.relay.standing(account)?;
    let times = standing.iter().flat_map(|it| {
        [("Rotated", it.rotated), ("Next rotation", it.next_rotation), ("Promised until", it.promised_until)]
    });
    let times = times.filter_map(|(what, at)| Some((what, TimeTag { at: at?, now: session.now }))).collect();
    Ok(page(&AccountPage {
        frame: Frame::of(&app, &session, "Account of the relay").await,
        path: path_to(account.name.as_str()),
        times,
        holders: standing.as_ref().map(|standing| standing.holders),
        may_rotate: standing.is_some() && session.may(scopes::RELAY_ROTATE.on(account.name.as_str())),
        may_hand_over: standing.is_some() && session.may(scopes::RELAY_LEND.on(account.name.as_str())),
        facts: vec![
            ("Account", fact(account.name.to_string())),
            ("Note", fact(account.note.clone().unwrap_or_default())),
            ("Tags", fact(account.tags.join(", "))),
            ("Rotation", fact(rotation(account))),
            ("Its programs get the password by", fact(account.delivery.as_str().to_owned())),
            ("Connections at once", fact(limit(account.limits.max_connections))),
            ("Channels at once", fact(limit(account.limits.max_channels))),
            ("On drift", fact(account.on_drift.as_str().to_owned())),
        ],
        users: app
            .relay
            .users(account)?
            .into_iter()
            .map(|user| (user.account.to_string(), user_state(&user)))
            .collect(),
        grants: account.grants.iter().map(GrantRow::from).collect(),
        equivalents: Equivalents::of(&session, "GET", "/relay", None, &["relay", "show"]),
    }))
}

/// Whether the form, or the address, says that connections are closed, too.
#[derive(Deserialize)]
pub struct Closing {
    #[serde(default)]
    close: String,
}

/// Asks before an account is rotated; with `?close=1` its connections are closed.
pub async fn plan_rotation(app: App, session: Session) -> Result<Response> {
    let (name, closes) = (account_name(&session)?, session.query("close") == Some("1"));
    let path = path_to(name.as_str());
    let mut asked = Asked::of(name.as_str(), format!("{path}/rotate"), path);
    if closes {
        asked.words.push("--close-connections");
        asked.fields.push(("close", "1".to_owned()));
    }
    act::ask(&app, &session, &ROTATE, name.clone(), Rotation::closing(closes), asked).await
}

pub async fn rotate(app: App, session: Session, form: CheckedForm<Closing>) -> Result<Response> {
    let (name, closes) = (account_name(&session)?, form.input.close == "1");
    act::run(&app, &session, &form, &ROTATE, name.clone(), Rotation::closing(closes)).await?;
    plan::done(&session, &path_to(name.as_str()))
}

fn account_name(session: &Session) -> Result<AccountName> {
    AccountName::parse(session.param("account"))
        .map_err(|_| Error::not_found("the relay declares no account of this name"))
}

/// What handing over would do.
pub async fn plan_hand_over(app: App, session: Session) -> Result<Response> {
    let name = app.relay.account(&account_name(&session)?)?.name;
    let more = [
        "Opening it fetches the login in your name. The audit log has who made the link, and from where it was opened.",
    ];
    let api = format!("/relay/accounts/{}/wrap", url_encoded(name.as_str()));
    let equivalents =
        Equivalents::of(&session, "POST", &api, Some("{}"), &["claim", "--account", name.as_str(), "--wrap"]);
    plan::ask(&app, &session, hand_over::plan(name.as_str(), &path_to(name.as_str()), &more, equivalents)).await
}

/// Makes a link.
pub async fn hand_over(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let name = account_name(&session)?;
    let made = app.wraps.wrap_account(&session.caller, name.clone(), None, LASTS).await?;
    Ok(hand_over::done(&app, &session, name.as_str(), &path_to(name.as_str()), made).await)
}

fn user_state(user: &AccountStatus) -> State {
    let (tone, word) = match (user.settled, user.usable) {
        (false, _) => (Tone::Warning, "not settled"),
        (true, true) => (Tone::Well, "may log in"),
        (true, false) => (Tone::Well, "locked"),
    };
    State { tone, word: word.into() }
}
