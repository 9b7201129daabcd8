//! `fillguard simulate`: the three exchanges on loopback, until stopped.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Format;
use crate::simulate::{Places, Role, Scenario, Settings, SimAccount, Simulator, Truth};

/// Play Binance, KuCoin and Coinbase on this machine for other programs
///
/// Prints where to connect and the throw-away keys of its accounts, then has ordinary traders and a scripted theft trade on
/// 127.0.0.1 until it is stopped; at the end it says what really happened.
///
/// Exit code: 0 stopped, 3 a failure while running.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seed of prices, traders and keys; the same seed gives the same world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Binance's port (0: a free one)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub binance_port: u16,
    /// KuCoin's port (0: a free one)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub kucoin_port: u16,
    /// Coinbase's port (0: a free one)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub coinbase_port: u16,
    /// Scenario to play instead of the built-in one (TOML)
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Seconds until the theft begins, instead of the scenario's own
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_attack")]
    pub attack_after: Option<f64>,
    /// Play without a theft
    #[arg(long)]
    pub no_attack: bool,
    /// How many times faster than the scenario says the ordinary accounts act
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Seconds after which a connection is cut (the exchanges do it after 24 hours)
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub connection_life: u64,
    /// Stop after so many seconds instead of at a signal
    #[arg(long, value_name = "SECONDS")]
    pub stop_after: Option<f64>,
    /// How to print addresses, accounts and, at the end, what happened
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs until `stop` or the time given; the first output is where to connect and with which keys.
pub async fn run(args: &Args, out: &mut dyn Write, stop: CancellationToken) -> anyhow::Result<()> {
    let simulator = Simulator::start(settings(args)?).await?;
    match args.format {
        Format::Text => told(out, &simulator.places(), simulator.accounts())?,
        Format::Json => writeln!(out, "{}", listed(&simulator.places(), simulator.accounts()))?,
    }
    out.flush()?;
    let handle = simulator.handle();
    let stop = stop.child_token();
    let running = simulator.run(stop.clone());
    match args.stop_after {
        None => running.await?,
        Some(secs) => {
            let end = Duration::try_from_secs_f64(secs).context("--stop-after takes seconds, such as 90 or 0.5")?;
            tokio::pin!(running);
            tokio::select! {
                done = &mut running => done?,
                () = tokio::time::sleep(end) => {
                    stop.cancel();
                    running.await?;
                }
            }
        }
    }
    let truth = handle.truth();
    match args.format {
        Format::Text => ended(out, &truth)?,
        Format::Json => writeln!(out, "{}", summed(&truth))?,
    }
    out.flush()?;
    Ok(())
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    let mut scenario = match &args.scenario {
        None => Scenario::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Scenario::parse(&text).with_context(|| file.display().to_string())?
        }
    };
    if args.no_attack {
        scenario.attack_after_secs = None;
    } else if let Some(after) = args.attack_after {
        scenario.attack_after_secs = Some(after);
    }
    Ok(Settings {
        seed: args.seed,
        binance_port: args.binance_port,
        kucoin_port: args.kucoin_port,
        coinbase_port: args.coinbase_port,
        scenario,
        speed: args.speed,
        connection_life: Duration::from_secs(args.connection_life),
        ..Settings::default()
    })
}

