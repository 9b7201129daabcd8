//! A home with a configuration, and the daemon as its own process in it.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::journal::{read_from, segments};
use serde_json::Value;

pub const TOKEN: &str = "not-a-real-token-0123456789abcdef";

/// A home; `more` is added to a configuration that watches alice at an exchange that is not there.
pub struct Home {
    folder: tempfile::TempDir,
    pub listen: SocketAddr,
}

/// A daemon; killed when the test ends.
pub struct Running {
    child: Child,
    pub log: PathBuf,
    pub out: PathBuf,
}

impl Home {
    pub fn new(more: &str) -> Home {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let home = Home { folder: tempfile::tempdir().unwrap(), listen };
        home.configure("http://127.0.0.1:9", "ws://127.0.0.1:9", "key-of-alice", "not-a-real-secret", more);
        home
    }

    /// Writes the configuration; `{listen}` in `more` is where posts are taken.
    pub fn configure(&self, rest: &str, ws: &str, key: &str, secret: &str, more: &str) {
        let more = more.replace("{listen}", &self.listen.to_string());
        let text = format!(
            r#"
            [state]
            dir = "state"
            [[account]]
            exchange = "binance"
            name = "alice"
            key_file = "alice.key"
            secret_file = "alice.secret"
            [notify.console]
            enabled = true
            [feed.binance]
            rest = "{rest}"
            ws_api = "{ws}/ws-api/v3"
            stream = "{ws}"
            {more}
            "#
        );
        let files = [("fillguard.toml", text.as_str()), ("alice.key", key), ("alice.secret", secret), ("token", TOKEN)];
        for (name, text) in files {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&self, run: &str) -> Running {
        let file = |kind: &str| File::create(self.path(&format!("{run}.{kind}"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fillguard"))
            .args(["run", "--config"])
            .arg(self.path("fillguard.toml"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        Running { child, out: self.path(&format!("{run}.out")), log: self.path(&format!("{run}.log")) }
    }

    /// Returns what the journal holds, up to what may be being written this moment.
    pub fn arrivals(&self) -> Vec<Arrival> {
        let dir = self.path("state").join("journal");
        let Ok(found) = segments(&dir) else { return Vec::new() };
        let Some(oldest) = found.first() else { return Vec::new() };
        read_from(&dir, oldest.first).map(|tail| tail.map_while(Result::ok).collect()).unwrap_or_default()
    }

    /// Returns the frames of a log in the journal that tell of an account.
    pub fn frames(&self, log: &str) -> Vec<Value> {
        let of_log = |arrival: Arrival| match (&arrival.from, &arrival.body) {
            (Source::Access(name), Body::Frame(frame)) if name == log => serde_json::from_str(frame.get()).ok(),
            _ => None,
        };
        let tells = |frame: &Value| frame.get("account").is_some() || frame["fillguard"].get("lines").is_some();
        self.arrivals().into_iter().filter_map(of_log).filter(tells).collect()
    }

    /// Returns every byte that was kept or said.
    pub fn everything(&self) -> String {
        let mut all = String::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.ends_with(".ndjson")
                    || name.ends_with(".out")
                    || name.ends_with(".log") && !name.contains("access")
                {
                    all.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
                }
            }
        }
        all
    }
}

impl Running {
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert!(waited.is_ok(), "waited in vain for {what}; log: {}", self.said());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
