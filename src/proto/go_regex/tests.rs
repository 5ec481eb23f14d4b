//! What Go answered, and what is answered here.

use serde_json::Value;

use super::*;

/// Patterns and subjects that match and that do not, as Go 1.15.15, 1.19.8, 1.24.4 and 1.27.3 answered. They come from
/// random patterns, cut down to what is telling.
const ASKED: [(&str, &[&str], &[&str]); 90] = [
    (r"a*\Q\E*$", &["b", "aa"], &[]),
    ("a+(?i)*B", &["ab"], &[]),
    (r"\Qa.\E+x", &["a..x", "a.a.x"], &[]),
    (r"\Q*\E{2}", &["**"], &[]),
    (r"^\Q(\E\Q$", &["($"], &["("]),
    ("(?:^|a)+b", &["aab", "b"], &["cb"]),
    ("^(|a)*$", &["aa"], &["ab"]),
    ("^(|a)+$", &["aaa"], &[]),
    ("(?:$|a)*c", &["aac", "c"], &[]),
    (r"^(?:\b|a){2}$", &["aa", "a"], &[""]),
    ("(^)*b", &["ab"], &[]),
    (r"\B", &[""], &["aéa", "a"]),
    (r"^\B.", &["é"], &["a"]),
    (r"é\b", &["éa"], &["é"]),
    (r"\bé", &["aé"], &["é"]),
    (r"[^\x00-\x{10FFFF}]|b", &["b"], &["a"]),
    (r"a[^\pL\PL]*b", &["ab"], &[]),
    (r"\P{Any}?b", &["b"], &[]),
    (r"(?:[^\x00-\x{10FFFF}]){0}", &["x"], &[]),
    ("^[!--]+$", &["!-"], &["."]),
    ("^[+--]$", &[","], &["b"]),
    ("^[a-z--b]$", &["-", "b", "c"], &[]),
    ("^[--a]$", &["A"], &["b"]),
    (r"^[\d--a]+$", &["4-A"], &["b"]),
    (r"^[\w-.]+$", &["a-."], &["a b"]),
    ("^[a-b-c]+$", &["a-c"], &["d"]),
    (r"^[.-\]]+$", &["/A]"], &["-"]),
    ("^[a&&b]+$", &["a&b"], &[]),
    ("^[[a]b]$", &["ab]", "[b]"], &["a"]),
    ("^[^[a]$", &["b"], &["["]),
    ("^[]a]+$", &["]a"], &[]),
    ("^[^]a]$", &["b"], &["]"]),
    ("^[[:alpha]+$", &["a:["], &["b"]),
    ("^[[:alpha:]-z]+$", &["q-"], &["4"]),
    ("^[[:^space:][:space:]]$", &["\u{b}", "é"], &[]),
    ("^[[.a.]]$", &["a]", ".]"], &[]),
    ("^[[:space:]]$", &["\u{b}"], &["\u{a0}"]),
    (r"^\s$", &["\u{c}"], &["\u{b}"]),
    (r"^\S$", &["\u{b}"], &[]),
    (r"^\w$", &["_"], &["é"]),
    (r"^\d$", &[], &["٧"]),
    ("(?i)^k$", &["K", "K"], &[]),
    (r"(?i)^\w$", &["ſ", "K"], &[]),
    (r"(?i)^\W$", &["é"], &["ſ"]),
    (r"(?i)^[^\W]$", &["ſ"], &[]),
    ("(?i)^[[:^upper:]]$", &["1"], &["ſ", "a"]),
    ("(?i)^[J-L]$", &["K", "k"], &[]),
    ("(?i)^[^k]$", &[], &["K"]),
    ("(?i)^ß$", &["ẞ"], &["ss"]),
    (r"(?i)^\PL$", &["1"], &["a"]),
    (r"(?i)^\P{Lu}$", &["1"], &["a"]),
    (r"(?i)^[^\P{Lu}]$", &["a"], &[]),
    ("(?i)^ǅ$", &["ǆ", "Ǆ"], &[]),
    ("(?i)^θ$", &["ϴ"], &[]),
    ("(?i:k)|a", &["K"], &["A"]),
    ("(?i)a(?-i)b", &["Ab"], &["AB"]),
    ("^a{,2}$", &["a{,2}"], &["aa"]),
    ("^a{01}$", &["a{01}"], &["a"]),
    ("^{$", &["{"], &[]),
    ("^a{2}{$", &["aa{"], &[]),
    ("^a{ 2}$", &["a{ 2}"], &[]),
    ("^a{}b{x}}$", &["a{}b{x}}"], &[]),
    ("^x{0}$", &[""], &["x"]),
    ("^(?:x{2,})?$", &["", "xxx"], &["x"]),
    ("^a{2}?b$", &["aab"], &[]),
    (r"^\0\07\101\400$", &["\0\u{7}AĀ"], &[]),
    (r"^\08$", &["\08"], &[]),
    (r"^\x{1F642}$", &["🙂"], &[]),
    (r"^\<\>\`\_\ $", &["<>`_ "], &[]),
    ("(?m)^b$", &["a\nb\nc"], &["ab"]),
    ("(?m:^a$)$", &["b\na"], &["a\nb"]),
    (r"a(?m)\z", &[], &["a\n"]),
    ("^.$", &["é"], &["\n"]),
    ("(?s)^.$", &["\n"], &[]),
    ("(?s-m:.)$", &["\n"], &[]),
    ("^(?U)a+?$", &["aa"], &[]),
    ("(?)a", &["a"], &[]),
    ("(?ii-s:A)", &["a"], &[]),
    ("(?P<n>a)(?P<n>b)", &["ab"], &[]),
    ("(?P<1>a)", &["a"], &[]),
    ("^a|b$", &["ax", "xb"], &["x"]),
    ("^(?:|b)$", &["", "b"], &["c"]),
    ("^a||b$", &["zz"], &[]),
    ("s.|(?i)s.", &["Sa"], &[]),
    ("^A.|^[Aa]b", &["ab"], &[]),
    ("^(?:a|b|[c-e])+$", &["ade"], &[]),
    (r"^\p{Greek}\p{^Greek}\P{^Greek}$", &["αbγ"], &["aβγ"]),
    (r"^\pN+$", &["٧1"], &["a"]),
    (r"^[\pL\pN-]+$", &["a-1"], &["_"]),
    (r"\p{Cs}", &[], &["�"]),
];

