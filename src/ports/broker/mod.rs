//! The message broker, as far as we need it: its users, permissions, queues with their messages, exchanges,
//! bindings and connections.
//!
//! Two full implementations, held to one contract suite (`tests/broker/contract.rs`): [`ManagementBroker`] speaks
//! to RabbitMQ's management API, [`MemoryBroker`] is a model for hermetic tests.

mod cluster;
mod connections;
mod handle;
mod identity;
mod management;
mod memory;
mod messages;
mod metrics;
mod names;
mod password;
mod patterns;
mod places;
mod queue_limits;
mod resources;
mod site;
mod subscriptions;
mod topology;
mod users;
mod versions;

pub use cluster::{Alarm, Cluster, Node, Overview};
pub use connections::{Connection, Connections};
pub use handle::{Broker, Bus, Handle};
pub use identity::{Acting, Credentials, Identity, Proven};
pub use management::{ManagementBroker, ManagementSettings};
pub use memory::MemoryBroker;
pub use messages::{BATCH_LEN_MAX, BATCH_MAX, Drain, Message, Messages, Properties, Published, Publisher};
pub use metrics::Calls;
pub use password::PasswordHash;
pub use patterns::{Changed, Construct, changed};
pub use places::{Astray, Place};
pub use queue_limits::{Overflow, QueueLimit, QueueLimits};
pub use resources::{
    Arguments, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Key, Limit, Policy, Resource, Resources,
};
pub use site::Site;
pub use subscriptions::{Subscriber, Subscription, Subscriptions};
pub use topology::{Binding, Depth, Destination, Exchange, Queue, Stream, Topology};
pub use users::{Access, Limits, Login, Permission, TopicAccess, TopicPermission, User, UserLimits, UserWish, Users};
pub use versions::{Support, Version};
