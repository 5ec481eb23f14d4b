//! Cutting an agent off: its user goes, and with it its connections, at once; its line of the whitelist, too; and its queue
//! stays, is emptied, or goes, as asked.

use std::time::Duration;

use super::Agents;
use super::account::{self, QUEUE_PREFIX};
use super::locations::{self, Location};
use super::record::{ABOUT, About, ENROLLED, Enrolled, EventKind, QueueFate, Revoked};
use super::tokens;
use crate::base::audit::{Action, Note};
use crate::base::text::pluralize;
use crate::base::{AccountName, Error, HostName, Kind, Result};
use crate::domain::accounts::held;
use crate::domain::auth::Caller;
use crate::store::{Table, WriteTx};

/// What a client that is cut off reads.
const GOODBYE: &str = "this agent was cut off from the relay";
/// How long after a revocation connections are looked for once more: the broker lists them by then.
const SWEEP_AFTER: Duration = Duration::from_secs(2);
/// For the mark that this was done, which is no change that anybody needs an entry for.
const SWEPT: Table<HostName, Enrolled> = Table::plain("agents_enrolled");
/// Revocations that a pass finishes; the next pass goes on.
const UNFINISHED_MAX: usize = 500;

impl Agents {
    fn enrolled(&self, host: &HostName) -> Result<Enrolled> {
        let found = self.store.read(|tx| tx.get(&ENROLLED, host))?;
        found.ok_or_else(|| Error::not_found(format!("no agent of a host `{host}` was enrolled")))
    }

    /// What cutting it off would do, a sentence each. It fails as that would.
    pub async fn plan_revocation(&self, host: &HostName, queue: QueueFate) -> Result<Vec<String>> {
        let Enrolled { account, queueloc, is_shared, revoked, .. } = self.enrolled(host)?;
        if revoked.is_some_and(|revoked| revoked.is_done) {
            return Ok(vec![format!("The agent of {host} was cut off already; that is done once more.")]);
        }
        let mut effects = Vec::new();
        if is_shared {
            effects.push(format!(
                "It shares the account `{account}` with others, which stays: its host is on the relay until that account is rotated \
                 and its connections are closed."
            ));
        } else {
            // Also while the broker is away: then it is wished.
            let connections = match self.bus.get()?.connection_count(&account).await {
                Ok(0) => "it has no connection now".to_owned(),
                Ok(open) => format!("{} at once", pluralize(open, "connection of it ends", "connections of it end")),
                Err(_) => "its connections end as soon as the broker answers, which it does not now".to_owned(),
            };
            effects.push(format!("The broker user `{account}` is deleted; {connections}."));
        }
        effects.push(format!("The line `{queueloc}` goes from the whitelist; a pattern may let it in still."));
        effects.push(match queue {
            QueueFate::Keep => format!("Its queue `{QUEUE_PREFIX}{queueloc}` stays, with the commands in it."),
            QueueFate::Purge => format!("Its queue `{QUEUE_PREFIX}{queueloc}` is emptied."),
            QueueFate::Delete => format!("Its queue `{QUEUE_PREFIX}{queueloc}` is deleted, with the commands in it."),
        });
        effects.push("Its host can enrol again only with a token of an operator.".to_owned());
        Ok(effects)
    }

    /// Cuts an agent off. It may be repeated; what an outage leaves undone, the next pass does.
    ///
    /// # Errors
    /// `NotFound` when it was never enrolled. `Unavailable` while the broker is away: it is wished, and done as soon as the
    /// broker is back.
    pub async fn revoke(&self, host: &HostName, queue: QueueFate, caller: &Caller) -> Result<()> {
        let (this, of, by) = (self.clone(), host.clone(), caller.clone());
        self.store.write(move |tx| this.wish_away(tx, &of, queue, &by)).await?;
        self.finish_revocation(host, caller).await.map_err(|error| match error.kind() {
            Kind::Unavailable => {
                let noted = "it is noted, and the host gets nothing any more; the broker is told as soon as it answers";
                Error::unavailable(noted).because(error)
            }
            _ => error,
        })
    }

