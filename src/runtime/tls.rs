//! One TLS configuration for WebSocket and HTTP: the machine's own roots, and a file of further ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of further certificates cannot be read.
    #[error("cannot read certificates from {path}: {why}; give a PEM file with at least one CERTIFICATE block")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Builds the configuration; `extra_ca` names a PEM file whose certificates are trusted besides the machine's.
pub fn client_config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    // Single roots that cannot be parsed are skipped, as every other program on the machine does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_ca {
        let refuse = |why: String| Error::File { path: path.to_owned(), why };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
        let mut added = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            added += 1;
        }
        if added == 0 {
            return Err(refuse("no certificate in it".to_owned()));
        }
    }
    if roots.is_empty() {
        // Not an error: a demo or a drill on loopback needs none, and a real handshake will fail with these words at hand.
        tracing::warn!("this machine trusts no certificates; install the package ca-certificates or name a CA file");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = client_config(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("no certificate"), "{error}");
    }
}
