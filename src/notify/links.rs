//! Links to the answer page: signed, bound to incident, channel and an end, and good for one answer.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::domain::{IncidentId, Span, Timestamp};

/// Makes links and reads them back.
#[derive(Clone, Debug)]
pub struct Links {
    /// What people's browsers reach, without the slash at the end.
    public_url: String,
    key: Arc<hmac::Key>,
}

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// About which incident.
    pub incident: IncidentId,
    /// The channel it was sent over.
    pub channel: String,
    /// Until when it holds.
    pub expires: Timestamp,
    /// Its signature: what an answer given with it is kept under.
    pub signature: String,
}

/// How long a link holds.
const GOOD_FOR: Span = Span::from_secs(7 * 86_400);
/// The longest token read.
const LONGEST: usize = 600;
/// The path below which tokens stand.
pub const PATH: &str = "/a/";

impl Links {
    /// Signs with a key of at least 16 bytes.
    pub fn new(public_url: &str, key: &[u8]) -> Self {
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key));
        Links { public_url: public_url.trim_end_matches('/').to_owned(), key }
    }

    /// Returns the link for a message that an arrival at `at` caused: the same whenever it is sent.
    pub fn link(&self, incident: &IncidentId, channel: &str, at: Timestamp) -> String {
        let expires = (at + GOOD_FOR).nanos();
        let payload = BASE64.encode(format!("{incident}\n{channel}\n{expires}"));
        let signature = BASE64.encode(hmac::sign(&self.key, payload.as_bytes()));
        format!("{}{PATH}{payload}.{signature}", self.public_url)
    }

    /// Reads what follows the path; nothing where it was not signed here.
    pub fn read(&self, token: &str) -> Option<Link> {
        let (payload, signature) = token.split_once('.').filter(|_| token.len() <= LONGEST)?;
        let tag = BASE64.decode(signature).ok()?;
        hmac::verify(&self.key, payload.as_bytes(), &tag).ok()?;
        let text = String::from_utf8(BASE64.decode(payload).ok()?).ok()?;
        let mut lines = text.split('\n');
        let (incident, channel, expires) = (lines.next()?, lines.next()?, lines.next()?.parse().ok()?);
        Some(Link {
            incident: IncidentId::known(incident),
            channel: channel.to_owned(),
            expires: Timestamp::from_nanos(expires),
            signature: signature.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_and_no_other_does() {
        let links = Links::new("https://example.org/", b"a key of sixteen bytes");
        let id = IncidentId::known("binance-alice-4711");
        let link = links.link(&id, "mail", Timestamp::EPOCH);
        let token = link.strip_prefix("https://example.org/a/").unwrap();
        let read = links.read(token).unwrap();
        assert_eq!((read.incident, read.channel.as_str(), read.expires), (id, "mail", Timestamp::EPOCH + GOOD_FOR));
        assert_eq!(link, links.link(&IncidentId::known("binance-alice-4711"), "mail", Timestamp::EPOCH));
        for place in 0..token.len() {
            let mut other = token.as_bytes().to_vec();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert!(links.read(&String::from_utf8(other).unwrap()).is_none(), "{place}");
        }
        assert!(Links::new("https://example.org", b"another key of sixteen").read(token).is_none());
    }
}
