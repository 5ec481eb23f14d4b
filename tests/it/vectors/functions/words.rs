//! The groups of vectors about small things: ids, spans, URLs, dates and addresses of mail.

use keylender::base::{Span, slugid};
use keylender::proto::formats::{NotATime, date_time, email};
use keylender::proto::urls::RootUrl;
use serde_json::json;

use super::{bytes, each, text};

#[test]
fn slugid_vectors() {
    each("/slugid", 5, |_, input, expected| {
        let bytes = bytes(&input["random_bytes_hex"]);
        assert_eq!(slugid::v4(bytes), text(&expected["v4"]));
        assert_eq!(slugid::nice(bytes), text(&expected["nice"]));
    });
}

#[test]
fn from_now_vectors() {
    each("/from_now", 23, |id, input, expected| {
        let offset = text(&input["expression"]).parse::<Span>().ok().map(Span::as_millis);
        assert_eq!(offset, expected["offset_ms"].as_i64(), "{id}");
    });
}

#[test]
fn urls_vectors() {
    each("/urls", 5, |_, input, expected| {
        let root = RootUrl::parse(text(&input["rootUrl"])).unwrap();
        let urls = json!({
            "claimNamespace": root.api("pulse", "v1", "namespace/taskcluster-foo"),
            "authenticateHawk": root.api("auth", "v1", "authenticate-hawk"),
            "notifyEmail": root.api("notify", "v1", "email"),
            "hostSecrets": root.api("host-secrets", "v1", "credentials"),
            "apiReference": root.api_reference("pulse", "v1"),
            "schema": root.schema("pulse", "v1/namespace-request.json#"),
            "manifest": root.manifest(),
        });
        assert_eq!(&urls, expected);
    });
}

#[test]
fn pulse_input_formats_vectors() {
    each("/pulse_input_formats/date_time", 27, |id, input, expected| {
        let answer = date_time(text(input));
        assert_eq!(json!(answer != Err(NotATime::Malformed)), expected["valid"], "{id}");
        assert_eq!(json!(answer.ok()), expected["stored_as"], "{id}");
    });
    each("/pulse_input_formats/email", 21, |id, input, expected| {
        assert_eq!(json!(email(text(input))), expected["valid"], "{id}");
    });
}
