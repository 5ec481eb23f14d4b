//! What is read of tasks that want services beside them.

use keylender::base::invisible::is_invisible;
use keylender::proto::services::{ImageName, ServiceName, parse};

/// Whatever a payload says: what is read can be written and read again, and every mistake is short and at a place.
pub fn read_services_payload(text: &str) {
    match parse(text) {
        Ok(payload) => {
            let written = serde_json::to_string(&payload).expect("services can be written");
            assert_eq!(parse(&written), Ok(payload));
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(mistake.at.is_empty() || mistake.at.starts_with('/'), "{mistake}");
                assert!(mistake.message.len() < 1_000 && !mistake.to_string().contains(is_invisible), "{mistake}");
            }
        }
    }
    if let Ok(name) = ServiceName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(image) = ImageName::parse(text) {
        let full = ImageName::parse(&image.in_full()).expect("what is in full is a name, too");
        assert_eq!((full.repository(), full.is_id()), (image.repository(), image.is_id()));
        assert_eq!(full.in_full(), image.in_full());
    }
}
