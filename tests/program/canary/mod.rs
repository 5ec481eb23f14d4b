//! Canaries: secrets go through every path of the real binary at its most talkative, and are then looked for in its
//! log, its pages and figures, its errors, its commands' output and the bytes of its files.

mod broker;
mod http;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use broker::FakeBroker;
use http::request;

const PROGRAM: &str = env!("CARGO_BIN_EXE_keylender");
const BROKER_PASSWORD: &str = "canary-broker-7f3a91c2";
const PASSPHRASE: &str = "canary-passphrase-55d0e8";
const SMTP_PASSWORD: &str = "canary-smtp-63c0f2a8";
const WEBHOOK_SECRET: &str = "canary-webhook-b81e44d7";
const ISSUER_TOKEN: &str = "canary-issuer-2e9d04f1";
const GUESSED_TOKEN: &str = "canary-guessed-token-0a1b2c3d4e";
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The program with its settings, on a directory of its own.
struct Appliance {
    dir: tempfile::TempDir,
    port: u16,
    broker_port: u16,
    server: Option<Child>,
}

impl Appliance {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().envs([
            ("NODE_ENV", "test"),
            ("LOG_LEVEL", "trace"),
            ("KEY_PASSPHRASE", PASSPHRASE),
            ("RABBIT_USERNAME", "admin"),
            ("RABBIT_PASSWORD", BROKER_PASSWORD),
            ("MAIL_FROM", "canary@localhost"),
            ("WEBHOOK_URL", "http://127.0.0.1:1/hook"),
            ("WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("TASKCLUSTER_CLIENT_ID", "canary/hosts"),
            ("TASKCLUSTER_ACCESS_TOKEN", ISSUER_TOKEN),
            ("TASKCLUSTER_SCOPE_BASE", "assume:canary:"),
            ("TASKCLUSTER_CLIENT_ID_BASE", "canary/host/"),
            ("TASKCLUSTER_CREDENTIALS_EXPIRE", "1 hour"),
            ("TASKCLUSTER_ALLOWED_IPS", "127.0.0.0/8"),
        ]);
        command.env("PORT", self.port.to_string()).env("DATA_DIR", self.dir.path().join("data"));
        command.env("SMTP_URL", format!("smtp://canary:{SMTP_PASSWORD}@127.0.0.1:1"));
        command.env("RABBIT_BASE_URL", format!("http://127.0.0.1:{}/api", self.broker_port));
        command
    }

    /// Runs a command and returns all that it said.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
    }

    fn start(&mut self) {
        let log = fs::File::create(self.log_path()).unwrap();
        let errors = log.try_clone().unwrap();
        let server = self.command(&["serve"]).stdout(log).stderr(Stdio::from(errors)).spawn().unwrap();
        self.server = Some(server);
        let deadline = Instant::now() + START_TIMEOUT;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(self.log_path()).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        Command::new("kill").arg(server.id().to_string()).status().unwrap();
        server.wait().unwrap();
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The spellings in which a secret could leak.
fn spellings(secret: &str) -> Vec<String> {
    vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(format!("admin:{secret}")),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
    ]
}

fn assert_clean(place: &str, bytes: &[u8], secrets: &[(&str, String)]) {
    for (name, secret) in secrets {
        for spelling in spellings(secret) {
            let leaked = bytes.windows(spelling.len()).any(|window| window == spelling.as_bytes());
            assert!(!leaked, "{name} is in {place}");
        }
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.file_type().unwrap().is_file()).map(|entry| entry.path()).collect()
}

fn member(document: &str, name: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"));
    document[name].as_str().unwrap_or_else(|| panic!("no {name} in {document}")).to_owned()
}

/// What every kind of page and method answers, with right and wrong credentials.
fn answers_of(appliance: &Appliance, bearer: &str) -> Vec<String> {
    let mut said = Vec::new();
    let guessed = format!("Bearer canary/{GUESSED_TOKEN}");
    for authorization in [bearer, &guessed, "Bearer canary-guessed-token-0a1b2c3d4e", "Hawk id=\"canary\"", ""] {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/metrics"),
            ("GET", "/__heartbeat__"),
            ("GET", "/v1/ping"),
            ("GET", "/v1/namespaces"),
            ("GET", "/v1/namespace/taskcluster-canary"),
            ("POST", "/v1/namespace/elsewhere"),
            ("GET", "/api/keylender/v1/clients"),
            ("GET", "/api/keylender/v1/audit"),
            ("GET", "/nowhere"),
            ("GET", "/references/pulse/v1/api.json"),
            ("GET", "/v1/credentials?explain=1"),
            ("GET", "/hosts"),
            ("GET", "/hosts/127.0.0.1"),
        ] {
            said.push(request(appliance.port, method, path, &[("Authorization", authorization)], "{}").whole);
        }
    }
    said
}

