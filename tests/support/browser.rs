//! A real Chromium, driven through chromedriver (W3C WebDriver), to use the pages as people do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator, cookies::Cookie};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Daemon;
use super::{
    START_LIMIT, Shared, bound_to_us, find_program, free_port, http, read_log, scratch_dir, shared,
};

/// How long a page may take to show what a test looks for.
const FIND_LIMIT: Duration = Duration::from_secs(10);

/// How a browser is set up. The default is a desktop with a light theme that runs scripts.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether pages may run scripts.
    pub javascript: bool,
    /// Whether `prefers-color-scheme` is dark.
    pub dark: bool,
    /// The width and height of the page in CSS pixels.
    pub size: (u32, u32),
    /// A name besides `localhost` at which this machine is reached; empty for none.
    pub host: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { javascript: true, dark: false, size: (1280, 800), host: "" }
    }
}

/// One browser with a profile of its own, closed when the value drops.
pub struct Browser {
    client: Client,
    session: String,
    driver: &'static Driver,
    // After `Drop` has closed the browser, its profile goes.
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser with an empty profile.
    ///
    /// # Panics
    /// With the reason, when chromedriver or Chromium does not start.
    pub async fn open(options: Options) -> Self {
        let driver = driver();
        let profile = scratch_dir("chromium");
        let capabilities = capabilities(driver, options, &profile);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().cloned().unwrap_or_default())
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        // `Drop` closes the session, also where no async runtime is left to do it.
        client.persist().await.expect("keep the WebDriver session");
        let session = client.session_id().await.expect("ask for the session id");
        let session = session.expect("a new session has an id");
        let browser = Self { client, session, driver, _profile: profile };
        browser.set_dark(options.dark).await;
        browser.set_size(options.size).await;
        browser
    }

    /// The WebDriver client, for what has no method here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a URL and waits until the page has loaded.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("open {url}: {error}"));
    }

    /// Replaces the value of the field of this name by typing.
    pub async fn fill(&self, name: &str, value: &str) {
        let field = self.find(&format!("[name={}]", Value::from(name))).await;
        field.clear().await.unwrap_or_else(|error| panic!("clear the field {name}: {error}"));
        field.send_keys(value).await.unwrap_or_else(|error| panic!("type into {name}: {error}"));
    }

    /// Clicks on the first element that matches a CSS selector, waiting for it and for the page
    /// that the click opens.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        element.click().await.unwrap_or_else(|error| panic!("click on {css}: {error}"));
    }

    /// Clicks on the first link, button, summary or label whose whole visible text is `text`.
    pub async fn press(&self, text: &str) {
        let quoted = xpath_string(text);
        let path = format!(
            "//*[self::a or self::button or self::summary or self::label or @role='button']\
             [normalize-space(.)={quoted}] | //input[@type='submit'][@value={quoted}]"
        );
        let element = self.wait_for(Locator::XPath(&path), text).await;
        element.click().await.unwrap_or_else(|error| panic!("press {text}: {error}"));
    }

    /// The rendered text of the first element that matches a CSS selector, waiting for it.
    pub async fn text(&self, css: &str) -> String {
        let element = self.find(css).await;
        element.text().await.unwrap_or_else(|error| panic!("read the text of {css}: {error}"))
    }

    /// Whether an element matches a CSS selector now.
    pub async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.expect("ask for elements").is_empty()
    }

    /// The first element that matches a CSS selector, waiting up to ten seconds for it.
    ///
    /// # Panics
    /// With the page's address and text, when there is none.
    pub async fn find(&self, css: &str) -> Element {
        self.wait_for(Locator::Css(css), css).await
    }

    async fn wait_for(&self, locator: Locator<'_>, what: &str) -> Element {
        match self.client.wait().at_most(FIND_LIMIT).for_element(locator).await {
            Ok(element) => element,
            Err(error) => {
                let page = self.client.source().await.unwrap_or_default();
                panic!("no {what:?} at {}: {error}\n{page}", self.url().await);
            }
        }
    }

    /// The title of the page.
    pub async fn title(&self) -> String {
        self.client.title().await.expect("ask for the title")
    }

    /// The URL of the page.
    pub async fn url(&self) -> url::Url {
        self.client.current_url().await.expect("ask for the URL")
    }

    /// The path of the page's URL, without the query.
    pub async fn path(&self) -> String {
        self.url().await.path().to_owned()
    }

    /// The cookies that the browser sends to the page's address, `HttpOnly` ones included.
    pub async fn cookies(&self) -> Vec<Cookie<'static>> {
        self.client.get_all_cookies().await.expect("ask for the cookies")
    }

    /// The cookie of this name, if the browser sends one to the page's address.
    pub async fn cookie(&self, name: &str) -> Option<Cookie<'static>> {
        self.cookies().await.into_iter().find(|cookie| cookie.name() == name)
    }

    /// Runs a script in the page, even where pages may not run their own, and returns its result.
    pub async fn execute(&self, script: &str) -> Value {
        self.client
            .execute(script, vec![])
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs a script in the page that calls the last of its `arguments` with its result.
    pub async fn execute_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client
            .execute_async(script, arguments)
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Saves a picture of the whole page, of what lies below the visible part too.
    pub async fn screenshot(&self, file: &Path) {
        let whole = json!({ "captureBeyondViewport": true, "format": "png" });
        let picture = self.devtools("Page.captureScreenshot", whole).await;
        let encoded = picture["data"].as_str().expect("a picture");
        let picture = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
        std::fs::write(file, picture).expect("save the screenshot");
    }

    /// The warnings and errors in the browser's console since the last call: failed scripts and
    /// loads, violations of the content security policy.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.extension("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let bad = entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Sends a command of the Chrome DevTools Protocol and returns its result.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.extension("goog/cdp/execute", body).await
    }

    /// Sets the size of the page, which headless windows do not fix.
    pub async fn set_size(&self, (width, height): (u32, u32)) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Sets the colour scheme that the page is asked for. Nothing moves, so that what is looked at
    /// is there at once.
    pub async fn set_dark(&self, dark: bool) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Calls an end point of chromedriver that WebDriver itself does not have.
    async fn extension(&self, path: &str, body: Value) -> Value {
        let port = self.driver.port;
        let path = format!("/session/{}/{path}", self.session);
        let json = [("Content-Type", "application/json")];
        // Off the runtime's threads: the page may be served by the same runtime.
        let call = move || http::request(port, "POST", &path, &json, body.to_string().as_bytes());
        let answer = tokio::task::spawn_blocking(call).await.expect("wait for chromedriver");
        let answer = answer.expect("chromedriver answers");
        assert_eq!(answer.status, 200, "chromedriver refuses: {}", answer.text());
        answer.json()["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A panic here would hide the failure of the test.
        let _ = http::request(
            self.driver.port,
            "DELETE",
            &format!("/session/{}", self.session),
            &[],
            b"",
        );
    }
}

