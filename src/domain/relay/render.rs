//! Files that are written for programs, with the login that is lent today: a text each, and where it belongs.

use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::{Login, Relay};
use crate::base::audit::Action;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::mig::gcfg;
use crate::proto::relay_profile::{FILE, Part, PartKind};
use crate::store::Lent;

/// Longest text of a file that a setting is read from: none of the programs takes a longer value.
const SETTING_LEN_MAX: u64 = 64 * 1024;
/// Mistakes that an error names.
const NAMED_MAX: usize = 5;

/// A part as it should be now.
#[derive(Debug)]
pub struct Rendered {
    pub part: Part,
    /// Its files, each with its path on its host. What stands in them may be a password.
    pub files: Vec<(String, Secret)>,
    /// When it has to be written again; never by itself where no login is in it.
    pub expires: Option<Timestamp>,
}

impl Relay {
    /// The part that is declared under this name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn part(&self, name: &str) -> Result<Part> {
        let declared = self.declared()?;
        let found = declared.profile.parts().iter().find(|part| part.name == name);
        found.cloned().ok_or_else(|| Error::not_found("the profile of the relay declares no part of this name"))
    }

    /// What a part should be now, for a caller who may have it. A login that is in it is lent by that.
    ///
    /// # Errors
    /// `Conflict` when a setting cannot be read, or is not what the program takes, and for what agents get when they enrol. Those
    /// of [`Self::lend`].
    pub async fn render(&self, caller: &Caller, name: &str) -> Result<Lent<Rendered>> {
        let part = self.part(name)?;
        if part.account.is_none()
            && self.declared()?.profile.agents().is_some_and(|agents| agents.part.as_deref() == Some(name))
        {
            return Err(Error::conflict(
                "this part is written for each agent, with the login of its own, when its host enrols: see `keylender agent enrol`",
            ));
        }
        let settings = self.read_all(&part).await?;
        let Some((program, account)) = part.kind.program().zip(part.account.clone()) else {
            let rendered = match part.kind {
                PartKind::Whitelist => {
                    let files = vec![(part.path.clone(), Secret::new(self.whitelist().await?.0.to_file()))];
                    Rendered { part, files, expires: None }
                }
                _ => self.without_login(part, &settings)?,
            };
            let note = caller.lend_note(Action::RelayRender, name);
            return self.store.write(move |tx| Ok(tx.lend(note, rendered))).await;
        };
        // Before anything is lent: a file that nobody can use is no reason to.
        let mistakes = gcfg::check(program, part.age, &settings);
        if !mistakes.is_empty() {
            return Err(refused(&part, &mistakes));
        }
        let lent = self.lend_in(caller, &account, Some(name)).await?;
        lent.try_map(|Login { username, password, vhosts, expires, .. }| {
            let vhost = vhosts.first().map_or("", |(vhost, _)| vhost.as_str());
            let login = gcfg::Login { user: username.as_str(), password: password.expose(), vhost };
            let text = gcfg::render(program, part.age, &settings, Some(&login));
            let text = text.map_err(|mistakes| refused(&part, &mistakes))?;
            Ok(Rendered { files: vec![(part.path.clone(), Secret::new(text))], part, expires: Some(expires) })
        })
    }

    /// A part in which no login of the broker stands.
    fn without_login(&self, part: Part, settings: &Map<String, Value>) -> Result<Rendered> {
        let files = match part.kind.program() {
            Some(program) => {
                let text = gcfg::render(program, part.age, settings, None).map_err(|them| refused(&part, &them))?;
                vec![(part.path.clone(), text)]
            }
            None => {
                let files = part.files(&self.declared()?.profile, settings);
                files.transpose().map_err(|mistake| refused(&part, &[mistake]))?.unwrap_or_default()
            }
        };
        let files = files.into_iter().map(|(path, text)| (path, Secret::new(text))).collect();
        Ok(Rendered { part, files, expires: None })
    }
}

pub(super) fn refused(part: &Part, mistakes: &[gcfg::Mistake]) -> Error {
    let named: Vec<String> = mistakes.iter().take(NAMED_MAX).map(|it| format!("{}: {}", it.key, it.message)).collect();
    let more = mistakes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Error::conflict(format!("{} cannot read such settings: {}{more}", part.kind.as_str(), named.join("; ")))
}

impl Relay {
    /// The settings of a part, with those in place that are read from files of this host. Only a profile of the settings may
    /// name files: whoever stores another one need not be who may read them.
    pub(super) async fn read_all(&self, part: &Part) -> Result<Map<String, Value>> {
        let mut settings = part.settings.clone();
        for (section, values) in &mut settings {
            let Some(values) = values.as_object_mut() else { continue };
            for (key, value) in values {
                let Some(path) = value.get(FILE).and_then(Value::as_str) else { continue };
                *value = Value::String(self.read_file(&format!("{section}.{key}"), path).await?);
            }
        }
        Ok(settings)
    }

    /// What a file of this host holds that the profile names for a setting.
    pub(super) async fn read_file(&self, setting: &str, path: &str) -> Result<String> {
        if !self.is_of_settings() {
            return Err(Error::conflict(format!("the setting {setting} names a file, and the profile is stored")));
        }
        read(path).await.map_err(|error| {
            tracing::warn!("the setting {setting} of the relay cannot be read: {path}: {error}");
            Error::conflict(format!("the setting {setting} cannot be read here; the log says why"))
        })
    }
}

/// What a file holds, without the line end behind it.
async fn read(path: &str) -> std::io::Result<String> {
    // A pipe would be waited for.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let (mut text, file) = (String::new(), tokio::fs::File::open(path).await?);
    file.take(SETTING_LEN_MAX).read_to_string(&mut text).await?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
