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
/// By these two the account that all agents share is found in a profile: paragraphs, with a blank line between them.
const ACCOUNT: &str = "\n[[account]]\nname = \"agent\"\n";
const GRANT: &str = "[[account.grant]]\n";

/// The text of the one of this name.
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The text of the one of this name with the agents of its fleet, each with an account of its own, or all with the one that
/// the guide has. `None` for one without a fleet.
pub fn preset_with_agents(name: &str, is_shared: bool) -> Option<String> {
    let (preset, (_, agents)) = (preset(name)?, AGENTS.iter().find(|(known, _)| *known == name)?);
    Some(if is_shared {
        format!("{preset}\n{}", agents.replacen(PART, &format!("{PART}{SHARED}"), 1))
    } else {
        format!("{}\n{agents}", without_shared_account(preset))
    })
}

/// A profile without the account that all agents share: neither its paragraph, with the comment above it, nor its grants.
fn without_shared_account(preset: &str) -> String {
    let mut is_of_account = false;
    let others = preset.split("\n\n").filter(|paragraph| {
        is_of_account = format!("\n{paragraph}\n").contains(ACCOUNT) || is_of_account && paragraph.starts_with(GRANT);
        !is_of_account
    });
    others.collect::<Vec<_>>().join("\n\n")
}
