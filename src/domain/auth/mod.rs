//! Who is asking: clients and roles of the own store, or the remote authority of a Taskcluster deployment.

mod caller;
mod clients;
mod replay;
mod revoked;
mod roles;
pub mod scopes;
mod throttle;
mod uses;
pub mod verify;

use std::net::IpAddr;
use std::sync::Arc;

pub use caller::Caller;
pub use clients::{Change as ClientChange, ClientView, LentTo, NewClient};
use replay::Replay;
pub use throttle::Limits;
use throttle::Throttle;
pub use uses::Use;
use uses::Uses;
use verify::{Party, Success};

use crate::base::{CertificateName, ClientId, Clock, Error, Result, Secret, Timestamp};
use crate::ports::authority::Authority;
use crate::proto::certificates::{Age, Certificate};
use crate::proto::hawk::{Question, bewit, mac};
use crate::proto::roles::Roles;
use crate::store::{Cached, ReadTx, Store};

/// What a request shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The request target exactly as transmitted (taskcluster.md 1.2).
    pub resource: &'a str,
    pub method: &'a str,
    /// Host and port that the client signed (taskcluster.md 1.7), or why they cannot be told.
    pub authority: std::result::Result<(&'a str, u16), &'a str>,
    pub authorization: Option<&'a str>,
    /// Content type and body, for the payload hash.
    pub payload: (Option<&'a str>, &'a [u8]),
    /// The client certificate of the connection, which some authority vouches for.
    pub certificate: Option<&'a Certificate>,
    pub address: IpAddr,
    /// Whether that is this host.
    pub is_on_host: bool,
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
    parsed_roles: Cached<Roles>,
    replay: Arc<Replay>,
    throttle: Arc<Throttle>,
    uses: Arc<Uses>,
}

impl Auth {
    /// Believes the remote authority when there is one, else the clients of the own store.
    pub fn new(store: Store, remote: Option<Authority>, limits: Limits, clock: Clock) -> Result<Self> {
        let replay = Arc::new(Replay::after_restart(&store)?);
        let throttle = Throttle::new(limits, clock).into();
        Ok(Self { store, remote, parsed_roles: Cached::default(), replay, throttle, uses: Arc::default() })
    }

