//! Investigators of the relay: whose keys agents know, and what their signatures weigh.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use crate::base::{Result, Timestamp};
use crate::domain::auth::scopes;
use crate::proto::mig::acl::Acl;
use crate::proto::relay_profile::{Investigator, Part, PartKind};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

/// An investigator, with what agents do not look at.
struct Row {
    investigator: Investigator,
    remarks: Vec<&'static str>,
}

const INVESTIGATORS: Table<Row> = Table {
    name: "investigators",
    caption: "Investigators",
    columns: &[
        Column { name: "name", title: "Name", cell: |it| Cell::text(&it.investigator.name) },
        Column { name: "key", title: "Key of", cell: |it| Cell::text(it.investigator.key.user_ids.join(", ")) },
        Column { name: "algorithm", title: "Algorithm", cell: |it| Cell::text(it.investigator.key.algorithm) },
        Column { name: "fingerprint", title: "Fingerprint", cell: |it| Cell::text(&it.investigator.key.fingerprint) },
        Column { name: "weights", title: "Weights", cell: |it| Cell::text(weights(&it.investigator)) },
        Column {
            name: "until",
            title: "Key ends",
            cell: |it| Cell::time(it.investigator.key.expires.map(|end| moment(Duration::from_secs(end)))),
        },
        Column { name: "remarks", title: "Remarks", cell: |it| Cell::text(it.remarks.join("; ")) },
    ],
    sort: "name",
    select: None,
    empty: ("The profile declares no investigator.", "keylender relay profile"),
};

#[derive(Template)]
#[template(path = "console/relay_investigators.html")]
struct Page {
    frame: Frame,
    /// Modules, what signatures must weigh together, and what all weigh that there are.
    modules: Vec<(Untrusted<'static>, u32, u32)>,
    warnings: Vec<Untrusted<'static>>,
    may_edit: bool,
    table: View,
    equivalents: Equivalents,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let declared = app.relay.declared()?;
    let now = session.now.since(moment(Duration::ZERO)).as_secs();
    let rows = declared
        .profile
        .investigators()
        .iter()
        .map(|investigator| Row { remarks: investigator.key.ignored_by_mig(now), investigator: investigator.clone() });
    match INVESTIGATORS.show(&session, rows.collect()).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let acl = declared.profile.acl();
            let is_of_agents = |part: &&Part| matches!(part.kind, PartKind::Acl | PartKind::Agent);
            let mut agents = declared.profile.parts().iter().filter(is_of_agents);
            let is_old = agents.any(|part| part.age.is_before_2018());
            Ok(page(&Page {
                frame: Frame::of(&app, &session, "Investigators").await,
                modules: acl
                    .map(Acl::sums)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(module, least, most)| (Untrusted::of(module.to_owned()), least, most))
                    .collect(),
                warnings: acl
                    .map(|acl| acl.warnings(is_old))
                    .unwrap_or_default()
                    .into_iter()
                    .map(Untrusted::of)
                    .collect(),
                may_edit: session.may(scopes::RELAY_PROFILE),
                table,
                equivalents: Equivalents::of(&session, "GET", "/relay/profile", None, &["relay", "profile"]),
            }))
        }
    }
}

fn weights(Investigator { weights, .. }: &Investigator) -> String {
    weights.iter().map(|(module, weight)| format!("{module} {weight}")).collect::<Vec<_>>().join(", ")
}

/// So long after 1970.
fn moment(after: Duration) -> Timestamp {
    Timestamp::from_millis(0).plus(after)
}