/// Patterns that none of these versions takes.
const REFUSED: [&str; 57] = [
    "a**",
    "a*?*",
    "a{2}{3}",
    "a{2}?+",
    "*",
    "(*)",
    "(?i)*",
    "a|*",
    "{2}",
    "a{1001}",
    "a{2,1}",
    "a{100000000000}",
    "((a{10}){10}){11}",
    "(?:a{500}){3}",
    "(a{2,}){501}",
    "(",
    "a)",
    "[a",
    "[^]",
    r"[a-\d]",
    "[b-a]",
    "[[:foo:]]",
    "[[:foo]a:]",
    r"[\b]",
    r"[\Qa\E]",
    r"\E",
    r"\8",
    r"\1",
    r"\y",
    r"\C",
    r"\Z",
    r"\é",
    r"\x",
    r"\x4",
    r"\x{}",
    r"\x{110000}",
    r"\u0041",
    r"a\",
    "(?",
    "(?i-)",
    "(?-)",
    "(?i-s-U)",
    "(?x)",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?>a)",
    "(?#a)",
    "(?P=n)",
    "(?P<>a)",
    "(?P<n.x>a)",
    "(?P<ü>a)",
    r"\p",
    r"\p{",
    r"\pé",
    r"\p{Foo}",
    r"\p{^^L}",
];

