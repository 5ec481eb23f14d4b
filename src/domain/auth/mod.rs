//! Who is asking: clients and roles of the own store, or the remote authority of a Taskcluster deployment.

mod caller;
mod clients;
mod replay;
mod roles;
pub mod verify;

use std::net::IpAddr;
use std::sync::Arc;

pub use caller::Caller;
pub use clients::{NewClient, Shown as ShownClient};
use replay::Replay;
use verify::{Party, Success};

use crate::base::{ClientId, Error, Result, Secret, Timestamp};
use crate::ports::authority::Authority;
use crate::proto::hawk::{Question, bewit, mac};
use crate::store::Store;

/// What a request shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The request target exactly as transmitted (taskcluster.md 1.2).
    pub resource: &'a str,
    /// The method.
    pub method: &'a str,
    /// Host and port that the client signed (taskcluster.md 1.7), or why they cannot be told.
    pub authority: std::result::Result<(&'a str, u16), &'a str>,
    /// The Authorization header.
    pub authorization: Option<&'a str>,
    /// Content type and body, for the payload hash.
    pub payload: (Option<&'a str>, &'a [u8]),
    /// Where it comes from.
    pub address: IpAddr,
    /// Whether nobody on the way could read it: TLS, or the same host.
    pub is_private: bool,
    /// The id of the request, for the audit log.
    pub request_id: &'a str,
}

/// The doorkeeper. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    store: Store,
    remote: Option<Authority>,
    roles: Arc<roles::Cached>,
    replay: Arc<Replay>,
}

impl Auth {
    /// Believes the remote authority when there is one, else the clients of the own store.
    pub fn new(store: Store, remote: Option<Authority>) -> Result<Self> {
        let replay = Arc::new(Replay::after_restart(&store)?);
        Ok(Self { store, remote, roles: Arc::default(), replay })
    }

    /// Finds out who is asking. No credentials is nobody, without scopes; bad ones are `Unauthenticated`.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Caller> {
        match (presented.authorization, bewit::is_in(presented.resource)) {
            (None, false) => return Ok(Caller::nobody(presented.request_id)),
            (Some(_), true) => {
                return Err(refuse(
                    "Cannot use two authentication schemes at once this request has both bewit in querystring and \
                     and 'authorization' header",
                ));
            }
            _ => {}
        }
        if let Some(token) = presented.authorization.and_then(bearer) {
            return self.bearer(presented, token);
        }
        let (host, port) = presented.authority.map_err(refuse)?;
        let question = Question {
            method: presented.method,
            resource: presented.resource,
            host,
            port,
            authorization: presented.authorization,
        };
        match &self.remote {
            None => self.local(presented, &question),
            Some(remote) => {
                let answer = remote.authenticate_hawk(&question, presented.address).await?;
                check_payload(presented, answer.hash.as_deref())?;
                Ok(Caller::client(answer.client_id, answer.scopes, presented.request_id, None))
            }
        }
    }

    fn local(&self, presented: &Presented<'_>, question: &Question<'_>) -> Result<Caller> {
        let roles = self.roles.current(&self.store)?;
        let (now, success) = self.store.read(|tx| {
            let party = |id: &str| {
                let Ok(id) = ClientId::parse(id) else { return Ok(None) };
                Ok(clients::look_up(tx, &id)?.map(|(client, access_token)| Party {
                    access_token,
                    scopes: client.scopes,
                    expires: client.expires,
                    disabled: client.disabled,
                }))
            };
            Ok((tx.now(), verify::verify(question, party, &roles, tx.now())?))
        })?;
        let Success { client_id, scopes, hash, replay_key, .. } = success;
        check_payload(presented, hash.as_deref())?;
        let mark = replay_key.map(|key| self.replay.admit(&key, now)).transpose()?;
        Ok(Caller::client(Some(client_id), scopes, presented.request_id, mark))
    }

    /// `Authorization: Bearer <clientId>/<accessToken>`: enough for `curl`, and only where nobody can listen.
    fn bearer(&self, presented: &Presented<'_>, token: &str) -> Result<Caller> {
        if self.remote.is_some() {
            return Err(refuse("Bearer tokens are for clients in Keylender's own store; sign the request with Hawk"));
        }
        if !presented.is_private {
            return Err(refuse("Bearer tokens are refused over plain HTTP from other hosts; use https or Hawk"));
        }
        let (id, token) = token.rsplit_once('/').ok_or_else(|| refuse("expected Bearer <clientId>/<accessToken>"))?;
        let roles = self.roles.current(&self.store)?;
        let (id, client) = self.store.read(|tx| {
            let found = match ClientId::parse(id) {
                Ok(id) => clients::look_up(tx, &id)?.map(|(client, right)| (id, client, right)),
                Err(_) => None,
            };
            let (id, client, right) = found.ok_or_else(|| refuse("unknown client or wrong access token"))?;
            match right == Secret::new(token) {
                true if client.disabled => Err(refuse("the client is disabled")),
                true if client.expires < tx.now() => Err(refuse("the client has expired")),
                true => Ok((id, client)),
                false => Err(refuse("unknown client or wrong access token")),
            }
        })?;
        Ok(Caller::client(Some(id), roles.expand(&client.scopes), presented.request_id, None))
    }
}

/// What the remote authority said of a request.
impl Auth {
    /// Whether callers are authenticated elsewhere.
    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// When a client ends that was made without saying: a thousand years are for ever, and have a text form.
    pub fn never(now: Timestamp) -> Timestamp {
        now.plus(std::time::Duration::from_secs(1000 * 365 * 86_400))
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares the signed payload hash with what arrived. The ancestor meant 401 (taskcluster.md 5.6).
fn check_payload(presented: &Presented<'_>, signed: Option<&str>) -> Result<()> {
    let Some(signed) = signed else { return Ok(()) };
    let (content_type, body) = presented.payload;
    let computed = mac::payload_hash(content_type, body);
    match mac::same(signed, &computed) {
        true => Ok(()),
        false => Err(refuse(&format!(
            "Invalid payload hash: {signed}\nComputed payload hash: {computed}\nThis happens when your request \
             carries a signed hash of the payload and the hash doesn't match the hash we've computed on the \
             server-side."
        ))),
    }
}

fn refuse(message: &str) -> Error {
    Error::unauthenticated(message).with_code("AuthenticationFailed")
}
