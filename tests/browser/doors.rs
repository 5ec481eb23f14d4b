//! Pages before any sign-in: hand-over links, and the page that says that there is none.

use crate::browser::Browser;
use crate::site::{NAMESPACE, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_looks_at_a_link_opens_it_once_and_then_it_is_used_up() {
    let (site, browser) = (Site::start().await, Browser::start().await);
    let link = site.link().await;
    browser.open(&link).await;
    assert!(browser.text("main").await.contains(NAMESPACE));
    browser.check("link").await;
    browser.press("button").await;
    assert!(browser.text("pre").await.starts_with("amqp://"), "the credentials are shown");
    browser.check("link-opened").await;
    browser.open(&link).await;
    let text = browser.text("main").await;
    assert!(text.contains("was opened at") && !text.contains("amqp://"), "{text}");
    browser.check("link-over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_opened_by_keyboard_and_without_scripts() {
    let (site, browser) = (Site::start().await, Browser::without_scripts().await);
    browser.open(&site.link().await).await;
    browser.check("link").await;
    browser.keys("\u{e004}\u{e007}").await; // Tab, Enter
    assert!(browser.text("pre").await.starts_with("amqp://"), "the first thing to reach is the button");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_cannot_be_opened_says_why() {
    let (site, browser) = (Site::start().await, Browser::start().await);
    browser.open(&site.url("/wraps/none")).await;
    assert!(browser.text("main").await.contains("There is no such link"));
    browser.check("link-unknown").await;
    site.broker.go_away();
    browser.open(&site.link().await).await;
    browser.press("button").await;
    assert!(browser.text("h1").await.contains("just now"), "{}", browser.text("main").await);
    browser.check("link-broker-away").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_leads_on() {
    let (site, browser) = (Site::start().await, Browser::start().await);
    browser.open(&site.url("/nosuch/<b>page")).await;
    assert!(browser.text("main").await.contains("/nosuch/"));
    browser.check("lost").await;
    browser.press("main a").await;
    assert!(!browser.text("main").await.contains("/nosuch/"), "the way home");
}
