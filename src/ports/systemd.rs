//! The service manager that started us, if it is systemd: it hears when we serve, re-read our files, stop, and that we are
//! alive (sd_notify(3)). Without one nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// We serve: units that wait for us may start.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// We read our files again. [`ready`] says that it is done.
pub fn reloading() {
    // Types `notify-reload` of systemd 253 wants to know the moment, too.
    match NotifyState::monotonic_usec_now() {
        Ok(moment) => tell(&[NotifyState::Reloading, moment]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// We were asked to stop, and let end what is in hand.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// We still work. To be said at least once in [`alive_period`].
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often it wants to hear that we are alive: half of the time after which it would start us anew (`WatchdogSec`).
pub fn alive_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|after| after / 2)
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager could not be told: {error}");
    }
}
