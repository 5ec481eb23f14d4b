//! An appliance, as a program asks it that goes on for long: over its control socket on this host, or at a URL with signed
//! requests.

use std::time::Duration;

use serde_json::Value;

use super::operate::{MOUNT, read, running};
use super::settings::Settings;
use crate::base::{Clock, Result};
use crate::domain::proxy::{Key, Signer};
use crate::ports::keylender::KeylenderClient;
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::upstream::Base;

/// Calls methods of an appliance's own API.
pub struct Caller {
    client: KeylenderClient,
    /// By what we are known. Over the control socket the file is enough.
    key: Option<Key>,
    clock: Clock,
}

impl Caller {
    /// The appliance of this host, while it runs.
    pub fn of_this_host(settings: &Settings) -> Result<Self> {
        Ok(Self { client: running(settings)?, key: None, clock: Clock::system() })
    }

    /// One at a URL without a path. Requests are signed: that works whatever knows its clients, and shows the token to nobody.
    pub fn signing(url: &Base, who: Delegation, clock: Clock) -> Result<Self> {
        let client = KeylenderClient::network(&url.to_string())?;
        Ok(Self { client, key: Some(Key::Hawk(Signer::new(who))), clock })
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        self.client.url(path)
    }

    /// Calls a method and returns its document, or its error as ours, in one line.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        input: Option<Value>,
        timeout: Duration,
    ) -> Result<Value> {
        let path = format!("{MOUNT}{path}");
        let signed = match &self.key {
            Some(key) => key.authorize(method, &self.client.url(&path), self.clock.now()).await?.header,
            None => None,
        };
        let authorization = signed.as_ref().map(|header| header.expose());
        let input = input.map(|input| input.to_string());
        let answer = self.client.call(method, &path, authorization, input, timeout).await?;
        read(&answer).map_err(|error| error.reworded(|message| on_one_line(&message)))
    }
}

/// What the API says in paragraphs, with lists of scopes, as a line of a log.
fn on_one_line(message: &str) -> String {
    message.split_whitespace().filter(|word| *word != "```").collect::<Vec<_>>().join(" ")
}
