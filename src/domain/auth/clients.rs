//! API clients of the own store: made, listed, reset, disabled, deleted. A new token is shown once.

use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Auth, Caller, Use, uses};
use crate::base::audit::Action;
use crate::base::{CertificateName, ClientId, Error, Result, Scope, Secret, Timestamp};
use crate::proto::scopes::satisfies;
use crate::store::{Lent, ReadTx, Sealed, Survey, Table, WriteTx};

const CLIENTS: Table<ClientId, Client> = Table::audited("clients");
/// Whose a name of certificates is. **Invariant:** it says of each client's name that it is this client's, and no more.
const CERTIFICATE_NAMES: Table<CertificateName, ClientId> = Table::audited("client_certificate_names");
/// Clients listed and kept at most: far more than one appliance serves, and a bound for every list.
const CLIENTS_MAX: usize = 10_000;
/// Scopes of one client at most; its requests carry none of them, so this only bounds the record.
const SCOPES_MAX: usize = 1000;
/// How long a replaced access token may be kept in force: whoever deploys a new one is done within a week.
const KEEP_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest description, in bytes.
const DESCRIPTION_LEN_MAX: usize = 10_000;

/// A client as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) token: Sealed,
    pub(super) scopes: Vec<Scope>,
    pub(super) expires: Timestamp,
    pub(super) disabled: bool,
    description: String,
    created: Timestamp,
    #[serde(default)]
    certificate_name: Option<CertificateName>,
    /// To whom its access token was shown; unknown for one of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lent: Option<LentTo>,
    /// The access token before, while it may still be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<Former>,
}

/// An access token that was replaced, and is good for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Former {
    token: Sealed,
    until: Timestamp,
}

/// To whom an access token was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentTo {
    /// Who asked for it, as the audit log names them.
    pub by: String,
    /// Where they were; nowhere for a user of this host.
    pub from: Option<IpAddr>,
    pub at: Timestamp,
}

impl LentTo {
    fn now(tx: &WriteTx<'_, '_>, caller: &Caller) -> Option<Self> {
        Some(Self { by: caller.actor().to_string(), from: caller.address(), at: tx.now() })
    }
}

/// What a new client is to be.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its scopes, before roles are expanded.
    pub scopes: Vec<Scope>,
    pub expires: Timestamp,
    pub description: String,
    /// The name in certificates by which it is known, too.
    pub certificate_name: Option<CertificateName>,
}

/// What a client is to be from now on; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its scopes, before roles are expanded.
    pub scopes: Option<Vec<Scope>>,
    pub expires: Option<Timestamp>,
    pub description: Option<String>,
}

impl Change {
    /// The scopes that it gives to a client with these until then: those that are new to it, and all of them when it is to
    /// last longer.
    pub fn given(&self, old: &[Scope], ends: Timestamp) -> Vec<Scope> {
        let lasts_longer = self.expires.is_some_and(|expires| expires > ends);
        let is_new = |scope: &Scope| !old.iter().any(|held| satisfies(held, scope.as_str()));
        let scopes = self.scopes.as_deref().unwrap_or(old).iter();
        scopes.filter(|scope| lasts_longer || is_new(scope)).cloned().collect()
    }
}

#[derive(Clone, Debug)]
pub struct ClientView {
    pub client_id: ClientId,
    /// Its scopes, before roles are expanded.
    pub scopes: Vec<Scope>,
    pub expires: Timestamp,
    pub disabled: bool,
    pub description: String,
    pub created: Timestamp,
    /// The name in certificates by which it is known, too.
    pub certificate_name: Option<CertificateName>,
    /// To whom its present access token was shown, where that is known.
    pub lent: Option<LentTo>,
    /// Until when the access token before is good, too.
    pub former_until: Option<Timestamp>,
    /// From where it was used, the latest first.
    pub uses: Vec<Use>,
}

