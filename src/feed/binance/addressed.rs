//! Whose a frame of the WebSocket API is.

use super::frames::{Envelope, Head};
use crate::feed::error::Error;
use crate::feed::link::Step;
use crate::feed::socket::{Frame, Received};

/// What a session on the WebSocket API makes of its frames: one socket is many wallets', and the number of a subscription
/// says whose an event is.
pub(super) trait Addressed {
    /// The session's work.
    type Job;

    /// Passes on what concerns all.
    fn everybody(&self, received: &Received, steps: &mut Vec<Step<Self::Job>>);

    /// Takes the answer to a question of ours.
    fn answered(
        &mut self,
        envelope: &Envelope<'_>,
        received: &Received,
        steps: &mut Vec<Step<Self::Job>>,
    ) -> Result<(), Error>;

    /// Takes an event of one subscription.
    fn event(
        &mut self,
        number: u64,
        head: &Head<'_>,
        received: Received,
        steps: &mut Vec<Step<Self::Job>>,
    ) -> Result<(), Error>;

    /// Takes a frame.
    fn heard_of(&mut self, received: Received, steps: &mut Vec<Step<Self::Job>>) -> Result<(), Error> {
        let Frame::Text(text) = &received.frame else {
            self.everybody(&received, steps);
            return Ok(());
        };
        let text = text.clone();
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(&text) else {
            // Whose it was cannot be told, so all are told that something could not be read.
            self.everybody(&received, steps);
            return Ok(());
        };
        match (&envelope.event, envelope.subscription) {
            (Some(head), Some(number)) => self.event(number, head, received, steps),
            (Some(head), None) => {
                self.everybody(&received, steps);
                if head.e == "serverShutdown" {
                    steps.push(Step::Renew);
                }
                Ok(())
            }
            (None, _) if envelope.status.is_some() => self.answered(&envelope, &received, steps),
            (None, _) => {
                self.everybody(&received, steps);
                Ok(())
            }
        }
    }
}
