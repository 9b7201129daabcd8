//! fillguard: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match fillguard::cli::run(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let broken_pipe = error.chain().any(|cause| {
                cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
            });
            if broken_pipe {
                return ExitCode::SUCCESS;
            }
            // Nothing is left to do where even this cannot be written.
            drop(writeln!(std::io::stderr(), "fillguard: {error:#}"));
            ExitCode::from(fillguard::cli::FAILED)
        }
    }
}
