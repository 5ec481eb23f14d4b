//! What goes over the wire: TLS, logins, signatures, files; and what does not: secrets, into the log.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use keylender::base::{ClientId, Scope};
use keylender::domain::auth::verify::{Party, verify};
use keylender::ports::notify::Notify;
use keylender::proto::hawk::{Question, mac};
use keylender::proto::roles::Roles;
use keylender::proto::urls::RootUrl;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::prelude::*;

use super::http::Receiver;
use super::world::*;

const TOKEN: &str = "canary-access-token-0123456789abcdefghijk-63";
const PASSWORD: &str = "canary-smtp-password-74";

/// An authority, and a certificate of it for `localhost`.
const MAKE_CERTIFICATES: &str = "
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; }
key ca && key server
openssl req -x509 -new -key ca.key -subj '/CN=test authority' -days 2 -out ca.pem
echo 'subjectAltName=DNS:localhost' >server.ext
openssl req -new -key server.key -subj /CN=server -out server.csr
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
";

/// The server's side, and the authority in PEM.
fn certificates() -> (Arc<ServerConfig>, String) {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-ec", MAKE_CERTIFICATES]).current_dir(&dir).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let chain = vec![CertificateDer::from_pem_file(dir.path().join("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.path().join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    (config.into(), fs::read_to_string(dir.path().join("ca.pem")).unwrap())
}

