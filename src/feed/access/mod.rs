//! Who used a key, from which address: read from the logs of the user's own proxies, or posted by the user's own software.
//!
//! Only what an [`Entry`] has is handed over. A raw line may carry signatures and keys in its URL; it never enters the
//! journal or the log.

mod desk;
mod dialect;
mod entry;
mod flaw;
mod folder;
mod follow;
mod http;
mod line;
mod pattern;
mod posted;
mod query;
mod receipts;
mod settings;
mod tail;
mod trace;

use std::sync::{Arc, Mutex};

pub use dialect::Dialect;
pub use entry::{Entry, Whose};
pub use flaw::Flaw;
pub use http::is_private;
pub use line::{Field, Fields, Form, Reader};
pub use pattern::Pattern;
pub use receipts::Receipts;
pub use settings::{FileSource, HttpSource, Settings};

use super::outlet::Outlet;
use crate::runtime::supervisor::{Stage, Task};

/// Returns the tasks that hand over uses of keys: one a log, and one for posts.
pub(super) fn tasks(settings: Settings, outlet: &Outlet) -> Vec<Task> {
    let Settings { files, http, mut remembered, receipts } = settings;
    let mut tasks = Vec::new();
    for source in files {
        let known = remembered.remove(&source.name);
        let place = Arc::new(Mutex::new(known.and_then(|known| Some((known.mark?, known.at)))));
        let outlet = outlet.clone();
        tasks.push(Task::restartable(format!("access/{}", source.name), Stage::Feeds, move |stop| {
            let follow = follow::Follow { source: source.clone(), outlet: outlet.clone(), place: Arc::clone(&place) };
            async move { follow.run(stop).await.map_err(Into::into) }
        }));
    }
    if let Some(source) = http {
        let known = remembered.remove(&source.name).unwrap_or_default();
        let desk = desk::Desk::new(source.name.clone(), outlet.clone(), receipts.of(&source.name), known);
        let name = format!("access/{}", source.name);
        let door = http::Door::new(source, desk);
        tasks.push(Task::restartable(name, Stage::Feeds, move |stop| {
            let door = Arc::clone(&door);
            async move { door.run(stop).await.map_err(Into::into) }
        }));
    }
    tasks
}
