//! The management client against everything that is not a broker in good health. Each trouble has its own advice,
//! and none reaches the caller with more than a short sentence.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keylender::base::{AccountName, Error, Kind, Secret, VhostName};
use keylender::ports::amqp::AmqpDoor;
use keylender::ports::broker::{
    Alarm, Cluster, Connections, Login, ManagementBroker, ManagementSettings, PasswordHash, Topology, UserWish, Users,
};
use keylender::ports::resolve::Resolver;
use keylender::ports::tls::Tls;

use crate::node::{broker, node};
use crate::servers::{Scripted, answer, behind_a_path, json, silent};

const PASSWORD: &str = "a password to be seen nowhere";

fn settings(url: impl std::fmt::Display) -> ManagementSettings {
    ManagementSettings {
        url: url.to_string().parse().unwrap(),
        username: "administrator".to_owned(),
        password: Secret::new(PASSWORD),
        tls: Tls::default(),
    }
}

fn at(address: SocketAddr) -> ManagementBroker {
    broker(&settings(format!("http://{address}/api")))
}

fn alice() -> AccountName {
    AccountName::parse("alice").unwrap()
}

/// The caller reads the message; the operator reads the advice; nobody reads the password.
#[track_caller]
fn check(error: Error, message: &str, advice: &str) {
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, message), "{error:?}");
    let chain = error.chain();
    assert!(chain.contains(advice), "{chain}");
    assert!(!chain.contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD), "{chain}");
}

const SILENT: &str = "the broker does not answer";
const STRANGE: &str = "the broker's answer makes no sense";

async fn unused_address() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn nobody_listens() {
    let error = at(unused_address().await).overview().await.unwrap_err();
    check(error, SILENT, "nobody listens there");
}

#[tokio::test]
async fn an_unknown_host() {
    let error = broker(&settings("http://no-such-host.invalid./api")).overview().await.unwrap_err();
    check(error, SILENT, "cannot be resolved");
}

#[tokio::test]
async fn a_wrong_password() {
    let settings = ManagementSettings { password: Secret::new(PASSWORD), ..node().settings() };
    let error = broker(&settings).overview().await.unwrap_err();
    check(error, "the broker refuses our login", "the user name or the password");
}

#[tokio::test]
async fn a_user_that_is_no_administrator() {
    let (name, tags) = (AccountName::parse("manager").unwrap(), ["management".to_owned()]);
    let login = Login::Hash(PasswordHash::of(&Secret::new(PASSWORD)));
    node().broker().put_user(&UserWish { name: &name, login, tags: &tags, permissions: &[] }).await.unwrap();
    let settings =
        ManagementSettings { username: name.to_string(), password: Secret::new(PASSWORD), ..node().settings() };
    let error = broker(&settings).users().await.unwrap_err();
    check(error, "the broker does not give us the right to do this", "needs the tag `administrator`");
}

#[tokio::test]
async fn a_login_that_is_not_even_looked_at() {
    let server = Scripted::start(|_, _| answer("401 Unauthorized", "text/plain", "")).await;
    check(at(server.address).overview().await.unwrap_err(), "the broker refuses our login", "basic authentication");
}

#[tokio::test]
async fn the_port_of_amqp() {
    let error = broker(&settings(format!("http://127.0.0.1:{}/api", node().amqp_port))).overview().await.unwrap_err();
    check(error, SILENT, "it does not speak HTTP");
}

#[tokio::test]
async fn http_to_a_port_of_tls() {
    let url = format!("http://127.0.0.1:{}/api", node().management_tls_port);
    // 3.8.9 says nothing at all to that.
    let error = broker(&settings(url)).overview().await.unwrap_err();
    let advice = if error.chain().contains("cut") { "the connection was cut" } else { "it does not speak HTTP" };
    check(error, SILENT, advice);
}

#[tokio::test]
async fn https_to_a_port_without_tls() {
    let url = format!("https://127.0.0.1:{}/api", node().management_port);
    let settings = ManagementSettings { tls: node().trust(), ..settings(url) };
    check(broker(&settings).overview().await.unwrap_err(), SILENT, "it does not speak TLS");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let url = format!("https://127.0.0.1:{}/api", node().management_tls_port);
    let settings = ManagementSettings { tls: node().trust(), ..settings(url) };
    check(broker(&settings).overview().await.unwrap_err(), SILENT, "its certificate is for another name");
}