/// The chromedriver that all tests share.
struct Driver {
    port: u16,
    chromium: PathBuf,
    _directory: TempDir,
    _daemon: Mutex<Daemon>,
}

fn driver() -> &'static Driver {
    static DRIVER: Shared<Driver> = OnceLock::new();
    shared(&DRIVER, start_driver)
}

fn start_driver() -> Result<Driver, String> {
    let program = find_program(&["chromedriver"], "chromium-driver")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let chromium = find_program(&names, "chromium")?;
    let port = free_port();
    let directory = scratch_dir("chromedriver");
    let log = directory.path().join("log");
    let output = File::create(&log).map_err(|error| error.to_string())?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = bound_to_us(&program, "KILL", &[]);
    command.arg(format!("--port={port}")).stdout(output).stderr(errors);
    // Both leave files behind when they are killed.
    command.env("TMPDIR", directory.path());
    let mut daemon = Daemon::spawn("chromedriver", command)?;
    daemon.wait_ready(
        START_LIMIT,
        || read_log(&log),
        || http::get(port, "/status").is_ok_and(|answer| answer.json()["value"]["ready"] == true),
    )?;
    Ok(Driver { port, chromium, _directory: directory, _daemon: Mutex::new(daemon) })
}

fn capabilities(driver: &Driver, options: Options, profile: &TempDir) -> Value {
    let (width, height) = options.size;
    let arguments = [
        "--headless=new",
        // The tests may run as root and in containers, where Chromium's sandbox cannot.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The browser ends when its pipe to chromedriver does, also when the tests are killed.
        "--remote-debugging-pipe",
        &format!("--host-resolver-rules=MAP {} 127.0.0.1", name(options)),
        &format!("--window-size={width},{height}"),
        &format!("--user-data-dir={}", profile.path().display()),
    ]
    .map(str::to_owned);
    let mut preferences = json!({
        "credentials_enable_service": false,
        "profile.password_manager_leak_detection": false,
    });
    if !options.javascript {
        const BLOCK: u8 = 2;
        preferences["profile.managed_default_content_settings.javascript"] = BLOCK.into();
    }
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": {
            "binary": driver.chromium,
            "args": arguments,
            "prefs": preferences,
        },
    })
}

/// The name that leads to this machine.
fn name(options: Options) -> &'static str {
    if options.host.is_empty() { "nowhere.invalid" } else { options.host }
}

/// Writes a string for XPath 1.0, which has no escapes.
fn xpath_string(text: &str) -> String {
    if !text.contains('\'') {
        return format!("'{text}'");
    }
    format!("concat('{}')", text.replace('\'', "', \"'\", '"))
}
