//! Setting of the relay: a built-in profile, or a file in TOML of which every mistake is told with its place.

use std::path::{Path, PathBuf};

use super::broker::BASE_URL;
use super::file;
use super::parse;
use super::problems::Place;
use super::reader::{Need, Reader};
use super::setting::Optional;
use crate::proto::relay_profile::{Mistake, PRESETS, Profile, TEXT_LEN_MAX};

pub(super) const PROFILE: Optional<String> = Optional::new("RELAY_PROFILE", "relay-profile", parse::text).help(
    "what a platform of fixed programs needs on the broker: mig-2015, mig-2018, mig-2019, plain, or a file of TOML",
);

pub(super) const NEEDS: [Need; 1] = [(PROFILE.info, BASE_URL.info)];

/// What is declared of a relay.
#[derive(Clone, Debug, PartialEq)]
pub struct RelaySettings {
    /// The declaration.
    pub profile: Profile,
    /// The built-in name or the file that it was read from.
    pub from: String,
}

/// Why a file is no profile.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read.
    Unreadable(std::io::Error),
    /// It is wrong in these places, at least one.
    Mistaken(Vec<Mistake>),
}

/// The profile in a file.
pub fn read_profile(path: &Path) -> Result<Profile, Unusable> {
    // One byte more than a profile may have, so that its own words say what is too long.
    let text = file::read(path, TEXT_LEN_MAX as u64 + 1).map_err(Unusable::Unreadable)?;
    Profile::parse(&text).map_err(Unusable::Mistaken)
}

pub(super) fn relay(read: &mut Reader) -> Option<RelaySettings> {
    let from = read.find(&PROFILE)?;
    if let Some(profile) = Profile::builtin(&from) {
        return Some(RelaySettings { profile, from });
    }
    let path = PathBuf::from(&from);
    match read_profile(&path) {
        Ok(profile) => Some(RelaySettings { profile, from }),
        Err(Unusable::Unreadable(error)) => {
            let known = PRESETS.map(|(name, _)| name).join(", ");
            let message = format!("expected {known}, or a file that can be read; {}: {error}", path.display());
            read.refuse(&PROFILE.info, &message);
            None
        }
        Err(Unusable::Mistaken(mistakes)) => {
            for Mistake { line, column, message } in mistakes {
                read.report.problem(&Place::At(path.clone(), line, column), message);
            }
            None
        }
    }
}
