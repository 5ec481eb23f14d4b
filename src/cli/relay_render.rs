//! `keylender relay render`: files for the relay's programs, printed, put in their place, or compared with what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::base::{Clock, Error, Result};
use crate::ports::placed::Place;
use crate::ports::system::{group_id, user_id};
use crate::proto::certificates::{Shown, judge, judge_key};

/// Longest file that is compared: one of ours has some kilobytes.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// Keys that are named of a file that differs.
const NAMED_MAX: usize = 20;
/// Kinds whose lines are keys with values.
const WITH_KEYS: [&str; 5] = ["mig-scheduler", "mig-api", "mig-worker", "mig-agent", "rabbitmq-tls"];
/// Where files name a certificate, its key, and who vouches for it, and who shows it.
const CERTIFICATES: [(&str, &str, &str, Shown); 3] = [
    ("mq.tlscert", "mq.tlskey", "mq.cacert", Shown::ByProgram),
    ("certs.cert", "certs.key", "certs.ca", Shown::ByProgram),
    (".ssl_options.certfile", ".ssl_options.keyfile", ".ssl_options.cacertfile", Shown::ByBroker),
];
/// Longest file of certificates: those of all public authorities have a quarter of it.
const CERTIFICATE_LEN_MAX: usize = 1 << 20;
/// Digits of a fingerprint, by which keys are named.
const FINGERPRINT_LEN: usize = 40;

#[derive(Args)]
pub(super) struct Render {
    /// The part, as the profile calls it
    #[arg(required_unless_present = "check")]
    part: Option<String>,
    /// Put it into this directory, with the mode and the owner that are declared
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    to: Option<PathBuf>,
    /// Only say which files in this directory are not as they should be now
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(command: Render, operator: &Operator) -> Outcome {
    let Render { part, to, check, format } = command;
    if let Some(directory) = check {
        return compare(operator, part, &directory, &format).await;
    }
    let written = rendered(operator, part.as_deref().unwrap_or_default()).await?;
    let files = files_of(&written);
    match to {
        Some(directory) => {
            let owners = Owners::of(&written)?;
            for (path, text) in &files {
                let place = owners.place(path, &directory)?;
                let shown = place.path.display();
                let fault = |error| Error::unavailable(format!("{shown} cannot be written")).because(error);
                place.put(text.as_bytes()).map_err(fault)?;
                output::remark(&format!("wrote {shown}"));
                certificates(text).iter().for_each(|warning| output::remark(warning));
            }
            for extra in owners.extra(&files, &directory) {
                let shown = extra.display();
                let fault = |error| Error::unavailable(format!("{shown} cannot be removed")).because(error);
                std::fs::remove_file(&extra).map_err(fault)?;
                output::remark(&format!("removed {shown}"));
            }
        }
        None if format.json => output::json(&written),
        None => files.iter().for_each(|(path, text)| {
            if files.len() > 1 {
                output::line(path);
            }
            output::line(text.trim_end_matches('\n'));
        }),
    }
    Ok(())
}

/// The files of a part as they are, with their paths.
fn files_of(written: &Value) -> Vec<(&str, &str)> {
    let files = written["files"].as_array().into_iter().flatten();
    files.filter_map(|file| Some((file["path"].as_str()?, file["text"].as_str()?))).collect()
}

async fn rendered(operator: &Operator, part: &str) -> Result<Value> {
    operator.call("GET", &format!("/relay/parts/{}", output::segment(part)), None).await
}

/// Where the files of a part belong on this host, and whose they are.
struct Owners {
    /// The path of the part: of its file, or of the directory of its files.
    path: PathBuf,
    mode: u32,
    owner: Option<u32>,
    group: Option<u32>,
}

impl Owners {
    fn of(written: &Value) -> Result<Self> {
        let mode = u32::from_str_radix(&output::text(written, "mode"), 8).map_err(|_| Error::invalid("not a mode"))?;
        let id = |member: &str, find: fn(&Path, &str) -> Option<u32>| {
            let name = output::text(written, member);
            let missing =
                || Error::not_found(format!("this host has no {member} `{name}` in its files of users and groups"));
            if name.is_empty() { Ok(None) } else { find(Path::new("/"), &name).ok_or_else(missing).map(Some) }
        };
        let path = PathBuf::from(output::text(written, "path"));
        Ok(Self { path, mode, owner: id("owner", user_id)?, group: id("group", group_id)? })
    }

    /// Where a file goes in a directory: by its own name, or below that of the directory it is in.
    fn place(&self, path: &str, directory: &Path) -> Result<Place> {
        let Self { mode, owner, group, .. } = *self;
        let beyond = || Error::invalid(format!("{path} is no file of {}", self.path.display()));
        let relative =
            Path::new(path).strip_prefix(self.path.parent().unwrap_or(Path::new("/"))).map_err(|_| beyond())?;
        Ok(Place { path: directory.join(relative), beside: directory.to_owned(), mode, owner, group })
    }

