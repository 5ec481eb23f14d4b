//! Stories about what a host gets: archives that every `tar` reads, ids that agents keep, and names of queues.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

fn file(path: &str, mode: u32, text: &str) -> File {
    File { path: path.to_owned(), mode, text: Secret::new(text) }
}

fn noon() -> Timestamp {
    "2026-11-01T12:00:00.900Z".parse().unwrap()
}

fn age(text: &str) -> Age {
    Age::parse(text).unwrap()
}

/// What a host with a given id is called by its queue.
fn location(at: &str, host: &str, id: &str) -> Result<String, String> {
    queueloc(age(at), "linux", host, id)
}

#[test]
fn what_tar_unpacks_is_what_was_put_in_with_its_modes_and_time() {
    let long = format!("/{}/{}", "d".repeat(49), "f".repeat(50));
    let files = [
        file("/etc/mig/mig-agent.cfg", 0o600, "[agent]\n"),
        file("/var/lib/mig/.migagtid", 0o400, "id"),
        file("/etc/mig/größe.pem", 0o644, &"x".repeat(20_000)),
        file(&long, 0o640, ""),
    ];
    let folder = tempfile::tempdir().unwrap();
    unpack(&tar(&files, noon()).unwrap(), folder.path());
    for File { path, mode, text } in &files {
        let there = folder.path().join(&path[1..]);
        assert_eq!(std::fs::read_to_string(&there).unwrap(), text.expose(), "{path}");
        let meta = std::fs::metadata(&there).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, *mode, "{path}");
        let modified = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!((i64::try_from(modified.as_secs()).unwrap(), modified.subsec_nanos()), (noon().as_seconds(), 0));
    }
}

#[test]
fn directories_that_are_there_keep_their_modes_and_files_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    std::fs::create_dir(&etc).unwrap();
    std::fs::set_permissions(&etc, std::fs::Permissions::from_mode(0o750)).unwrap();
    for text in ["of yesterday", "new"] {
        unpack(&tar(&[file("/etc/a", 0o400, text)], noon()).unwrap(), folder.path());
        assert_eq!(std::fs::read_to_string(etc.join("a")).unwrap(), text);
    }
    assert_eq!(std::fs::metadata(&etc).unwrap().permissions().mode() & 0o777, 0o750);
}

