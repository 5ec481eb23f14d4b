//! Pages that are made from an action of the domain: what it would do, and the button that does it.

use axum::response::Response;

use super::form::{CheckedForm, Nothing};
use super::plan::{self, Equivalents, Plan};
use super::routes::Routes;
use super::session::Session;
use crate::base::text::url_encoded;
use crate::base::{Error, Kind, Result};
use crate::domain::actions::{About, Action};
use crate::web::state::App;

impl Routes {
    /// Serves an action: its plan, and its form. `back` is the page to go to afterwards, in which `{}` stands for the
    /// argument of the route.
    pub fn act<T, A>(self, path: &'static str, back: &'static str, action: &'static Action<T, A>) -> Self
    where
        T: Send + 'static,
        A: Send + 'static,
    {
        let scope = action.about.scope;
        self.get(path, scope, move |app, session| ask(app, session, path, back, action)).post(
            path,
            scope,
            move |app, session, form| run(app, session, form, back, action),
        )
    }
}

async fn ask<T, A>(
    app: App,
    session: Session,
    path: &'static str,
    back: &'static str,
    action: &'static Action<T, A>,
) -> Result<Response> {
    let (about, argument) = (&action.about, session.argument().to_owned());
    let target = target(&app, &argument, action)?;
    let plan = Plan {
        title: filled(about.title, &argument),
        effects: (action.plan)(app.domain.clone(), target).await?,
        weight: about.weight,
        action: placed(path, &argument),
        fields: Vec::new(),
        button: about.button,
        back: placed(back, &argument),
        equivalents: equivalents(&session, about, &argument),
    };
    plan::ask(&app, &session, plan).await
}

async fn run<T, A>(
    app: App,
    session: Session,
    form: CheckedForm<Nothing>,
    back: &'static str,
    action: &'static Action<T, A>,
) -> Result<Response> {
    let caller = if action.about.weight.is_reasoned() { form.with_reason(&session)? } else { session.caller.clone() };
    let target = target(&app, session.argument(), action)?;
    (action.run)(app.domain.clone(), caller, target).await?;
    plan::done(&session, &placed(back, session.argument()))
}

/// What a page is about. What cannot be a name is nothing's.
fn target<T, A>(app: &App, argument: &str, action: &Action<T, A>) -> Result<T> {
    (action.on)(&app.domain, argument).map_err(|error| match error.kind() {
        Kind::Invalid => Error::not_found("There is nothing of this name."),
        _ => error,
    })
}

/// The same by the API and by a command.
fn equivalents(session: &Session, about: &About, argument: &str) -> Equivalents {
    let (mut path, mut body) = (placed(about.route, argument), None);
    let mut words: Vec<&str> =
        about.command.split(' ').map(|word| if word.starts_with('<') { argument } else { word }).collect();
    if about.weight.is_reasoned() {
        words.extend(["--reason", "why"]);
        if about.asks_programs {
            body = Some(r#"{"reason":"why"}"#);
        } else {
            path.push_str("?reason=why");
        }
    }
    Equivalents::of(session, about.method, &path, body, &words)
}

/// A text with the argument where it stands for it, as people read it.
fn filled(text: &str, argument: &str) -> String {
    replaced(text, '<', '>', argument)
}

/// A path with the argument where it stands for it.
fn placed(path: &str, argument: &str) -> String {
    let argument = url_encoded(argument);
    replaced(&replaced(path, '<', '>', &argument), '{', '}', &argument)
}

fn replaced(text: &str, open: char, close: char, by: &str) -> String {
    match text.split_once(open).and_then(|(before, rest)| Some((before, rest.split_once(close)?.1))) {
        Some((before, after)) => format!("{before}{by}{after}"),
        None => text.to_owned(),
    }
}
