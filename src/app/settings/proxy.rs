//! Settings of the task proxy: its upstreams, and where sessions listen.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::file;
use super::mode::by_mode;
use super::parse;
use super::problems::Place;
use super::reader::Reader;
use super::setting::{Optional, Setting};
use crate::base::{Error, Secret};
use crate::domain;
use crate::proto::proxy::declaration::{self, Declared, Mistake, TEXT_LEN_MAX};

pub(super) const UPSTREAMS_FILE: Optional<PathBuf> =
    Optional::new("PROXY_UPSTREAMS_FILE", "proxy-upstreams", parse::path)
        .help("file of TOML with the protected services that sessions of the task proxy reach");
pub(super) const ADDRESS: Setting<IpAddr> = Setting::new("PROXY_ADDRESS", "proxy-address", "127.0.0.1", parse::of)
    .help("address at which sessions of the task proxy get ports: this host's own, or that of a bridge");
pub(super) const SOCKETS: Setting<PathBuf> = Setting::new(
    "PROXY_SOCKETS",
    "proxy-sockets",
    "./data/proxy in development; in production /var/run/NAME/proxy",
    parse::path,
)
.follows(|values| by_mode(values, "./data/proxy", &format!("/var/run/{}/proxy", values.instance)))
.help("directory of the sockets of sessions of the task proxy");

pub(super) fn proxy(read: &mut Reader) -> domain::proxy::Config {
    domain::proxy::Config {
        declared: declared(read),
        resolver: None,
        door: None,
        sockets: read.get(&SOCKETS),
        address: read.get(&ADDRESS),
    }
}

fn declared(read: &mut Reader) -> Option<Vec<Declared>> {
    let path = read.find(&UPSTREAMS_FILE)?;
    // One byte more than a declaration may have, so that its own words say what is too long.
    let text = match file::read(&path, TEXT_LEN_MAX as u64 + 1) {
        Ok(text) => Secret::new(text),
        Err(error) => {
            read.refuse(&UPSTREAMS_FILE.info, &format!("{}: {error}", path.display()));
            return None;
        }
    };
    match resolved(text.expose()) {
        Ok(declared) => Some(declared),
        Err(mistakes) => {
            for Mistake { line, message } in mistakes {
                read.report.problem(&Place::At(path.clone(), line, 1), message);
            }
            None
        }
    }
}

/// A declaration with all that stands in files of this host.
pub fn resolved(text: &str) -> Result<Vec<Declared>, Vec<Mistake>> {
    let mut declared = declaration::parse(text)?;
    for one in &mut declared {
        let name = one.upstream.name.clone();
        one.resolve(secret)
            .map_err(|error| vec![Mistake { line: 1, message: format!("`{name}`: {}", error.chain()) }])?;
    }
    Ok(declared)
}

fn secret(path: &Path) -> crate::base::Result<Secret> {
    file::secret(path).map_err(|e| Error::invalid(format!("{} cannot be read", path.display())).because(e))
}
