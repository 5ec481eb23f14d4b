//! Pages on paper: evidence is printed, and must say there what it is without the screen around it.

use crate::browser::Browser;
use crate::site::{NAMESPACE, Site};

/// What only a screen has.
const SCREEN_ONLY: [&str; 11] = [
    ".top",
    "nav#places",
    ".filter",
    ".narrow",
    ".pager",
    ".buttons",
    ".trail",
    "details.same",
    "footer",
    "main button",
    "main time .ago",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_on_paper_says_what_it_is_and_has_all_of_it() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    for at in 0..60 {
        let note = serde_json::json!({ "note": format!("note {at}") });
        site.operate("PUT", &format!("/namespaces/{NAMESPACE}/note"), Some(note)).await;
    }
    browser.take_session(&site).await;
    for (address, name) in [
        ("/audit", "audit"),
        ("/audit?actor=local&outcome=done", "audit-filtered"),
        ("/audit/1", "audit-entry"),
        ("/held", "held"),
        ("/leases", "leases"),
    ] {
        browser.open(&site.url(address)).await;
        browser.see_as_paper().await;
        for css in SCREEN_ONLY {
            assert!(!browser.is_shown(css).await, "{css} of {address} is on paper");
        }
        assert_eq!(browser.is_too_wide().await, None, "{address} is cut off");
        let printed = browser.text(".printed").await;
        assert!(printed.contains("ada (admin)") && printed.contains("2026-11-20 12:00:00 UTC"), "{printed}");
        assert_eq!(printed.contains("actor: local"), address.contains("actor=local"), "{printed}");
        browser.print(&format!("print-{name}")).await;
    }
    browser.open(&site.url("/audit")).await;
    browser.see_as_paper().await;
    assert!(
        browser.text(".printed.chain").await.contains("The log ended with entry "),
        "it can be compared with a log later"
    );
    browser.see_as_screen().await;
    assert!(!browser.is_shown(".printed").await && browser.is_shown(".filter").await);
}
