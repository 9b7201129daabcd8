//! The service manager is told the truth: ready, how it goes, and alive only when something went through.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::{self, Daemon};

const HOME: &str = "FILLGUARD_WATCHDOG_HOME";

/// The child: each line it reads becomes an arrival; it ends with its input.
#[test]
#[ignore = "runs in a child process of the test below"]
fn the_daemon() {
    let home = std::env::var_os(HOME).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let daemon = Daemon::start(daemon::settings(home.as_ref())).await;
        for (place, line) in BufReader::new(std::io::stdin()).lines().enumerate() {
            line.unwrap();
            daemon.send(daemon::garbage(place as i64, "binance/alice")).await;
        }
        daemon.end().await.unwrap();
    });
}

struct Manager(UnixDatagram);

impl Manager {
    /// Returns what comes until a message that contains `wanted`, with it.
    fn until(&self, wanted: &str) -> Vec<String> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 4_096]);
        loop {
            let length = self.0.recv(&mut buffer).unwrap_or_else(|_| panic!("waited in vain for {wanted}: {heard:?}"));
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if heard.last().unwrap().contains(wanted) {
                return heard;
            }
        }
    }
}

#[test]
fn the_watchdog_is_answered_when_a_batch_went_through_and_not_otherwise() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("notify.sock");
    let manager = Manager(UnixDatagram::bind(&socket).unwrap());
    manager.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "watchdog::the_daemon", "--nocapture"])
        .env(HOME, home.path())
        .env("NOTIFY_SOCKET", &socket)
        // Answers are a quarter of this apart: a millisecond.
        .env("WATCHDOG_USEC", "4000")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut hand = child.stdin.take().unwrap();
    manager.until("READY=1");
    // Long enough for a hundred answers, were a timer to give them.
    manager.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 4_096];
    while let Ok(length) = manager.0.recv(&mut buffer) {
        assert!(!String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1"), "nothing went through yet");
    }
    manager.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..3 {
        writeln!(hand, "go").unwrap();
        let heard = manager.until("WATCHDOG=1");
        assert_eq!(heard.iter().filter(|said| said.contains("WATCHDOG=1")).count(), 1, "{heard:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(hand);
    assert!(child.wait().unwrap().success());
}
