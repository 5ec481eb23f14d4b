//! The profiles that are built in, as texts: to be used as they are, or copied and changed.

/// Their names and texts.
pub const PRESETS: [(&str, &str); 4] = [
    ("mig-2015", include_str!("presets/mig-2015.toml")),
    ("mig-2018", include_str!("presets/mig-2018.toml")),
    ("mig-2019", include_str!("presets/mig-2019.toml")),
    ("plain", include_str!("presets/plain.toml")),
];

/// The text of the one of this name.
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
