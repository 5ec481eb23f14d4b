//! What an agent's host gets beside its login: its settings, and what of the profile belongs beside them.

use serde_json::{Map, Value};

use super::Relay;
use super::render::refused;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::proto::enrolment::{File, check_authority, tar};
use crate::proto::mig::gcfg::{self, Age, Program};
use crate::proto::relay_profile::{Agents, Part, PartKind, TextOrFile};

/// Where an agent keeps its id, by its system (mig.md, 4). Nobody but root reads it, and nobody writes it.
const ID_PATHS: [(&str, &str); 2] =
    [("linux", "/var/lib/mig/.migagtid"), ("darwin", "/Library/Preferences/mig/.migagtid")];
const ID_MODE: u32 = 0o400;
/// The certificates of an authority are for everybody.
const AUTHORITY_MODE: u32 = 0o644;
/// Where they are unless the settings say.
const AUTHORITY_PATH: &str = "/etc/mig/ca.crt";

/// The files of an agent without its login and its id: made once, before anything is lent.
pub struct AgentTemplate {
    part: Part,
    settings: Map<String, Value>,
    id_path: &'static str,
    beside: Vec<File>,
}

impl Relay {
    /// What agents that are declared so get on a system.
    ///
    /// # Errors
    /// `Conflict` when the profile does not say what stands in their settings, or what it says cannot be. `Invalid` for a system
    /// for which nobody has tried it.
    pub async fn agent_template(&self, agents: &Agents, os: &str) -> Result<AgentTemplate> {
        let id_path = ID_PATHS.iter().find(|(known, _)| *known == os).map(|(_, path)| *path).ok_or_else(|| {
            Error::invalid(format!("agents of {os} cannot be enrolled yet: where they keep their id was not tried"))
        })?;
        let Some(name) = &agents.part else {
            return Err(Error::conflict(
                "the profile names no part with the settings of agents: see `part` in [agents]",
            ));
        };
        let part = self.part(name)?;
        let settings = self.read_all(&part).await?;
        let mut beside = Vec::new();
        if let Some(ca) = &agents.ca {
            let path = settings.get("certs").and_then(|certs| certs.get("ca")).and_then(Value::as_str);
            let path = path.unwrap_or(AUTHORITY_PATH).to_owned();
            beside.push(File { path, mode: AUTHORITY_MODE, text: Secret::new(self.authority(ca).await?) });
        }
        let profile = &self.declared()?.profile;
        let further = profile.parts().iter().filter(|part| matches!(part.kind, PartKind::Acl | PartKind::AgentKeys));
        for further in further {
            let files = further.files(profile, &further.settings).transpose();
            for (path, text) in files.map_err(|mistake| refused(further, &[mistake]))?.unwrap_or_default() {
                beside.push(File { path, mode: further.mode, text: Secret::new(text) });
            }
        }
        let template = AgentTemplate { part, settings, id_path, beside };
        // What cannot be written, or makes no archive, is known before anybody gets another password.
        let files = template.files("user", &Secret::new("password"), "vhost", "id")?;
        tar(&files, Timestamp::MIN).map_err(|why| Error::conflict(format!("the files make no archive: {why}")))?;
        Ok(template)
    }

    async fn authority(&self, ca: &TextOrFile) -> Result<String> {
        let text = match ca {
            TextOrFile::Text(text) => text.clone(),
            TextOrFile::File(path) => self.read_file("agents.ca", path).await? + "\n",
        };
        check_authority(&text).map_err(|why| Error::conflict(format!("`ca` in [agents]: {why}")))?;
        Ok(text)
    }
}

impl AgentTemplate {
    /// Of which age the agents are.
    pub fn age(&self) -> Age {
        self.part.age
    }

    /// The files of an agent with this login and this id.
    ///
    /// # Errors
    /// `Conflict` when the program could not read them.
    pub fn files(&self, user: &str, password: &Secret, vhost: &str, id: &str) -> Result<Vec<File>> {
        let login = gcfg::Login { user, password: password.expose(), vhost };
        let text = gcfg::render(Program::Agent, self.part.age, &self.settings, Some(&login));
        let text = text.map_err(|mistakes| refused(&self.part, &mistakes))?;
        let settings = File { path: self.part.path.clone(), mode: self.part.mode, text: Secret::new(text) };
        let id = File { path: self.id_path.to_owned(), mode: ID_MODE, text: Secret::new(id) };
        Ok([id, settings].into_iter().chain(self.beside.iter().cloned()).collect())
    }
}
