//! Whatever somebody writes, the answer is a profile or mistakes inside of the text.

use proptest::prelude::*;

use super::*;

/// Lines as a person might put them together.
fn lines() -> impl Strategy<Value = String> {
    let known: Vec<String> = FULL.lines().map(str::to_owned).collect();
    let header = prop::sample::select(known.clone());
    let changed = (prop::sample::select(known), any::<prop::sample::Index>(), "[ -~ü\u{202e}\r\n\"'\\[\\]={}]{0,3}");
    let changed = changed.prop_map(|(line, at, text)| {
        let mut at = at.index(line.len() + 1);
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        [&line[..at], &text, &line[at..]].concat()
    });
    prop::collection::vec(prop_oneof![3 => header, 1 => changed], 0..60).prop_map(|lines| lines.join("\n"))
}

fn require_places(text: &str) {
    let Err(mistakes) = Profile::parse(text) else { return };
    assert!((1..=501).contains(&mistakes.len()));
    let lines: Vec<&str> = text.split('\n').collect();
    let mut before = (1, 1);
    for Mistake { line, column, message } in mistakes {
        assert!((1..=lines.len()).contains(&line), "{line}:{column}: {message}\n{text}");
        assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{line}:{column}: {message}\n{text}");
        assert!(before <= (line, column) && !message.contains(['\n', '\r', '\u{202e}']), "{message}");
        assert!(message.len() < 1_000 && message != "this cannot be read", "{message}\n{text}");
        before = (line, column);
    }
}

proptest! {
    #[test]
    fn no_text_of_known_lines_stops_the_parser(text in lines()) {
        require_places(&text);
    }

    #[test]
    fn no_text_stops_the_parser(text in ".{0,200}") {
        require_places(&text);
    }

    #[test]
    fn no_text_of_the_signs_of_toml_stops_the_parser(text in "(?s)[a\"'=\\[\\]{}.,#\n\r \t0-9-]{0,200}") {
        require_places(&text);
    }

    #[test]
    fn a_part_of_a_profile_is_a_profile_or_says_what_is_wrong(at in 0..FULL.len(), len in 0..40_usize) {
        let mut text = FULL.as_bytes().to_vec();
        text.drain(at..(at + len).min(FULL.len()));
        require_places(&String::from_utf8_lossy(&text));
    }
}

#[test]
fn long_texts_of_nothing_but_mistakes_are_told_in_few_words() {
    const LEN: usize = 128 * 1024;
    let fill = |line: &dyn Fn(usize) -> String| (0..LEN / line(0).len()).map(line).collect::<String>();
    let texts = [
        fill(&|index| format!("k{index}=1\n")),
        fill(&|_| "a=1\n".to_owned()),
        fill(&|_| "[[account]]\n".to_owned()),
        fill(&|_| "[".to_owned()),
        fill(&|_| "\"\n".to_owned()),
        fill(&|_| "\0\n".to_owned()),
        fill(&|index| format!("[[vhost]]\nname='v{index}'\n[[vhost.binding]]\nsource='a'\ndestination='b'\n")),
        fill(&|_| "vhost=[{".to_owned()),
        format!("absent-users=[{}]", fill(&|_| "'a',".to_owned())),
        format!("{}=1", fill(&|_| "a.".to_owned())),
    ];
    for text in texts {
        assert!(Profile::parse(&text).is_err(), "{}", &text[..20]);
        require_places(&text);
    }
}