    fn wish_away(&self, tx: &mut WriteTx<'_, '_>, host: &HostName, queue: QueueFate, caller: &Caller) -> Result<()> {
        let Some(mut enrolled) = tx.get(&ENROLLED, host)? else {
            return Err(Error::not_found(format!("no agent of a host `{host}` was enrolled")));
        };
        if !enrolled.is_shared {
            self.accounts.remove(tx, &enrolled.account, &account::owner(host))?;
            held::revoke_holders(tx, &enrolled.account)?;
        }
        self.relay.strike(tx, &enrolled.queueloc);
        tokens::take_back(tx, host)?;
        let mut about: About = tx.get(&ABOUT, &enrolled.queueloc)?.unwrap_or_default();
        about.happened(tx.now(), EventKind::Revoked, format!("by {}", caller.actor()));
        tx.put(&ABOUT, &enrolled.queueloc, &about)?;
        let by = caller.actor().to_string();
        enrolled.revoked = Some(Revoked { at: tx.now(), by, queue, is_done: false, is_swept: false });
        tx.put(&ENROLLED, host, &enrolled)?;
        locations::note(tx, &enrolled.queueloc, &Location { host: host.clone(), is_revoked: true })?;
        let note = caller.note(Action::AgentRevoke, host).with("queueloc", enrolled.queueloc.as_str());
        let note = note.with("queue", queue.as_str());
        tx.audit(if enrolled.is_shared { note } else { note.with("account", enrolled.account.as_str()) });
        Ok(())
    }

    /// Does at the broker what a revocation wishes.
    pub(super) async fn finish_revocation(&self, host: &HostName, caller: &Caller) -> Result<()> {
        let Enrolled { account, queueloc, vhost, is_shared, revoked, .. } = self.enrolled(host)?;
        let Some(revoked) = revoked else { return Ok(()) };
        let bus = self.bus.get()?;
        if !is_shared {
            self.accounts.settle(std::slice::from_ref(&account), caller, |_| Ok(())).await?;
            // Its end ends its connections, in all versions that were tried, but maybe one that it opens in that moment.
            bus.close_connections_of(&account, GOODBYE).await?;
        }
        let queue = format!("{QUEUE_PREFIX}{queueloc}");
        match revoked.queue {
            QueueFate::Keep => false,
            QueueFate::Purge => gone_on(&queue, bus.purge_queue(&vhost, &queue).await)?,
            QueueFate::Delete => gone_on(&queue, bus.delete_queue(&vhost, &queue).await)?,
        };
        // Whoever asked is told the entry of the wish.
        let note = Note { receipt: None, ..caller.note(Action::AgentCutOff, host) };
        let (host, note) = (host.clone(), note.with("queue", revoked.queue.as_str()));
        let done = move |tx: &mut WriteTx<'_, '_>| {
            let Some(mut enrolled) = tx.get(&ENROLLED, &host)? else { return Ok(()) };
            // It may have been let in again meanwhile.
            let is_same = enrolled.revoked.as_ref().is_some_and(|now| now.at == revoked.at);
            if !is_same {
                return Ok(());
            }
            enrolled.revoked = Some(Revoked { is_done: true, ..revoked });
            if !enrolled.is_shared {
                held::forget(tx, &enrolled.account);
            }
            tx.audit(note);
            tx.put(&ENROLLED, &host, &enrolled)
        };
        self.store.write(done).await
    }

    /// Closes what connections there are of a user that is gone.
    pub(super) async fn cut_connections(&self, account: &AccountName) -> Result<()> {
        self.bus.get()?.close_connections_of(account, GOODBYE).await
    }

    /// Looks once more for connections of one that was cut off. False while it is too early for that.
    async fn sweep(&self, host: &HostName) -> Result<bool> {
        let Enrolled { account, is_shared, revoked, .. } = self.enrolled(host)?;
        let Some(revoked) = revoked.filter(|revoked| self.clock.now() >= revoked.at.plus(SWEEP_AFTER)) else {
            return Ok(false);
        };
        if !is_shared {
            self.cut_connections(&account).await?;
        }
        let host = host.clone();
        let swept = move |tx: &mut WriteTx<'_, '_>| {
            let Some(mut enrolled) = tx.get(&SWEPT, &host)? else { return Ok(()) };
            if let Some(now) = enrolled.revoked.as_mut().filter(|now| now.at == revoked.at) {
                now.is_swept = true;
                tx.put(&SWEPT, &host, &enrolled)?;
            }
            Ok(())
        };
        self.store.write(swept).await.map(|()| true)
    }

