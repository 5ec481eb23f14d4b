//! Temporary credentials that were taken back: what was issued to a name until a moment is not believed any more.
//!
//! A certificate cannot be called back, so this is a list of names that our own verification looks into. It knows
//! nothing of other services that believe the same issuer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::verify::Success;
use super::{Auth, Caller};
use crate::base::audit::Action;
use crate::base::{ClientId, Error, Result, Timestamp};
use crate::proto::tempcred::DURATION_MAX;
use crate::store::{ReadTx, Table};

const REVOKED: Table<Issued, Revoked> = Table::audited("revoked");
/// Names at once: more than one issuer gives credentials to. Those whose credentials are over make room.
const REVOKED_MAX: usize = 50_000;
/// Above what a verifier grants a certificate that is over (taskcluster.md 2.3).
const SKEW: Duration = Duration::from_secs(3600);

/// Whose credentials: by whom they were issued, to which name. Neither has a space in it.
#[derive(Clone, Debug)]
struct Issued {
    issuer: ClientId,
    name: ClientId,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Revoked {
    /// What is valid from this moment or earlier is refused.
    until: Timestamp,
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.issuer, self.name)
    }
}

impl FromStr for Issued {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (issuer, name) = text.split_once(' ').ok_or_else(|| Error::invalid("not an issuer and a name"))?;
        Ok(Self { issuer: issuer.parse()?, name: name.parse()? })
    }
}

impl Auth {
    /// Refuses from now on what this issuer gave to this name until now. What it gives later is believed.
    pub async fn revoke_issued(&self, caller: &Caller, issuer: ClientId, name: ClientId) -> Result<Timestamp> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let now = tx.now();
                let rows = tx.scan(&REVOKED, REVOKED_MAX)?;
                if rows.len() == REVOKED_MAX {
                    for (over, _) in rows.iter().filter(|(_, row)| now >= row.until.plus(DURATION_MAX + SKEW)) {
                        tx.delete(&REVOKED, over);
                    }
                    if tx.scan(&REVOKED, REVOKED_MAX)?.len() == REVOKED_MAX {
                        return Err(Error::conflict(format!(
                            "there are {REVOKED_MAX} revocations already: reset the access token of `{issuer}`"
                        )));
                    }
                }
                tx.audit(caller.note(Action::IssuedRevoke, &name).with("issuer", issuer.as_str()));
                tx.put(&REVOKED, &Issued { issuer, name }, &Revoked { until: now })?;
                Ok(now)
            })
            .await
    }
}

/// Refuses named temporary credentials that were taken back.
pub(super) fn refuse(tx: &ReadTx<'_>, success: &Success) -> Result<()> {
    let Some((issuer, start_ms)) = &success.issued else { return Ok(()) };
    let issued = Issued { issuer: ClientId::parse(issuer)?, name: success.client_id.clone() };
    match tx.get(&REVOKED, &issued)? {
        Some(Revoked { until }) if *start_ms <= until.as_millis() => {
            Err(Error::unauthenticated("the temporary credentials were revoked; ask for new ones"))
        }
        _ => Ok(()),
    }
}
