//! Signing in by an OpenID Connect issuer: the authorization request, its callback, and who somebody is here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::sessions::{self, Visitor, hashed};
use super::{OPERATORS, OPERATORS_MAX, Operators, Record, Role};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::rate::RateLimit;
use crate::base::{Clock, Error, OperatorName, Result, Secret};
use crate::ports::oidc::Issuer;
use crate::proto::addresses::network;
use crate::proto::oidc::{self, Discovery, Doubt, Expected, Person};
use crate::store::{Lent, WriteTx};

/// How long somebody may take at the issuer.
pub const PENDING_LASTS: Duration = Duration::from_secs(10 * 60);
/// Sign-ins under way at once. The oldest gives way: a full memory must not keep people out.
const PENDING_MAX: usize = 10_000;
/// Sign-ins that one address may begin in a minute: an office behind one address in the morning.
const BEGUN_PER_MINUTE: u32 = 30;
/// Longest code of an issuer.
const CODE_LEN_MAX: usize = 8 << 10;

/// Somebody as an issuer knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    issuer: String,
    subject: String,
}

/// What the settings say of sign-ins by an issuer.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Which role a group has. Of several the highest counts.
    pub roles: Vec<(String, Role)>,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Where the issuer sends browsers back to.
    pub redirect: Url,
}

/// Sign-ins by an issuer. Cheap to clone.
#[derive(Clone)]
pub struct OidcSignIn {
    operators: Operators,
    issuer: Issuer,
    config: Arc<OidcConfig>,
    pending: Arc<Mutex<HashMap<String, Pending>>>,
    begun: Arc<RateLimit<std::net::IpAddr>>,
    clock: Clock,
}

/// A sign-in under way. **Invariant:** it is found by a hash of what one browser alone has, and it is taken out when it is
/// looked at, so that it works once and in that browser.
struct Pending {
    to: String,
    began: Duration,
}

/// Where a browser goes to be authorized, and what it keeps.
pub struct Authorization {
    pub location: Url,
    /// What the browser keeps meanwhile, and nobody else.
    pub seed: Secret,
}

pub struct OidcSession {
    pub session: Lent<Secret>,
    /// Where one wanted to go.
    pub to: String,
}

/// What the issuer sent a browser back with.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    pub seed: Option<Secret>,
    /// Which sign-in the issuer answers.
    pub state: String,
    /// What becomes an ID token.
    pub code: String,
    /// Which issuer says so, if it says it (RFC 9207).
    pub issuer: Option<String>,
}

impl OidcSignIn {
    /// Sign-ins of these operators by this issuer.
    pub fn new(operators: Operators, issuer: Issuer, config: OidcConfig, clock: Clock) -> Self {
        let begun = RateLimit::new(BEGUN_PER_MINUTE).into();
        Self { operators, issuer, config: config.into(), pending: Arc::default(), begun, clock }
    }

    /// Begins a sign-in that goes on to a place of ours.
    pub async fn begin(&self, to: String, from: &Visitor) -> Result<Authorization> {
        let now = self.clock.elapsed();
        let wait = |after| Error::limited("too many attempts: wait a little", after);
        self.begun.admit(network(from.address), now).map_err(wait)?;
        let Discovery { authorization: mut location, .. } = self.issuer.discovery().await?;
        let seed = Secret::generate_long();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(derive("verifier", &seed).expose()));
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.issuer.settings().client_id)
            .append_pair("redirect_uri", self.config.redirect.as_str())
            .append_pair("scope", "openid profile email")
            .append_pair("state", derive("state", &seed).expose())
            .append_pair("nonce", derive("nonce", &seed).expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|_, one| now.saturating_sub(one.began) < PENDING_LASTS);
        if pending.len() >= PENDING_MAX
            && let Some(oldest) = pending.iter().min_by_key(|(_, one)| one.began).map(|(key, _)| key.clone())
        {
            pending.remove(&oldest);
        }
        pending.insert(hashed(&seed), Pending { to, began: now });
        Ok(Authorization { location, seed })
    }

    /// Ends a sign-in: begins a session for whom the issuer names, with the role of their groups. `Unauthenticated` for a
    /// sign-in that is not under way or an answer that is not believed, `Forbidden` for who may not come in.
    pub async fn callback(&self, callback: Callback, from: Visitor) -> Result<OidcSession> {
        self.operators.throttle.admit_stranger(from.address)?;
        let (seed, to) = match self.take(&callback) {
            Some(taken) => taken,
            None => return Err(self.note_refusal("somebody unknown", &from, refuse_stale()).await),
        };
        let person = match self.person(&callback.code, &seed).await {
            Ok(person) => person,
            Err(error) => return Err(self.note_refusal("somebody unknown", &from, error).await),
        };
        let (role, name) = (self.role(&person), name(&person));
        let object = name.as_ref().map_or("somebody unknown", |name| name.as_str()).to_owned();
        let identity = Identity { issuer: self.issuer.settings().issuer.clone(), subject: person.subject };
        let entered = match (role, name) {
            (None, _) => Err(Error::forbidden(
                "none of your groups has a role here: who administers this appliance gives one a role by OIDC_ROLES",
            )),
            (Some(role), name) => {
                let from = from.clone();
                self.operators.store.write(move |tx| enter(tx, identity, name, role, from)).await
            }
        };
        match entered {
            Ok(session) => Ok(OidcSession { session, to }),
            Err(error) => Err(self.note_refusal(&object, &from, error).await),
        }
    }

    /// Whether the issuer answers, for the doctor.
    pub async fn reach(&self) -> Result<()> {
        self.issuer.look().await.map(|_| ())
    }

    /// The sign-in that this browser has under way, once.
    fn take(&self, callback: &Callback) -> Option<(Secret, String)> {
        let seed = callback.seed.clone()?;
        let is_ours = Secret::new(callback.state.as_str()) == derive("state", &seed);
        let is_of_issuer = callback.issuer.as_ref().is_none_or(|issuer| *issuer == self.issuer.settings().issuer);
        if !is_ours {
            return None;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let Pending { to, began } = pending.remove(&hashed(&seed))?;
        let is_young = self.clock.elapsed().saturating_sub(began) < PENDING_LASTS;
        (is_young && is_of_issuer).then_some((seed, to))
    }

    async fn person(&self, code: &str, seed: &Secret) -> Result<Person> {
        if code.is_empty() || code.len() > CODE_LEN_MAX {
            return Err(Error::unauthenticated("the issuer did not let you in: nothing was done here"));
        }
        let token = self.issuer.exchange(code, &derive("verifier", seed), &self.config.redirect).await?;
        let nonce = derive("nonce", seed);
        let settings = self.issuer.settings();
        let (issuer, client_id) = (settings.issuer.as_str(), settings.client_id.as_str());
        let expected = Expected { issuer, client_id, nonce: nonce.expose(), now: self.clock.now() };
        let verify = |keys: &[oidc::Key]| oidc::verify(token.expose(), keys, &expected, &self.config.groups_claim);
        let verified = match verify(&self.issuer.keys(false).await?) {
            // It may have changed its keys since we asked.
            Err(Doubt::UnknownKey) => verify(&self.issuer.keys(true).await?),
            verified => verified,
        };
        verified.map_err(|doubt| {
            tracing::warn!("an ID token of the OIDC issuer was not believed: {doubt}");
            Error::unauthenticated(format!("the ID token of the issuer is not believed: {doubt}; sign in again"))
        })
    }

    /// The highest role of the groups that somebody is in.
    fn role(&self, person: &Person) -> Option<Role> {
        self.config.roles.iter().filter(|(group, _)| person.groups.contains(group)).map(|(_, role)| *role).max()
    }

    /// Writes down that somebody was not let in, and hands the reason on.
    async fn note_refusal(&self, object: &str, from: &Visitor, error: Error) -> Error {
        let note = Note::done(Actor::Anonymous, Action::OperatorLogin, object).outcome(Outcome::Refused);
        let note = note.request(from.request_id.clone()).with("address", from.address.to_string()).with("by", "oidc");
        let note = note.with("error", error.message());
        let written = self.operators.store.note(note);
        written.await.err().unwrap_or(error)
    }
}

