//! Whether a signed request is believed, and with which scopes: what Taskcluster's auth service answers to
//! authenticate-hawk (taskcluster.md 2.3, vector group `authenticate_hawk`). Pure: clients come through a function,
//! time is an argument, and nothing is remembered.

use super::scopes;
use crate::base::{ClientId, Result, Scope, Secret, Timestamp};
use crate::proto::Refusal;
use crate::proto::ext::Ext;
use crate::proto::hawk::{Bewit, Header, Question, Target, bewit, mac};
use crate::proto::roles::Roles;
use crate::proto::scopes::{covers, covers_all};
use crate::proto::tempcred::{Certificate, derive_token};

/// How far the clocks of signer and verifier may be apart, in milliseconds, inclusive (taskcluster.md 1.4).
const SKEW_MAX_MS: i64 = 900_000;

/// A client with permanent credentials.
#[derive(Clone, Debug)]
pub struct Party {
    pub access_token: Secret,
    /// What it may do, before roles are expanded: that costs too much for somebody who has not signed yet.
    pub scopes: Vec<Scope>,
    pub expires: Timestamp,
    /// Whether an operator turned it off.
    pub disabled: bool,
}

/// A request that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// Who sent it; for named temporary credentials, their name.
    pub client_id: ClientId,
    /// What it may do: expanded, sorted, normalized.
    pub scopes: Vec<Scope>,
    /// Until when the credentials are valid. May be over for up to five minutes.
    pub expires: Timestamp,
    /// The payload hash that was signed. The caller must compare it with [`mac::payload_hash`] of the body.
    pub hash: Option<String>,
    /// What must not come twice; `None` for a signed URL, which is meant to be used again.
    pub replay_key: Option<ReplayKey>,
    /// Of named temporary credentials: who issued them, and from when they are valid, in milliseconds since 1970.
    pub issued: Option<(String, i64)>,
}

/// What one signer says only once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    pub id: String,
    /// When, as it was written.
    pub ts: String,
    pub nonce: String,
}

/// Decides. A refusal is an error of the kind [`crate::base::Kind::Unauthenticated`] with the auth service's message;
/// an error of `lookup` is handed on as it is.
///
/// The order is that of taskcluster.md 2.3, except that what a client may do is looked at only behind its signature,
/// because nobody may learn that without its access token, nor let us expand its roles: whether it covers a certificate
/// (the messages of vectors `auth-temp-neg-01` and `-02`) after both signatures, `authorizedScopes` last.
pub fn verify(
    question: &Question<'_>,
    lookup: impl FnMut(&str) -> Result<Option<Party>>,
    roles: &Roles,
    now: Timestamp,
) -> Result<Success> {
    let Question { method, resource, host, port, authorization } = *question;
    let target = Target { method, resource, host, port };
    match authorization {
        Some(_) if bewit::is_in(resource) => Err(Refusal::new(
            "Cannot use two authentication schemes at once this request has both bewit in querystring and and \
             'authorization' header",
        )
        .into()),
        Some(text) => by_header(text, &target, lookup, roles, now),
        None => by_bewit(&target, lookup, roles, now),
    }
}

fn by_header(
    text: &str,
    target: &Target<'_>,
    lookup: impl FnMut(&str) -> Result<Option<Party>>,
    roles: &Roles,
    now: Timestamp,
) -> Result<Success> {
    let header = Header::parse(text)?;
    let ext = header.ext.map(Ext::decode).transpose()?.unwrap_or_default();
    let signer = Signer::load(header.id, &ext, lookup, now)?;
    signer.check(header.mac, &header.signed_text(target))?;
    if !is_fresh(header.ts, now) {
        return Err(Refusal::new("Unauthorized: Stale timestamp").into());
    }
    let replay_key = ReplayKey { id: header.id.into(), ts: header.ts.into(), nonce: header.nonce.into() };
    let hash = header.hash.map(str::to_owned);
    Ok(Success { hash, replay_key: Some(replay_key), ..signer.success(&ext, roles)? })
}

