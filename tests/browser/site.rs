//! An appliance in this process, with a broker in memory.

use std::sync::Arc;

use keylender::app::operate::Operator;
use keylender::app::settings::Settings;
use keylender::app::{self, Running};
use keylender::base::{Clock, Timestamp};
use keylender::ports::broker::MemoryBroker;
use serde_json::{Value, json};
use tempfile::TempDir;

/// When stories begin; pictures then show the same times whenever they are made.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_176_000_000);
/// A namespace that anybody in the stories may have.
pub const NAMESPACE: &str = "taskcluster-foo";

pub struct Site {
    pub broker: MemoryBroker,
    settings: Settings,
    running: Running,
    _dir: TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::for_tests(dir.path());
        let broker = MemoryBroker::default();
        broker.add_vhost(&settings.amqp.vhost);
        let running = app::start(&settings, Clock::manual(BEGIN), Some(Arc::new(broker.clone()))).await.unwrap();
        Self { broker, settings, running, _dir: dir }
    }

    /// The address of a page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    /// Calls a method of the own API as the operator of this host.
    pub async fn operate(&self, method: &str, path: &str, input: Option<Value>) -> Value {
        Operator::connect(&self.settings).unwrap().call(method, path, input).await.unwrap()
    }

    /// A new hand-over link.
    pub async fn link(&self) -> String {
        let made = self.operate("POST", &format!("/wraps/{NAMESPACE}"), Some(json!({}))).await;
        self.url(made["path"].as_str().unwrap())
    }
}
