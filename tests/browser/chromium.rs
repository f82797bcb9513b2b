//! A Chromium without a window, steered over its pipe as a person would use keyboard and mouse.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a page may take for what it is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags for a browser that does nothing of its own.
pub const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

pub fn find() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: u64,
    session: Option<String>,
    /// Errors of the page, its console and its requests.
    pub wrong: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// With a page of this size; `None` where there is no Chromium.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let program = find()?;
        let profile = tempfile::tempdir().unwrap();
        // The pipe is what Chromium has as its files 3 and 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1"])
            .arg(program)
            .args(QUIET)
            .args(["--remote-debugging-pipe", &format!("--window-size={width},{height}")])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Self { process, to, from, asked: 0, session: None, wrong: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert!(bytes.pop().is_some(), "Chromium has ended at {method}");
            let told: Value = serde_json::from_slice(&bytes).unwrap();
            if told["id"] == id {
                assert_eq!(told["error"], Value::Null, "{method}");
                return told["result"].clone();
            }
            self.listen(&told);
        }
    }

    fn listen(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.wrong.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if params["type"] == "error" || params["type"] == "warning" => {
                self.wrong.push(params["args"].to_string());
            }
            "Log.entryAdded" => self.wrong.push(params["entry"].to_string()),
            _ => {}
        }
    }

    pub fn open(&mut self, address: &str) {
        self.call("Page.navigate", &json!({ "url": address }));
        self.until("document.body && document.body.dataset.ready === 'yes'");
    }

    /// What an expression of the page comes to.
    pub fn see(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let told = self.call("Runtime.evaluate", &asked);
        assert_eq!(told["exceptionDetails"], Value::Null, "{expression}");
        told["result"]["value"].clone()
    }

    pub fn until(&mut self, expression: &str) -> Duration {
        let begun = Instant::now();
        while self.see(expression) != json!(true) {
            assert!(begun.elapsed() < PATIENCE, "never: {expression}; wrong: {:?}", self.wrong);
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    /// A key as it is pressed: `k`, `ArrowRight`, `Enter`.
    pub fn key(&mut self, key: &str) {
        let mut down = json!({ "type": "keyDown", "key": key, "code": key });
        if key.chars().count() == 1 {
            down["text"] = json!(key);
        } else if key == "Enter" {
            (down["text"], down["windowsVirtualKeyCode"]) = (json!("\r"), json!(13));
        } else if key == "Escape" {
            down["windowsVirtualKeyCode"] = json!(27);
        } else if key == "Tab" {
            down["windowsVirtualKeyCode"] = json!(9);
        }
        self.call("Input.dispatchKeyEvent", &down);
        down["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", &down);
    }

    /// A picture of the page where `ALBUMCTL_SCREENSHOTS` names a folder.
    pub fn picture(&mut self, name: &str) {
        use base64::Engine as _;
        let Some(folder) = std::env::var_os("ALBUMCTL_SCREENSHOTS") else { return };
        let told = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = base64::engine::general_purpose::STANDARD.decode(told["data"].as_str().unwrap()).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
