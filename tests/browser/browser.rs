//! A browser as a person sits before it, who sees pages at several widths and in two sets of colours.

use std::path::Path;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::driver::Driver;
use crate::site::Site;

const AXE: &str = include_str!("axe/axe.min.js");
const AXE_README: &str = include_str!("axe/README.md");
/// All rules of axe. What it is not sure of stands in another list, and is not looked at.
const RUN_AXE: &str = "return axe.run(document, { resultTypes: ['violations'], preload: false })";

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    width: u32,
    colours: &'static str,
}

/// A desk and the smallest telephone, by day and by night.
const LOOKS: [Look; 4] = [
    Look { width: 1280, colours: "light" },
    Look { width: 1280, colours: "dark" },
    Look { width: 360, colours: "light" },
    Look { width: 360, colours: "dark" },
];
const HEIGHT: u32 = 800;
/// Of A4 within its margins, 186 mm.
const PAPER_WIDTH: u32 = 703;
/// How long a page may take to follow another on a busy machine, and how often is looked.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
const PAGE_POLL: Duration = Duration::from_millis(10);

pub struct Browser {
    driver: Driver,
    scripts: bool,
}

impl Browser {
    pub async fn start() -> Self {
        Self { driver: Driver::start().await, scripts: true }
    }

    /// One that runs no scripts of pages.
    pub async fn without_scripts() -> Self {
        let driver = Driver::start().await;
        let browser = Self { driver, scripts: false };
        browser.run_scripts(false).await;
        browser
    }

    async fn run_scripts(&self, scripts: bool) {
        self.driver.tell("Emulation.setScriptExecutionDisabled", json!({ "value": !scripts })).await.unwrap();
    }

    pub async fn open(&self, url: &str) {
        self.driver.client.goto(url).await.unwrap();
    }

    /// Becomes the browser of an admin who signed in.
    pub async fn take_session(&self, site: &Site) {
        let cookie = json!({ "name": "keylender_session", "value": site.session().await, "url": site.url("/") });
        self.driver.tell("Network.setCookie", cookie).await.unwrap();
    }

    /// Writes into a field what a person types there.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.driver.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The text that is seen of the element.
    pub async fn text(&self, css: &str) -> String {
        let element = self.driver.client.wait().for_element(Locator::Css(css)).await;
        element.unwrap_or_else(|error| panic!("{css}: {error}")).text().await.unwrap()
    }

    /// Presses what leads to another page, and waits until that is there.
    pub async fn press(&self, css: &str) {
        let page = self.page().await;
        self.driver.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
        self.until_gone(page).await;
    }

    /// Sends keys that lead to another page to whatever has the focus, and waits until that is there.
    pub async fn keys(&self, keys: &str) {
        let page = self.page().await;
        self.driver.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
        self.until_gone(page).await;
    }

    async fn page(&self) -> Element {
        self.driver.client.find(Locator::Css("html")).await.unwrap()
    }

    /// A click returns before its page is gone, and what is read then is of the old one, or of none.
    async fn until_gone(&self, page: Element) {
        let gone = async {
            while page.tag_name().await.is_ok() {
                tokio::time::sleep(PAGE_POLL).await;
            }
        };
        tokio::time::timeout(PAGE_TIMEOUT, gone).await.expect("another page follows");
    }

    /// Looks at the page in every way: leaves a picture, and asserts that nothing is cut off and nobody shut out.
    pub async fn check(&self, name: &str) {
        let found = self.found_on(name).await;
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// What [`Browser::check`] would refuse.
    pub async fn found_on(&self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        for look in LOOKS {
            self.look(look).await;
            let picture = format!("{name}-{}-{}{}", look.width, look.colours, if self.scripts { "" } else { "-plain" });
            self.keep_picture(&picture).await;
            if let Some(widths) = self.is_too_wide().await {
                all.push(format!("{picture} is wider than the screen: {widths}"));
            }
            let found = self.violations().await;
            all.extend(found.iter().map(|violation| format!("{picture} shuts people out: {violation}")));
        }
        all
    }

    /// How wide the page and its window are, where something is cut off.
    pub async fn is_too_wide(&self) -> Option<Value> {
        let widths = "return [document.documentElement.scrollWidth, window.innerWidth]";
        let widths = self.driver.client.execute(widths, Vec::new()).await.unwrap();
        (widths[0].as_u64() > widths[1].as_u64()).then_some(widths)
    }

    async fn look(&self, look: Look) {
        let size = json!({ "width": look.width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false });
        self.driver.tell("Emulation.setDeviceMetricsOverride", size).await.unwrap();
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": look.colours }] });
        self.driver.tell("Emulation.setEmulatedMedia", media).await.unwrap();
    }

    /// The whole page, also what is below the screen.
    async fn keep_picture(&self, name: &str) {
        let picture =
            self.driver.tell("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await.unwrap();
        keep(&format!("{name}.png"), &picture);
    }

    /// Shows the page in a window as wide as the text on a sheet of A4, as it is printed, to somebody who likes the dark.
    pub async fn see_as_paper(&self) {
        let size = json!({ "width": PAPER_WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false });
        self.driver.tell("Emulation.setDeviceMetricsOverride", size).await.unwrap();
        self.see_as("print").await;
    }

    pub async fn see_as_screen(&self) {
        self.see_as("screen").await;
    }

    async fn see_as(&self, media: &str) {
        let dark = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.driver.tell("Emulation.setEmulatedMedia", json!({ "media": media, "features": dark })).await.unwrap();
    }

    /// Whether anything of that kind is seen.
    pub async fn is_shown(&self, css: &str) -> bool {
        let script = "return [...document.querySelectorAll(arguments[0])].some(one => one.checkVisibility())";
        self.driver.client.execute(script, vec![css.into()]).await.unwrap() == true
    }

    /// Leaves the page as it comes out of a printer.
    pub async fn print(&self, name: &str) {
        let paper = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": true });
        let printed = self.driver.tell("Page.printToPDF", paper).await.unwrap();
        assert!(keep(&format!("{name}.pdf"), &printed).starts_with(b"%PDF"), "{name}");
    }

    /// What axe finds: the rule, how bad it is, and the elements. It is a script itself; those of a page that was opened
    /// without scripts do not run later.
    async fn violations(&self) -> Vec<String> {
        let script = format!("if (!window.axe) {{ {AXE} }}\n{RUN_AXE}");
        self.run_scripts(true).await;
        let results = self.driver.client.execute(&script, Vec::new()).await.unwrap();
        self.run_scripts(self.scripts).await;
        assert!(results["testEngine"]["name"] == "axe-core", "axe ran: {results}");
        results["violations"].as_array().unwrap().iter().map(violation).collect()
    }
}

/// Keeps a file that the browser made.
fn keep(name: &str, made: &Value) -> Vec<u8> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(made["data"].as_str().unwrap()).unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), &bytes).unwrap();
    bytes
}

fn violation(found: &Value) -> String {
    let nodes = found["nodes"].as_array().unwrap().iter();
    let nodes: Vec<String> = nodes.map(|node| format!("  {}: {}", node["html"], node["failureSummary"])).collect();
    format!("{} ({}): {}\n{}", found["id"], found["impact"], found["help"], nodes.join("\n"))
}

#[test]
fn axe_is_the_one_that_its_readme_names() {
    let sum: String = Sha256::digest(AXE.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(AXE_README.contains(&format!("SHA-256: {sum}\n")), "tests/browser/axe/axe.min.js has the checksum {sum}");
}
