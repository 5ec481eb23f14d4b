//! The setting of what an appliance runs for.

use super::parse;
use super::setting::{Setting, Values};

pub(super) const NODE_ENV: Setting<Mode> =
    Setting::new("NODE_ENV", "env", "development", mode).help("development, production or test");

/// What an appliance runs for; decides defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On a developer's machine.
    Development,
    /// For good.
    Production,
    /// In a test.
    Test,
}

/// A default that is another one in production.
pub(super) fn by_mode(values: &Values, elsewhere: &str, production: &str) -> String {
    let in_production = values.text(&NODE_ENV.info).as_deref() == Some("production");
    if in_production { production.to_owned() } else { elsewhere.to_owned() }
}

fn mode(text: &str) -> parse::Parsed<Mode> {
    let [development, production] = [("development", Mode::Development), ("production", Mode::Production)];
    parse::one_of(text, &[development, production, ("test", Mode::Test)])
}
