//! Plays the vectors of one group against one program, and looks at what it does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{self, Answer, ask};
use crate::command::{self, Bench, Program};
use crate::judge::{Verdict, judge};
use crate::observe;
use crate::stubs::Stubs;
use crate::vectors::{Group, Places, id};

/// A program that does not listen within this time will not.
const START_MAX: Duration = Duration::from_secs(20);
/// One that listens may still end at once, and has to write its log.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a command line that should end may take, if its vector does not say.
const END_MAX_S: f64 = 8.0;
/// How much later than what runs in the background a request is, if its vector does not say.
const BACKGROUND_S: f64 = 0.5;

/// A program with what is behind it.
struct Stage<'a> {
    bench: &'a Bench,
    group: &'a Group,
    stubs: Stubs,
    places: Places,
    program: Option<Program>,
}

/// The verdicts on all vectors of a group, by their ids.
pub async fn run(bench: &Bench, group: Group) -> Vec<(String, Verdict)> {
    let stubs = Stubs::start(&bench.servers).await;
    let places = Places { root: stubs.root, down: command::free_port(), port: command::free_port() };
    let mut stage = Stage { bench, group: &group, stubs, places, program: None };
    let mut verdicts = Vec::new();
    for vector in &group.vectors {
        let vector = stage.places.fill(vector);
        let verdict =
            if vector["cli"] == true { stage.command_line(&vector).await } else { stage.vector(&vector).await };
        verdicts.push((id(&vector).to_owned(), verdict));
    }
    verdicts
}

impl Stage<'_> {
    /// Starts the program and leaves it alone.
    async fn command_line(&mut self, vector: &Value) -> Verdict {
        self.stubs.play(vector, &self.group.tasks);
        let port = self.places.port;
        let _busy = (vector["busy"] == true).then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        let mut program = self.bench.start(self.group, &self.places, &self.stubs);
        let mut seen = observe::scene(&self.stubs.scene(), &self.group.keys);
        let signal = vector["signal"].as_str();
        let mut patience = client::seconds(&vector["wait"], END_MAX_S);
        if vector["up"] == true || signal.is_some() {
            seen.insert("up".into(), program.listens_within(port, START_MAX).await.into());
            seen.insert("listens".into(), command::listeners(port).into());
            patience = signal.map_or(SETTLE, |_| patience);
        }
        if let Some(signal) = signal.filter(|_| program.exit().is_none()) {
            program.signal(signal);
        }
        let exit = program.ends_within(patience).await;
        seen.insert("exit".into(), exit.into());
        seen.insert("running".into(), exit.map_or(Value::Bool(true), |_| Value::Null));
        seen.insert("stdout".into(), program.stdout().into());
        seen.insert("stderr".into(), program.stderr().into());
        let has_usage = program.stderr().iter().any(|line| line.contains("Usage:"));
        seen.insert("usage_on_stderr".into(), has_usage.into());
        seen.extend(observe::scene(&self.stubs.scene(), &self.group.keys));
        judge(vector, vector, &Value::Object(seen))
    }

    /// Plays all steps of a vector. The worst one counts.
    async fn vector(&mut self, vector: &Value) -> Verdict {
        let steps = vector["steps"].as_array().cloned().unwrap_or_else(|| vec![vector.clone()]);
        let mut worst = Verdict::Strict;
        for (number, step) in steps.iter().enumerate() {
            self.stubs.play(step, &self.group.tasks);
            if let Some(seen) = self.not_started().await {
                return match judge(vector, step, &seen) {
                    Verdict::Failed(report) => Verdict::Failed(format!("    it did not start\n{report}")),
                    verdict => verdict,
                };
            }
            sleep(client::seconds(&step["sleep"], 0.0)).await;
            let seen = self.step(vector, step).await;
            let verdict = match judge(vector, step, &seen) {
                Verdict::Failed(report) if steps.len() > 1 => {
                    Verdict::Failed(format!("    step {}\n{report}", number + 1))
                }
                verdict => verdict,
            };
            worst = worst.max(verdict);
        }
        worst
    }

    /// Starts the program if it is not running, and says what it did instead.
    async fn not_started(&mut self) -> Option<Value> {
        let is_running = self.program.as_mut().is_some_and(|program| program.exit().is_none());
        if is_running {
            return None;
        }
        let mut program = self.bench.start(self.group, &self.places, &self.stubs);
        if program.listens_within(self.places.port, START_MAX).await {
            self.program = Some(program);
            return None;
        }
        Some(json!({ "up": false, "exit": program.exit(), "stderr": program.stderr(), "stdout": program.stdout() }))
    }

    async fn step(&mut self, vector: &Value, step: &Value) -> Value {
        let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, self.places.port));
        let uid = vector["uid"].as_u64().and_then(|uid| u32::try_from(uid).ok());
        let request = &step["request"];
        let count = vector["parallel"].as_u64().unwrap_or(1) as usize;
        let background = async {
            if !step["background"].is_null() {
                ask(&step["background"], uid, proxy).await;
            }
        };
        let foreground = async {
            if !step["background"].is_null() {
                sleep(client::seconds(&step["after"], BACKGROUND_S)).await;
            }
            join_all((0..count).map(|_| ask(request, uid, proxy))).await
        };
        let (answers, ()) = tokio::join!(foreground, background);
        sleep(client::seconds(&step["settle"], 0.0)).await;
        self.seen(vector, &answers).await
    }

    async fn seen(&mut self, vector: &Value, answers: &[Answer]) -> Value {
        let keys = &self.group.keys;
        let mut seen = observe::scene(&self.stubs.scene(), keys);
        if let [answer] = answers {
            seen.insert("response".into(), observe::response(answer, keys));
            seen.insert("seconds".into(), answer.seconds.into());
        }
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        statuses.dedup();
        seen.insert("statuses".into(), json!(statuses));
        if let Some(program) = &mut self.program {
            let patience = client::seconds(&vector["may_exit"], 0.0);
            seen.insert("exit".into(), program.ends_within(patience).await.into());
            seen.insert("stderr".into(), program.stderr().into());
        }
        Value::Object(seen)
    }
}
