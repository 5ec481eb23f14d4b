//! What people may do with archives of queues.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Because, Done, Weight, any_name};
use crate::base::{ArchiveName, Error, Result, Span, Timestamp};
use crate::domain::Domain;
use crate::domain::archives::{self, Archive};
use crate::domain::auth::scopes;
use crate::domain::queues::NamespaceQueue;

const ABOUT: About =
    About { argument: ("ARCHIVE", "The archive"), weight: Weight::Reasoned, asks_programs: true, ..super::ABOUT };
/// The type of a queue of a broker that does not say it: those have no other.
const CLASSIC: &str = "classic";
const STREAM: &str = "stream";

/// An archive, as it is told outside.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub archive: String,
    queue: String,
    namespace: String,
    /// Type of the queue: `classic`, `quorum` or `stream`.
    #[serde(rename = "type")]
    kind: String,
    taken: Timestamp,
    /// Not there while it is being taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<Timestamp>,
    messages: u64,
    payload_bytes: u64,
    file_bytes: u64,
    /// Hash of the end of its chain; not there until it is finished.
    #[serde(skip_serializing_if = "String::is_empty")]
    head: String,
    why: String,
    /// Messages that were left in the queue.
    arrived: u64,
    /// Why it does not hold all that it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<Archive> for Told {
    fn from(archive: Archive) -> Self {
        Self {
            archive: archive.name.to_string(),
            queue: archive.queue,
            namespace: archive.namespace.to_string(),
            kind: archive.kind,
            taken: archive.taken,
            finished: archive.finished,
            messages: archive.messages,
            payload_bytes: archive.payload_bytes,
            file_bytes: archive.file_bytes,
            head: archive.head,
            why: archive.why,
            arrived: archive.arrived,
            problem: archive.problem,
        }
    }
}

/// Where the messages of an archive go to, and how fast.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Way {
    /// The queue that gets them. Unless it is said, the one that they were taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// At most so many messages in a second. Unless it is said, as fast as the broker takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<NonZeroU32>,
    // Read for all inputs alike.
    #[serde(default, rename = "reason")]
    #[schemars(!default)]
    _reason: String,
}

impl Way {
    pub fn new(to: Option<String>, per_second: Option<NonZeroU32>) -> Self {
        Self { to, per_second, _reason: String::new() }
    }
}

/// What a replay did.
#[derive(JsonSchema, Serialize)]
pub struct Replayed {
    /// The queue that has the messages now.
    queue: String,
    /// Messages that were published.
    messages: u64,
    /// Those before them, which a replay that was broken off had published.
    skipped: u64,
    /// How many of them went without the name of another user, or without copies to further queues.
    changed: u64,
}

impl From<archives::Replayed> for Replayed {
    fn from(archives::Replayed { queue, messages, skipped, changed }: archives::Replayed) -> Self {
        Self { queue, messages, skipped, changed }
    }
}

