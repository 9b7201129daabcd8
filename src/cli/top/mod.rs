//! `fillguard top`: how the running daemon does, drawn anew every second.

mod look;
mod view;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::{ConfigFile, FAILED, FINE, Format, MISUSE};
use look::{Look, Looker, Seen};
use view::Page;

/// Show how the running daemon does, anew every second until Ctrl-C
///
/// Feeds: connected or blind, last frame and fill, orders a minute, the key. Rules: what each found and at which level, what
/// was held back or hidden, failures, nanoseconds an order, bytes of memory. How long a trade takes to be heard and judged,
/// what waits for the journal and for each channel, and what is open. It reads what the daemon writes down beside its
/// database, and asks nothing of it.
///
/// Exit code: 0 shown, 2 misuse, 3 no daemon runs with this configuration.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Show it once, whole, and end
    #[arg(long)]
    pub once: bool,
    /// For people or for programs (an object a second)
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// How often it is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// Columns where nobody tells how wide the terminal is.
const COLUMNS: usize = 120;
/// Another screen is shown meanwhile, without a cursor; and the former again.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// Shows it until `stop`; returns the exit code.
pub async fn run(args: &Args, out: &mut (dyn Write + Send), stop: CancellationToken) -> anyhow::Result<u8> {
    let Some(config) = args.config.check()? else { return Ok(MISUSE) };
    let mut looker = Looker::new(config);
    let first = looker.look();
    if let Seen::Nobody(why) = &first.seen {
        writeln!(io::stderr(), "fillguard: {why}")?;
        return Ok(FAILED);
    }
    let is_terminal = io::stdout().is_terminal();
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if args.once {
        show(&first, args.format, Page { width: width(), rows: None, colour }, out)?;
        return Ok(FINE);
    }
    let redraw = is_terminal && args.format == Format::Text;
    if redraw {
        out.write_all(ENTER.as_bytes())?;
    }
    let shown = follow(looker, first, args.format, redraw.then_some(colour), out, &stop).await;
    if redraw {
        out.write_all(LEAVE.as_bytes())?;
        out.flush()?;
    }
    match shown {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why.into()),
        Ok(()) | Err(_) => Ok(FINE),
    }
}

/// Draws until `stop`; over the former picture where `redraw` says so, and whether in colour.
async fn follow(
    mut looker: Looker,
    mut look: Look,
    format: Format,
    redraw: Option<bool>,
    out: &mut (dyn Write + Send),
    stop: &CancellationToken,
) -> io::Result<()> {
    loop {
        match redraw {
            None => show(&look, format, Page { width: width(), rows: None, colour: false }, out)?,
            Some(colour) => {
                let rows = terminal_size::terminal_size().map(|(_, rows)| usize::from(rows.0).saturating_sub(1));
                let text = view::page(&look, Page { width: width(), rows, colour });
                // Each line ends what stood there before, and the last one all below.
                write!(out, "\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\n"))?;
            }
        }
        out.flush()?;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        (looker, look) = tokio::task::spawn_blocking(move || {
            let look = looker.look();
            (looker, look)
        })
        .await
        .map_err(io::Error::other)?;
    }
}

fn show(look: &Look, format: Format, page: Page, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", look.to_json()),
        Format::Text => writeln!(out, "{}", view::page(look, page)),
    }
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(COLUMNS, |(columns, _)| usize::from(columns.0))
}
