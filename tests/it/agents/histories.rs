//! Random histories of a fleet: hosts enrol by their names and by tokens, are revoked and forgotten, while the broker goes
//! away, loses its data and is edited by hand, and the appliance is started again. Whatever happens, what was handed out last
//! works, nobody works who was revoked, and everything converges when the trouble is over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{Clock, HostName, Kind, Reason, Result, Secret, Timestamp};
use keylender::domain::agents::{AgentLine, Enrolment, QueueFate, Standing, Wanted};
use keylender::domain::auth::Caller;
use keylender::domain::hosts::Asker;
use keylender::ports::broker::{Connections, MemoryBroker, Users};
use keylender::store::{KeySource, Store};

use super::{FLEET, account, heartbeat, vhost};
use crate::disk::Disk;
use crate::simulation::Dice;
use crate::world::BEGIN;

/// How many histories are told, and how many events each has.
const HISTORIES: u64 = 60;
const EVENTS: u32 = 40;
const HOSTS: [&str; 3] = ["web1.example.net", "web2.example.net", "web3.example.net"];

/// What a host was handed out.
#[derive(Default)]
struct Host {
    /// The last one, while nothing happened that may have replaced it.
    present: Option<Enrolment>,
    /// All before, none of which may work again.
    former: Vec<Secret>,
    /// Whether it was cut off, and whether that is known to be done.
    revoked: Option<bool>,
}

struct History {
    dice: Dice,
    disk: Disk,
    clock: Clock,
    broker: MemoryBroker,
    hosts_file: PathBuf,
    process: Option<Appliance>,
    hosts: BTreeMap<&'static str, Host>,
    /// Whether users were deleted behind our back since the last whole pass of `reconcile`.
    is_edited: bool,
    log: Vec<String>,
}

fn caller() -> Caller {
    Caller::local("stories", "r").because(Reason::parse("to see").unwrap())
}

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

impl History {
    async fn new(seed: u64, hosts_file: PathBuf) -> Self {
        let (clock, disk, broker) = (Clock::manual(BEGIN), Disk::default(), MemoryBroker::default());
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let hosts = HOSTS.map(|name| (name, Host::default())).into();
        let (process, is_edited, log) = (None, false, Vec::new());
        let mut history = Self { dice, disk, clock, broker, hosts_file, process, hosts, is_edited, log };
        history.start();
        let relay = &history.process().relay;
        relay.store_profile(FLEET.to_owned(), &caller()).await.unwrap();
        relay.apply(&caller()).await.unwrap();
        history
    }

    fn start(&mut self) {
        self.process = None;
        let store = Store::with_backend(self.disk.clone(), &KeySource::Given([7; 32]), self.clock.clone()).unwrap();
        let mut settings = Settings::for_tests(std::path::Path::new("unused"));
        settings.hosts.dns.hosts_file = Some(self.hosts_file.clone());
        let broker = Some(Arc::new(self.broker.clone()) as _);
        self.process = Some(Appliance::on(store, &settings, self.clock.clone(), broker).unwrap());
    }

    fn process(&self) -> &Appliance {
        self.process.as_ref().unwrap()
    }

    async fn event(&mut self) {
        let (event, number) = (self.dice.roll(16), usize::try_from(self.dice.roll(3)).unwrap());
        let name = HOSTS[number];
        self.log.push(format!("{event} {name}"));
        match event {
            0 => self.clock.advance(Duration::from_secs(self.dice.roll(600) * 60)),
            1..=4 => drop(self.enrol(name, number, false).await),
            5 => drop(self.enrol(name, number, true).await),
            6 | 7 => self.revoke(name).await,
            8 => self.broker.fail_after(u32::try_from(self.dice.roll(8)).unwrap()),
            9 => self.broker.come_back(),
            10 => self.start(),
            11 => {
                self.broker.wipe();
                self.is_edited = true;
            }
            12 => {
                // Somebody deletes the user by hand.
                if self.broker.delete_user(&account(&format!("agent-{name}"))).await.is_ok() {
                    self.is_edited = true;
                }
            }
            13 => self.reconcile().await,
            14 => self.keep().await,
            _ => self.beat(name).await,
        }
        self.check().await;
    }