/// Patterns that the versions do not take alike, with the reason, and what is offered.
const UNLIKE: [(&str, Reason, Option<&str>); 18] = [
    ("x(?<n>a)(?<m>b)", Reason::NameWithoutP, Some("x(?P<n>a)(?P<m>b)")),
    (r"\p{greek}", Reason::PropertyOfLater, Some(r"\p{Greek}")),
    (r"\P{signwriting}", Reason::PropertyOfLater, Some(r"\P{SignWriting}")),
    (r"\p{Uppercase_Letter}", Reason::PropertyOfLater, Some(r"\p{Lu}")),
    (r"\P{LC}", Reason::PropertyOfLater, Some(r"[^\p{Lu}\p{Ll}\p{Lt}]")),
    (r"[\p{LC}-]", Reason::PropertyOfLater, Some(r"[\p{Lu}\p{Ll}\p{Lt}-]")),
    (r"[\P{LC}-]", Reason::PropertyOfLater, None),
    (r"\p{ASCII}+", Reason::PropertyOfLater, Some(r"[\x00-\x7f]+")),
    (r"\p{Cn}", Reason::PropertyOfLater, None),
    (r"\p{Vithkuqi}", Reason::PropertyOfLater, None),
    (r"\pC", Reason::CategoryC, Some(r"[\p{Cc}\p{Cf}\p{Co}]")),
    (r"(?i)ΐ", Reason::CaseOfLater, None),
    (r"(?i)[ƛ-ƞ]", Reason::CaseOfLater, None),
    (r"A.|[Aa]b", Reason::MixedCases, None),
    (r"^(x[sS]|y|(?:LU|LV)X|(?i)l)$", Reason::MixedCases, None),
    (r"S{2}x|(?i:S){2}y", Reason::MixedCases, None),
    (r"^a\x{d800}", Reason::Surrogate, None),
    ("(a{1000}[\\pL\\pN]{1000}){1000}", Reason::RepeatCount, None),
];

fn answer(pattern: &str, subject: &str) -> Option<bool> {
    GoRegex::compile(pattern).ok().map(|regex| regex.is_match(subject))
}

#[test]
fn what_go_matches_is_matched_and_nothing_else() {
    for (pattern, matching, other) in ASKED {
        let regex = GoRegex::compile(pattern).unwrap_or_else(|refusal| panic!("{pattern}: {refusal}"));
        assert!(matching.iter().all(|subject| regex.is_match(subject)), "{pattern} does not match all of {matching:?}");
        assert!(!other.iter().any(|subject| regex.is_match(subject)), "{pattern} matches one of {other:?}");
    }
}

#[test]
fn what_no_go_takes_is_refused_in_its_name() {
    for pattern in REFUSED {
        let side = GoRegex::compile(pattern).err().map(|refusal| refusal.reason.side());
        assert_eq!(side, Some(Side::EveryGo), "{pattern}");
    }
}

#[test]
fn what_versions_take_differently_is_refused_with_what_all_take_alike() {
    for (pattern, reason, instead) in UNLIKE {
        let refusal = GoRegex::compile(pattern).unwrap_err();
        assert_eq!((refusal.reason, refusal.instead.as_deref()), (reason, instead), "{pattern}");
    }
}