#[tokio::test]
async fn a_web_page_or_other_json() {
    for (body, looks) in [("<!doctype html>", "a web page"), (r#"{"hello":1}"#, "something else"), ("", "nothing")] {
        let server = Scripted::start(move |_, _| answer("200 OK", "text/html", body)).await;
        let broker = at(server.address);
        check(broker.overview().await.unwrap_err(), STRANGE, &format!("and got {looks}"));
        check(broker.users().await.unwrap_err(), STRANGE, "its path ends in /api");
        check(broker.user(&alice()).await.unwrap_err(), STRANGE, "RabbitMQ's management API");
        // That it is called a success changes nothing: no user was made, and none deleted.
        let wish = UserWish { name: &alice(), login: Login::Locked, tags: &[], permissions: &[] };
        check(broker.put_user(&wish).await.unwrap_err(), STRANGE, &format!("and got {looks}"));
        check(broker.delete_user(&alice()).await.unwrap_err(), STRANGE, &format!("and got {looks}"));
    }
}

#[tokio::test]
async fn the_404_of_a_proxy_deletes_nothing() {
    let server = Scripted::start(|_, _| answer("404 Not Found", "text/html", "<h1>no backend</h1>")).await;
    check(at(server.address).delete_user(&alice()).await.unwrap_err(), STRANGE, "a web page");
}

#[tokio::test]
async fn a_path_that_is_not_the_api() {
    let url = format!("http://127.0.0.1:{}/elsewhere", node().management_port);
    let broker = broker(&ManagementSettings { url: url.parse().unwrap(), ..node().settings() });
    check(broker.overview().await.unwrap_err(), STRANGE, "its path ends in /api");
    check(broker.users().await.unwrap_err(), STRANGE, "its path ends in /api");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Scripted::start(|_, _| {
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec()
    })
    .await;
    check(at(server.address).overview().await.unwrap_err(), STRANGE, "it redirects");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn half_an_answer() {
    let server = Scripted::start(|_, _| b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"rabbitmq".to_vec()).await;
    check(at(server.address).overview().await.unwrap_err(), SILENT, "the connection was cut");
    assert_eq!(server.requests().len(), 3, "it may pass, so it is tried again");
}

#[tokio::test]
async fn an_endless_answer() {
    let server = Scripted::start(|_, _| answer("200 OK", "application/json", &" ".repeat(2 << 20))).await;
    check(at(server.address).overview().await.unwrap_err(), STRANGE, "longer than");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn passing_trouble_passes() {
    let server = Scripted::start(|_, before| match before {
        0 => answer("500 Internal Server Error", "text/plain", ""),
        1 => answer("503 Service Unavailable", "text/html", "<h1>starting</h1>"),
        _ => json("204 No Content", ""),
    })
    .await;
    assert!(at(server.address).delete_user(&alice()).await.unwrap());
    assert_eq!(server.requests(), ["DELETE /api/users/alice"; 3]);
}

#[tokio::test]
async fn a_kept_connection_that_the_broker_closed_meanwhile_fails_no_call() {
    // It does not say that it closes, and does so at the moment of the next request.
    let server = Scripted::start(|_, _| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()).await;
    let broker = at(server.address);
    for calls in 1..=50 {
        assert!(broker.delete_user(&alice()).await.unwrap());
        assert_eq!(server.requests().len(), calls);
    }
}

#[tokio::test]
async fn lasting_trouble_is_reported_after_three_tries() {
    let server = Scripted::start(|_, _| answer("500 Internal Server Error", "text/plain", "")).await;
    check(at(server.address).users().await.unwrap_err(), "the broker is in trouble", "it answered 500");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_no_is_not_asked_again() {
    let refusal = r#"{"error":"bad_request","reason":["protected",{"x":[1]}]}"#;
    let server = Scripted::start(move |_, _| json("400 Bad Request", refusal)).await;
    let error = at(server.address).delete_user(&alice()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Conflict, "the broker does not let this user be changed"));
    assert!(error.chain().contains(r#"protected, {"x":[1]}"#), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_broker_that_hangs_is_left_after_five_seconds() {
    let (broker, begun) = (at(silent().await), Instant::now());
    check(broker.overview().await.unwrap_err(), SILENT, "no answer within 5 s");
    assert!((4..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_probe_gives_up_in_time_and_leaves_nothing_behind() {
    let door = |address: SocketAddr| {
        let url = format!("amqp://{address}").parse().unwrap();
        AmqpDoor::new(&url, Tls::default(), Resolver::system().unwrap()).unwrap()
    };
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("lapin-io-loop")).count()
    };
    let password = Secret::new(PASSWORD);
    for _ in 0..3 {
        let error = door(silent().await).verify_login("u", &password, Duration::from_millis(300)).await.unwrap_err();
        check(error, SILENT, "no answer within 0.3 s");
    }
    let error = door(unused_address().await).verify_login("u", &password, Duration::from_secs(5)).await.unwrap_err();
    check(error, SILENT, "refused");
    // Other tests have connections, too, but they come and go.
    let begun = Instant::now();
    while threads() > 0 && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(threads(), 0);
}

#[tokio::test]
async fn a_broker_behind_a_path_is_found() {
    let url = format!("http://{}/rabbit/api/", behind_a_path().await);
    let broker = broker(&ManagementSettings { url: url.parse().unwrap(), ..node().settings() });
    assert!(broker.overview().await.unwrap().version.contains('.'));
    let name = AccountName::parse("behind/a path").unwrap();
    broker.put_user(&UserWish { name: &name, login: Login::Locked, tags: &[], permissions: &[] }).await.unwrap();
    assert_eq!(node().broker().user(&name).await.unwrap().unwrap().name, name.as_str());
    assert!(broker.delete_user(&name).await.unwrap());
}

#[tokio::test]
async fn an_old_broker_closes_connections_one_by_one() {
    let missing = r#"{"error":"Object Not Found","reason":"Not Found"}"#;
    let connections =
        r#"[{"name":"1 -> 2","user":"alice"},{"name":"3 -> 4","user":"bob"},{"name":"5","user":"alice"}]"#;
    let looks = AtomicUsize::new(0);
    let server = Scripted::start(move |request, _| match request {
        "DELETE /api/connections/username/alice" => json("404 Not Found", missing),
        request if request.starts_with("GET /api/connections?") => {
            let is_first = looks.fetch_add(1, Ordering::SeqCst) < 2;
            json("200 OK", if is_first { connections } else { r#"[{"name":"3 -> 4","user":"bob"}]"# })
        }
        "DELETE /api/connections/5" => json("404 Not Found", missing),
        _ => json("204 No Content", ""),
    })
    .await;
    at(server.address).close_connections_of(&alice(), "rotated").await.unwrap();
    let closed = server.requests().split_off(2);
    let ours = ["DELETE /api/connections/1%20-%3E%202", "DELETE /api/connections/5"];
    assert_eq!(closed[..2], ours);
    let later = closed[2..].iter().filter(|request| request.starts_with("DELETE"));
    assert!(later.eq(&ours), "what is still there is closed once more: {closed:?}");
}

#[tokio::test]
async fn alarms_are_told_by_new_and_old_brokers() {
    let memory = [Alarm { node: "rabbit@a".to_owned(), resource: "memory".to_owned() }];
    let failed = r#"{"status":"failed","reason":"alarms","alarms":[{"node":"rabbit@a","resource":"memory"}]}"#;
    let new = Scripted::start(move |_, _| json("503 Service Unavailable", failed)).await;
    assert_eq!(at(new.address).alarms().await.unwrap(), memory);
    assert_eq!(new.requests().len(), 1);

    let old = Scripted::start(|request, _| {
        if request.starts_with("GET /api/nodes") {
            json("200 OK", r#"[{"name":"rabbit@a","mem_alarm":true,"disk_free_alarm":false}]"#)
        } else {
            json("404 Not Found", r#"{"error":"Object Not Found","reason":"Not Found"}"#)
        }
    })
    .await;
    assert_eq!(at(old.address).alarms().await.unwrap(), memory);
}

#[tokio::test]
async fn an_old_broker_lists_tags_as_a_text() {
    let users = r#"[{"name":"alice","tags":"management, policymaker"},{"name":"..","tags":""},{"name":7}]"#;
    let server = Scripted::start(move |_, _| json("200 OK", users)).await;
    let users = at(server.address).users().await.unwrap();
    assert_eq!(
        users.iter().map(|user| (user.name.as_str(), user.tags.len())).collect::<Vec<_>>(),
        [("alice", 2), ("..", 0)]
    );
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let refused = |settings: ManagementSettings| {
        let error = ManagementBroker::new(&settings, Resolver::system().unwrap()).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
        assert!(!error.chain().contains(PASSWORD));
    };
    refused(settings("ftp://broker/api"));
    refused(settings(format!("http://u:{}@broker/api", "p")));
    refused(settings("http://broker/api?x=1"));
    refused(ManagementSettings { username: "a:b".to_owned(), ..settings("http://broker/api") });
    let authorities = Some("no certificate".to_owned());
    refused(ManagementSettings { tls: Tls { authorities, identity: None }, ..settings("https://broker/api") });
}

#[tokio::test]
async fn no_such_vhost() {
    let nowhere = VhostName::parse("no/such vhost").unwrap();
    let error = node().broker().queues(&nowhere).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such vhost"));
}
