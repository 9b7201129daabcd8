//! How often the owner said *that was me* of trading in a market that was being raised.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::engine::decay::left;

/// Half of what an answer says is forgotten after so many seconds: 120 days.
const HALF_LIFE: f64 = 120.0 * 86_400.0;

/// Sessions that alarmed because of the market and were the owner's, fewer the longer ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vouched {
    count: f32,
    at: Timestamp,
}

impl Vouched {
    /// Counts one more.
    pub fn add(&mut self, time: Timestamp) {
        let now = time.max(self.at);
        (self.count, self.at) = (self.count(now) as f32 + 1.0, now);
    }

    /// Returns how many there are at `time`.
    pub fn count(&self, time: Timestamp) -> f64 {
        f64::from(self.count) * left(time.since(self.at).secs_f64(), HALF_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Answer, Span};
    use crate::engine::account::Account;

    #[test]
    fn an_answer_counts_half_after_four_months_and_a_clock_that_went_back_forgets_nothing() {
        let day = |n: i64| Timestamp::from_millis(1_760_000_000_000) + Span::from_secs(n * 86_400);
        let mut vouched = Vouched::default();
        vouched.add(day(0));
        vouched.add(day(120));
        assert!((vouched.count(day(120)) - 1.5).abs() < 1e-6);
        assert!((vouched.count(day(240)) - 0.75).abs() < 1e-6);
        vouched.add(day(60));
        assert!((vouched.count(day(60)) - 2.5).abs() < 1e-6);
    }

    #[test]
    fn an_answer_counts_where_the_market_was_raised_or_the_price_was_far() {
        let counted = |heat: f64, far: f64, alarms: bool| {
            let mut account = Account::new("binance/alice".parse().unwrap());
            (account.session.heat, account.session.far) = (heat, far);
            account.session.tell(7, alarms);
            let answer = Answer { account: account.id.clone(), first: 7, last: 7, mine: true, by: "test".into() };
            account.answer(&answer);
            account.vouched.is_some()
        };
        assert!(counted(9.0, 0.0, true) && counted(0.0, 0.4, true));
        assert!(!counted(0.0, 0.0, true), "an alarm about something else says nothing of markets");
        assert!(!counted(9.0, 0.4, false), "a notice is no alarm");
    }
}
