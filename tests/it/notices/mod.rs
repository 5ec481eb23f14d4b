//! Stories about notices: an outbox in memory, receivers in this process, and a clock moved by hand.

mod doors;
mod http;
mod outbox;
#[path = "../../support/smtp.rs"]
mod smtp;
mod world;
