//! Every rule of the product, one module per noun.
//!
//! Modules use one another only along this list, which `tests/tidy.rs` checks:
//! `accounts → auth` · `actions → Domain, archives, audit, auth, backups, hosts, keys, leases, loops, monitor, namespaces, operators, relay` · `alarms → auth, monitor, loops, notices, parts, health` · `archives → auth` · `audit → auth` · `backups → accounts, auth` · `keys → auth` · `namespaces → accounts, auth, lend_counts` · `monitor → accounts, archives, auth, namespaces, notices` · `hosts → auth, notices, lend_counts` ·
//! `leases → auth, hosts, namespaces, wraps` · `wraps → auth, namespaces, notices` · `loops → auth` · `notices → auth` · `operators → auth` · `relay → accounts, auth` ·
//! `parts → accounts, archives, audit, auth, backups, monitor, hosts, keys, leases, namespaces, notices, operators, relay, traffic, wraps` ·
//! `traffic → auth, monitor, namespaces` · `health → accounts, backups, loops, notices, parts, traffic`. Of `auth` the others use `Caller`, the proof of who asks; those that take
//! back and hand over also its clients. `health` only reads.

pub mod accounts; // broker users we answer for: wish, settle, drift
pub mod actions; // what people may change, each declared once for all faces
pub mod alarms; // what needs somebody, and what of it an operator has seen
pub mod archives; // messages of queues in sealed files: taken, looked at, brought back
pub mod audit; // the log as something to keep: checkpoints, pruning
pub mod auth; // who is asking, and may they
pub mod backups; // backups: taken, checked, kept, proven by a restore drill
pub mod health; // figures for health, metrics and the console
pub mod history; // who had what and when, told by the audit log
pub mod hosts; // machines known by their DNS names: verify, lend, remember
pub mod keys; // the key that seals secrets at rest
pub mod leases; // everything that is lent now, and taking it back
pub mod lend_counts; // how much was lent in each of the last hours
pub mod loops; // what runs by itself: due times, reports, pauses
pub mod monitor; // queues that grow, things nobody owns, connections that stay too long
pub mod namespaces; // claims of a namespace and what is lent for it
pub mod notices; // the outbox: what people should hear, until they have heard it
pub mod operators; // people who use the console: passwords, roles, sessions
pub mod parts; // the list of all that work when they are asked
pub mod relay; // fixed accounts and what they need in their vhosts: declared, planned, applied, watched
pub mod traffic; // what namespaces have at the broker now, and ending it by hand
pub mod wraps; // hand-over links that open once

use std::ops::Deref;
use std::sync::Arc;

/// The appliance without its faces: its parts, and what watches over them. Cheap to clone.
#[derive(Clone)]
pub struct Domain {
    pub parts: Arc<parts::Parts>,
    pub loops: loops::Loops,
    pub health: health::Health,
    pub alarms: alarms::Alarms,
}

impl Deref for Domain {
    type Target = parts::Parts;

    fn deref(&self) -> &parts::Parts {
        &self.parts
    }
}