impl Auth {
    /// Makes a client and returns its access token, which is not shown again. The caller must hold the scopes it
    /// gives away.
    pub async fn create_client(&self, caller: &Caller, id: ClientId, new: NewClient) -> Result<Lent<Secret>> {
        caller.require_all(&new.scopes)?;
        refuse_too_much(&new.scopes, &new.description)?;
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                if tx.get(&CLIENTS, &id)?.is_some() {
                    return Err(Error::conflict(format!("client `{id}` exists: reset or delete it")));
                }
                if tx.scan(&CLIENTS, CLIENTS_MAX)?.len() >= CLIENTS_MAX {
                    return Err(Error::conflict(format!("there are {CLIENTS_MAX} clients already: delete some")));
                }
                let token = Secret::generate_long();
                let client = Client {
                    token: tx.seal(&CLIENTS, &id, &token)?,
                    scopes: new.scopes,
                    expires: new.expires,
                    disabled: false,
                    description: new.description,
                    created: tx.now(),
                    certificate_name: new.certificate_name,
                    lent: LentTo::now(tx, &caller),
                    former: None,
                };
                take_name(tx, &id, None, client.certificate_name.as_ref())?;
                tx.put(&CLIENTS, &id, &client)?;
                let scopes: Vec<&str> = client.scopes.iter().map(Scope::as_str).collect();
                let mut note = caller.lend_note(Action::ClientCreate, &id).about(&token).with("scopes", scopes);
                if let Some(name) = &client.certificate_name {
                    note = note.with("certificate_name", name.as_str());
                }
                Ok(tx.lend(note.with("expires", client.expires.to_string()), token))
            })
            .await
    }

    /// Gives a client other scopes, another end or another description. The caller must hold the scopes that are new to it,
    /// and all of them when it is to last longer: to limit a client takes none of its scopes.
    pub async fn change_client(&self, caller: &Caller, id: ClientId, change: Change) -> Result<()> {
        let (scopes, description) = (change.scopes.as_deref(), change.description.as_deref());
        refuse_too_much(scopes.unwrap_or_default(), description.unwrap_or_default())?;
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                caller.require_all(&change.given(&client.scopes, client.expires))?;
                let Change { scopes, expires, description } = change;
                client.scopes = scopes.unwrap_or(client.scopes);
                client.expires = expires.unwrap_or(client.expires);
                client.description = description.unwrap_or(client.description);
                let listed: Vec<&str> = client.scopes.iter().map(Scope::as_str).collect();
                let note = caller.note(Action::ClientChange, &id).with("scopes", listed);
                tx.audit(note.with("expires", client.expires.to_string()));
                tx.put(&CLIENTS, &id, &client)
            })
            .await
    }

    /// Gives a client a new access token. The old one, and temporary credentials made with it, end at once, or after
    /// `keep`, so that a service can be given the new one without a gap. Whatever was kept before ends in any case. The
    /// caller must hold the client's scopes, because whoever has the token does. `Invalid` for more than a week.
    pub async fn reset_client(&self, caller: &Caller, id: ClientId, keep: Duration) -> Result<Lent<Secret>> {
        Self::check_keep(keep)?;
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                caller.require_all(&client.scopes)?;
                let token = Secret::generate_long();
                let old = std::mem::replace(&mut client.token, tx.seal(&CLIENTS, &id, &token)?);
                let until = tx.now().plus(keep);
                client.former = (!keep.is_zero()).then_some(Former { token: old, until });
                client.lent = LentTo::now(tx, &caller);
                tx.put(&CLIENTS, &id, &client)?;
                let mut note = caller.lend_note(Action::ClientReset, &id).about(&token);
                if client.former.is_some() {
                    note = note.with("former_until", until.to_string());
                }
                Ok(tx.lend(note, token))
            })
            .await
    }

    /// `Invalid` for longer than a replaced token is kept.
    pub fn check_keep(keep: Duration) -> Result<()> {
        let too_long = || Error::invalid("a replaced access token is kept for 7 days at most");
        if keep > KEEP_MAX { Err(too_long()) } else { Ok(()) }
    }

    /// Makes a client known by certificates with this name, too, or by none any more. The caller must hold the client's
    /// scopes, because whoever has such a certificate does.
    pub async fn name_client(&self, caller: &Caller, id: ClientId, name: Option<CertificateName>) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                if name.is_some() {
                    caller.require_all(&client.scopes)?;
                }
                take_name(tx, &id, client.certificate_name.as_ref(), name.as_ref())?;
                let note = caller.note(Action::ClientCertificate, &id);
                tx.audit(note.with("certificate_name", name.as_ref().map(CertificateName::as_str)));
                client.certificate_name = name;
                tx.put(&CLIENTS, &id, &client)
            })
            .await
    }

    /// Refuses a client from now on, or takes that back, for which the caller must hold the client's scopes.
    pub async fn disable_client(&self, caller: &Caller, id: ClientId, disabled: bool) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                if !disabled {
                    caller.require_all(&client.scopes)?;
                }
                client.disabled = disabled;
                tx.put(&CLIENTS, &id, &client)?;
                tx.audit(caller.note(if disabled { Action::ClientDisable } else { Action::ClientEnable }, &id));
                Ok(())
            })
            .await
    }

    pub async fn delete_client(&self, caller: &Caller, id: ClientId) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                take_name(tx, &id, client.certificate_name.as_ref(), None)?;
                tx.delete(&CLIENTS, &id);
                uses::forget(tx, &id);
                tx.audit(caller.note(Action::ClientDelete, &id));
                Ok(())
            })
            .await
    }

    pub async fn clients(&self) -> Result<Vec<ClientView>> {
        self.store.survey(Self::all_clients).await
    }

    /// The same, among other things that are read at one moment.
    pub fn all_clients(tx: &Survey<'_>) -> Result<Vec<ClientView>> {
        let (rows, mut seen) = (tx.scan(&CLIENTS, Bound::Unbounded, CLIENTS_MAX)?, uses::all(tx)?);
        let shown = |(id, client)| view(seen.remove(&id).unwrap_or_default(), id, client);
        Ok(rows.into_iter().map(shown).collect())
    }

    /// Whether a client may sign now; `None` when there is no such client in the own store.
    pub fn is_usable(&self, id: &ClientId) -> Result<Option<bool>> {
        self.store.read(|tx| {
            let client = tx.get(&CLIENTS, id)?;
            Ok(client.map(|client| !client.disabled && client.expires >= tx.now()))
        })
    }

    /// Whether a client could do what needs a scope, and why: for operators who wonder.
    pub async fn would(&self, id: &ClientId, scope: &str) -> Result<(bool, String)> {
        let client = self.client(id)?;
        let now = self.store.clock().now();
        if client.disabled {
            return Ok((false, "the client is disabled".to_owned()));
        }
        if client.expires < now {
            return Ok((false, format!("the client ended at {}", client.expires)));
        }
        let granting = |held: &[Scope]| held.iter().find(|held| satisfies(held, scope)).cloned();
        if let Some(held) = granting(&client.scopes) {
            return Ok((true, format!("it holds the scope {held}")));
        }
        let expanded = self.roles_in_force().await?.expand(&client.scopes);
        Ok(match granting(&expanded) {
            Some(held) => (true, format!("a role that it holds has the scope {held}")),
            None => (false, format!("none of its scopes, nor of its roles, grants {scope}")),
        })
    }

    pub fn client(&self, id: &ClientId) -> Result<ClientView> {
        self.store.read(|tx| {
            let client = tx.get(&CLIENTS, id)?.ok_or_else(|| no_such(id))?;
            Ok(view(uses::of(tx, id)?, id.clone(), client))
        })
    }
}

