//! A run: everything from the images to the end of the task, and the end of all of it, whatever came between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::alive::{self, HEARD_WITHIN};
use super::answer::{Opened, Served};
use super::begin::{Maker, described, image};
use super::left::{self, LOCK, LOCKS, remove_set};
use super::locks::{Directory, Lock};
use super::task::{BY_SIGNAL, Here, follow, write_hosts};
use super::watch::Service;
use super::{Task, Voice, Wanted};
use crate::app::caller::Caller;
use crate::base::{Error, Result};
use crate::ports::engine::{Engine, Image, SUBNET_TAKEN};

/// How often the appliance chooses other addresses, when those that it chose are taken.
const TRIES: u32 = 5;
/// For an answer of the appliance that is under way when we end.
const OPENING_PATIENCE: Duration = Duration::from_secs(3);
/// For what the engine is making when we end.
const MAKING_PATIENCE: Duration = Duration::from_secs(20);
/// For what services said last.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The exit code of a run whose time was up, as of timeout(1).
const TIME_IS_UP: i32 = 124;

/// A run of services beside a task.
pub struct Run {
    engine: Engine,
    caller: Arc<Caller>,
    wanted: Wanted,
    voice: Voice,
    directory: Directory,
    lock: Lock,
    /// An opening under way. The appliance goes on with it, whatever becomes of us.
    opening: Option<JoinHandle<Result<Opened>>>,
    /// The set that is to be closed in the end.
    set: Option<String>,
    /// What makes networks and containers. It is never broken off: the engine would go on with it.
    making: JoinSet<Result<()>>,
    over: CancellationToken,
    /// What services say, and whether one dies.
    following: JoinSet<()>,
    watching: JoinSet<()>,
    here: Option<Here>,
}

impl Run {
    /// One that has its lock and began nothing yet.
    pub fn new(engine: Engine, caller: Caller, wanted: Wanted, voice: Voice, directory: Directory) -> Result<Self> {
        Ok(Self {
            lock: directory.take()?,
            caller: Arc::new(caller),
            opening: None,
            set: None,
            making: JoinSet::new(),
            over: CancellationToken::new(),
            following: JoinSet::new(),
            watching: JoinSet::new(),
            here: None,
            engine,
            wanted,
            voice,
            directory,
        })
    }

    /// Runs until the task ends, or a signal comes, whose number `stop` is, or the time is up. Tells the exit code.
    /// Nothing is left then, or it is said what is.
    pub async fn run(mut self, stop: impl Future<Output = i32>) -> Result<i32> {
        let lasts = self.wanted.lasts;
        let voice = self.voice.clone();
        let outcome = tokio::select! {
            biased;
            signal = stop => {
                voice.say("a signal came: the services end");
                Ok(BY_SIGNAL + signal)
            }
            () = sleep(lasts) => {
                voice.say("the time is up (--lasts): the services end");
                Ok(TIME_IS_UP)
            }
            outcome = self.work() => outcome,
        };
        self.end().await;
        outcome
    }

    async fn work(&mut self) -> Result<i32> {
        let version = self.engine.version();
        self.voice.say(format!("{} {} at {}", version.name, version.version, self.engine.socket().display()));
        if let Err(error) = left::clean(&self.engine, &self.directory, false, &self.voice).await {
            self.voice.say(format!("the run goes on beside it: {}", error.message()));
        }
        let images = self.images().await?;
        let task_image = match &self.wanted.task {
            Task::Image { image: name, .. } => {
                let name = name.in_full();
                Some(image(&self.engine, &name, self.wanted.pull, &self.voice).await?)
            }
            _ => None,
        };
        let opened = self.begin(&images).await?;
        let (caller, voice) = (self.caller.clone(), self.voice.clone());
        tokio::select! {
            biased;
            reason = alive::keep(&caller, &opened, &voice) => Err(reason),
            outcome = self.beside(&opened, &images, task_image) => outcome,
        }
    }

    async fn images(&self) -> Result<BTreeMap<String, Image>> {
        let services = &self.wanted.payload.services;
        let images = try_join_all(services.iter().map(|service| async {
            let name = service.image.in_full();
            let image = image(&self.engine, &name, self.wanted.pull, &self.voice).await?;
            Ok::<_, Error>((service.name.to_string(), image))
        }));
        Ok(images.await?.into_iter().collect())
    }

