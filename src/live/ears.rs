//! The bots' ears as tasks: built anew when they fail.

use std::sync::Arc;

use tokio::sync::watch;

use super::inbox::{self, Order};
use super::{Settings, operator};
use crate::notify::Error;
use crate::notify::telegram::{Listener, Pulse, Surroundings};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::Handle;

/// Returns a task for each bot that people may talk to.
pub(super) fn tasks(settings: &Settings, store: &Handle, pulse: watch::Receiver<Pulse>) -> Result<Vec<Task>, Error> {
    let leak_file = settings.leak_file.clone();
    let leak_modes = move || leak_file.as_deref().map(|file| operator::modes(file, clock::now())).unwrap_or_default();
    let inbox = settings.inbox.clone();
    let account = settings.feed.accounts.first().map(|account| account.id.to_string());
    let around = Surroundings {
        pulse,
        leak_modes: Arc::new(leak_modes),
        drill: Arc::new(move |by| {
            let folder = inbox.as_deref().ok_or("No folder for commands is configured.")?;
            let account = account.clone().ok_or("No account is watched, so there is nothing to try.")?;
            let code = format!("{:08x}", rand::random::<u32>());
            let order = Order::Drill { code, account, by: by.to_owned() };
            inbox::put(folder, &order).map(drop).map_err(|why| format!("The drill cannot be begun: {why}"))
        }),
    };
    let mut tasks = Vec::new();
    for listener in Listener::all(&settings.notify.telegram, store, &around)? {
        let name = listener.name().to_owned();
        let (bots, store, around) = (settings.notify.telegram.clone(), store.clone(), around.clone());
        let mut first = Some(listener);
        tasks.push(Task::restartable(format!("ear of {name}"), Stage::Notifiers, move |stop| {
            let listener = match first.take() {
                Some(listener) => Ok(Some(listener)),
                None => Listener::all(&bots, &store, &around)
                    .map(|all| all.into_iter().find(|listener| listener.name() == name)),
            };
            async move {
                match listener? {
                    Some(listener) => Ok(listener.run(stop).await?),
                    None => Outcome::Err("the bot is no longer configured".into()),
                }
            }
        }));
    }
    Ok(tasks)
}
