//! Everything has a limit: bodies, heads, waits. Who goes beyond hears which, and the others are served on.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use keylender::ports::system;
use rustix::process::{Resource, setrlimit};

use crate::sign::Client;
use crate::wire::{Ask, Talk};
use crate::world::{NAMESPACE, World};

const BODY_LEN_MAX: usize = 10 << 20;
/// No method takes a longer document.
const DOCUMENT_LEN_MAX: usize = 64 << 10;

async fn world() -> (World, Client) {
    with_client(World::start().await).await
}

/// One that waits for nobody for long.
async fn impatient_world() -> (World, Client) {
    let world = World::with(|settings| {
        settings.patience.head = Duration::from_millis(300);
        settings.patience.body = Duration::from_millis(300);
    });
    with_client(world.await).await
}

async fn with_client(world: World) -> (World, Client) {
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    (world, client)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A claim padded with spaces to this length.
fn padded(len: usize) -> Vec<u8> {
    [b"{".to_vec(), vec![b' '; len - 2], b"}".to_vec()].concat()
}

#[tokio::test]
async fn a_body_is_ten_mebibytes_at_most() {
    let (world, client) = world().await;
    let claim = Ask::claim(NAMESPACE, "");
    for (len, status) in
        [(DOCUMENT_LEN_MAX, 200), (DOCUMENT_LEN_MAX + 1, 400), (BODY_LEN_MAX, 400), (BODY_LEN_MAX + 1, 413)]
    {
        let answer = world.ask_as(&client, &claim.clone().body(padded(len))).await;
        assert_eq!(answer.status, status, "{len}");
        let chunked = claim.clone().without("Content-Length").with("Transfer-Encoding", "chunked");
        let chunks = [format!("{len:x}\r\n").into_bytes(), padded(len), b"\r\n0\r\n\r\n".to_vec()].concat();
        let answer = world.ask_as(&client, &Ask { body: Some(chunks), ..chunked }).await;
        assert_eq!(answer.status, status, "{len} in chunks");
    }
    // Who announces too much need not send it.
    let announced = claim.with("Content-Length", "99999999999");
    let began = Instant::now();
    assert_eq!(world.ask(&announced).await.status, 413);
    assert!(began.elapsed() < world.settings.patience.body, "at once");
}

#[tokio::test]
async fn a_long_body_is_not_made_into_a_document_and_not_shown() {
    let (world, client) = world().await;
    let claim = |body: &str| Ask::claim(NAMESPACE, "").with("Content-Encoding", "gzip").body(gzip(body.as_bytes()));
    // In memory and written prettily, each of these elements is a hundred times as long.
    let nested = |count: usize| format!("{}{}[]{}", "[".repeat(120), "[],".repeat(count), "]".repeat(120));
    for (body, code) in [
        (nested(300_000), "InsufficientScopes"),
        (nested(6_000), "InsufficientScopes"),
        ("[".repeat(300_000), "MalformedPayload"),
        (format!("\"{}\"", "a".repeat(300_000)), "MalformedPayload"),
    ] {
        let answer = world.ask(&claim(&body)).await;
        assert_eq!(answer.error().1, code);
        assert_eq!(answer.json()["requestInfo"]["payload"], serde_json::json!({}));
        assert!(answer.body.len() < 1000, "{} bytes", answer.body.len());
    }
    let answer = world.ask_as(&client, &claim(&nested(300_000))).await;
    assert_eq!(answer.error(), (400, "InputValidationError".into()));
    assert!(answer.text().contains("it has 900242 bytes, and 65536 are taken"), "{}", answer.text());
    let shown = world.ask(&claim("[[]]")).await.json();
    assert_eq!(shown["requestInfo"]["payload"], serde_json::json!([[]]));
}

#[tokio::test]
async fn a_compressed_body_is_measured_when_it_is_inflated() {
    let (world, client) = world().await;
    let claim = |encoding: &str, body: Vec<u8>| Ask::claim(NAMESPACE, "").with("Content-Encoding", encoding).body(body);
    let bomb = vec![b' '; 64 << 20];
    for (what, ask, status) in [
        ("gzip", claim("gzip", gzip(b"{}")), 200),
        ("GZIP", claim("GZIP", gzip(b"{}")), 200),
        ("two members", claim("gzip", [gzip(b"{"), gzip(b"}")].concat()), 200),
        ("deflate", claim("deflate", deflate(b"{}")), 200),
        ("identity", claim("identity", b"{}".to_vec()), 200),
        ("just fits", claim("gzip", gzip(&padded(DOCUMENT_LEN_MAX))), 200),
        ("one too many", claim("gzip", gzip(&padded(BODY_LEN_MAX + 1))), 413),
        ("a bomb", claim("gzip", gzip(&bomb)), 413),
        ("a deflate bomb", claim("deflate", deflate(&bomb)), 413),
        ("no gzip", claim("gzip", b"{}".to_vec()), 400),
        ("half", claim("gzip", gzip(b"{}")[..15].to_vec()), 400),
        ("another encoding", claim("br", b"{}".to_vec()), 415),
        ("a list of encodings", claim("gzip, gzip", gzip(&gzip(b"{}"))), 415),
    ] {
        let answer = world.ask_as(&client, &ask).await;
        assert_eq!(answer.status, status, "{what}");
        if status != 200 {
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_body_is_utf_8() {
    let (world, client) = world().await;
    let claim = |kind: &str| Ask::claim(NAMESPACE, "{}").with("Content-Type", kind);
    for (kind, status) in [
        ("application/json;charset=UTF-8", 200),
        ("application/json; charset=\"utf-8\"", 200),
        ("Application/JSON", 200),
        ("application/json; charset=utf8", 200),
        ("application/json; charset=latin1", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=", 415),
    ] {
        assert_eq!(world.ask_as(&client, &claim(kind)).await.status, status, "{kind}");
    }
    let broken = Ask::claim(NAMESPACE, "").body(b"{\"contact\":\"\xff@example.com\"}".to_vec());
    assert_eq!(world.ask_as(&client, &broken).await.error(), (400, "MalformedPayload".into()));
    let deep = "[".repeat(100_000);
    assert_eq!(world.claim(&client, NAMESPACE, &deep).await.error(), (400, "MalformedPayload".into()));
}

#[tokio::test]
async fn a_head_is_short_and_has_few_lines() {
    let (world, client) = world().await;
    let ping = Ask::get("/v1/ping");
    assert_eq!(world.ask(&ping.clone().with("X-Long", &"a".repeat(30 << 10))).await.status, 200);
    let too_long = world.ask(&ping.clone().with("X-Long", &"a".repeat(40 << 10))).await;
    assert_eq!(too_long.status, 431);
    let many = |count: usize| (1..count).fold(ping.clone(), |ask, n| ask.with(&format!("X-{n}"), "a"));
    assert_eq!(world.ask(&many(100)).await.status, 200);
    assert_eq!(world.ask(&many(101)).await.status, 431);
    let target = format!("/v1/ping?{}", "a".repeat(60 << 10));
    assert!(matches!(world.ask(&Ask::get(&target)).await.status, 414 | 431));
    // A Hawk header of its greatest length is no trouble; one more is refused as a header, not as a head.
    let signed = client.sign(&world, &Ask::claim(NAMESPACE, "{}"));
    let header = signed.header("authorization").unwrap().to_owned();
    let long = |len: usize| {
        signed.clone().with("Authorization", &header.replacen(' ', &" ".repeat(len - header.len() + 1), 1))
    };
    assert_eq!(world.ask(&long(4096)).await.status, 200);
    let answer = world.ask(&long(4097)).await;
    assert_eq!(answer.error().0, 401);
    assert!(answer.text().contains("Header length too long"));
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let (world, _) = impatient_world().await;
    for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "GET / HT", "GET /v1/ping HTTP/1.1\r\nHost: a\r\n"] {
        let began = Instant::now();
        let mut talk = Talk::connect(world.address()).await;
        talk.send(said.as_bytes()).await;
        let rest = talk.end().await;
        assert!(began.elapsed() < Duration::from_secs(5), "{said:?}");
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{said:?}");
    }
    // A drop now and then does not help.
    let mut talk = Talk::connect(world.address()).await;
    let dripping = async {
        for byte in b"GET /v1/ping HTTP/1.1\r\nX-Long: ".iter().chain([b'a'; 10].iter()) {
            talk.send(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        talk.end().await
    };
    let began = Instant::now();
    dripping.await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_connection_that_rests_is_closed() {
    let (world, _) = impatient_world().await;
    let mut talk = Talk::connect(world.address()).await;
    talk.send(&Ask::get("/v1/ping").bytes()).await;
    assert_eq!(talk.answer("GET").await.unwrap().status, 200);
    assert!(talk.end().await.is_empty());
}

#[tokio::test]
async fn slow_bodies_are_cut_off() {
    let (world, client) = impatient_world().await;
    let claim = client.sign(&world, &Ask::claim(NAMESPACE, "{}").with("Content-Length", "3"));
    let mut talk = Talk::connect(world.address()).await;
    let began = Instant::now();
    talk.send(&claim.bytes()).await;
    assert_eq!(talk.answer("POST").await.unwrap().status, 408);
    assert!(talk.end().await.is_empty());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(world.audited("namespace.claim").await.is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let (world, client) = world().await;
    let claim = client.sign(&world, &Ask::claim(NAMESPACE, "{}").with("Content-Length", "3"));
    let mut talk = Talk::connect(world.address()).await;
    talk.send(&claim.bytes()).await;
    drop(talk);
    let nonsense = Ask::claim(NAMESPACE, "").without("Content-Length").with("Transfer-Encoding", "chunked");
    let answer = world.ask_as(&client, &Ask { body: Some(b"zz\r\n{}".to_vec()), ..nonsense }).await;
    assert_eq!(answer.status, 400);
    assert!(world.audited("namespace.claim").await.is_empty());
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out() {
    // Both ends of every connection are files of this process.
    let mut limit = system::limit(system::OPEN_FILES).unwrap();
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let (world, _) = impatient_world().await;
    let mut idle = Vec::new();
    for _ in 0..950 {
        idle.push(Talk::connect(world.address()).await);
    }
    let began = Instant::now();
    assert_eq!(world.ask(&Ask::get("/v1/ping")).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(10));
}
