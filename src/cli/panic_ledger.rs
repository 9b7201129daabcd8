//! What a panic wrote down: each step before it left, so that the same command goes on after an interruption.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::panic::Row;
use crate::domain::{AccountId, IncidentId};
use crate::response::hands::{Hands, Reach};
use crate::response::{Case, Deed, Input, Machine, Memory, Origin, Outcome, Output, Settings, State};
use crate::runtime::clock;

/// The file of one choice of accounts, held by one process at a time.
pub(super) struct Ledger {
    file: PathBuf,
    name: String,
    /// What was done so far.
    pub memory: Memory,
    _held: File,
}

impl Ledger {
    /// Opens the ledger of `name`; an error is a sentence that says what to do.
    pub fn open(folder: &Path, name: &str) -> Result<Ledger, String> {
        let file = folder.join(format!("panic-{name}.json"));
        let held = folder.join(format!("panic-{name}.lock"));
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&held);
        let lock = lock.map_err(|why| format!("{}: {why}; be the daemon's user or root", held.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err("the same panic is under way in another process".to_owned()),
            Err(TryLockError::Error(why)) => return Err(format!("{}: {why}", held.display())),
        }
        let memory = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|_| format!("{} is not what panic wrote; move it away to begin anew", file.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        Ok(Ledger { file, name: name.to_owned(), memory, _held: lock })
    }

    /// Returns the steps of an account that an interruption left over, the one under way among them.
    pub fn rest(&self, account: &AccountId) -> Vec<Deed> {
        let cut = self.memory.cases.values().filter(|case| case.account == *account && case.state == State::Running);
        let open = |case: &Case| -> Vec<Deed> {
            case.acts.iter().filter(|act| act.outcome.is_none()).map(|act| act.deed.clone()).collect()
        };
        cut.flat_map(open).collect()
    }

    /// Returns how it stands with an account, in the newest of its responses.
    pub fn newest<'m>(memory: &'m Memory, account: &AccountId) -> Option<&'m Case> {
        memory.cases.values().filter(|case| case.account == *account).max_by_key(|case| case.found)
    }

    /// Says whether keys of an account were taken, and each of them was seen to be gone as far as it should.
    pub fn is_shut(memory: &Memory, account: &AccountId) -> bool {
        let acts = || memory.cases.values().filter(|case| case.account == *account).flat_map(|case| &case.acts);
        let mut keys = acts().filter_map(|act| act.deed.key()).peekable();
        let deleted = |deed: &Deed| matches!(deed, Deed::Delete { .. });
        keys.peek().is_some()
            && keys.all(|key| {
                let of_key = || acts().filter(|act| act.deed.key() == Some(key));
                let delete = of_key().any(|act| deleted(&act.deed));
                let mut last = of_key().filter(|act| !delete || deleted(&act.deed));
                last.any(|act| act.outcome.as_ref().is_some_and(Outcome::is_seen))
            })
    }

    /// Names the next response of an account; each that a person confirmed has a name of its own.
    fn next(&self, account: &AccountId) -> IncidentId {
        let name = |count: usize| {
            let tail = if count == 0 { String::new() } else { format!("-{}", count + 1) };
            IncidentId::known(&format!("panic-{}-{}-{}{tail}", self.name, account.venue, account.name))
        };
        let free = (0..).map(name).find(|id| !self.memory.cases.contains_key(id));
        free.unwrap_or_else(|| name(usize::MAX))
    }

    /// Replaces the file as a whole; it is on disk when this returns.
    fn write(&self, memory: &Memory) -> anyhow::Result<()> {
        let beside = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(memory)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.file)?;
        if let Some(folder) = self.file.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The machine with the ledger: the daemon may run beside it, or not at all.
pub(super) struct Work {
    machine: Machine,
    ledger: Ledger,
    hands: Arc<Reach>,
    together: usize,
    doing: JoinSet<(IncidentId, usize, Outcome)>,
    bar: indicatif::ProgressBar,
}

impl Work {
    /// Goes on from what the ledger tells, within `brakes`.
    pub fn new(
        brakes: Settings,
        ledger: Ledger,
        hands: Arc<Reach>,
        together: usize,
        bar: indicatif::ProgressBar,
    ) -> Self {
        // What was spent before an interruption was confirmed then.
        let memory = Memory { spent: Vec::new(), ..ledger.memory.clone() };
        Work { machine: Machine::new(brakes, memory), ledger, hands, together, doing: JoinSet::new(), bar }
    }

    /// Finishes what was interrupted and takes what the rows say; returns what became of it.
    pub async fn run(mut self, rows: &[Row]) -> anyhow::Result<Memory> {
        self.take(Input::Started { read: true })?;
        self.take(Input::Restarted)?;
        for row in rows {
            while self.doing.len() >= self.together {
                self.next().await?;
            }
            // What was interrupted goes on by itself; what is new there is told at the end.
            if row.plan.deeds.is_empty() || !row.rest.is_empty() {
                continue;
            }
            let (account, plan) = (row.account.clone(), row.plan.clone());
            let incident = self.ledger.next(&account);
            let who = "the command line".into();
            self.take(Input::Ordered { incident, account, plan, who, origin: Origin::Live })?;
        }
        while !self.doing.is_empty() {
            self.next().await?;
        }
        self.bar.finish_and_clear();
        Ok(self.machine.memory().clone())
    }

    async fn next(&mut self) -> anyhow::Result<()> {
        if let Some(Ok((incident, place, outcome))) = self.doing.join_next().await {
            self.bar.inc(1);
            self.take(Input::Ended { incident, place, outcome })?;
        }
        Ok(())
    }

    /// Decides, writes it down, and only then has it done.
    fn take(&mut self, input: Input) -> anyhow::Result<()> {
        let outputs = self.machine.step(input, clock::now());
        let file = self.ledger.file.display();
        self.ledger
            .write(self.machine.memory())
            .with_context(|| format!("{file} cannot be written, so nothing more is done"))?;
        for output in outputs {
            let hands = Arc::clone(&self.hands);
            match output {
                Output::Act { incident, place, account, deed } => {
                    self.doing.spawn(async move { (incident, place, hands.perform(&account, &deed).await) });
                }
                Output::Look { incident, place, account, deed } => {
                    self.doing.spawn(async move { (incident, place, hands.look(&account, &deed).await) });
                }
                Output::Tell { .. } => {}
            }
        }
        Ok(())
    }
}
