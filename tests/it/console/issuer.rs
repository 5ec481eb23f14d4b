//! A small OpenID Connect issuer in this process: it signs what the story wants, and is as strict as real ones.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keylender::app::settings::{OidcSettings, Settings};
use keylender::base::Secret;
use keylender::domain::operators::{OidcConfig, Role};
use keylender::ports::oidc::IssuerSettings;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::form_urlencoded;

const BACK: &str = "http://keylender.test/login/oidc/back";

/// What it says of whoever signs in.
pub struct State {
    url: String,
    key: EcdsaKeyPair,
    /// The id of its present key.
    pub key_id: String,
    /// The algorithm that it claims.
    pub alg: String,
    /// Claims that differ from those of an ordinary token.
    pub claims: Value,
    nonce: String,
    challenge: String,
    /// Paths that were asked for.
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Issuer(Arc<Mutex<State>>);

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = State {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: new_key(),
            key_id: "one".into(),
            alg: "ES256".into(),
            claims: json!({}),
            nonce: String::new(),
            challenge: String::new(),
            asked: Vec::new(),
        };
        let issuer = Self(Arc::new(Mutex::new(state)));
        let server = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(server.clone(), stream));
            }
        });
        issuer
    }

    /// Makes an appliance use it.
    pub fn settle(&self, settings: &mut Settings) {
        settings.oidc = Some(OidcSettings {
            issuer: IssuerSettings {
                issuer: self.with(|state| state.url.clone()),
                client_id: "lend".into(),
                client_secret: Secret::new("s3cret/+"),
            },
            config: OidcConfig {
                roles: vec![
                    ("staff".into(), Role::Viewer),
                    ("root".into(), Role::Admin),
                    ("on call".into(), Role::Operator),
                ],
                groups_claim: "groups".into(),
                redirect: BACK.parse().unwrap(),
            },
        });
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// It signs with another key from now on.
    pub fn rotate(&self, id: &str) {
        self.with(|state| (state.key, state.key_id) = (new_key(), id.into()));
    }

    /// Somebody signs in there: where their browser is sent back to, as a path.
    pub fn sign_in(&self, location: &str) -> String {
        let (url, query) = location.split_once('?').unwrap();
        let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = |name: &str| query.iter().find(|(given, _)| given == name).unwrap().1.clone();
        self.with(|state| {
            assert_eq!(url, format!("{}/authorize", state.url));
            (state.nonce, state.challenge) = (asked("nonce"), asked("code_challenge"));
        });
        let fixed = [asked("response_type"), asked("client_id"), asked("redirect_uri"), asked("code_challenge_method")];
        assert_eq!(fixed, ["code", "lend", BACK, "S256"]);
        assert!(asked("scope").split(' ').any(|scope| scope == "openid"));
        format!("/login/oidc/back?code=c0de&state={}", asked("state"))
    }

    fn answer(&self, request: &str) -> Option<Value> {
        let path = request.split(' ').nth(1)?.to_owned();
        self.with(|state| {
            state.asked.push(path.clone());
            let url = &state.url;
            match path.as_str() {
                "/.well-known/openid-configuration" => Some(json!({
                    "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                    "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys"),
                })),
                "/keys" => {
                    let point = state.key.public_key().as_ref();
                    let [x, y] = [&point[1..33], &point[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
                    let key = json!({"kty": "EC", "crv": "P-256", "kid": state.key_id, "use": "sig", "x": x, "y": y});
                    Some(json!({ "keys": [key] }))
                }
                "/token" => state.token(request),
                _ => None,
            }
        })
    }
}

impl State {
    fn token(&self, request: &str) -> Option<Value> {
        let (head, body) = request.split_once("\r\n\r\n")?;
        let login = format!("authorization: basic {}", STANDARD.encode("lend:s3cret%2F%2B")).to_ascii_lowercase();
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let given = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(given("code_verifier")?));
        let fits = head.to_ascii_lowercase().contains(&login) && challenge == self.challenge;
        let is_ours = given("redirect_uri") == Some(BACK) && given("code") == Some("c0de");
        if !fits || !is_ours {
            return None;
        }
        let now = crate::world::BEGIN.as_seconds();
        let mut claims = json!({
            "iss": self.url, "aud": "lend", "sub": "1", "iat": now, "exp": now + 300, "nonce": self.nonce,
            "preferred_username": "Ada", "groups": ["staff"],
        });
        for (name, value) in self.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let head = json!({ "alg": self.alg, "kid": self.key_id });
        let [head, body] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{head}.{body}");
        let signature = match self.alg.as_str() {
            "none" => String::new(),
            _ => URL_SAFE_NO_PAD.encode(self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap()),
        };
        Some(json!({ "token_type": "Bearer", "access_token": "x", "id_token": format!("{signed}.{signature}") }))
    }
}

async fn serve(issuer: Issuer, mut stream: TcpStream) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk).await {
            Ok(len) if len > 0 => received.extend_from_slice(&chunk[..len]),
            _ => return,
        }
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let len = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if body.len() < len.unwrap_or(0) {
            continue;
        }
        let answer = match issuer.answer(&text) {
            Some(answer) => crate::authority::json("200 OK", &answer.to_string()),
            None => crate::authority::json("400 Bad Request", "{}"),
        };
        drop(stream.write_all(&answer).await);
        return;
    }
}