fn by_bewit(
    target: &Target<'_>,
    lookup: impl FnMut(&str) -> Result<Option<Party>>,
    roles: &Roles,
    now: Timestamp,
) -> Result<Success> {
    if target.resource.len() > bewit::RESOURCE_LEN_MAX {
        return Err(Refusal::new("Bad Request: Resource path exceeds max length").into());
    }
    let (resource, text) = bewit::split(target.resource).ok_or(Refusal::new("Unauthorized"))?;
    if text.is_empty() {
        return Err(Refusal::new("Unauthorized: Empty bewit").into());
    }
    if !["GET", "HEAD"].iter().any(|method| target.method.eq_ignore_ascii_case(method)) {
        return Err(Refusal::new("Unauthorized: Invalid method").into());
    }
    let bewit = Bewit::decode(text)?;
    if bewit.exp.saturating_mul(1000) <= now.as_millis() {
        return Err(Refusal::new("Unauthorized: Access expired").into());
    }
    let ext = if bewit.ext.is_empty() { Ext::default() } else { Ext::decode(&bewit.ext)? };
    let signer = Signer::load(&bewit.id, &ext, lookup, now)?;
    let target = Target { resource: &resource, ..*target };
    signer.check(&bewit.mac, &mac::bewit_text(bewit.exp, &bewit.ext, &target))?;
    Ok(signer.success(&ext, roles)?)
}

/// Whether a time stamp is a number and near enough. The original lets pass what is no number.
fn is_fresh(ts: &str, now: Timestamp) -> bool {
    let seconds = Some(ts).filter(|ts| ts.bytes().all(|b| b.is_ascii_digit())).and_then(|ts| ts.parse::<i64>().ok());
    seconds.is_some_and(|seconds| {
        seconds.saturating_mul(1000).saturating_sub(now.as_millis()).saturating_abs() <= SKEW_MAX_MS
    })
}

/// Who a request says it is from: what would be true if its signature were right.
struct Signer {
    client_id: ClientId,
    access_token: Secret,
    /// Of the client that holds the permanent credentials, before roles are expanded.
    scopes: Vec<Scope>,
    expires: Timestamp,
    certificate: Option<Certificate>,
}

impl Signer {
    /// The client behind an id and an `ext`: steps 1 to 3 and 6 of taskcluster.md 2.3.
    fn load(
        id: &str,
        ext: &Ext,
        mut lookup: impl FnMut(&str) -> Result<Option<Party>>,
        now: Timestamp,
    ) -> Result<Self> {
        let issuer = ext.certificate().map(|value| Certificate::issuer_in(value, id)).transpose()?.flatten();
        let party = usable(issuer.unwrap_or(id), &mut lookup, now)?;
        // An id that is none belongs to nobody; asked here, because a name need not be known to `lookup`.
        let client_id = ClientId::parse(id).map_err(|_| unknown(id))?;
        let Party { access_token, scopes, expires, .. } = party;
        let mut signer = Self { client_id, access_token, scopes, expires, certificate: None };
        if let Some(value) = ext.certificate() {
            signer.become_temporary(value, now)?;
        }
        Ok(signer)
    }

    /// Steps 2, 3 and 6: from the client that issued the certificate to the credentials it describes.
    fn become_temporary(&mut self, value: &serde_json::Value, now: Timestamp) -> Result<(), Refusal> {
        let certificate = Certificate::read(value)?;
        certificate.check_time(now)?;
        if certificate.issuer.is_none() && value.get("clientId").is_some() {
            return Err(Refusal::new("ext.certificate.clientId must only be used with ext.certificate.issuer"));
        }
        certificate.check_signature(self.client_id.as_str(), &self.access_token)?;
        self.access_token = derive_token(&self.access_token, &certificate.seed);
        self.expires = self.expires.min(Timestamp::from_millis(certificate.expiry_ms));
        self.certificate = Some(certificate);
        Ok(())
    }

    /// Checks that the request is signed with this signer's access token.
    fn check(&self, signature: &str, text: &str) -> Result<(), Refusal> {
        if mac::constant_time_eq(signature, &mac::sign(&self.access_token, text)) {
            Ok(())
        } else {
            Err(Refusal::new("Unauthorized: Bad mac"))
        }
    }

    /// What the signer holds, through roles: steps 4 and 5. Only for somebody whose signature was checked.
    fn held(&self, roles: &Roles) -> Result<Vec<Scope>, Refusal> {
        let held = roles.expand(&self.scopes);
        let Some(certificate) = &self.certificate else { return Ok(held) };
        let id = self.client_id.as_str();
        let create = scopes::AUTH_CREATE_CLIENT.on(id);
        if let Some(issuer) = &certificate.issuer
            && !covers(&held, &create)
        {
            return Err(Refusal::new(format!(
                "ext.certificate issuer `{issuer}` doesn't have `{create}` for supplied clientId."
            )));
        }
        if !covers_all(&held, &certificate.scopes) {
            return Err(Refusal::new(format!(
                "ext.certificate issuer `{}` doesn't satisfiy all certificate scopes {}.  The temporary credentials \
                 were not generated correctly.",
                certificate.issuer.as_deref().unwrap_or(id),
                list(&certificate.scopes, ", "),
            )));
        }
        Ok(roles.expand(&certificate.scopes))
    }

