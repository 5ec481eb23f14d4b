//! The whole of it: a real appliance, real containers, and what services, tasks and strangers reach of one another.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::bench::{PROGRAM, Running, wait};
use crate::podman::{Podman, text};

/// A token service, and a protected one that tells by which token it was asked.
const PROTECTED: &str = r#"
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps({"token": "for-" + "+".join(asked["permissions"])}).encode())
    def do_GET(self):
        self.answer(("%s by %s" % (self.path, self.headers["Authorization"])).encode())
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;
const UPSTREAM: &str = r#"
[[upstream]]
name = "files"
base = "http://127.0.0.1:PORT/v1"
networks = ["127.0.0.0/8"]
scopes = { prefix = "files:" }
[upstream.credential]
kind = "minted"
url = "http://127.0.0.1:PORT/tokens"
token = "issuing-token"
body = '{"permissions":"<permissions>","expires":"<expires>"}'
pointer = "/token"
"#;
/// Asks its own proxy again and again, with a connection that stays open for the answer, and tells whoever comes what it was answered.
const SERVICE: &str = "at=${KEYLENDER_PROXY_URL#http://}; \
     ask() { { printf \"GET $1 HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n\"; sleep 1; } | nc -w 5 ${at%:*} ${at#*:}; echo; }; \
     said=$(ask /files/x; ask /task; ask /broker); while :; do echo \"$said\" | nc -l -p 7000; done";

/// Asks each service until it answers: `nc` hears one after the other, the first of whom is the runner that waits for it.
const TASK: &str = "for name in reader writer; do until nc -w 9 $name 7000 | grep .; do sleep 1; done; done; exit 4";

/// An appliance that runs in the network of an engine.
struct Appliance<'p> {
    podman: &'p Podman,
    dir: tempfile::TempDir,
    started: Vec<Child>,
}

impl<'p> Appliance<'p> {
    /// One to which two images are known: `reader`, which may read, and `writer`, which may write.
    fn start(podman: &'p Podman) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut protected = podman.inside("python3");
        protected.args(["-c", PROTECTED]).stdout(Stdio::piped());
        let mut protected = protected.spawn().unwrap();
        let mut port = String::new();
        let out = protected.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut port).unwrap();
        let mut it = Self { podman, dir, started: vec![protected] };
        fs::write(it.path("upstreams.toml"), UPSTREAM.replace("PORT", port.trim())).unwrap();

        let ids = ["reader", "writer"].map(|name| {
            let config =
                json!({ "Cmd": ["sh", "-c", SERVICE], "ExposedPorts": { "7000/tcp": {} }, "Labels": { "is": name } });
            podman.load(&format!("localhost/{name}:1"), config).unwrap();
            let id =
                podman.says(&["image", "inspect", "--format", "{{.Id}}", &format!("localhost/{name}:1")]).remove(0);
            format!("sha256:{}", id.trim_start_matches("sha256:"))
        });
        let named: Vec<_> = ids.iter().map(|id| format!("p/w/{id}")).collect();
        let mut serve = it.program(&["serve", "--port", "0"]);
        serve.env("SERVICES_LOCAL_IMAGES", named.join(",")).env("PROXY_UPSTREAMS_FILE", it.path("upstreams.toml"));
        let log = fs::File::create(it.path("serve.log")).unwrap();
        it.started.push(serve.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let log = || fs::read_to_string(it.path("serve.log")).unwrap();
        wait(|| it.keylender(&["ping"]).status.success() || it.path("data/control.sock").exists(), log);
        for (id, scope) in ids.iter().zip(["files:read", "files:write"]) {
            let made = it.keylender(&["role", "create", &format!("docker-service-image:p/w/{id}"), "--scope", scope]);
            assert!(made.status.success(), "{}", text(&made.stderr));
        }
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = self.podman.inside(PROGRAM);
        command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("NODE_ENV", "test");
        command.env("DATA_DIR", self.path("data")).stdin(Stdio::null());
        command
    }

