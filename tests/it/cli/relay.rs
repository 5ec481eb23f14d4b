//! Profiles of relays on the command line, without an appliance.

use std::fs;

use super::Home;

#[test]
fn a_built_in_profile_is_printed_to_be_copied_and_passes_the_check() {
    let home = Home::new();
    // What holds on this host is no matter.
    home.write_settings("PORT=eighty\n");
    for name in ["mig-2015", "mig-2018", "mig-2019", "plain"] {
        let file = home.dir.path().join(name);
        fs::write(&file, home.run(&["relay", "profile", name]).well()).unwrap();
        let said = home.run(&["relay", "check", file.to_str().unwrap()]).well();
        assert!(said.starts_with("the relay `") && said.contains("1 vhosts"), "{said}");
    }
    assert_eq!(home.run(&["relay", "profile", "mig-2016"]).code, 2);
    assert_eq!(home.run(&["relay", "schema"]).json()["title"], "Profile of a relay");
}

#[test]
fn every_mistake_of_a_profile_is_told_with_its_place() {
    let home = Home::new();
    let file = home.dir.path().join("relay.toml");
    fs::write(&file, "name = 'r'\n[[acount]]\nname = 'a'\n[[vhost]]\n").unwrap();
    let file = file.to_str().unwrap();
    let said = home.run(&["relay", "check", file]).lines(1).replace(file, "relay.toml");
    insta::assert_snapshot!(said, @"
    relay.toml:2:3: unknown key `acount`; the nearest known one is `account`
    relay.toml:4:1: `name` is missing from [[vhost]]; add it
    keylender: this is no profile that can be used
    ");
    assert!(home.run(&["relay", "check", "nowhere.toml"]).sentence(1).contains("the profile cannot be read"));
}

#[test]
fn a_rotation_wants_a_reason_and_an_account_that_is_applied() {
    let home = Home::new();
    home.write_settings(
        "RELAY_PROFILE=plain\nRABBIT_BASE_URL=http://localhost:1/api\nRABBIT_USERNAME=admin\nRABBIT_PASSWORD=x\n",
    );
    assert_eq!(home.run(&["relay", "rotate", "shop"]).code, 2, "no reason");
    for more in [["--plan", "--close-connections"], ["--reason", "to see"]] {
        let said = home.run(&[["relay", "rotate", "shop"].as_slice(), &more].concat()).sentence(1);
        assert!(said.contains("the account `shop` is not applied yet"), "{said}");
    }
    let said = home.run(&["relay", "rotate", "nobody", "--reason", "to see"]).sentence(1);
    assert_eq!(said, "the profile of the relay declares no account `nobody`");
    let shown = home.run(&["relay", "show"]).well();
    assert!(shown.contains("shop       in-turn") && shown.contains("HOLDERS"), "{shown}");
}
