//! Opening a link: once, and whoever comes second is news to those who should have been the first.

use std::net::IpAddr;

use super::{Handed, WRAPS, Wrap, WrapId, Wraps, no_such};
use crate::base::audit::{Action, Outcome};
use crate::base::{Error, Kind, NamespaceName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::namespaces::{Claim, Claimed};
use crate::domain::notices::Notice;
use crate::domain::relay::Login;
use crate::store::{Lent, WriteTx};

/// Who opens a link: anybody who has it.
#[derive(Clone, Copy, Debug)]
pub struct Opener<'a> {
    pub address: IpAddr,
    /// The id of the request, for the audit log.
    pub request_id: &'a str,
}

/// What a link says of itself before it is opened.
#[derive(Clone, Debug)]
pub struct Look {
    pub handed: Handed,
    pub by: String,
    /// Until when it can be opened.
    pub until: Timestamp,
}

/// What is handed out.
#[derive(Debug)]
pub enum Opened {
    Namespace(Box<Claimed>),
    Account(Box<Login>),
}

/// What the first step of an opening came to.
enum Step {
    Claim(Box<Wrap>),
    Refused(Error),
}

impl Wraps {
    /// What a link would hand over. Changes nothing: programs that look at links do not use them up. `NotFound` for one
    /// that there is not; `Conflict` for one that is over.
    pub fn look(&self, token: &str) -> Result<Look> {
        self.store.read(|tx| {
            let wrap = tx.get(&WRAPS, &WrapId::of(token))?.ok_or_else(no_such)?;
            match why_not(&wrap, tx.now()) {
                Some(error) => Err(error),
                None => Ok(Look { handed: wrap.handed, by: wrap.by.to_string(), until: wrap.until }),
            }
        })
    }

    /// Opens a link: claims its namespace, or fetches its account, in the name of who made it, and hands out the answer.
    ///
    /// **Invariant:** the link is used up, durably, before anything is lent, so two openers never both get something.
    /// When nothing can be lent, as while the broker is away, the link is given back; a crash in between uses it up.
    pub async fn open(&self, token: &str, opener: Opener<'_>) -> Result<Lent<Opened>> {
        let id = WrapId::of(token);
        let (this, taken, request_id) = (self.clone(), id.clone(), opener.request_id.to_owned());
        let step = self.store.write(move |tx| this.take(tx, &taken, opener.address, request_id)).await?;
        let wrap = match step {
            Step::Claim(wrap) => wrap,
            Step::Refused(error) => return Err(error),
        };
        match self.lend(&wrap, opener).await {
            Ok(opened) => Ok(opened),
            Err(error) => {
                self.give_back(id, opener, &error).await;
                Err(error)
            }
        }
    }

    fn take(&self, tx: &mut WriteTx<'_, '_>, id: &WrapId, address: IpAddr, request_id: String) -> Result<Step> {
        let mut wrap = tx.get(&WRAPS, id)?.ok_or_else(no_such)?;
        let caller = Caller::nobody(&request_id);
        let note = caller.note(Action::WrapOpen, &wrap.handed).with("wrap", id.to_string());
        let note =
            note.with("kind", wrap.handed.kind()).with("address", address.to_string()).with("by", wrap.by.to_string());
        if let Some(error) = why_not(&wrap, tx.now()) {
            tx.audit(note.outcome(Outcome::Refused).with("cause", error.message().to_owned()));
            if let (Some(first), false) = (wrap.opened, wrap.told) {
                self.tell(tx, &wrap, first, address)?;
                wrap.told = true;
                tx.put(&WRAPS, id, &wrap)?;
            }
            return Ok(Step::Refused(error));
        }
        tx.audit(note);
        wrap.opened = Some((tx.now(), address));
        tx.put(&WRAPS, id, &wrap)?;
        Ok(Step::Claim(wrap.into()))
    }

