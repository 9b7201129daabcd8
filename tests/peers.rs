//! Independent client libraries log in at the simulator and receive fills. If one cannot, the simulator is wrong. And an
//! independent implementation of CEL judges conditions as ours does.
//!
//! Each library gets a virtual environment of its own under `target/peers-venv`, because their pins contradict each
//! other. Where Python or the packages cannot be had, a test says so and passes.

#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test may stop short, and says why it skips")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[path = "peers/cel.rs"]
mod cel;

/// A simulator as its user runs it; killed when dropped.
struct Running {
    child: Child,
    world: String,
}

impl Running {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fillguard"))
            .args([
                "simulate",
                "--format",
                "json",
                "--no-attack",
                "--speed",
                "60",
                "--seed",
                "7",
                "--stop-after",
                "300",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut world = String::new();
        let out = child.stdout.take().expect("its output is piped");
        BufReader::new(out).read_line(&mut world).expect("it prints where to connect");
        Running { child, world }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes an environment with the packages, or says why not.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let folder = here().join("target/peers-venv").join(name);
    let (python, stamp) = (folder.join("bin/python"), folder.join("fillguard-packages"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder), "python3 -m venv")?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]);
    run(install.args(packages), "pip install")?;
    std::fs::write(&stamp, wanted).map_err(|why| why.to_string())?;
    Ok(python)
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output().map_err(|why| format!("{what}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what}: {}", said.lines().last().unwrap_or("no reason given")))
}

fn drive(name: &str, packages: &[&str], script: &str) {
    let python = match environment(name, packages) {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {script}: {why}");
            return;
        }
    };
    let simulator = Running::start();
    let output = Command::new(python)
        .arg(here().join("tests/peers").join(script))
        .env("FILLGUARD_SIMULATOR", simulator.world.trim())
        .output()
        .expect("the script starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} failed:\n{said}");
    eprintln!("{said}");
}

#[test]
fn ccxt_receives_fills_of_all_three() {
    drive("ccxt", &["ccxt==4.5.90"], "ccxt_clients.py");
}

#[test]
fn python_binance_receives_fills() {
    drive("python_binance", &["python-binance==1.0.37"], "python_binance.py");
}

#[test]
fn the_binance_sdk_receives_fills() {
    drive("binance_sdk", &["binance-sdk-spot==13.2.0"], "binance_sdk.py");
}

#[test]
fn the_kucoin_sdk_receives_fills() {
    drive("kucoin_sdk", &["kucoin-universal-sdk==1.3.2"], "kucoin_sdk.py");
}

#[test]
fn the_coinbase_sdk_receives_running_totals() {
    drive("coinbase_sdk", &["coinbase-advanced-py==1.8.4"], "coinbase_sdk.py");
}
