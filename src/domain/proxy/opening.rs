//! From a declaration to something that is open for one session: granted, and with a key.

use std::sync::Arc;

use hyper::Method;
use jiff::tz::TimeZone;

use super::grants::{Granted, judge, permission_set};
use super::keys::{Key, Signer};
use super::lender::{Lender, basic};
use super::tokens::{Mint, Minted, OnMint, Request, Revocation};
use crate::base::{Clock, Error, Result, Scope, Secret};
use crate::ports::resolve::Resolver;
use crate::ports::tls::{ClientCertificate, Tls};
use crate::ports::upstream::{Client, Networks, Pins, Way};
use crate::proto::proxy::declaration::{Credential, Declared, Minting, OAuth2};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::go;
use crate::proto::proxy::template::Filling;
use crate::proto::proxy::upstream::{Base, Upstream};
use crate::proto::scopes;

/// An upstream that a session may reach, and by which right.
pub struct Opened {
    /// The upstream.
    pub upstream: Upstream,
    /// The deployment, where it answers by the paths of taskcluster-proxy.
    pub deployment: Option<Base>,
    /// What lets us in.
    pub key: Key,
    /// What was granted.
    pub permissions: Vec<String>,
    /// By which that is known in records.
    pub set: Arc<str>,
    /// The way there.
    pub client: Client,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("upstream", &self.upstream.name).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Opened {
    /// How the variables begin by which a task finds it.
    pub fn variable_prefix(&self) -> String {
        self.upstream.name.to_ascii_uppercase().replace('-', "_")
    }
}

/// What every opening needs.
#[derive(Clone)]
pub struct Opener {
    /// What time it is.
    pub clock: Clock,
    /// In which zone token services are told times.
    pub zone: TimeZone,
    /// What the session is called.
    pub session: Arc<str>,
    /// Who hears of tokens.
    pub on_mint: OnMint,
}

/// A client for what was declared.
pub fn client(declared: &Declared, pins: Pins, resolver: Option<Resolver>) -> Client {
    let identity = match &declared.credential {
        Credential::Certificate(certificate, key) => {
            Some(ClientCertificate { certificate: certificate.secret().expose().to_owned(), key: key.secret() })
        }
        _ => None,
    };
    let authorities = declared.authorities.as_ref().map(|text| text.secret().expose().to_owned());
    let networks = Networks::new(declared.networks.iter().copied());
    Client::with_resolver(Way { networks, pins, tls: Tls { authorities, identity } }, resolver)
}

/// What scopes are worth at a declared upstream: by its rule, and of that what the issuer may give and the credential can say.
pub fn worth(declared: &Declared, held: &[Scope]) -> Granted {
    let mut granted = judge(&declared.rule, held);
    let may_give = |permission: &str| {
        let mut own = declared.may_give.iter();
        declared.may_give.is_empty()
            || own.any(|own| match own.strip_suffix('*') {
                Some(beginning) => permission.starts_with(beginning),
                None => own == permission,
            })
    };
    // A blank between two scopes of OAuth 2 is the one in a scope of ours (RFC 6749, 3.3).
    let can_say = |permission: &str| {
        !matches!(declared.credential, Credential::OAuth2(_))
            || permission.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    let (mut kept, mut reasons) = (Vec::new(), Vec::new());
    for permission in granted.permissions {
        if !may_give(&permission) {
            reasons.push(format!("`{permission}` is not what this upstream may give"));
        } else if !can_say(&permission) {
            reasons.push(format!("`{permission}` cannot be a scope of OAuth 2"));
        } else {
            kept.push(permission);
        }
    }
    granted.permissions = kept;
    granted.reasons.extend(reasons);
    granted
}

/// The scopes that credentials may pass on: all that are asked for, or those that their certificate covers.
pub fn delegable(asked: &[Scope], certified: Option<&[Scope]>) -> Vec<Scope> {
    let covered = |scope: &&Scope| certified.is_none_or(|held| scopes::covers(held, scope.as_str()));
    asked.iter().filter(covered).cloned().collect()
}

impl Opener {
    /// Opens what was granted. `lender` is who lends the account of an upstream that has one, `delegation` what the worker gave.
    pub fn open(
        &self,
        declared: &Declared,
        permissions: Vec<String>,
        client: Client,
        lender: Option<Lender>,
        delegation: Option<Delegation>,
    ) -> Result<Opened> {
        let key = match &declared.credential {
            Credential::Hawk => {
                let needed = || {
                    Error::invalid(format!(
                        "`{}` signs with credentials of the task: give them",
                        declared.upstream.name
                    ))
                };
                Key::Hawk(Signer::new(delegation.ok_or_else(needed)?))
            }
            Credential::Bearer(token) => Key::Fixed(Secret::new(format!("Bearer {}", token.secret().expose()))),
            Credential::Basic(user, password) => Key::Fixed(basic(user, &password.secret())),
            Credential::Minted(minting) => self.minted(self.mint(minting, permissions.clone())?, client.clone()),
            Credential::OAuth2(own) => self.minted(oauth2(own, &permissions), client.clone()),
            Credential::Certificate(..) => Key::Connection,
            Credential::Namespace => Key::Namespaces,
            Credential::RelayAccount(_) => {
                let nobody = || Error::invalid(format!("nobody lends an account to `{}`", declared.upstream.name));
                Key::Account(lender.ok_or_else(nobody)?.into())
            }
        };
        let set = permission_set(&permissions).into();
        let (upstream, deployment) = (declared.upstream.clone(), declared.deployment.clone());
        Ok(Opened { upstream, deployment, key, permissions, set, client })
    }

    fn minted(&self, mint: Mint, client: Client) -> Key {
        Key::Minted(Minted::new(mint, client, self.clock.clone(), self.on_mint.clone()).into())
    }

    fn mint(&self, minting: &Minting, permissions: Vec<String>) -> Result<Mint> {
        let method = Method::from_bytes(minting.method.as_bytes());
        let method = method.map_err(|e| Error::invalid("the method of a token service").because(e))?;
        let (url, template, zone) = (minting.url.clone(), minting.body.clone(), self.zone.clone());
        let authorization = Secret::new(format!("Bearer {}", minting.token.secret().expose()));
        let (life_s, session) = (minting.life.as_secs(), self.session.clone());
        let revocation = minting.revoke_url.as_ref().map(|url| Revocation { url: url.clone(), client: None });
        let request = move |ends| {
            let expires = go::rfc3339_nano(ends, &zone);
            let filling =
                Filling { permissions: &permissions, expires: &expires, expires_in_s: life_s, session: &session };
            Request {
                method: method.clone(),
                url: url.clone(),
                authorization: authorization.clone(),
                content_type: "application/json",
                body: Secret::new(template.fill(&filling)),
            }
        };
        Ok(Mint {
            request: Arc::new(request),
            pointer: minting.pointer.clone(),
            life_pointer: minting.life_pointer.clone(),
            life: minting.life,
            margin: minting.margin,
            revocation,
        })
    }
}

/// A token by client credentials (RFC 6749, 4.4), with the permissions as its scope.
fn oauth2(own: &OAuth2, permissions: &[String]) -> Mint {
    let scope = permissions.join(" ");
    let body: String = form_urlencoded(&[("grant_type", "client_credentials"), ("scope", &scope)]);
    let (url, authorization) = (own.url.clone(), basic(&own.client_id, &own.secret.secret()));
    let revocation =
        own.revoke_url.as_ref().map(|url| Revocation { url: url.clone(), client: Some(authorization.clone()) });
    let request = move |_| Request {
        method: Method::POST,
        url: url.clone(),
        authorization: authorization.clone(),
        content_type: "application/x-www-form-urlencoded",
        body: Secret::new(body.clone()),
    };
    Mint {
        request: Arc::new(request),
        pointer: "/access_token".into(),
        life_pointer: Some("/expires_in".into()),
        life: OAUTH2_LIFE,
        margin: OAUTH2_MARGIN,
        revocation,
    }
}

/// How long a token works whose service does not say it (RFC 6749, 5.1 leaves it open).
const OAUTH2_LIFE: std::time::Duration = std::time::Duration::from_secs(300);
/// How long before its end another one is asked for.
const OAUTH2_MARGIN: std::time::Duration = std::time::Duration::from_secs(30);

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
