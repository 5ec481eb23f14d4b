//! What an operator does on each group of pages, by pressing and typing: with scripts, and once more without.

use crate::browser::Browser;
use crate::site::{NAMESPACE, Site};

/// What a person does on a page, or sees there.
#[derive(Debug)]
enum Step {
    /// Presses what leads to another page.
    Press(&'static str),
    /// Types into a field.
    Fill(&'static str, &'static str),
    /// Reads this somewhere on the page.
    See(&'static str),
}

use Step::{Fill, Press, See};

/// The button that carries out what a page has shown.
const DO_IT: Step = Press("main .plan form button");

/// A group of pages: the one that the story begins at, and the story.
const GROUPS: [(&str, &[Step]); 15] = [
    ("/", &[Press("main a[href$='/acknowledge']"), Fill("#reason", "it is known"), DO_IT, See("Acknowledged by")]),
    (
        "/namespaces",
        &[
            Fill("input[type=search]", "team@"),
            Press("form[role=search] button"),
            See("1–1 of 1"),
            Press("form[action$='/test-claim'] button"),
            See("Claim taskcluster-test for a test"),
            DO_IT,
            See("Claimed taskcluster-test for a test"),
        ],
    ),
    (
        "/queues",
        &[
            Press("main td a[href$='builds']"),
            See("to 12 messages"),
            Fill("#reason", "release day"),
            Press("form[action$='/exempt'] button"),
            See("exempt"),
            Press("main a[href$='/purge']"),
            Fill("#reason", "poisoned"),
            DO_IT,
            See("Done: queue.purge"),
        ],
    ),
    (
        "/archives",
        &[
            Press("main td a[href*='/archives/']"),
            See("<b>not bold</b>"),
            Fill("#rate", "500"),
            Press("form[action$='/replay'] button"),
            See("At most 500 in a second"),
            Fill("#reason", "it is mended"),
            DO_IT,
            See("Done: archive.replay"),
            Press("main a[href$='/delete']"),
            Fill("#reason", "it was replayed"),
            DO_IT,
            See("Done: archive.delete"),
        ],
    ),
    (
        "/exchanges",
        &[Press("main td a[href*='/exchanges/']"), See("primary.*.done"), Press("main td a[href$='builds']")],
    ),
    (
        "/connections",
        &[Press("main td a[href$='/close']"), Fill("#reason", "old password"), DO_IT, See("Done: connection.close")],
    ),
    (
        "/hosts",
        &[
            Press("main td a[href$='/hosts/127.0.0.1']"),
            Press("main a[href$='/block']"),
            Fill("#reason", "it is sold"),
            DO_IT,
            See("Done: host.rule"),
        ],
    ),
    ("/leases", &[Fill("#f-prefix", "taskcluster-f"), Press("form[role=search] button"), See(NAMESPACE)]),
    (
        "/loops",
        &[
            Press("main td a[href$='/loops/rotate']"),
            Press("form[action$='/pause'] button"),
            See("Done: loop.pause"),
            Press("form[action$='/resume'] button"),
            Press("form[action$='/run'] button"),
            See("Done: loop.run"),
        ],
    ),
    (
        "/notices",
        &[Fill("#to", "ada@example.org"), Press("form[action$='/notices'] button"), See("a test of Keylender")],
    ),
    (
        "/audit",
        &[
            Fill("#action", "namespace.claim"),
            Press("form[role=search] button"),
            See("namespace.claim"),
            Press("main td a[href*='/audit/']"),
            See("Audit entry"),
        ],
    ),
    ("/held", &[Fill("#object", NAMESPACE), Press("form[role=search] button"), See("held")]),
    (
        "/access/clients",
        &[
            Press("main a[href$='/access/new-client']"),
            Fill("#client", "project/more"),
            Fill("#scopes", "pulse:namespace:taskcluster-more"),
            Press("main form.fields button"),
            DO_IT,
            See("shown only now"),
        ],
    ),
    ("/backups", &[Press("form[action$='/backups'] button"), See("Done: backup")]),
    ("/settings", &[Fill("input[type=search]", "DATA_DIR"), Press("form[role=search] button"), See("DATA_DIR")]),
];

async fn walk(browser: &Browser, site: &Site, (begin, steps): (&str, &[Step])) {
    browser.open(&site.url(begin)).await;
    for step in steps {
        // Shown when it fails, with the page that it was on.
        println!("{begin}: {step:?}");
        match step {
            Press(css) => browser.press(css).await,
            Fill(css, text) => browser.fill(css, text).await,
            See(text) => {
                let seen = browser.text("main").await;
                assert!(seen.contains(text), "from {begin}: {text:?} is not on\n{seen}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_works_on_each_group_of_pages_with_and_without_scripts() {
    for browser in [Browser::start().await, Browser::without_scripts().await] {
        let site = Site::busy().await;
        browser.take_session(&site).await;
        for group in GROUPS {
            walk(&browser, &site, group).await;
        }
    }
}
