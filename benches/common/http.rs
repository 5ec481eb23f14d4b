//! An appliance in this process with more routes than usual, and requests to it that were signed beforehand.

#[path = "load.rs"]
mod load;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use keylender::app::settings::Settings;
use keylender::app::{Appliance, Running};
use keylender::base::{Clock, Scope, Secret};
use keylender::domain::auth::{Auth, Caller, NewClient};
use keylender::ports::broker::Broker;
use keylender::web::router_with;
use keylender::web::state::App;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// An appliance on a real file, with a client that may claim everything.
pub struct Bench {
    pub runtime: Runtime,
    running: Option<Running>,
    token: Secret,
    signed: usize,
    _dir: TempDir,
}

impl Bench {
    /// Starts it as `keylender serve` does, with these routes added.
    pub fn start(broker: Arc<dyn Broker>, more: Router<App>) -> Self {
        Self::start_with(broker, more, |_| {})
    }

    /// The same with other settings.
    pub fn start_with(broker: Arc<dyn Broker>, more: Router<App>, change: impl FnOnce(&mut Settings)) -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let mut settings = Settings::for_tests(dir.path());
        change(&mut settings);
        let (running, token) = runtime.block_on(async {
            let mut appliance = Appliance::build(&settings, Clock::system(), Some(broker)).unwrap();
            appliance.router = router_with(appliance.app.clone(), more);
            let new = NewClient {
                scopes: vec![Scope::parse("pulse:namespace:*").unwrap()],
                expires: Auth::never(Clock::system().now()),
                description: String::new(),
                certificate_name: None,
            };
            let operator = Caller::local("bench", "bench");
            let token = appliance.app.auth.create_client(&operator, load::CLIENT.parse().unwrap(), new).await.unwrap();
            (keylender::app::run(appliance, &settings).await.unwrap(), token.into_inner())
        });
        Self { runtime, running: Some(running), token, signed: 0, _dir: dir }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    /// A signed claim of the namespace that the path ends in. No two are equal.
    pub fn claim(&mut self, path: &str) -> Vec<u8> {
        self.signed += 1;
        load::claim(&self.token, self.address(), self.signed, path)
    }

    /// Sends every request once over that many connections and returns the requests per second.
    pub fn rate(&self, connections: usize, requests: Vec<Vec<u8>>) -> f64 {
        self.load(connections, requests).0
    }

    /// The same with the time in milliseconds in which 99 of 100 requests were answered.
    pub fn load(&self, connections: usize, requests: Vec<Vec<u8>>) -> (f64, f64) {
        load::load(self.address(), connections, requests)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}
