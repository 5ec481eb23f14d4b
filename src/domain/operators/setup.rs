//! The first start: a link that makes the first admin, once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sessions::{self, Visitor, hashed};
use super::{OPERATORS, Operators, Record, Role};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::store::{Lent, Table};

/// One row at most. Each start writes it, so it is bookkeeping: that a link was used, or refused, is in the audit log.
const SETUP: Table<String, Link> = Table::plain("operator_setup");
const ROW: &str = "link";
/// How long a link works. Each start makes another.
pub const LINK_LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept of a link.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    token_hash: String,
    expires: Timestamp,
}

impl Operators {
    /// A token for the page that makes the first admin, while there is no operator. The one before works no more.
    pub async fn new_setup_link(&self) -> Result<Option<Secret>> {
        self.store
            .write(|tx| {
                if tx.count(&OPERATORS)? > 0 {
                    return Ok(None);
                }
                let token = Secret::generate_long();
                let link = Link { token_hash: hashed(&token), expires: tx.now().plus(LINK_LASTS) };
                tx.put(&SETUP, &ROW.to_owned(), &link)?;
                Ok(Some(token))
            })
            .await
    }

    /// Whether a token is the one that works now.
    pub fn setup_link_works(&self, token: &Secret) -> Result<bool> {
        self.store.read(|tx| {
            let link = tx.get(&SETUP, &ROW.to_owned())?;
            Ok(tx.count(&OPERATORS)? == 0 && link.is_some_and(|link| link.is(token, tx.now())))
        })
    }

    /// Makes the first admin, and begins their session. `Forbidden` for a token that does not work.
    pub async fn set_up(
        &self,
        token: Secret,
        name: OperatorName,
        password: Secret,
        from: Visitor,
    ) -> Result<Lent<Secret>> {
        // Each one that is refused writes an audit entry.
        self.throttle.admit_stranger(from.address)?;
        if !self.setup_link_works(&token)? {
            self.refuse_setup(&from).await?;
            return Err(already_set_up());
        }
        let password = self.stretcher.stretch(password).await?;
        self.store
            .write(move |tx| {
                let link = tx.get(&SETUP, &ROW.to_owned())?.filter(|link| link.is(&token, tx.now()));
                if link.is_none() || !tx.scan(&OPERATORS, 1)?.is_empty() {
                    return Err(already_set_up());
                }
                let record = Record { password: Some(password), ..Record::new(Role::Admin, tx.now()) };
                tx.put(&OPERATORS, &name, &record)?;
                tx.delete(&SETUP, &ROW.to_owned());
                let note = Note::done(Actor::Operator(name.clone()), Action::OperatorCreate, &name);
                let note = note.with("role", Role::Admin.name()).with("by", "setup link");
                tx.audit(note.request(from.request_id.clone()).with("address", from.address.to_string()));
                sessions::begin(tx, name, "setup link", from)
            })
            .await
    }

    async fn refuse_setup(&self, from: &Visitor) -> Result<()> {
        let note = Note::done(Actor::Anonymous, Action::OperatorSetupLink, "first admin").outcome(Outcome::Refused);
        let note = note.request(from.request_id.clone()).with("address", from.address.to_string());
        self.store.note(note).await
    }
}

impl Link {
    fn is(&self, token: &Secret, now: Timestamp) -> bool {
        now < self.expires && Secret::new(self.token_hash.as_str()) == Secret::new(hashed(token))
    }
}

fn already_set_up() -> Error {
    Error::forbidden("This set-up link does not work, or works no more. Each start of the appliance prints a new one.")
}
