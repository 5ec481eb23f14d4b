//! Every key of the files: which programs of which age read it, what it has to be, and when it is needed. The order is
//! that of the sample files.

use super::forms::Form;
use super::{Age, Program};

/// When workers and all that served them were removed.
pub(super) const WITHOUT_WORKERS: Age = Age::of(2017, 10);
/// From when on heartbeats go to the API, and not to the broker.
pub(super) const HEARTBEATS_BY_HTTP: Age = Age::of(2018, 12);

const INT_MAX: u64 = i32::MAX as u64;
/// What lib/pq understands.
const SSL_MODES: &[&str] = &["disable", "require", "verify-ca", "verify-full"];
const LOG_MODES: &[&str] = &["stdout", "file", "syslog"];
/// An unknown one makes all but emergencies disappear.
const LOG_LEVELS: &[&str] = &["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// What Go's syslog can dial with a host and a port.
const LOG_PROTOCOLS: &[&str] = &["udp", "tcp"];

/// A section of a file.
pub(super) struct Section {
    pub name: &'static str,
    pub keys: &'static [Key],
    /// False if settings have it, but the file does not.
    pub is_written: bool,
}

/// A key of a section.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub name: &'static str,
    pub form: Form,
    pub since: Age,
    /// The last age that reads it.
    pub until: Age,
    pub need: Need,
    /// The ages for which `need` holds; it is optional in others.
    pub needed: (Age, Age),
}

/// What happens when settings do not have a key.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// It is left out.
    Optional,
    /// That is a mistake.
    Needed,
    /// This is written: JSON, or else a text.
    Usual(&'static str),
    /// It is written from the login, and settings must not have it.
    Login(Part),
}

/// What is taken from a login.
#[derive(Clone, Copy)]
pub(super) enum Part {
    User,
    Password,
    Vhost,
    /// The URL of the broker, with all of it.
    Url,
}

impl Key {
    const fn since(self, year: u16, month: u8) -> Self {
        self.from(Age::of(year, month))
    }

    const fn from(self, since: Age) -> Self {
        Self { since, ..self }
    }

    const fn until(self, year: u16, month: u8) -> Self {
        Self { until: Age::of(year, month), ..self }
    }

    const fn needed(self) -> Self {
        Self { need: Need::Needed, ..self }
    }

    const fn usually(self, value: &'static str) -> Self {
        Self { need: Need::Usual(value), ..self }
    }

    const fn login(self, part: Part) -> Self {
        Self { need: Need::Login(part), ..self }
    }

    /// Ages for which the need holds.
    const fn at(self, first: Age, last: Age) -> Self {
        Self { needed: (first, last), ..self }
    }

    /// Why this age does not read it.
    pub fn absence(&self, age: Age) -> Option<String> {
        if age < self.since {
            return Some(format!("programs of {age} do not know it; it is there since {}", self.since));
        }
        (age > self.until).then(|| format!("programs of {age} do not know it; it was there until {}", self.until))
    }

    /// What happens at this age when settings do not have it.
    pub fn need(&self, age: Age) -> Need {
        if (self.needed.0..=self.needed.1).contains(&age) { self.need } else { Need::Optional }
    }
}

/// The sections that settings of a program may have, in the order of the file.
pub(super) const fn sections(program: Program) -> &'static [Section] {
    match program {
        Program::Scheduler => SCHEDULER,
        Program::Api => API,
        Program::Worker => WORKER,
        Program::Agent => AGENT,
    }
}

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, form, since: Age::FIRST, until: Age::LAST, need: Need::Optional, needed: (Age::FIRST, Age::LAST) }
}

const fn section(name: &'static str, keys: &'static [Key]) -> Section {
    Section { name, keys, is_written: true }
}

const SCHEDULER: &[Section] = &[
    section(
        "agent",
        &[
            key("timeout", Form::Duration).usually("20m"),
            key("heartbeatfreq", Form::Duration).usually("5m"),
            // Without one every agent is accepted, and no line says so.
            key("whitelist", Form::Path).usually("/var/cache/mig/agents_whitelist.txt"),
            key("detectmultiagents", Form::Flag),
            key("killdupagents", Form::Flag),
            key("logactions", Form::Flag).since(2017, 2),
        ],
    ),
    section("collector", &[key("freq", Form::Duration).usually("60s")]),
    section(
        "periodic",
        &[
            key("freq", Form::Duration).usually("87s"),
            key("deleteafter", Form::Duration).usually("72h"),
            key("queuescleanupfreq", Form::Duration).usually("24h"),
        ],
    ),
    section(
        "directories",
        &[key("spool", Form::Path).usually("/var/cache/mig/"), key("tmp", Form::Path).usually("/var/tmp/")],
    ),
    section("postgres", &postgres("migscheduler")),
    section("mq", MQ),
    section("logging", &logging(Form::Path, Age::FIRST)),
    section("debug", &[key("heartbeats", Form::Flag)]),
];