/// The keys open nothing but this simulator, so that printing them is its purpose.
fn listed(places: &Places, accounts: &[SimAccount]) -> Value {
    let row = |account: &SimAccount| {
        json!({
            "venue": account.venue.as_str(), "name": account.name, "role": role(account.role), "key": account.key_id,
            "secret": account.secret.expose(), "passphrase": account.passphrase.as_ref().map(|text| text.expose()),
            "ed25519": account.ed25519, "unified": account.unified,
            "exchange": account.exchange.as_ref().map(|key| json!({
                "key": key.key_id, "secret": key.secret.expose(), "passphrase": key.passphrase.expose(),
            })),
        })
    };
    json!({
        "places": {
            "binance": {"rest": places.binance.rest, "ws_api": places.binance.ws_api, "stream": places.binance.stream,
                "futures_rest": places.binance.futures_rest, "futures_stream": places.binance.futures_stream},
            "kucoin": {"rest": places.kucoin.rest, "uta_push": places.kucoin.uta_push,
                "futures_rest": places.kucoin.futures_rest},
            "coinbase": {
                "rest": places.coinbase.rest, "ws_user": places.coinbase.ws_user, "ws_market": places.coinbase.ws_market,
                "exchange_rest": places.coinbase.exchange_rest, "exchange_ws": places.coinbase.exchange_ws,
            },
        },
        "accounts": accounts.iter().map(row).collect::<Vec<Value>>(),
    })
}

fn told(out: &mut dyn Write, places: &Places, accounts: &[SimAccount]) -> std::io::Result<()> {
    writeln!(
        out,
        "Binance   REST {}  WebSocket API {}  streams {}",
        places.binance.rest, places.binance.ws_api, places.binance.stream
    )?;
    writeln!(out, "KuCoin    REST {}  unified push {}", places.kucoin.rest, places.kucoin.uta_push)?;
    writeln!(
        out,
        "Coinbase  REST {}  user {}  market {}",
        places.coinbase.rest, places.coinbase.ws_user, places.coinbase.ws_market
    )?;
    let exchange = &places.coinbase;
    writeln!(out, "          Exchange: REST {}  feed {}", exchange.exchange_rest, exchange.exchange_ws)?;
    writeln!(out)?;
    for account in accounts {
        writeln!(out, "{:9} {:8} {:12} {}", account.venue.title(), account.name, role(account.role), account.key_id)?;
    }
    writeln!(out, "\n--format json prints the secrets too. Stop with Ctrl-C.")
}

fn summed(truth: &Truth) -> Value {
    let hostile = truth.fills.iter().filter(|fill| fill.hostile).count();
    json!({
        "fills": truth.fills.len(), "hostile": hostile,
        "first_hostile": truth.first_hostile.map(|time| time.to_string()),
        "last_hostile": truth.last_hostile.map(|time| time.to_string()),
    })
}

fn ended(out: &mut dyn Write, truth: &Truth) -> std::io::Result<()> {
    let hostile = truth.fills.iter().filter(|fill| fill.hostile).count();
    writeln!(out, "{} fills, {hostile} of them hostile", truth.fills.len())?;
    if let Some((first, last)) = truth.first_hostile.zip(truth.last_hostile) {
        writeln!(out, "the theft went from {first} to {last}")?;
    }
    Ok(())
}

fn role(role: Role) -> &'static str {
    use crate::simulate::Kind::{Chaser, Dca, Grid, Rebalancer, Retail};
    match role {
        Role::Victim => "victim",
        Role::Ordinary(Dca) => "dca",
        Role::Ordinary(Grid) => "grid",
        Role::Ordinary(Retail) => "retail",
        Role::Ordinary(Rebalancer) => "rebalancer",
        Role::Ordinary(Chaser) => "chaser",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[tokio::test]
    async fn it_prints_where_to_connect_and_at_the_end_what_happened() {
        let command = Command::parse_from(["simulate", "--format", "json", "--stop-after", "0.2", "--no-attack"]);
        let mut out = Vec::new();
        run(&command.args, &mut out, CancellationToken::new()).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines[0]["places"]["binance"]["ws_api"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
        assert_eq!(lines[0]["accounts"].as_array().unwrap().len(), 27);
        assert_eq!(lines[1]["hostile"], 0);
    }

    #[tokio::test]
    async fn a_missing_scenario_file_is_named() {
        let command = Command::parse_from(["simulate", "--scenario", "/nowhere/a.toml"]);
        let error = run(&command.args, &mut Vec::new(), CancellationToken::new()).await.unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/a.toml"), "{error:#}");
    }
}
