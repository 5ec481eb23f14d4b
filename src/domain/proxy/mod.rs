//! The task proxy: what code in a task may reach, and by which right, without holding a credential.
//!
//! Here are the judgements. The web layer's `proxy` is the face that streams, and works with what is here: an [`Upstream`] and
//! what is [`Granted`] of it, the [`Key`] that opens it, and the [`Recorder`] without which nothing is answered.

mod calls;
mod grants;
mod keys;
pub mod presets;
mod tokens;
mod upstreams;

pub use calls::{Call, Line, Place, Recorder, Settled};
pub use grants::{Granted, Rule, permission_set};
pub use keys::{Authorization, Key, Signer};
pub use tokens::{Mint, Minted, Token};
pub use upstreams::{Base, Mount, Upstream};
