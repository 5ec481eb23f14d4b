//! What is declared now: the profile of the settings, or else the one that was stored last, which people edit while the
//! appliance runs.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::{Declared, Relay, protect};
use crate::base::audit::Action;
use crate::base::{Error, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::relay_profile::{Mistake, Profile};
use crate::store::{Store, Table, WriteTx};

const PROFILES: Table<String, Stored> = Table::audited("relay_profile");
/// There is one.
const KEY: &str = "profile";
/// Where the stored one is said to be from.
const FROM: &str = "the store";
/// Mistakes that an error names; `relay check` tells all.
const NAMED_MAX: usize = 20;

/// A profile as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its text, which is a profile.
    pub text: String,
    /// Since when it counts.
    pub stored: Timestamp,
}

/// What is declared at this moment.
#[derive(Debug)]
pub(super) struct Declaration {
    /// Whether the settings say it. Nothing that is stored counts then.
    is_of_settings: bool,
    now: RwLock<Option<Arc<Declared>>>,
    /// Held while another one is stored and takes its place, so that the last one in the store is the one that counts.
    storing: tokio::sync::Mutex<()>,
}

impl Declaration {
    /// That of the settings, or the stored one. One that this version does not read any more is left where it is: nothing is
    /// declared then, so that nothing is changed.
    pub fn read(store: &Store, of_settings: Option<Declared>) -> Result<Self> {
        let is_of_settings = of_settings.is_some();
        let stored = if is_of_settings { None } else { store.read(|tx| tx.get(&PROFILES, &KEY.to_owned()))? };
        let stored = stored.and_then(|Stored { text, .. }| match Profile::parse(&text) {
            Ok(profile) => Some(Declared { profile, from: FROM.to_owned(), text: Some(text) }),
            Err(mistakes) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!("the stored profile of the relay cannot be read, and nothing is declared: {first}");
                None
            }
        });
        let now = RwLock::new(of_settings.or(stored).map(Arc::new));
        Ok(Self { is_of_settings, now, storing: tokio::sync::Mutex::default() })
    }

    pub fn now(&self) -> Option<Arc<Declared>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Relay {
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
            "Nothing changes at the broker before it is applied.".to_owned(),
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
        let _storing = self.declaration.storing.lock().await;
        let note = caller.note(Action::RelayProfile, profile.name());
        let stored = text.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            tx.put(&PROFILES, &KEY.to_owned(), &Stored { text: stored, stored: tx.now() })
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