fn unpack(archive: &Secret, folder: &Path) {
    let mut tar = Command::new("tar").arg("-xpC").arg(folder).stdin(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(archive.expose().as_bytes()).unwrap();
    assert!(tar.wait().unwrap().success());
}

#[test]
fn the_same_files_at_the_same_second_are_the_same_archive_of_whole_records() {
    let files = [file("/a", 0o600, &"a".repeat(9_000)), file("/b", 0o600, "b")];
    let [one, other] =
        ["2026-12-01T12:00:00.000Z", "2026-12-01T12:00:00.999Z"].map(|at| tar(&files, at.parse().unwrap()));
    let one = one.unwrap();
    assert_eq!((one.expose().len(), &one), (20_480, &other.unwrap()));
    assert_eq!(tar(&files[1..], noon()).unwrap().expose().len(), 10_240);
    assert_eq!(tar(&[], noon()).unwrap().expose(), "\0".repeat(10_240), "nothing is an archive, too");
    let head = format!("a{}0000600\00000000\00000000\000000021450\015303533300\0", "\0".repeat(99));
    assert_eq!(&one.expose()[..148], head);
    assert_eq!(&one.expose()[257..269], "ustar\x0000root");
}

#[test]
fn what_no_archive_should_hold_is_refused() {
    let refused = |path: &str| tar(&[file(path, 0o600, "secret")], noon()).unwrap_err();
    for path in ["/", "//etc/a", "/etc/../a", "/etc/./a", "/etc/", "/a\nb", "/a\0b"] {
        assert!(refused(path).ends_with("is not the plain path of a file"), "{path:?}");
    }
    assert_eq!(refused("etc/a"), "\"etc/a\" does not begin at the root");
    let long = "n".repeat(101);
    assert_eq!(
        refused(&format!("/{long}")),
        format!("\"/{long}\" is too long for an archive: 100 bytes are the most behind the root")
    );
    let twice = [file("/a", 0o600, "1"), file("/a", 0o600, "2")];
    assert_eq!(tar(&twice, noon()).unwrap_err(), "\"/a\" is there twice");
    assert_eq!(tar(&[file("/a", 0o100_600, "")], noon()).unwrap_err(), "\"/a\" cannot have the mode 100600");
}

#[test]
fn agents_keep_the_ids_that_they_are_given() {
    let id = agent_id(age("2019-09"), &Secret::new("seed"));
    assert_eq!(id, agent_id(age("2015-03"), &Secret::new("seed")));
    assert!(id.len() == 96 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{id}");
    let dotted = agent_id(age("2016-04"), &Secret::new("seed"));
    assert_eq!(dotted.split_once('.').map(|(head, tail)| (head.len(), tail.len())), Some((48, 47)));
    assert_eq!(dotted.replace('.', &id[48..49]), id);
}

#[test]
fn ids_differ_and_have_all_signs_alike() {
    let ids: BTreeSet<String> = (0..500).map(|_| agent_id(Age::LAST, &Secret::generate())).collect();
    assert_eq!(ids.len(), 500);
    let mut counts = [0_u32; 128];
    ids.iter().flat_map(|id| id.bytes()).for_each(|sign| counts[usize::from(sign)] += 1);
    // 1333 are expected of each, with a deviation of 36.
    for sign in ID_SIGNS {
        assert!((1_100..1_600).contains(&counts[usize::from(*sign)]), "{}", char::from(*sign));
    }
}

#[test]
fn queues_have_the_name_of_the_host_in_them_until_april_2016() {
    let id = "dn0j5d3ugjk0";
    for (at, expected) in [
        ("2015-03", "linux.web7.example.net.dn0j5d3ugjk0"),
        ("2016-03", "linux.web7.example.net.dn0j5d3ugjk0"),
        ("2016-04", "linux.dn0j5d3ugjk0"),
        ("2019-09", "linux.dn0j5d3ugjk0"),
    ] {
        assert_eq!(location(at, "web7.example.net", id).unwrap(), expected, "{at}");
    }
    assert_eq!(
        queueloc(age("2019-09"), "windows", "", id).unwrap(),
        "windows.dn0j5d3ugjk0",
        "nobody asks for its name"
    );
}

#[test]
fn what_could_be_no_queue_is_said_in_words() {
    let long = "n".repeat(241 - "id".len() - 1);
    assert_eq!(location("2015-03", &long, "id").unwrap().len(), 247);
    assert_eq!(
        location("2015-03", &format!("{long}n"), "id").unwrap_err(),
        "the location of its queue would have 248 bytes: 247 are the most"
    );
    for (host, id, expected) in [
        ("web7", "", "the id of an agent is made of 0-9, a-z and A-Z"),
        ("web7", "a#", "the id of an agent is made of 0-9, a-z and A-Z"),
        ("", "a", "\"\" is no name of a host"),
        ("web 7", "a", "\"web 7\" is no name of a host"),
    ] {
        assert_eq!(location("2015-03", host, id).unwrap_err(), expected);
    }
    let of_solaris = queueloc(Age::LAST, "solaris", "web7", "a").unwrap_err();
    assert_eq!(of_solaris, "\"solaris\" is no system that agents are built for: linux, darwin, windows");
}

#[test]
fn a_longest_id_of_ours_fits_behind_every_name_that_hosts_have_in_practice() {
    let id = agent_id(Age::FIRST, &Secret::generate());
    assert_eq!(location("2015-03", &"n".repeat(144), &id).unwrap().len(), 247);
}

#[test]
fn hosts_get_certificates_of_an_authority_and_never_a_key() {
    let authority = include_str!("../../../tests/data/certificates/authority.pem");
    assert_eq!(check_authority(authority), Ok(()));
    assert_eq!(check_authority(&authority.repeat(2)), Ok(()));
    for (text, expected) in [
        ("", "expected certificates in PEM"),
        ("/etc/mig/ca.pem", "expected certificates in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "expected certificates in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "expected certificates in PEM"),
    ] {
        assert_eq!(check_authority(text), Err(expected), "{text:?}");
    }
    let with_key = format!("{authority}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n");
    assert_eq!(check_authority(&with_key), Err("a private key is in it, which every host would get; take it out"));
    assert_eq!(check_authority(&authority.repeat(200)), Err("expected at most 64 KiB"));
}
