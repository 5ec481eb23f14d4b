//! Words everybody speaks: time, errors, names, secrets, the audit vocabulary. No I/O, no async.

pub mod audit;
pub mod clock;
pub mod error;
pub mod invisible;
pub mod meter;
pub mod names;
mod parsed;
pub mod rate;
mod reason;
pub mod secret;
mod service_set;
mod session_id;
pub mod slugid;
pub mod span;
pub mod text;

pub use clock::{Clock, Timestamp};
pub use error::{Error, Kind, Result};
pub use names::{
    AccountName, ArchiveName, CertificateName, ClientId, HostName, MailAddress, NamespaceName, OperatorName, Queueloc,
    RoleId, Scope, SiteName, VhostName,
};
pub use reason::Reason;
pub use secret::Secret;
pub use service_set::{ImageId, LocalImage, ServiceSetId, WorkerType};
pub use session_id::ProxySessionId;
pub use span::Span;