/// A client with its token, to check a request.
pub(super) fn look_up(tx: &ReadTx<'_>, id: &ClientId) -> Result<Option<(Client, Secret)>> {
    let Some(client) = tx.get(&CLIENTS, id)? else { return Ok(None) };
    let token = tx.open(&CLIENTS, id, &client.token)?;
    Ok(Some((client, token)))
}

/// The access token that a client had before, if it is still good.
pub(super) fn former_token(tx: &ReadTx<'_>, id: &ClientId) -> Result<Option<Secret>> {
    let former = tx.get(&CLIENTS, id)?.and_then(|client| client.former).filter(|former| tx.now() < former.until);
    former.map(|former| tx.open(&CLIENTS, id, &former.token)).transpose()
}

/// The clients that go by one of these names.
pub(super) fn by_certificate(tx: &ReadTx<'_>, names: &[CertificateName]) -> Result<Vec<(ClientId, Client)>> {
    let mut found: Vec<(ClientId, Client)> = Vec::new();
    for name in names {
        let Some(id) = tx.get(&CERTIFICATE_NAMES, name)? else { continue };
        if let (Some(client), true) = (tx.get(&CLIENTS, &id)?, found.iter().all(|(other, _)| *other != id)) {
            found.push((id, client));
        }
    }
    Ok(found)
}

/// Gives a client another name in certificates. `Conflict` when it is another client's.
fn take_name(
    tx: &mut WriteTx<'_, '_>,
    id: &ClientId,
    old: Option<&CertificateName>,
    new: Option<&CertificateName>,
) -> Result<()> {
    if let Some(old) = old {
        tx.delete(&CERTIFICATE_NAMES, old);
    }
    let Some(new) = new else { return Ok(()) };
    match tx.get(&CERTIFICATE_NAMES, new)? {
        Some(other) => Err(Error::conflict(format!("client `{other}` goes by certificates with the name `{new}`"))),
        None => tx.put(&CERTIFICATE_NAMES, new, id),
    }
}

fn refuse_too_much(scopes: &[Scope], description: &str) -> Result<()> {
    if scopes.len() > SCOPES_MAX || description.len() > DESCRIPTION_LEN_MAX {
        return Err(Error::invalid(format!(
            "a client has at most {SCOPES_MAX} scopes and {DESCRIPTION_LEN_MAX} bytes of description"
        )));
    }
    refuse_double_star(scopes)
}

/// Clients and roles may not be given scopes that end in `**` (taskcluster.md 4.2).
pub(super) fn refuse_double_star(scopes: &[Scope]) -> Result<()> {
    match scopes.iter().find(|scope| scope.as_str().ends_with("**")) {
        None => Ok(()),
        Some(scope) => Err(Error::invalid(format!("the scope `{scope}` ends in `**`"))),
    }
}

fn view(uses: Vec<Use>, client_id: ClientId, client: Client) -> ClientView {
    let Client { token: _, scopes, expires, disabled, description, created, certificate_name, lent, former } = client;
    let former_until = former.map(|former| former.until);
    ClientView {
        client_id,
        scopes,
        expires,
        disabled,
        description,
        created,
        certificate_name,
        lent,
        former_until,
        uses,
    }
}

fn no_such(id: &ClientId) -> Error {
    Error::not_found(format!("there is no client `{id}`")).with_code("ResourceNotFound")
}
