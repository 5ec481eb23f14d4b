//! Our own API: who had what, at a moment or over time, as the audit log tells it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{Error, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::history::{self, Begins, End, History, Holding, Wanted};
use crate::web::state::App;

/// Rows of one answer. A filter finds the others.
const HELD_MAX: usize = 10_000;

const OBJECT: QueryParameter = QueryParameter { name: "object", pattern: "/^.+$/", matches: |text| !text.is_empty() };
const HOLDER: QueryParameter = QueryParameter { name: "holder", pattern: "/^.+$/", matches: |text| !text.is_empty() };

static AT: Endpoint = Endpoint {
    query: &[QueryParameter::time("time"), OBJECT, HOLDER],
    ..endpoint("heldAt", "/audit/at", scopes::AUDIT_READ, "Says who had what at a time.")
        .command("audit at <time>")
        .answers::<HistoryBody>()
};
static HELD: Endpoint = Endpoint {
    query: &[OBJECT, HOLDER, QueryParameter::time("since"), QueryParameter::time("until")],
    ..endpoint("held", "/audit/held", scopes::AUDIT_READ, "Says who had something over time, or what somebody had.")
        .command("audit held --object <object>")
        .answers::<HistoryBody>()
};

pub(super) fn routes() -> Routes {
    Routes::default().serve(&AT, nothing, at).serve(&HELD, nothing, over_time)
}

#[derive(Serialize, JsonSchema)]
struct HistoryBody {
    held: Vec<HeldBody>,
    /// Whether there is more than is shown.
    more: bool,
    /// Whether the log has its beginning, or has one after the time that was asked for.
    #[serde(rename = "reachesBack")]
    reaches_back: bool,
    /// The first entry that is left of the log, when older ones were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins: Option<Beginning>,
    /// Entries that this version cannot read.
    unreadable: u64,
}

#[derive(Serialize, JsonSchema)]
struct Beginning {
    seq: u64,
    time: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HeldBody {
    kind: &'static str,
    object: String,
    part: String,
    holder: String,
    from: Option<String>,
    since: Timestamp,
    last_lent: Timestamp,
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
}

impl From<Holding> for HeldBody {
    fn from(holding: Holding) -> Self {
        Self {
            kind: holding.kind.as_str(),
            object: holding.object,
            part: holding.part,
            holder: holding.holder,
            from: holding.from,
            since: holding.since,
            last_lent: holding.last,
            until: holding.until.map(|(until, _)| until),
            ended: holding.until.map(|(_, why)| match why {
                End::Replaced => "replaced",
                End::Removed => "removed",
                End::Over => "over",
            }),
        }
    }
}

async fn at(app: App, call: Call, (): ()) -> Result<Reply> {
    let time = call.time("time").ok_or_else(|| Error::invalid("say which time: ?time=2026-11-20T14:03:00Z"))?;
    let text = |name| call.query(name).map(str::to_owned);
    let wanted = Wanted { object: text("object"), holder: text("holder"), since: Some(time), until: Some(time) };
    answer(app, wanted, time).await
}

async fn over_time(app: App, call: Call, (): ()) -> Result<Reply> {
    let text = |name| call.query(name).map(str::to_owned);
    let (since, until) = (call.time("since"), call.time("until"));
    let wanted = Wanted { object: text("object"), holder: text("holder"), since, until };
    if wanted.object.is_none() && wanted.holder.is_none() {
        return Err(Error::invalid("say of which object or holder: ?object= or ?holder="));
    }
    answer(app, wanted, since.unwrap_or(Timestamp::MIN)).await
}

/// `asked` is the earliest moment that the answer is about.
async fn answer(app: App, wanted: Wanted, asked: Timestamp) -> Result<Reply> {
    let History { holdings, more, begins, unreadable } = history::of(&app.store, wanted).await?;
    Reply::json(&HistoryBody {
        more: more || holdings.len() > HELD_MAX,
        held: holdings.into_iter().take(HELD_MAX).map(HeldBody::from).collect(),
        reaches_back: begins.is_none_or(|begins| begins.time <= asked),
        begins: begins.map(|Begins { seq, time }| Beginning { seq, time }),
        unreadable,
    })
}
