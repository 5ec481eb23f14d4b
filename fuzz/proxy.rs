//! What the task proxy reads of tasks, and of who declares upstreams.

use keylender::base::Secret;
use keylender::proto::amqp_login::{FRAME_HEADER_LEN, StartOk, rest_len};
use keylender::proto::proxy::declaration;
use keylender::proto::proxy::target::Target;
use keylender::proto::proxy::upstream::Base;
use percent_encoding::percent_decode_str;
use url::Url;

/// The end of a frame, which no text has.
const FRAME_END: u8 = 0xce;

/// Whatever a client answers to a greeting: the login that is put in its place is the one that is read of it.
pub fn read_amqp_login(text: &str) {
    let rest = [text.as_bytes(), &[FRAME_END]].concat();
    let Ok(answer) = StartOk::read(&rest) else { return };
    let _ = answer.user();
    let frame = answer.with_login("user", &Secret::new("password"));
    let (header, rest) = frame.split_at(FRAME_HEADER_LEN);
    assert_eq!(rest_len(header.try_into().unwrap()).ok(), Some(rest.len()).filter(|len| *len <= 64 << 10));
    assert_eq!(StartOk::read(rest).unwrap().user().as_deref(), Some("user"));
}

/// Whatever a task asks for: the host is the one that was declared, and no step leads out of its path.
pub fn read_proxy_target(text: &str) {
    // What stands behind a `#` is cut off before.
    let Ok(target) = Target::parse(text.split('#').next().unwrap_or_default()) else { return };
    let base = Base::parse("https://upstream.example:8443/v1").unwrap();
    let url = Url::parse(&base.url(&target.written())).unwrap();
    assert_eq!((url.host_str(), url.port()), (Some("upstream.example"), Some(8443)));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(url.path().starts_with("/v1/"), "{url}");
    for segment in url.path().split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        assert!(decoded != "." && decoded != "..", "{url}");
    }
}

/// Whatever is declared: mistakes have lines of the text.
pub fn read_proxy_upstreams(text: &str) {
    match declaration::parse(text) {
        Ok(all) => assert!(all.iter().all(|one| !one.upstream.name.is_empty() && !one.leads().is_empty())),
        Err(mistakes) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)));
        }
    }
}
