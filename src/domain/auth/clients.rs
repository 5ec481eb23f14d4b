//! API clients of the own store: made, listed, reset, disabled, deleted. A new token is shown once.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{Auth, Caller};
use crate::base::{ClientId, Error, Result, Scope, Secret, Timestamp};
use crate::store::{Lent, ReadTx, Sealed, Table};

const CLIENTS: Table<ClientId, Client> = Table::audited("clients");
/// Clients listed and kept at most: far more than one appliance serves, and a bound for every list.
const CLIENTS_MAX: usize = 10_000;
/// Scopes of one client at most; its requests carry none of them, so this only bounds the record.
const SCOPES_MAX: usize = 1000;
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
}

/// What a new client is to be.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its scopes, before roles are expanded.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires: Timestamp,
    /// What it is for.
    pub description: String,
}

/// A client, for operators.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The id.
    pub client_id: ClientId,
    /// Its scopes, before roles are expanded.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires: Timestamp,
    /// Whether it is refused.
    pub disabled: bool,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Auth {
    /// Makes a client and returns its access token, which is not shown again. The caller must hold the scopes it
    /// gives away.
    pub async fn create_client(&self, caller: &Caller, id: ClientId, new: NewClient) -> Result<Lent<Secret>> {
        caller.require_all(&new.scopes)?;
        if new.scopes.len() > SCOPES_MAX || new.description.len() > DESCRIPTION_LEN_MAX {
            return Err(Error::invalid(format!(
                "a client has at most {SCOPES_MAX} scopes and {DESCRIPTION_LEN_MAX} bytes of description"
            )));
        }
        refuse_double_star(&new.scopes)?;
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
                };
                tx.put(&CLIENTS, &id, &client)?;
                let scopes: Vec<&str> = client.scopes.iter().map(Scope::as_str).collect();
                let note = caller.note("client.create", &id).about(&token).with("scopes", scopes);
                Ok(tx.lend(note.with("expires", client.expires.to_string()), token))
            })
            .await
    }

    /// Gives a client a new access token; the old one, and temporary credentials made with it, end at once. The caller
    /// must hold the client's scopes, because whoever has the token does.
    pub async fn reset_client(&self, caller: &Caller, id: ClientId) -> Result<Lent<Secret>> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut client = tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                caller.require_all(&client.scopes)?;
                let token = Secret::generate_long();
                client.token = tx.seal(&CLIENTS, &id, &token)?;
                tx.put(&CLIENTS, &id, &client)?;
                Ok(tx.lend(caller.note("client.reset", &id).about(&token), token))
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
                tx.audit(caller.note(if disabled { "client.disable" } else { "client.enable" }, &id));
                Ok(())
            })
            .await
    }

    /// Removes a client.
    pub async fn delete_client(&self, caller: &Caller, id: ClientId) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                tx.get(&CLIENTS, &id)?.ok_or_else(|| no_such(&id))?;
                tx.delete(&CLIENTS, &id);
                tx.audit(caller.note("client.delete", &id));
                Ok(())
            })
            .await
    }

    /// All clients, by id.
    pub fn clients(&self) -> Result<Vec<Shown>> {
        let rows = self.store.read(|tx| tx.scan(&CLIENTS, Bound::Unbounded, CLIENTS_MAX))?;
        Ok(rows.into_iter().map(|(client_id, client)| shown(client_id, client)).collect())
    }

    /// One client.
    pub fn client(&self, id: &ClientId) -> Result<Shown> {
        let client = self.store.read(|tx| tx.get(&CLIENTS, id))?.ok_or_else(|| no_such(id))?;
        Ok(shown(id.clone(), client))
    }
}

/// A client with its token, to check a request.
pub(super) fn look_up(tx: &ReadTx<'_>, id: &ClientId) -> Result<Option<(Client, Secret)>> {
    let Some(client) = tx.get(&CLIENTS, id)? else { return Ok(None) };
    let token = tx.open(&CLIENTS, id, &client.token)?;
    Ok(Some((client, token)))
}

/// Clients and roles may not be given scopes that end in `**` (taskcluster.md 4.2).
pub(super) fn refuse_double_star(scopes: &[Scope]) -> Result<()> {
    match scopes.iter().find(|scope| scope.as_str().ends_with("**")) {
        None => Ok(()),
        Some(scope) => Err(Error::invalid(format!("the scope `{scope}` ends in `**`"))),
    }
}

fn shown(client_id: ClientId, client: Client) -> Shown {
    let Client { token: _, scopes, expires, disabled, description, created } = client;
    Shown { client_id, scopes, expires, disabled, description, created }
}

fn no_such(id: &ClientId) -> Error {
    Error::not_found(format!("there is no client `{id}`")).with_code("ResourceNotFound")
}