    /// What is believed: all scopes, or those that the request restricts itself to (taskcluster.md 2.4).
    fn success(self, ext: &Ext, roles: &Roles) -> Result<Success, Refusal> {
        let held = self.held(roles)?;
        let Self { client_id, expires, certificate, .. } = self;
        let issued = certificate.and_then(|certificate| Some((certificate.issuer?, certificate.start_ms)));
        let scopes = match ext.authorized_scopes()? {
            None => held,
            Some(authorized) if covers_all(&held, &authorized) => roles.expand(&authorized),
            Some(authorized) => {
                return Err(Refusal::new(format!(
                    "Supplied credentials do not satisfy authorizedScopes; credentials have scopes [{}]; \
                     authorizedScopes are [{}]",
                    list(&held, ","),
                    list(&authorized, ","),
                )));
            }
        };
        Ok(Success { client_id, scopes, expires, hash: None, replay_key: None, issued })
    }
}

/// The client of that id, if it may sign at all.
fn usable(id: &str, lookup: &mut impl FnMut(&str) -> Result<Option<Party>>, now: Timestamp) -> Result<Party> {
    let party = lookup(id)?.ok_or_else(|| unknown(id))?;
    if party.disabled {
        return Err(Refusal::new(format!("Client with clientId '{id}' is disabled")).into());
    }
    if party.expires < now {
        return Err(Refusal::new(format!("Client with clientId: '{id}' has expired")).into());
    }
    Ok(party)
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(format!("Client with clientId '{id}' not found"))
}

