//! Which configuration a command reads.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::config::{Config, Kept, Problems};

/// The configuration's place, the same option on every command that needs one.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration
    #[arg(
        short = 'c',
        long = "config",
        global = true,
        value_name = "FILE",
        default_value = "/etc/fillguard/fillguard.toml",
        env = "FILLGUARD_CONFIG"
    )]
    pub path: PathBuf,
}

impl ConfigFile {
    /// Reads it without its credentials; tells all its problems on standard error and returns nothing where it has any.
    pub(super) fn check(&self) -> io::Result<Option<Config>> {
        told(Config::check(&self.path))
    }

    /// Reads it as [`ConfigFile::check`] does; a mistake in an account's own file is told, and the rest goes on.
    pub(super) fn in_need(&self) -> io::Result<Option<Config>> {
        let config = told(Config::in_need(&self.path))?;
        for problems in config.iter().flat_map(|config| &config.faulty) {
            writeln!(io::stderr(), "fillguard: {problems} (this account is left out here)")?;
        }
        Ok(config)
    }

    /// Reads it with its credentials, which systemd hands to the service in `folder`.
    pub(super) fn with_credentials(&self, folder: Option<PathBuf>) -> io::Result<Option<Config>> {
        told(Config::with_credentials(&self.path, folder))
    }

    /// Reads the parts of all its keys, to look for them elsewhere.
    pub(super) fn secrets(&self, folder: Option<PathBuf>) -> io::Result<Option<Vec<Kept>>> {
        told(Config::secrets(&self.path, folder))
    }
}

fn told<T>(read: Result<T, Problems>) -> io::Result<Option<T>> {
    match read {
        Ok(config) => Ok(Some(config)),
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            Ok(None)
        }
    }
}
