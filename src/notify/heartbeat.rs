//! Signs of life: a ping to an address that notices when it stays away (<https://healthchecks.io/docs/http_api/>), and the
//! time of day when people get a line.

use std::time::Duration;

use jiff::tz::TimeZone;
use reqwest::Client;

use super::{Error, http};
use crate::domain::Timestamp;
use crate::secret::Secret;

/// Where to ping.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// The address; who knows it can ping it, so it is a secret.
    pub url: Secret,
    /// How often; 1 min by default.
    pub every: Duration,
    /// How long one ping may take; 20 s by default.
    pub timeout: Duration,
}

/// Pings.
pub struct Heartbeat {
    settings: HeartbeatSettings,
    client: Client,
}

impl Heartbeat {
    /// Checks the settings.
    pub fn new(settings: HeartbeatSettings) -> Result<Self, Error> {
        http::check("heartbeat", "the address", settings.url.expose())?;
        let client = http::client(settings.timeout)?;
        Ok(Heartbeat { settings, client })
    }

    /// Returns how often to ping.
    pub fn every(&self) -> Duration {
        self.settings.every
    }

    /// Pings once; says what went wrong, without the address.
    pub async fn ping(&self) -> Result<(), String> {
        let response = self.client.get(self.settings.url.expose()).send().await.map_err(http::said)?;
        match response.status().as_u16() {
            200..300 => Ok(()),
            status => Err(format!("the address answered {status}")),
        }
    }
}

/// When people get a line a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily {
    /// The minute of the day.
    pub minute: u16,
    /// By which clock.
    pub zone: TimeZone,
}

impl Daily {
    fn clock(&self, now: Timestamp) -> Option<jiff::civil::DateTime> {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now.nanos())).ok()?;
        Some(self.zone.to_datetime(now))
    }

    fn passed(&self, now: Timestamp) -> i64 {
        let minute = |clock: jiff::civil::DateTime| i64::from(clock.hour()) * 60 + i64::from(clock.minute());
        self.clock(now).map_or(0, minute)
    }

    /// Returns the day by its clock.
    pub fn day(&self, now: Timestamp) -> String {
        self.clock(now).map(|clock| clock.date().to_string()).unwrap_or_default()
    }

    /// Says whether today's time has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.passed(now) >= i64::from(self.minute)
    }

    /// Returns how long it is until the next time.
    pub fn wait(&self, now: Timestamp) -> Duration {
        let left = (i64::from(self.minute) - self.passed(now)).rem_euclid(24 * 60);
        Duration::from_secs(left.unsigned_abs() * 60)
    }
}