    /// Opens a set and starts its services. Addresses that turn out to be taken are changed for others.
    async fn begin(&mut self, images: &BTreeMap<String, Image>) -> Result<Opened> {
        let mut taken: Vec<String> = Vec::new();
        let mut tries = 0;
        loop {
            let networks = self.engine.networks().await?;
            let subnets = networks.iter().flat_map(|network| &network.subnets).map(ToString::to_string);
            let all: Vec<String> = subnets.chain(taken.iter().cloned()).collect();
            let opened = self.open(images, &all).await?;
            self.tell(&opened);
            let (caller, voice) = (self.caller.clone(), self.voice.clone());
            // The appliance hears of us from the beginning: an engine may take long.
            let started = tokio::select! {
                biased;
                reason = alive::keep(&caller, &opened, &voice) => return Err(reason),
                started = self.start(&opened) => started,
            };
            match started {
                Err(error) if error.code() == Some(SUBNET_TAKEN) && tries < TRIES => {
                    self.voice.say(format!("{}: others are taken", error.message()));
                    tries += 1;
                    let made = opened.services.iter().map(|served| &served.network).chain([&opened.task.network]);
                    taken.extend(made.flat_map(|network| network.subnets()));
                    self.end_set().await;
                }
                outcome => return outcome.map(|()| opened),
            }
        }
    }

    async fn open(&mut self, images: &BTreeMap<String, Image>, taken: &[String]) -> Result<Opened> {
        let images: Map<String, Value> = images.iter().map(|(name, image)| (name.clone(), described(image))).collect();
        let mut input = json!({
            "payload": self.wanted.payload,
            "images": images,
            "taken": taken,
            "labels": { LOCK: self.lock.label(), LOCKS: self.directory.identity },
            "taskOnHost": !matches!(self.wanted.task, Task::Image { .. }),
            "heardWithinSeconds": HEARD_WITHIN.as_secs(),
            "lastsSeconds": self.wanted.lasts.as_secs(),
        });
        for (name, value) in &self.wanted.asked {
            input[*name] = value.clone();
        }
        let caller = self.caller.clone();
        // Aside, so that what it gives can be closed when a signal breaks this off.
        let opening = self.opening.insert(tokio::spawn(async move { alive::open(&caller, input).await }));
        let opened = opening.await;
        self.opening = None;
        let opened = opened.map_err(|e| Error::internal("opening the services", e))??;
        self.set = Some(opened.set.clone());
        Ok(opened)
    }

    fn tell(&self, opened: &Opened) {
        self.voice.say(
            opened
                .ends
                .map_or_else(|| format!("set {}", opened.set), |ends| format!("set {} until {ends}", opened.set)),
        );
        for served in &opened.services {
            let decision = if served.decision.is_empty() { "no decision was told" } else { &served.decision };
            self.voice.say(format!("service {}: {decision}; {}", served.name, served.holds()));
            if served.is_given_something() && !served.withheld.is_empty() {
                self.voice.say(format!("service {}: not reached: {}", served.name, served.withheld.join("; ")));
            }
            if !served.not_held.is_empty() {
                let scopes = served.not_held.join(" ");
                self.voice.say(format!("service {}: not held, and left out: {scopes}", served.name));
            }
        }
    }

    /// Makes and starts all services at once.
    async fn start(&mut self, opened: &Opened) -> Result<()> {
        let maker = Maker { engine: self.engine.clone(), over: self.over.clone() };
        for served in &opened.services {
            self.making.spawn(maker.clone().service(served.clone()));
        }
        if matches!(self.wanted.task, Task::Image { .. }) {
            self.making.spawn(maker.task_network(opened.task.network.clone()));
        }
        self.made().await
    }

    /// Waits until all is made, or the first fails. The others are waited for in the end.
    async fn made(&mut self) -> Result<()> {
        while let Some(made) = self.making.join_next().await {
            made.map_err(|e| Error::internal("making a container", e))??;
        }
        Ok(())
    }

