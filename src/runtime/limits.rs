//! What the system allows a process, raised to what it may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files and sockets that may be open to the most the system allows, as servers do: the usual
/// 1,024 are kept low for programs that cannot handle more. Returns how many it is now; nothing for no bound.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, files = current, "the number of open files could not be raised");
            current
        }
    }
}
