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

use tokio::sync::watch;

use super::outlet::Outlet;
use super::settings::Roll;
use crate::runtime::supervisor::{Stage, Task};

/// The accounts that are watched now.
type Watched = watch::Receiver<Arc<Roll>>;

/// Returns the tasks that hand over uses of keys: one a log, and one for posts.
pub(super) fn tasks(settings: Settings, watched: Watched, outlet: &Outlet) -> Vec<Task> {
    let Settings { files, http, mut remembered, receipts, networks } = settings;
    let mut tasks = Vec::new();
    for source in files {
        let known = remembered.remove(&source.name);
        let place = Arc::new(Mutex::new(known.and_then(|known| Some((known.mark?, known.at)))));
        let (outlet, watched, networks) = (outlet.clone(), watched.clone(), networks.clone());
        tasks.push(Task::restartable(format!("access/{}", source.name), Stage::Feeds, move |stop| {
            let follow = follow::Follow {
                source: source.clone(),
                outlet: outlet.clone(),
                place: Arc::clone(&place),
                watched: watched.clone(),
                networks: networks.clone(),
            };
            async move { follow.run(stop).await.map_err(Into::into) }
        }));
    }
    if let Some(source) = http {
        let known = remembered.remove(&source.name).unwrap_or_default();
        let desk =
            desk::Desk::new(source.name.clone(), outlet.clone(), receipts.of(&source.name), known).with(networks);
        let name = format!("access/{}", source.name);
        let door = http::Door::new(source, desk, watched);
        tasks.push(Task::restartable(name, Stage::Feeds, move |stop| {
            let door = Arc::clone(&door);
            async move { door.run(stop).await.map_err(Into::into) }
        }));
    }
    tasks
}

/// Follows the accounts that come and go.
fn refresh(whose: &mut Whose, watched: &mut Watched) {
    if watched.has_changed().unwrap_or(false) {
        whose.know(watched.borrow_and_update().accounts.iter().map(|account| &account.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Account, ReadKey};
    use crate::secret::Secret;

    #[test]
    fn an_account_that_comes_is_known_to_the_sources_and_one_that_goes_is_not() {
        let account = |id: &str| {
            let key = ReadKey::binance("key", &Secret::new("not-a-real-secret".into())).unwrap();
            Account { id: id.parse().unwrap(), key, known_until: None }
        };
        let (tell, mut watched) = watch::channel(Arc::new(Roll::default()));
        let mut whose = Whose::of([&"binance/alice".parse().unwrap()]);
        whose.alias("desk".into(), "alice");
        refresh(&mut whose, &mut watched);
        assert!(whose.account("alice").is_some(), "as configured until something changes");
        tell.send_replace(Arc::new(Roll { accounts: vec![account("binance/bob")], ..Roll::default() }));
        refresh(&mut whose, &mut watched);
        assert!(whose.account("binance/bob").is_some() && whose.account("alice").is_none());
        assert!(whose.account("desk").is_some(), "an alias stays as configured");
    }
}
