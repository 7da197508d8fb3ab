//! A headless Chromium that a test drives as a person would: with keys and clicks.
//!
//! It is spoken to in its own protocol over a pipe: a hundred lines here instead of a crate with the whole protocol as generated
//! code (a minute of build time), or of a second language with a driver that fetches browsers of its own. What the page asked
//! of the network, and what it complained about, is kept.

use base64::Engine as _;
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The names under which it is installed, the lightest first.
const NAMES: [&str; 5] =
    ["chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome"];
/// So long a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Json>,
    last: i64,
    page: Option<String>,
    /// Addresses that were asked for.
    pub asked: Vec<String>,
    /// What the page complained about: errors, violations of the policy, failed requests.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

fn program() -> String {
    if let Ok(named) = std::env::var("SEXTON_TEST_CHROMIUM") {
        return named;
    }
    let folders = std::env::var("PATH").unwrap_or_default();
    let is_there = |name: &&&str| folders.split(':').any(|folder| Path::new(folder).join(name).exists());
    let found = NAMES.iter().find(is_there);
    found.map(|name| (*name).to_owned()).unwrap_or_else(|| {
        panic!("there is no Chromium here\nhelp: `./test` installs it; on Debian: apt-get install chromium-headless-shell")
    })
}

impl Browser {
    /// A browser with an empty page, that reaches nothing but this machine.
    pub fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let folder = profile.path().display();
        // The browser has the pipe at 3 and 4, where it wants it.
        let line = format!(
            "exec {} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking \
             --disable-component-update --disable-sync --hide-scrollbars --user-data-dir={folder} \
             --host-resolver-rules='MAP * ~NOTFOUND , EXCLUDE 127.0.0.1' --remote-debugging-pipe 3<&0 4>&1 </dev/null >/dev/null \
             2>{folder}/said",
            program()
        );
        let mut process = Command::new("sh")
            .args(["-c", &line])
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            while reader.read_until(0, &mut text).is_ok_and(|read| read > 0) {
                text.pop();
                let message = serde_json::from_slice(&text).unwrap_or(Json::Null);
                if sender.send(message).is_err() {
                    return;
                }
                text.clear();
            }
        });
        let mut browser = Self {
            process,
            to,
            from,
            last: 0,
            page: None,
            asked: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.page = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for part in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{part}.enable"), json!({}));
        }
        browser
    }

    /// Asks the browser for something.
    pub fn call(&mut self, method: &str, parameters: Json) -> Json {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
        let began = Instant::now();
        loop {
            match self.from.recv_timeout(Duration::from_millis(200)) {
                Ok(answer) if answer["id"] == id => {
                    assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                    return answer["result"].clone();
                }
                Ok(event) => self.hear(&event),
                Err(RecvTimeoutError::Timeout) if began.elapsed() < PATIENCE => {}
                Err(_) => panic!("no answer to {method}: {}", self.said()),
            }
        }
    }

    /// What the browser itself wrote.
    fn said(&self) -> String {
        std::fs::read_to_string(self._profile.path().join("said")).unwrap_or_default()
    }

    fn hear(&mut self, event: &Json) {
        let about = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.asked.push(about["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" => {
                let what = &about["exceptionDetails"];
                let text = what["exception"]["description"].as_str().or(what["text"].as_str());
                self.complaints.push(text.unwrap_or_default().to_owned());
            }
            "Log.entryAdded" => {
                self.complaints.push(about["entry"]["text"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.consoleAPICalled" if about["type"] == "error" => {
                self.complaints.push(about["args"].to_string());
            }
            _ => {}
        }
    }

    /// What an expression of the page comes to.
    pub fn value(&mut self, expression: &str) -> Json {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", asked);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].clone()
    }

    /// The text of the page.
    pub fn text(&mut self) -> String {
        let text = self.value("document.body.innerText");
        text.as_str().unwrap_or_default().replace(['\u{a0}', '\u{202f}'], " ")
    }

    /// Waits until an expression holds.
    pub fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while !self.value(&format!("Boolean({expression})")).as_bool().unwrap_or(false) {
            if began.elapsed() >= PATIENCE {
                let text = self.text();
                panic!("it never held: {expression}\n{:?}\n{text}", self.complaints);
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// Waits until the page says this.
    pub fn reads(&mut self, text: &str) {
        let began = Instant::now();
        while !self.text().contains(text) {
            if began.elapsed() >= PATIENCE {
                let said = self.text();
                panic!("it never said `{text}`\n{:?}\n{said}", self.complaints);
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// Goes to an address.
    pub fn go(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
        self.until("document.readyState === 'complete'");
    }

    /// Clicks in the middle of the first element that fits the selector and says this; it must be there to be clicked.
    pub fn click(&mut self, selector: &str, text: &str) {
        let find = format!(
            "(() => {{ const fits = (one) => one.innerText.replaceAll('\\u00a0', ' ').includes({text}) && one.offsetParent !== null; \
             const one = [...document.querySelectorAll({selector})].find(fits); \
             if (!one || one.disabled) return null; one.scrollIntoView({{ block: 'center' }}); \
             const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            text = json!(text),
            selector = json!(selector),
        );
        self.until(&find);
        let at = self.value(&find);
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Types into whatever has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, `Space`, `ArrowDown`.
    pub fn press(&mut self, key: &str) {
        let (key, code, number, text) = match key {
            "Enter" => ("Enter", "Enter", 13, "\r"),
            "Space" => (" ", "Space", 32, " "),
            "Tab" => ("Tab", "Tab", 9, ""),
            "Escape" => ("Escape", "Escape", 27, ""),
            "ArrowDown" => ("ArrowDown", "ArrowDown", 40, ""),
            other => panic!("no such key: {other}"),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let mut event =
                json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number });
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Presses Tab until what has the focus says this (or is named so).
    pub fn tab_to(&mut self, text: &str) {
        for _ in 0..80 {
            let own = self.value(
                "(() => { const one = document.activeElement; return one === document.body ? '' : `${one.innerText || ''} ${one.getAttribute('aria-label') || ''} \
                 ${one.labels?.[0]?.innerText || ''}`; })()",
            );
            if own.as_str().unwrap_or_default().replace('\u{a0}', " ").contains(text) {
                return;
            }
            self.press("Tab");
        }
        panic!("Tab never led to `{text}`\n{}", self.text());
    }

    /// The size of the window.
    pub fn size(&mut self, width: u32, height: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// What the system prefers: `light` or `dark`.
    pub fn colours(&mut self, scheme: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// Keeps a picture of the whole page where `SEXTON_TEST_PICTURES` says; nowhere without it.
    pub fn picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("SEXTON_TEST_PICTURES") else { return };
        let taken =
            self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        let data = taken["data"].as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
