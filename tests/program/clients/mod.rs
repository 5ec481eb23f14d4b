//! The published Taskcluster clients, unmodified, at work on an appliance of ours: one test for each package.
//!
//! `run.js` and `run.py` tell the stories; `packages` lists what `scripts/client-packages` has installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::app::settings::Settings;
use keylender::base::Clock;
use keylender::ports::broker::MemoryBroker;
use serde_json::json;
use tokio::process::Command;

const CLIENT: &str = "clients-test";
/// A run takes seconds; the oldest packages take that long to load on a busy machine.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

macro_rules! published_clients {
    ($($name:ident: $run:ident($alias:literal);)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            tell_stories($alias, $run($alias)).await;
        }
    )*};
}

published_clients! {
    the_javascript_client_of_2018_is_served: javascript("tc3");
    the_javascript_client_of_the_pulse_library_is_served: javascript("tc11");
    the_last_javascript_client_with_pulse_is_served: javascript("tc12");
    the_newest_javascript_client_is_served: javascript("tcnew");
    the_first_python_client_with_root_urls_is_served: python("py5");
    the_last_python_client_with_pulse_is_served: python("py6");
    the_newest_python_client_is_served: python("pynew");
}

/// Those whose tasks use a proxy: without credentials, by its URL alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_clients_work_through_the_task_proxy() {
    tell_through_the_proxy("tcnew", javascript_of("through.js", "tcnew")).await;
    tell_through_the_proxy("pynew", python_of("through.py", "pynew")).await;
}

/// The program, its first arguments, and what must be installed for it.
struct Runner {
    program: PathBuf,
    arguments: Vec<PathBuf>,
    package: PathBuf,
}

fn javascript(alias: &str) -> Runner {
    javascript_of("run.js", alias)
}

fn javascript_of(script: &str, alias: &str) -> Runner {
    let arguments = vec![in_repository("tests/program/clients").join(script), alias.into()];
    Runner { program: "node".into(), arguments, package: in_repository("target/clients/node_modules").join(alias) }
}

fn python(alias: &str) -> Runner {
    python_of("run.py", alias)
}

fn python_of(script: &str, alias: &str) -> Runner {
    let program = in_repository("target/clients").join(alias).join("bin/python");
    let arguments = vec![in_repository("tests/program/clients").join(script)];
    Runner { program: program.clone(), arguments, package: program }
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn tell_stories(alias: &str, runner: Runner) {
    assert!(
        runner.package.exists(),
        "the published client `{alias}` is not installed: run scripts/test, which installs all of them and then runs \
         every test ({} is missing)",
        runner.package.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::for_tests(dir.path());
    let broker = Arc::new(MemoryBroker::default());
    let running = keylender::app::start(&settings, Clock::system(), Some(broker)).await.unwrap();
    let token = make_client(&settings, alias).await;

    let url = format!("http://127.0.0.1:{}", running.address.port());
    let environment = [("KEYLENDER_URL", url.as_str()), ("CLIENT_ID", CLIENT), ("ACCESS_TOKEN", &token)];
    run(alias, runner, &environment).await;
    assert!(running.stop().await, "the appliance did not stop in time");
}

/// A client with the scopes that the runners ask for, and no more.
async fn make_client(settings: &Settings, alias: &str) -> String {
    let scopes = json!([format!("pulse:namespace:taskcluster-{alias}-*"), format!("auth:create-client:{CLIENT}/*")]);
    let operator = Operator::connect(settings).unwrap();
    let made = operator.call("PUT", &format!("/clients/{CLIENT}"), Some(json!({"scopes": scopes}))).await.unwrap();
    made["accessToken"].as_str().unwrap().to_owned()
}

async fn run(alias: &str, runner: Runner, environment: &[(&str, &str)]) {
    let output = Command::new(runner.program)
        .args(runner.arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(RUN_TIMEOUT, output).await.expect("the runner hangs").unwrap();

    let told = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{alias}: {}\n{told}{complaint}", output.status);
}

async fn tell_through_the_proxy(alias: &str, runner: Runner) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::for_tests(dir.path());
    let broker = Arc::new(MemoryBroker::default());
    let running = keylender::app::start(&settings, Clock::system(), Some(broker)).await.unwrap();
    let url = format!("http://127.0.0.1:{}", running.address.port());
    let token = make_client(&settings, alias).await;

    let program = dir.path().join("taskcluster-proxy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keylender"), &program).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let scope = format!("pulse:namespace:taskcluster-{alias}-through");
    let mut proxy = Command::new(program)
        .args(["-i", "127.0.0.1", "-p", &port, &scope])
        .env("TASKCLUSTER_ROOT_URL", &url)
        .env("TASKCLUSTER_CLIENT_ID", CLIENT)
        .env("TASKCLUSTER_ACCESS_TOKEN", token)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
        assert!(proxy.try_wait().unwrap().is_none(), "the proxy has ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let through = format!("http://127.0.0.1:{port}");
    run(alias, runner, &[("KEYLENDER_URL", &url), ("TASKCLUSTER_PROXY_URL", &through)]).await;
    assert!(running.stop().await, "the appliance did not stop in time");
}
