//! A reader of gcfg's files, as its syntax is documented, independent of what writes them.

/// All values in their order, each with its section and key.
pub(super) fn read(text: &str) -> Vec<(String, String)> {
    assert!(text.ends_with('\n') && !text.contains('\r'), "lines end with a line feed");
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            name.strip_suffix(']').expect("a bracket").clone_into(&mut section);
            assert!(section.chars().all(|c| c.is_ascii_lowercase()), "{section}");
            continue;
        }
        let (key, value) = line.split_once('=').expect("a key and a value");
        let key = key.trim();
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{key}");
        found.push((format!("{section}.{key}"), one(value.trim_start())));
    }
    found
}

fn one(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        assert!(!value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric()), "a bare value: {value}");
        return value.to_owned();
    };
    let (mut text, mut chars) = (String::new(), inner.chars());
    loop {
        match chars.next().expect("a closing quote") {
            '"' => break,
            '\\' => text.push(match chars.next().expect("an escaped character") {
                c @ ('"' | '\\') => c,
                'n' => '\n',
                't' => '\t',
                other => panic!("unknown escape {other}"),
            }),
            c => text.push(c),
        }
    }
    assert_eq!(chars.as_str(), "", "nothing follows the closing quote");
    text
}
