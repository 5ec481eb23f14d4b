//! Figures of the agents of a fleet.

use super::text::{Text, Type};
use crate::base::Result;
use crate::domain::agents::{AgentFigures, Fate, FleetTrouble, Standing};
use crate::web::state::App;

/// The fleet in numbers, and what of it needs somebody.
pub(super) struct Fleet {
    figures: AgentFigures,
    troubles: Vec<FleetTrouble>,
}

impl Fleet {
    pub async fn of(app: &App) -> Result<Self> {
        Ok(Self { figures: app.agents.figures().await?, troubles: app.agents.troubles().await? })
    }

    pub fn write(&self, text: &mut Text) {
        let AgentFigures { standings, duplicates, pending, overdue, reading, fates, .. } = &self.figures;
        let of = |standing| standings.iter().find(|(each, _)| *each == standing).map_or(0, |(_, count)| *count);
        let counts = Standing::ALL.map(|standing| (vec![("state", standing.as_str())], of(standing) as f64));
        text.family("keylender_agents", Type::Gauge, "Agents that were heard or enrolled, by state.", counts);
        for (name, help, value) in [
            ("keylender_agents_duplicates", "Those whose queue several processes share.", *duplicates),
            ("keylender_agents_pending", "Agents that wait to be let in, or were refused.", *pending),
            ("keylender_agents_overdue", "Those whose hosts are late to enrol again.", *overdue),
            ("keylender_agents_reading", "1 while their heartbeats are read.", usize::from(reading.since.is_some())),
        ] {
            text.single(name, Type::Gauge, help, value as f64);
        }
        let lag = reading.lag_ms.map(|lag| (Vec::new(), lag as f64 / 1e3));
        let help = "How late half of the last heartbeats were kept, since they were sent.";
        text.family("keylender_agents_lag_seconds", Type::Gauge, help, lag);
        let count = |fate: Fate| fates.iter().find(|(each, _)| *each == fate).map_or(0, |(_, count)| *count);
        let fates = Fate::ALL.map(|fate| (vec![("outcome", fate.code())], count(fate) as f64));
        let help = "Heartbeats of agents, by what they came to.";
        text.family("keylender_agents_heartbeats_total", Type::Counter, help, fates);
        let present = |about: &str| f64::from(u8::from(self.troubles.iter().any(|trouble| trouble.about == about)));
        let troubles = FleetTrouble::ABOUT.map(|about| (vec![("about", about)], present(about)));
        let help = "1 while something of the fleet needs somebody.";
        text.family("keylender_agents_trouble", Type::Gauge, help, troubles);
    }
}
