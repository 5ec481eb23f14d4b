//! What an operator does with the agents of a fleet: lets one in, keeps one out, enrols a host, and cuts one off.

use crate::browser::Browser;
use crate::fleet::{HOST, WAITING};
use crate::site::Site;

/// The button that carries out what a page has shown.
const DO_IT: &str = "main .plan form button";

async fn see(browser: &Browser, text: &str) {
    let seen = browser.text("main").await;
    assert!(seen.contains(text), "{text:?} is not on\n{seen}");
}

/// Gives a reason for what the page has shown, and does it.
async fn do_it(browser: &Browser, reason: &str) {
    browser.fill("#reason", reason).await;
    browser.press(DO_IT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lets_one_agent_in_keeps_another_out_and_cuts_one_off_with_and_without_scripts() {
    for browser in [Browser::start().await, Browser::without_scripts().await] {
        let site = Site::busy().await;
        browser.take_session(&site).await;
        browser.open(&site.url("/agents")).await;
        browser.press("main .buttons a[href$='/agents/pending']").await;
        see(&browser, "<b>not bold</b>").await;
        browser.press(&format!("main td a[href$='/{WAITING}/approve']")).await;
        see(&browser, &format!("The line `{WAITING}` is added to the whitelist")).await;
        do_it(&browser, "it is the new shop").await;
        see(&browser, "Done: agent.approve").await;
        let waiting = browser.text("main table").await;
        assert!(!waiting.contains(WAITING), "{waiting}");
        browser.press("main td a[href*='bold'][href$='/refuse']").await;
        see(&browser, "stays out").await;
        do_it(&browser, "nobody knows it").await;
        see(&browser, "Done: agent.refuse").await;
        see(&browser, "nobody knows it").await;
        browser.check("agents-decided").await;

        browser.open(&site.page("/agents/known/{queueloc}").await).await;
        see(&browser, HOST).await;
        browser.press("main a[href$='/revoke?queue=delete']").await;
        see(&browser, "is deleted, with the commands in it").await;
        do_it(&browser, "it was stolen").await;
        see(&browser, "Done: agent.revoke").await;
        see(&browser, "enrols again by a token").await;
        browser.check("agent-revoked").await;
        browser.press("main a[href$='/forget']").await;
        do_it(&browser, "it was found").await;
        see(&browser, "Done: agent.forget").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_with_what_the_host_runs() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    browser.take_session(&site).await;
    browser.open(&site.url("/agents")).await;
    browser.press("main a[href$='/agents/enrol']").await;
    browser.fill("#host", "no host").await;
    browser.press("main form.fields button").await;
    assert!(!browser.text(".problem").await.is_empty());
    browser.fill("#host", "web7.example.net").await;
    browser.press("main form.fields button").await;
    see(&browser, "is taken for web7.example.net, once").await;
    do_it(&browser, "it is new").await;
    see(&browser, "shown only now").await;
    see(&browser, "/api/keylender/v1/agents/enrol?form=tar' | tar -xC /").await;
    browser.check("agent-token").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_cannot_be_read_is_typed_once_only() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    browser.take_session(&site).await;
    browser.open(&site.url("/agents/rules")).await;
    browser.fill("#rule", "approve zone *.example.net").await;
    browser.fill("#until", "soon").await;
    browser.press("main form.fields button").await;
    see(&browser, "Expected a time").await;
    browser.check("agents-rule-wrong").await;
    browser.fill("#until", "2027-01-31T00:00:00Z").await;
    browser.press("main form.fields button").await;
    see(&browser, "fits `approve zone *.example.net` is let in").await;
    do_it(&browser, "ours").await;
    see(&browser, "Done: agent.rule").await;
    browser.press("main td a[href*='net/remove'], main td a[href*='net%2Fremove']").await;
    do_it(&browser, "not ours any more").await;
    see(&browser, "Done: agent.unrule").await;
}
