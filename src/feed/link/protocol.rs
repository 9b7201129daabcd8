//! What a link asks of an exchange's protocol: a state machine on one connection, and calls beside it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use crate::arrival::Source;
use crate::domain::{Symbol, Timestamp};
use crate::feed::error::Error;
use crate::feed::limiter::Limiter;
use crate::feed::outlet::Outlet;
use crate::feed::socket::{Received, Socket};

/// What an exchange's protocol wants done.
pub enum Step<J> {
    /// Send this.
    Send(String),
    /// Hand this over as received.
    Pass(Source, Received),
    /// The subject is signed in and subscribed.
    Up(Source),
    /// The subject alone is lost; the connection goes on.
    Down(Source, Error),
    /// Do this beside the connection.
    Job(J),
    /// From then on something may have been missed: ask for it.
    Owe(Source, Timestamp),
    /// Replace the connection now.
    Renew,
}

/// The protocol on one connection: a state machine that touches no socket.
pub trait Session: Send + 'static {
    /// What it wants done beside the connection.
    type Job: Send + 'static;

    /// Takes a frame.
    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Self::Job>>) -> Result<(), Error>;

    /// Returns when it next wants to speak or check something, and what that costs at the exchange.
    fn due(&self) -> Option<(Instant, u32)>;

    /// Speaks, or checks; called when due.
    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Self::Job>>) -> Result<(), Error>;

    /// Returns whether everything it subscribed at first was answered.
    fn settled(&self) -> bool;

    /// Takes that a call for `source` was refused: its key may be dead. Without a way to ask on the connection itself
    /// the connection is given up, and signing in tells.
    fn suspect(&mut self, _source: &Source, error: Error) -> Result<(), Error> {
        Err(error)
    }

    /// Takes the pairs to be subscribed from now on.
    fn want(&mut self, _pairs: &BTreeSet<Symbol>, _now: Instant) {}
}

/// How to reach one subject: some accounts, or some pairs of a market.
pub trait Protocol: Send + Sync + 'static {
    /// What runs beside its connections.
    type Job: Send + 'static;
    /// Its state machine.
    type Session: Session<Job = Self::Job>;

    /// Returns those whose link this is.
    fn sources(&self) -> Vec<Source>;

    /// Returns what pays for what is said.
    fn limiter(&self) -> &Limiter;

    /// Makes the smallest call that filling a gap needs. It is made before connecting again after such a call was
    /// refused: a feed that comes up with a key that may not read the rest would go up and down without end.
    fn probe(self: Arc<Self>, _outlet: Outlet) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Connects.
    fn connect(self: Arc<Self>) -> impl Future<Output = Result<(Socket, Self::Session), Error>> + Send;

    /// Runs a job.
    fn run(self: Arc<Self>, job: Self::Job, outlet: Outlet) -> impl Future<Output = Result<(), Error>> + Send;

    /// Hears that this connection carries `source`, and counts as doing so: one with an older key may end now.
    fn carried(&self, _source: &Source) {}

    /// Returns whether there are keys to ask about.
    fn inspects(&self) -> bool {
        false
    }

    /// Asks what the key of `source` may do.
    fn inspect(self: Arc<Self>, _source: Source, _outlet: Outlet) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Returns the job that asks for what `source` missed.
    fn fill(&self, source: &Source, gap: Gap) -> Option<Self::Job>;

    /// Returns up to when `source` was known before this process.
    fn known_until(&self, source: &Source) -> Option<Timestamp>;
}

/// An interval in which an account's feed may have missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
}
