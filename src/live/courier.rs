//! The channels as tasks: built anew when they fail, and given a moment at the end for what is due.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::notify::{Channel, Clock, Courier, Error, Settings};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{self, Handle};

/// How often a channel that is asked to stop is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Returns a task for each channel; fails when one cannot be set up. They end within `grace`.
pub(super) fn tasks(
    settings: &Settings,
    store: &Handle,
    screen: Box<dyn Write + Send>,
    grace: Duration,
) -> Result<Vec<Task>, Error> {
    let screen = Screen(Arc::new(Mutex::new(screen)));
    let clock: Clock = Arc::new(clock::now);
    let mut tasks = Vec::new();
    for courier in settings.couriers(store, &clock, Box::new(screen.clone()))? {
        let name = courier.name().to_owned();
        let (settings, store, screen, clock) = (settings.clone(), store.clone(), screen.clone(), Arc::clone(&clock));
        let mut first = Some(courier);
        tasks.push(Task::restartable(format!("channel {name}"), Stage::Notifiers, move |stop| {
            let courier = match first.take() {
                Some(courier) => Ok(Some(courier)),
                None => settings.couriers(&store, &clock, Box::new(screen.clone())).map(|mut couriers| {
                    let place = couriers.iter().position(|courier| courier.name() == name);
                    place.map(|place| couriers.swap_remove(place))
                }),
            };
            let store = store.clone();
            async move {
                match courier? {
                    Some(courier) => Ok(carry(courier, &store, stop, grace).await?),
                    None => Outcome::Err("the channel is no longer configured".into()),
                }
            }
        }));
    }
    Ok(tasks)
}

/// Sends until `stop`, then what is due; a third of the grace time each for that and for the attempt under way. What
/// is cut off then is sent at the next start and says that it may be a repeat.
async fn carry(
    courier: Courier<Channel>,
    store: &Handle,
    stop: CancellationToken,
    grace: Duration,
) -> Result<(), store::Error> {
    let (name, end) = (courier.name().to_owned(), CancellationToken::new());
    let mut sending = pin!(courier.run(end.clone()));
    tokio::select! {
        ended = &mut sending => return ended,
        () = stop.cancelled() => {}
    }
    tokio::select! {
        ended = &mut sending => return ended,
        done = timeout(grace / 3, nothing_due(store, &name)) => if let Ok(Err(error)) = done {
            tracing::warn!(channel = %name, %error, "what is due cannot be looked up; it is sent at the next start");
        },
    }
    end.cancel();
    match timeout(grace / 3, sending).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!(channel = %name, "an attempt was cut off; the message is sent again at the next start");
            Ok(())
        }
    }
}

/// Waits until no message of a channel is due. One that failed is not: it waits for its next try.
async fn nothing_due(store: &Handle, name: &str) -> Result<(), store::Error> {
    loop {
        let name = name.to_owned();
        if store.with(move |store| store.due(&name, clock::now(), 1)).await?.is_empty() {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// The screen, kept when the channel that prints on it is built anew.
#[derive(Clone)]
struct Screen(Arc<Mutex<Box<dyn Write + Send>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
