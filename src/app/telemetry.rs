//! The log: one line for each event on standard output, as text for people or as JSON for machines.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{MakeWriter, fmt as lines};
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::LogSettings;
use crate::base::Clock;

/// Crates that talk about every packet. They are heard from `warn` up, unless the filter names them.
const TALKATIVE: [&str; 10] =
    ["h2", "hickory_proto", "hickory_resolver", "hyper", "hyper_util", "lapin", "mio", "reqwest", "rustls", "tower"];

/// Starts the log of this process. The first call decides; later ones change nothing, so tests may all call it.
pub fn init(log: &LogSettings) {
    let ansi = io::stdout().is_terminal();
    // A second call fails because a log is there already, which is all that is wanted.
    _ = subscriber(log, Clock::system(), ansi, io::stdout).try_init();
}

fn subscriber<W>(log: &LogSettings, clock: Clock, ansi: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = lines().with_env_filter(filter(&log.filter)).with_writer(writer).with_timer(Utc(clock));
    // Left alone, `NO_COLOR` decides.
    let builder = if ansi { builder } else { builder.with_ansi(false) };
    if log.json { Box::new(builder.json().flatten_event(true).finish()) } else { Box::new(builder.finish()) }
}

/// The filter of the settings, with the talkative crates held back.
fn filter(wanted: &str) -> EnvFilter {
    if matches!(wanted, "off" | "error") {
        return EnvFilter::new(wanted);
    }
    let held_back: String = TALKATIVE.iter().map(|name| format!("{name}=warn,")).collect();
    EnvFilter::new(held_back + wanted)
}

/// Milliseconds in UTC, as everywhere else.
struct Utc(Clock);

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::Timestamp;

    /// What is logged by `speak` under these settings.
    fn logged(filter: &str, json: bool, speak: impl FnOnce()) -> String {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let log = LogSettings { filter: filter.into(), json };
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_054));
        let writer = Sink(Arc::clone(&sink));
        tracing::subscriber::with_default(subscriber(&log, clock, false, move || writer.clone()), speak);
        String::from_utf8(sink.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_begins_with_the_time_in_utc_and_milliseconds() {
        let line = logged("info", false, || tracing::info!(target: "keylender", port = 80, "listening"));
        assert_eq!(line, "2018-10-15T12:00:00.054Z  INFO keylender: listening port=80\n");
    }

    #[test]
    fn a_json_line_holds_the_fields_of_the_event() {
        let line = logged("info", true, || tracing::info!(target: "keylender", port = 80, "listening"));
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["timestamp"], "2018-10-15T12:00:00.054Z");
        assert_eq!((&event["message"], &event["port"]), (&"listening".into(), &80.into()));
    }

    #[test]
    fn talkative_crates_are_held_back_unless_they_are_named() {
        let speak = || {
            tracing::debug!(target: "hyper::proto", "bytes");
            tracing::warn!(target: "hyper::proto", "broken");
        };
        assert!(!logged("debug", false, speak).contains("bytes"));
        assert!(logged("debug", false, speak).contains("broken"));
        assert!(logged("info,hyper=debug", false, speak).contains("bytes"));
        assert_eq!(logged("error", false, speak), "");
    }

    #[test]
    fn the_log_may_be_started_twice() {
        let log = LogSettings { filter: "off".into(), json: false };
        init(&log);
        init(&log);
    }
}
