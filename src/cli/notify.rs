//! `fillguard notify`: one message over one channel of the running daemon, and how messages read.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use super::ack::taken;
use super::author::author;
use super::{ConfigFile, FAILED, FINE, FOUND, MISUSE, preview};
use crate::domain::IncidentId;
use crate::live::inbox::{self, Order};
use crate::runtime::clock;
use crate::store::Store;

/// Try a channel, or look at messages
///
/// Exit code: 0 the channel accepted the message, 1 it did not, 2 misuse, 3 no daemon took it.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Send a message marked as a test over a channel of the running daemon, and say what became of it
    Test {
        /// The channel's name, or all channels when absent
        channel: Option<String>,
    },
    /// Show how messages of every kind read
    Preview(preview::Args),
}

/// How long a daemon is waited for, and a channel.
const PATIENCE: Duration = Duration::from_secs(5);
const CHANNEL: Duration = Duration::from_secs(60);

/// Tries; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let channel = match &args.what {
        What::Preview(wanted) => return preview::run(wanted, &args.config, out),
        What::Test { channel } => channel,
    };
    let Some(config) = args.config.check()? else { return Ok(MISUSE) };
    let known: Vec<String> = config.notify.routes().into_iter().map(|route| route.name).collect();
    let wanted: Vec<String> = match channel {
        Some(channel) if known.contains(channel) => vec![channel.clone()],
        Some(channel) => {
            writeln!(said, "fillguard: there is no channel {channel}; there are {}", known.join(", "))?;
            return Ok(MISUSE);
        }
        None => known,
    };
    let by = author("--by", None)?;
    let mut code = FINE;
    for channel in wanted {
        let asked = clock::now();
        let order = Order::Test { channel: channel.clone(), by: by.clone(), at: asked.nanos() };
        let folder = config.inbox();
        let file = inbox::put(&folder, &order).with_context(|| format!("{} cannot be written to", folder.display()))?;
        if !taken(&file, PATIENCE) {
            let _ = std::fs::remove_file(&file);
            writeln!(said, "fillguard: no daemon took it within {} s; is it running?", PATIENCE.as_secs())?;
            return Ok(FAILED);
        }
        let store = Store::read(&config.store_file()).context("the database cannot be read")?;
        let (id, begun) = (IncidentId::known(&format!("test/{channel}")), clock::steady());
        let told = loop {
            let row = store.deliveries(&id)?.into_iter().rev().find(|one| one.at >= asked && one.channel == channel);
            match row {
                Some(one) if one.state == "sent" => {
                    let took = one.done_at.map_or(0, |done| done.since(asked).nanos() / 1_000_000);
                    break Ok(format!("{channel}: accepted after {took} ms"));
                }
                Some(one) if one.state == "given_up" || one.why.is_some() => {
                    break Err(format!("{channel}: not delivered: {}", one.why.unwrap_or_default()));
                }
                Some(_) | None if begun.elapsed() > CHANNEL => break Err(format!("{channel}: no answer yet")),
                Some(_) | None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        match told {
            Ok(line) => writeln!(out, "{line}")?,
            Err(line) => {
                writeln!(out, "{line}")?;
                code = FOUND;
            }
        }
        out.flush()?;
    }
    Ok(code)
}
