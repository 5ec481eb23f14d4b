//! What the scheduler admits, and what is said about a file.

use super::*;
use crate::proto::go_regex::{Reason, Side};

fn list(file: &str) -> Whitelist {
    Whitelist::parse(file.as_bytes()).unwrap()
}

fn mistakes(file: &[u8]) -> Vec<String> {
    Whitelist::parse(file).unwrap_err().iter().map(ToString::to_string).collect()
}

fn oddities(file: &str) -> Vec<(usize, Oddity)> {
    list(file).warnings().iter().map(|warning| (warning.line, warning.oddity.clone())).collect()
}

fn admitting(file: &str, queueloc: &str) -> Option<usize> {
    list(file).admits(queueloc).map(|line| line.number)
}

#[test]
fn a_plain_line_admits_its_text_and_nothing_else() {
    let file = "linux.a.b\nlinux.c \n#x\nre:x\nre:\n";
    for (queueloc, line) in [
        ("linux.a.b", Some(1)),
        ("linux.a.b ", None),
        ("Linux.a.b", None),
        ("linuxxaxb", None),
        ("linux.c", None),
        ("linux.c ", Some(2)),
        ("#x", Some(3)),
        ("re:x", Some(4)),
        ("x", None),
        ("re:", Some(5)),
        ("", None),
    ] {
        assert_eq!(admitting(file, queueloc), line, "{queueloc:?}");
    }
}

