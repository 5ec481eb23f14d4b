//! `keylender key`: the key that seals secrets at rest.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::act::{self, Printed};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::Error;
use crate::domain::actions::keys::ROTATE;
use crate::store::KeySource;

#[derive(Subcommand)]
pub(super) enum Key {
    /// Shows the public name of the key
    #[command(after_help = "Example:\n  keylender key show")]
    Show(Format),
    /// Seals everything by a new key, while the appliance works on
    #[command(after_help = "Examples:\n  keylender key rotate\n  \
                            keylender key rotate <new-passphrase.txt    # when KEY_PASSPHRASE is set; change it afterwards")]
    Rotate(Printed),
}

pub(super) async fn run(command: Key, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Key::Show(format) => {
            let shown = operator.call("GET", "/key", None).await?;
            if format.json { output::json(&shown) } else { output::line(&output::text(&shown, "keyId")) }
        }
        Key::Rotate(Printed { format, given }) => {
            let input = match &settings.key {
                KeySource::Passphrase(_) if !given.plan => json!({ "passphrase": passphrase()?.as_str() }),
                _ => json!({}),
            };
            let rotated = act::run(&operator, &ROTATE.about, &[], &given, Some(input)).await?;
            let Some(rotated) = rotated else { return Ok(()) };
            if format.json {
                output::json(&rotated);
                return Ok(());
            }
            let [former, current] = ["formerKeyId", "keyId"].map(|member| output::text(&rotated, member));
            output::line(&format!("everything is sealed by the key {current}"));
            match &settings.key {
                KeySource::File(path) => output::line(&format!(
                    "backups from before need the key {former}, which is kept as {}",
                    path.with_extension(&former).display()
                )),
                _ => {
                    output::line("change KEY_PASSPHRASE now; backups from before need the old one");
                }
            }
        }
    }
    Ok(())
}

/// The new passphrase: a line on standard input that no terminal shows.
fn passphrase() -> Result<Zeroizing<String>, Error> {
    if io::stdin().is_terminal() {
        return Err(Error::invalid("a terminal would show the new passphrase: hand it in by a file or a pipe"));
    }
    let mut line = Zeroizing::new(String::new());
    let unreadable = |e: io::Error| Error::invalid("standard input cannot be read").because(e);
    io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
    let len = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(len);
    if line.is_empty() { Err(Error::invalid("there is no passphrase on standard input")) } else { Ok(line) }
}
