//! From sources to one text for each setting: the strongest source wins, a secret may come from a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::file::{self, Entry};
use super::list;
use super::log::{DEBUG, LOG_LEVEL};
use super::nearest::nearest;
use super::options::{self, OPTIONS};
use super::problems::{Place, Report};
use super::setting::{Given, Info, Values};
use crate::base::Secret;

/// The settings file that is read when none is named and it exists.
pub const USUAL_FILE: &str = "/etc/keylender.conf";

/// Where settings come from. The default is nowhere: only the defaults of settings count.
#[derive(Clone, Default)]
pub struct Sources {
    /// Setting name and value of each flag, as [`flags`](list::flags) names them.
    pub flags: Vec<(String, String)>,
    /// Environment variables; all but the names of settings are ignored.
    pub environment: Vec<(String, String)>,
    /// The settings file.
    pub config_file: Option<PathBuf>,
}

impl Sources {
    /// The sources of this process: its flags, its environment, and the file named or else the usual one.
    pub fn of_this_process(flags: Vec<(String, String)>, config_file: Option<PathBuf>) -> Self {
        // A file that cannot be looked at is named all the same: reading it reports why.
        let usual = || Path::new(USUAL_FILE).try_exists().unwrap_or(true).then(|| PathBuf::from(USUAL_FILE));
        Self { flags, environment: of_this_process(), config_file: config_file.or_else(usual) }
    }
}

/// The environment of this process; the one place that reads it. Text that is not UTF-8 keeps U+FFFD in its place,
/// which is refused where it matters.
fn of_this_process() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
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
    for setting in list::all() {
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
        let Some(flag) = list::flags().find(|flag| flag.name == name) else {
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
    let known = sources.environment.iter().filter(|(name, _)| list::flags().any(|flag| flag.name == name));
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
        let of_file = |setting: &Info| setting.file_name() == Some(name.as_str());
        let Some(setting) = list::all().find(|setting| setting.name == name || of_file(setting)) else {
            if list::has_no_effect(name) {
                report.warning(format!("{place}: `{name}` has no effect in this version"));
            } else {
                let known = nearest(name);
                report.problem(place, format!("unknown setting `{name}`; the nearest known one is `{known}`"));
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
            _ => {
                chosen.insert(setting.name, wanted);
            }
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
    fn fetch(self, setting: &Info, report: &mut Report) -> Given {
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
    if let Some(debug) = values.given(&DEBUG.info) {
        let level = Given { text: Secret::new("debug"), place: debug.place.clone(), read_from: None };
        values.given.insert(LOG_LEVEL.info.name, level);
    }
}
