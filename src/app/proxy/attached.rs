//! The task proxy attached to an appliance: a session there that lasts as long as this process, asked at a port of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::appliance::{Appliance, Wanted};
use super::keeper::Keeper;
use super::passage::Passage;
use super::{Alone, Log, listen};
use crate::base::{Error, Result};

impl Alone {
    /// Passes everything to a session of an appliance, until a signal or the appliance ends it. A session that the appliance
    /// lost, as by a restart, is opened anew with what it was opened with.
    ///
    /// # Errors
    /// With the reason of the appliance when it refuses the session, or when somebody ended it there.
    pub async fn attached(self, appliance: Appliance, wanted: Wanted) -> Result<()> {
        let mut signals = Signals::listen()?;
        let Self { clock, addresses, peers, log, .. } = self;
        log.say(&format!("Appliance: '{}'", appliance.url));
        let passage = Arc::new(Passage::new(peers, clock));
        let mut keeper = Keeper::new(appliance, wanted, log.clone());
        let outcome = tokio::select! {
            biased;
            () = signals.come() => Ok(()),
            outcome = run(&mut keeper, &addresses, &log, &passage) => outcome,
        };
        keeper.end().await;
        outcome
    }
}

/// Opens the session, and then listens: who is let in finds it there.
async fn run(keeper: &mut Keeper, addresses: &[SocketAddr], log: &Log, passage: &Arc<Passage>) -> Result<()> {
    let session = keeper.open().await?;
    tokio::select! {
        outcome = keeper.keep(session, passage) => outcome,
        outcome = serve(addresses, log, passage) => outcome,
    }
}

async fn serve(addresses: &[SocketAddr], log: &Log, passage: &Arc<Passage>) -> Result<()> {
    let mut listening = Vec::new();
    for address in addresses {
        let listener = listen(*address).await?;
        log.serving(*address);
        listening.push(passage.clone().let_in(listener));
    }
    join_all(listening).await;
    Ok(())
}

/// Signals that end the process, and with it the session.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::internal("listening for signals", e));
        let [hangup, interrupt, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(listen);
        Ok(Self([hangup?, interrupt?, terminate?]))
    }

    async fn come(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
