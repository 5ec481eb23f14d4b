//! Investigators: whose keys agents know, and what their signatures weigh for each module.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::entries::Entries;
use super::mistakes::Mistakes;
use crate::proto::mig::acl::{self, Acl, Minimum};
use crate::proto::mig::openpgp::PublicKey;

/// Somebody who signs actions.
#[derive(Clone, Debug, PartialEq)]
pub struct Investigator {
    /// What the list calls them.
    pub name: String,
    /// Their key, one that agents read.
    pub key: PublicKey,
    /// What their signature weighs, by module.
    pub weights: BTreeMap<String, u32>,
}

/// The investigators of a document, as far as they can be read, and all that is wrong with them.
pub(super) fn check(document: Entries<'_, '_>, mistakes: &mut Mistakes) {
    for entries in document.tables("investigator") {
        let Some((text, at)) = entries.placed("key") else { continue };
        match read_key(text) {
            Err(complaint) => mistakes.note(at, format!("`key`: {complaint}")),
            Ok(key) => {
                let stated = entries.placed("fingerprint");
                if let Some((_, at)) = stated.filter(|(stated, _)| !is_fingerprint(stated, &key.fingerprint)) {
                    let message =
                        format!("`fingerprint`: that of this key is {}; one of the two is wrong", key.fingerprint);
                    mistakes.note(at, message);
                }
            }
        }
        if weights(entries.json("weights")).is_none() {
            let message = "`weights`: expected whole numbers by module, such as { default = 1 }";
            mistakes.note(entries.position_of("weights"), message);
        }
    }
    if weights(document.json("minimum-weights")).is_none() {
        let message = "`minimum-weights`: expected whole numbers by module, such as { default = 2 }";
        mistakes.note(document.position_of("minimum-weights"), message);
    }
    let names = ["investigator", "minimum-weights"];
    if mistakes.is_empty()
        && names.iter().any(|key| document.has(key))
        && let Some(Err(complaints)) = acl(document)
    {
        let at = document.position_of(names.into_iter().find(|key| document.has(key)).unwrap_or_default());
        complaints.into_iter().for_each(|complaint| mistakes.note(at, format!("`investigator`: {complaint}")));
    }
}

fn read_key(text: &str) -> Result<PublicKey, String> {
    let key = PublicKey::read(text)?;
    key.readable_by_mig()?;
    Ok(key)
}

/// People write it in groups, and in either case.
fn is_fingerprint(stated: &str, of_key: &str) -> bool {
    let digits: String = stated.chars().filter(|c| !c.is_whitespace()).collect();
    digits.trim_start_matches("0x").eq_ignore_ascii_case(of_key)
}

/// The investigators. `None` when one of the steps before had something to note.
pub(super) fn investigators(document: Entries<'_, '_>) -> Option<Vec<Investigator>> {
    let one = |entries: Entries<'_, '_>| {
        Some(Investigator {
            name: entries.text("name")?.to_owned(),
            key: read_key(entries.text("key")?).ok()?,
            weights: weights(entries.json("weights"))?,
        })
    };
    document.tables("investigator").map(one).collect()
}

/// The list that agents get, if there is one.
pub(super) fn acl(document: Entries<'_, '_>) -> Option<Result<Acl, Vec<String>>> {
    let minimums = weights(document.json("minimum-weights"))?;
    let signers = investigators(document)?.into_iter().map(|Investigator { name, key, weights }| acl::Investigator {
        name,
        fingerprint: key.fingerprint,
        weights,
    });
    let minimums = minimums.into_iter().map(|(module, weight)| Minimum { module, weight });
    Some(Acl::check(signers.collect(), minimums.collect()))
}

fn weights(members: Map<String, Value>) -> Option<BTreeMap<String, u32>> {
    let weight = |value: Value| value.as_u64().and_then(|weight| u32::try_from(weight).ok());
    members.into_iter().map(|(module, value)| Some((module, weight(value)?))).collect()
}