    fn keylender(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    fn says(&self, arguments: &[&str]) -> Value {
        let output = self.keylender(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    }

    /// A run with a service of each of these images, by their names, and this task in a container.
    fn begin(&self, images: &[&str], task: &str) -> Running {
        let services: Vec<_> =
            images.iter().map(|name| json!({ "name": name, "image": format!("localhost/{name}:1") })).collect();
        fs::write(self.path("payload.json"), json!({ "services": services }).to_string()).unwrap();
        let (payload, socket) = (self.path("payload.json"), format!("unix://{}", self.podman.socket().display()));
        let mut run = self.program(&["services", "run", payload.to_str().unwrap(), "--engine", &socket]);
        run.args(["--provisioner", "p", "--worker-type", "w", "--task-scope", "project:of:the-task"]);
        run.args(["--task-image", "localhost/box:1", "--", "sh", "-c", task]);
        Running::of(run, self.path("log"))
    }

    /// The set that is open.
    fn open_set(&self) -> Value {
        let list = self.says(&["services", "list", "--open"]);
        list["sets"].as_array().unwrap().first().cloned().unwrap_or_default()
    }

    /// What is said to who asks for a path from within a container.
    fn ask_from(&self, container: &str, address: &str, path: &str) -> String {
        let at: SocketAddr = address.trim_start_matches("http://").parse().unwrap();
        let line = format!(
            "{{ printf 'GET {path} HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n'; sleep 1; }} | nc -w 3 {} {}",
            at.ip(),
            at.port()
        );
        let asked = self.podman.podman(&["exec", container, "sh", "-c", &line]);
        text(&asked.stdout)
    }

    /// Containers and networks of sets that are there.
    fn left(&self) -> Vec<String> {
        let label = "label=org.keylender.set";
        let mut left = self.podman.says(&["ps", "-a", "--filter", label, "--format", "{{.Names}}"]);
        left.extend(self.podman.says(&["network", "ls", "--filter", label, "--format", "{{.Name}}"]));
        left
    }
}

impl Drop for Appliance<'_> {
    fn drop(&mut self) {
        for child in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_service_is_reached_by_its_name_and_its_calls_carry_what_its_image_was_given_and_no_more() {
    let Some(podman) = Podman::own() else { return };
    let appliance = Appliance::start(&podman);
    let mut run = appliance.begin(&["reader", "writer"], TASK);
    assert_eq!(run.end().code(), Some(4), "{}", run.said());
    let said = run.said();
    assert!(said.contains("/v1/x by Bearer for-read\n") && said.contains("/v1/x by Bearer for-write\n"), "{said}");
    assert!(said.contains(r#"{"scopes":["project:of:the-task"]}"#), "it can read what the task may: {said}");
    assert!(said.contains("404 Not Found") && said.contains("there is nothing at /broker here"), "{said}");
    assert_eq!(appliance.left(), [""; 0]);
    let list = appliance.says(&["services", "list"]);
    assert_eq!(list["sets"][0]["isOver"], true, "{list}");
    let shown = appliance.says(&["services", "show", list["sets"][0]["set"].as_str().unwrap()]);
    assert!(shown["services"][0]["calls"].as_u64().unwrap() >= 1, "{shown}");
}

#[test]
fn nobody_but_a_service_itself_asks_its_proxy_and_services_reach_their_task_alone() {
    let Some(podman) = Podman::own() else { return };
    let appliance = Appliance::start(&podman);
    let mut run = appliance.begin(&["reader", "writer"], "echo begun; sleep 1000");
    run.wait_for("\nbegun");
    let set = appliance.open_set();
    let (set, services) = (set["set"].as_str().unwrap(), &set["services"]);
    let [reader, writer] = [0, 1].map(|at| services[at]["address"].as_str().unwrap());
    let [of_reader, of_writer, task] = ["reader", "writer", "task"].map(|name| format!("keylender-{set}-{name}"));
    assert!(appliance.ask_from(&of_reader, reader, "/files/a").contains("by Bearer for-read"));
    assert!(appliance.ask_from(&of_writer, writer, "/files/a").contains("by Bearer for-write"));
    for (from, at) in [(&of_reader, writer), (&of_writer, reader), (&task, reader), (&task, writer)] {
        assert_eq!(appliance.ask_from(from, at, "/files/a"), "", "{from} asks {at}");
    }
    // A service reaches another one by none of its addresses.
    let address = |name: &str| {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        podman.says(&["inspect", "--format", format, name]).remove(0).trim().to_owned()
    };
    let other = format!("{}:7000", address(&of_writer));
    assert!(appliance.ask_from(&task, &other, "/").contains("for-write"), "the task reaches it");
    assert_eq!(appliance.ask_from(&of_reader, &other, "/"), "");
    run.signal("TERM");
    assert_eq!(run.end().code(), Some(143), "{}", run.said());
    assert_eq!(appliance.left(), [""; 0]);
}

#[test]
fn an_operator_stops_the_services_of_a_task_and_everything_of_it_is_killed() {
    let Some(podman) = Podman::own() else { return };
    let appliance = Appliance::start(&podman);
    let mut run = appliance.begin(&["reader"], "echo begun; sleep 1000");
    run.wait_for("\nbegun");
    let set = appliance.open_set()["set"].as_str().unwrap().to_owned();
    let stopped = appliance.keylender(&["services", "stop", &set, "--reason", "it mines coins"]);
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    assert_eq!(run.end().code(), Some(1), "{}", run.said());
    assert!(run.said().contains("it mines coins"), "{}", run.said());
    assert_eq!(appliance.left(), [""; 0]);
}
