//! Doors to the outside: one module per neighbour. The only users of `reqwest`, `lapin` and `hickory`.

pub mod amqp;
pub mod broker;
pub mod resolve;
pub mod tls;
