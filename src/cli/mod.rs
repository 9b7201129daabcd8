//! The commands: a file each, what it reads, whom it calls, what it prints.

pub mod ack;
mod author;
pub mod backtest;
mod backtest_market;
pub mod check;
mod config_file;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod evidence;
pub mod except;
pub mod explain;
pub mod fields;
mod format;
pub mod import_tape;
pub mod incidents;
pub mod leak_mode;
pub mod leakcheck;
mod material;
pub mod notify;
pub mod panic;
mod panic_ledger;
mod preview;
mod promotion;
pub mod replay;
pub mod respond;
pub mod run;
pub mod silence;
pub mod simulate;
pub mod stage;
pub mod test;
pub mod top;
pub mod train;
pub mod tune;
pub mod verify;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use config_file::ConfigFile;
pub use format::Format;

/// Nothing is wrong.
pub const FINE: u8 = 0;
/// Something was found.
pub const FOUND: u8 = 1;
/// Misuse, or a broken configuration.
pub const MISUSE: u8 = 2;
/// It began and could not go on.
pub const FAILED: u8 = 3;

/// Watch the fills of exchange accounts whose API keys may have leaked
///
/// fillguard reads the private feeds of Binance, KuCoin and Coinbase accounts, judges every order against the account's
/// own habits and the pair's market, and says when somebody else is trading.
///
/// Start with `fillguard demo`. Exit codes: 0 fine, 1 something was found, 2 misuse or broken configuration, 3 a failure
/// while running.
#[derive(Debug, Parser)]
#[command(name = "fillguard", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Check(check::Args),
    Fields(fields::Args),
    Replay(replay::Args),
    Explain(explain::Args),
    WhyNot(explain::WhyNot),
    Diff(diff::Args),
    Test(test::Args),
    Stage(stage::Args),
    Except(except::Args),
    Silence(silence::Args),
    Verify(verify::Args),
    LeakMode(leak_mode::Args),
    Leakcheck(leakcheck::Args),
    Respond(respond::Args),
    Panic(panic::Args),
    Doctor(doctor::Args),
    Evidence(evidence::Args),
    Incidents(incidents::Args),
    Ack(ack::Args),
    Drill(drill::Args),
    Top(top::Args),
    Notify(notify::Args),
    Simulate(simulate::Args),
    ImportTape(import_tape::Args),
    Backtest(backtest::Args),
    Train(train::Args),
    Tune(tune::Args),
}

/// Runs an asynchronous command until it ends or the user stops it.
fn until_stopped<W: Future<Output = anyhow::Result<u8>>>(
    work: impl FnOnce(CancellationToken) -> W,
) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let work = work(stop.clone());
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = asked_to_stop() => stop.cancel(),
        }
        work.await
    })
}

/// Waits for an interrupt or a request to terminate.
async fn asked_to_stop() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Runs the command line; returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(MISUSE);
            error.print()?;
            return Ok(code);
        }
    };
    let mut out = io::BufWriter::new(io::stdout());
    let done = match &cli.command {
        // It prints on its own: its threads must find standard output unlocked.
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args, &mut out),
        Command::Fields(args) => fields::run(args, &mut out),
        Command::Demo(args) => until_stopped(|stop| async move { demo::run(args, &mut io::stdout(), stop).await }),
        Command::Replay(args) => replay::run(args, &mut out, io::stderr().is_terminal()),
        Command::Explain(args) => explain::run(args, &mut out),
        Command::WhyNot(args) => explain::why_not(args, &mut out),
        Command::Stage(args) => stage::run(args, &mut out),
        Command::Except(args) => except::run(args, &mut out),
        Command::Silence(args) => silence::run(args, &mut out),
        Command::Test(args) => test::run(args, &mut out),
        Command::Diff(args) => diff::run(args, &mut out),
        Command::Verify(args) => verify::run(args, &mut out),
        Command::LeakMode(args) => leak_mode::run(args, &mut out),
        Command::Leakcheck(args) => leakcheck::run(args, &mut out, io::stderr().is_terminal()),
        Command::Respond(args) => respond::run(args, &mut out),
        Command::Panic(args) => panic::run(args, &mut out, io::stderr().is_terminal()),
        Command::Doctor(args) => doctor::run(args, &mut out),
        Command::Evidence(args) => evidence::run(args, &mut out),
        Command::Incidents(args) => incidents::run(args, &mut out),
        Command::Ack(args) => ack::run(args, &mut out),
        Command::Drill(args) => drill::run(args, &mut out),
        Command::Top(args) => until_stopped(|stop| async move { top::run(args, &mut io::stdout(), stop).await }),
        Command::Notify(args) => notify::run(args, &mut out),
        Command::Simulate(args) => {
            until_stopped(|stop| async move { simulate::run(args, &mut io::stdout(), stop).await.map(|()| FINE) })
        }
        Command::ImportTape(args) => import_tape::run(args, &mut out),
        Command::Backtest(args) => backtest::run(args, &mut out, io::stderr().is_terminal()),
        Command::Tune(args) => tune::run(args, &mut out, io::stderr().is_terminal()),
        Command::Train(args) => train::run(args, &mut out, io::stderr().is_terminal()),
    };
    match out.flush() {
        // Whoever reads our output may stop reading (`| head`): that is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => done,
    }
}
