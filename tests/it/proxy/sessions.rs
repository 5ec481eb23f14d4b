//! Sessions: what they give, to whom, and how they end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::{Site, Task, at_port, own_user};
use crate::wire::{Ask, Talk};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["upstream"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_task_reaches_what_its_scopes_are_worth_and_holds_no_credential() {
    let site = Site::start().await;
    let task = site.session(&["files:read:a", "files:", "other", "broker:read", "broker:write"]).await;
    assert_eq!(names(&task.opened["upstreams"]), ["files", "broker"]);
    assert_eq!(task.opened["upstreams"][0]["permissions"], json!(["read:a"]));
    assert_eq!(task.opened["upstreams"][1]["permissions"], json!(["read"]), "the issuer gives no more");
    let url = task.opened["address"].as_str().unwrap();
    assert_eq!(task.opened["environment"]["FILES_PROXY_URL"], format!("{url}/files"));

    let answer = task.ask(&Ask::post("/files/new?x=%2F", "{}").with("Authorization", "Bearer own")).await;
    assert_eq!((answer.status, answer.json()["ok"].clone()), (200, true.into()));
    assert_eq!(task.get("/broker/api/queues/%2F?page=1").await.status, 200);

    let asked = site.service.asked();
    let seen: Vec<_> =
        asked.iter().map(|asked| (asked.target.as_str(), asked.header("authorization").unwrap())).collect();
    assert_eq!(
        seen,
        [("/v1/new?x=%2F", "Bearer token-1"), ("/broker/api/queues/%2F?page=1", "Basic bW9uaXRvcjpvZi1tb25pdG9y")]
    );
    let mint = &site.service.mints()[0];
    let body: Value = serde_json::from_slice(&mint.body).unwrap();
    assert_eq!(mint.header("authorization"), Some("Bearer issuing-token"));
    assert_eq!(
        (body["permissions"].clone(), body["session"].as_str()),
        (json!(["read:a"]), Some(task.session.as_str()))
    );
}

#[tokio::test]
async fn a_session_that_would_reach_nothing_is_refused_with_what_is_missing() {
    let site = Site::start().await;
    let client = site.world.client("worker", &["keylender:proxy:open", "files:read"]).await;
    let open = |scopes: &[&str], upstreams: &[&str]| {
        let input = json!({ "scopes": scopes, "upstreams": upstreams, "listen": at_port() });
        Ask::post("/api/keylender/v1/proxy/sessions", &input.to_string())
    };
    let answer = site.world.ask_as(&client, &open(&["other"], &[])).await;
    assert_eq!(answer.status, 403);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("`files` needs files:<permission>") && message.contains("broker:read or broker:write"),
        "{message}"
    );
    let noted = site.world.audited("proxy.open").await.remove(0);
    assert_eq!((noted["outcome"].as_str(), noted["actor"].clone()), (Some("refused"), json!({ "client": "worker" })));
    assert!(noted["details"]["cause"].as_str().unwrap().contains("`files` needs"), "{noted}");

    // What the worker does not hold, it does not pass on.
    let answer = site.world.ask_as(&client, &open(&["files:read", "files:write"], &[])).await.json();
    assert_eq!(answer["upstreams"][0]["permissions"], json!(["read"]));
    assert_eq!(
        site.world.ask_as(&client, &open(&["files:read"], &["none"])).await.error(),
        (404, "ResourceNotFound".into())
    );

    let stranger = site.world.client("stranger", &["files:*"]).await;
    assert_eq!(site.world.ask_as(&stranger, &open(&["files:read"], &[])).await.status, 403);
    let input = json!({ "scopes": ["files:read"], "listen": { "on": "port" } });
    let nobody = Ask::post("/api/keylender/v1/proxy/sessions", &input.to_string());
    let answer = site.world.ask_as(&client, &nobody).await;
    assert!(answer.status == 400 && answer.text().contains("users of this host"), "{}", answer.text());
}

#[tokio::test]
async fn a_session_of_a_task_has_the_scopes_of_the_queue_and_ends_with_its_run() {
    let service = super::service::Service::start().await;
    let root = Url::parse(&service.url("")).unwrap();
    let mut site = Site::with(|settings| settings.root_url = Some(root)).await;
    site.service = service;
    site.service.has_task("TaskA", &["files:read", "queue:x"]);
    let opening = json!({ "taskId": "TaskA", "runId": 0, "upstreams": ["files"], "listen": at_port() });
    let task = Task::of(&site.open(opening).await);
    let shown = site.world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await;
    assert_eq!(shown["scopes"], json!(["files:read", "queue:x", "queue:create-artifact:TaskA/0"]));
    assert_eq!(site.sweep().await, "");
    assert!(task.is_asked().await);

    site.service.ends_task("TaskA");
    assert_eq!(site.sweep().await, "ended 1 session");
    assert!(!task.is_asked().await);
    let shown = site.world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await;
    assert_eq!(shown["cause"], "its task is over");
}

