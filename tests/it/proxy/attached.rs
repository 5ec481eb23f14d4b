//! The programs that came before, attached to an appliance: as a worker starts them, and as a task asks them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keylender::app::settings::read_upstreams;
use keylender::base::Clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::service::Service;
use super::{Site, own_user};
use crate::sign::Client;
use crate::wire::{Answer, Ask, PATIENCE, exchange};
use crate::world::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_keylender");
const LOOK_EVERY: Duration = Duration::from_millis(10);
const ACCESS_TOKEN: &str = "access-token-of-the-task";
/// Users of this host that are nobody's.
const USERS: [u32; 2] = [64_998, 64_999];

/// A program that a worker started. It is killed when this is dropped.
struct Program {
    child: Child,
    port: u16,
    dir: TempDir,
}

/// An appliance whose clock shows the time of the program's, and stands still.
async fn site() -> Site {
    Site::at(Clock::manual(Clock::system().now()), |_| {}).await
}

async fn worker(site: &Site) -> Client {
    site.world.client("worker", &["keylender:proxy:open", "queue:*"]).await
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn token_of(client: &Client) -> String {
    format!("{}/{}", client.id, client.token.expose())
}

impl Program {
    fn start(name: &str, appliance: SocketAddr, token: &str, arguments: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        symlink(PROGRAM, dir.path().join(name)).unwrap();
        let token_file = dir.path().join("token");
        fs::write(&token_file, token).unwrap();
        let mut command = Command::new(dir.path().join(name));
        command.args(["-p", &port.to_string(), "--appliance", &format!("http://{appliance}")]);
        command.args(["--token-file", token_file.to_str().unwrap()]).args(arguments).env_clear();
        command.env("TASKCLUSTER_CLIENT_ID", "task/A").env("TASKCLUSTER_ACCESS_TOKEN", ACCESS_TOKEN);
        let said = File::create(dir.path().join("said")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        Self { child, port, dir }
    }

    /// That of taskcluster-proxy for somebody whom it lets in.
    async fn attached(site: &Site, worker: &Client, arguments: &[&str]) -> Self {
        let arguments = [&["-i", "127.0.0.1"], arguments].concat();
        let mut program = Self::start("taskcluster-proxy", site.world.address(), &token_of(worker), &arguments);
        program.listens().await;
        program
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    async fn listens(&mut self) {
        let begin = Instant::now();
        while !self.said().contains("Serving on") && TcpStream::connect(self.address()).await.is_err() {
            assert!(self.child.try_wait().unwrap().is_none() && begin.elapsed() < PATIENCE, "{}", self.said());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Its code, when it has ended by itself.
    async fn code(&mut self) -> Option<i32> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            sleep(LOOK_EVERY).await;
        }
        panic!("it has not ended: {}", self.said());
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn ask(&self, ask: &Ask) -> Answer {
        exchange(self.address(), &ask.method, &ask.bytes()).await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(&Ask::get(target)).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sessions as the appliance lists them, the youngest first.
async fn sessions(site: &Site) -> Vec<Value> {
    site.world.operate("GET", "/proxy/sessions", None).await["sessions"].as_array().unwrap().clone()
}

/// What a user of this host gets who asks a port; 000 for nothing.
async fn asked_by(user: u32, address: SocketAddr) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}"])
        .arg(format!("http://{address}/api/queue/v1/x"));
    if user != own_user() {
        curl.uid(user).gid(user);
    }
    curl.current_dir("/");
    // The appliance is in this process, and must go on meanwhile.
    let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn calls_of_an_attached_program_are_in_the_record_of_the_appliance() {
    let site = site().await;
    let worker = worker(&site).await;
    let root_url = site.service.url("");
    let arguments = ["--root-url", &root_url, "queue:read", "secrets:get:x"];
    let mut program = Program::attached(&site, &worker, &arguments).await;
    let answer = program.get("/api/queue/v1/ping").await;
    assert_eq!((answer.status, answer.header("x-taskcluster-proxy-perm-clientid")), (200, Some("task/A")));
    let asked = site.service.asked().pop().unwrap();
    assert!(asked.header("authorization").unwrap().starts_with("Hawk id=\"task/A\""), "the task's own name signs");
    let call = site.audited_calls().await.pop().unwrap();
    assert_eq!((&call["url"], &call["status"]), (&site.service.url("/api/queue/v1/ping").into(), &200.into()));
    let [session] = &sessions(&site).await[..] else { panic!("there is one") };
    assert_eq!((&session["opener"], &session["scopes"]), (&"client worker".into(), &json!(["queue:read"])));

    // As workers refresh it on each reclaim, by the port that the task has.
    let fresh = json!({ "clientId": "task/B", "accessToken": "fresh-token-of-the-task" }).to_string();
    assert_eq!(program.ask(&Ask::new("PUT", "/credentials").body(fresh)).await.status, 200);
    let answer = program.get("/api/queue/v1/ping").await;
    assert_eq!(answer.header("x-taskcluster-proxy-perm-clientid"), Some("task/B"));
    let entry = site.world.audited("proxy.refresh").await.pop().unwrap();
    assert_eq!((&entry["details"]["client"], &entry["actor"]), (&"task/B".into(), &json!({ "client": "worker" })));
    // What the worker says of itself, the task cannot say.
    let alive = format!("/api/keylender/v1/proxy/sessions/{}/alive", session["session"].as_str().unwrap());
    program.ask(&Ask::new("POST", &alive)).await;
    assert!(site.service.asked().pop().unwrap().target.starts_with("/api/keylender/"), "it went to the deployment");

    program.terminate();
    assert_eq!(program.code().await, Some(0), "{}", program.said());
    let ended = sessions(&site).await.remove(0);
    assert_eq!((&ended["cause"], &ended["endedBy"]), (&"its worker closed it".into(), &"client worker".into()));
    let said = program.said();
    assert!(said.contains("does not hold are left out: [secrets:get:x]"), "{said}");
    for secret in [ACCESS_TOKEN, "fresh-token-of-the-task", worker.token.expose()] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn the_session_of_a_program_that_was_killed_ends_within_a_sweep() {
    let site = site().await;
    let worker = worker(&site).await;
    let mut program = Program::attached(&site, &worker, &["queue:read"]).await;
    assert_eq!(program.get("/api/queue/v1/ping").await.status, 200);
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    assert_eq!(site.sweep().await, "");
    site.world.clock.advance(Duration::from_secs(60));
    assert_eq!(site.sweep().await, "ended 1 session");
    assert_eq!(sessions(&site).await[0]["cause"], "its worker was not heard of");
}

/// A way to the appliance on which nothing comes back until it is opened.
async fn way_to(appliance: SocketAddr, is_open: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut is_open = is_open.clone();
            tokio::spawn(async move {
                let mut there = TcpStream::connect(appliance).await.unwrap();
                let ((mut asked, mut answered), (mut answers, mut asks)) = (client.split(), there.split());
                let back = async {
                    is_open.wait_for(|is_open| *is_open).await.unwrap();
                    copy(&mut answers, &mut answered).await
                };
                tokio::select! {
                    _ = copy(&mut asked, &mut asks) => {}
                    _ = back => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_signal_during_the_opening_closes_what_is_opened() {
    let site = site().await;
    let worker = worker(&site).await;
    let (way, is_open) = watch::channel(false);
    let way_to = way_to(site.world.address(), is_open).await;
    let mut program = Program::start("taskcluster-proxy", way_to, &token_of(&worker), &["queue:read"]);
    let begin = Instant::now();
    while sessions(&site).await.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "{}", program.said());
        sleep(LOOK_EVERY).await;
    }
    program.terminate();
    // Where the signal comes behind the answer, the session is closed as any other.
    sleep(Duration::from_millis(200)).await;
    way.send_replace(true);
    assert_eq!(program.code().await, Some(0), "{}", program.said());
    assert_eq!(sessions(&site).await[0]["cause"], "its worker closed it", "{}", program.said());
}

#[tokio::test]
async fn a_signal_ends_a_program_well_also_while_the_appliance_is_away() {
    let mut site = site().await;
    let worker = worker(&site).await;
    let mut program = Program::attached(&site, &worker, &["queue:read"]).await;
    site.world.stop().await;
    program.terminate();
    assert_eq!(program.code().await, Some(0), "{}", program.said());
    assert!(program.said().contains("could not be closed"), "{}", program.said());
}

#[tokio::test]
async fn a_program_whose_session_is_refused_ends_at_once_with_the_reason() {
    let site = site().await;
    let worker = worker(&site).await;
    let (token, here) = (token_of(&worker), site.world.address());
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let stranger = token_of(&site.world.client("stranger", &["queue:*"]).await);
    let wrong = token_of(&worker.with_token("wrong-token-of-the-worker"));
    for (appliance, token, arguments, reason) in [
        (here, &token, &["secrets:get:x"][..], "`taskcluster` needs"),
        (here, &wrong, &["queue:read"], "Bad mac"),
        (here, &stranger, &["queue:read"], "keylender:proxy:open"),
        (nobody, &token, &["queue:read"], "the appliance does not answer"),
        (here, &token, &["--root-url", "https://tc.example.com", "queue:read"], "and not https://tc.example.com"),
        (here, &token, &[], "permanent credentials do not say what they may"),
        (here, &token, &["--task-id", "TaskA", "queue:read"], "for a task or for scopes"),
        (here, &token, &["--task-id", "TaskA"], "TASKCLUSTER_ROOT_URL"),
        (here, &token, &["--task-id", "TaskA", "--run-id", "x"], "--run-id is a number"),
        (here, &"worker".to_owned(), &["queue:read"], "<clientId>/<accessToken>"),
    ] {
        let mut program = Program::start("taskcluster-proxy", appliance, token, arguments);
        assert_eq!(program.code().await, Some(1), "{arguments:?}");
        let said = program.said();
        let mut lines = said.lines().rev();
        let last = lines.next().unwrap();
        assert!(last.contains(reason) && lines.all(|line| line.starts_with("20")), "{said}");
        assert!(!said.contains(ACCESS_TOKEN) && !said.contains(token.rsplit('/').next().unwrap()) || token == "worker");
    }
    let open = sessions(&site).await.into_iter().filter(|session| session["ended"].is_null());
    assert_eq!(open.count(), 0, "what was opened for another deployment is closed");
}

#[tokio::test]
async fn a_session_that_a_restart_lost_is_opened_anew_and_one_that_was_ended_is_not() {
    let clock = Clock::manual(Clock::system().now());
    let mut site = Site::at(clock, |settings| settings.listen.port = free_port()).await;
    let worker = worker(&site).await;
    let mut program = Program::attached(&site, &worker, &["queue:read"]).await;
    assert_eq!(program.get("/api/queue/v1/ping").await.status, 200);
    site.world.restart().await;
    let begin = Instant::now();
    loop {
        let answer = program.get("/api/queue/v1/ping").await;
        if answer.status == 200 {
            break;
        }
        assert!(answer.status == 503 && begin.elapsed() < PATIENCE, "{}\n{}", answer.text(), program.said());
    }
    let (again, before): (Vec<_>, Vec<_>) =
        sessions(&site).await.into_iter().partition(|session| session["ended"].is_null());
    let ([again], [before]) = (&again[..], &before[..]) else { panic!("there are two: {again:?} {before:?}") };
    assert_eq!(before["cause"], "the appliance was stopped");

    let end = format!("/proxy/sessions/{}/end", again["session"].as_str().unwrap());
    site.world.operate("POST", &end, Some(json!({ "reason": "it was stolen" }))).await;
    assert_eq!(program.code().await, Some(1));
    assert!(program.said().lines().last().unwrap().contains("is over: it was stolen"), "{}", program.said());
    assert_eq!(sessions(&site).await.len(), 2);
}

#[tokio::test]
async fn only_users_who_may_get_into_an_attached_program_and_none_around_it() {
    let site = site().await;
    let worker = worker(&site).await;
    let allowed = USERS[0].to_string();
    let program = Program::attached(&site, &worker, &["--allowed-user", &allowed, "queue:read"]).await;
    let session = sessions(&site).await[0]["address"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    if own_user() == 0 {
        for (user, address, status) in [
            (USERS[0], program.address(), "200"),
            (USERS[1], program.address(), "000"),
            (USERS[0], session, "000"),
            (USERS[1], session, "000"),
        ] {
            assert_eq!(asked_by(user, address).await, status, "{user} {address} {}", program.said());
        }
    } else {
        assert_eq!(asked_by(own_user(), program.address()).await, "000");
    }
    assert!(program.said().contains("Rejected connection: "), "{}", program.said());
}

#[tokio::test]
async fn relengapi_proxy_has_the_scopes_of_its_task_by_a_client_of_the_deployment() {
    let service = Service::start().await;
    let root_url = service.url("").parse().unwrap();
    let upstream = format!(
        "[[upstream]]\npreset = 'relengapi'\nnetworks = ['127.0.0.0/8']\nmounts = {{ tooltool = 'http://{0}/tooltool' }}\n\
         credential = {{ kind = 'minted', url = 'http://{0}/tokens', token = 'issuing-token' }}",
        service.address
    );
    let world = World::at(Clock::manual(Clock::system().now()), |settings| {
        settings.proxy.declared = Some(read_upstreams(&upstream).unwrap());
        settings.root_url = Some(root_url);
    })
    .await;
    let site = Site { world, service };
    let known = json!({ "status": "auth-success", "scopes": ["keylender:proxy:open"], "clientId": "worker" });
    site.service.answers("/api/auth/v1/authenticate-hawk", 200, &known);
    site.service.has_task("TaskA", &["docker-worker:relengapi-proxy:tooltool.download.public", "other"]);
    let arguments = ["--relengapi-token", "what-is-not-needed", "--", "TaskA"];
    let mut program = Program::start("relengapi-proxy", site.world.address(), "worker/key-of-the-worker", &arguments);
    program.listens().await;
    let answer = program.get("/tooltool/sha512/abc").await;
    assert_eq!(answer.status, 200, "{} {}", answer.text(), program.said());
    let asked = site.service.asked();
    let asked = asked.iter().find(|asked| asked.target == "/tooltool/sha512/abc").unwrap();
    assert_eq!(asked.header("authorization"), Some("Bearer token-1"));
    assert!(program.said().contains("with permissions: [tooltool.download.public]"), "{}", program.said());
    assert!(!program.said().contains("key-of-the-worker"), "{}", program.said());
    assert_eq!(sessions(&site).await[0]["taskId"], "TaskA");

    let arguments = ["--run-id", "1", "--", "TaskA"];
    let mut second = Program::start("relengapi-proxy", site.world.address(), "worker/key-of-the-worker", &arguments);
    assert_eq!(second.code().await, Some(1));
    assert!(second.said().contains("the run 1 of this task is not running"), "{}", second.said());
}
