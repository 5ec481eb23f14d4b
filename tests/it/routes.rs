//! Which path and method gets what: never 405, no file from disk, the same for every spelling of a legacy path.

use keylender::web::peer::TrustProxy;

use crate::wire::{Ask, http_2};
use crate::world::{NAMESPACE, World};

#[tokio::test]
async fn nobody_at_home_is_404_in_html() {
    let world = World::start().await;
    for (method, path) in [
        ("GET", "/nosuch"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/nosuch"),
        ("GET", "/v1/namespace"),
        ("GET", "/v1/namespace/a/b"),
        ("GET", "/api/pulse/v2/ping"),
        ("GET", "/static/nosuch.css"),
        ("GET", "/references/nosuch/v1/api.json"),
        ("GET", "/schemas/pulse/v1/nosuch.json"),
        ("GET", "/api/keylender/v1/nosuch"),
        ("POST", "/v1/ping"),
        ("PUT", "/v1/namespace/taskcluster-foo"),
        ("DELETE", "/v1/namespaces"),
        ("PATCH", "/v1/ping"),
        ("TRACE", "/v1/ping"),
        ("BREW", "/v1/ping"),
        ("POST", "/robots.txt"),
        ("OPTIONS", "/nosuch"),
        ("OPTIONS", "/v1/nosuch"),
    ] {
        let answer = world.ask(&Ask::new(method, path)).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{method} {path}"
        );
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"), "{path}");
        assert_eq!((answer.header("etag"), answer.header("allow")), (None, None), "{method} {path}");
        assert!(answer.text().contains(&format!("<pre>Cannot {method} {path}</pre>")), "{}", answer.text());
        let is_api = path.starts_with("/v1/") || path.starts_with("/api/keylender");
        assert_eq!(answer.header("access-control-allow-origin").is_some(), is_api, "{path}");
    }
}

#[tokio::test]
async fn a_page_shows_a_path_without_believing_it() {
    let world = World::start().await;
    let answer = world.ask(&Ask::get("/<script>'\"&")).await;
    assert!(matches!(answer.status, 400 | 404));
    assert!(!answer.text().contains("<script>"), "{}", answer.text());
}

#[tokio::test]
async fn broken_percent_encoding_is_400_in_html() {
    let world = World::start().await;
    for path in ["/v1/namespace/%", "/v1/namespace/%zz", "/v1/namespace/%ff", "/%E2%82", "/static/%c0%ae"] {
        let answer = world.ask(&Ask::get(path)).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/html; charset=utf-8")), "{path}");
    }
    let zero = world.ask(&Ask::get("/v1/namespace/taskcluster-%00")).await;
    assert_eq!(zero.error(), (400, "InvalidRequestArguments".into()));
}

#[tokio::test]
async fn no_file_is_read_from_disk() {
    let world = World::start().await;
    for path in [
        "/static/../Cargo.toml",
        "/static/..%2fCargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/%2e%2e%2fsrc%2flib.rs",
        "/static/..\\Cargo.toml",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/./console.css",
        "/static/console.css%00",
        "/static/",
        "/schemas/../console.css",
        "/schemas/..%2f..%2f../v1/console.css",
        "/schemas/pulse/v1/..%2f..%2f..%2fconsole.css",
    ] {
        let answer = world.ask(&Ask::get(path)).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(answer.text().contains("<title>Error</title>"), "{path}");
    }
}

#[tokio::test]
async fn legacy_paths_are_taken_in_any_case_and_with_a_slash() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:*"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    for path in ["/V1/PING", "/v1/ping/", "/Api/PULSE/v1/Namespaces/", "/v1/NAMESPACE/taskcluster-foo/"] {
        assert_eq!(world.ask(&Ask::get(path)).await.status, 200, "{path}");
    }
    let other = world.ask(&Ask::get("/v1/namespace/Taskcluster-foo")).await;
    assert_eq!(other.error(), (400, "InvalidRequestArguments".into()), "a name keeps its case");
    assert_eq!(world.ask(&Ask::get("/v1/ping//")).await.status, 404);
    let upper = Ask { target: "/API/pulse/V1/namespace/taskcluster-foo/".into(), ..Ask::claim(NAMESPACE, "{}") };
    assert_eq!(world.ask_as(&client, &upper).await.status, 200, "signed as it was written");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::start().await;
    for path in [
        "/v1/namespaces",
        "/v1/namespace/taskcluster-none",
        "/references/manifest.json",
        "/static/console.css",
        "/robots.txt",
        "/nosuch",
    ] {
        let (get, head) = (world.ask(&Ask::get(path)).await, world.ask(&Ask::new("HEAD", path)).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        if path != "/nosuch" {
            assert_eq!(head.header("content-length"), Some(&*get.body.len().to_string()), "{path}");
            assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        }
    }
}

