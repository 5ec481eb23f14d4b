//! A claim for a test: all that a service would go through, and its password goes to nobody.

use std::time::Duration;

use url::Url;

use super::{Claim, Namespaces};
use crate::base::{Error, Kind, NamespaceName, Reason, Result, Timestamp};
use crate::domain::auth::Caller;

/// How long a namespace lasts that was made for a test: time to look at it, and then it goes by itself.
pub const TEST_CLAIM_LASTS: Duration = Duration::from_secs(60 * 60);
/// Why it was claimed, in the audit log.
const REASON: &str = "a test";

/// What a claim for a test came to.
#[derive(Clone, Debug)]
pub struct TestClaim {
    /// The broker user whose password a service would have got.
    pub account: String,
    /// Where it would have gone with it.
    pub address: String,
    /// When it would have had to claim again.
    pub reclaim_at: Timestamp,
    pub expires: Timestamp,
    /// How long the claim took.
    pub took: Duration,
    /// Whether the broker let the user in over AMQP, or why that is not known.
    pub login: std::result::Result<bool, String>,
}

impl Namespaces {
    /// Claims a namespace in the name of an operator who may, and logs in to the broker with what the claim brought. One
    /// that is there keeps its end and its contact; one that is not there lasts for an hour.
    pub async fn claim_for_test(&self, caller: &Caller, name: &NamespaceName) -> Result<TestClaim> {
        let clock = self.store.clock();
        // What a claim leaves out is reset, so it says what is so.
        let claim = match self.detail(name) {
            Ok(detail) => Claim { expires: Some(detail.times.expires), contact: detail.contact, ..Claim::default() },
            Err(error) if error.kind() == Kind::NotFound => {
                Claim { expires: Some(clock.now().plus(TEST_CLAIM_LASTS)), ..Claim::default() }
            }
            Err(error) => return Err(error),
        };
        let begun = clock.elapsed();
        let claimed = self.claim(&caller.because(Reason::parse(REASON)?), name, claim).await?.into_inner();
        let took = clock.elapsed().saturating_sub(begun);
        let url = Url::parse(claimed.connection_string.expose())
            .map_err(|e| Error::internal("reading a connection string", e))?;
        let login = self.accounts.try_login(claimed.account.as_str(), &claimed.password).await;
        Ok(TestClaim {
            account: claimed.account.to_string(),
            address: format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or_default()),
            reclaim_at: claimed.reclaim_at,
            expires: claimed.times.expires,
            took,
            login: login.map_err(|error| error.chain().to_string()),
        })
    }
}
