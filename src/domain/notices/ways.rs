//! How notices leave: by mail, as files, through the notify service or to the webhook.

use super::record::{Channel, Place, Record};
use crate::base::{Error, MailAddress, Result, Timestamp};
use crate::ports::mail::{Letter, Smtp};
use crate::ports::notify::Notify;
use crate::ports::spool::Spool;
use crate::ports::webhook::{Event, Webhook};

/// How notices leave this appliance, as the operator settled it. What waits goes by the ways of the day it goes.
pub struct Ways {
    pub mail: MailWay,
    pub webhook: Option<Webhook>,
}

pub enum MailWay {
    /// Through the notify service of a Taskcluster deployment.
    Notify(Notify),
    Smtp(Smtp),
    Spool(Spool),
}

impl Ways {
    /// Makes one delivery and returns the name of the way. `Invalid` when it will never be taken.
    pub(super) async fn send(
        &self,
        place: &Place,
        record: &Record,
        channel: &Channel,
        now: Timestamp,
    ) -> Result<&'static str> {
        match channel {
            Channel::Mail(address) => {
                let letter = Letter {
                    id: place.to_string(),
                    to: MailAddress::parse(address)?,
                    subject: record.subject.clone(),
                    body: if record.body.is_empty() { record.subject.clone() } else { record.body.clone() },
                    written: record.posted,
                };
                self.mail.send(&letter, now).await
            }
            Channel::Webhook => {
                let webhook = self.webhook.as_ref();
                let webhook = webhook.ok_or_else(|| Error::unavailable("no webhook is configured any more"))?;
                let Record { kind, about, subject, body, posted, .. } = record;
                let id = place.id.to_string();
                webhook.send(&Event { id: &id, kind, about, subject, body, time: *posted }, now).await?;
                Ok("webhook")
            }
        }
    }
}

/// How the way of mail is, looked at without sending any.
pub enum WayState {
    /// It goes through the notify service, which is not asked.
    Notify,
    /// Whether the mail server takes us.
    Smtp(Result<()>),
    /// How many mails lie in the directory, and their bytes.
    Spool(Result<(usize, u64)>),
}

impl MailWay {
    /// What it is, in a word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Notify(_) => "the notify service",
            Self::Smtp(_) => "the mail server",
            Self::Spool(_) => "a directory, from where nobody takes it: see SMTP_URL",
        }
    }

    pub(super) async fn look(&self) -> WayState {
        match self {
            Self::Notify(_) => WayState::Notify,
            Self::Smtp(smtp) => WayState::Smtp(smtp.greet().await),
            Self::Spool(spool) => WayState::Spool(spool.lying().await),
        }
    }

    async fn send(&self, letter: &Letter, now: Timestamp) -> Result<&'static str> {
        match self {
            Self::Notify(notify) => notify.send(letter, now).await.map(|()| "notify"),
            Self::Smtp(smtp) => smtp.send(letter).await.map(|()| "smtp"),
            Self::Spool(spool) => spool.send(letter).await.map(|()| "spool"),
        }
    }
}
