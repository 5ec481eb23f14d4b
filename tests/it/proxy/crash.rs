//! The disk breaks at every operation while a task asks, and then the process is killed. Whenever it does: what was answered
//! is recorded, and one sweep of the next process leaves no session open.

use std::path::Path;
use std::sync::Arc;

use keylender::app::operate::Operator;
use keylender::app::settings::{Settings, read_upstreams};
use keylender::app::{self, Appliance};
use keylender::base::{Clock, Secret};
use keylender::ports::broker::MemoryBroker;
use keylender::store::{KeySource, Store};
use serde_json::json;
use url::Url;

use super::service::Service;
use super::{Task, UPSTREAMS, at_port};
use crate::disk::{Disk, Fault};
use crate::wire::Ask;
use crate::world::BEGIN;

/// Calls of the task: each is a commit or two.
const CALLS: usize = 8;
/// Each of so many calls is for a namespace.
const LENDS: usize = 3;
/// Between two faults. An operation is a part of a commit, and each commit has several.
const STEP: usize = 7;
/// Far more operations than the story has.
const OPERATIONS_MAX: u32 = 1000;

fn appliance(disk: &Disk, settings: &Settings, broker: &MemoryBroker) -> Appliance {
    let clock = Clock::manual(BEGIN);
    let store = Store::with_backend(disk.clone(), &KeySource::Given([7; 32]), clock.clone()).unwrap();
    Appliance::on(store, settings, clock, Some(Arc::new(broker.clone()))).unwrap()
}

/// What a task was answered until the disk broke, and the logins that it was lent.
#[derive(Default)]
struct Heard {
    urls: Vec<String>,
    logins: Vec<Url>,
}

async fn ask(disk: &Disk, settings: &Settings, broker: &MemoryBroker, breaks: (u32, Fault)) -> Heard {
    let (operations, fault) = breaks;
    let _running = app::run(appliance(disk, settings, broker), settings).await.unwrap();
    let operator = Operator::connect(settings).unwrap();
    let input = json!({ "scopes": ["files:read", "pulse:namespace:taskcluster-*"], "listen": at_port() });
    let task = Task::of(&operator.call("POST", "/proxy/sessions", Some(input)).await.unwrap());
    disk.break_after(operations, fault);
    let mut heard = Heard::default();
    for number in 0..CALLS {
        let target =
            if number % LENDS == 0 { format!("/pulse/taskcluster-{number}") } else { format!("/files/{number}") };
        let (method, url) = match target.strip_prefix("/files") {
            Some(rest) => ("GET", format!("/v1{rest}")),
            None => ("POST", target.clone()),
        };
        let answer = task.ask(&Ask::new(method, &target)).await;
        match answer.status {
            200 => {
                heard.urls.push(url);
                heard.logins.extend(answer.json()["connectionString"].as_str().map(|text| text.parse().unwrap()));
            }
            status => {
                assert!(matches!(status, 500 | 503), "{status} {target} of {fault:?} after {operations} operations")
            }
        }
    }
    heard
}

/// False when the story ended before the disk broke.
fn break_and_recover(settings: &Settings, operations: u32, fault: Fault) -> bool {
    let context = format!("{fault:?} after {operations} operations");
    let disk = Disk::default();
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broker = MemoryBroker::default();
    broker.add_vhost(&settings.namespaces.amqp.vhost);
    let heard = process.block_on(ask(&disk, settings, &broker, (operations, fault)));
    // The process is killed: nothing of it goes on.
    process.shutdown_timeout(std::time::Duration::from_secs(5));
    let broke = disk.repair();
    assert!(broke || heard.urls.len() == CALLS, "{context}: {:?}", heard.urls);

    let next = tokio::runtime::Runtime::new().unwrap();
    next.block_on(async {
        let appliance = appliance(&disk, settings, &broker);
        let entries = appliance.store.survey_here(|tx| tx.entries(1, 1000)).unwrap();
        let log: String = entries.into_iter().map(|(_, entry)| String::from_utf8(entry).unwrap()).collect();
        for url in &heard.urls {
            assert!(log.contains(&format!("{url}\"")), "{context}: {url} was answered and is not recorded");
        }
        appliance.proxy.sweep().await.unwrap();
        let open = appliance.proxy.sessions().await.unwrap().into_iter().filter(|view| view.session.ended.is_none());
        assert_eq!(open.count(), 0, "{context}");
        appliance.namespaces.expire_over().await.unwrap();
        assert_eq!(appliance.namespaces.count().unwrap(), 0, "{context}");
        for login in &heard.logins {
            let password = Secret::new(login.password().unwrap());
            assert!(!broker.can_login(login.username(), &password), "{context}: {login} works");
        }
        appliance.store.verify_audit().await.unwrap_or_else(|error| panic!("{context}: {error}"));
    });
    broke
}

fn break_everywhere(dir: &Path, service: &Service) {
    let mut settings = Settings::for_tests(dir);
    settings.proxy.declared =
        Some(read_upstreams(&UPSTREAMS.replace("ADDRESS", &service.address.to_string())).unwrap());
    for fault in Fault::ALL {
        for operations in (0..OPERATIONS_MAX).step_by(STEP) {
            if !break_and_recover(&settings, operations, fault) {
                assert!(operations > 0, "the faults came while it mattered");
                break;
            }
        }
    }
}

#[test]
fn what_was_answered_is_recorded_whenever_the_disk_breaks_and_the_process_dies() {
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let service = outside.block_on(Service::start());
    let dir = tempfile::tempdir().unwrap();
    break_everywhere(dir.path(), &service);
}
