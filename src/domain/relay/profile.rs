//! What is declared now: the profile of the settings, or else the one that was stored last, which people edit while the
//! appliance runs.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Declared, Relay, protect};
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::relay_profile::{Agents, Mistake, Profile};
use crate::store::{Sealed, Store, Table, WriteTx};

const PROFILES: Table<String, Stored> = Table::audited("relay_profile");
/// There is one.
const KEY: &str = "profile";
/// Where the stored one is said to be from.
const FROM: &str = "the store";
/// Mistakes that an error names; `relay check` tells all.
const NAMED_MAX: usize = 20;

/// A profile as it was stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Its text, which is a profile: passwords of databases may stand in it.
    text: Sealed,
    /// Since when it counts.
    stored: Timestamp,
}

/// What is declared at this moment.
#[derive(Debug)]
pub(super) struct Declaration {
    /// Whether the settings say it. Nothing that is stored counts then.
    is_of_settings: bool,
    now: RwLock<Option<Arc<Declared>>>,
    /// What was stored by another version, and is no profile to this one.
    unreadable: Option<Unreadable>,
    /// Held while another one is stored and takes its place, so that the last one in the store is the one that counts, and
    /// while one is applied, so that what is made for it is not remembered as another's.
    pub storing: tokio::sync::Mutex<()>,
}

/// A stored text that is no profile.
#[derive(Debug)]
pub struct Unreadable {
    /// The text.
    pub text: Secret,
    /// The first thing that is wrong with it.
    pub first: String,
}

fn read(store: &Store) -> Result<Option<Secret>> {
    store.read(|tx| {
        let key = KEY.to_owned();
        let stored = tx.get(&PROFILES, &key)?;
        stored.map(|Stored { text, .. }| tx.open(&PROFILES, &key, &text)).transpose()
    })
}

impl Declaration {
    /// That of the settings, or the stored one. One that this version does not read any more is left where it is: nothing is
    /// declared then, so that nothing is changed.
    pub fn read(store: &Store, of_settings: Option<Declared>) -> Result<Self> {
        let is_of_settings = of_settings.is_some();
        let text = if is_of_settings { None } else { read(store)? };
        let (stored, unreadable) = match text.map(|text| (Profile::parse(text.expose()), text)) {
            None => (None, None),
            Some((Ok(profile), text)) => {
                (Some(Declared { profile, from: FROM.to_owned(), text: Some(text.expose().to_owned()) }), None)
            }
            Some((Err(mistakes), text)) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!("the stored profile of the relay cannot be read, and nothing is declared: {first}");
                (None, Some(Unreadable { text, first }))
            }
        };
        let now = RwLock::new(of_settings.or(stored).map(Arc::new));
        Ok(Self { is_of_settings, now, unreadable, storing: tokio::sync::Mutex::default() })
    }

    pub fn now(&self) -> Option<Arc<Declared>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Relay {
    /// What is stored and is no profile to this version.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.declaration.unreadable.as_ref().filter(|_| self.declared().is_err())
    }

    /// Whether the profile is that of the settings, which nobody changes while the appliance runs.
    pub fn is_of_settings(&self) -> bool {
        self.declaration.is_of_settings
    }

    /// The profile that a text is, if it may be stored.
    ///
    /// # Errors
    /// `Invalid` with every mistake and its place. `Conflict` for one that would lock us out, and while `RELAY_PROFILE` is set.
    fn check_text(&self, text: &str) -> Result<Profile> {
        if self.is_of_settings() {
            return Err(Error::conflict(
                "RELAY_PROFILE says what is declared: take it out of the settings to store a profile",
            ));
        }
        let profile = Profile::parse(text).map_err(|mistakes| refused(&mistakes))?;
        if let Some(part) = profile.parts().iter().find(|part| part.reads_files()) {
            return Err(Error::invalid(format!(
                "the part `{}` reads a setting from a file, which only a profile in RELAY_PROFILE may: write it out, it is sealed",
                part.name
            )));
        }
        if profile.agents().is_some_and(Agents::names_files) {
            return Err(Error::invalid(
                "[agents] names a file of this host, which only a profile in RELAY_PROFILE may: write `ca` out, and leave \
                 `whitelist` out",
            ));
        }
        // Without a broker nobody knows yet who we are to it: a plan says so later.
        if let Ok(acting) = self.administrator.acting() {
            protect::check(&profile, &self.config.reserved, &acting)?;
        }
        Ok(profile)
    }

    /// What storing a profile would mean, a sentence each. It fails as that would.
    pub fn plan_profile(&self, text: &str) -> Result<Vec<String>> {
        let profile = self.check_text(text)?;
        let (vhosts, accounts, parts) = (profile.vhosts().len(), profile.accounts().len(), profile.parts().len());
        let mut effects = vec![
            format!(
                "`{}` declares {vhosts} vhosts, {accounts} accounts and {parts} files from now on.",
                profile.name()
            ),
            "Nothing is made, changed or removed at the broker before it is applied. When passwords rotate, and what becomes of \
             drift, counts at once."
                .to_owned(),
        ];
        if let Ok(before) = self.declared()
            && before.profile.name() != profile.name()
        {
            effects.push(format!("What `{}` declared is left alone: another name begins anew.", before.profile.name()));
        }
        Ok(effects)
    }

    /// Stores a profile, which counts from now on.
    ///
    /// # Errors
    /// `Invalid` with every mistake and its place. `Conflict` for one that would lock us out, and while `RELAY_PROFILE` is set.
    pub async fn store_profile(&self, text: String, caller: &Caller) -> Result<()> {
        let profile = self.check_text(&text)?;
        let busy = || Error::busy("a profile is being applied just now: store this one when that is through");
        let _storing = self.declaration.storing.try_lock().map_err(|_| busy())?;
        let hash = hex(&Sha256::digest(&text));
        let note = caller.note(Action::RelayProfile, profile.name()).with("sha256", hash);
        let secret = Secret::new(text.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            let text = tx.seal(&PROFILES, &KEY.to_owned(), &secret)?;
            tx.put(&PROFILES, &KEY.to_owned(), &Stored { text, stored: tx.now() })
        };
        self.store.write(change).await?;
        let declared = Arc::new(Declared { profile, from: FROM.to_owned(), text: Some(text) });
        *self.declaration.now.write().unwrap_or_else(PoisonError::into_inner) = Some(declared);
        Ok(())
    }
}

fn refused(mistakes: &[Mistake]) -> Error {
    let named: Vec<String> = mistakes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = mistakes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    Error::invalid(format!("this is no profile that can be used:\n{}{more}", named.join("\n")))
}
