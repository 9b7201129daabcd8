//! One TLS stack for every connection: rustls with aws-lc-rs.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::Error;

/// Makes aws-lc-rs the provider of the process. Calling it again changes nothing.
pub fn provider() {
    // An error means only that a provider was installed before.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Returns a client configuration that trusts what the machine trusts.
pub(super) fn client() -> Result<ClientConfig, Error> {
    provider();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| Error::Tls(why.to_string()))
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}