/// What those hear who ask the audit log for a secret and may not.
fn refused_searches(appliance: &Appliance, bearer: &str, secret: &str) -> Vec<String> {
    let (path, body) = ("/api/keylender/v1/audit/reference", serde_json::json!({ "secret": secret }).to_string());
    let ask = |credentials| request(appliance.port, "POST", path, &[("Authorization", credentials)], &body).whole;
    [bearer, "Bearer other/nonsense", ""].into_iter().map(ask).collect()
}

/// What every command says that is not there to hand out a secret.
fn output_of(appliance: &Appliance) -> Vec<String> {
    let commands = [
        &["config"][..],
        &["config", "--json"],
        &["client", "list", "--json"],
        &["namespace", "list", "--json"],
        &["namespace", "show", "taskcluster-canary"],
        &["audit", "show", "--json"],
        &["audit", "verify"],
        &["audit", "export"],
        &["host", "list", "--json"],
        &["host", "show", "127.0.0.1"],
        &["host", "check", "127.0.0.1"],
        &["doctor"],
        &["claim", "taskcluster-canary"],
        &["serve", "--port", "nonsense"],
    ];
    commands.into_iter().map(|command| appliance.run(command)).collect()
}

#[test]
fn no_secret_shows_anywhere_but_where_it_is_handed_out() {
    let broker = FakeBroker::start();
    let dir = tempfile::tempdir().unwrap();
    let mut appliance = Appliance { dir, port: free_port(), broker_port: broker.port, server: None };

    // Secrets come in by settings, and go out by the two answers that are there to hand them out.
    appliance.start();
    let token = member(&appliance.run(&["client", "create", "canary", "--scope", "pulse:*", "--json"]), "accessToken");
    let second = member(&appliance.run(&["client", "create", "other", "--scope", "x:y", "--json"]), "accessToken");
    let reset = member(&appliance.run(&["client", "reset", "other", "--json"]), "accessToken");
    let bearer = format!("Bearer canary/{token}");
    let path = "/v1/namespace/taskcluster-canary";
    let claimed = request(appliance.port, "POST", path, &[("Authorization", &bearer)], "{}");
    let connection_string = member(&claimed.body, "connectionString");
    let password = connection_string.split([':', '@']).nth(2).unwrap().to_owned();
    assert_eq!(password.len(), 22, "{connection_string}");
    let host = request(appliance.port, "GET", "/v1/credentials", &[], "");
    let host_token =
        member(&serde_json::from_str::<Value>(&host.body).unwrap()["credentials"].to_string(), "accessToken");
    let by_command = appliance
        .command(&["claim", "taskcluster-canary", "--env", "--url", &format!("http://127.0.0.1:{}", appliance.port)])
        .envs([("TASKCLUSTER_CLIENT_ID", "canary"), ("TASKCLUSTER_ACCESS_TOKEN", &token)])
        .output()
        .unwrap();
    assert!(String::from_utf8(by_command.stdout).unwrap().contains(&connection_string));

    let secrets = [
        ("the broker's password", BROKER_PASSWORD.to_owned()),
        ("the passphrase", PASSPHRASE.to_owned()),
        ("the mail server's password", SMTP_PASSWORD.to_owned()),
        ("the webhook's secret", WEBHOOK_SECRET.to_owned()),
        ("a client's token", token.clone()),
        ("a replaced token", second),
        ("a new token", reset),
        ("a guessed token", GUESSED_TOKEN.to_owned()),
        ("a lent password", password),
        ("the token that signs for machines", ISSUER_TOKEN.to_owned()),
        ("a machine's token", host_token),
    ];

    // Everything that answers, with right and wrong credentials, and with a broker that echoes what it is told.
    let mut said = answers_of(&appliance, &bearer);
    broker.echo_errors(true);
    for name in ["taskcluster-echo-1", "taskcluster-echo-2"] {
        let path = format!("/api/pulse/v1/namespace/{name}");
        let refused = request(appliance.port, "POST", &path, &[("Authorization", &bearer)], "{}");
        assert!(refused.whole.starts_with("HTTP/1.1 503"), "{}", refused.whole);
        said.push(refused.whole);
    }
    said.extend(refused_searches(&appliance, &bearer, &secrets[8].1));
    said.extend(output_of(&appliance));
    appliance.stop();
    said.push(appliance.run(&["audit", "show", "--json"]));

    for text in &said {
        assert_clean(&format!("what it said: {text}"), text.as_bytes(), &secrets);
    }
    let log = fs::read(appliance.log_path()).unwrap();
    assert!(log.len() > 100, "the log is not empty");
    assert_clean("the log", &log, &secrets);
    for file in files_below(&appliance.dir.path().join("data")) {
        assert_clean(&file.display().to_string(), &fs::read(&file).unwrap(), &secrets);
    }
    // The search itself finds what is there.
    let seen_by_broker = broker.seen();
    assert!(seen_by_broker.contains(&STANDARD.encode(format!("admin:{BROKER_PASSWORD}"))));
}
