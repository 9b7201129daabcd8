//! fillguard: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use fillguard::cli::simulate;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
enum Command {
    Simulate(simulate::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Simulate(args) = Command::parse();
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let signal = async move {
        let _ = tokio::signal::ctrl_c().await;
        ended.cancel();
        std::future::pending::<()>().await;
    };
    let mut out = std::io::stdout();
    let result = tokio::select! {
        result = simulate::run(&args, &mut out, stop) => result,
        () = signal => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(3),
    }
}
