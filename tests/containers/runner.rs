//! `keylender services run` at a real podman: what task and services see, and that nothing is left however it ends.

use serde_json::{Value, json};

use crate::appliance::{address, subnet};
use crate::bench::{Bench, wait};
use crate::podman::{Podman, text};

/// One service that is ready when its port is.
fn one() -> Value {
    json!({ "services": [{ "name": "db", "image": "localhost/port:1" }] })
}

fn with(image: &str, command: &str) -> Value {
    json!({ "services": [{ "name": "db", "image": image, "command": ["sh", "-c", command] }] })
}

#[track_caller]
fn nothing_is_left(bench: &Bench<'_>) {
    assert_eq!(bench.left(), [""; 0]);
    let set = bench.appliance.sets().pop().unwrap();
    let closed = format!("DELETE /services/{set}");
    assert!(bench.appliance.asked().contains(&closed), "{:?}", bench.appliance.asked());
}

#[test]
fn a_task_on_the_host_reaches_its_services_by_name_and_ends_with_its_own_code() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let task = "echo set $SET; address=$(getent hosts db | cut -d' ' -f1); busybox nc -w 5 $address 7000 </dev/null; \
                grep -c 'db$' /etc/hosts; exit 7";
    let output = bench.run(&one(), &["--task-scope", "x:y"], &["sh", "-c", task]);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{out}{error}");
    assert!(out.contains(&format!("set {}", bench.appliance.sets()[0])), "{out}{error}");
    assert!(error.contains("service db: no role says anything of it"), "{error}");
    assert!(error.contains("not held, and left out: a:b"), "{error}");
    nothing_is_left(&bench);
    let input = &bench.appliance.inputs()[0];
    assert_eq!(input["payload"]["services"][0]["image"], "localhost/port:1");
    assert_eq!((&input["provisionerId"], &input["workerType"]), (&json!("p"), &json!("w")));
    assert_eq!(input["taskScopes"], json!(["x:y"]));
    assert!(input["images"]["db"]["id"].as_str().unwrap().starts_with("sha256:"), "{input}");
    assert!(input["taken"].as_array().unwrap().contains(&json!("10.88.0.0/16")), "{input}");
    assert!(out.ends_with("hello\n1\n"), "{out}{error}");
    assert_eq!(text(&podman.inside("grep").args(["-c", "db$", "/etc/hosts"]).output().unwrap().stdout).trim(), "0");
}

#[test]
fn a_task_in_a_container_reaches_its_services_by_name_and_its_output_is_ours() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let task = "echo $SET; echo wrong >&2; nc -w 5 db 7000 </dev/null; seq 2000; exit 9";
    let output = bench.run(&one(), &["--task-image", "localhost/box:1"], &["sh", "-c", task]);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(9), "{out}{error}");
    assert!(out.starts_with(&format!("{}\nhello\n1\n2\n", bench.appliance.sets()[0])), "{out}{error}");
    assert!(out.ends_with("\n2000\n"), "{} bytes", out.len());
    assert!(error.contains("wrong\n"), "{error}");
    nothing_is_left(&bench);
}

#[test]
fn a_service_is_ready_when_its_image_says_so_and_what_it_says_is_told_with_its_name_and_bounded() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let command = "echo early; sleep 1; touch /tmp/ready; seq 100000; sleep 1000";
    let payload = json!({ "services": [{ "name": "db", "image": "localhost/service:1", "command": [command] }] });
    let output = bench.run(&payload, &["--max-log", "2000"], &["sleep", "1"]);
    let error = text(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("db | early\n") && error.contains("db | 7\n"), "{error}");
    assert!(error.contains("db | … the rest of it is left out") && error.len() < 8000, "{} bytes", error.len());
    nothing_is_left(&bench);
}

