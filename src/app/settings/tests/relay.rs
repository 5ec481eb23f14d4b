//! Stories about the profile of the relay.

use super::*;

const BROKER: &str = "RABBIT_BASE_URL=https://broker.example/api\nRABBIT_USERNAME=a\nRABBIT_PASSWORD=b\n";

/// A load with this file of a profile, and with that name of its own instead of its path in what is reported.
fn load_profile(text: &str) -> Result<Option<RelaySettings>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    fs::write(&path, text).unwrap();
    let loaded = try_load(&[("RELAY_PROFILE", path.to_str().unwrap())], &[], BROKER);
    loaded.map(|loaded| loaded.settings.relay).map_err(|text| text.replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn a_profile_is_built_in_or_a_file_and_without_one_nothing_is_declared() {
    for name in ["mig-2015", "mig-2018", "mig-2019", "plain"] {
        let relay = try_load(&[("RELAY_PROFILE", name)], &[], BROKER).unwrap().settings.relay.unwrap();
        assert_eq!(relay.from, name);
        assert!(!relay.profile.accounts().is_empty(), "{name}");
    }
    let relay = load_profile("name = 'mine'\n").unwrap().unwrap();
    assert_eq!(relay.profile.name(), "mine");
    assert_eq!(load_file(BROKER).settings.relay, None);
}

#[test]
fn everything_that_is_wrong_with_a_profile_is_told_at_the_start_with_its_place() {
    let problems = load_profile("name = 'Mine'\nvhosts = 1\n[[account]]\nname = 'a'\n[[account]]\nname = 'a'\n");
    insta::assert_snapshot!(problems.unwrap_err(), @"
    relay.toml:1:8: `name`: expected 1 to 64 of a-z 0-9 -
    relay.toml:2:1: unknown key `vhosts`; the nearest known one is `vhost`
    relay.toml:6:8: there is another [[account]] with the `name` `a`; rename or remove one of them
    ");
    let error = try_load(&[("RELAY_PROFILE", "mig-2016")], &[], BROKER).unwrap_err();
    assert!(error.contains("expected mig-2015, mig-2018, mig-2019, plain, or a file that can be read"), "{error}");
    let error = try_load(&[("RELAY_PROFILE", "plain")], &[], "").unwrap_err();
    assert!(error.contains("RELAY_PROFILE: needs RABBIT_BASE_URL as well"), "{error}");
}
