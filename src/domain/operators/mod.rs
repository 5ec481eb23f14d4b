//! People who use the console: who they are, what they may do, and their sessions.

mod login;
mod oidc;
mod password;
mod role;
mod second_factor;
mod sessions;
mod setup;

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use login::Attempt;
pub use oidc::{Authorization, Callback, OidcConfig, OidcSession, OidcSignIn, PENDING_LASTS};
pub use password::LEN_MIN as PASSWORD_LEN_MIN;
pub use role::Role;
pub use second_factor::Enrolment;
pub use sessions::{AGE_MAX, IDLE_MAX, SessionView, SignedIn, Visitor};

use crate::base::audit::Action;
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::store::{Store, Table};
use login::Throttle;
use oidc::Identity;
use password::{Stretched, Stretcher};
use second_factor::SecondFactor;

const OPERATORS: Table<OperatorName, Record> = Table::audited("operators");
/// Operators at most: people, not machines.
const OPERATORS_MAX: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    role: Role,
    /// None for somebody who is known by an issuer.
    #[serde(default)]
    password: Option<Stretched>,
    #[serde(default)]
    disabled: bool,
    created: Timestamp,
    #[serde(default)]
    last_login: Option<Timestamp>,
    #[serde(default)]
    second: Option<SecondFactor>,
    /// Who they are to an issuer, for somebody who came from there.
    #[serde(default)]
    identity: Option<Identity>,
}

impl Record {
    /// Somebody who cannot sign in with a password yet.
    fn new(role: Role, created: Timestamp) -> Self {
        Self { role, password: None, disabled: false, created, last_login: None, second: None, identity: None }
    }
}

#[derive(Clone, Debug)]
pub struct OperatorView {
    /// The name they sign in with.
    pub name: OperatorName,
    pub role: Role,
    /// Whether they have a password here.
    pub has_password: bool,
    /// Whether they show a second factor, too.
    pub has_second: bool,
    /// Recovery codes that they have not used.
    pub recovery_left: usize,
    pub disabled: bool,
    pub created: Timestamp,
    /// When they last signed in.
    pub last_login: Option<Timestamp>,
}

/// The people who use the console. Cheap to clone.
#[derive(Clone)]
pub struct Operators {
    store: Store,
    stretcher: Stretcher,
    throttle: Arc<Throttle>,
}

impl Operators {
    /// The operators of a store.
    pub fn new(store: Store) -> Self {
        let throttle = Throttle::new(store.clock()).into();
        Self { store, stretcher: Stretcher::default(), throttle }
    }

