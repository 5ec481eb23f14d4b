//! Stories about the file of further brokers.

use super::*;

/// A load with this file of further brokers, and with that name of its own instead of its path in what is reported.
fn load_sites(sites: &str) -> Result<Vec<SiteSettings>, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("password"), "from a file\n").unwrap();
    let path = dir.path().join("sites.toml");
    fs::write(&path, sites.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    let main = "RABBIT_BASE_URL=https://broker.example/api\nRABBIT_USERNAME=a\nRABBIT_PASSWORD=b\nTASKCLUSTER_AMQP_VHOST=/main\n";
    let loaded = try_load(&[("RABBIT_SITES_FILE", path.to_str().unwrap())], &[], main);
    loaded.map(|loaded| loaded.settings.sites).map_err(|text| text.replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn every_further_broker_has_what_the_main_one_has() {
    let sites = load_sites(
        "[[site]]\nname = 'eu'\nbase_url = 'https://eu.example:15671/api/'\nusername = 'admin'\npassword = 's$cret'\n\
         [[site]]\nname = 'us-1'\nbase_url = 'http://us.example/api'\nusername = 'admin'\npassword_file = 'DIR/password'\n\
         vhost = '/us'\nca_file = '/ca.pem'\ncert = '/c.pem'\nkey = '/k.pem'\n",
    );
    let sites = sites.unwrap();
    let [eu, us] = sites.as_slice() else { panic!("{sites:?}") };
    assert_eq!((eu.name.as_str(), eu.base_url.as_str()), ("eu", "https://eu.example:15671/api"));
    assert_eq!((eu.vhost.as_str(), &eu.password, &eu.certificate), ("/main", &Secret::new("s$cret"), &None));
    assert_eq!((us.vhost.as_str(), &us.password), ("/us", &Secret::new("from a file")));
    assert_eq!(us.ca_file.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(us.certificate.as_ref().unwrap().key_file, Path::new("/k.pem"));
    assert!(!format!("{sites:?}").contains("s$cret"));
    assert_eq!(load_sites(""), Ok(Vec::new()));
}

#[test]
fn all_that_is_wrong_with_the_file_is_reported_at_once_with_its_places() {
    let text = load_sites(
        "other = 1\n[[site]]\nname = 'main'\nbase_url = 'https://u:hunter2@eu.example'\nuser_name = 'x'\nusername = 'a:b'\n\
         password = 'hunter2'\npassword_file = '/x'\n[[site]]\nname = 'us'\nbase_url = 7\nusername = ''\n\
         password = 'p'\ncert = '/c'\n[[site]]\nname = 'us'\nbase_url = 'https://x'\nusername = 'a'\npassword = 'p'\n\
         [[site]]\nname = 'us'\nbase_url = 'https://x'\nusername = 'a'\npassword_file = 'DIR/nothing'\n\
         [[site]]\nname = 'us'\nbase_url = 'https://x'\nusername = 'a'\npassword = 'p'\nname = 'again'\n",
    );
    let text = text.unwrap_err();
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r#"
    sites.toml:1:1: expected nothing but [[site]]
    sites.toml:2:1: expected either `password` or `password_file`
    sites.toml:3:8: name: `main` is the broker of RABBIT_BASE_URL
    sites.toml:4:12: base_url: a user name or password has no place in this URL
    sites.toml:5:1: unknown key `user_name`; the nearest known one is `username`
    sites.toml:6:12: username: expected a name without a colon, not "a:b"
    sites.toml:9:1: `cert` and `key` need each other
    sites.toml:11:12: base_url: expected a text in quotes, not empty
    sites.toml:12:12: username: expected a text in quotes, not empty
    sites.toml:24:17: password_file: nothing: No such file or directory (os error 2)
    sites.toml:25:1: name: there is another site `us`
    sites.toml:30:1: duplicate key
    "#);
}

#[test]
fn a_file_that_is_no_toml_or_much_too_long_is_refused() {
    let text = load_sites("[[site]\nname = eu\n").unwrap_err();
    assert!(text.contains("sites.toml:1:"), "{text}");
    let site = |index| format!("[[site]]\nname='s{index}'\nbase_url='https://x'\nusername='a'\npassword='p'\n");
    assert_eq!(load_sites(&(0..8).map(site).collect::<String>()).unwrap().len(), 8);
    let text = load_sites(&(0..9).map(site).collect::<String>()).unwrap_err();
    assert!(text.contains("9 sites; there may be 8"), "{text}");
    let text = load_sites(&"#".repeat(70_000)).unwrap_err();
    assert!(text.contains("RABBIT_SITES_FILE: sites.toml: longer than 65536 bytes"), "{text}");
    let alone = try_load(&[("RABBIT_SITES_FILE", "/nowhere")], &[], "").unwrap_err();
    assert!(alone.contains("needs RABBIT_BASE_URL as well") && alone.contains("/nowhere: No such file"), "{alone}");
}