#[test]
fn a_pattern_is_held_by_text_as_the_scheduler_holds_it() {
    for (line, queueloc, admitted) in [
        ("re:a|b", "axx", true),
        ("re:a|b", "xxb", true),
        ("re:a|b", "xax", false),
        ("re:a|", "zz", true),
        (r"re:foo\", "foo$", true),
        (r"re:foo\", "foo", false),
        (r"re:\Qa.b", "a.b$", true),
        (r"re:\Qa.b", "a.b", false),
        ("re:a{2", "a{2", true),
        ("re:(?i)LINUX", "linux", true),
        ("re:(?m)x", "x\ny", true),
        ("re:.*", "x\ny", false),
        ("re:é", "é", true),
        ("re:^a$", "a", true),
        ("re:ab", "ab", true),
        ("re:ab", "ab\n", false),
        (r"re:linux\.db\d+\..*", "linux.db1.x", true),
        (r"re:linux\.db\d+\..*", "linux.db٧.x", false),
    ] {
        assert_eq!(list(line).admits(queueloc).is_some(), admitted, "{line} on {queueloc:?}");
    }
}

#[test]
fn the_first_line_that_admits_is_told_with_its_number() {
    let whitelist = list("x\n\nre:l.*\nlinux\nlinux\n");
    let line = whitelist.admits("linux").unwrap();
    assert_eq!((line.number, line.text.as_str(), line.is_pattern()), (3, "re:l.*", true));
    assert_eq!(whitelist.admits("").map(|line| line.number), Some(2));
}

#[test]
fn lines_end_as_the_scheduler_ends_them() {
    for (file, lines) in [
        ("", vec![]),
        ("\n", vec![""]),
        ("\r", vec![""]),
        ("a", vec!["a"]),
        ("a\r", vec!["a"]),
        ("a\r\nb\n\n", vec!["a", "b", ""]),
        ("a\r\r\n", vec!["a\r"]),
        ("a\rb", vec!["a\rb"]),
    ] {
        let whitelist = list(file);
        let texts: Vec<&str> = whitelist.lines().iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, lines, "{file:?}");
    }
}

#[test]
fn behind_a_line_without_room_in_the_buffer_nothing_is_read() {
    let (longest, longer) = ("x".repeat(LINE_LEN_MAX), "x".repeat(LINE_LEN_MAX + 1));
    assert_eq!(admitting(&format!("a\n{longest}\nb\n"), "b"), Some(3));
    assert_eq!(admitting(&format!("a\n{longest}"), &longest), Some(2));
    for file in [format!("a\n{longer}\nb\nc\n"), format!("a\n{longest}\r\nb\nc")] {
        assert_eq!((admitting(&file, "a"), admitting(&file, "b")), (Some(1), None));
        assert_eq!(oddities(&file), [(2, Oddity::TooLong { behind: 2 })]);
    }
}

#[test]
fn every_mistake_is_told_with_its_line_its_place_and_what_to_write() {
    let file = b"a\nre:x(?<n>y)z\nre:[a\nb\xff\nre:c**\nre:\\p{Greek\n";
    assert_eq!(
        mistakes(file),
        [
            "line 2: at byte 4: Go before 1.22 does not take a name without `P`; was `re:x(?P<n>y)z` meant?",
            "line 3: at byte 3: the bracket `[` is never closed",
            "line 4: it is not UTF-8, which every agent's name is",
            "line 5: at byte 5: a repetition is repeated; Go wants it in a group; was `re:c*` meant?",
            "line 6: at byte 3: Go does not know this property",
        ]
    );
}

#[test]
fn a_mistake_tells_whether_the_scheduler_would_make_it_too() {
    for (line, side) in [("re:a(b", Side::EveryGo), ("re:(?<n>a)", Side::SomeGo)] {
        let Err(found) = Whitelist::parse(line.as_bytes()) else { panic!("{line} is taken") };
        let [Mistake { fault: Fault::Pattern(refusal), .. }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(refusal.reason.side(), side);
    }
}

#[test]
fn a_file_has_limits() {
    let long = ("a".repeat(1023) + "\n").repeat(FILE_LEN_MAX / 1024);
    assert!(Whitelist::parse(long.as_bytes()).is_ok());
    let found = Whitelist::parse(format!("{long}b").as_bytes()).unwrap_err();
    assert_eq!(found, [Mistake { line: FILE_LEN_MAX / 1024 + 1, fault: Fault::FileTooLong }]);
    let large = format!("re:{}\n", "a".repeat(LINE_LEN_MAX - 3));
    let found = Whitelist::parse(large.repeat(30).as_bytes()).unwrap_err();
    assert!(matches!(found.as_slice(), [Mistake { fault: Fault::ProgramsTooLarge, .. }]), "{found:?}");
    let found = Whitelist::parse("re:((\n".repeat(REMARKS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(found.len(), REMARKS_MAX);
}

#[test]
fn what_is_odd_is_told_and_taken() {
    let instead = |line: &str| Some(line.to_owned());
    for (line, oddity) in [
        ("", Oddity::Empty),
        (" a", Oddity::Padded),
        ("a\t", Oddity::Padded),
        ("re:a ", Oddity::Padded),
        ("\u{feff}a", Oddity::ByteOrderMark),
        ("# all of them", Oddity::Comment),
        ("re:x", Oddity::TooShort),
        ("re:", Oddity::TooShort),
        ("re:.*", Oddity::Everybody),
        ("re:[^y]+", Oddity::Everybody),
        (r"re:foo\", Oddity::EndIsText { instead: instead("re:foo") }),
        (r"re:\Qa|b", Oddity::EndIsText { instead: instead(r"re:\Qa|b\E") }),
        (r"re:\Qa\", Oddity::EndIsText { instead: instead(r"re:\Qa\\E") }),
        (r"re:foo|b\", Oddity::EndIsText { instead: None }),
        ("re:a|b", Oddity::NotWhole { instead: instead("re:(a|b)") }),
        ("re:(?i)linux.*|darwin", Oddity::NotWhole { instead: instead("re:((?i)linux.*|darwin)") }),
        ("re:(?m)x", Oddity::NotWhole { instead: instead("re:((?m)x)") }),
        ("re:x(?m)", Oddity::NotWhole { instead: instead("re:(x(?m))") }),
    ] {
        assert_eq!(oddities(&format!("{line}\n")), [(1, oddity)], "{line}");
    }
    assert_eq!(oddities(r"re:foo\\"), []);
    assert_eq!(oddities("re:(a|b)\nre:^a$|^b$\nre:^.*x$\nre:#x\n"), []);
    let crlf = [(1, Oddity::CarriageReturn), (3, Oddity::Duplicate { first: 1 }), (4, Oddity::Empty)];
    assert_eq!(oddities("a\r\nb\r\na\r\n\r\n"), crlf);
    let all = [(1, Oddity::NotWhole { instead: instead("re:(a|)") }), (1, Oddity::Everybody)];
    assert_eq!(oddities("re:a|"), all);
}

#[test]
fn what_is_offered_holds_every_alternative_and_keeps_the_flags() {
    let whitelist = list("re:(?i)linux.*|darwin");
    let [Warning { oddity: Oddity::NotWhole { instead: Some(instead) }, .. }] = whitelist.warnings() else {
        panic!("{:?}", whitelist.warnings())
    };
    for (queueloc, before, after) in
        [("Linux1", true, true), ("DARWIN", true, true), ("darwin1", false, false), ("1darwin", true, false)]
    {
        assert_eq!(whitelist.admits(queueloc).is_some(), before, "{queueloc}");
        assert_eq!(list(instead).admits(queueloc).is_some(), after, "{queueloc}");
    }
}

#[test]
fn a_warning_is_one_sentence() {
    let told: Vec<String> = list("re:a|b\n\n").warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1: `^` and `$` do not hold the whole: parts of a name are enough; was `re:(a|b)` meant?",
            "line 2: it is empty, and admits an agent whose queue has no name",
        ]
    );
}

#[test]
fn the_file_has_names_first_each_line_once_and_no_stray_blanks() {
    let whitelist = list("re:b.*\r\n a\r\n\r\n   \nre:c \nre:x\nz\na\n re:zz\n  #\nre:b.*");
    let file = whitelist.to_file();
    assert_eq!(file, "a\nre:x\nz\n re:zz\n#\nre:b.*\nre:c \n");
    let again = list(&file);
    assert_eq!(again.to_file(), file);
    assert!(again.warnings().iter().all(|warning| warning.oddity != Oddity::Empty));
    assert_eq!(list("").to_file(), "");
}

#[test]
fn a_difference_is_told_in_both_directions() {
    let (file, wanted) = (list("a\nb\nre:c.*\nb\n"), list("re:c.*\nd\na\nre:e.*\nd"));
    let found = difference(&file, &wanted);
    assert_eq!(found, Difference { only_in_file: vec!["b"], only_wanted: vec!["d", "re:e.*"] });
    assert_eq!(difference(&file, &file), Difference::default());
}

#[test]
fn a_pattern_that_every_version_refuses_names_its_reason() {
    let found = Whitelist::parse(b"re:a{1001}").unwrap_err();
    assert!(matches!(&found[0].fault, Fault::Pattern(refusal) if refusal.reason == Reason::RepeatCount));
}
