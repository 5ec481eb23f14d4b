//! The task proxy: what code in a task may reach, and by which right, without holding a credential.
//!
//! Here are the judgements. The web layer's `proxy` is the face that streams, and works with what is here: an [`Upstream`] and
//! what is [`Granted`] of it, the [`Key`] that opens it, and the [`Recorder`] without which nothing is answered.

mod calls;
mod grants;
mod keys;
mod opening;
mod queue;
mod tokens;

pub use calls::{Call, Line, Place, Recorder, Settled};
pub use grants::{Granted, judge, missing, permission_set};
pub use keys::{Authorization, Key, Signer};
pub use opening::{Opened, Opener, basic, client, delegable, limited};
pub use queue::{PAUSES_S, Queue};
pub use tokens::{Mint, Minted, OnMint, Token};
