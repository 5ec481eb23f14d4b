//! Figures of the task proxy.

use super::text::{Text, Type};
use crate::domain::proxy::Figures;

/// What statuses begin with, as labels have it.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn write(text: &mut Text, figures: &Figures) {
    let Figures { sessions, tokens, calls, minted, not_minted, unrecorded } = figures;
    text.single("keylender_proxy_sessions", Type::Gauge, "Sessions of the task proxy that are open.", *sessions as f64);
    text.single("keylender_proxy_tokens", Type::Gauge, "Tokens of sessions that work.", *tokens as f64);
    let calls = CLASSES.iter().zip(calls).map(|(class, count)| (vec![("status", *class)], *count as f64));
    text.family("keylender_proxy_calls_total", Type::Counter, "Calls of sessions that are over, by status.", calls);
    let mints = [("minted", minted), ("failed", not_minted)]
        .map(|(outcome, count)| (vec![("outcome", outcome)], *count as f64));
    text.family("keylender_proxy_mints_total", Type::Counter, "Tokens that were asked for, by outcome.", mints);
    let help = "Calls that were answered with 503 because they could not be recorded.";
    text.single("keylender_proxy_unrecorded_total", Type::Counter, help, *unrecorded as f64);
}
