//! From sources to one text for each setting: the strongest source wins, a secret may come from a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::file::{self, Entry};
use super::nearest::nearest;
use super::options::{self, OPTIONS};
use super::problems::{Place, Report};
use super::setting::{Fallback, Setting};
use super::table::{self, TABLE};
use super::{Effective, MASK, Sources, parse};
use crate::base::Secret;

/// What a regex gives a meaning; escaped when a prefix becomes part of one.
const REGEX_SPECIAL: &str = r"\.^$*+?()[]{}|";

/// One text for each setting that was given. Any of them may be a secret, so all are kept as one.
pub struct Values {
    given: HashMap<&'static str, Given>,
    instance: String,
}

/// The text of a setting, and where it was given.
pub(super) struct Given {
    pub text: Secret,
    pub place: Place,
    /// The file that the place names, for `NAME_FILE`.
    read_from: Option<PathBuf>,
}

impl Values {
    /// The text that was given, if any.
    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// The text in force, given or by default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given(name).map(|given| given.text.expose().to_owned()).or_else(|| self.fallback(name))
    }

    /// The text of the default.
    pub(super) fn fallback(&self, name: &str) -> Option<String> {
        match TABLE.iter().find(|setting| setting.name == name)?.fallback {
            Fallback::Is(text) => Some(text.to_owned()),
            Fallback::Follows(_, follow) => Some(follow(self)),
            Fallback::Nothing => None,
        }
    }

    /// What people see of a setting.
    pub(super) fn effective(&self, setting: &Setting) -> Effective {
        let given = self.given(setting.name);
        let value = match given {
            Some(_) if setting.is_secret() => Some(MASK.to_owned()),
            _ => self.text(setting.name),
        };
        let source = match given {
            None => "default".to_owned(),
            Some(Given { place, read_from: Some(path), .. }) => format!("{place}, file {}", path.display()),
            Some(Given { place, .. }) => place.to_string(),
        };
        Effective { name: setting.name, value, source, help: setting.help }
    }
}

/// Defaults that follow from other settings.
impl Values {
    pub(super) fn by_mode(&self, elsewhere: &str, production: &str) -> String {
        let in_production = self.text("NODE_ENV").as_deref() == Some("production");
        if in_production { production.to_owned() } else { elsewhere.to_owned() }
    }

    /// Instances of a host keep apart what their settings files do not.
    pub(super) fn data_dir(&self) -> String {
        self.by_mode("./data", &format!("/var/lib/{}", self.instance))
    }

    pub(super) fn key_file(&self) -> String {
        format!("{}/key", self.text("DATA_DIR").unwrap_or_default().trim_end_matches('/'))
    }

    pub(super) fn backup_dir(&self) -> String {
        format!("{}/backups", self.text("DATA_DIR").unwrap_or_default().trim_end_matches('/'))
    }

    pub(super) fn syslog_protocol(&self) -> String {
        if self.given("SYSLOG_HOST").is_some() { "udp".to_owned() } else { "local".to_owned() }
    }

    /// The broker's host. A URL that is refused says nothing, so that this default is valid whatever was given.
    pub(super) fn amqp_hostname(&self) -> String {
        let url = self.text("RABBIT_BASE_URL").and_then(|text| parse::service_url(&text).ok());
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
    }

    pub(super) fn own_permission(&self) -> String {
        let [queue, exchange] = self.prefixes();
        format!("^({queue}{{{{namespace}}}}/.*|{exchange}{{{{namespace}}}}/.*)")
    }

    pub(super) fn read_permission(&self) -> String {
        let [queue, exchange] = self.prefixes();
        format!("^({queue}{{{{namespace}}}}/.*|{exchange}.*)")
    }

    /// The prefixes of queues and exchanges, as regexes that match just them.
    fn prefixes(&self) -> [String; 2] {
        ["QUEUE_PREFIX", "EXCHANGE_PREFIX"].map(|name| {
            let escape = |c| REGEX_SPECIAL.contains(c).then_some('\\').into_iter().chain([c]);
            self.text(name).unwrap_or_default().chars().flat_map(escape).collect()
        })
    }
}

/// Collects the values of all sources and reads the files of secrets.
pub(super) fn gather(sources: &Sources, report: &mut Report) -> Values {
    let file = sources.config_file.as_deref().map(|path| file::entries(path, report)).unwrap_or_default();
    warn_of_repetition(&file, report);
    let options = options::entries(&file, report);
    let file: Vec<Entry> = file.into_iter().filter(|entry| entry.name != OPTIONS).collect();
    let mut strongest: HashMap<&'static str, Wanted> = HashMap::new();
    for entries in [file, options, environment(sources), flags(sources, report)] {
        strongest.extend(choose(&entries, report));
    }
    let mut values = Values { given: HashMap::new(), instance: instance(sources.config_file.as_deref()) };
    for setting in TABLE {
        values.given.extend(strongest.remove(setting.name).and_then(|wanted| {
            let given = wanted.fetch(setting, report);
            (setting.may_be_empty() || !given.text.expose().is_empty()).then_some((setting.name, given))
        }));
    }
    debug_means_debug(&mut values);
    values
}

