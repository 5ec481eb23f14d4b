//! The log: one line for each event, as text for people or as JSON for machines, to where the settings say.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{MakeWriter, fmt as lines};
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::{LogOutput, LogSettings};
use crate::base::{Clock, Result};
use crate::ports::log::{LogFile, Sender, Severity, Syslog, Tail};

/// Crates that talk about every packet. They are heard from `warn` up, unless the filter names them.
const TALKATIVE: [&str; 10] =
    ["h2", "hickory_proto", "hickory_resolver", "hyper", "hyper_util", "lapin", "mio", "reqwest", "rustls", "tower"];

/// The log of this process.
pub struct Log {
    output: Output,
    sender: Option<Sender>,
}

/// Where lines go, and where the last ones are kept. Cheap to clone.
#[derive(Clone)]
struct Sink {
    output: Output,
    tail: Tail,
    clock: Clock,
}

#[derive(Clone)]
enum Output {
    Stdout,
    File(Arc<LogFile>),
    Syslog(Syslog),
}

/// Starts the log of this process. The first call decides; later ones change nothing, so tests may all call it.
pub fn init(log: &LogSettings) -> Result<Log> {
    let (output, sender) = output_of(log)?;
    let ansi = matches!(output, Output::Stdout) && io::stdout().is_terminal();
    // A second call fails because a log is there already, which is all that is wanted.
    let sink = Sink { output: output.clone(), tail: log.tail.clone(), clock: Clock::system() };
    _ = subscriber(log, Clock::system(), ansi, sink).try_init();
    Ok(Log { output, sender })
}

fn output_of(log: &LogSettings) -> Result<(Output, Option<Sender>)> {
    Ok(match &log.output {
        LogOutput::Stdout => (Output::Stdout, None),
        LogOutput::File(path) => (Output::File(LogFile::open(path)?.into()), None),
        LogOutput::Syslog(settings) => {
            let (syslog, sender) = Syslog::start(settings.clone(), Clock::system())?;
            (Output::Syslog(syslog), Some(sender))
        }
    })
}

impl Log {
    /// What SIGHUP asks for: a file that was moved away is left, and made anew.
    pub fn reopen(&self) {
        match &self.output {
            Output::File(file) => match file.reopen() {
                Ok(()) => tracing::info!("SIGHUP: opened the file of the log again"),
                Err(error) => tracing::error!("SIGHUP: the log goes on in the old file: {}", error.chain()),
            },
            Output::Stdout | Output::Syslog(_) => {
                tracing::info!("SIGHUP: the log is in no file that would be opened again")
            }
        }
    }

    /// Says how many lines were lost, once lines can be written again.
    pub fn tell_losses(&self) {
        let lost = match &self.output {
            Output::Stdout => 0,
            Output::File(file) => file.losses.take(),
            Output::Syslog(syslog) => syslog.losses().take(),
        };
        if lost > 0 {
            tracing::warn!(lost, "{lost} lines of the log were lost: it could not be written");
        }
    }

    /// Lets the last lines leave.
    pub async fn close(self) {
        if let Some(sender) = self.sender {
            sender.close().await;
        }
    }
}

/// Writes one event. It never fails: there is nobody to tell.
struct Line<'a> {
    sink: &'a Sink,
    level: Level,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { sink: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { sink: self, level: *metadata.level() }
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Sink { output, tail, clock } = self.sink;
        match output {
            // Standard output may be a pipe that nobody reads any more.
            Output::Stdout => {
                let _ = io::stdout().write_all(line);
            }
            Output::File(file) => file.write(line),
            Output::Syslog(syslog) => {
                syslog.write(severity(self.level), line);
                // Its header has what other lines begin with, unless they are JSON.
                if let Some(bare) = line.strip_prefix(b" ") {
                    let begin = format!("{} {:>5} ", clock.now(), self.level);
                    tail.add(&[begin.as_bytes(), bare].concat());
                    return Ok(line.len());
                }
            }
        }
        tail.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Informational,
        Level::DEBUG | Level::TRACE => Severity::Debug,
    }
}

fn subscriber<W>(log: &LogSettings, clock: Clock, ansi: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A line of syslog has time and level before the text already.
    let is_bare = matches!(log.output, LogOutput::Syslog(_)) && !log.json;
    let timer = Utc((!is_bare).then_some(clock));
    let builder = lines().with_env_filter(filter(&log.filter)).with_writer(writer).with_timer(timer);
    let builder = builder.with_level(!is_bare).log_internal_errors(false);
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

/// Milliseconds in UTC, as everywhere else, or nothing.
struct Utc(Option<Clock>);

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |clock| write!(writer, "{}", clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::base::Timestamp;
    use crate::ports::log::{Facility, SyslogSettings, Target};

    fn settings(filter: &str, json: bool) -> LogSettings {
        LogSettings { filter: filter.into(), json, output: LogOutput::Stdout, tail: Tail::default() }
    }

    /// What is logged by `speak` under these settings.
    fn logged(filter: &str, json: bool, speak: impl FnOnce()) -> String {
        logged_by(&settings(filter, json), speak)
    }

    fn logged_by(log: &LogSettings, speak: impl FnOnce()) -> String {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_054));
        let writer = Heap(Arc::clone(&sink));
        tracing::subscriber::with_default(subscriber(log, clock, false, move || writer.clone()), speak);
        String::from_utf8(sink.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone)]
    struct Heap(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Heap {
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
    fn the_text_for_syslog_leaves_time_and_level_to_its_header() {
        let target = Target::Local("/dev/log".into());
        let output = LogOutput::Syslog(SyslogSettings { target, facility: Facility::parse("daemon").unwrap() });
        let log = LogSettings { filter: "info".into(), json: false, output, tail: Tail::default() };
        let line = logged_by(&log, || tracing::warn!(target: "keylender", port = 80, "listening"));
        assert_eq!(line.trim(), "keylender: listening port=80");
    }

    #[tokio::test]
    async fn the_last_lines_are_kept_as_they_would_be_read_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let _server = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
        let syslog = SyslogSettings { target: Target::Local(socket), facility: Facility::parse("daemon").unwrap() };
        let file = LogOutput::File(dir.path().join("keylender.log"));
        for output in [file, LogOutput::Syslog(syslog)] {
            let log = LogSettings { output, ..settings("info", false) };
            let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_054));
            let sink = Sink { output: output_of(&log).unwrap().0, tail: log.tail.clone(), clock: clock.clone() };
            tracing::subscriber::with_default(subscriber(&log, clock, false, sink), || {
                tracing::info!(target: "keylender", port = 80, "listening");
            });
            assert_eq!(log.tail.lines(), ["2018-10-15T12:00:00.054Z  INFO keylender: listening port=80"]);
        }
    }

    #[test]
    fn levels_are_severities() {
        let severities = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(severity);
        assert_eq!(severities.map(|severity| severity as u8), [3, 4, 6, 7]);
    }

    #[test]
    fn the_log_may_be_started_twice() {
        let log = settings("off", false);
        init(&log).unwrap();
        init(&log).unwrap();
    }
}
