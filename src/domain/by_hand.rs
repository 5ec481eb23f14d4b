//! What people destroy at the broker by hand: that it is about to go is in the audit log before it goes, and then how that
//! ended.

use std::future::Future;

use crate::base::audit::{Action, Note, Outcome};
use crate::base::{Error, Result};
use crate::store::Store;

/// Writes down what is about to go (`condemn`), so that a crash cannot hide it, destroys it, and writes down how it ended
/// (`action`). `NotFound` when the broker says `false`: it was gone.
pub(super) async fn destroy(
    store: &Store,
    what: &str,
    [condemn, action]: [Action; 2],
    note: impl Fn(Action) -> Note,
    request: impl Future<Output = Result<bool>>,
) -> Result<()> {
    store.note(note(condemn)).await?;
    let failed = match request.await {
        Ok(true) => return store.note(note(action)).await,
        Ok(false) => no_such(what),
        Err(error) => error,
    };
    store.note(note(action).outcome(Outcome::Failed).with("cause", failed.message())).await?;
    Err(failed)
}

pub(super) fn no_such(what: &str) -> Error {
    Error::not_found(format!("no namespace has {what} of this name now"))
}
