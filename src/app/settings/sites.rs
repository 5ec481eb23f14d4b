//! The file of further brokers, in TOML: `[[site]]` for each, with keys that are named like the settings of the main one.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;
use url::Url;

use super::broker::{self, ClientCertificate, SITES_FILE};
use super::file;
use super::parse::{self, Parsed};
use super::problems::{Place, Report};
use super::reader::Reader;
use super::setting::Parse;
use crate::base::text::nearest;
use crate::base::{Secret, SiteName, VhostName};

/// Further brokers. Each is told of every namespace, and asked for all its users at every pass of `reconcile`.
const SITES_MAX: usize = 8;
/// Longest file of them; a full one has a few kilobytes.
const FILE_LEN_MAX: u64 = 64 * 1024;
/// The only table of the file.
const SITE: &str = "site";
const KEYS: [&str; 9] =
    ["name", "base_url", "username", "password", "password_file", "vhost", "ca_file", "cert", "key"];

/// A further broker: its management API, and where the users of namespaces are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSettings {
    /// What it is called in records, reports and pages.
    pub name: SiteName,
    /// Its address, as that of the main one.
    pub base_url: Url,
    /// An administrator there.
    pub username: String,
    /// The administrator's password.
    pub password: Secret,
    /// The vhost; that of the main one unless set.
    pub vhost: VhostName,
    /// A private CA.
    pub ca_file: Option<PathBuf>,
    /// A client certificate.
    pub certificate: Option<ClientCertificate>,
}

pub(super) fn sites(read: &mut Reader, main_vhost: &VhostName) -> Vec<SiteSettings> {
    let Some(path) = read.find(&SITES_FILE) else { return Vec::new() };
    match file::read(&path, FILE_LEN_MAX).map(Secret::new) {
        Ok(text) => Toml { path: &path, text: text.expose(), report: read.report }.sites(main_vhost),
        Err(error) => {
            read.refuse(&SITES_FILE.info, &format!("{}: {error}", path.display()));
            Vec::new()
        }
    }
}

/// A file that is read, and what is wrong with it so far.
struct Toml<'f> {
    path: &'f Path,
    text: &'f str,
    report: &'f mut Report,
}

/// One table of it.
struct Table<'f, 't, 'd> {
    toml: &'t mut Toml<'f>,
    entries: &'t DeTable<'d>,
    /// Where it begins.
    span: Range<usize>,
}

impl Toml<'_> {
    fn sites(&mut self, main_vhost: &VhostName) -> Vec<SiteSettings> {
        let text = self.text;
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            self.problem(error.span().unwrap_or_default(), error.message());
        }
        let mut sites: Vec<SiteSettings> = Vec::new();
        for (key, value) in document.get_ref() {
            let tables = value.get_ref().as_array().filter(|_| *key.get_ref() == SITE);
            let Some(tables) = tables else {
                self.problem(key.span(), "expected nothing but [[site]]");
                continue;
            };
            if tables.len() > SITES_MAX {
                self.problem(key.span(), format!("{} sites; there may be {SITES_MAX}", tables.len()));
            }
            for table in tables.iter() {
                let Some(entries) = table.get_ref().as_table() else {
                    self.problem(table.span(), "expected [[site]]");
                    continue;
                };
                let span = table.span();
                let site = Table { toml: self, entries, span: span.clone() }.site(main_vhost);
                if let Some(site) = site {
                    if sites.iter().any(|other| other.name == site.name) {
                        self.problem(span, format!("name: there is another site `{}`", site.name));
                    }
                    sites.push(site);
                }
            }
        }
        sites
    }

    fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.report.problem(&Place::At(self.path.into(), line, column), message);
    }
}

impl Table<'_, '_, '_> {
    /// The broker of this table. `None` when something is wrong with it, which is noted then.
    fn site(mut self, main_vhost: &VhostName) -> Option<SiteSettings> {
        for key in self.entries.keys() {
            if !KEYS.contains(&&**key.get_ref()) {
                let known = nearest(key.get_ref(), KEYS);
                let message = format!("unknown key `{}`; the nearest known one is `{known}`", key.get_ref());
                self.toml.problem(key.span(), message);
            }
        }
        let (name, base_url) = (self.need("name", name), self.need("base_url", parse::service_url));
        let (username, password) = (self.need("username", broker::username), self.password());
        let (vhost, ca_file) = (self.find("vhost", parse::of), self.find("ca_file", parse::path));
        let (cert_file, key_file) = (self.find("cert", parse::path), self.find("key", parse::path));
        if self.entries.contains_key("cert") != self.entries.contains_key("key") {
            self.missing("`cert` and `key` need each other");
        }
        Some(SiteSettings {
            name: name?,
            base_url: base_url?,
            username: username?,
            password: password?,
            vhost: vhost.unwrap_or_else(|| main_vhost.clone()),
            ca_file,
            certificate: cert_file.zip(key_file).map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file }),
        })
    }

    fn password(&mut self) -> Option<Secret> {
        match (self.entries.contains_key("password"), self.entries.get("password_file").map(Spanned::span)) {
            (true, None) => self.find("password", parse::secret),
            (false, Some(span)) => {
                let path = self.find("password_file", parse::path)?;
                let secret = file::secret(&path);
                secret.map_err(|e| self.toml.problem(span, format!("password_file: {}: {e}", path.display()))).ok()
            }
            _ => {
                self.missing("expected either `password` or `password_file`");
                None
            }
        }
    }

    /// A value that has to be there.
    fn need<T>(&mut self, key: &str, parse: Parse<T>) -> Option<T> {
        if !self.entries.contains_key(key) {
            self.missing(&format!("`{key}` is missing"));
        }
        self.find(key, parse)
    }

    /// A value, if it is there and right.
    fn find<T>(&mut self, key: &str, parse: Parse<T>) -> Option<T> {
        let value = self.entries.get(key)?;
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        let parsed = text.map_or_else(|| Err("expected a text in quotes, not empty".to_owned()), parse);
        parsed.map_err(|message| self.toml.problem(value.span(), format!("{key}: {message}"))).ok()
    }

    fn missing(&mut self, message: &str) {
        self.toml.problem(self.span.clone(), message);
    }
}

fn name(text: &str) -> Parsed<SiteName> {
    match parse::of::<SiteName>(text)? {
        name if name.is_main() => Err("`main` is the broker of RABBIT_BASE_URL".to_owned()),
        name => Ok(name),
    }
}
