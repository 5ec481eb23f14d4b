//! Stories about the settings files of packages, ours and the ancestors'.

use super::super::sources::gather;
use super::super::storage::DATA_DIR;
use super::*;

/// A settings file of the package that had an appliance for host credentials only.
const ANCESTOR: &str = "\
# Configuration of the host-secrets service
export TASKCLUSTER_SCOPE_BASE=\"assume:project:example:host:\"
export TASKCLUSTER_CLIENT_ID_BASE=\"project/example/host/\"
export TASKCLUSTER_CREDENTIALS_EXPIRE=\"4 days\"
export TASKCLUSTER_ALLOWED_IPS=\"::ffff:10.0.0.0/8 10.0.0.0/8\"
export TASKCLUSTER_CLIENT_ID=project/example/host-secrets
export TASKCLUSTER_ACCESS_TOKEN=a-permanent-token
export FORCE_SSL=true
export TRUST_PROXY=false
export PORT=8020
export NODE_ENV=production
export DEPLOY_ENV=production
export DEBUG=\"*\"
";

/// The same, as its start script was given it.
const ANCESTOR_OPTIONS: &str = "\
OPTIONS=\"--scope-base assume:project:example:host: --client-id-base=project/example/host/ --expires '4 days' \
--allowed-ips '::ffff:10.0.0.0/8 10.0.0.0/8' --client-id project/example/host-secrets --token a-permanent-token \
--force-ssl --trust-proxy false --port 8020 --env production\"
DEBUG=1
";

#[test]
fn the_packaged_settings_file_has_every_setting_and_its_defaults() {
    let packaged = template();
    let loaded = load_file(&packaged);
    assert_eq!(shown(&loaded, "NODE_ENV").0.as_deref(), Some("production"));
    // The one thing that is left to do: nobody but the operator knows where TLS ends.
    assert!(loaded.warnings.len() == 1 && loaded.warnings[0].starts_with("FORCE_SSL"), "{:?}", loaded.warnings);
    let defaults = load_file("NODE_ENV=production");
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(line) if line.starts_with(|c: char| c.is_ascii_uppercase()) => line.to_owned(),
        _ => line.to_owned(),
    };
    let all = load_file(&packaged.lines().map(|line| uncommented(line) + "\n").collect::<String>());
    for (setting, (given, default)) in list::all().zip(all.settings.effective.iter().zip(&defaults.settings.effective))
    {
        assert_eq!(given.value, default.value, "{}", setting.name);
        let line =
            |name: &str| packaged.lines().any(|line| line.trim_start_matches('#').split('=').next() == Some(name));
        assert!(line(setting.name) && setting.file_name().is_none_or(line), "{}", setting.name);
    }
}

#[test]
fn settings_files_of_the_ancestor_are_understood_as_lines_and_as_flags() {
    let [lines, flags] = [ANCESTOR, ANCESTOR_OPTIONS].map(load_file);
    assert!(
        lines.warnings[0].ends_with("keylender.conf:12: `DEPLOY_ENV` has no effect in this version"),
        "{:?}",
        lines.warnings
    );
    assert_eq!(lines.warnings[1..], flags.warnings);
    for (setting, (line, flag)) in list::all().zip(lines.settings.effective.iter().zip(&flags.settings.effective)) {
        if setting.name != "DEBUG" {
            assert_eq!(line.value, flag.value, "{}", setting.name);
        }
    }
    assert!(shown(&flags, "PORT").1.ends_with("keylender.conf:1"), "{:?}", shown(&flags, "PORT"));
}

#[test]
fn options_outweigh_the_other_lines_of_their_file_only() {
    let file = "OPTIONS='--port 1 --bind ::1'\nPORT=2\n";
    let loaded = try_load(&[("BIND", "::2")], &[], file).unwrap();
    assert_eq!((shown(&loaded, "PORT").0.as_deref(), shown(&loaded, "BIND").0.as_deref()), (Some("1"), Some("::2")));
    assert_eq!(shown(&try_load(&[], &[("PORT", "3")], file).unwrap(), "PORT").0.as_deref(), Some("3"));
}

#[test]
fn what_is_wrong_in_options_is_said_and_no_lost_word_is_repeated() {
    insta::assert_snapshot!(problems_of("OPTIONS='a-lost-token --prot 1 --port --force-ssl'\n"), @r"
    keylender.conf:1: OPTIONS: expected a flag such as --port where a word stands
    keylender.conf:1: OPTIONS: unknown flag --prot; the nearest known setting is `PORT`
    keylender.conf:1: OPTIONS: expected a flag such as --port where a word stands
    keylender.conf:1: OPTIONS: --port needs a value
    ");
    assert_eq!(problems_of("OPTIONS=\"--env 'x\"\n"), "keylender.conf:1: OPTIONS: a quote is not closed");
}

#[test]
fn instances_of_a_host_keep_their_data_apart() {
    for (file, expected) in [
        (None, "/var/lib/keylender"),
        (Some("/etc/keylender.conf"), "/var/lib/keylender"),
        (Some("/etc/host-secrets.conf"), "/var/lib/host-secrets"),
        (Some("/srv/own/other.conf"), "/var/lib/keylender"),
        (Some("/etc/keylender"), "/var/lib/keylender"),
    ] {
        let sources = Sources {
            flags: vec![("NODE_ENV".into(), "production".into())],
            environment: Vec::new(),
            config_file: file.map(PathBuf::from),
        };
        // The files are not there, which is a problem of its own.
        let values = gather(&sources, &mut Report::default());
        assert_eq!(values.text(&DATA_DIR.info).as_deref(), Some(expected), "{file:?}");
    }
}
