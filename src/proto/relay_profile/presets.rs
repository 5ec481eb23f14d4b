//! The profiles that are built in, as texts: to be used as they are, or copied and changed.

/// Their names and texts.
pub const PRESETS: [(&str, &str); 4] = [
    ("mig-2015", include_str!("presets/mig-2015.toml")),
    ("mig-2018", include_str!("presets/mig-2018.toml")),
    ("mig-2019", include_str!("presets/mig-2019.toml")),
    ("plain", include_str!("presets/plain.toml")),
];

/// What is added to those of them that have a fleet of agents.
const AGENTS: [(&str, &str); 3] = [
    ("mig-2015", include_str!("presets/agents-2015.toml")),
    ("mig-2018", include_str!("presets/agents-2018.toml")),
    ("mig-2019", include_str!("presets/agents-2019.toml")),
];
/// The line of these behind which it may say that agents share an account, and what it says then.
const PART: &str = "\npart = \"agent\"\n";
const SHARED: &str = "\
# All agents share this account, as the guide has it. What that gives up: every agent can read what is sent to any other and take
# its place, and the password cannot be taken from one host only.
shared-account = \"agent\"
";
/// How the comment above the account that all agents share begins, and how it begins when each has its own. A fleet that is
/// at work uses the account until the last of its agents has enrolled, and applying a profile without it removes its user.
const ALL_SHARE: &str = "\n# All agents share it. ";
const SOME_SHARE: &str = "
# Agents that have no account of their own yet use it; take it out when the last one has. Applying a profile without it removes
# its user, and so cuts off all that still use it. To rotate it \"in-turn\", say another account-prefix in [agents].
# ";

/// The text of the one of this name.
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The text of the one of this name with the agents of its fleet: each gets an account of its own, and the one that the guide
/// has is left to those that have none yet, or they go on to share that. `None` for one without a fleet.
pub fn preset_with_agents(name: &str, is_shared: bool) -> Option<String> {
    let (preset, (_, agents)) = (preset(name)?, AGENTS.iter().find(|(known, _)| *known == name)?);
    Some(if is_shared {
        format!("{preset}\n{}", agents.replacen(PART, &format!("{PART}{SHARED}"), 1))
    } else {
        format!("{}\n{agents}", preset.replacen(ALL_SHARE, SOME_SHARE, 1))
    })
}