fn list(scopes: &[Scope], separator: &str) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Error, Kind, RoleId};
    use crate::proto::roles::Role;

    const RESOURCE: &str = "/api/pulse/v1/namespaces";

    fn now() -> Timestamp {
        Timestamp::from_millis(1_539_604_800_500)
    }

    fn token() -> Secret {
        Secret::new("no-secret")
    }

    fn ask(resource: &str, authorization: Option<&str>) -> Result<Success> {
        let question = Question { method: "get", resource, host: "h", port: 443, authorization };
        let party = |id: &str| {
            let scopes = vec![Scope::parse("a").unwrap()];
            let known = Party { access_token: token(), scopes, expires: now(), disabled: false };
            Ok((id == "tester").then_some(known))
        };
        verify(&question, party, &Roles::default(), now())
    }

    fn signed(header: Header<'_>) -> String {
        header.signed(&token(), &Target { method: "GET", resource: RESOURCE, host: "h", port: 443 })
    }

    #[test]
    fn only_a_number_near_now_is_a_time_stamp() {
        let good = "1539604800";
        let padded = format!("{good:0>40}");
        for (ts, fresh) in [
            (good, true),
            (&padded, true),
            ("1539603901", true),
            ("1539603900", false),
            ("1539605700", true),
            ("1539605701", false),
            ("NaN", false),
            ("-1539604800", false),
            ("+1539604800", false),
            ("1539604800.5", false),
            ("0x5bc48600", false),
            ("1539604800 ", false),
            ("9223372036854775807", false),
            ("153960480015396048001539604800", false),
        ] {
            let answer = ask(RESOURCE, Some(&signed(Header { id: "tester", ts, nonce: "n", ..Header::default() })));
            match answer {
                Ok(success) => assert!(fresh && success.replay_key.unwrap().ts == ts, "{ts}"),
                Err(error) => assert!(!fresh && error.message() == "Unauthorized: Stale timestamp", "{ts}: {error}"),
            }
        }
    }

    #[test]
    fn scopes_are_told_to_their_holder_only() {
        let wide = crate::proto::ext::encode(None, Some(&[Scope::parse("b").unwrap()])).unwrap();
        let header = Header { id: "tester", ts: "1539604800", nonce: "n", ext: wide.as_deref(), ..Header::default() };
        assert!(ask(RESOURCE, Some(&signed(header))).unwrap_err().message().contains("have scopes [a]"));
        let forged = Header { mac: "m=", ..header }.to_string();
        assert_eq!(ask(RESOURCE, Some(&forged)).unwrap_err().message(), "Unauthorized: Bad mac");
    }

    #[test]
    fn a_forged_certificate_does_not_tell_what_its_issuer_may_do() {
        let (seed, now) = ("x".repeat(44), now().as_millis());
        for (id, issuer, scope) in [("tester", None, "b"), ("tester", None, "a"), ("other", Some("tester"), "a")] {
            let mut certificate = Certificate {
                scopes: vec![Scope::parse(scope).unwrap()],
                start_ms: now,
                expiry_ms: now + 1000,
                seed: seed.clone(),
                signature: "forged".into(),
                issuer: issuer.map(str::to_owned),
            };
            let message = |certificate: &Certificate| {
                let ext = crate::proto::ext::encode(Some(&certificate.to_json()), None).unwrap();
                let header = Header { id, ts: "1539604800", nonce: "n", ext: ext.as_deref(), ..Header::default() };
                let target = Target { method: "GET", resource: RESOURCE, host: "h", port: 443 };
                ask(RESOURCE, Some(&header.signed(&derive_token(&token(), &seed), &target)))
                    .map_err(|error| error.message().to_owned())
            };
            assert!(message(&certificate).unwrap_err().starts_with("ext.certificate.signature is not valid"), "{id}");
            certificate.signature = mac::sign(&token(), &certificate.text(id));
            match (issuer, scope) {
                (None, "a") => assert!(message(&certificate).is_ok()),
                (None, _) => assert!(message(&certificate).unwrap_err().contains("doesn't satisfiy")),
                (Some(_), _) => {
                    assert!(message(&certificate).unwrap_err().contains("doesn't have `auth:create-client"))
                }
            }
        }
    }

    #[test]
    fn roles_are_expanded_for_whoever_signed() {
        let role = Role { id: RoleId::parse("r").unwrap(), scopes: vec![Scope::parse("a").unwrap()] };
        let roles = Roles::new(vec![role]).unwrap();
        let held = Scope::parse("assume:r").unwrap();
        let header = signed(Header { id: "tester", ts: "1539604800", nonce: "n", ..Header::default() });
        let question =
            Question { method: "GET", resource: RESOURCE, host: "h", port: 443, authorization: Some(&header) };
        let party = Party { access_token: token(), scopes: vec![held.clone()], expires: now(), disabled: false };
        let success = verify(&question, |_| Ok(Some(party.clone())), &roles, now()).unwrap();
        assert_eq!(success.scopes, [Scope::parse("a").unwrap(), held]);
    }

    #[test]
    fn two_ways_to_sign_at_once_are_refused() {
        let header = signed(Header { id: "tester", ts: "1539604800", nonce: "n", ..Header::default() });
        let error = ask("/a?bewit=x&", Some(&header)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Unauthenticated, Some("AuthenticationFailed")));
    }

    #[test]
    fn hostile_bewits_are_refused() {
        let bewit = |id: &str, exp| Bewit { id: id.into(), exp, mac: "m=".into(), ext: String::new() }.encode();
        let long = "x".repeat(bewit::RESOURCE_LEN_MAX);
        for (value, message) in [
            (String::new(), "Unauthorized: Empty bewit"),
            (long, "Bad Request: Resource path exceeds max length"),
            (bewit("tester", i64::MAX), "Unauthorized: Bad mac"),
            (bewit("tester", 0), "Unauthorized: Access expired"),
            (bewit("no client", i64::MAX), "Client with clientId 'no client' not found"),
            ("x&".into(), "Unauthorized"),
            ("*".into(), "Bad Request: Invalid bewit encoding"),
        ] {
            assert_eq!(ask(&format!("/a?bewit={value}"), None).unwrap_err().message(), message);
        }
    }

    #[test]
    fn a_failing_lookup_is_no_refusal() {
        let header = signed(Header { id: "tester", ts: "1539604800", nonce: "n", ..Header::default() });
        let question =
            Question { method: "GET", resource: RESOURCE, host: "h", port: 443, authorization: Some(&header) };
        let lookup = |_: &str| Err(Error::unavailable("the store is away"));
        assert_eq!(verify(&question, lookup, &Roles::default(), now()).unwrap_err().kind(), Kind::Unavailable);
    }
}
