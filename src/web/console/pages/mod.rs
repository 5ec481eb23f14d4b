//! The pages, one file or folder for each group of them.

pub mod access;
pub mod account;
pub mod alarms;
pub mod api;
pub mod archives;
pub mod audit;
pub mod backups;
pub mod broker;
pub mod clients;
pub mod exchange;
pub mod history;
pub mod hosts;
pub mod leases;
pub mod login;
pub mod loops;
pub mod namespaces;
pub mod notices;
pub mod oidc;
pub mod overview;
pub mod queue;
pub mod queues;
pub mod roles;
pub mod settings;
pub mod setup;
pub mod theme;
pub mod traffic;