#[tokio::test]
async fn a_session_ends_at_its_time_with_its_process_and_by_an_operator() {
    let mut site = Site::start().await;
    let by_time = Task::of(&site.open(json!({ "scopes": ["files:a"], "listen": at_port(), "lastsSeconds": 60 })).await);
    let by_hand = site.session(&["files:a"]).await;
    assert_eq!(by_hand.get("/files/x").await.status, 200);
    site.world.clock.advance(Duration::from_secs(61));
    // Before any loop looks.
    let late = by_time.get("/files/x").await;
    assert_eq!((late.status, late.text()), (403, "this session is over\n"));
    assert_eq!(site.service.mints().len(), 1);
    assert_eq!(site.sweep().await, "ended 1 session");
    assert!(!by_time.is_asked().await && by_hand.is_asked().await);

    let end = format!("/proxy/sessions/{}/end", by_hand.session);
    let plan = site.world.operate("POST", &format!("{end}?plan=1"), None).await;
    assert!(plan["plan"][0].as_str().unwrap().contains("`files`"), "{plan}");
    site.world.operate("POST", &end, Some(json!({ "reason": "it was stolen" }))).await;
    assert!(!by_hand.is_asked().await);
    let revoked = site.service.mints().pop().unwrap();
    assert_eq!((revoked.method.as_str(), revoked.header("authorization")), ("DELETE", Some("Bearer token-1")));
    let entry = site.world.audited("proxy.end").await.pop().unwrap();
    assert_eq!((&entry["details"]["cause"], &entry["details"]["calls"]), (&"it was stolen".into(), &1.into()));
    assert_eq!(entry["details"]["revoked"], 1);

    let by_stop = site.session(&["files:a"]).await;
    site.world.restart().await;
    assert!(!by_stop.is_asked().await);
    let shown = site.world.operate("GET", &format!("/proxy/sessions/{}", by_stop.session), None).await;
    assert_eq!(shown["cause"], "the appliance was stopped");
}

#[tokio::test]
async fn only_who_opened_a_session_refreshes_and_closes_it() {
    let site = Site::start().await;
    let worker = site.world.client("worker", &["keylender:proxy:open", "queue:*"]).await;
    let other = site.world.client("other", &["keylender:proxy:open"]).await;
    let input = json!({
        "scopes": ["queue:read"],
        "credentials": { "clientId": "task/A", "accessToken": "key-a" },
        "listen": at_port(),
    });
    let path = "/api/keylender/v1/proxy/sessions";
    let task = Task::of(&site.world.ask_as(&worker, &Ask::post(path, &input.to_string())).await.json());
    assert_eq!(task.get("/api/queue/v1/ping").await.status, 200);

    let fresh = json!({ "clientId": "task/B", "accessToken": "key-b" }).to_string();
    let own = format!("{path}/{}", task.session);
    let refresh =
        Ask::new("PUT", &format!("{own}/credentials")).with("Content-Type", "application/json").body(fresh.as_str());
    assert_eq!(site.world.ask_as(&other, &refresh).await.status, 404);
    assert_eq!(site.world.ask_as(&worker, &refresh).await.status, 200);
    assert_eq!(task.get("/api/queue/v1/ping").await.header("x-taskcluster-proxy-perm-clientid"), Some("task/B"));
    // A task cannot do it itself.
    let by_task = Ask::new("PUT", "/credentials").body(fresh.as_str());
    assert_eq!(task.ask(&by_task).await.status, 404);

    assert_eq!(site.world.ask_as(&other, &Ask::new("DELETE", &own)).await.status, 404);
    assert_eq!(site.world.ask_as(&worker, &Ask::new("DELETE", &own)).await.status, 200);
    assert!(!task.is_asked().await);
    assert!(site.service.asked().iter().all(|asked| {
        let header = asked.header("authorization").unwrap();
        header.starts_with("Hawk id=\"task/") && header.contains("ext=")
    }));
}

