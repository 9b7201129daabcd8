//! The bots' ears as tasks: built anew when they fail.

use std::sync::Arc;

use tokio::sync::watch;

use super::inbox::{self, Order};
use super::{Settings, leaks, operator};
use crate::domain::LeakMode;
use crate::notify::Error;
use crate::notify::telegram::{LeakSwitch, Listener, Pulse, Surroundings};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::Handle;

/// Returns a task for each bot that people may talk to.
pub(super) fn tasks(settings: &Settings, store: &Handle, pulse: watch::Receiver<Pulse>) -> Result<Vec<Task>, Error> {
    let leak_file = settings.leak_file.clone();
    let leak_modes = move || leak_file.as_deref().map(|file| operator::modes(file, clock::now())).unwrap_or_default();
    let switch_file = settings.leak_file.clone();
    let (tags, rules) = (settings.pipeline.engine.tags.clone(), settings.rules.clone());
    let inbox = settings.inbox.clone();
    let account = settings.feed.accounts.first().map(|account| account.id.to_string());
    let around = Surroundings {
        pulse,
        leak_modes: Arc::new(leak_modes),
        leak_tags: Arc::new(move || {
            let now = rules.as_ref().and_then(|rules| Some(rules.borrow().as_ref()?.engine.tags.clone()));
            now.as_ref().unwrap_or(&tags).0.keys().map(ToString::to_string).collect()
        }),
        leak: Arc::new(move |asked| {
            let file = switch_file.as_deref().ok_or("No folder for commands is configured.")?;
            switch(file, asked).map_err(|why| format!("Nothing was switched: {why}"))
        }),
        drill: Arc::new(move |by| {
            let folder = inbox.as_deref().ok_or("No folder for commands is configured.")?;
            let account = account.clone().ok_or("No account is watched, so there is nothing to try.")?;
            let code = format!("{:08x}", rand::random::<u32>());
            let order = Order::Drill { code, account, by: by.to_owned(), attack: None };
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

/// Switches the leak mode of a tag; the daemon takes the file within two seconds, as it takes what the command wrote.
fn switch(file: &std::path::Path, asked: &LeakSwitch) -> Result<(), leaks::Problem> {
    let (tag, now) = (Some(asked.tag.as_str().into()), clock::now());
    match &asked.on {
        Some((time, why)) => {
            let why = format!("{why} ({})", asked.by);
            let mode = LeakMode { tag, venue: None, account: None, why: why.into(), until: now + *time };
            leaks::on(file, mode, now).map(drop)
        }
        None => leaks::off(file, &leaks::Whom { tag, ..leaks::Whom::default() }, now).map(drop),
    }
}
