//! What is declared by the settings, or else by the text that was stored last, which people replace while the appliance
//! runs. Passwords may stand in it: it is sealed. It is read once, at the start, and held in memory from then on.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use crate::base::audit::Note;
use crate::base::text::hex;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::store::{ReadTx, Sealed, Store, Table, WriteTx};

/// Mistakes that an error names.
const NAMED_MAX: usize = 20;

/// A text as it was stored.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    text: Sealed,
    /// Since when it counts.
    stored: Timestamp,
}

/// Where a text is stored, and what is said of it.
pub struct Place {
    /// Its table, and its only key there.
    pub table: Table<String, Stored>,
    pub key: &'static str,
    /// The setting that goes before.
    pub setting: &'static str,
    /// In words: `a profile`, `this is no profile`, and `the stored profile of the relay`.
    pub one: &'static str,
    pub no: &'static str,
    pub the: &'static str,
}

/// What is declared at this moment.
pub struct Declaration<T> {
    store: Store,
    place: &'static Place,
    is_of_settings: bool,
    now: RwLock<Option<Arc<T>>>,
    unreadable: Option<Unreadable>,
    /// Held while another one is stored and takes its place, so that the last one in the store is the one that counts, and
    /// by whoever needs it to stay for so long.
    pub storing: Mutex<()>,
}

/// A stored text that declares nothing to this version: another one stored it.
pub struct Unreadable {
    /// The text.
    pub text: Secret,
    /// A sentence that names the first mistake.
    pub why: String,
}

impl<T> Declaration<T> {
    /// That of the settings, or the stored one. One that this version does not read any more is left where it is: nothing is
    /// declared then, so that nothing is changed.
    pub fn read<M: Display>(
        place: &'static Place,
        store: &Store,
        of_settings: Option<T>,
        parse: impl FnOnce(&str) -> Result<T, Vec<M>>,
    ) -> Result<Self> {
        let is_of_settings = of_settings.is_some();
        let key = place.key.to_owned();
        let stored = |tx: &ReadTx| match tx.get(&place.table, &key)? {
            Some(Stored { text, .. }) => tx.open(&place.table, &key, &text).map(Some),
            None => Ok(None),
        };
        let text = if is_of_settings { None } else { store.read(stored)? };
        let (mut now, mut unreadable) = (of_settings, None);
        match text.map(|text| (parse(text.expose()), text)) {
            None => {}
            Some((Ok(declared), _)) => now = Some(declared),
            Some((Err(mistakes), text)) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let why = format!("{} cannot be read by this version, and nothing is declared: {first}", place.the);
                tracing::error!("{why}");
                unreadable = Some(Unreadable { text, why });
            }
        }
        let now = RwLock::new(now.map(Arc::new));
        Ok(Self { store: store.clone(), place, is_of_settings, now, unreadable, storing: Mutex::default() })
    }

    /// What is declared, if anything is.
    pub fn now(&self) -> Option<Arc<T>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the settings declare it, which nobody changes while the appliance runs. Nothing that is stored counts then.
    pub fn is_of_settings(&self) -> bool {
        self.is_of_settings
    }

    /// What is stored and declares nothing, until another one is stored.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.unreadable.as_ref().filter(|_| self.now().is_none())
    }

    /// What a text declares, if one may be stored.
    ///
    /// # Errors
    /// `Invalid` with its mistakes. `Conflict` while the settings say what is declared.
    pub fn judge<P, M: Display>(&self, text: &str, parse: impl FnOnce(&str) -> Result<P, Vec<M>>) -> Result<P> {
        let Place { setting, one, no, .. } = self.place;
        if self.is_of_settings {
            let why = format!("{setting} says what is declared: take it out of the settings to store {one}");
            return Err(Error::conflict(why));
        }
        parse(text).map_err(|mistakes| {
            let mut named: Vec<String> = mistakes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = mistakes.len().saturating_sub(NAMED_MAX);
            named.extend((more > 0).then(|| format!("and {more} more")));
            Error::invalid(format!("{no} that can be used:\n{}", named.join("\n")))
        })
    }

    /// Stores a text, which counts from now on for what it declares. Its hash is noted. The guard is that of `storing`.
    pub async fn store(&self, _storing: MutexGuard<'_, ()>, note: Note, text: String, declared: T) -> Result<()> {
        let Place { table, key, .. } = self.place;
        let note = note.with("sha256", hex(&Sha256::digest(&text)));
        let (key, secret) = ((*key).to_owned(), Secret::new(text));
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            let text = tx.seal(table, &key, &secret)?;
            tx.put(table, &key, &Stored { text, stored: tx.now() })
        };
        self.store.write(change).await?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(declared));
        Ok(())
    }
}