/// What is derived from the seed of a sign-in. Nobody learns one from another, or the seed from any.
fn derive(what: &str, seed: &Secret) -> Secret {
    let digest = Sha256::new().chain_update(b"keylender oidc 1\0").chain_update(what).chain_update(b"\0");
    Secret::new(URL_SAFE_NO_PAD.encode(digest.chain_update(seed.expose()).finalize()))
}

/// What somebody is called here at their first sign-in: their user name at the issuer, else their address, in small
/// letters. `None` when neither can be the name of an operator.
fn name(person: &Person) -> Option<OperatorName> {
    let names = [&person.preferred_username, &person.email];
    names.into_iter().flatten().find_map(|name| OperatorName::parse(&name.trim().to_ascii_lowercase()).ok())
}

/// Finds or makes the operator of an identity, sets their role, and begins their session.
fn enter(
    tx: &mut WriteTx<'_, '_>,
    identity: Identity,
    name: Option<OperatorName>,
    role: Role,
    from: Visitor,
) -> Result<Lent<Secret>> {
    let rows = tx.scan(&OPERATORS, OPERATORS_MAX)?;
    // The identity counts and not the name: who is called something else today is still who was disabled yesterday.
    let known = rows.iter().find(|(_, record)| record.identity.as_ref() == Some(&identity)).cloned();
    let note = |action, name: &OperatorName| {
        let note = Note::done(Actor::Operator(name.clone()), action, name).request(from.request_id.clone());
        note.with("role", role.name()).with("by", "oidc").with("subject", identity.subject.as_str())
    };
    let name = match (known, name) {
        (Some((name, record)), _) => {
            if record.disabled {
                return Err(Error::forbidden("this account is disabled: somebody who is an admin can enable it"));
            }
            if record.role != role {
                sessions::end_all_but(tx, &name, None)?;
                tx.audit(note(Action::OperatorRole, &name));
                tx.put(&OPERATORS, &name, &Record { role, ..record })?;
            }
            name
        }
        (None, None) => {
            return Err(Error::forbidden(
                "neither your user name nor your verified address at the issuer can be the name of an operator: 1 to 64 \
                 of a-z 0-9 @ . _ + -",
            ));
        }
        (None, Some(name)) => {
            if rows.iter().any(|(other, _)| *other == name) {
                return Err(refuse_taken_name(&name));
            }
            if rows.len() >= OPERATORS_MAX {
                return Err(Error::conflict(format!("there are {OPERATORS_MAX} operators already: delete some")));
            }
            tx.audit(note(Action::OperatorCreate, &name));
            let record = Record { identity: Some(identity.clone()), ..Record::new(role, tx.now()) };
            tx.put(&OPERATORS, &name, &record)?;
            name
        }
    };
    sessions::begin(tx, name, "oidc", from)
}

fn refuse_taken_name(name: &OperatorName) -> Error {
    Error::forbidden(format!(
        "the operator `{name}` is here already, and was not made by this sign-in: nobody takes an account over by having \
         its name elsewhere. Sign in with the password; or let an admin delete the operator `{name}`, and sign in again"
    ))
}

fn refuse_stale() -> Error {
    Error::unauthenticated("this sign-in was not begun in this browser, is over, or was used already: sign in again")
}
