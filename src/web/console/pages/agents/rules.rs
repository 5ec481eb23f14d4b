//! What operators decide beforehand about agents that knock.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::{capitalized, url_encoded};
use crate::base::{Error, Result};
use crate::domain::actions::fleet::{Ruling, SET_RULE};
use crate::domain::agents::{AgentRule, AgentRuled};
use crate::domain::auth::scopes;
use crate::proto::formats;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

const PATH: &str = "/agents/rules";

/// A rule, and whether whoever looks may remove it.
struct Row {
    rule: AgentRule,
    ruled: AgentRuled,
    may_change: bool,
}

const RULES: Table<Row> = Table {
    name: "agent-rules",
    caption: "Rules",
    columns: &[
        Column { name: "rule", title: "Rule", cell: |it| Cell::text(&it.rule) },
        Column { name: "since", title: "Since", cell: |it| Cell::time(it.ruled.since) },
        Column { name: "until", title: "Until", cell: |it| Cell::time(it.ruled.until) },
        Column { name: "by", title: "By", cell: |it| Cell::text(&it.ruled.by) },
        Column { name: "reason", title: "Reason", cell: |it| Cell::text(&it.ruled.reason) },
        Column {
            name: ACT,
            title: "Change",
            cell: |it| {
                let path = || format!("{PATH}/{}/remove", url_encoded(&it.rule.to_string()));
                Cell::act("Remove", it.may_change.then(path))
            },
        },
    ],
    // As they are asked.
    sort: "",
    select: None,
    empty: (
        "There is no rule: an operator decides about each agent that knocks. A rule lets in, or keeps out, who fits:",
        "keylender agent rule 'approve zone *.example.net' --reason ours",
    ),
};

#[derive(Template)]
#[template(path = "console/agents_rules.html")]
struct Page {
    frame: Frame,
    problem: String,
    input: Input,
    may_change: bool,
    table: View,
    equivalents: Equivalents,
}

/// What the form says.
#[derive(Clone, Default, Deserialize)]
pub struct Input {
    rule: String,
    #[serde(default)]
    until: String,
}

impl Input {
    fn rule(&self) -> Result<AgentRule> {
        self.rule.parse()
    }

    fn ruling(&self) -> Ruling {
        Ruling::until(Some(self.until.trim().to_owned()).filter(|until| !until.is_empty()))
    }

    /// The rule, if all that was typed can be read.
    fn read(&self) -> Result<AgentRule> {
        if !self.until.trim().is_empty() {
            let read = formats::date_time(self.until.trim());
            read.map_err(|_| Error::invalid("expected a time as the end, such as 2027-01-31T00:00:00Z"))?;
        }
        self.rule()
    }
}

pub async fn rules(app: App, session: Session) -> Result<Response> {
    shown(&app, &session, Input::default(), None).await
}

async fn shown(app: &App, session: &Session, input: Input, problem: Option<Error>) -> Result<Response> {
    let may_change = session.may(scopes::AGENT_ADMIT);
    let rows = app.agents.rules().await?.into_iter().map(|(rule, ruled)| Row { rule, ruled, may_change }).collect();
    match RULES.show(session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(app, session, "Rules about agents").await,
            problem: problem.map(|error| format!("{}.", capitalized(error.message()))).unwrap_or_default(),
            input,
            may_change,
            table,
            equivalents: Equivalents::of(session, "GET", PATH, None, &["agent", "rules"]),
        })),
    }
}

/// What a rule would do; or the form again, with what was typed and what is wrong with it.
pub async fn ask_rule(app: App, session: Session) -> Result<Response> {
    let text = |name| session.query(name).unwrap_or_default().to_owned();
    let input = Input { rule: text("rule"), until: text("until") };
    let rule = match input.read() {
        Ok(rule) => rule,
        Err(error) => return shown(&app, &session, input, Some(error)).await,
    };
    let (listed, until) = (rule.to_string(), input.until.trim().to_owned());
    let mut asked = Asked::of(&listed, format!("{PATH}/add"), PATH.to_owned());
    if !until.is_empty() {
        asked.words.extend(["--until", &until]);
    }
    asked.fields = vec![("rule", listed.clone()), ("until", until.clone())];
    act::ask(&app, &session, &SET_RULE, rule, input.ruling(), asked).await
}

pub async fn add_rule(app: App, session: Session, form: CheckedForm<Input>) -> Result<Response> {
    let (rule, ruling) = (form.input.read()?, form.input.ruling());
    act::run(&app, &session, &form, &SET_RULE, rule, ruling).await?;
    plan::done(&session, PATH)
}