#[test]
fn every_answer_of_go_that_was_seen_is_given() {
    let vectors = include_str!("../../../tests/fixtures/vectors/regex-differences.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut asked = 0;
    for row in vectors["rows"].as_array().unwrap() {
        let pattern = row["pattern"].as_str().unwrap();
        // Those that are not UTF-8 are none of ours.
        let Some(subject) = row["subject"].as_str() else { continue };
        let expected = match &row["go"] {
            Value::Bool(is_match) => Some(*is_match),
            // Refused, or not by all versions.
            Value::String(_) | Value::Object(_) => None,
            other => panic!("{other}"),
        };
        assert_eq!(answer(pattern, subject), expected, "{pattern} on {subject:?}");
        if row["go"].is_object() {
            let side = GoRegex::compile(pattern).unwrap_err().reason.side();
            assert_eq!(side, Side::SomeGo, "{pattern}");
        }
        asked += 1;
    }
    assert_eq!(asked, 961);
}

#[test]
fn a_refusal_names_the_place_the_reason_and_a_pattern_that_is_taken() {
    for (pattern, said) in [
        ("ab[c-a]", "at byte 3: the range ends before it begins"),
        ("é(?<n>a)", "at byte 2: Go before 1.22 does not take a name without `P`; was `é(?P<n>a)` meant?"),
        (r"a\Z", r"at byte 1: Go does not know this escape; was `a\z` meant?"),
        (r"\u00e9+", r"at byte 0: Go does not know this escape; was `\x{00e9}+` meant?"),
        ("a++b", "at byte 2: a repetition is repeated; Go wants it in a group; was `a+b` meant?"),
        ("x(a(b)", "at byte 1: the bracket `(` is never closed"),
    ] {
        assert_eq!(GoRegex::compile(pattern).unwrap_err().to_string(), said, "{pattern}");
    }
}

#[test]
fn limits_are_those_of_go_where_go_has_one() {
    let nested = |open: &str, close: &str, count: usize| format!("{}a{}", open.repeat(count), close.repeat(count));
    let reason = |pattern: &str| GoRegex::compile(pattern).err().map(|refusal| refusal.reason);
    assert_eq!(reason(&nested("(", ")", DEPTH_MAX - 1)), None);
    assert_eq!(reason(&nested("(", ")", DEPTH_MAX)), Some(Reason::TooDeep));
    assert_eq!(reason("(?:a{10}b{1000}){1}"), None);
    assert_eq!(reason("(?:[a-z]{0,10}){100}"), None);
    assert_eq!(reason("(?:[a-z]{0,10}){101}"), Some(Reason::RepeatCount));
    assert_eq!(reason(&format!("(?:{}){{1000}}", "()".repeat(1119))), Some(Reason::TooManyRepeated));
    assert_eq!(reason(&format!("(?:{}){{1000}}", "()".repeat(1118))), None);
}

#[test]
fn what_would_take_too_much_is_refused_before_it_does() {
    let nested = |open: &str, close: &str, count: usize| format!("{}a{}", open.repeat(count), close.repeat(count));
    for (pattern, reason) in [
        ("a".repeat(PATTERN_LEN_MAX + 1), Reason::TooLong),
        (nested("(?:a", ")*", PROGRAM_DEPTH_MAX), Reason::ProgramTooDeep),
        (nested("(?:", ")", DEPTH_MAX + 1), Reason::TooManyOpen),
        (r"\pL".repeat(2000), Reason::ClassesTooLarge),
        (format!("(?i){}", r"[b-\x{10ffff}]".repeat(40)), Reason::ClassesTooLarge),
        (r"\pL{1000}\pN{1000}\PL{1000}".to_owned(), Reason::ProgramTooLarge),
    ] {
        let refusal = GoRegex::compile(&pattern).unwrap_err();
        assert_eq!(refusal.reason, reason, "{}", pattern.chars().take(40).collect::<String>());
    }
    assert!(GoRegex::compile(&"a".repeat(PATTERN_LEN_MAX)).is_ok());
    assert!(GoRegex::compile(&nested("(?:a", ")*", PROGRAM_DEPTH_MAX / 2 - 1)).is_ok());
}

#[test]
fn a_pattern_is_whole_if_every_alternative_is_held_at_both_ends() {
    for pattern in ["^a$", "^(a|b)$", "^a$|^b$", "^(?i)a$", r"\Aa\z", "^(?s:.*)$", "^$", "^((?m)a)$"] {
        assert!(GoRegex::compile(pattern).unwrap().is_whole(), "{pattern}");
    }
    for pattern in ["", "^a|b$", "^(?m)a$", r"^a\$", r"^\Qa$", "a$", "^a", "^a|$", "^a$|b", "^a$?"] {
        assert!(!GoRegex::compile(pattern).unwrap().is_whole(), "{pattern}");
    }
}
