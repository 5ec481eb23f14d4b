//! Names that a profile may not declare, because Keylender itself uses them.

use std::collections::BTreeSet;

use crate::base::{AccountName, Error, Result};
use crate::domain::accounts::NAME_PREFIX;
use crate::proto::relay_profile::Profile;

/// Names that are told of in one error.
const NAMED_MAX: usize = 20;

/// Names of broker users that are used otherwise.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    /// Who Keylender is to the broker by the settings.
    pub administrator: Option<String>,
    /// How the users of namespaces begin.
    pub namespaces: String,
}

/// Refuses a profile that would lock Keylender out, or make users that namespaces have.
///
/// # Errors
/// `Conflict`, with all such names.
pub(super) fn check(profile: &Profile, reserved: &Reserved, acting: &str) -> Result<()> {
    let declared = profile.accounts().iter().flat_map(|account| account.users());
    let names: BTreeSet<AccountName> = declared.chain(profile.absent_users().iter().cloned()).collect();
    let taken: Vec<String> = names.iter().filter_map(|name| taken(name, reserved, acting)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let more = if taken.len() > NAMED_MAX { format!("; and {} more", taken.len() - NAMED_MAX) } else { String::new() };
    let named = taken.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join("; ");
    Err(Error::conflict(format!("the profile `{}` cannot be applied: {named}{more}", profile.name())))
}

/// Refuses a user that Keylender itself uses.
///
/// # Errors
/// `Conflict`, with what it is used for.
pub(super) fn check_name(name: &AccountName, reserved: &Reserved, acting: &str) -> Result<()> {
    taken(name, reserved, acting).map_or(Ok(()), |why| Err(Error::conflict(why)))
}

/// What Keylender itself uses a name for, if it does.
fn taken(name: &AccountName, reserved: &Reserved, acting: &str) -> Option<String> {
    let name = name.as_str();
    let is_own = name == acting || Some(name) == reserved.administrator.as_deref();
    let is_of_namespaces = !reserved.namespaces.is_empty() && name.starts_with(&reserved.namespaces);
    if is_own {
        Some(format!("`{name}` is who Keylender is to the broker"))
    } else if name.starts_with(NAME_PREFIX) {
        Some(format!("`{name}` is the name of an administrator of Keylender"))
    } else {
        is_of_namespaces.then(|| format!("`{name}` is the name of a user of a namespace"))
    }
}
