//! The commands: a file each, what it reads, whom it calls, what it prints.

pub mod check;
pub mod import_tape;
pub mod replay;
pub mod run;
pub mod verify;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::{Parser, Subcommand};

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
/// own habits and the pair's market, and says within a second that somebody else is trading.
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
    Run(run::Args),
    Check(check::Args),
    Replay(replay::Args),
    Verify(verify::Args),
    ImportTape(import_tape::Args),
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
        Command::Replay(args) => replay::run(args, &mut out, io::stderr().is_terminal()),
        Command::Verify(args) => verify::run(args, &mut out),
        Command::ImportTape(args) => import_tape::run(args, &mut out),
    };
    match out.flush() {
        // Whoever reads our output may stop reading (`| head`): that is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => done,
    }
}
