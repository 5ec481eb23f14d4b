//! TLS on our own port, its files, and clients that are known by a certificate.

use std::fs;
use std::time::Duration;

use keylender::app;
use keylender::base::Clock;
use keylender::ports::broker::MemoryBroker;
use keylender::web::peer::TrustProxy;
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::certificates::{Authority, Files, Identity, set_mode, shake_hands};
use crate::wire::{Answer, Ask, Talk, http_2_over};
use crate::world::{NAMESPACE, World};

const SCOPES: [&str; 1] = ["pulse:namespace:taskcluster-*"];
const FROM_AFAR: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 443\r\n";
const NAME: &str = "spiffe://example.org/builds";

/// An appliance that speaks TLS, and whom its clients trust.
struct Secure {
    authority: Authority,
    files: Files,
    world: World,
}

impl Secure {
    async fn start() -> Self {
        Self::with(None).await
    }

    /// One that takes client certificates of its own authority, and whose clients are all far away.
    async fn mutual() -> Self {
        let authority = Authority::new();
        let files = Files::new(&authority.server(), Some(&authority));
        Self::at(authority, files).await
    }

    async fn with(client_ca: Option<&Authority>) -> Self {
        let authority = Authority::new();
        let files = Files::new(&authority.server(), client_ca);
        Self::at(authority, files).await
    }

    async fn at(authority: Authority, files: Files) -> Self {
        let world = World::with(|settings| {
            settings.listen.tls = Some(files.settings());
            settings.listen.force_ssl = true;
            settings.listen.proxy_protocol = true;
            settings.listen.trust_proxy = TrustProxy::Hops(vec!["127.0.0.0/8".parse().unwrap()].into());
            settings.patience.handshake = Duration::from_millis(500);
        });
        Self { world: world.await, authority, files }
    }

    fn config(&self, identity: Option<&Identity>) -> ClientConfig {
        self.authority.client(identity, &["http/1.1"])
    }

    /// Asks over a TLS connection from another host. The error is that of the handshake, or an end without an answer.
    async fn try_ask(&self, identity: Option<&Identity>, ask: &Ask) -> Result<Answer, String> {
        let stream = shake_hands(self.world.address(), FROM_AFAR, self.config(identity)).await;
        let mut talk = Talk::over(stream.map_err(|e| e.to_string())?);
        talk.send(&ask.bytes()).await;
        talk.answer(&ask.method).await.ok_or("it hung up".into())
    }

    async fn ask(&self, identity: Option<&Identity>, ask: &Ask) -> Answer {
        self.try_ask(identity, ask).await.unwrap()
    }

    /// The certificate that the server shows.
    async fn shown(&self) -> Vec<u8> {
        let stream = shake_hands(self.world.address(), FROM_AFAR, self.config(None)).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    async fn name(&self, client: &str, name: Option<&str>) {
        let input = json!({ "certificateName": name });
        self.world.operate("PUT", &format!("/clients/{client}/certificate"), Some(input)).await;
    }
}

#[tokio::test]
async fn over_our_own_tls_a_request_is_private_and_not_redirected() {
    let secure = Secure::start().await;
    let client = secure.world.client("builds", &SCOPES).await;
    let ping = secure.ask(None, &Ask::get("/v1/ping")).await;
    assert_eq!(ping.status, 200);
    assert!(ping.header("strict-transport-security").is_some());
    let bearer = Ask::claim(NAMESPACE, "{}").with("Authorization", &client.bearer());
    assert_eq!(secure.ask(None, &bearer).await.status, 200, "nobody on the way can read it");
    // The port that was signed without saying so is that of https.
    let signed = client.sign(&secure.world, &Ask::claim(NAMESPACE, "{}").with("Host", "keylender.test:443"));
    assert_eq!(secure.ask(None, &signed.with("Host", "keylender.test")).await.status, 200);
    assert_eq!(secure.world.audited("namespace.claim").await.len(), 2);
}

#[tokio::test]
async fn http_2_is_agreed_on_in_the_handshake() {
    let secure = Secure::start().await;
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let config = secure.authority.client(None, offered);
        let stream = shake_hands(secure.world.address(), FROM_AFAR, config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        if agreed == Some(b"h2") {
            assert_eq!(http_2_over(stream, &Ask::get("/v1/ping")).await.0, 200);
        }
    }
    let nonsense = secure.authority.client(None, &["spdy/3"]);
    assert!(shake_hands(secure.world.address(), FROM_AFAR, nonsense).await.is_err());
}

#[tokio::test]
async fn who_speaks_no_tls_gets_a_hint_and_who_says_nothing_is_cut_off() {
    let secure = Secure::start().await;
    let mut plain = Talk::connect(secure.world.address()).await;
    plain.send(&[FROM_AFAR, &Ask::get("/v1/ping").bytes()].concat()).await;
    let answer = plain.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.text()), (400, "This port speaks TLS: ask it with https://\n"));
    assert!(plain.end().await.is_empty());
    for said in [&b""[..], b"\x16\x03\x01\x02\x00", b"\x16nonsense nonsense nonsense"] {
        let mut talk = Talk::connect(secure.world.address()).await;
        talk.send(&[FROM_AFAR, said].concat()).await;
        let rest = talk.end().await;
        assert!(rest.is_empty() || rest[0] == 0x15, "an alert at most: {rest:?}");
    }
    assert_eq!(secure.ask(None, &Ask::get("/v1/ping")).await.status, 200, "the others are served on");
}