#[tokio::test]
async fn tls_is_spoken_to_the_name_by_either_kind_and_to_no_other_name() {
    let (config, authorities) = certificates();
    for (security, wrapped) in [(Security::StartTls, false), (Security::Tls, true)] {
        for (host, takes) in [("localhost", true), ("127.0.0.1", false)] {
            let world = World::with(|smtp, _| {
                let tls = Tls { authorities: Some(authorities.clone()), identity: None };
                let settings = SmtpSettings { host: host.into(), tls, ..settings(smtp, security, None) };
                Ways { mail: MailWay::Smtp(Smtp::new(settings, Resolver::system().unwrap())), webhook: None }
            });
            world.smtp.behave(|manners| {
                manners.tls = Some(config.clone());
                manners.wrapped = wrapped;
            });
            world.post("x", &["a@x.example"]).await;
            let done = world.deliver().await;
            assert_eq!((done.sent == 1, done.failed == 1), (takes, !takes), "{host}: {:?}", world.state().await);
            assert!(world.smtp.mails().iter().all(|mail| mail.was_secret));
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_offer_starttls_gets_neither_login_nor_mail() {
    let login = Some(("lender", PASSWORD));
    let world =
        World::with(|smtp, _| Ways { mail: MailWay::Smtp(door(smtp, Security::StartTls, login)), webhook: None });
    world.post("x", &["a@x.example"]).await;
    assert_eq!(world.deliver().await.failed, 1);
    assert!(!world.smtp.said().contains("AUTH") && world.smtp.mails().is_empty());
    let State::Retrying { fault, .. } = world.state().await else { panic!() };
    assert_eq!(fault, "the mail server does not offer STARTTLS");
}

#[tokio::test]
async fn a_login_is_sent_and_a_wrong_one_is_tried_again_later() {
    let login = Some(("lender", PASSWORD));
    let world = World::with(|smtp, _| Ways { mail: MailWay::Smtp(door(smtp, Security::Plain, login)), webhook: None });
    world.smtp.behave(|manners| manners.login = Some("something else".into()));
    world.post("x", &["a@x.example"]).await;
    assert_eq!(world.deliver().await.failed, 1);
    let State::Retrying { fault, .. } = world.state().await else { panic!() };
    assert_eq!(fault, "the mail server refuses our login: it answered 535");

    let right = STANDARD.encode(format!("\0lender\0{PASSWORD}"));
    world.smtp.behave(|manners| manners.login = Some(right));
    assert_eq!(world.deliver_after(MINUTE).await.sent, 1);
}

#[tokio::test]
async fn the_webhook_gets_signed_json_with_an_id_that_stays() {
    let world = World::with_webhook();
    world.hook.answer("302 Found\r\nlocation: /elsewhere");
    world.post("queue `ü` is full", &[]).await;
    assert_eq!(world.deliver().await.failed, 1, "a redirect is not followed");
    world.hook.answer("204 Fine");
    assert_eq!(world.deliver_after(MINUTE).await.sent, 1);
    assert!(is_delivered(&world.state().await, "webhook"));

    let [first, second] = &world.hook.requests()[..] else { panic!() };
    let id = world.list().await[0].id.to_string();
    assert_eq!((first.header("x-keylender-id"), second.header("x-keylender-id")), (id.clone(), id.clone()));
    assert_eq!(second.path, "/hook?token=canary-hook-token-52");
    let time = world.clock.now().as_seconds();
    let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    hmac.update(format!("{time}.{}", second.body).as_bytes());
    let hex: String = hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(second.header("x-keylender-signature"), format!("t={time},v1={hex}"));
    assert_ne!(first.header("x-keylender-signature"), second.header("x-keylender-signature"), "the time is signed");
    let body: Value = serde_json::from_str(&second.body).unwrap();
    let expected = json!({
        "id": id, "kind": "queue.warn", "about": "queue/taskcluster-a/b", "subject": "queue `ü` is full",
        "body": "text of queue `ü` is full", "time": "2018-10-15T12:00:00.000Z",
    });
    assert_eq!(body, expected);
}

fn notify(hook: &Receiver) -> MailWay {
    let root_url = RootUrl::parse(&format!("http://localhost:{}", hook.port)).unwrap();
    let client_id = ClientId::parse("project/lender").unwrap();
    MailWay::Notify(Notify::new(&root_url, client_id, Secret::new(TOKEN), Resolver::system().unwrap()).unwrap())
}

#[tokio::test]
async fn the_notify_service_gets_what_it_takes_signed_by_us() {
    let world = World::with(|_, hook| Ways { mail: notify(hook), webhook: None });
    world.post("queue is full", &["a@x.example"]).await;
    assert_eq!(world.deliver().await.sent, 1);
    assert!(is_delivered(&world.state().await, "notify"));

    let request = world.hook.requests().pop().unwrap();
    assert_eq!(request.path, "/api/notify/v1/email");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, json!({"address": "a@x.example", "subject": "queue is full", "content": "text of queue is full"}));
    let authorization = request.header("authorization");
    let question = Question {
        method: "POST",
        resource: &request.path,
        host: "localhost",
        port: world.hook.port,
        authorization: Some(&authorization),
    };
    let scopes = vec![Scope::parse("notify:email:*").unwrap()];
    let party = Party { access_token: Secret::new(TOKEN), scopes, expires: Timestamp::MAX, disabled: false };
    let roles = Roles::default();
    let success =
        verify(&question, |id| Ok((id == "project/lender").then(|| party.clone())), &roles, world.clock.now()).unwrap();
    let hash = mac::payload_hash(Some(&request.header("content-type")), request.body.as_bytes());
    assert_eq!(success.hash, Some(hash));
}

#[tokio::test]
async fn the_notify_service_may_say_yes_in_two_ways_and_no_in_two() {
    let world = World::with(|_, hook| Ways { mail: notify(hook), webhook: None });
    for (answer, expected) in [
        ("204 Seen", Delivered { sent: 1, ..Delivered::default() }),
        ("400 Denylisted", Delivered { dead: 1, ..Delivered::default() }),
        ("403 Scopes", Delivered { failed: 1, ..Delivered::default() }),
    ] {
        world.hook.answer(answer);
        world.post(answer, &["a@x.example"]).await;
        assert_eq!(world.deliver().await, expected, "{answer}");
    }
}

#[tokio::test]
async fn without_a_mail_server_mails_are_files_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(|_, _| Ways { mail: MailWay::Spool(spool(dir.path())), webhook: None });
    world.post("über", &["a@x.example", "b@x.example"]).await;
    assert_eq!(world.deliver().await.sent, 2);
    assert!(is_delivered(&world.state().await, "spool"));

    let outbox = dir.path().join("outbox");
    let mut names: Vec<_> =
        fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let id = world.list().await[0].id.to_string();
    assert_eq!(names, [format!("{id}.00.eml"), format!("{id}.01.eml")]);
    let text = fs::read_to_string(outbox.join(&names[0])).unwrap();
    assert!(
        text.contains("\r\nTo: a@x.example\r\n") && text.contains("\r\nSubject: =?utf-8?b?w7xiZXI=?=\r\n"),
        "{text}"
    );
    for (path, mode) in [(outbox.join(&names[0]), 0o600), (outbox, 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn a_spool_directory_that_nobody_reads_keeps_the_newest_mails() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("outbox");
    fs::create_dir(&outbox).unwrap();
    for number in 0..keylender::ports::spool::MAILS_MAX {
        fs::write(outbox.join(format!("{number:012}-aaaaaaaa.00.eml")), "").unwrap();
    }
    fs::write(outbox.join("notes.txt"), "not ours").unwrap();
    let world = World::with(|_, _| Ways { mail: MailWay::Spool(spool(dir.path())), webhook: None });
    world.post("x", &["a@x.example"]).await;
    world.deliver().await;
    assert_eq!(fs::read_dir(&outbox).unwrap().count(), keylender::ports::spool::MAILS_MAX + 1);
    assert!(!outbox.join("000000000000-aaaaaaaa.00.eml").exists() && outbox.join("notes.txt").exists());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether anybody listens, which other stories of this process need not pay for.
static HEARD: AtomicBool = AtomicBool::new(false);

impl Log {
    /// Hears every thread: what a callsite of another test cached would keep one thread from hearing it.
    fn hear(&self) {
        let writer = self.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.with_filter(dynamic_filter_fn(|_, _| HEARD.load(Ordering::Relaxed)));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        HEARD.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn no_secret_and_no_text_is_logged_or_kept_as_a_reason_at_any_level() {
    let log = Log::default();
    log.hear();
    let login = Some(("lender", PASSWORD));
    let worlds = [
        World::with(|smtp, hook| Ways {
            mail: MailWay::Smtp(door(smtp, Security::Plain, login)),
            webhook: Some(webhook(hook)),
        }),
        World::with(|_, hook| Ways { mail: notify(hook), webhook: Some(webhook(hook)) }),
    ];
    for world in &worlds {
        world.smtp.behave(|manners| manners.login = Some("something else".into()));
        world.hook.answer("500 No");
        let body = "canary-body-85".into();
        world.try_post(Notice { body, ..notice("x", &["a@x.example"]) }).await.unwrap();
        assert_eq!(world.deliver().await.failed, 2);
        world.smtp.behave(|manners| manners.login = Some(STANDARD.encode(format!("\0lender\0{PASSWORD}"))));
        world.hook.answer("200 OK");
        assert_eq!(world.deliver_after(MINUTE).await.sent, 2);
    }
    HEARD.store(false, Ordering::Relaxed);
    let mut said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("could not deliver notice") && said.contains("TRACE"), "the log was heard");
    for world in &worlds {
        let entries = world.store.survey_here(|tx| tx.entries(1, 1000)).unwrap();
        entries.iter().for_each(|(_, bytes)| said.push_str(&String::from_utf8_lossy(bytes)));
    }
    let login = STANDARD.encode(format!("\0lender\0{PASSWORD}"));
    for secret in [PASSWORD, &login, TOKEN, WEBHOOK_SECRET, "canary-hook-token-52", "canary-body-85"] {
        assert!(!said.contains(secret), "{secret} was said: {}", said.lines().find(|l| l.contains(secret)).unwrap());
    }
}