/// What an appliance is called on its host: `NAME` of its settings file `/etc/NAME.conf`.
fn instance(config_file: Option<&Path>) -> String {
    let in_etc = config_file.filter(|path| path.parent() == Some(Path::new("/etc")));
    let name = in_etc.and_then(|path| path.file_name()?.to_str()?.strip_suffix(".conf"));
    name.unwrap_or("keylender").to_owned()
}

fn flags(sources: &Sources, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, text) in &sources.flags {
        let Some(flag) = table::flags().find(|flag| flag.name == name) else {
            let message = format!("no flag sets `{name}`; the nearest known setting is `{}`", nearest(name));
            report.problem(&Place::Flag(name.clone()), message);
            continue;
        };
        if flag.secret {
            report.warning(format!(
                "--{0}: every user of this host can read a secret that is given as a flag; use --{0}-file",
                flag.flag
            ));
        }
        entries.push(Entry { name: name.clone(), text: Secret::new(text), place: Place::Flag(flag.flag.into()) });
    }
    entries
}

fn environment(sources: &Sources) -> Vec<Entry> {
    let known = sources.environment.iter().filter(|(name, _)| table::flags().any(|flag| flag.name == name));
    let entry = |(name, text): &(String, String)| Entry {
        name: name.clone(),
        text: Secret::new(text),
        place: Place::Environment,
    };
    known.map(entry).collect()
}

/// A shell takes the last of two, and so do we; but nobody means it.
fn warn_of_repetition(entries: &[Entry], report: &mut Report) {
    for (index, entry) in entries.iter().enumerate() {
        if entries[..index].iter().any(|earlier| earlier.name == entry.name) {
            report.warning(format!("{}: `{}` was set before; the last one counts", entry.place, entry.name));
        }
    }
}

/// A value that a source gives: the text, or the file that holds it.
struct Wanted {
    text: Secret,
    place: Place,
    is_file: bool,
}

/// The settings that one source gives. Unknown names are problems.
fn choose(entries: &[Entry], report: &mut Report) -> HashMap<&'static str, Wanted> {
    let mut chosen: HashMap<&'static str, Wanted> = HashMap::new();
    for Entry { name, text, place } in entries {
        let of_file = |setting: &Setting| setting.file_name() == Some(name.as_str());
        let Some(setting) = TABLE.iter().find(|setting| setting.name == name || of_file(setting)) else {
            match table::has_no_effect(name) {
                true => report.warning(format!("{place}: `{name}` has no effect in this version")),
                false => {
                    let known = nearest(name);
                    report.problem(place, format!("unknown setting `{name}`; the nearest known one is `{known}`"));
                }
            }
            continue;
        };
        if text.expose().contains(char::REPLACEMENT_CHARACTER) {
            report.problem(place, format!("{name}: not valid UTF-8"));
        }
        let wanted = Wanted { text: text.clone(), place: place.clone(), is_file: of_file(setting) };
        match chosen.get(setting.name) {
            Some(other) if other.is_file != wanted.is_file && !other.is_empty() && !wanted.is_empty() => {
                report.problem(place, format!("{0} and {0}_FILE are both set; set one of them", setting.name));
            }
            // An empty text beside the other spelling says nothing.
            Some(other) if other.is_file != wanted.is_file && wanted.is_empty() => {}
            _ => _ = chosen.insert(setting.name, wanted),
        }
    }
    chosen
}

impl Wanted {
    fn is_empty(&self) -> bool {
        self.text.expose().is_empty()
    }

    /// The text itself, from the file where one is named. A file that fails is a problem; its path stands in, so that
    /// nothing else complains of a missing value.
    fn fetch(self, setting: &Setting, report: &mut Report) -> Given {
        let Self { text, place, is_file } = self;
        if !is_file || text.expose().is_empty() {
            return Given { text, place, read_from: None };
        }
        let path = PathBuf::from(text.expose());
        let content = file::secret(&path).unwrap_or_else(|error| {
            report.problem(&place, format!("{}_FILE: {}: {error}", setting.name, path.display()));
            text
        });
        Given { text: content, place, read_from: Some(path) }
    }
}

/// `DEBUG` with any value outweighs `LOG_LEVEL` from any source, as it did in the ancestors.
fn debug_means_debug(values: &mut Values) {
    if let Some(debug) = values.given("DEBUG") {
        let level = Given { text: Secret::new("debug"), place: debug.place.clone(), read_from: None };
        values.given.insert("LOG_LEVEL", level);
    }
}
