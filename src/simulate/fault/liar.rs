//! What happens to the messages of one account feed's socket on their way out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Faults, garbage};
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::dice::Dice;
use crate::simulate::floor::Floor;

/// How often a socket looks whether its faults changed while it has some, and while it has none: thousands of honest
/// sockets that looked as often would do little else.
const LOOK: Duration = Duration::from_millis(25);
const HONEST_LOOK: Duration = Duration::from_millis(200);
/// How long a message waits for the one behind it.
const SWAP: Duration = Duration::from_millis(50);

/// One socket's faults.
pub struct Liar {
    floor: Arc<Floor>,
    venue: Venue,
    who: Option<usize>,
    dice: Dice,
    opened: Instant,
    /// Where within their spans the socket is cut and falls silent.
    cut: f64,
    deaf: f64,
    was_deaf: bool,
    closings: u64,
    honest: bool,
    late: Vec<(Instant, Message)>,
    swapped: Option<(Instant, Message)>,
}

/// How a socket goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It lives.
    On,
    /// It says nothing and hears nothing.
    Deaf,
    /// It is dropped.
    Cut,
    /// It is closed as one that is 24 hours old.
    Closed,
}

impl Liar {
    /// Makes the faults of a new socket; `who` is its account where it has one only.
    pub fn new(floor: &Arc<Floor>, venue: Venue, who: Option<usize>) -> Self {
        let mut book = floor.faults();
        let mut dice = book.dice_of_socket();
        let closings = book.closings.get(&venue).copied().unwrap_or(0);
        drop(book);
        let (cut, deaf) = (dice.between(0.5, 1.0), dice.between(1.0 / 3.0, 1.0));
        Liar {
            floor: Arc::clone(floor),
            venue,
            who,
            dice,
            opened: clock::steady(),
            cut,
            deaf,
            was_deaf: false,
            closings,
            honest: true,
            late: Vec::new(),
            swapped: None,
        }
    }

    /// Returns how the socket goes on.
    pub fn life(&mut self) -> Life {
        let mut book = self.floor.faults();
        let faults = book.of(self.venue, self.who);
        self.honest = faults == Faults::default();
        let age = self.opened.elapsed().as_secs_f64();
        if book.closings.get(&self.venue).copied().unwrap_or(0) > self.closings {
            book.tally.cut += 1;
            return Life::Closed;
        }
        if faults.cut_secs > 0.0 && age > faults.cut_secs * self.cut {
            book.tally.cut += 1;
            return Life::Cut;
        }
        if self.was_deaf || faults.deaf_secs > 0.0 && age > faults.deaf_secs * self.deaf {
            book.tally.deafened += u64::from(!self.was_deaf);
            self.was_deaf = true;
            return Life::Deaf;
        }
        Life::On
    }

    /// Returns when there is next something to do or to look at.
    pub fn wake(&self) -> Instant {
        let look = clock::steady() + if self.honest { HONEST_LOOK } else { LOOK };
        self.late.iter().chain(&self.swapped).map(|(at, _)| *at).min().map_or(look, |at| at.min(look))
    }

    /// Returns the held messages whose time has come.
    pub fn due(&mut self) -> Vec<Message> {
        let now = clock::steady();
        let mut due: Vec<(Instant, Message)> = self.late.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        due.extend(self.swapped.take_if(|(at, _)| *at <= now));
        due.into_iter().map(|(_, message)| message).collect()
    }

    /// Returns what goes out now in place of a message.
    pub fn instead_of(&mut self, good: &Value) -> Vec<Message> {
        let floor = Arc::clone(&self.floor);
        let mut book = floor.faults();
        let faults: Faults = book.of(self.venue, self.who);
        if faults.no_sign_of_life && (good["type"] == "pong" || good["op"] == "pong") {
            return Vec::new();
        }
        let mut out = Vec::new();
        if self.dice.chance(faults.garbage) {
            book.tally.garbage += 1;
            out.push(garbage::of(good, self.venue, &mut self.dice));
        }
        let message = Message::text(good.to_string());
        if self.dice.chance(faults.delay) {
            book.tally.delayed += 1;
            let late = Duration::from_secs_f64(self.dice.unit() * faults.delay_secs);
            self.late.push((clock::steady() + late, message));
        } else if self.swapped.is_none() && self.dice.chance(faults.swap) {
            book.tally.swapped += 1;
            self.swapped = Some((clock::steady() + SWAP, message));
        } else {
            out.push(message);
            out.extend(self.swapped.take().map(|(_, message)| message));
        }
        out
    }
}