    /// Finds out who is asking. No credentials is nobody, without scopes; bad ones are `Unauthenticated`. `Limited` for
    /// a client that asks too often, and for an address that showed bad ones too often: guessing is slow.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Caller> {
        self.throttle.check_failures(presented)?;
        self.throttle.count(presented, self.identify(presented).await)
    }

    /// Counts a request that needs no credentials. `Limited` for an address that asks too often.
    pub fn admit_stranger(&self, address: IpAddr) -> Result<()> {
        self.throttle.admit_stranger(address)
    }

    async fn identify(&self, presented: &Presented<'_>) -> Result<Caller> {
        match (presented.authorization, bewit::is_in(presented.resource)) {
            (None, false) => return self.by_certificate(presented).await,
            (Some(_), true) => {
                return Err(refuse(
                    "Cannot use two authentication schemes at once this request has both bewit in querystring and \
                     and 'authorization' header",
                ));
            }
            _ => {}
        }
        if let Some(token) = presented.authorization.and_then(bearer) {
            let (caller, id) = self.bearer(presented, token).await?;
            self.note_use(id, presented.address).await;
            return Ok(caller);
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
            None => {
                let (caller, id) = self.local(presented, &question).await?;
                self.note_use(id, presented.address).await;
                Ok(caller)
            }
            Some(remote) => {
                let answer = remote.authenticate_hawk(&question, presented.address).await?;
                check_payload(presented, answer.hash.as_deref())?;
                Ok(Caller::client(answer.client_id, answer.scopes, presented, None))
            }
        }
    }

    /// Who signed by the own store, and the client of that store whose access token it goes back to.
    async fn local(&self, presented: &Presented<'_>, question: &Question<'_>) -> Result<(Caller, ClientId)> {
        let roles = self.roles_in_force().await?;
        let (now, success, holder) = self.store.read(|tx| {
            let (success, holder) = self.signed(tx, question, &roles)?;
            revoked::refuse(tx, &success)?;
            Ok((tx.now(), success, holder))
        })?;
        let Success { client_id, scopes, hash, replay_key, .. } = success;
        check_payload(presented, hash.as_deref())?;
        let mark = replay_key.map(|key| self.replay.admit(&key, now)).transpose()?;
        let holder = holder.unwrap_or_else(|| client_id.clone());
        Ok((Caller::client(Some(client_id), scopes, presented, mark), holder))
    }

    /// Who signed by the own store, and who holds the access token for that: the present one, or the one before it while
    /// that is kept.
    fn signed(&self, tx: &ReadTx<'_>, question: &Question<'_>, roles: &Roles) -> Result<(Success, Option<ClientId>)> {
        let mut holder = None;
        let mut verify_by = |is_former: bool| {
            let party = |id: &str| {
                let Ok(id) = ClientId::parse(id) else { return Ok(None) };
                holder = Some(id.clone());
                let Some((client, present)) = clients::look_up(tx, &id)? else { return Ok(None) };
                let former = if is_former { clients::former_token(tx, &id)? } else { None };
                Ok(Some(Party {
                    access_token: former.unwrap_or(present),
                    scopes: client.scopes,
                    expires: client.expires,
                    disabled: client.disabled,
                }))
            };
            let verified = verify::verify(question, party, roles, tx.now());
            (verified, holder.clone())
        };
        match verify_by(false) {
            (Ok(success), holder) => Ok((success, holder)),
            (Err(error), Some(id)) if clients::former_token(tx, &id)?.is_some() => {
                let (verified, holder) = verify_by(true);
                verified.map(|success| (success, holder)).map_err(|_| error)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// `Authorization: Bearer <clientId>/<accessToken>`: enough for `curl`, and only where nobody can listen.
    async fn bearer(&self, presented: &Presented<'_>, token: &str) -> Result<(Caller, ClientId)> {
        if self.remote.is_some() {
            return Err(refuse("Bearer tokens are for clients in Keylender's own store; sign the request with Hawk"));
        }
        if !presented.is_private {
            return Err(refuse("Bearer tokens are refused over plain HTTP from other hosts; use https or Hawk"));
        }
        let (id, token) = token.rsplit_once('/').ok_or_else(|| refuse("expected Bearer <clientId>/<accessToken>"))?;
        let roles = self.roles_in_force().await?;
        let (id, client) = self.store.read(|tx| {
            let found = match ClientId::parse(id) {
                Ok(id) => clients::look_up(tx, &id)?.map(|(client, right)| (id, client, right)),
                Err(_) => None,
            };
            let (id, client, right) = found.ok_or_else(|| refuse("unknown client or wrong access token"))?;
            let given = Secret::new(token);
            if right == given || clients::former_token(tx, &id)?.is_some_and(|former| former == given) {
                Ok((id, usable(client, tx.now())?))
            } else {
                Err(refuse("unknown client or wrong access token"))
            }
        })?;
        Ok((Caller::client(Some(id.clone()), roles.expand(&client.scopes), presented, None), id))
    }

    /// The client that goes by a name of the certificate; without a certificate, nobody. The clients of a remote
    /// authority have none.
    async fn by_certificate(&self, presented: &Presented<'_>) -> Result<Caller> {
        let (Some(certificate), None) = (presented.certificate, &self.remote) else {
            return Ok(Caller::nobody(presented.request_id));
        };
        let roles = self.roles_in_force().await?;
        let (id, client) = self.store.read(|tx| {
            // It was valid when the connection began, which may be long ago.
            if certificate.age(tx.now()) == Age::Over {
                return Err(refuse("the client certificate is over: renew it"));
            }
            let mut found = clients::by_certificate(tx, &certificate.names)?;
            match (found.pop(), found.is_empty()) {
                (Some((id, client)), true) => Ok((id, usable(client, tx.now())?)),
                (Some(_), false) => Err(refuse("the client certificate has the names of several clients")),
                (None, _) => Err(refuse(&format!(
                    "no client goes by this certificate; it names {:?}",
                    certificate.names.iter().map(CertificateName::as_str).collect::<Vec<_>>()
                ))),
            }
        })?;
        self.note_use(id.clone(), presented.address).await;
        let caller = Caller::client(Some(id), roles.expand(&client.scopes), presented, None);
        Ok(caller.known_by(&certificate.fingerprint))
    }
}

/// What the remote authority said of a request.
impl Auth {
    /// Whether callers are authenticated elsewhere.
    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Whether the authority answers; `None` without one.
    pub async fn reach(&self) -> Option<Result<()>> {
        match &self.remote {
            Some(remote) => Some(remote.reach().await),
            None => None,
        }
    }

    /// When a client ends that was made without saying: a thousand years are for ever, and have a text form.
    pub fn never(now: Timestamp) -> Timestamp {
        now.plus(std::time::Duration::from_secs(1000 * 365 * 86_400))
    }
}

/// Refuses a client that is turned off or over.
fn usable(client: clients::Client, now: Timestamp) -> Result<clients::Client> {
    match client {
        client if client.disabled => Err(refuse("the client is disabled")),
        client if client.expires < now => Err(refuse("the client has expired")),
        client => Ok(client),
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
    if mac::constant_time_eq(signed, &computed) {
        Ok(())
    } else {
        Err(refuse(&format!(
            "Invalid payload hash: {signed}\nComputed payload hash: {computed}\nThis happens when your request \
             carries a signed hash of the payload and the hash doesn't match the hash we've computed on the \
             server-side."
        )))
    }
}

fn refuse(message: &str) -> Error {
    Error::unauthenticated(message).with_code("AuthenticationFailed")
}
