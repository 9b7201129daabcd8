//! `[answers]` and `[alive]`: where answers are taken, and how somebody notices that the daemon is dead.

use std::net::SocketAddr;
use std::time::Duration;

use super::credential::{Found, one_line, secret};
use super::notify::{clock, time_zone};
use super::section::{Scope, Section};
use super::values::text;
use crate::notify::heartbeat::{Daily, Heartbeat, HeartbeatSettings};
use crate::serve::Settings;

const SECOND: Duration = Duration::from_secs(1);

/// Reads where the answer page is served; nowhere by default. `posts` is where access entries are posted to.
pub(super) fn answers(root: &mut Section<'_>, posts: Option<SocketAddr>) -> Option<Settings> {
    let mut section = root.section("answers");
    let listen = section.ask("listen", Some("\"\"".to_owned()), |value| match text(value)? {
        "" => Ok(None),
        text => text.parse::<SocketAddr>().map(Some).map_err(|_| ADDRESS.to_owned()),
    });
    let listen = listen.flatten();
    let given = section.text("public_url", Some("")).unwrap_or_default();
    let public_url = match (listen, given.as_str()) {
        (Some(listen), "") => format!("http://{listen}"),
        (_, given) => given.trim_end_matches('/').to_owned(),
    };
    let fine = |url: &str| {
        let plain = url.strip_prefix("http://").is_some_and(|rest| {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            crate::notify::is_loopback(host) || rest.starts_with("[::1]")
        });
        (url.starts_with("https://") || plain) && !url.contains(['?', '#', ' ', '"', '<'])
    };
    if !public_url.is_empty() && !fine(&public_url) {
        section.refuse("public_url", "must be what browsers reach over TLS, as in \"https://guard.example.org\"");
    }
    if listen.is_none() && !given.is_empty() {
        section.refuse("public_url", "needs listen: the address where the page is served, as in \"127.0.0.1:8788\"");
    }
    if listen.is_some_and(|listen| listen.port() == 0) {
        section.refuse("listen", "names port 0, which is another one at each start; name the port that links lead to");
    } else if listen.zip(posts).is_some_and(|(listen, posts)| clash(listen, posts)) {
        section.refuse("listen", "is where access.http listens; give one of them another port");
    }
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        section.gather.warn(format!(
            "answers.listen is {listen}, which others can reach without TLS; listen on 127.0.0.1 and put a proxy before it"
        ));
    }
    section.close();
    listen.map(|listen| Settings { listen, public_url })
}

/// Says whether two cannot be listened on at once: one that is not specified is all addresses of the machine.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (everywhere || one.ip() == other.ip())
}

const ADDRESS: &str = "must be an address and a port, as in \"127.0.0.1:8788\"";

/// Reads the heartbeat and the daily line.
pub(super) fn alive(root: &mut Section<'_>) -> (Option<HeartbeatSettings>, Option<Daily>) {
    let mut section = root.section("alive");
    let url = secret(&mut section, "ping_file", "ping_credential");
    let every = section.time("every", Duration::from_secs(60), 10 * SECOND..=Duration::from_secs(86_400));
    let heartbeat = match url {
        Found::Read(url) => one_line(&section, url, "ping_file", "ping_credential").map(|url| HeartbeatSettings {
            url,
            every,
            timeout: 20 * SECOND,
        }),
        Found::Absent | Found::Unread => None,
    };
    if let Some(error) = heartbeat.as_ref().and_then(|beat| Heartbeat::new(beat.clone()).err()) {
        section.refuse("ping_file", error.to_string());
    }
    let daily = section.ask("daily", Some("\"\"".to_owned()), |value| match text(value)? {
        "" => Ok(None),
        text => clock(text).map(Some).ok_or_else(|| "must be a time of day, as in \"08:00\"".to_owned()),
    });
    let zone = time_zone(&mut section);
    section.close();
    if section.gather.scope == Scope::Middle {
        return (None, None);
    }
    (heartbeat, daily.flatten().zip(zone).map(|(minute, zone)| Daily { minute, zone }))
}
