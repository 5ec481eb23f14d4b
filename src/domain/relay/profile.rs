//! What is declared now: the profile of the settings, or else the one that was stored last, which people edit while the
//! appliance runs.

use super::{Declared, Relay, protect};
use crate::base::audit::Action;
use crate::base::{Error, Result};
use crate::domain::auth::Caller;
use crate::domain::declarations::{Declaration, Place, Unreadable};
use crate::proto::relay_profile::{Agents, Profile};
use crate::store::{Store, Table};

const PROFILE: Place = Place {
    table: Table::audited("relay_profile"),
    key: "profile",
    setting: "RELAY_PROFILE",
    one: "a profile",
    the: "the stored profile of the relay",
    no: "this is no profile",
};

/// What is declared when the appliance starts.
pub(super) fn read(store: &Store, of_settings: Option<Declared>) -> Result<Declaration<Declared>> {
    Declaration::read(&PROFILE, store, of_settings, |text| {
        Profile::parse(text).map(|profile| Declared::stored(profile, text))
    })
}

impl Declared {
    fn stored(profile: Profile, text: &str) -> Self {
        Self { profile, from: "the store".to_owned(), text: Some(text.to_owned()) }
    }
}

impl Relay {
    /// What is stored and is no profile to this version.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.declaration.unreadable()
    }

    /// Whether the profile is that of the settings, which nobody changes while the appliance runs.
    pub fn is_of_settings(&self) -> bool {
        self.declaration.is_of_settings()
    }

    /// The profile that a text is, if it may be stored.
    ///
    /// # Errors
    /// `Invalid` with every mistake and its place. `Conflict` for one that would lock us out, and while `RELAY_PROFILE` is set.
    fn check_text(&self, text: &str) -> Result<Profile> {
        let profile = self.declaration.judge(text, Profile::parse)?;
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
        let storing = self.declaration.storing.try_lock().map_err(|_| busy())?;
        let note = caller.note(Action::RelayProfile, profile.name());
        let declared = Declared::stored(profile, &text);
        self.declaration.store(storing, note, text, declared).await
    }
}
