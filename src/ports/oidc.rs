//! An OpenID Connect issuer: its documents, fetched when they are needed, and codes that become ID tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::http;
use super::resolve::Resolver;
use crate::base::{Clock, Error, Result, Secret};
use crate::proto::oidc::{self, Discovery, Key};

/// For all of a call. Somebody waits before a page.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer. Documents and tokens have some kilobytes.
const ANSWER_LEN_MAX: usize = 256 << 10;
/// How long the issuer's documents are believed: a key that it took back is refused after that.
const DOCUMENTS_LAST: Duration = Duration::from_secs(60 * 60);
/// How soon keys are fetched again because one was unknown. A stranger's token must not make us ask without end.
const KEYS_PERIOD: Duration = Duration::from_secs(60);

/// Who we are to an issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its name, which is where its discovery document is.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
}

/// The issuer. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    http: reqwest::Client,
    settings: Arc<IssuerSettings>,
    known: Arc<Mutex<Known>>,
    clock: Clock,
}

/// What it said, and when on the steady clock.
#[derive(Default)]
struct Known {
    discovery: Option<(Discovery, Duration)>,
    keys: Option<(Arc<[Key]>, Duration)>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Issuer {
    /// An issuer. It is not asked anything yet.
    pub fn new(settings: IssuerSettings, resolver: Resolver, clock: Clock) -> Result<Self> {
        let http = http::client(resolver, CALL_TIMEOUT)?;
        Ok(Self { http, settings: Arc::new(settings), known: Arc::default(), clock })
    }

    /// Who we are to it.
    pub fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// Where it is asked for what. Answered from memory for an hour.
    pub async fn discovery(&self) -> Result<Discovery> {
        let now = self.clock.elapsed();
        if let Some((discovery, at)) = &self.lock_known().discovery
            && now.saturating_sub(*at) < DOCUMENTS_LAST
        {
            return Ok(discovery.clone());
        }
        let discovery = self.look().await?;
        self.lock_known().discovery = Some((discovery.clone(), now));
        Ok(discovery)
    }

    /// Fetches the discovery document, whatever is in memory.
    pub async fn look(&self) -> Result<Discovery> {
        let issuer = &self.settings.issuer;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let bytes = self.answer(self.http.get(address)).await?;
        oidc::discovery(&bytes, issuer)
            .map_err(|why| Error::unavailable(format!("the discovery document of the OIDC issuer is of no use: {why}")))
    }

    /// Its keys. `renewed` fetches them even if some are in memory, at most once a minute.
    pub async fn keys(&self, renewed: bool) -> Result<Arc<[Key]>> {
        let now = self.clock.elapsed();
        let lasts = if renewed { KEYS_PERIOD } else { DOCUMENTS_LAST };
        if let Some((keys, at)) = &self.lock_known().keys
            && now.saturating_sub(*at) < lasts
        {
            return Ok(keys.clone());
        }
        let address = self.discovery().await?.keys;
        let bytes = self.answer(self.http.get(address)).await?;
        let keys: Arc<[Key]> = oidc::keys(&bytes).ok_or_else(|| unreachable("its keys are no JWKS".into()))?.into();
        self.lock_known().keys = Some((keys.clone(), now));
        Ok(keys)
    }

    /// The ID token for a code that a browser brought back.
    pub async fn exchange(&self, code: &str, verifier: &Secret, redirect: &Url) -> Result<Secret> {
        let address = self.discovery().await?.token;
        let IssuerSettings { client_id, client_secret, .. } = &*self.settings;
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        // RFC 6749 2.3.1: both are encoded before they are joined.
        let login = BASE64.encode(format!("{}:{}", encoded(client_id), encoded(client_secret.expose())));
        let body = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("code_verifier", verifier.expose())
            .finish();
        let request = self.http.post(address).header("authorization", format!("Basic {login}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = zeroize::Zeroizing::new(self.answer(request.header("accept", "application/json")).await?);
        let tokens: Tokens =
            serde_json::from_slice(&answer).map_err(|_| unreachable("its answer has no ID token".into()))?;
        Ok(Secret::new(tokens.id_token))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let failed = |e: reqwest::Error| unreachable(e.without_url().to_string());
        let response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(unreachable(format!("it answered {}", response.status())));
        }
        let answer = http::read(response, ANSWER_LEN_MAX).await.map_err(failed)?;
        if !answer.is_whole {
            return Err(unreachable("the answer is too long".into()));
        }
        Ok(answer.bytes)
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(cause: String) -> Error {
    Error::unavailable("the OIDC issuer gives no usable answer: try again, or sign in with a password").because(cause)
}
