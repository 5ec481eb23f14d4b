//! `follow`: the further brokers are told what the main one was told, at once where they can be.

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};

use super::Accounts;
use super::drift::{LOOP, WRITERS};
use super::site::Site;
use crate::domain::auth::Caller;

impl Accounts {
    /// Brings to the further brokers what the main one was told, as it comes. It never ends, and may be dropped at any
    /// time: what one of them did not take is left to `reconcile`.
    pub async fn follow(&self) {
        join_all(self.further().iter().map(|site| self.follow_at(site))).await;
    }

    async fn follow_at(&self, site: &Site) {
        let caller = &Caller::of_loop(LOOP);
        loop {
            let names = site.behind().await;
            let bring = |name| async move { self.settle_at(site, &[name], None, caller, |_| Ok(())).await };
            // The first that fails is in the log, and after it the broker is most likely away.
            let _ = futures_util::stream::iter(names).map(Ok).try_for_each_concurrent(WRITERS, bring).await;
        }
    }
}
