//! The administrator at the broker is replaced, and whatever breaks while that goes on: at every moment one that
//! Keylender knows works, and in the end the password before does not.

use std::sync::Arc;
use std::time::Duration;

use keylender::app::Appliance;
use keylender::app::settings::{BrokerSettings, Settings};
use keylender::base::audit::Action;
use keylender::base::{Clock, Result, Secret, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Access, Cluster, Credentials, MemoryBroker, Users};
use keylender::store::{KeySource, Store};
use serde_json::{Value, json};

use crate::disk::{Disk, Fault};
use crate::world::World;

/// Far more steps than a rotation has.
const STEPS_MAX: u32 = 1000;

#[tokio::test]
async fn a_rotation_that_somebody_is_at_is_not_finished_by_reconcile_as_well() {
    let process = Site::rotated_once().await.start();
    let (administrator, caller) = (&process.administrator, Caller::local("ops", "r"));
    let mut rotating = Box::pin(administrator.rotate(&caller));
    while administrator.status().unwrap().incoming.is_none() {
        assert!(!step(&process, &mut rotating).await, "it has ended");
    }
    let (made_sure, rotated) = tokio::join!(administrator.make_sure(), rotating);
    let (made_sure, rotated) = (made_sure.unwrap(), rotated.unwrap());
    assert_eq!(made_sure, None);
    assert_eq!(administrator.status().unwrap().active, Some(rotated.administrator), "it was rotated once");
}

/// What outlives the process: disk, broker, the time.
struct Site {
    disk: Disk,
    broker: MemoryBroker,
    clock: Clock,
    settings: Settings,
}

impl Site {
    /// A site whose administrator was replaced once, after which nobody needs the login of the settings.
    async fn rotated_once() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let settings = Settings::for_tests(std::path::Path::new("unused"));
        let site = Self { disk: Disk::default(), broker: MemoryBroker::default(), clock, settings };
        rotate(&site.start()).await.unwrap();
        site.broker.lock_settings_login();
        site
    }

    fn start(&self) -> Appliance {
        let store = Store::with_backend(self.disk.clone(), &KeySource::Given([7; 32]), self.clock.clone()).unwrap();
        Appliance::on(store, &self.settings, self.clock.clone(), Some(Arc::new(self.broker.clone()))).unwrap()
    }

    fn lets_in(&self, login: &Credentials) -> bool {
        self.broker.can_login(login.user.as_str(), &login.password)
    }

    /// Nothing but what the store knows works, and there is one of it.
    async fn check(&self, process: &Appliance, before: &Credentials, context: &str) {
        let now = login(process);
        assert!(self.lets_in(&now) && !self.lets_in(before), "{context}");
        assert_eq!(process.administrator.status().unwrap().acting, now.user.as_str(), "{context}");
        let users = self.broker.users().await.unwrap();
        let ours: Vec<_> = users.iter().filter(|user| user.name.starts_with("keylender-admin-")).collect();
        assert_eq!(ours.len(), 1, "{context}: {ours:?}");
        assert_eq!(ours[0].tags, ["administrator"], "{context}");
        assert!(process.accounts.drifts().await.unwrap().is_empty(), "{context}");
        process.store.verify_audit().await.unwrap_or_else(|error| panic!("{context}: {error}"));
    }
}

async fn rotate(process: &Appliance) -> Result<()> {
    process.administrator.rotate(&Caller::local("tests", "r")).await.map(drop)
}

fn login(process: &Appliance) -> Credentials {
    process.administrator.login().unwrap().unwrap()
}

/// Breaks something, rotates, mends it, starts again and rotates again. False when nothing had broken.
async fn break_and_recover(
    context: &str,
    broken: impl FnOnce(&Site),
    mend: impl FnOnce(&Site) -> bool,
    finish: impl AsyncFnOnce(&Appliance),
) -> bool {
    let site = Site::rotated_once().await;
    let process = site.start();
    let before = login(&process);
    broken(&site);
    let told = rotate(&process).await;
    drop(process);
    let broke = mend(&site);
    assert!(broke || told.is_ok(), "{context}: {told:?}");

    let process = site.start();
    assert!(site.lets_in(&login(&process)), "{context}: the one that the store has works");
    assert!(site.broker.overview().await.is_ok(), "{context}: we are not locked out");
    finish(&process).await;
    site.check(&process, &before, context).await;
    broke
}

