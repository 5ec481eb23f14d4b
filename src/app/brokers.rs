//! From settings to brokers: the main one, and those that have the same namespaces. None is asked anything yet.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::settings::{ClientCertificate as Files, Settings, SiteSettings};
use crate::base::{Error, Result, Secret};
use crate::ports::amqp::AmqpDoor;
use crate::ports::broker::{Broker, Handle, ManagementBroker, ManagementSettings, Site};
use crate::ports::resolve::Resolver;
use crate::ports::tls::{ClientCertificate, Tls};

/// All brokers of an appliance.
pub struct Brokers {
    /// The one that decides what is lent; none while none is configured.
    pub main: Handle<dyn Broker>,
    /// Those that get what it has.
    pub further: Vec<Site<dyn Broker>>,
}

impl Brokers {
    /// Only the main one, if there is one.
    pub fn one(main: Option<Arc<dyn Broker>>) -> Self {
        Self { main: Handle::new(main), further: Vec::new() }
    }

    /// Those of the settings.
    pub fn of(settings: &Settings) -> Result<Self> {
        let further = settings.sites.iter().map(further).collect::<Result<_>>()?;
        Ok(Self { further, ..Self::one(broker(settings)?) })
    }
}

/// The main broker of these settings, if they name one.
pub fn broker(settings: &Settings) -> Result<Option<Arc<dyn Broker>>> {
    let Some(broker) = &settings.broker else { return Ok(None) };
    let client = management(&broker.base_url, &broker.username, &broker.password, tls(settings)?)?;
    Ok(Some(Arc::new(client.with_door(amqp_door(settings)?))))
}

fn further(settings: &SiteSettings) -> Result<Site<dyn Broker>> {
    let SiteSettings { name, base_url, username, password, vhost, ca_file, certificate } = settings;
    let in_file = |key: &str| format!("{key} of the broker `{name}`");
    let tls = tls_of(ca_file.as_deref(), certificate.as_ref(), ["ca_file", "cert", "key"].map(in_file))?;
    let client = management(base_url, username, password, tls)?;
    Ok(Site { name: name.clone(), vhost: vhost.clone(), side: Handle::new(Some(Arc::new(client))) })
}

fn management(url: &Url, username: &str, password: &Secret, tls: Tls) -> Result<ManagementBroker> {
    let (url, username, password) = (url.clone(), username.to_owned(), password.clone());
    let settings = ManagementSettings { url, username, password, tls };
    ManagementBroker::new(&settings, Resolver::system()?)
}

/// Where lent users log in, to try it ourselves.
pub(super) fn amqp_door(settings: &Settings) -> Result<AmqpDoor> {
    let url = Url::parse(&settings.namespaces.amqp.url());
    let url = url.map_err(|e| Error::invalid("not an AMQP address").because(e))?;
    AmqpDoor::new(&url, tls(settings)?, Resolver::system()?)
}

/// How to speak TLS to the main broker, on both of its doors.
fn tls(settings: &Settings) -> Result<Tls> {
    let Some(broker) = &settings.broker else { return Ok(Tls::default()) };
    let names = ["RABBIT_CA_FILE", "RABBIT_CERT", "RABBIT_KEY"].map(str::to_owned);
    tls_of(broker.ca_file.as_deref(), broker.certificate.as_ref(), names)
}

fn tls_of(ca_file: Option<&Path>, certificate: Option<&Files>, names: [String; 3]) -> Result<Tls> {
    let authorities = ca_file.map(|path| read(&names[0], path)).transpose()?;
    let identity = match certificate {
        None => None,
        Some(files) => Some(ClientCertificate {
            certificate: read(&names[1], &files.cert_file)?,
            key: Secret::new(read(&names[2], &files.key_file)?),
        }),
    };
    Ok(Tls { authorities, identity })
}

fn read(setting: &str, path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| {
        Error::invalid(format!("the file of {setting} cannot be read")).because(format!("{}: {e}", path.display()))
    })
}