#[tokio::test]
async fn a_socket_is_for_the_users_that_were_named() {
    let site = Site::start().await;
    for (users, is_let_in) in [(vec![own_user()], true), (vec![64_999], own_user() == 0)] {
        let listen = json!({ "on": "socket", "users": users });
        let opened = site.open(json!({ "scopes": ["files:read"], "listen": listen })).await;
        let path = opened["environment"]["KEYLENDER_PROXY_SOCKET"].as_str().unwrap();
        let mut talk = Talk::over(tokio::net::UnixStream::connect(path).await.unwrap());
        talk.send(&Ask::get("/files/x").bytes()).await;
        assert_eq!(talk.answer("GET").await.map(|answer| answer.status), is_let_in.then_some(200));
        let end = format!("/proxy/sessions/{}/end", opened["session"].as_str().unwrap());
        site.world.operate("POST", &end, Some(json!({ "reason": "done" }))).await;
        while std::fs::exists(path).unwrap() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_session_is_a_lease_that_can_be_taken_back_and_is_remembered() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    let leases = site.world.operate("GET", "/leases?kind=proxy", None).await;
    assert_eq!(leases["leases"][0]["name"], task.session);
    let revoke = json!({ "kind": "proxy", "name": task.session, "dryRun": false, "reason": "it leaked" });
    let revoked = site.world.operate("POST", "/leases/revoke", Some(revoke)).await;
    assert_eq!(revoked["failed"], 0, "{revoked}");
    assert!(!task.is_asked().await);
    let held = site.world.operate("GET", &format!("/audit/held?object={}", task.session), None).await;
    assert!(held.to_string().contains("\"kind\":\"proxy\"") && held.to_string().contains("until"), "{held}");
}

#[tokio::test]
async fn stored_upstreams_count_at_once_and_are_never_shown() {
    let site = Site::with(|settings| settings.proxy.declared = None).await;
    let shown = site.world.operate("GET", "/proxy/upstreams", None).await;
    assert_eq!((shown["from"].as_str(), shown["upstreams"].as_array().unwrap().len()), (Some("store"), 0));
    let text = super::UPSTREAMS.replace("ADDRESS", &site.service.address.to_string());
    site.world.operate("PUT", "/proxy/upstreams", Some(json!({ "text": text, "reason": "the first" }))).await;
    let shown = site.world.operate("GET", "/proxy/upstreams", None).await;
    assert_eq!(names(&shown["upstreams"]), ["files", "broker", "hidden", "taskcluster", "pulse"]);
    assert!(!shown.to_string().contains("token"), "{shown}");
    assert_eq!(site.session(&["files:x"]).await.get("/files/y").await.status, 200);

    let explained = site.world.operate("GET", "/proxy/explain?scopes=files%3Aread%20files%3A*", None).await;
    let files = &explained["upstreams"][0];
    assert_eq!(files["permissions"], json!(["read"]));
    assert!(files["reasons"].to_string().contains("ends in `*`"), "{files}");
    assert_eq!(explained["upstreams"][1]["missing"], "broker:read or broker:write");
}

/// An upstream that agrees to another protocol and says everything back.
async fn echo() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
                head.extend(byte);
            }
            let agrees = head.windows(9).any(|part| part.eq_ignore_ascii_case(b"upgrade: "));
            let answer: &[u8] = if agrees {
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            } else {
                b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"
            };
            stream.write_all(answer).await.unwrap();
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    });
    address
}

#[tokio::test]
async fn a_connection_is_upgraded_only_where_that_is_declared_and_ends_with_the_session() {
    let address = echo().await;
    for (upgrades, status) in [(false, 426), (true, 101)] {
        let text = format!(
            "[[upstream]]\nname = 'echo'\nbase = 'http://{address}'\nnetworks = ['127.0.0.0/8']\nupgrades = {upgrades}\n\
             scopes = {{ whole = 'echo' }}\ncredential = {{ kind = 'bearer', token = 't' }}"
        );
        let declared = keylender::app::settings::read_upstreams(&text).unwrap();
        let site = Site::with(|settings| settings.proxy.declared = Some(declared)).await;
        let task = site.session(&["echo"]).await;
        let mut stream = tokio::net::TcpStream::connect(task.address).await.unwrap();
        let ask = "GET /echo/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = vec![0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head, format!("HTTP/1.1 {status}").as_bytes());
        if upgrades {
            stream.write_all(b"hello").await.unwrap();
            let mut said = Vec::new();
            while !said.ends_with(b"hello") {
                said.push(stream.read_u8().await.unwrap());
            }
            let end = format!("/proxy/sessions/{}/end", task.session);
            site.world.operate("POST", &end, Some(json!({ "reason": "done" }))).await;
            assert_eq!(stream.read(&mut [0]).await.unwrap_or_default(), 0, "it is cut off");
        }
    }
}