async fn again(process: &Appliance) {
    rotate(process).await.unwrap();
}

#[tokio::test]
async fn a_replaced_administrator_survives_a_disk_that_breaks_anywhere() {
    for fault in Fault::ALL {
        let mut operations = 0;
        loop {
            let context = format!("{fault:?} after {operations} operations");
            let broken = |site: &Site| site.disk.break_after(operations, fault);
            if !break_and_recover(&context, broken, |site| site.disk.repair(), again).await {
                break;
            }
            operations += 1;
            assert!(operations < STEPS_MAX, "it never ends");
        }
        assert!(operations > 10, "the faults came while it mattered: {operations}");
    }
}

#[tokio::test]
async fn a_replaced_administrator_survives_a_broker_that_goes_away_at_any_request() {
    for answers in 0..STEPS_MAX {
        let context = format!("the broker went away after {answers} answers");
        let came_to_it = std::cell::Cell::new(false);
        let mend = |site: &Site| {
            // Set while it is counting down, taken when it went away.
            came_to_it.set(site.broker.is_away());
            site.broker.come_back();
            came_to_it.get()
        };
        break_and_recover(&context, |site| site.broker.fail_after(answers), mend, again).await;
        if !came_to_it.get() {
            assert!(answers >= 3, "the faults came while it mattered: {answers}");
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_replaced_administrator_survives_a_lost_answer_to_any_request() {
    for before in 0..STEPS_MAX {
        let site = Site::rotated_once().await;
        let process = site.start();
        let old = login(&process);
        site.broker.lose_answer_after(before);
        let told = rotate(&process).await;
        if told.is_ok() && !site.broker.has_lost_an_answer() {
            assert!(before >= 3, "the faults came while it mattered: {before}");
            return;
        }
        assert!(site.lets_in(&login(&process)), "answer {before} was lost");
        // By the same process, without a restart, and by the loop where something is left.
        process.loops.run("reconcile").await.unwrap();
        site.check(&process, &old, &format!("answer {before} was lost")).await;
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_rotation_that_is_dropped_at_any_moment_is_finished_by_the_loop() {
    for polls in 0..STEPS_MAX {
        let site = Site::rotated_once().await;
        let process = site.start();
        let old = login(&process);
        let caller = Caller::local("tests", "r");
        let mut rotation = Box::pin(process.administrator.rotate(&caller));
        let mut ended = false;
        for _ in 0..polls {
            ended = step(&process, &mut rotation).await;
            if ended {
                break;
            }
        }
        drop(rotation);
        process.store.write(|_| Ok(())).await.unwrap();
        assert!(site.lets_in(&login(&process)), "dropped after {polls} polls");
        let begun = process.administrator.status().unwrap().incoming.is_some() || login(&process).user != old.user;
        process.loops.run("reconcile").await.unwrap();
        assert_eq!(login(&process).user != old.user, begun, "dropped after {polls} polls");
        if begun {
            site.check(&process, &old, &format!("dropped after {polls} polls")).await;
        }
        if ended {
            assert!(polls > 3, "the rotation was dropped while it mattered: {polls}");
            return;
        }
    }
    panic!("it never ends");
}

/// Lets a rotation go on for one step; true when that was the last one. The writer of the store is a thread of its own. It
/// stands still during the poll, so that this gets no further than to its next write, however fast the thread is; what it was
/// sent is done then.
async fn step<F: Future + Unpin>(process: &Appliance, rotation: &mut F) -> bool {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let mut standing = Box::pin(process.store.write(move |_| {
        let _ = gate.recv();
        Ok(())
    }));
    assert!(once(&mut standing).await.is_pending());
    let has_ended = once(rotation).await.is_ready();
    go.send(()).unwrap();
    standing.await.unwrap();
    process.store.write(|_| Ok(())).await.unwrap();
    has_ended
}

/// One poll of some work.
async fn once<F: Future + Unpin>(work: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *work).poll(cx))).await
}

/// A running appliance whose broker has a name in the settings.
async fn world() -> World {
    World::with(|settings| {
        settings.broker = Some(BrokerSettings {
            base_url: "http://127.0.0.1:9/api".parse().unwrap(),
            username: "administrator".into(),
            password: Secret::new("settings"),
            rotation_period: Some(Duration::from_secs(86_400)),
            ca_file: None,
            certificate: None,
        });
    })
    .await
}

#[tokio::test]
async fn an_operator_replaces_the_administrator_and_sees_who_it_is() {
    let world = World::start().await;
    let shown = world.operate("GET", "/broker", None).await;
    assert_eq!((&shown["acting"], &shown["from"]), (&json!("administrator"), &json!("settings")));
    assert_eq!(shown["administrator"], Value::Null);

    let first = world.operate("POST", "/broker/rotate", None).await;
    let second = world.operate("POST", "/broker/rotate", None).await;
    assert_ne!(first["administrator"], second["administrator"]);
    assert_eq!(second["retired"], json!(true));
    let shown = world.operate("GET", "/broker", None).await;
    assert_eq!((&shown["acting"], &shown["from"]), (&second["administrator"], &json!("store")));
    assert_eq!(world.audited("administrator.rotate").await.len(), 2);
    let renewed = world.audited("administrator.renew").await;
    assert_eq!(renewed[0]["secrets"].as_array().unwrap().len(), 1, "find-secret knows the password");

    let client = world.client("reader", &["keylender:broker:read"]).await;
    let ask = |method: &str, path: &str| crate::wire::Ask::new(method, &format!("/api/keylender/v1{path}"));
    assert_eq!(world.ask_as(&client, &ask("GET", "/broker")).await.status, 200);
    assert_eq!(world.ask_as(&client, &ask("POST", "/broker/rotate")).await.status, 403);
}

#[tokio::test]
async fn a_period_replaces_the_administrator_by_itself() {
    let world = world().await;
    world.operate("POST", "/loops/administrator/run", None).await;
    let shown = world.operate("GET", "/broker", None).await;
    assert_eq!(shown["from"], json!("store"));
    let plain = World::start().await;
    let list = plain.operate("GET", "/loops", None).await;
    assert!(!list.to_string().contains("\"administrator\""), "it is off by default");
}

#[tokio::test]
async fn a_broker_that_lost_its_users_is_won_back_by_the_login_of_the_settings() {
    let site = Site::rotated_once().await;
    let process = site.start();
    let before = login(&process);
    site.broker.wipe();
    assert!(process.health.broker().await.state.is_ok(), "the login of the settings stands in");
    assert!(process.administrator.status().unwrap().is_refused);
    let report = process.loops.run("reconcile").await.unwrap();
    assert!(report.contains("refused its administrator"), "{report}");
    site.check(&process, &before, "after the broker lost its users").await;
}

#[tokio::test]
async fn a_store_that_was_restored_does_not_bring_an_ended_password_back() {
    let site = Site::rotated_once().await;
    let backup = site.disk.copy();
    let process = site.start();
    let ended = login(&process);
    rotate(&process).await.unwrap();
    rotate(&process).await.unwrap();
    let newest = login(&process);
    drop(process);
    site.broker.unlock_settings_login();

    let restored = Site { disk: backup, ..site };
    let process = restored.start();
    assert_eq!(login(&process).password, ended.password);
    assert!(restored.broker.overview().await.is_ok(), "the login of the settings stands in");
    process.accounts.resync_all(|| Caller::local("tests", "r").note(Action::StoreRestore, "store")).await.unwrap();
    process.loops.run("reconcile").await.unwrap();
    restored.check(&process, &ended, "restored").await;
    assert!(!restored.lets_in(&newest), "what the restored store does not know is ended, too");
}

#[tokio::test]
async fn a_changed_vhost_reaches_the_administrator() {
    let mut site = Site::rotated_once().await;
    let vhost = VhostName::parse("other").unwrap();
    site.broker.add_vhost(&vhost);
    site.settings.namespaces.amqp.vhost = vhost.clone();
    let process = site.start();
    assert!(process.administrator.apply_settings().await.unwrap());
    process.loops.run("reconcile").await.unwrap();
    let permissions = site.broker.permissions().await.unwrap();
    let ours: Vec<_> = permissions.iter().filter(|row| row.user == login(&process).user.as_str()).collect();
    let everything = Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() };
    assert_eq!((ours.len(), ours[0].vhost.as_str(), &ours[0].access), (1, "other", &everything));
}
