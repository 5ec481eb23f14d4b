//! Every rule of the product, one module per noun.
//!
//! Modules use one another only along this list, which `tests/tidy.rs` checks:
//! `accounts → auth` · `agents → accounts, auth, hosts, relay` · `actions → Domain, agents, archives, audit, auth, backups, hosts, keys, leases, loops, monitor, namespaces, operators, queues, relay` · `alarms → auth, monitor, loops, notices, parts, health, relay` · `archives → auth` · `audit → auth` · `backups → accounts, auth` · `keys → auth` · `namespaces → accounts, auth, lend_counts` · `proxy → auth, declarations, namespaces, relay` · `monitor → accounts, archives, auth, namespaces, notices` · `hosts → auth, notices, lend_counts` ·
//! `leases → agents, auth, hosts, namespaces, proxy, relay, wraps` · `wraps → auth, namespaces, notices, relay` · `loops → auth` · `notices → auth` · `operators → auth` · `relay → accounts, auth, declarations, namespaces` · `services → auth, proxy` ·
//! `parts → accounts, agents, archives, audit, auth, backups, connections, exchanges, monitor, hosts, keys, leases, namespaces, notices, operators, proxy, queues, relay, services, wraps` ·
//! `connections → auth, by_hand, monitor, namespaces` · `exchanges → by_hand, monitor, namespaces` · `queues → auth, by_hand, monitor, namespaces` · `health → accounts, backups, connections, loops, notices, parts`. Of `auth` the others use `Caller`, the proof of who asks; those that take
//! back and hand over also its clients. `health` only reads.

pub mod accounts; // broker users we answer for: wish, settle, drift
pub mod actions; // what people may change, each declared once for all faces
pub mod agents; // the agents of a fleet: heartbeats, who is let in, an account for each
pub mod alarms; // what needs somebody, and what of it an operator has seen
pub mod archives; // messages of queues in sealed files: taken, looked at, brought back
pub mod audit; // the log as something to keep: checkpoints, pruning
pub mod auth; // who is asking, and may they
pub mod backups; // backups: taken, checked, kept, proven by a restore drill
mod by_hand; // what people destroy at the broker is in the audit log first
pub mod connections; // connections of namespaces at the broker now, and closing one by hand
pub mod declarations; // declared by the settings, or else by a text that people store
pub mod exchanges; // exchanges of namespaces at the broker now, with their bindings
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
pub mod proxy; // what code in a task may reach, and by which right
pub mod queues; // a queue of a namespace at the broker now, and purging and deleting one by hand
pub mod relay; // fixed accounts and what they need in their vhosts: declared, planned, applied, watched
pub mod services; // beside a task: whom containers pass for, and what engines are told to start
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