    /// The hosts whose agents are to be cut off and are not known to be, and those whose connections are to be looked for once
    /// more.
    pub(super) async fn unfinished_revocations(&self) -> Result<(Vec<HostName>, Vec<HostName>)> {
        let survey = self.store.survey(|tx| {
            let (mut undone, mut unswept) = (Vec::new(), Vec::new());
            tx.each(&ENROLLED, |host, enrolled| {
                let Some(revoked) = enrolled.revoked.filter(|revoked| !revoked.is_swept) else { return };
                let list = if revoked.is_done { &mut unswept } else { &mut undone };
                if list.len() < UNFINISHED_MAX {
                    list.push(host);
                }
            })?;
            Ok((undone, unswept))
        });
        survey.await
    }

    /// Finishes what was begun. One that fails hinders no other: how many were done, and how many could not be.
    pub(super) async fn finish_revocations(&self, caller: &Caller) -> Result<(usize, usize)> {
        let (mut done, mut failed) = (0, 0);
        let (undone, unswept) = self.unfinished_revocations().await?;
        for host in undone {
            match self.finish_revocation(&host, caller).await {
                Ok(()) => done += 1,
                Err(error) => {
                    tracing::warn!("the agent of {host} could not be cut off yet: {}", error.chain());
                    failed += 1;
                }
            }
        }
        for host in unswept {
            if let Err(error) = self.sweep(&host).await {
                tracing::warn!("the connections of {host} could not be looked for: {}", error.chain());
                failed += 1;
            }
        }
        Ok((done, failed))
    }

    /// Takes an agent out of the books that was cut off: its host may enrol again by its name. At the broker at most a connection
    /// is closed that nobody would look for any more.
    ///
    /// # Errors
    /// `NotFound` when it was never enrolled, `Conflict` when it was not cut off, or that is not done yet. `Unavailable` while the
    /// broker is away, shortly after the agent was cut off.
    pub async fn forget(&self, host: &HostName, caller: &Caller) -> Result<()> {
        let Enrolled { account, is_shared, revoked, .. } = self.enrolled(host)?;
        if !is_shared && revoked.is_some_and(|revoked| revoked.is_done && !revoked.is_swept) {
            self.cut_connections(&account).await?;
        }
        let (host, caller) = (host.clone(), caller.clone());
        let forget = move |tx: &mut WriteTx<'_, '_>| {
            let enrolled = tx.get(&ENROLLED, &host)?;
            let enrolled =
                enrolled.ok_or_else(|| Error::not_found(format!("no agent of a host `{host}` was enrolled")))?;
            match &enrolled.revoked {
                None => return Err(Error::conflict("this agent is not cut off: revoke it first")),
                Some(revoked) if !revoked.is_done => {
                    return Err(Error::conflict(
                        "this agent is being cut off: the broker was not told yet, so try again",
                    ));
                }
                Some(_) => {}
            }
            tokens::take_back(tx, &host)?;
            locations::forget(tx, &enrolled.queueloc);
            tx.delete(&ENROLLED, &host);
            tx.audit(caller.note(Action::AgentForget, &host).with("account", enrolled.account.as_str()));
            Ok(())
        };
        self.store.write(forget).await
    }
}

/// What cannot be done to a queue, such as to empty a stream that a rogue agent made of it, keeps nobody on the relay.
fn gone_on(queue: &str, done: Result<bool>) -> Result<bool> {
    match done {
        Err(error) if error.kind() != Kind::Unavailable => {
            tracing::warn!("the queue `{queue}` of an agent that was cut off stays as it is: {}", error.chain());
            Ok(false)
        }
        done => done,
    }
}