    async fn lend(&self, wrap: &Wrap, opener: Opener<'_>) -> Result<Lent<Opened>> {
        if let Some(client) = &wrap.client
            && self.auth.is_usable(client)? != Some(true)
        {
            return Err(Error::forbidden("whoever made this link may not hand anything out any more"));
        }
        let caller = Caller::in_the_name_of(wrap.by.clone(), opener.request_id, opener.address);
        match &wrap.handed {
            Handed::Namespace(name) => {
                let claimed = self.namespaces.claim(&caller, name, self.claim_of(wrap, name)?).await?;
                claimed.try_map(|claimed| Ok(Opened::Namespace(claimed.into())))
            }
            Handed::Account(name) => {
                let lent = self.relay.lend(&caller, name).await.map_err(|error| match error.kind() {
                    // What operators have to do is nothing to whoever has a link, which goes on to work.
                    Kind::Conflict | Kind::NotFound => {
                        Error::unavailable("this account is not there to be handed out: tell whoever sent the link")
                            .because(error)
                    }
                    _ => error,
                })?;
                lent.try_map(|login| Ok(Opened::Account(login.into())))
            }
        }
    }

    /// What the link leaves out stays as it is: whoever opens it does not know the namespace.
    fn claim_of(&self, wrap: &Wrap, namespace: &NamespaceName) -> Result<Claim> {
        let (mut expires, mut contact) = (wrap.expires, wrap.contact.clone());
        match self.namespaces.detail(namespace) {
            Ok(detail) => {
                expires = expires.or(Some(detail.times.expires).filter(|end| *end > self.store.clock().now()));
                contact = contact.or(detail.contact);
            }
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Claim { expires, contact, ..Claim::default() })
    }

    /// Nothing was handed out: the link can be opened as before, and a second opening is news again, even if somebody
    /// came meanwhile. When not even that can be written, it is used up.
    async fn give_back(&self, id: WrapId, opener: Opener<'_>, cause: &Error) {
        let (address, caller, cause) = (opener.address, Caller::nobody(opener.request_id), cause.message().to_owned());
        let given = self.store.write(move |tx| {
            let Some(wrap) = tx.get(&WRAPS, &id)? else { return Ok(()) };
            let note =
                caller.note(Action::WrapOpen, &wrap.handed).outcome(Outcome::Failed).with("wrap", id.to_string());
            tx.audit(note.with("address", address.to_string()).with("cause", cause));
            tx.put(&WRAPS, &id, &Wrap { opened: None, told: false, ..wrap })
        });
        if let Err(error) = given.await {
            tracing::warn!("a link that handed out nothing is used up: {}", error.chain());
        }
    }

    /// Somebody else had the link, too: the first one may not have been who was meant.
    fn tell(
        &self,
        tx: &mut WriteTx<'_, '_>,
        wrap: &Wrap,
        (when, first): (Timestamp, IpAddr),
        second: IpAddr,
    ) -> Result<()> {
        let (kind, name) = (wrap.handed.kind(), &wrap.handed);
        let (mut to, lease) = match name {
            Handed::Namespace(namespace) => (self.namespaces.receivers(tx, namespace)?, "namespace"),
            Handed::Account(_) => (Vec::new(), "relay"),
        };
        to.extend(wrap.contact.clone());
        let body = format!(
            "The link that {} made for the {kind} {name} was opened from {first} at {when}, and again from \
             {second} at {}. Only the first opening got the credentials.\n\nIf the first one was not who was meant, \
             take them back: keylender lease revoke --kind {lease} --name {} --reason 'link opened by others' \
             --yes\n",
            wrap.by,
            tx.now(),
            quoted(&name.to_string()),
        );
        let subject = format!("a hand-over link for {name} was opened twice");
        self.notices.post(tx, Notice { kind: "wrap.again", about: name.to_string(), to, subject, body })
    }
}

/// A name as a word of a shell.
fn quoted(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// Why a link cannot be opened.
fn why_not(wrap: &Wrap, now: Timestamp) -> Option<Error> {
    match wrap.opened {
        Some((when, _)) => Some(Error::conflict(format!(
            "this link was opened at {when}, and opens once. If that was not you, tell who sent it to you: somebody \
             else has the credentials"
        ))),
        None if now >= wrap.until => Some(Error::conflict("the time of this link is over: ask for a new one")),
        None => None,
    }
}
