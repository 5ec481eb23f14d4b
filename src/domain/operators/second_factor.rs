//! The second factor: codes of an authenticator app, and recovery codes for the day when it is lost.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{OPERATORS, Operators, Record, no_such};
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::totp;
use crate::store::{Lent, Sealed, WriteTx};

/// Recovery codes of one operator.
const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code: enough that a hash of it says nothing.
const RECOVERY_LEN: usize = 10;
/// Bytes of a secret shared with an app (RFC 4226, 4).
const KEY_LEN: usize = 20;

/// A second factor as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SecondFactor {
    /// Shared with the app, in hexadecimal.
    key: Sealed,
    /// Until a code has shown that the app has it, it is not asked for.
    is_confirmed: bool,
    /// The last step whose code was used.
    last_step: Option<u64>,
    /// Hashes of recovery codes that were not used.
    recovery: Vec<String>,
}

/// How a log-in showed the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None is set up.
    NotNeeded,
    /// By a code of the app.
    Code,
    /// By a recovery code, which is used up.
    Recovery,
    /// Not at all.
    Wrong,
}

/// What a new app is told.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The secret in base32, to be typed.
    pub secret: Secret,
    /// The same as an address that apps read.
    pub address: Secret,
}

/// Looks at a code, and notes in the record that it was used.
pub(super) fn check(tx: &WriteTx<'_, '_>, name: &OperatorName, record: &mut Record, typed: &str) -> Result<Proof> {
    let Some(second) = record.second.as_mut().filter(|second| second.is_confirmed) else {
        return Ok(Proof::NotNeeded);
    };
    let key = key_of(&tx.open(&OPERATORS, name, &second.key)?)?;
    if let Some(step) = totp::accepts(&key, typed, seconds(tx.now()), second.last_step) {
        second.last_step = Some(step);
        return Ok(Proof::Code);
    }
    let hash = hash_of(typed);
    let before = second.recovery.len();
    second.recovery.retain(|code| *code != hash);
    Ok(if second.recovery.len() < before { Proof::Recovery } else { Proof::Wrong })
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_seconds()).unwrap_or(0)
}

/// However it was typed: in any letter case, with or without its hyphens.
fn hash_of(code: &str) -> String {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    hex(&Sha256::digest(code.as_bytes()))
}

fn key_of(secret: &Secret) -> Result<Vec<u8>> {
    let text = secret.expose();
    let byte = |at: usize| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len() / 2).map(|at| byte(2 * at)).collect();
    bytes.ok_or_else(|| Error::internal("reading a second factor", "it is not hexadecimal"))
}

/// Random bytes, as many as are asked for, up to 32.
fn random(len: usize) -> Vec<u8> {
    Sha256::digest(Secret::generate_long().expose().as_bytes()).iter().copied().take(len).collect()
}

fn recovery_code() -> Secret {
    let text = totp::base32(&random(RECOVERY_LEN));
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..(at + 4).min(text.len())]).collect();
    Secret::new(groups.join("-"))
}

impl Operators {
    /// Begins to set up a second factor for who is signed in; it counts once [`Operators::confirm_second_factor`] saw a code.
    pub async fn enrol_second_factor(&self, caller: &Caller, name: OperatorName) -> Result<Lent<Enrolment>> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut record = tx.get(&OPERATORS, &name)?.ok_or_else(|| no_such(&name))?;
                if record.second.as_ref().is_some_and(|second| second.is_confirmed) {
                    return Err(Error::conflict("there is a second factor already: remove it first"));
                }
                let key = random(KEY_LEN);
                let sealed = tx.seal(&OPERATORS, &name, &Secret::new(hex(&key)))?;
                let recovery = Vec::new();
                record.second = Some(SecondFactor { key: sealed, is_confirmed: false, last_step: None, recovery });
                tx.put(&OPERATORS, &name, &record)?;
                let secret = totp::base32(&key);
                let address = format!("otpauth://totp/Keylender:{name}?secret={secret}&issuer=Keylender");
                let note = caller.note(Action::OperatorSecondFactor, &name).with("state", "begun");
                Ok(tx.lend(note, Enrolment { secret: Secret::new(secret), address: Secret::new(address) }))
            })
            .await
    }

    /// Makes a second factor count, by a code that shows that the app has it. Returns recovery codes, which are not shown
    /// again.
    pub async fn confirm_second_factor(
        &self,
        caller: &Caller,
        name: OperatorName,
        typed: String,
    ) -> Result<Lent<Vec<Secret>>> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut record = tx.get(&OPERATORS, &name)?.ok_or_else(|| no_such(&name))?;
                let Some(second) = record.second.as_mut().filter(|second| !second.is_confirmed) else {
                    return Err(Error::conflict("no second factor is being set up"));
                };
                let key = key_of(&tx.open(&OPERATORS, &name, &second.key)?)?;
                let step = totp::accepts(&key, &typed, seconds(tx.now()), None);
                second.last_step = Some(step.ok_or_else(|| {
                    Error::invalid("this is not the code of now: look at the app again, and at the clocks of both")
                })?);
                let codes: Vec<Secret> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
                second.recovery = codes.iter().map(|code| hash_of(code.expose())).collect();
                second.is_confirmed = true;
                tx.put(&OPERATORS, &name, &record)?;
                Ok(tx.lend(caller.note(Action::OperatorSecondFactor, &name).with("state", "on"), codes))
            })
            .await
    }

    /// Removes the second factor of who is signed in and shows it once more, by a code or a recovery code.
    pub async fn remove_second_factor(&self, caller: &Caller, name: OperatorName, typed: String) -> Result<()> {
        self.throttle.admit(&name, caller.address())?;
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut record = tx.get(&OPERATORS, &name)?.ok_or_else(|| no_such(&name))?;
                match check(tx, &name, &mut record, &typed)? {
                    Proof::NotNeeded => record.second = None,
                    Proof::Code | Proof::Recovery => record.second = None,
                    Proof::Wrong => return Err(Error::invalid("this is neither the code of now nor a recovery code")),
                }
                tx.put(&OPERATORS, &name, &record)?;
                tx.audit(caller.note(Action::OperatorSecondFactor, &name).with("state", "off"));
                Ok(())
            })
            .await
    }
}

impl SecondFactor {
    pub(super) fn is_on(&self) -> bool {
        self.is_confirmed
    }

    pub(super) fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}