#[test]
fn a_service_that_dies_before_it_is_ready_ends_the_run_with_its_last_lines() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let output = bench.run(&with("localhost/port:1", "echo no room; exit 3"), &[], &["echo", "began"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let words = "the service `db` ended with exit code 3 before it was ready; it said:\nno room";
    assert!(error.contains(words) && output.stdout.is_empty(), "{error}");
    let never =
        bench.run(&with("localhost/port:1", "sleep 1000"), &["--ready-within", "2 seconds"], &["echo", "began"]);
    assert_eq!(never.status.code(), Some(1));
    assert!(
        text(&never.stderr)
            .contains("the service `db` was not ready in time (--ready-within): nobody listens on its port 7000"),
        "{}",
        text(&never.stderr)
    );
    nothing_is_left(&bench);
}

#[test]
fn a_service_that_dies_later_is_told_and_the_task_goes_on() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let payload = with("localhost/box:1", "sleep 1; exit 5");
    let output = bench.run(&payload, &[], &["sh", "-c", "sleep 3; exit 0"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.contains("the service `db` ended with exit code 5; the task goes on"), "{error}");
    nothing_is_left(&bench);
}

#[test]
fn addresses_that_are_taken_are_changed_for_others() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    let taken = subnet();
    let net = format!("{}/28", address(taken, 0));
    assert!(podman.podman(&["network", "create", "--subnet", &net, "somebody"]).status.success());
    bench.appliance.begin_with(taken);
    let output = bench.run(&one(), &[], &["true"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let inputs = bench.appliance.inputs();
    assert_eq!(inputs.len(), 2);
    assert!(inputs[1]["taken"].as_array().unwrap().contains(&json!(net)));
    let first = format!("DELETE /services/{}", bench.appliance.sets()[0]);
    assert!(bench.appliance.asked().contains(&first));
    nothing_is_left(&bench);
    podman.podman(&["network", "rm", "somebody"]);
}

#[test]
fn a_signal_ends_everything_whenever_it_comes() {
    let Some(podman) = Podman::shared() else { return };
    for (name, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let bench = Bench::new(podman);
        let mut running = bench.begin(&one(), &[], &["sh", "-c", "sleep 1000 & sleep 1000"]);
        running.wait_for("the task begins");
        running.signal(name);
        assert_eq!(running.end().code(), Some(code), "{}", running.said());
        nothing_is_left(&bench);
    }
    // In the middle of each step, some of them while the engine is at work.
    for delay_ms in [0, 60, 120, 200, 300, 450, 650] {
        let bench = Bench::new(podman);
        let mut running = bench.begin(&one(), &["--task-image", "localhost/box:1"], &["sleep", "1000"]);
        running.wait_for("podman 4");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        running.signal("TERM");
        assert_eq!(running.end().code(), Some(143), "{}", running.said());
        assert_eq!(bench.left(), [""; 0], "after {delay_ms} ms: {}", running.said());
    }
}

#[test]
fn what_a_killed_runner_leaves_the_next_one_removes_and_that_of_others_stays() {
    let Some(podman) = Podman::own() else { return };
    let alive = Bench::new(&podman);
    let mut other = alive.begin(&one(), &[], &["sh", "-c", "echo task $$; exec sleep 1000"]);
    other.wait_for("task ");
    other.wait_for("\ntask ");
    let task = other.said().lines().find_map(|line| line.strip_prefix("task ").map(str::to_owned)).unwrap();
    for delay_ms in [100, 300, 500, 2000] {
        let bench = Bench::new(&podman);
        let mut running = bench.begin(&one(), &["--task-image", "localhost/box:1"], &["sleep", "1000"]);
        running.wait_for("podman 4");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        running.signal("KILL");
        running.end();
        // What the engine was making when it was killed comes a moment later.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let cleaned = bench.clean(&[]);
        assert!(cleaned.status.success(), "{}", text(&cleaned.stderr));
        assert_eq!(bench.left(), [""; 0], "after {delay_ms} ms");
    }
    assert_eq!(alive.left().len(), 2, "who lives keeps what is its own: {:?} {}", alive.left(), other.said());
    assert_eq!(alive.locks().iter().filter(|name| name.ends_with(".lock")).count(), 1, "{:?}", alive.locks());
    // A task on the host ends with its runner, and the next run cleans up by itself.
    other.signal("KILL");
    other.end();
    wait(|| !std::path::Path::new(&format!("/proc/{task}/exe")).exists(), || "the task goes on".into());
    let next = Bench::new(&podman);
    let output = next.run(&one(), &[], &["true"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("removed what a run left over"), "{}", text(&output.stderr));
    assert_eq!(alive.left(), [""; 0]);
    assert_eq!(alive.locks(), [""; 0]);
}

#[test]
fn what_a_runner_of_another_directory_started_is_named_and_removed_only_by_all() {
    let Some(podman) = Podman::own() else { return };
    let bench = Bench::new(&podman);
    let labels = ["--label", "org.keylender.set=x", "--label", "org.keylender.locks=another"];
    let create = [&["network", "create"][..], &labels, &["of-another"]].concat();
    assert!(podman.podman(&create).status.success());
    let cleaned = bench.clean(&[]);
    assert!(
        text(&cleaned.stderr).contains("the set x was started by somebody who is not known here"),
        "{}",
        text(&cleaned.stderr)
    );
    let networks = || podman.says(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(networks().contains(&"of-another".to_owned()));
    assert!(bench.clean(&["--all"]).status.success());
    assert!(!networks().contains(&"of-another".to_owned()));
}

#[test]
fn an_engine_that_dies_in_the_middle_is_told_and_cleaned_up_after_when_it_is_back() {
    let Some(podman) = Podman::own() else { return };
    let bench = Bench::new(&podman);
    let mut running = bench.begin(&one(), &[], &["sleep", "3"]);
    running.wait_for("the task begins");
    podman.die();
    let status = running.end();
    assert_eq!(status.code(), Some(0), "the task is none of the engine's: {}", running.said());
    running.wait_for("or `keylender services clean` removes it");
    podman.revive();
    assert_eq!(bench.left().len(), 2);
    assert!(bench.clean(&[]).status.success());
    assert_eq!(bench.left(), [""; 0]);
    assert_eq!(bench.locks(), [""; 0]);
}

#[test]
fn an_appliance_that_refuses_or_forgets_is_told() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    bench.appliance.refuse("POST /services", 403, "not for this worker");
    let output = bench.run(&one(), &[], &["echo", "began"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("the appliance opens no services: not for this worker"));
    assert!(output.stdout.is_empty());
    let none = bench.run(&with("localhost/none:1", "x"), &["--pull", "never"], &["echo", "began"]);
    assert!(text(&none.stderr).contains("there is no image localhost/none:1 here"), "{}", text(&none.stderr));
    let short = bench.run(&with("box:1", "x"), &["--pull", "never"], &["echo", "began"]);
    assert!(text(&short.stderr).contains("there is localhost/box:1 here"), "{}", text(&short.stderr));
    assert_eq!(bench.left(), [""; 0]);
}

#[test]
fn an_engine_is_a_socket_of_this_host_and_where_there_is_none_that_is_said() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    for (host, words) in [
        ("", "there is no container engine on this host: install docker.io or podman"),
        ("tcp://127.0.0.1:2375", "DOCKER_HOST must be a socket of this host"),
        ("unix:///nowhere/docker.sock", "the container engine at /nowhere/docker.sock does not answer"),
    ] {
        let output = bench.clean_at(host);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    let wrong = bench.run(&json!({ "services": 3 }), &[], &["echo", "began"]);
    assert!(text(&wrong.stderr).contains("/services: expected a list of services, not"), "{}", text(&wrong.stderr));
    assert!(bench.appliance.asked().is_empty() && wrong.stdout.is_empty());
}

#[test]
fn an_operator_who_ends_the_services_ends_the_run() {
    let Some(podman) = Podman::shared() else { return };
    let bench = Bench::new(podman);
    bench.appliance.refuse("/alive", 409, "ended by ada");
    let mut running = bench.begin(&one(), &[], &["sleep", "1000"]);
    assert_eq!(running.end().code(), Some(1), "{}", running.said());
    assert!(running.said().contains("the appliance ended the services: ended by ada"), "{}", running.said());
    nothing_is_left(&bench);
}
