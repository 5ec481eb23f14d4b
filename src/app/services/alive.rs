//! A set at the appliance: opened, said to live, closed.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Voice;
use super::answer::{Opened, Served};
use crate::app::caller::Caller;
use crate::base::{Error, Kind, Result};
use crate::ports::keylender::CALL_TIMEOUT;

/// How long the appliance waits to hear of us before it ends the sessions. A host that restarts takes no longer.
pub(super) const HEARD_WITHIN: Duration = Duration::from_secs(60);
/// How often we say it, and hear whether somebody stopped the services: nobody waits longer for their end.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// For what the appliance has to say of it, well within that.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the end of a set. Workers kill what does not end soon, and then it ends by our silence.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a set.
pub(super) async fn open(caller: &Caller, input: Value) -> Result<Opened> {
    let opened = caller.call("POST", "/services", Some(input), CALL_TIMEOUT).await;
    let opened = opened.map_err(|error| error.reworded(|words| format!("the appliance opens no services: {words}")))?;
    serde_json::from_value(opened)
        .map_err(|e| Error::unavailable("the appliance answers with no services: is it too old?").because(e))
}

/// Says that we live, for ever. An error is the reason why the set must end.
pub(super) async fn keep(caller: &Caller, opened: &Opened, voice: &Voice) -> Error {
    let (set, mut is_away) = (&opened.set, false);
    loop {
        sleep(ALIVE_EVERY).await;
        match caller.call("POST", &format!("/services/{set}/alive"), None, ALIVE_TIMEOUT).await {
            Ok(_) => is_away = false,
            Err(error) if error.kind() == Kind::Conflict => {
                return error.reworded(|words| format!("the appliance ended the services: {words}"));
            }
            Err(error) if error.kind() == Kind::NotFound => {
                if opened.services.iter().any(Served::is_given_something) {
                    return Error::unavailable(
                        "the appliance does not know the services any more, as when it was started anew: they hold nothing of \
                         what their images were given",
                    );
                }
                voice.say("the appliance does not know the services any more: they go on without their sessions");
                return std::future::pending().await;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    voice.say(format!("{}; the appliance is asked again and again", error.chain()));
                }
            }
        }
    }
}

/// Ends a set. One that is over already is fine.
pub(super) async fn close(caller: &Caller, set: &str) -> Result<()> {
    match caller.call("DELETE", &format!("/services/{set}"), None, CLOSE_TIMEOUT).await {
        Err(error) if !matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Err(error),
        _ => Ok(()),
    }
}