    /// Makes an operator. The caller must hold the scopes of the role; without a password nobody signs in with one.
    pub async fn create(
        &self,
        caller: &Caller,
        name: OperatorName,
        role: Role,
        password: Option<Secret>,
    ) -> Result<()> {
        caller.require_all(&role.scopes())?;
        let password = match password {
            Some(password) => Some(self.stretcher.stretch(password).await?),
            None => None,
        };
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                if tx.get(&OPERATORS, &name)?.is_some() {
                    return Err(Error::conflict(format!("operator `{name}` exists: reset or delete them")));
                }
                if tx.scan(&OPERATORS, OPERATORS_MAX)?.len() >= OPERATORS_MAX {
                    return Err(Error::conflict(format!("there are {OPERATORS_MAX} operators already: delete some")));
                }
                let record = Record { password, ..Record::new(role, tx.now()) };
                tx.put(&OPERATORS, &name, &record)?;
                tx.audit(caller.note(Action::OperatorCreate, &name).with("role", role.name()));
                Ok(())
            })
            .await
    }

    /// Gives an operator another password and takes the second factor away, for both may be lost; their sessions end at once. The caller must hold what the operator does,
    /// because whoever has the password does.
    pub async fn reset(&self, caller: &Caller, name: OperatorName, password: Secret) -> Result<()> {
        let password = self.stretcher.stretch(password).await?;
        self.change(caller, name, Action::OperatorReset, move |record| {
            record.password = Some(password);
            record.second = None;
        })
        .await
    }

    /// Gives an operator another role. The caller must hold what the operator had and gets.
    pub async fn set_role(&self, caller: &Caller, name: OperatorName, role: Role) -> Result<()> {
        caller.require_all(&role.scopes())?;
        self.change(caller, name, Action::OperatorRole, move |record| record.role = role).await
    }

    /// Refuses an operator from now on and ends their sessions, or takes that back.
    pub async fn disable(&self, caller: &Caller, name: OperatorName, disabled: bool) -> Result<()> {
        let action = if disabled { Action::OperatorDisable } else { Action::OperatorEnable };
        self.change(caller, name, action, move |record| record.disabled = disabled).await
    }

    async fn change(
        &self,
        caller: &Caller,
        name: OperatorName,
        action: Action,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut record = tx.get(&OPERATORS, &name)?.ok_or_else(|| no_such(&name))?;
                caller.require_all(&record.role.scopes())?;
                change(&mut record);
                tx.put(&OPERATORS, &name, &record)?;
                sessions::end_all_but(tx, &name, None)?;
                tx.audit(caller.note(action, &name).with("role", record.role.name()));
                Ok(())
            })
            .await
    }

    /// Removes an operator and ends their sessions.
    pub async fn delete(&self, caller: &Caller, name: OperatorName) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let record = tx.get(&OPERATORS, &name)?.ok_or_else(|| no_such(&name))?;
                caller.require_all(&record.role.scopes())?;
                sessions::end_all_but(tx, &name, None)?;
                tx.delete(&OPERATORS, &name);
                tx.audit(caller.note(Action::OperatorDelete, &name));
                Ok(())
            })
            .await
    }

    pub async fn list(&self) -> Result<Vec<OperatorView>> {
        let rows = self.store.survey(|tx| tx.scan(&OPERATORS, Bound::Unbounded, OPERATORS_MAX)).await?;
        Ok(rows.into_iter().map(|(name, record)| view(name, record)).collect())
    }

    pub fn operator(&self, name: &OperatorName) -> Result<OperatorView> {
        let record = self.store.read(|tx| tx.get(&OPERATORS, name))?.ok_or_else(|| no_such(name))?;
        Ok(view(name.clone(), record))
    }

    /// Gives who is signed in another password, by the one so far. Their other sessions end.
    pub async fn change_password(&self, who: &SignedIn, current: Secret, new: Secret) -> Result<()> {
        let (name, own) = (who.operator.clone(), who.session.clone());
        self.throttle.admit(&name, who.caller.address())?;
        let stored = self.store.read(|tx| tx.get(&OPERATORS, &name))?.and_then(|record| record.password);
        if !self.stretcher.fits(current, stored.clone()).await? {
            return Err(Error::invalid("the password so far is another one"));
        }
        let (new, caller) = (self.stretcher.stretch(new).await?, who.caller.clone());
        self.store
            .write(move |tx| {
                let record = tx.get(&OPERATORS, &name)?.filter(|record| record.password == stored);
                let mut record = record.ok_or_else(|| Error::conflict("the password was changed meanwhile"))?;
                record.password = Some(new);
                tx.put(&OPERATORS, &name, &record)?;
                sessions::end_all_but(tx, &name, Some(&own))?;
                tx.audit(caller.note(Action::OperatorPassword, &name));
                Ok(())
            })
            .await
    }

    /// Whether there is any operator: until then the console only offers to make the first one.
    pub fn exist(&self) -> Result<bool> {
        self.store.read(|tx| Ok(tx.count(&OPERATORS)? > 0))
    }
}

fn view(name: OperatorName, record: Record) -> OperatorView {
    let Record { role, password, disabled, created, last_login, second, .. } = record;
    let recovery_left = second.as_ref().map_or(0, SecondFactor::recovery_left);
    let has_second = second.is_some_and(|second| second.is_on());
    OperatorView {
        name,
        role,
        has_password: password.is_some(),
        has_second,
        recovery_left,
        disabled,
        created,
        last_login,
    }
}

fn no_such(name: &OperatorName) -> Error {
    Error::not_found(format!("there is no operator `{name}`")).with_code("ResourceNotFound")
}

/// What everybody hears who is not let in, whatever was wrong.
fn refusal() -> Error {
    Error::unauthenticated("the name, the password or the code is wrong, or this account is disabled")
}
