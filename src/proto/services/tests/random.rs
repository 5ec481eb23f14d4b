//! Whatever somebody writes, the answer is services or mistakes at places, and what is read can be written.

use proptest::prelude::*;

use super::*;

/// Values as a person might put them together, right and wrong.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[ -~]{0,12}".prop_map(|text| json(&text)),
        "[a-z0-9-]{1,5}(:[a-z0-9.]{1,3})?".prop_map(|text| json(&text)),
        any::<String>().prop_map(|text| json(&text)),
        prop::sample::select(vec!["1", "-0.5e3", "null", "true", "\"\\ud800\"", "{", "]"]).prop_map(str::to_owned),
    ];
    let name = prop_oneof![
        4 => prop::sample::select(vec!["services", "name", "image", "command", "env", "LD_PRELOAD", "A", "logs", "user"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json(name))).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Services of which most are right.
fn services() -> impl Strategy<Value = String> {
    let image = "([a-z]{1,4}\\.[a-z]{2}/)?[a-z]{1,4}(/[a-z]{1,3})?(:[a-z0-9]{1,3})?";
    let command = prop::collection::vec(any::<String>(), 0..4);
    let env = prop::collection::btree_map("[A-Z_]{1,3}", any::<String>(), 0..4);
    let service = ("[a-z][a-z0-9]{2,6}", image, command, env).prop_map(|(name, image, command, env)| {
        serde_json::json!({ "name": name, "image": image, "command": command, "env": env })
    });
    prop::collection::vec(service, 0..4).prop_map(|services| serde_json::json!({ "services": services }).to_string())
}

/// Either it can be written and read again, or every mistake is short, harmless and at a place.
fn require(text: &str) {
    match parse(text) {
        Ok(payload) => {
            let written = serde_json::to_string(&payload).unwrap();
            assert_eq!(parse(&written), Ok(payload));
        }
        Err(mistakes) => {
            assert!((1..=201).contains(&mistakes.len()));
            for mistake in mistakes {
                assert!(mistake.at.is_empty() || mistake.at.starts_with('/'), "{mistake}");
                assert!(mistake.message.len() < 1_000, "{mistake}");
                assert!(!mistake.to_string().contains(crate::base::invisible::is_invisible), "{mistake:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_value_stops_the_parser(value in value()) {
        require(&value);
        require(&format!("{{\"services\": {value}}}"));
        require(&format!("{{\"services\": [{value}]}}"));
        require(&with(&format!("\"env\": {value}")));
        require(&with(&format!("\"command\": {value}")));
        require(&format!("{{\"services\": [{{\"name\": {value}, \"image\": {value}}}]}}"));
    }

    #[test]
    fn services_that_are_right_are_read_as_they_are_written(text in services()) {
        require(&text);
        if let Ok(payload) = parse(&text) {
            prop_assert_eq!(serde_json::to_value(payload).unwrap(), text.parse::<Value>().unwrap());
        }
    }

    #[test]
    fn no_text_stops_the_parser(text in "(?s).{0,200}") {
        require(&text);
    }

    #[test]
    fn no_text_of_the_signs_of_json_stops_the_parser(text in "[a\"\\\\\\[\\]{}:,.0u \n-]{0,200}") {
        require(&text);
    }

    #[test]
    fn no_name_of_an_image_stops_the_parser(text in "[a-zA0-9.:/@\\[\\]_-]{0,40}") {
        if let Ok(image) = ImageName::parse(&text) {
            let full = ImageName::parse(&image.in_full()).unwrap();
            prop_assert_eq!(full.repository(), image.repository());
            prop_assert_eq!(full.in_full(), image.in_full());
        }
    }

    #[test]
    fn a_name_is_a_host_of_its_own_in_urls(text in "(0x)?[a-f0-9x-]{1,10}") {
        if let Ok(name) = ServiceName::parse(&text) {
            let url = url::Url::parse(&format!("http://{name}/")).unwrap();
            prop_assert_eq!(url.host(), Some(url::Host::Domain(name.as_str())));
        }
    }
}
