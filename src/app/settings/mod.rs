//! Settings: one list, three spellings, four sources; read once, checked once, reported all at once.
//!
//! Strongest first: flag, environment, settings file, default. Every name is in [`TABLE`]. An empty value stands for
//! the default, also over a weaker source, except where an empty text means something (the prefixes, `USER_TAGS`).
//!
//! In the settings file an unknown key is an error that names the nearest known one. A key that the product promises
//! but that this version does not use yet draws a warning, so that one file can serve two versions. `OPTIONS` holds flags, as
//! in the files of the ancestors.

mod backup;
mod file;
mod hosts;
mod listen;
mod log;
mod monitor;
mod nearest;
mod oidc;
mod options;
mod outbox;
mod parse;
mod problems;
mod setting;
mod table;
mod template;
mod typed;
mod values;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use backup::BackupSettings;
pub use hosts::HostSettings;
pub use listen::{Limits, ListenSettings, TlsSettings, TrustProxy};
pub use log::{LogOutput, LogSettings};
pub use monitor::MonitorSettings;
pub use oidc::OidcSettings;
pub use outbox::{Credentials, NoticeSettings, SmtpSecurity, SmtpSettings, WebhookSettings};
pub use problems::{Place, Problem, Problems};
pub use setting::{Fallback, Flag, Setting};
pub use table::{TABLE, flags};
pub use template::template;
pub use typed::{
    AmqpProtocol, AmqpSettings, BrokerSettings, ClientCertificate, KeySource, Mode, NamespaceSettings, Patience,
    Settings,
};

use problems::Report;

/// The settings file that is read when none is named and it exists.
pub const USUAL_FILE: &str = "/etc/keylender.conf";

/// What stands for a secret wherever settings are shown.
pub const MASK: &str = "•••";

/// Where settings come from. The default is nowhere: only the defaults of the table count.
#[derive(Clone, Default)]
pub struct Sources {
    /// Setting name and value of each flag, as [`flags`] names them.
    pub flags: Vec<(String, String)>,
    /// Environment variables; all but the names of the table are ignored.
    pub environment: Vec<(String, String)>,
    /// The settings file.
    pub config_file: Option<PathBuf>,
}

impl Sources {
    /// The sources of this process: its flags, its environment, and the file named or else the usual one.
    pub fn of_this_process(flags: Vec<(String, String)>, config_file: Option<PathBuf>) -> Self {
        // A file that cannot be looked at is named all the same: reading it reports why.
        let usual = || Path::new(USUAL_FILE).try_exists().unwrap_or(true).then(|| PathBuf::from(USUAL_FILE));
        Self { flags, environment: environment(), config_file: config_file.or_else(usual) }
    }
}

/// The environment of this process; the one place that reads it. Text that is not UTF-8 keeps U+FFFD in its place,
/// which [`load`] refuses where it matters.
pub fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Settings that passed every check, and what `keylender config` shows of them.
#[derive(Debug)]
pub struct Loaded {
    /// The values, parsed.
    pub settings: Settings,
    /// The value in force of every setting, in the order of the table.
    pub effective: Vec<Effective>,
    /// What works but should be changed; for the log.
    pub warnings: Vec<String>,
}

/// The value in force of one setting, for people. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The name.
    pub name: &'static str,
    /// The value as it was written, [`MASK`] for a secret, nothing where there is none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: String,
    /// One line of help.
    pub help: &'static str,
}

/// Reads all sources and checks every value. Fails with all problems of all sources.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let values = values::gather(sources, &mut report);
    let mut settings = typed::build(&values, &mut report);
    let effective: Vec<_> = TABLE.iter().map(|setting| values.effective(setting)).collect();
    settings.effective.clone_from(&effective);
    report.finish().map(|warnings| Loaded { settings, effective, warnings })
}
