//! What the programs and the hosts of a relay for Mozilla InvestiGator need, as texts (docs/mig.md). Nothing here touches a
//! broker, a database or a host.

pub mod acl;
pub mod broker_tls;
pub mod clusters;
pub mod database;
pub mod gcfg;
pub mod hosts;
pub mod openpgp;
