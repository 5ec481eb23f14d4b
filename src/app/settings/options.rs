//! `OPTIONS="--scope-base … --port …"` in the settings file: flags, as the start scripts of the ancestors were given them.

use super::file::Entry;
use super::list;
use super::nearest::nearest;
use super::problems::Report;
use crate::base::Secret;

/// The key.
pub(super) const OPTIONS: &str = "OPTIONS";

/// What the flags of such a line set, the last one as in a shell. They are no stronger than the file they stand in, and stronger than its other
/// lines.
pub(super) fn entries(file: &[Entry], report: &mut Report) -> Vec<Entry> {
    let Some(entry) = file.iter().rfind(|entry| entry.name == OPTIONS) else { return Vec::new() };
    let Some(words) = words(entry.text.expose()) else {
        report.problem(&entry.place, "OPTIONS: a quote is not closed");
        return Vec::new();
    };
    flags(&words, entry, report)
}

fn flags(words: &[String], entry: &Entry, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        // What is no flag may be a secret that lost its flag.
        let Some(flag) = word.strip_prefix("--") else {
            report.problem(&entry.place, "OPTIONS: expected a flag such as --port where a word stands");
            continue;
        };
        let (flag, value) = flag.split_once('=').map_or((flag, None), |(flag, value)| (flag, Some(value.to_owned())));
        let Some(known) = list::flags().find(|known| known.flag == flag) else {
            let message = format!("OPTIONS: unknown flag --{flag}; the nearest known setting is `{}`", nearest(flag));
            report.problem(&entry.place, message);
            continue;
        };
        let value = match value {
            None => words.next_if(|word| !word.starts_with("--")).cloned(),
            given => given,
        };
        match value.or_else(|| known.switch.then(|| "true".to_owned())) {
            Some(value) => entries.push(Entry {
                name: known.name.to_owned(),
                text: Secret::new(value),
                place: entry.place.clone(),
            }),
            None => report.problem(&entry.place, format!("OPTIONS: --{flag} needs a value")),
        }
    }
    entries
}

/// Words as a shell takes them apart that expands nothing; none where a quote is left open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == ' ' || c == '\t' => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}