#[tokio::test]
async fn a_stop_waits_for_no_handshake() {
    let mut secure = Secure::start().await;
    let mut silent = Talk::connect(secure.world.address()).await;
    silent.send(FROM_AFAR).await;
    secure.world.operate("GET", "/clients", None).await;
    secure.world.stop().await;
}

#[tokio::test]
async fn files_are_read_again_and_broken_ones_change_nothing() {
    let secure = Secure::start().await;
    let before = secure.shown().await;
    let client = secure.config(None);
    let open = shake_hands(secure.world.address(), FROM_AFAR, client).await.unwrap();
    let renewed = secure.authority.server();
    for (cert, key) in [
        ("nonsense", renewed.key.as_str()),
        ("", &renewed.key),
        (&renewed.certificate, "nonsense"),
        (&renewed.certificate, &secure.authority.server().key),
    ] {
        fs::write(secure.files.path("cert.pem"), cert).unwrap();
        fs::write(secure.files.path("key.pem"), key).unwrap();
        secure.world.reload();
        assert_eq!(secure.shown().await, before);
    }
    secure.files.put(&renewed);
    set_mode(&secure.files.path("key.pem"), 0o604);
    secure.world.reload();
    assert_eq!(secure.shown().await, before, "a key that others may read");
    set_mode(&secure.files.path("key.pem"), 0o640);
    secure.world.reload();
    assert_ne!(secure.shown().await, before);
    let mut talk = Talk::over(open);
    talk.send(&Ask::get("/v1/ping").bytes()).await;
    assert_eq!(talk.answer("GET").await.unwrap().status, 200, "connections that are open stay so");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let identity = authority.server();
    for (name, content, said) in [
        ("cert.pem", "", "the file of TLS_CERT cannot be used: "),
        ("key.pem", "", "the file of TLS_KEY cannot be used: "),
        ("key.pem", &authority.server().key, "the file of TLS_CERT or of TLS_KEY cannot be used: "),
        ("ca.pem", "nonsense", "the file of TLS_CLIENT_CA cannot be used: "),
    ] {
        let files = Files::new(&identity, None);
        fs::write(files.path(name), content).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut settings = keylender::app::settings::Settings::for_tests(dir.path());
        settings.listen.tls = Some(files.settings());
        let broker = std::sync::Arc::new(MemoryBroker::default());
        let Err(error) = app::start(&settings, Clock::system(), Some(broker)).await else { panic!("{name} is used") };
        assert!(error.chain().starts_with(said), "{}", error.chain());
        assert!(!error.chain().contains("PRIVATE"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_client_is_known_by_a_name_in_its_certificate() {
    let secure = Secure::mutual().await;
    let client = secure.world.client("builds", &SCOPES).await;
    let claim = Ask::claim(NAMESPACE, "{}");
    let identity = secure.authority.issue(&[NAME, "builds.example.org"], [2020, 2040]);
    let unknown = secure.ask(Some(&identity), &claim).await;
    assert_eq!(unknown.error(), (401, "AuthenticationFailed".into()));
    assert!(
        unknown.text().contains("no client goes by this certificate; it names [\\\"spiffe://"),
        "{}",
        unknown.text()
    );
    assert_eq!(secure.ask(None, &claim).await.error(), (403, "InsufficientScopes".into()), "none need be shown");
    for name in [NAME, "builds.example.org"] {
        secure.name("builds", Some(name)).await;
        assert_eq!(secure.ask(Some(&identity), &claim).await.status, 200, "{name}");
        let renewed = secure.authority.issue(&[NAME, "builds.example.org"], [2020, 2041]);
        assert_eq!(secure.ask(Some(&renewed), &claim).await.status, 200, "a renewed one has the same names");
        let other = Ask::claim("elsewhere-foo", "{}");
        assert!(matches!(secure.ask(Some(&identity), &other).await.status, 400 | 403), "only its scopes");
    }
    let entries = secure.world.audited("namespace.claim").await;
    assert!(entries.iter().all(|entry| entry["actor"]["client"] == "builds"), "{entries:?}");
    let fingerprints: Vec<&Value> = entries.iter().map(|entry| &entry["details"]["certificate"]).collect();
    assert!(fingerprints.iter().all(|text| text.as_str().is_some_and(|text| text.len() == 64)), "{entries:?}");
    assert_eq!(fingerprints[0], fingerprints[2]);
    assert_ne!(fingerprints[0], fingerprints[1], "which of its certificates it was");
    // Whoever shows both is who signed.
    let signer = secure.world.client("signer", &[]).await;
    let signed = signer.sign(&secure.world, &claim.clone().with("Host", "keylender.test:443"));
    assert_eq!(secure.ask(Some(&identity), &signed).await.status, 403);
    // A proxy's certificate is not its clients'.
    let handed_on = claim.clone().with("X-Forwarded-For", "198.51.100.9");
    assert_eq!(secure.ask(Some(&identity), &handed_on).await.status, 403);
    drop(client);
}

#[tokio::test]
async fn a_certificate_opens_no_more_than_its_client() {
    let secure = Secure::mutual().await;
    let end = secure.world.clock.now().plus(Duration::from_secs(3600));
    secure.world.client_until("builds", &SCOPES, Some(end)).await;
    secure.world.client("other", &SCOPES).await;
    secure.name("builds", Some(NAME)).await;
    let claim = Ask::claim(NAMESPACE, "{}");
    let identity = secure.authority.issue(&[NAME], [2020, 2040]);
    let post = async |path: &str| drop(secure.world.operate("POST", path, None).await);
    assert_eq!(secure.ask(Some(&identity), &claim).await.status, 200);
    post("/clients/builds/disable").await;
    let answer = secure.ask(Some(&identity), &claim).await;
    assert!(answer.status == 401 && answer.text().contains("the client is disabled"), "{}", answer.text());
    post("/clients/builds/enable").await;
    assert_eq!(secure.ask(Some(&identity), &claim).await.status, 200);
    secure.name("other", Some("other.example.org")).await;
    let both = secure.authority.issue(&[NAME, "other.example.org"], [2020, 2040]);
    let answer = secure.ask(Some(&both), &claim).await;
    assert!(answer.status == 401 && answer.text().contains("several clients"), "{}", answer.text());
    secure.name("builds", None).await;
    assert_eq!(secure.ask(Some(&identity), &claim).await.status, 401);
    secure.name("builds", Some(NAME)).await;
    secure.world.clock.advance(Duration::from_secs(3601));
    let answer = secure.ask(Some(&identity), &claim).await;
    assert!(answer.status == 401 && answer.text().contains("the client has expired"), "{}", answer.text());
    secure.world.operate("DELETE", "/clients/builds", None).await;
    assert_eq!(secure.ask(Some(&identity), &claim).await.status, 401);
    secure.name("other", Some(NAME)).await;
    assert_eq!(secure.ask(Some(&identity), &claim).await.status, 200, "the name is free again");
}

#[tokio::test]
async fn a_name_is_one_clients_and_binding_it_needs_the_clients_scopes() {
    let secure = Secure::mutual().await;
    secure.world.client("builds", &SCOPES).await;
    secure.world.client("other", &SCOPES).await;
    secure.name("builds", Some(NAME)).await;
    let weak = secure.world.client("weak", &["keylender:client:certificate:*"]).await;
    let put = |client: &str, name: &str| {
        let json = json!({ "certificateName": name }).to_string();
        let path = format!("/api/keylender/v1/clients/{client}/certificate");
        let ask = Ask::post(&path, &json);
        Ask { method: "PUT".into(), ..ask }.with("Authorization", &weak.bearer())
    };
    assert_eq!(secure.ask(None, &put("other", "other.example.org")).await.error(), (403, "InsufficientScopes".into()));
    let strong = ["keylender:client:certificate:*", SCOPES[0]];
    let strong = secure.world.client("strong", &strong).await;
    let ask = |client: &str, name: &str| put(client, name).with("Authorization", &strong.bearer());
    assert_eq!(secure.ask(None, &ask("other", NAME)).await.error(), (409, "RequestConflict".into()));
    for wrong in ["", "*.example.org", "Builds.example.org", "two words", "a:b c"] {
        assert_eq!(
            secure.ask(None, &ask("other", wrong)).await.error(),
            (400, "InputValidationError".into()),
            "{wrong}"
        );
    }
    assert_eq!(secure.ask(None, &ask("nobody", "a.example.org")).await.status, 404);
    assert_eq!(secure.ask(None, &ask("other", "other.example.org")).await.status, 200);
    let entries = secure.world.audited("client.certificate").await;
    assert_eq!(entries[1]["details"]["certificate_name"], "other.example.org");
}

#[tokio::test]
async fn a_session_that_is_taken_up_again_is_still_the_clients_and_ends_with_the_authority() {
    let secure = Secure::mutual().await;
    secure.world.client("builds", &SCOPES).await;
    secure.name("builds", Some(NAME)).await;
    let config = secure.config(Some(&secure.authority.issue(&[NAME], [2020, 2040])));
    let claim = async || {
        let stream = shake_hands(secure.world.address(), FROM_AFAR, config.clone()).await.map_err(|e| e.to_string())?;
        let mut talk = Talk::over(stream);
        talk.send(&Ask::claim(NAMESPACE, "{}").with("Connection", "close").bytes()).await;
        let answer = talk.answer("POST").await.ok_or("it hung up")?;
        talk.end().await;
        Ok::<_, String>(answer.status)
    };
    for _ in 0..3 {
        assert_eq!(claim().await, Ok(200), "the first one in full, the others by its ticket");
    }
    fs::write(secure.files.path("ca.pem"), Authority::new().pem).unwrap();
    secure.world.reload();
    assert!(claim().await.is_err(), "no ticket outlives what vouched for it");
}

#[tokio::test]
async fn one_address_cannot_keep_others_from_shaking_hands() {
    let secure = Secure::start().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut talk = Talk::connect(secure.world.address()).await;
        talk.send(&[FROM_AFAR, b"\x16"].concat()).await;
        held.push(talk);
    }
    let other = b"PROXY TCP4 198.51.100.9 127.0.0.1 8080 443\r\n";
    let stream = shake_hands(secure.world.address(), other, secure.config(None)).await.unwrap();
    let mut talk = Talk::over(stream);
    talk.send(&Ask::get("/v1/ping").bytes()).await;
    assert_eq!(talk.answer("GET").await.unwrap().status, 200);
    drop(held);
}

#[tokio::test]
async fn certificates_that_nobody_vouches_for_or_that_are_over_are_refused() {
    let secure = Secure::mutual().await;
    secure.world.client("builds", &SCOPES).await;
    secure.name("builds", Some(NAME)).await;
    let claim = Ask::claim(NAMESPACE, "{}");
    for (what, identity) in [
        ("another authority", Authority::new().issue(&[NAME], [2020, 2040])),
        ("over", secure.authority.issue(&[NAME], [2020, 2026])),
        ("not yet", secure.authority.issue(&[NAME], [2028, 2040])),
    ] {
        assert!(secure.try_ask(Some(&identity), &claim).await.is_err(), "{what}");
    }
    // One that ends while a connection is open.
    let short = secure.authority.issue(&[NAME], [2020, 2027]);
    let stream = shake_hands(secure.world.address(), FROM_AFAR, secure.config(Some(&short))).await.unwrap();
    let mut talk = Talk::over(stream);
    talk.send(&claim.bytes()).await;
    assert_eq!(talk.answer("POST").await.unwrap().status, 200);
    secure.world.clock.advance(Duration::from_secs(60 * 86_400));
    talk.send(&claim.bytes()).await;
    let answer = talk.answer("POST").await.unwrap();
    assert!(answer.status == 401 && answer.text().contains("is over"), "{}", answer.text());
    assert_eq!(secure.world.audited("namespace.claim").await.len(), 1);
}
