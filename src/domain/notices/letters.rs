//! Notices as operators see them, and what operators do with dead letters.

use super::record::{Brief, Channel, End, NOTICES, NoticeId, OUTBOX, Place, Waiting};
use super::{Notice, Notices, no_such};
use crate::base::audit::Action;
use crate::base::{Error, MailAddress, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::store::ReadTx;

/// Longest page of a list.
pub const PAGE_LEN_MAX: usize = 1000;

/// Which notices a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
    /// Those with a delivery that still has to be made.
    Waiting,
    /// Those with a dead letter.
    Dead,
}

impl Filter {
    pub(super) fn admits(self, brief: &Brief) -> bool {
        match self {
            Self::All => true,
            Self::Waiting => !brief.is_over(),
            Self::Dead => brief.is_dead(),
        }
    }
}

/// A notice with its text.
#[derive(Clone, Debug)]
pub struct Letter {
    pub listed: Listed,
    pub body: String,
}

/// A notice as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id; older ones are smaller.
    pub id: NoticeId,
    /// What kind of thing happened.
    pub kind: String,
    /// The name of the thing.
    pub about: String,
    pub subject: String,
    pub posted: Timestamp,
    /// Who hears of it, and how far that is. Nobody, when there was neither contact nor webhook.
    pub deliveries: Vec<(Channel, State)>,
}

/// How far a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not tried yet.
    Pending,
    /// It was tried and will be again.
    Retrying {
        /// How often it was tried.
        attempts: u32,
        /// When the next try may begin.
        due: Timestamp,
        /// Why the last one failed.
        fault: String,
    },
    Over(End),
}

pub(super) fn listed(tx: &ReadTx<'_>, id: NoticeId, brief: Brief) -> Result<Listed> {
    let Brief { kind, about, subject, posted, deliveries } = brief;
    let mut states = Vec::new();
    for (index, delivery) in deliveries.into_iter().enumerate() {
        let state = match delivery.end {
            Some(end) => State::Over(end),
            None => tx.get(&OUTBOX, &Place { id: id.clone(), index })?.map_or(State::Pending, State::from),
        };
        states.push((delivery.channel, state));
    }
    Ok(Listed { id, kind, about, subject, posted, deliveries: states })
}

impl From<Waiting> for State {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting { attempts: 0, .. } => Self::Pending,
            Waiting { attempts, due, fault, .. } => Self::Retrying { attempts, due, fault: fault.unwrap_or_default() },
        }
    }
}

impl Notices {
    /// Sends a notice that says nothing but that notices arrive.
    pub async fn post_test(&self, caller: &Caller, to: MailAddress) -> Result<NoticeId> {
        let (this, caller) = (self.clone(), caller.clone());
        self.store
            .write(move |tx| {
                tx.audit(caller.note(Action::NoticeTest, &to));
                let notice = Notice {
                    kind: "notice.test",
                    about: "keylender".to_owned(),
                    to: vec![to.to_string()],
                    subject: "a test of Keylender's notices".to_owned(),
                    body: format!("{} asked for this test. There is nothing to do.\n", caller.actor()),
                };
                this.post_by(tx, caller.actor(), notice)
            })
            .await
    }

    /// Tries the dead letters of a notice again, with their old ids. Returns how many there were; a notice without any
    /// is a conflict.
    pub async fn resend(&self, id: &NoticeId, caller: &Caller) -> Result<usize> {
        let (id, caller) = (id.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let mut record = tx.get(&NOTICES, &id)?.ok_or_else(|| no_such(&id))?;
                let digest = record.kind == super::digest::KIND;
                let mut count = 0;
                for (index, delivery) in record.deliveries.iter_mut().enumerate() {
                    if delivery.end.as_ref().is_some_and(End::is_dead) {
                        delivery.end = None;
                        let waiting = Waiting::new(delivery.channel.clone(), tx.now(), digest);
                        tx.put(&OUTBOX, &Place { id: id.clone(), index }, &waiting)?;
                        count += 1;
                    }
                }
                if count == 0 {
                    return Err(Error::conflict("this notice has no dead letter"));
                }
                tx.put(&NOTICES, &id, &record)?;
                tx.audit(caller.note(Action::NoticeResend, &id).with("count", count));
                Ok(count)
            })
            .await
    }

    /// Forgets a notice with dead letters. One without any, or with a delivery that is still tried, is a conflict.
    pub async fn drop_dead(&self, id: &NoticeId, caller: &Caller) -> Result<()> {
        let (id, caller) = (id.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let brief = tx.get(&super::BRIEFS, &id)?.ok_or_else(|| no_such(&id))?;
                if !brief.is_over() || !brief.is_dead() {
                    return Err(Error::conflict("only a notice that was given up can be dropped"));
                }
                tx.delete(&NOTICES, &id);
                tx.audit(caller.note(Action::NoticeDrop, &id).with("kind", brief.kind).with("about", brief.about));
                Ok(())
            })
            .await
    }
}
