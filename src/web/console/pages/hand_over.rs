//! Handing over: a link that shows credentials once, to whoever opens it.

use askama::Template;
use axum::response::Response;

use crate::domain::wraps::{LASTS, Made};
use crate::store::Lent;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::TimeTag;
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/handed_over.html")]
struct HandedOver {
    frame: Frame,
    name: String,
    back: String,
    link: String,
    until: TimeTag,
}

/// What making a link would do. `more` is what is said besides.
pub(super) fn plan(name: &str, path: &str, more: &[&str], equivalents: Equivalents) -> Plan {
    let minutes = LASTS.as_secs() / 60;
    let first = format!(
        "You get a link that shows the credentials of {name} once, to whoever opens it within {minutes} minutes."
    );
    Plan {
        title: format!("Hand over {name}"),
        effects: std::iter::once(first).chain(more.iter().map(|it| (*it).to_owned())).collect(),
        weight: Weight::Light,
        action: format!("{path}/hand-over"),
        fields: Vec::new(),
        button: "Make a link",
        back: path.to_owned(),
        equivalents,
    }
}

/// A link that was made. It is shown here and nowhere else; the store keeps a hash.
pub(super) async fn done(app: &App, session: &Session, name: &str, back: &str, made: Lent<Made>) -> Response {
    let made = made.into_inner();
    let path = format!("/wraps/{}", made.token.expose());
    page(&HandedOver {
        frame: Frame::of(app, session, format!("Hand over {name}")).await,
        name: name.to_owned(),
        back: back.to_owned(),
        link: format!("{}{path}", our_url(app, session)),
        until: TimeTag { at: made.until, now: session.now },
    })
}

/// Where others reach us, without a slash at the end.
pub(super) fn our_url(app: &App, session: &Session) -> String {
    match &app.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("{}://{}", if session.origin.peer.is_https { "https" } else { "http" }, session.host),
    }
}
