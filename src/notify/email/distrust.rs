//! Why a mail server's certificate is not trusted, in words that say what to do.

use lettre::transport::smtp::Error as SmtpError;
use rustls::{CertificateError, Error as TlsError};

/// Returns what to do where an error is about the server's certificate.
pub(super) fn explained(why: &SmtpError, server: &str) -> Option<String> {
    let mut cause = std::error::Error::source(why);
    while let Some(inner) = cause {
        // An io::Error hides the error it was made of from its own chain.
        let hidden = inner.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let found = hidden.and_then(|error| error.downcast_ref::<TlsError>()).or_else(|| inner.downcast_ref());
        if let Some(TlsError::InvalidCertificate(problem)) = found {
            return Some(advice(problem, server));
        }
        cause = inner.source();
    }
    None
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, which grows")]
fn advice(problem: &CertificateError, server: &str) -> String {
    match problem {
        CertificateError::UnknownIssuer => format!(
            "nobody this machine trusts has signed the certificate of {server}; put the certificate of who did into ca_file"
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            format!("the certificate is not for {server} but for {names}; set server to a name it is for")
        }
        CertificateError::NotValidForName => {
            format!("the certificate is not for {server}; set server to a name it is for")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "the certificate of {server} is no longer valid; have its owner renew it, and look at this machine's clock"
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {server} is not valid yet; look at this machine's clock")
        }
        other => format!("the certificate of {server} is not trusted: {other:?}"),
    }
}
