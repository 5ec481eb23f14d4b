//! Which images a service may name.

use super::*;

fn digits() -> String {
    "0123456789abcdef".repeat(4)
}

#[test]
fn an_image_is_read_as_engines_read_it() {
    let digest = format!("sha256:{}", digits());
    let by_digest = format!("postgres@{digest}");
    let by_both = format!("ghcr.io/a/b:1.0@{digest}");
    let longest = format!("a.b/{}", "c".repeat(251));
    for (text, repository, tag, full) in [
        ("postgres", "docker.io/library/postgres", None, "docker.io/library/postgres:latest"),
        ("postgres:16", "docker.io/library/postgres", Some("16"), "docker.io/library/postgres:16"),
        ("docker.io/postgres", "docker.io/library/postgres", None, "docker.io/library/postgres:latest"),
        ("index.docker.io/library/postgres", "docker.io/library/postgres", None, "docker.io/library/postgres:latest"),
        ("taskcluster/proxy:v1", "docker.io/taskcluster/proxy", Some("v1"), "docker.io/taskcluster/proxy:v1"),
        ("localhost/a", "localhost/a", None, "localhost/a:latest"),
        ("localhost:5000", "docker.io/library/localhost", Some("5000"), "docker.io/library/localhost:5000"),
        ("localhost:5000/a/b/c", "localhost:5000/a/b/c", None, "localhost:5000/a/b/c:latest"),
        ("quay.io/a_b/c__d/e---f.g:A_.-", "quay.io/a_b/c__d/e---f.g", Some("A_.-"), "quay.io/a_b/c__d/e---f.g:A_.-"),
        ("[::1]:5000/a", "[::1]:5000/a", None, "[::1]:5000/a:latest"),
        ("[0:0::1]/a:b", "[::1]/a", Some("b"), "[::1]/a:b"),
        ("deadbeef", "docker.io/library/deadbeef", None, "docker.io/library/deadbeef:latest"),
        (&longest, &longest, None, &format!("{longest}:latest")),
        (&by_digest, "docker.io/library/postgres", None, &format!("docker.io/library/postgres@{digest}")),
        (&by_both, "ghcr.io/a/b", Some("1.0"), &format!("ghcr.io/a/b@{digest}")),
    ] {
        let image = ImageName::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message()));
        assert_eq!((image.repository(), image.tag(), image.is_id()), (Some(repository), tag, false), "{text}");
        assert_eq!(image.digest(), text.contains('@').then_some(digest.as_str()));
        assert_eq!((image.to_string().as_str(), image.in_full().as_str()), (text, full));
        let again = ImageName::parse(full).unwrap();
        assert_eq!((again.repository(), again.in_full().as_str()), (Some(repository), full));
        assert_eq!(serde_json::from_value::<ImageName>(serde_json::to_value(&image).unwrap()).unwrap(), image);
    }
}

#[test]
fn an_id_has_its_kind_before_it() {
    let id = format!("sha256:{}", digits());
    let image = ImageName::parse(&id).unwrap();
    assert_eq!((image.is_id(), image.repository(), image.tag(), image.digest()), (true, None, None, None));
    assert_eq!((image.to_string(), image.in_full()), (id.clone(), id.clone()));
    for (text, why) in [
        (digits(), "is read in several ways by engines"),
        ("sha256:abc".to_owned(), "expected 64 of 0-9 a-f"),
        (id.to_ascii_uppercase().replace("SHA", "sha"), "expected 64 of 0-9 a-f"),
        (format!("{id}0"), "expected 64 of 0-9 a-f"),
        (format!("sha512:{}{}", digits(), digits()), "only those of sha256:"),
    ] {
        let error = ImageName::parse(&text).unwrap_err();
        assert!(error.message().contains(why), "{text}: {}", error.message());
    }
}

#[test]
fn what_is_no_image_is_told_why() {
    let repository = "expected words of a-z 0-9";
    let long = format!("a:{}", "b".repeat(IMAGE_LEN_MAX));
    let long_path = "a/".repeat(123) + "b";
    let long_tag = format!("a:{}", "b".repeat(129));
    for (text, why) in [
        ("", "1 to"),
        (long.as_str(), "1 to"),
        (&long_path, "255"),
        (&long_tag, "the tag"),
        ("Postgres", "\"Postgres\" has capital letters"),
        ("Ghcr/a", "has capital letters"),
        ("Ghcr.io/a", "the host \"Ghcr.io\" has capital letters"),
        ("postgres:", "the tag"),
        ("postgres:.a", "the tag"),
        ("postgres:a b", "the tag"),
        ("postgres@16", "expected \"@sha256:"),
        ("postgres@sha512:00", "expected \"@sha256:"),
        ("postgres@sha256:00", "expected 64"),
        ("a@b@c", "expected \"@sha256:"),
        ("@sha256:0", "expected 64"),
        ("https://ghcr.io/a", "leave out \"https://\""),
        ("/a", repository),
        ("a/", repository),
        ("a//b", repository),
        ("../a", "the host"),
        ("a/../b", repository),
        ("a..b", repository),
        ("a___b", repository),
        ("-a", repository),
        ("--privileged", repository),
        ("a b", repository),
        ("a\0", repository),
        ("a\n", repository),
        ("p\u{f6}stgres", repository),
        ("postgres\u{200b}", "\\u{200b}"),
        ("a.:5/b", "the host"),
        ("a:0/b", "the port"),
        ("a:080/b", "the port"),
        ("a:65536/b", "the port"),
        ("a:/b", "the port"),
        ("user@ghcr.io/a", "expected \"@sha256:"),
        ("[::1/a", "the host"),
        ("[x]:1/a", "the brackets"),
    ] {
        let error = ImageName::parse(text).unwrap_err();
        assert!(error.message().contains(why), "{text}: {}", error.message());
        assert!(error.message().len() < 1_000 && !error.message().contains('\u{200b}'));
    }
}