    async fn enrol(&mut self, name: &'static str, number: usize, by_token: bool) -> Result<()> {
        let agents = self.process().agents.clone();
        let token = if by_token {
            Some(agents.make_token(host(name), Duration::from_secs(60), &caller()).await?.into_inner().token)
        } else {
            None
        };
        let address: IpAddr = format!("192.0.2.{}", 10 + number).parse().unwrap();
        let asker = Asker { address, is_sure: true, request_id: "r" };
        let enrolled = agents.enrol(asker, Wanted { os: "linux".to_owned(), token }).await;
        let known = self.hosts.get_mut(name).unwrap();
        match enrolled {
            Ok(enrolled) => {
                let enrolled = enrolled.into_inner();
                assert!(by_token || known.revoked.is_none(), "{name} was cut off, and enrols by its name");
                known.former.extend(known.present.take().map(|before| before.password));
                if known.revoked.take().is_some() {
                    let open = self.broker.connection_count(&enrolled.username).await;
                    assert!(
                        self.broker.is_away() || open.unwrap() == 0,
                        "{name} came back, and one of before is there"
                    );
                }
                // The agent connects, and stays for as long as it is let.
                let at = self.clock.now();
                self.broker.connect(enrolled.username.as_str(), &enrolled.password, &vhost(), at);
                known.present = Some(enrolled);
                Ok(())
            }
            Err(error) => {
                if error.kind() == Kind::Forbidden {
                    assert!(known.revoked.is_some() && !by_token, "{name} is refused: {error}");
                } else if error.kind() == Kind::Unavailable {
                    // It may have another password by now that nobody has; and a token may have let it in again.
                    known.former.extend(known.present.take().map(|before| before.password));
                    let agents = self.process().agents.clone();
                    let lines = agents.list().await?;
                    let is_revoked = |line: &&AgentLine| line.standing == Standing::Revoked;
                    if !lines.iter().filter(is_revoked).any(|line| line.host == Some(host(name))) {
                        self.hosts.get_mut(name).unwrap().revoked = None;
                    }
                }
                Err(error)
            }
        }
    }

    async fn revoke(&mut self, name: &'static str) {
        let fate = [QueueFate::Keep, QueueFate::Purge, QueueFate::Delete][usize::try_from(self.dice.roll(3)).unwrap()];
        let revoked = self.process().agents.revoke(&host(name), fate, &caller()).await;
        let known = self.hosts.get_mut(name).unwrap();
        match revoked {
            Err(error) if error.kind() == Kind::NotFound => {}
            revoked => {
                known.former.extend(known.present.take().map(|before| before.password));
                known.revoked = Some(revoked.is_ok());
            }
        }
    }

    async fn reconcile(&mut self) {
        if self.process().loops.run("reconcile").await.is_ok() {
            self.is_edited = false;
        }
    }

    async fn keep(&mut self) {
        if self.process().loops.run("agents").await.is_ok() {
            for known in self.hosts.values_mut() {
                known.revoked = known.revoked.map(|_| true);
            }
        }
    }

    async fn beat(&mut self, name: &'static str) {
        let Some(present) = &self.hosts[name].present else { return };
        let after = self.clock.now().since(BEGIN);
        let body = heartbeat(present.queueloc.as_str(), name, 7, after).to_string().into_bytes();
        let queueloc = present.queueloc.clone();
        self.process().agents.take(&[body]).await.unwrap();
        let line = self.process().agents.show(&queueloc).await.unwrap().line;
        assert_eq!((line.standing, line.host), (Standing::Online, Some(host(name))));
    }

    async fn check(&self) {
        for (name, known) in &self.hosts {
            let user = format!("agent-{name}");
            if known.revoked == Some(true) && !self.broker.is_away() {
                let open = self.broker.connection_count(&account(&user)).await;
                assert!(open.is_err() || open.unwrap() == 0, "{name} is connected still");
            }
            if let (Some(present), false) = (&known.present, self.is_edited) {
                assert!(self.broker.can_login(&user, &present.password), "{name} is locked out");
            }
            for former in &known.former {
                let is_over = known.present.is_some() || known.revoked == Some(true);
                assert!(!is_over || !self.broker.can_login(&user, former), "{name} works by what is over");
            }
        }
    }

    /// The trouble is over: what is wished is so everywhere, and whoever asks gets what works.
    async fn converge(&mut self) {
        self.broker.come_back();
        self.start();
        for _ in 0..3 {
            self.reconcile().await;
            self.keep().await;
        }
        assert!(!self.is_edited, "reconcile goes through");
        self.check().await;
        for (number, name) in HOSTS.into_iter().enumerate() {
            let was_revoked = self.hosts[name].revoked.is_some();
            let enrolled = self.enrol(name, number, false).await;
            assert_eq!(enrolled.is_err(), was_revoked, "{name}: {enrolled:?}");
            if was_revoked {
                let user = self.broker.user(&account(&format!("agent-{name}"))).await.unwrap();
                assert!(user.is_none(), "{name} has a user at the broker");
                self.enrol(name, number, true).await.unwrap();
            }
            self.beat(name).await;
        }
        self.check().await;
        let end: Timestamp = self.clock.now();
        assert!(end >= BEGIN && self.process().store.verify_audit().await.is_ok());
    }
}

#[tokio::test]
async fn whatever_happens_to_a_fleet_nobody_is_locked_out_and_nobody_works_who_was_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let hosts_file = dir.path().join("hosts");
    let lines = HOSTS.iter().enumerate().map(|(number, name)| format!("192.0.2.{} {name}\n", 10 + number));
    std::fs::write(&hosts_file, lines.collect::<String>()).unwrap();
    for seed in 0..HISTORIES {
        let mut history = History::new(seed, hosts_file.clone()).await;
        let told = async {
            for _ in 0..EVENTS {
                history.event().await;
            }
            history.converge().await;
        };
        let told = std::panic::AssertUnwindSafe(told);
        if let Err(panic) = futures_util::FutureExt::catch_unwind(told).await {
            eprintln!("history {seed}: {}", history.log.join(", "));
            std::panic::resume_unwind(panic);
        }
    }
}
