//! Tokens that a token service mints: one for many who wait, another one before it is over, the old one while it lives.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::base::text::url_encoded;
use crate::base::{Clock, Error, Kind, Result, Secret, Timestamp};
use crate::ports::upstream::{Client, Outgoing};

/// Bytes of an answer with a token.
const ANSWER_LEN_MAX: usize = 64 << 10;
/// For a token service to answer.
const MINT_MAX: Duration = Duration::from_secs(20);
/// For it to take one back: whoever ends a session waits for it.
const REVOKE_MAX: Duration = Duration::from_secs(5);
/// Tries of one mint, with a pause before each but the first: a restart of the service is sat out, and no longer one waited for.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1000)];
/// After a failure the next request that has a token still asks no sooner than this.
const BACK_OFF: Duration = Duration::from_secs(15);
/// Tokens before the present one that are remembered until they are over: they are minted a margin apart.
const FORMER_MAX: usize = 128;
/// How long whoever renews waits for the new token before the old one does.
const RENEW_MAX: Duration = Duration::from_secs(1);
/// A token that was refused this soon was not too old: another one would be refused as well.
const FRESH: Duration = Duration::from_secs(30);

/// How a token is asked for.
#[derive(Clone)]
pub struct Mint {
    /// Makes the request for a token that ends at a moment.
    pub request: Arc<dyn Fn(Timestamp) -> Request + Send + Sync>,
    /// Where in the answer the token stands, as a JSON pointer.
    pub pointer: String,
    /// Where the answer says for how many seconds it works, if it does.
    pub life_pointer: Option<String>,
    /// How long it is asked for.
    pub life: Duration,
    /// How long before its end another one is asked for, at the latest.
    pub margin: Duration,
    /// Where a token is taken back, if anywhere.
    pub revocation: Option<Revocation>,
}

/// Where a token is taken back.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The URL.
    pub url: String,
    /// As whom it is asked by OAuth 2 (RFC 7009); otherwise it is a `DELETE` that the token itself authorizes.
    pub client: Option<Secret>,
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("pointer", &self.pointer).field("life", &self.life).finish_non_exhaustive()
    }
}

/// A request to a token service.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// By what we are known.
    pub authorization: Secret,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Secret,
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// What is shown.
    pub text: Secret,
    /// Which of them it is; they are counted from one.
    pub number: u64,
    /// When it was minted.
    pub minted: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// When another one should be asked for.
    renewed: Timestamp,
}