    /// The services until the task ended.
    async fn beside(
        &mut self,
        opened: &Opened,
        images: &BTreeMap<String, Image>,
        task_image: Option<Image>,
    ) -> Result<i32> {
        let unknown = |name: &str| Error::unavailable(format!("the appliance answers with a service `{name}`"));
        let mut services = Vec::new();
        for served in &opened.services {
            let image = images.get(&served.name).ok_or_else(|| unknown(&served.name))?;
            let service = Service::new(&self.engine, served, image, &self.voice);
            self.following.spawn(service.clone().follow(self.wanted.log_len_max));
            services.push(service);
        }
        let within = self.wanted.ready_within;
        try_join_all(services.iter().map(|service| service.ready_within(within))).await?;
        for service in services {
            self.watching.spawn(service.tell_of_its_end());
        }
        self.task(opened, task_image).await
    }

    async fn task(&mut self, opened: &Opened, image: Option<Image>) -> Result<i32> {
        let place = &opened.task;
        match &self.wanted.task {
            Task::Nothing => {
                self.voice.say("the services are ready");
                std::future::pending().await
            }
            Task::Here { command, alias, without } => {
                if opened.services.iter().any(Served::is_given_something) {
                    self.voice.say(
                        "the task is a process of this host, and can reach all that its user can, the engine too: what the \
                         services hold is safe from it only by --task-image",
                    );
                }
                let hosts = self.lock.hosts();
                let has_hosts = write_hosts(&hosts, &place.hosts)?;
                if !has_hosts {
                    let words = "their names resolve for --task-image only; <NAME>_SERVICE_HOST has their addresses";
                    self.voice.say(words);
                }
                self.voice.say("the services are ready: the task begins");
                (self.wanted.before_task)();
                let hosts = has_hosts.then_some(hosts.as_path());
                self.here.insert(Here::start(alias, command, without, &place.environment, hosts)?).ended().await
            }
            Task::Image { command, .. } => {
                let image = image.ok_or_else(|| Error::not_found("there is no image of the task"))?;
                self.voice.say("the services are ready: the task begins");
                let maker = Maker { engine: self.engine.clone(), over: self.over.clone() };
                self.making.spawn(maker.task(place.clone(), image, command.clone()));
                let failed = |error: Error| error.reworded(|words| format!("the task: {words}"));
                self.made().await.map_err(failed)?;
                follow(&self.engine, place).await.map_err(failed)
            }
        }
    }

    /// Ends everything at once: what is made ends while it is made.
    async fn end(mut self) {
        if let Some(here) = &mut self.here {
            here.kill();
        }
        if let Some(opening) = self.opening.take() {
            match timeout(OPENING_PATIENCE, opening).await {
                Ok(Ok(Ok(opened))) => self.set = Some(opened.set),
                Ok(_) => {}
                Err(_) => self.voice.say("services that are being opened end when this runner is not heard of"),
            }
        }
        if self.end_set().await {
            self.lock.release();
        }
    }

    /// Ends the present set. False when something of it is left.
    async fn end_set(&mut self) -> bool {
        self.over.cancel();
        self.watching.abort_all();
        let Some(set) = self.set.take() else { return true };
        let removed = self.remove(&set).await;
        if let Err(error) = &removed {
            let words = "is left, and the next run or `keylender services clean` removes it";
            self.voice.say(format!("something of the set {set} {words}: {}", error.chain()));
        }
        // Containers that are gone say nothing more.
        let _ = timeout(LAST_WORDS, async { while self.following.join_next().await.is_some() {} }).await;
        self.following.abort_all();
        if let Err(error) = alive::close(&self.caller, &set).await {
            let words = "could not be closed, and ends when this runner is not heard of";
            self.voice.say(format!("the set {set} {words}: {}", error.chain()));
        }
        self.over = CancellationToken::new();
        removed.is_ok()
    }

    async fn remove(&mut self, set: &str) -> Result<()> {
        // What runs is killed before it is waited for what is just being made.
        let removed = remove_set(&self.engine, set).await;
        if self.making.is_empty() {
            return removed;
        }
        let made = timeout(MAKING_PATIENCE, async { while self.making.join_next().await.is_some() {} }).await;
        let slow = |_| Error::unavailable("the container engine is still making something");
        remove_set(&self.engine, set).await.and(made.map_err(slow))
    }
}
