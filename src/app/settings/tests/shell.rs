//! The settings file against a real shell: what is accepted means the same to both.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use crate::app::settings::file;
use crate::app::settings::problems::Report;

/// The values of a settings file, by our reading; no line of it may be refused.
fn read_here(text: &str) -> Option<Vec<(String, String)>> {
    let mut report = Report::default();
    let entries = file::parse(Path::new("x"), text, &mut report);
    report.finish().ok()?;
    Some(entries.into_iter().map(|entry| (entry.name, entry.text.expose().to_owned())).collect())
}

/// What `sh` prints for these names after it has sourced a file with this text, each value closed by a NUL.
fn read_by_shell(text: &str, names: &[String]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings");
    fs::write(&path, text).unwrap();
    let prints: String = names.iter().map(|name| format!("printf '%s\\0' \"${name}\"\n")).collect();
    let script = format!("set -eu\n. {}\n{prints}", path.display());
    let output = Command::new("sh").arg("-c").arg(script).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{text}\n{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_a_shell_would_expand_split_or_run_is_refused() {
    for line in [
        "A=$HOME",
        "A=\"$HOME\"",
        "A=`id`",
        "A=\"`id`\"",
        "A=$(id)",
        "A=b;id",
        "A=b id",
        "A=b&",
        "A=b|c",
        "A=b>c",
        "A=~",
        "A=a:~",
        "A=*",
        "A=b\\ c",
        "A='b",
        "A=\"b",
        "A=\"b\\",
        "A='b'c",
        "A=b'c'",
        "A='b'#c",
        "A = b",
        "A =b",
        "A= b",
        "export A",
        "exportA",
        "readonly A=b",
        "A+=b",
        "1A=b",
        "A-B=c",
        "=b",
        "A",
        "A=b\r",
        "A=\u{1b}",
        "A=é",
        "A=\u{a0}b",
        "A=(b)",
        "A=<b",
        "\u{feff}A=b",
    ] {
        assert_eq!(read_here(line), None, "{line:?}");
    }
}

#[test]
fn what_is_accepted_reads_the_same_in_a_shell() {
    let text = [
        "# comment\n\n  A=plain-_+=.,:/@%#",
        r#"export B='single $HOME `id` \ "'  # why"#,
        "\texport\tC=\"a\\\"b\\\\c\\$d\\`e\\f'é\"",
        "D=#no-comment\nE= # comment\nF=\nG=''\nH=\"\"\nI=a#b # c",
    ]
    .join("\n");
    let values = read_here(&text).unwrap();
    let expected =
        ["plain-_+=.,:/@%#", "single $HOME `id` \\ \"", "a\"b\\c$d`e\\f'é", "#no-comment", "", "", "", "", "a#b"];
    assert_eq!(values.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), expected);
    let names: Vec<String> = values.into_iter().map(|(name, _)| name).collect();
    assert_eq!(read_by_shell(&text, &names), expected.map(|value| format!("{value}\0")).concat());
}

/// A text of characters that mean something to shells, and a few that mean nothing.
fn shellish() -> impl Strategy<Value = String> {
    let chars: Vec<char> = "'\"\\$` \t#=~:*?[]{}()!&|;<>^%@,.-+_/abXé\u{a0}".chars().collect();
    prop::collection::vec(prop::sample::select(chars), 0..8).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_line_is_accepted_reads_the_same_in_a_shell(
        lines in prop::collection::vec((shellish(), prop::sample::select(vec!["", "'", "\""]), any::<bool>()), 100)
    ) {
        let line = |(index, (text, quote, export)): (usize, &(String, &str, bool))| {
            format!("{}V{index}={quote}{text}{quote}", if *export { "export " } else { "" })
        };
        let accepted: Vec<String> =
            lines.iter().enumerate().map(line).filter(|line| read_here(line).is_some()).collect();
        let text = accepted.join("\n");
        let (names, values): (Vec<String>, Vec<String>) = read_here(&text).unwrap().into_iter().unzip();
        let expected: String = values.iter().map(|value| format!("{value}\0")).collect();
        prop_assert_eq!(read_by_shell(&text, &names), expected);
    }
}
