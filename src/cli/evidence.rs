//! `fillguard evidence`: what happened, for an exchange's support, the police and a court.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use super::{ConfigFile, FAILED, FINE, FOUND, Format, MISUSE};
use crate::config::read_time;
use crate::domain::IncidentId;
use crate::evidence::{Asked, Bundle, SigningKey, gather, page, read, verify};
use crate::journal;
use crate::runtime::clock;
use crate::store::Store;

/// Write the evidence of an incident: a page that prints, the same for programs, and the frames it rests on, signed
///
/// The page tells the timeline in UTC and local time, money, order ids, what the owner's systems sent and did not send,
/// addresses, what the exchange said of the keys, what was done and seen to work. `fillguard verify` checks all of it
/// without a network. The signing key is made at the first use, in the state's directory.
///
/// Exit code: 0 written, 2 misuse, 3 the state or the journal cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The incident, as in binance-alice-4711
    #[arg(required_unless_present = "key")]
    incident: Option<String>,
    /// Where it is written: a folder, or one file where the name ends in .tar; by default a folder named evidence-INCIDENT
    #[arg(short, long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// How long before the incident frames are kept
    #[arg(long, value_name = "TIME", default_value = "1h")]
    before: String,
    /// How long after it
    #[arg(long, value_name = "TIME", default_value = "1h")]
    after: String,
    /// The time zone of local times, such as Europe/Berlin; this machine's by default
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Show the public half of the key that signs, and nothing else
    #[arg(long)]
    key: bool,
    /// Which configuration.
    #[command(flatten)]
    config: ConfigFile,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Collects, signs and writes; says on `out` what was written; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let say = |code: u8, what: &str| -> anyhow::Result<u8> {
        writeln!(io::stderr(), "fillguard: {what}").context("standard error is gone")?;
        Ok(code)
    };
    let Some(config) = args.config.check()? else { return Ok(MISUSE) };
    let place = SigningKey::place(&config.state_dir);
    let key = match SigningKey::open(&place) {
        Ok(key) => key,
        Err(error) => return say(FAILED, &format!("{}: {error}", place.display())),
    };
    if args.key {
        writeln!(out, "{}", key.public())?;
        return Ok(FINE);
    }
    let (Some(before), Some(after)) = (read_time(&args.before), read_time(&args.after)) else {
        return say(MISUSE, "--before and --after take a time such as 1h or 2d");
    };
    let id = IncidentId::known(args.incident.as_deref().unwrap_or_default());
    let known = Store::read(&config.store_file())
        .and_then(|store| Ok((store.incident(&id)?, store.history(&id)?, store.answers(&id)?)));
    let (incident, history, answers) = match known {
        Ok((Some(incident), history, answers)) => (incident, history, answers),
        Ok((None, ..)) => return say(MISUSE, &format!("there is no incident {id}")),
        Err(error) => return say(FAILED, &error.to_string()),
    };
    let zone = match &args.zone {
        Some(zone) if jiff::tz::TimeZone::get(zone).is_err() => {
            return say(MISUSE, &format!("{zone} is no time zone of this machine; write it like Europe/Berlin"));
        }
        Some(zone) => zone.clone(),
        None => jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned(),
    };
    let response = super::respond::memory(&config).ok().and_then(|memory| memory.cases.get(&id).cloned());
    let asked = Asked {
        incident,
        history,
        answers,
        response,
        journal: config.journal.dir.clone(),
        codec: config.pipeline.codec.clone(),
        before: before.into(),
        after: after.into(),
        zone,
        now: clock::now(),
    };
    let (record, frames) = match gather(asked) {
        Ok(gathered) => gathered,
        Err(error) => return say(FAILED, &error.to_string()),
    };
    let html = page(&record, &key.public());
    let mut report = serde_json::to_vec_pretty(&record)?;
    report.push(b'\n');
    let files = vec![
        ("report.html".to_owned(), html.into_bytes()),
        ("report.json".to_owned(), report),
        ("frames.ndjson".to_owned(), frames),
    ];
    let bundle = Bundle::sign(id.as_str(), files, &key)?;
    let to = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("evidence-{id}")));
    if let Err(error) = bundle.write(&to) {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return say(MISUSE, &format!("{} is there already; name another place with --out", to.display()));
        }
        return say(MISUSE, &format!("{} cannot be written: {error}", to.display()));
    }
    let judged = record.orders.iter().filter(|order| order.judged).count();
    let faults: usize = record.segments.iter().map(|segment| segment.faults.len()).sum();
    match args.format {
        Format::Json => {
            let told = json!({
                "path": to, "frames": record.journal_numbers.len(), "orders": record.orders.len(),
                "judged": judged, "left_out": record.left_out, "journal_faults": faults, "key": key.public(),
            });
            writeln!(out, "{told}")?;
        }
        Format::Text => {
            writeln!(
                out,
                "{}: {} frames, {} orders, {judged} of them not the owner's",
                to.display(),
                record.journal_numbers.len(),
                record.orders.len()
            )?;
            if faults > 0 {
                writeln!(out, "the journal itself has {faults} faults, which the page names")?;
            }
            writeln!(out, "signed with {}", key.public())?;
            writeln!(out, "check it with: fillguard verify {}", to.display())?;
        }
    }
    Ok(FINE)
}

/// Checks a piece of evidence for `fillguard verify`; returns the exit code.
pub(super) fn check(path: &Path, format: Format, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (signer, mut flaws) = match read(path) {
        Ok(Ok(bundle)) => {
            let (signer, mut flaws) = verify(&bundle);
            for (name, data) in bundle.files.iter().filter(|(name, _)| name.ends_with(".ndjson")) {
                flaws.extend(seals(name, data)?);
            }
            (signer, flaws)
        }
        Ok(Err(flaw)) => (None, vec![flaw]),
        Err(error) => {
            writeln!(out, "cannot read {}: {error}", path.display())?;
            return Ok(MISUSE);
        }
    };
    flaws.dedup();
    match format {
        Format::Json => {
            let told = json!({"fine": flaws.is_empty(), "signed_by": signer, "flaws": flaws});
            serde_json::to_writer_pretty(&mut *out, &told)?;
            writeln!(out)?;
        }
        Format::Text => {
            for flaw in &flaws {
                writeln!(out, "FAULT  {}: {}", flaw.file, flaw.what)?;
            }
            if let Some(signer) = &signer {
                writeln!(out, "signed by {signer}")?;
            }
            if flaws.is_empty() {
                writeln!(out, "{}: every file is as it was signed, and the frames' seals hold", path.display())?;
            }
        }
    }
    Ok(if flaws.is_empty() { FINE } else { FOUND })
}

/// Checks the seals of the frames.
fn seals(name: &str, data: &[u8]) -> anyhow::Result<Vec<crate::evidence::Flaw>> {
    let folder = std::env::temp_dir().join(format!("fillguard-verify-{}-{}", std::process::id(), clock::now().nanos()));
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    }
    let file = folder.join("frames.ndjson");
    let report = std::fs::write(&file, data).and_then(|()| journal::verify(&file));
    std::fs::remove_dir_all(&folder)?;
    let flaw = |what: String| crate::evidence::Flaw { file: name.to_owned(), what };
    let report = report?;
    let mut flaws: Vec<_> = report.faults.into_iter().map(|fault| flaw(fault.what)).collect();
    if report.seals == 0 {
        flaws.push(flaw("the frames are not sealed".to_owned()));
    }
    Ok(flaws)
}
