//! What stands in parts that are no program's settings.

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::part::{FILE, Part, PartKind};
use super::{Investigator, Profile};
use crate::base::text::nearest;
use crate::proto::mig::acl::Acl;
use crate::proto::mig::broker_tls::{self, BrokerTls};
use crate::proto::mig::database;
use crate::proto::mig::gcfg::{Age, Mistake};
use crate::proto::mig::hosts;

/// Open files that a broker of some thousand agents needs, as the guide says.
const OPEN_FILES: u32 = 102_400;
/// Where the guide has the spool.
const SPOOL: &str = "/var/cache/mig";
/// What the guide calls the database.
const DATABASE: &str = "mig";
/// The first programs with tables for manifests and loaders, and the first whose API takes heartbeats.
const DATABASES: [(&str, database::Age); 2] = [("2018-12", database::Age::Of2019), ("2016-04", database::Age::Of2017)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SpoolSettings {
    #[serde(default = "spool")]
    directory: String,
    temporary: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DatabaseSettings {
    #[serde(default = "mig")]
    database: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AccessSettings {
    #[serde(default = "mig")]
    database: String,
    #[serde(default)]
    schedulers: Vec<IpNet>,
    #[serde(default)]
    apis: Vec<IpNet>,
    #[serde(default = "yes")]
    tls: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TlsSettings {
    #[serde(default = "tls_port")]
    port: u16,
    cacertfile: String,
    certfile: String,
    keyfile: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OpenFilesSettings {
    #[serde(default = "open_files")]
    limit: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RedirectSettings {
    interface: Option<String>,
    #[serde(default = "tls_port")]
    port: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

fn spool() -> String {
    SPOOL.to_owned()
}

fn mig() -> String {
    DATABASE.to_owned()
}

fn yes() -> bool {
    true
}

fn tls_port() -> u16 {
    broker_tls::PORT
}

fn open_files() -> u32 {
    OPEN_FILES
}

/// The text of a part that is one file, and no program's settings. `None` for the others.
pub(super) fn text(kind: PartKind, age: Age, settings: &Map<String, Value>) -> Option<Result<String, Mistake>> {
    Some(match kind {
        PartKind::Scheduler | PartKind::Api | PartKind::Worker | PartKind::Agent => return None,
        PartKind::Acl | PartKind::AgentKeys | PartKind::Whitelist => match read::<NoSettings>(settings) {
            Ok(NoSettings {}) => return None,
            Err(mistake) => Err(mistake),
        },
        PartKind::Spool => {
            of(settings, |SpoolSettings { directory, temporary, user }| hosts::spool(&directory, &temporary, &user))
        }
        PartKind::DatabaseRoles => of(settings, |DatabaseSettings { database }| database::roles(&database)),
        PartKind::DatabaseRights => of(settings, |NoSettings {}| Ok(database::rights(database_age(age)))),
        PartKind::DatabaseAccess => of(settings, |AccessSettings { database, schedulers, apis, tls }| {
            database::admissions(&database, &schedulers, &apis, tls)
        }),
        PartKind::BrokerTls => of(settings, |settings: TlsSettings| settings.broker().conf()),
        PartKind::BrokerTlsClassic => of(settings, |settings: TlsSettings| settings.broker().terms()),
        PartKind::OpenFiles => of(settings, |OpenFilesSettings { limit }| Ok(hosts::open_files(limit)?.session)),
        PartKind::OpenFilesService => of(settings, |OpenFilesSettings { limit }| Ok(hosts::open_files(limit)?.service)),
        PartKind::RedirectIptables => of(settings, |RedirectSettings { interface, port }| {
            Ok(hosts::redirect(interface.as_deref(), port)?.iptables)
        }),
        PartKind::RedirectNftables => of(settings, |RedirectSettings { interface, port }| {
            Ok(hosts::redirect(interface.as_deref(), port)?.nftables)
        }),
    })
}

impl TlsSettings {
    fn broker(self) -> BrokerTls {
        let Self { port, cacertfile, certfile, keyfile } = self;
        BrokerTls { port, authorities: cacertfile, certificate: certfile, key: keyfile }
    }
}

fn database_age(age: Age) -> database::Age {
    let since = |month: &str| Age::parse(month).is_ok_and(|since| since <= age);
    DATABASES.iter().find(|(month, _)| since(month)).map_or(database::Age::Of2015, |(_, age)| *age)
}

fn of<T: DeserializeOwned>(
    settings: &Map<String, Value>,
    write: impl FnOnce(T) -> Result<String, String>,
) -> Result<String, Mistake> {
    write(read(settings)?).map_err(|message| Mistake { key: String::new(), message })
}

fn read<T: DeserializeOwned>(settings: &Map<String, Value>) -> Result<T, Mistake> {
    T::deserialize(Value::Object(settings.clone()))
        .map_err(|error| Mistake { key: String::new(), message: in_our_words(&error.to_string()) })
}

/// A mistake as the rest of a profile's are told: an unknown key names its nearest neighbour.
fn in_our_words(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next().filter(|_| message.starts_with("unknown field")) {
        Some(word) => format!("unknown key `{word}`; the nearest known one is `{}`", nearest(word, quoted)),
        None => message.to_owned(),
    }
}

impl Part {
    /// Whether a setting of it is read from a file when it is written.
    pub fn reads_files(&self) -> bool {
        let values = self.settings.values().filter_map(Value::as_object).flat_map(Map::values);
        values.into_iter().any(|value| value.get(FILE).is_some())
    }

    /// The files of a part that needs no login and is no program's settings, each with its path; `None` for others.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn files(
        &self,
        profile: &Profile,
        settings: &Map<String, Value>,
    ) -> Option<Result<Vec<(String, String)>, Mistake>> {
        let key = |Investigator { key, .. }: &Investigator| {
            (format!("{}/{}.asc", self.path, key.fingerprint), key.armored.clone())
        };
        match (self.kind, text(self.kind, self.age, settings)) {
            (PartKind::AgentKeys, None) => Some(Ok(profile.investigators().iter().map(key).collect())),
            (PartKind::Acl, None) => {
                let text = profile.acl().map(Acl::render).unwrap_or_default();
                Some(Ok(vec![(self.path.clone(), text)]))
            }
            (_, text) => text.map(|text| text.map(|text| vec![(self.path.clone(), text)])),
        }
    }
}
