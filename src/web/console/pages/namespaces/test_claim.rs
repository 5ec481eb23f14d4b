//! A claim for a test: the way there from the list, what it will do, and what it came to.

use askama::Template;
use axum::response::Response;

use crate::base::{Error, Result};
use crate::domain::namespaces::{TEST_CLAIM_LASTS, TestClaim};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::{Session, see_other};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// From the field on the list to the plan of the namespace that it names.
pub async fn choose(app: App, session: Session) -> Result<Response> {
    let name = app.namespaces.parse(session.query("name").unwrap_or_default().trim())?;
    Ok(see_other(&format!("{}/namespaces/{name}/test", session.root)))
}

/// What a claim for a test would do.
pub async fn plan_test(app: App, session: Session) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    let end = match app.namespaces.detail(&name) {
        Ok(detail) => format!("It is there: its end ({}) and its contact stay as they are.", detail.times.expires),
        Err(_) => format!(
            "It is not there: it is made, with two users at the broker, and goes by itself after {} minutes.",
            TEST_CLAIM_LASTS.as_secs() / 60
        ),
    };
    let (path, command) = (format!("/namespaces/{name}/test"), ["namespace", "test", name.as_str()]);
    let plan = Plan {
        title: format!("Claim {name} for a test"),
        effects: vec![
            "It is claimed in your name, as a service would claim it. The audit log and the list of leases have it."
                .to_owned(),
            end,
            "Keylender logs in to the broker over AMQP with what the claim brought, and leaves at once.".to_owned(),
            "The password is shown to nobody.".to_owned(),
        ],
        weight: Weight::Light,
        fields: Vec::new(),
        button: "Claim it",
        back: "/namespaces".to_owned(),
        equivalents: Equivalents::of(&session, "POST", &path, None, &command),
        action: path,
    };
    plan::ask(&app, &session, plan).await
}

#[derive(Template)]
#[template(path = "console/namespace_tested.html")]
struct Tested {
    frame: Frame,
    name: String,
    account: String,
    address: String,
    took_ms: u128,
    login: State,
    cause: Option<Untrusted<'static>>,
    reclaim_at: TimeTag,
    expires: TimeTag,
    entry: Option<u64>,
}

/// Claims a namespace for a test.
pub async fn test(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    let claim = app.namespaces.claim_for_test(&session.caller, &name).await;
    let TestClaim { account, address, reclaim_at, expires, took, login } =
        claim.map_err(|error| match error.kind() {
            crate::base::Kind::Unavailable => {
                Error::unavailable(format!("The claim failed: {}.", error.message())).because(error)
            }
            _ => error,
        })?;
    let (tone, word) = match &login {
        Ok(true) => (Tone::Well, "the broker lets it in"),
        Ok(false) => (Tone::Unwell, "the broker refuses it"),
        Err(_) => (Tone::Warning, "not known"),
    };
    let time = |at| TimeTag { at, now: session.now };
    Ok(page(&Tested {
        frame: Frame::of(&app, &session, format!("Claimed {name} for a test")).await,
        name: name.to_string(),
        account,
        address,
        took_ms: took.as_millis(),
        login: State { tone, word: word.into() },
        cause: login.err().map(Untrusted::of),
        reclaim_at: time(reclaim_at),
        expires: time(expires),
        entry: session.caller.receipt(),
    }))
}