    /// Keys that are there and are nobody's any more: agents read every file of their directory. Others than those that
    /// were written here are let be.
    fn extra(&self, files: &[(&str, &str)], directory: &Path) -> Vec<PathBuf> {
        let keys = directory.join(self.path.file_name().unwrap_or_default());
        let is_known = |name: &str| files.iter().any(|(path, _)| path.ends_with(name));
        let is_ours = |name: &str| {
            let digits = name.strip_suffix(".asc").unwrap_or_default();
            digits.len() == FINGERPRINT_LEN && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        let Ok(entries) = std::fs::read_dir(&keys) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| is_ours(name) && !is_known(name)).map(|name| keys.join(name)).collect()
    }
}

/// Says of each part how its files in a directory differ.
async fn compare(operator: &Operator, part: Option<String>, directory: &Path, format: &Format) -> Outcome {
    let parts = match part {
        Some(part) => vec![part],
        None => {
            let relay = operator.call("GET", "/relay", None).await?;
            let rows = output::rows(&relay, "parts", &["part", "path"]);
            // Those that belong there.
            let is_here = |path: &String| Path::new(path).parent() == Some(directory);
            let named: Vec<&Vec<String>> = rows.iter().filter(|row| row.get(1).is_some_and(is_here)).collect();
            let all: Vec<&Vec<String>> = if named.is_empty() { rows.iter().collect() } else { named };
            all.into_iter().filter_map(|row| row.first().cloned()).collect()
        }
    };
    let mut found = Vec::new();
    for part in parts {
        let written = rendered(operator, &part).await?;
        let (owners, files) = (Owners::of(&written)?, files_of(&written));
        for (path, text) in &files {
            let place = owners.place(path, directory)?;
            certificates(text).iter().for_each(|warning| output::remark(warning));
            found.push(json!({ "part": part, "path": place.path, "differs": differs(&place, text, &written)? }));
        }
        for extra in owners.extra(&files, directory) {
            found.push(json!({ "part": part, "path": extra, "differs": ["it is nobody's any more"] }));
        }
    }
    let different = found.iter().filter(|each| each["differs"].as_array().is_some_and(|them| !them.is_empty())).count();
    let checked = json!({ "files": found });
    if format.json {
        output::json(&checked);
    } else {
        let row = |file: &Value| {
            let differs = file["differs"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let differs = differs.collect::<Vec<_>>().join("; ");
            vec![output::text(file, "part"), output::text(file, "path"), differs]
        };
        let rows: Vec<Vec<String>> = checked["files"].as_array().into_iter().flatten().map(row).collect();
        output::table(&["PART", "FILE", "DIFFERS"], &rows);
    }
    if different > 0 {
        let said =
            format!("{different} files are not as they should be: `keylender relay render PART --to DIR` writes one");
        return Err(Error::conflict(said).into());
    }
    Ok(())
}

/// How a file differs from what it should be.
fn differs(place: &Place, text: &str, written: &Value) -> Result<Vec<String>> {
    let has_keys = WITH_KEYS.contains(&output::text(written, "kind").as_str());
    let fault = |error| Error::unavailable(format!("{} cannot be read", place.path.display())).because(error);
    Ok(match place.look(FILE_LEN_MAX).map_err(fault)? {
        None => vec!["it is missing".to_owned()],
        Some((has, differs)) => differs.into_iter().chain(text_differs(&has, text, has_keys)).collect(),
    })
}

/// What of a file is otherwise: keys only, as values may be secrets. Of a file that has no keys each line may be one.
fn text_differs(has: &str, should: &str, has_keys: bool) -> Option<String> {
    if has == should {
        return None;
    }
    if !has_keys {
        return Some("its text".to_owned());
    }
    let (has, should) = (values(has), values(should));
    let keys: Vec<&str> = has
        .keys()
        .chain(should.keys())
        .filter(|key| has.get(*key) != should.get(*key))
        .map(String::as_str)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let more = keys.len().saturating_sub(NAMED_MAX);
    let named = keys.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    Some(match (keys.is_empty(), more) {
        (true, _) => "its text".to_owned(),
        (false, 0) => named,
        (false, more) => format!("{named} and {more} more"),
    })
}

/// What keeps certificates from working that a file names, as far as this host has them.
fn certificates(text: &str) -> Vec<String> {
    let values = values(text);
    let path = |key: &str| values.get(key)?.first().map(|value| value.trim_matches('"'));
    let read =
        |key: &str| path(key).and_then(|path| std::fs::read(path).ok()).filter(|file| file.len() < CERTIFICATE_LEN_MAX);
    let now = Clock::system().now().as_millis() / 1000;
    let mut warnings = Vec::new();
    for (certificate, key, authorities, shown) in CERTIFICATES {
        let Some((place, file)) = path(certificate).zip(read(certificate)) else { continue };
        let mut found = judge(&file, shown, now, read(authorities).as_deref());
        found.extend(read(key).and_then(|key| judge_key(&file, &key)));
        warnings.extend(found.iter().map(|warning| format!("{place}: {warning}")));
    }
    warnings
}

/// The values of a file by section and key, as they are written there.
fn values(text: &str) -> BTreeMap<String, Vec<&str>> {
    let (mut section, mut all): (_, BTreeMap<String, Vec<&str>>) = ("", BTreeMap::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with([';', '#'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        all.entry(format!("{section}.{}", key.trim())).or_default().push(value.trim());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_keys_and_no_value_is_repeated() {
        let should = "; written\n[mq]\nhost = \"a\"\npass = \"secret\"\n[agent]\ntags = \"x\"\ntags = \"y\"\n";
        assert_eq!(text_differs(should, should, true), None);
        let has = should.replace("secret", "former").replace("tags = \"y\"\n", "").replace("host = \"a\"", "port = 1");
        assert_eq!(text_differs(&has, should, true).unwrap(), "agent.tags, mq.host, mq.pass, mq.port");
        assert_eq!(text_differs(&should.replace("; written", "; by hand"), should, true).unwrap(), "its text");
        let many: String = (0..30).map(|number| format!("key{number} = 1\n")).collect();
        assert_eq!(text_differs("{default_pass, <<\"x\">>},", "", false).unwrap(), "its text");
        assert!(text_differs(&many, "", true).unwrap().ends_with("and 10 more"));
    }
}