pub const TAKE: Action<String, Told, Because> = Action {
    about: About {
        name: "takeArchive",
        route: "POST /queues/<queue>/archive",
        scope: scopes::ARCHIVE_TAKE,
        command: "queue archive take <queue> --reason <why>",
        argument: ("NAME", "The queue"),
        example: "queue/taskcluster-builds/jobs --reason 'poisoned, and wanted later'",
        says: "Takes the messages of a queue that wait out of it, into a sealed file.",
        page: ("Archive a queue", "Take them out"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, _| {
        let queue = domain.queues.show(&name).await?.queue;
        if queue.exclusive == Some(true) {
            return Err(Error::conflict("the queue belongs to a connection, which alone may read it"));
        }
        let messages = queue.messages.map_or_else(|| "not told how many".to_owned(), |count| count.to_string());
        let first = match queue.kind.as_deref() {
            Some(STREAM) => format!("The messages of {name} are copied into an archive; the stream keeps them."),
            _ => format!("The messages of {name} that wait are taken out, into an archive: {messages} are in it now."),
        };
        Ok(vec![
            first,
            "Those that a consumer has in hand stay, and those that come meanwhile. The queue and its bindings stay."
                .into(),
            "A replay brings them back, until the archive is deleted or older than ARCHIVE_KEEP.".into(),
        ])
    }),
    run: work!(|domain, caller, name, _| {
        let NamespaceQueue { namespace, queue, .. } = domain.queues.show(&name).await?;
        let (kind, why) = (queue.kind.as_deref().unwrap_or(CLASSIC), caller.reason()?);
        let taken = domain.archives.take(caller.actor(), &name, &namespace, kind, why.as_str()).await?;
        Ok(Told::from(taken))
    }),
};

pub const REPLAY: Action<ArchiveName, Replayed, Way> = Action {
    about: About {
        name: "replayArchive",
        route: "POST /archives/<archive>/replay",
        scope: scopes::ARCHIVE_REPLAY,
        command: "queue archive replay <archive> --reason <why>",
        example: "20261130T012345Z-3f9c2a --per-second 500 --reason 'it is mended'",
        says: "Publishes the messages of an archive into its queue, or into another one of a namespace.",
        page: ("Replay <archive>", "Replay it"),
        ..ABOUT
    },
    on: |_, text| ArchiveName::parse(text),
    plan: work!(|domain, _, name, way| {
        let archive = finished(&domain, &name).await?;
        let queue = destination(&domain, &archive, way.to).await?;
        let mut effects = vec![format!(
            "{} messages are published into {queue}, in their order, behind those that are in it. Its consumers get them.",
            archive.messages
        )];
        effects.extend(way.per_second.map(|rate| pace(archive.messages, rate)));
        effects
            .push("Messages that were published in the name of a user go without it, and without copies (CC).".into());
        effects.push(
            "One that was broken off goes on behind the last message that the broker confirmed. The archive stays."
                .into(),
        );
        effects.extend(archive.problem.map(|problem| format!("It does not hold all that it should: {problem}.")));
        Ok(effects)
    }),
    run: work!(|domain, caller, name, way| {
        let archive = finished(&domain, &name).await?;
        let queue = destination(&domain, &archive, way.to).await?;
        let per_second = way.per_second.map(NonZeroU32::get);
        domain.archives.replay(&caller, &name, Some(queue), per_second).await.map(Replayed::from)
    }),
};

pub const DELETE: Action<ArchiveName, Done, Because> = Action {
    about: About {
        name: "deleteArchive",
        route: "POST /archives/<archive>/delete",
        scope: scopes::ARCHIVE_DELETE,
        command: "queue archive delete <archive> --reason <why>",
        example: "20261130T012345Z-3f9c2a --reason 'it was replayed'",
        says: "Deletes an archive with its messages.",
        page: ("Delete <archive>", "Delete it"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| ArchiveName::parse(text),
    plan: work!(|domain, _, name, _| {
        let archive = finished(&domain, &name).await?;
        Ok(vec![
            format!("The {} messages that were taken from {} are deleted with it.", archive.messages, archive.queue),
            "Those that were not replayed are then nowhere.".into(),
        ])
    }),
    run: done!(|domain, caller, name, _| domain.archives.delete(&caller, &name)),
};

/// An archive that is whole as far as its file goes.
async fn finished(domain: &Domain, name: &ArchiveName) -> Result<Archive> {
    let archive = domain.archives.show(name).await?;
    if archive.finished.is_none() {
        return Err(Error::conflict("the archive is not finished: it is being taken, or waits to be mended"));
    }
    Ok(archive)
}

/// The queue of a namespace that a replay goes to. Of others nothing is touched, so nothing is published there.
async fn destination(domain: &Domain, archive: &Archive, to: Option<String>) -> Result<String> {
    let queue = to.unwrap_or_else(|| archive.queue.clone());
    domain.queues.show(&queue).await?;
    Ok(queue)
}

/// How long a replay takes at most so many messages in a second.
fn pace(messages: u64, rate: NonZeroU32) -> String {
    let seconds = messages.div_ceil(u64::from(rate.get()));
    let lasts = Span::from_millis(i64::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(i64::MAX));
    format!("At most {rate} in a second, so it takes {lasts} at least.")
}