/// What hears of each token, or why there is none, before anybody uses it. One that it does not take is not used.
pub type OnMint = Arc<dyn Fn(Result<Token, String>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The token of one session, upstream and set of permissions.
pub struct Minted {
    mint: Mint,
    client: Client,
    clock: Clock,
    on_mint: OnMint,
    state: Mutex<State>,
    /// Held by the one who asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Those before it that may still work.
    former: Vec<Token>,
    /// Nothing is asked any more.
    is_over: bool,
    minted: u64,
    /// The last failure, and when.
    failed: Option<(Timestamp, String)>,
    /// How many there were.
    failures: u64,
}

impl State {
    fn take(&mut self) -> Vec<Token> {
        self.is_over = true;
        let mut tokens = std::mem::take(&mut self.former);
        tokens.extend(self.token.take());
        tokens
    }

    /// Keeps a token that is not used any more until it is over, to be taken back.
    fn retire(&mut self, token: Option<Token>, now: Timestamp) {
        self.former.retain(|token| now < token.ends);
        self.former.extend(token);
        let surplus = self.former.len().saturating_sub(FORMER_MAX);
        self.former.drain(..surplus);
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("mint", &self.mint).finish_non_exhaustive()
    }
}

impl Minted {
    /// Has no token until one is needed.
    pub fn new(mint: Mint, client: Client, clock: Clock, on_mint: OnMint) -> Self {
        Self { mint, client, clock, on_mint, state: Mutex::default(), asking: Arc::default() }
    }

    /// The token of now, if one is alive.
    pub fn alive(&self) -> Option<Token> {
        let now = self.clock.now();
        self.state().token.clone().filter(|token| now < token.ends)
    }

    /// A token that works. Of many who ask at once, one asks the service. While an old one works, the others take that.
    pub async fn token(self: &Arc<Self>) -> Result<Token> {
        let began = self.clock.now();
        if let Some(token) = self.alive() {
            let has_failed = self.state().failed.as_ref().is_some_and(|(at, _)| at.is_within(BACK_OFF, began));
            if began < token.renewed || has_failed {
                return Ok(token);
            }
            let Ok(asking) = self.asking.clone().try_lock_owned() else { return Ok(token) };
            let asked = tokio::time::timeout(RENEW_MAX, self.asked(asking)).await;
            return Ok(asked.ok().and_then(Result::ok).unwrap_or(token));
        }
        let before = self.state().failures;
        let asking = self.asking.clone().lock_owned().await;
        if let Some(token) = self.alive() {
            return Ok(token);
        }
        // What the one before found out while this one waited counts for both.
        if let Some(message) = self.failed_since(before) {
            return Err(Error::unavailable(message));
        }
        self.asked(asking).await
    }

    /// Asks the service, also to the end when nobody waits any more: what it minted must be known, to be taken back.
    async fn asked(self: &Arc<Self>, asking: OwnedMutexGuard<()>) -> Result<Token> {
        let this = self.clone();
        let asked = tokio::spawn(async move {
            let outcome = this.ask().await;
            drop(asking);
            outcome
        });
        asked.await.unwrap_or_else(|e| Err(Error::internal("asking the token service", e)))
    }

    /// Notes that the upstream refused a token. `true`: there may be a better one.
    pub fn was_refused(&self, number: u64) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        match &state.token {
            // Somebody else noted it, and there is another one already, or none.
            None => true,
            Some(token) if token.number != number => true,
            Some(token) if token.number > 1 && token.minted.is_within(FRESH, now) => false,
            Some(_) => {
                let refused = state.token.take();
                state.retire(refused, now);
                true
            }
        }
    }

    /// Forgets its tokens for good, and has those that may work taken back where their service does that. How many were, and
    /// why others were not; a token that was never minted, or that nobody takes back, is no failure.
    pub async fn revoke(&self) -> (u64, Option<Error>) {
        let (tokens, now) = (self.state().take(), self.clock.now());
        let Some(revocation) = &self.mint.revocation else { return (0, None) };
        let alive = tokens.iter().filter(|token| now < token.ends).map(|token| self.revoke_one(revocation, token));
        let outcomes = futures_util::future::join_all(alive).await;
        let revoked = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        (revoked, outcomes.into_iter().find_map(Result::err))
    }

    async fn revoke_quietly(&self, token: &Token) {
        if let Some(revocation) = &self.mint.revocation
            && let Err(error) = self.revoke_one(revocation, token).await
        {
            tracing::warn!("a token that nobody uses could not be taken back: {}", error.chain());
        }
    }

    async fn revoke_one(&self, revocation: &Revocation, token: &Token) -> Result<()> {
        let request = match &revocation.client {
            None => hyper::Request::delete(&revocation.url)
                .header(AUTHORIZATION, format!("Bearer {}", token.text.expose()))
                .body(Outgoing::None),
            Some(client) => hyper::Request::post(&revocation.url)
                .header(AUTHORIZATION, client.expose())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Outgoing::Whole(Full::new(format!("token={}", url_encoded(token.text.expose())).into()))),
        };
        let request = request.map_err(|e| Error::internal("taking a token back", e))?;
        let response = tokio::time::timeout(REVOKE_MAX, self.client.send(request)).await;
        let status = response.map_err(|_| Error::unavailable("the token service did not answer in time"))??.status();
        if status.is_success() || status.as_u16() == 404 {
            Ok(())
        } else {
            Err(Error::conflict(format!("the token service answered {} to taking a token back", status.as_u16())))
        }
    }

    /// Why there is no token, if that was found out after so many failures.
    fn failed_since(&self, before: u64) -> Option<String> {
        let state = self.state();
        state.failed.as_ref().filter(|_| state.failures > before).map(|(_, message)| message.clone())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<Token> {
        let outcome = match tokio::time::timeout(MINT_MAX, self.tries()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable("the token service did not answer in time")),
        };
        let outcome = match outcome {
            Ok((text, ends)) => self.told(text, ends).await,
            Err(error) => {
                // What is told is that there is none; that this cannot be told changes nothing for who asks.
                let _ = (self.on_mint)(Err(error.chain())).await;
                Err(error)
            }
        };
        if let Ok(token) = &outcome
            && !self.keep(token)
        {
            // The session ended while the service minted.
            self.revoke_quietly(token).await;
            return Err(Error::forbidden("this session is over"));
        }
        if let Err(error) = &outcome {
            let mut state = self.state();
            state.failures += 1;
            state.failed = Some((self.clock.now(), error.message().to_owned()));
        }
        outcome
    }

    /// Takes a token for the one of now; not when nothing is asked any more.
    fn keep(&self, token: &Token) -> bool {
        let mut state = self.state();
        if state.is_over {
            return false;
        }
        state.minted = token.number;
        let before = state.token.replace(token.clone());
        state.retire(before, self.clock.now());
        state.failed = None;
        true
    }

    async fn told(&self, text: Secret, ends: Timestamp) -> Result<Token> {
        let minted = self.clock.now();
        // A service may give a token a shorter life than was asked for.
        let margin = self.mint.margin.min(ends.since(minted) / 4);
        let renewed = ends.minus(margin).minus(jitter(&text, margin / 4));
        let number = self.state().minted + 1;
        let token = Token { text, number, minted, ends, renewed };
        if let Err(error) = (self.on_mint)(Ok(token.clone())).await {
            // One that is not recorded is not used.
            self.revoke_quietly(&token).await;
            return Err(error);
        }
        Ok(token)
    }

    async fn tries(&self) -> Result<(Secret, Timestamp)> {
        let mut outcome = Err(Error::unavailable("the token service was not asked"));
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            outcome = self.once().await;
            match &outcome {
                Err(error) if error.kind() == Kind::Unavailable => {}
                _ => return outcome,
            }
        }
        outcome
    }

    /// One try. `Unavailable` is worth another.
    async fn once(&self) -> Result<(Secret, Timestamp)> {
        let now = self.clock.now();
        let ends = now.plus(self.mint.life);
        let Request { method, url, authorization, content_type, body } = (self.mint.request)(ends);
        let body = Full::new(body.expose().to_owned().into());
        let request = hyper::Request::builder()
            .method(method)
            .uri(url)
            .header(AUTHORIZATION, authorization.expose())
            .header(CONTENT_TYPE, content_type)
            .body(Outgoing::Whole(body))
            .map_err(|e| Error::internal("asking the token service", e))?;
        let response = self.client.send(request).await;
        let response =
            response.map_err(|e| Error::unavailable("the token service cannot be reached").because(e.chain()))?;
        let status = response.status();
        if !status.is_success() {
            let message = format!("the token service answered {}", status.as_u16());
            let is_passing = status.is_server_error();
            return Err(if is_passing { Error::unavailable(message) } else { Error::conflict(message) });
        }
        let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await;
        let body = body.map_err(|e| Error::unavailable("the token service broke off").because(e))?.to_bytes();
        let answer: Value =
            serde_json::from_slice(&body).map_err(|_| Error::conflict("the token service answered no JSON"))?;
        let token = answer.pointer(&self.mint.pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let token = token.ok_or_else(|| Error::conflict("the token service answered without a token"))?;
        if !token.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(Error::conflict("the token service answered a token that no header can hold"));
        }
        let life = self.mint.life_pointer.as_ref().and_then(|pointer| answer.pointer(pointer)?.as_u64());
        Ok((Secret::new(token), life.map_or(ends, |seconds| now.plus(Duration::from_secs(seconds)))))
    }
}

/// Some part of a span, another one for each token: workers that began together do not come back together.
fn jitter(token: &Secret, span: Duration) -> Duration {
    let sum: u32 = token.expose().bytes().map(u32::from).sum();
    span * (sum % 256) / 255
}