const API: &[Section] = &[
    section(
        "authentication",
        &[
            // Without it everybody is an administrator.
            key("enabled", Form::Flag).usually("true"),
            key("tokenduration", Form::Duration).usually("10m"),
        ],
    ),
    section("manifest", &[key("requiredsignatures", Form::Number(1, INT_MAX)).since(2016, 3).usually("2")]),
    section(
        "server",
        &[
            key("ip", Form::Host).usually("127.0.0.1"),
            key("port", Form::Number(1, 65_535)).usually("12345"),
            key("host", Form::BaseUrl).needed(),
            key("baseroute", Form::Route).usually("/api/v1"),
            key("clientpublicip", Form::ClientAddress).since(2016, 7),
        ],
    ),
    section("maxmind", &[key("path", Form::Path).since(2015, 4).until(2017, 9)]),
    section("postgres", &postgres("migapi")),
    section("logging", &logging(Form::Path, Age::FIRST)),
];

const WORKER: &[Section] = &[section("mq", MQ), section("logging", &logging(Form::Path, Age::of(2015, 8)))];

const AGENT: &[Section] = &[
    Section { name: "mq", keys: AGENT_MQ, is_written: false },
    section(
        "agent",
        &[
            key("relay", Form::Text).login(Part::Url),
            key("api", Form::Url).needed().at(HEARTBEATS_BY_HTTP, Age::LAST),
            // It is listened on in any case, and an empty one is a port that nobody knows.
            key("socket", Form::Endpoint).usually("127.0.0.1:51664"),
            key("heartbeatfreq", Form::Duration).usually("300s"),
            key("moduletimeout", Form::Duration).usually("300s"),
            key("isimmortal", Form::Flag),
            key("proxies", Form::Endpoints).since(2016, 7),
            key("installservice", Form::Flag),
            key("discoverpublicip", Form::Flag).usually("true").at(HEARTBEATS_BY_HTTP, Age::LAST),
            key("discoverawsmeta", Form::Flag).since(2015, 12),
            key("checkin", Form::Flag),
            key("refreshenv", Form::Duration).since(2016, 4),
            key("extraprivacymode", Form::Flag).since(2016, 8),
            key("nopersistmods", Form::Flag).since(2016, 10),
            key("persistconfigdir", Form::AgentPath).since(2016, 12).until(2017, 8),
            key("onlyVerifyPubKey", Form::Flag).since(2017, 2),
            key("tags", Form::Tags).since(2017, 7),
        ],
    ),
    section("stats", &[key("maxactions", Form::Number(0, 30)).since(2017, 3)]),
    section("certs", &[certificate("ca"), certificate("cert"), certificate("key")]),
    section("logging", &logging(Form::AgentPath, Age::FIRST)),
];

const MQ_HOST: Key = key("host", Form::RelayHost).needed();
const MQ_PORT: Key = key("port", Form::Number(1, 65_535)).needed();
const MQ_USETLS: Key = key("usetls", Form::Flag);
const MQ_USER: Key = key("user", Form::Text).login(Part::User);
const MQ_PASS: Key = key("pass", Form::Text).login(Part::Password);
const MQ_VHOST: Key = key("vhost", Form::Text).login(Part::Vhost);
const AGENT_MQ: &[Key] = &[MQ_HOST, MQ_PORT, MQ_USER, MQ_PASS, MQ_VHOST, MQ_USETLS];
const MQ: &[Key] = &[
    MQ_HOST,
    MQ_PORT,
    MQ_USER,
    MQ_PASS,
    MQ_VHOST,
    MQ_USETLS,
    key("cacert", Form::Path),
    key("tlscert", Form::Path),
    key("tlskey", Form::Path),
    key("timeout", Form::Duration),
];

const fn postgres(user: &'static str) -> [Key; 7] {
    [
        key("host", Form::Host).needed(),
        key("port", Form::Number(1, 65_535)).usually("5432"),
        key("dbname", Form::UrlPart).usually("mig"),
        key("user", Form::UrlPart).usually(user),
        key("password", Form::UrlPart),
        key("sslmode", Form::Word(SSL_MODES)).usually("verify-full"),
        key("maxconn", Form::Number(1, INT_MAX)),
    ]
}

const fn logging(file: Form, since: Age) -> [Key; 7] {
    [
        key("mode", Form::Word(LOG_MODES)).from(since).usually("stdout"),
        key("level", Form::Word(LOG_LEVELS)).from(since).usually("info"),
        key("file", file).from(since),
        key("maxfilesize", Form::Number(0, i64::MAX as u64)).since(2016, 4),
        key("host", Form::Host).from(since),
        key("port", Form::Number(1, 65_535)).from(since),
        key("protocol", Form::Word(LOG_PROTOCOLS)).from(since),
    ]
}

/// Agents up to October 2016 read all three files, also without TLS, and else go on with half of the settings.
const fn certificate(name: &'static str) -> Key {
    key(name, Form::AgentPath).needed().at(Age::FIRST, Age::of(2016, 10))
}
