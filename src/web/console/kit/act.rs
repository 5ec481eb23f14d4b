//! Pages that are made from an action of the domain: what it would do, and the button that does it.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::form::{CheckedForm, Nothing};
use super::plan::{self, Equivalents, Plan};
use super::routes::Routes;
use super::session::Session;
use crate::base::text::url_encoded;
use crate::base::{Error, Kind, Result};
use crate::domain::actions::relay::Profiled;
use crate::domain::actions::{About, Action, Done};
use crate::web::state::App;

/// What the page of an action has that is asked for by a form of its own.
#[derive(Default)]
pub struct Asked<'a> {
    /// As the route of the API has it.
    pub argument: &'a str,
    /// As people say it, where that is something else.
    pub name: Option<&'a str>,
    /// What the command is given, its argument first.
    pub words: Vec<&'a str>,
    /// The input as the query of the API has it, where it is not a body.
    pub query: String,
    /// The member of the input that holds secrets, which the example does not repeat.
    pub secret: &'static str,
    /// What the form brings along to be carried out.
    pub fields: Vec<(&'static str, String)>,
    /// Where the form goes to, and where one is who does not want it.
    pub path: String,
    pub back: String,
}

impl<'a> Asked<'a> {
    /// About what has one name for everybody, with the two places.
    pub fn of(argument: &'a str, path: String, back: String) -> Self {
        let words = if argument.is_empty() { Vec::new() } else { vec![argument] };
        Self { argument, words, path, back, ..Self::default() }
    }
}

/// A form with a declaration.
#[derive(Deserialize)]
pub struct Text {
    text: String,
    #[serde(default)]
    sure: String,
}

impl Routes {
    /// Serves an action: its plan, and its form. `back` is the page to go to afterwards, in which `{}` stands for the
    /// argument of the route.
    pub fn act<T, A, I>(self, path: &'static str, back: &'static str, action: &'static Action<T, A, I>) -> Self
    where
        T: Send + 'static,
        A: Send + 'static,
        I: Default + Serialize + Send + 'static,
    {
        let scope = action.about.scope;
        let show = move |app: App, session: Session| async move {
            let argument = session.argument().to_owned();
            let target = target(&app, &argument, action)?;
            let (path, back) = (placed(path, &argument), placed(back, &argument));
            ask(&app, &session, action, target, I::default(), Asked::of(&argument, path, back)).await
        };
        let carry_out = move |app: App, session: Session, form: CheckedForm<Nothing>| async move {
            let target = target(&app, session.argument(), action)?;
            run(&app, &session, &form, action, target, I::default()).await?;
            plan::done(&session, &placed(back, session.argument()))
        };
        self.get(path, scope, show).post(path, scope, carry_out)
    }
}

/// The page that shows what an action would do.
pub async fn ask<T, A, I: Serialize>(
    app: &App,
    session: &Session,
    action: &'static Action<T, A, I>,
    target: T,
    input: I,
    asked: Asked<'_>,
) -> Result<Response> {
    let about = &action.about;
    let mut body = serde_json::to_value(&input).map_err(|e| Error::internal("writing an example", e))?;
    if let Value::Object(members) = &mut body {
        members.retain(|_, value| !value.is_null());
        members.iter_mut().filter(|(name, _)| *name == asked.secret).for_each(|(_, value)| *value = "…".into());
    }
    let plan = Plan {
        title: replaced(about.page.0, '<', '>', asked.name.unwrap_or(asked.argument)),
        effects: (action.plan)(app.domain.clone(), session.caller.clone(), target, input).await?,
        weight: about.weight,
        equivalents: equivalents(session, about, &asked, body),
        action: asked.path,
        fields: asked.fields,
        button: about.page.1,
        back: asked.back,
    };
    plan::ask(app, session, plan).await
}

/// Carries an action out, for the reason of the form where it needs one.
pub async fn run<T, A, I, F>(
    app: &App,
    session: &Session,
    form: &CheckedForm<F>,
    action: &'static Action<T, A, I>,
    target: T,
    input: I,
) -> Result<A> {
    let caller = if action.about.weight.is_reasoned() { form.with_reason(session)? } else { session.caller.clone() };
    (action.run)(app.domain.clone(), caller, target, input).await
}

/// Shows what storing another declaration would mean; then stores it, and goes `back`. One that cannot be taken is handed
/// back with the reason, for the form at `path`. `file` is what the command is given.
pub async fn store(
    app: &App,
    session: &Session,
    given: &CheckedForm<Text>,
    action: &'static Action<(), Done, Profiled>,
    [file, path, back]: [&str; 3],
) -> Result<Response, (String, Error)> {
    // Browsers send line ends as networks have them.
    let text = given.input.text.replace("\r\n", "\n");
    let shown = if given.input.sure.is_empty() {
        let asked = Asked {
            words: vec![file],
            secret: if action.about.is_secret { "text" } else { "" },
            fields: vec![("text", text.clone()), ("sure", "yes".to_owned())],
            ..Asked::of("", path.to_owned(), path.to_owned())
        };
        ask(app, session, action, (), Profiled::of(&text), asked).await
    } else {
        let stored = run(app, session, given, action, (), Profiled::of(&text)).await;
        stored.and_then(|_| plan::done(session, back))
    };
    shown.map_err(|error| (text, error))
}

/// What a page is about. What cannot be a name is nothing's.
fn target<T, A, I>(app: &App, argument: &str, action: &Action<T, A, I>) -> Result<T> {
    (action.on)(&app.domain, argument).map_err(|error| match error.kind() {
        Kind::Invalid => Error::not_found("There is nothing of this name."),
        _ => error,
    })
}

/// The same by the API and by a command.
fn equivalents(session: &Session, about: &About, asked: &Asked<'_>, mut body: Value) -> Equivalents {
    let mut query: Vec<&str> = Vec::new();
    if !asked.query.is_empty() {
        body = Value::Null;
        query.push(&asked.query);
    }
    let mut words: Vec<&str> = about.command.split(' ').take_while(|word| !word.starts_with(['<', '-'])).collect();
    words.extend(&asked.words);
    if about.weight.is_reasoned() {
        words.extend(["--reason", "why"]);
        if about.asks_programs {
            body["reason"] = "why".into();
        } else {
            query.push("reason=why");
        }
    }
    let mut path = placed(about.path(), asked.argument);
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = (!body.is_null()).then(|| body.to_string());
    Equivalents::of(session, about.method(), &path, body.as_deref(), &words)
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