#[tokio::test]
async fn options_tell_the_methods_without_asking_who() {
    let world = World::start().await;
    for mount in ["/v1", "/api/pulse/v1"] {
        for (path, allow) in [("/ping", "GET,HEAD"), ("/namespaces", "GET,HEAD"), ("/namespace/x", "GET,HEAD,POST")] {
            let answer = world.ask(&Ask::new("OPTIONS", &format!("{mount}{path}"))).await;
            assert_eq!((answer.status, answer.header("allow"), answer.text()), (200, Some(allow), allow));
        }
    }
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let world = World::start().await;
    for path in [
        "/v1/namespaces",
        "/api/pulse/v1/namespaces",
        "/references/pulse/v1/api.json",
        "/schemas/pulse/v1/namespace.json",
        "/schemas/keylender/v1/services.json",
        "/static/console.css",
    ] {
        let etag = world.ask(&Ask::get(path)).await.header("etag").unwrap().to_owned();
        for (known, status) in
            [(etag.clone(), 304), (format!("W/\"0-x\", {etag}"), 304), ("*".into(), 304), ("W/\"0-x\"".into(), 200)]
        {
            for method in ["GET", "HEAD"] {
                let answer = world.ask(&Ask::new(method, path).with("If-None-Match", &known)).await;
                assert_eq!(answer.status, status, "{method} {path} {known}");
                assert_eq!(answer.header("etag"), Some(&*etag), "{method} {path} {known}");
            }
        }
    }
    let client = world.client("builds", &["pulse:*"]).await;
    let etag = world.ask(&Ask::get("/v1/namespaces")).await.header("etag").unwrap().to_owned();
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    assert_eq!(world.ask(&Ask::get("/v1/namespaces").with("If-None-Match", &etag)).await.status, 200, "it changed");
    let claim = Ask::claim(NAMESPACE, "{}").with("If-None-Match", "*");
    assert_eq!(world.ask_as(&client, &claim).await.status, 200, "only reads");
}

#[tokio::test]
async fn plain_requests_are_sent_to_https_or_refused() {
    let world = World::with(|settings| {
        settings.listen.force_ssl = true;
        settings.listen.trust_proxy = TrustProxy::DirectPeer;
    })
    .await;
    let redirected = world.ask(&Ask::get("/v1/ping?x").with("Host", "a.example:8080")).await;
    assert_eq!((redirected.status, redirected.header("location")), (301, Some("https://a.example:8080/v1/ping?x")));
    assert_eq!(world.ask(&Ask::claim(NAMESPACE, "{}")).await.status, 403);
    for host in ["", "a b", "a.example/x", "user@a.example"] {
        let answer = world.ask(&Ask::get("/v1/ping").with("Host", host)).await;
        assert!(matches!(answer.status, 400 | 403) && answer.header("location").is_none(), "{host}: {answer:?}");
    }
    let without = Ask { version: "HTTP/1.0", ..Ask::get("/v1/ping").without("Host") };
    let answer = world.ask(&without).await;
    assert_eq!((answer.status, answer.header("location")), (403, None));
    let (status, headers, _) = http_2(world.address(), &Ask::get("/v1/ping").with("Host", "a.example:8080")).await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (301, "https://a.example:8080/v1/ping"));
    assert_eq!(world.ask(&Ask::get("/v1/ping").with("X-Forwarded-Proto", "https")).await.status, 200);
    assert!(world.operate("GET", "/clients", None).await["clients"].is_array(), "the control socket is private");
}

#[tokio::test]
async fn a_watcher_learns_whether_the_appliance_can_work() {
    let world = World::start().await;
    let heart = async || world.ask(&Ask::get("/__heartbeat__")).await;
    assert_eq!((heart().await.status, heart().await.json()["broker"]["ok"] == true), (200, true));
    assert_eq!(world.ask(&Ask::get("/__lbheartbeat__")).await.status, 200);
    let version = world.ask(&Ask::get("/__version__")).await.json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let away = World::start().await;
    away.broker.go_away();
    let answer = away.ask(&Ask::get("/__heartbeat__")).await;
    // What was heard of the broker at the start is believed for two seconds.
    assert!(matches!(answer.status, 200 | 503));
    let figures = world.ask(&Ask::get("/metrics")).await;
    assert!(figures.text().contains("\nkeylender_namespaces 0\n"), "{}", figures.text());
    assert_eq!(world.ask(&Ask::get("/metrics").with("X-Forwarded-For", "192.0.2.1")).await.status, 403);
    let trusting = World::with(|settings| settings.listen.trust_proxy = TrustProxy::DirectPeer).await;
    let forged = Ask::get("/metrics").with("X-Forwarded-For", "127.0.0.1").with("X-Forwarded-Proto", "https");
    assert_eq!(trusting.ask(&forged).await.status, 403, "no header makes a client one of this host");
    let page = world.ask(&Ask::get("/")).await;
    assert_eq!(page.status, 303, "people sign in first");
}
