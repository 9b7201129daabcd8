//! What rules are scored and tuned on: labelled recordings, or ones made of trade tapes. The same options wherever that is done.

use std::path::PathBuf;

use crate::tune::evaluate;
use crate::tune::import;
use crate::tune::labels::What;
use crate::tune::ordinary::Trader;
use crate::tune::tape::Quoted;

/// Recordings, or the tapes they are made of.
///
/// What is said of tapes conflicts with recordings by itself too: that it requires tapes is not asked where these
/// conflict with what was given.
#[derive(Clone, Debug, clap::Args)]
pub struct Material {
    /// Labelled recordings (.ndjson or .ndjson.zst)
    #[arg(value_name = "RECORDING", required_unless_present = "tapes")]
    pub recordings: Vec<PathBuf>,
    /// Make recordings of the tapes in this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "recordings")]
    pub tapes: Option<PathBuf>,
    /// Which tapes: `train`, `valid` or another word of events.csv's column `split`, `all` for every tape. Without it rules are tuned on `train` and scored on `valid`
    #[arg(long, value_name = "NAME", requires = "tapes", conflicts_with = "recordings")]
    pub split: Option<String>,
    /// Attacks to play, I1 to I10; all of them without it
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "tapes", conflicts_with = "recordings")]
    pub attack: Vec<What>,
    /// Ordinary accounts to place on each tape; all kinds without it, `none` for none
    #[arg(long, value_name = "TRADER", value_delimiter = ',', requires = "tapes", conflicts_with = "recordings")]
    pub ordinary: Vec<String>,
    /// Days of ordinary trading without a tape, for each seed and kind of trader
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=400), requires = "tapes", conflicts_with = "recordings")]
    pub ordinary_days: u32,
    /// Victims for each tape and attack, each drawn anew
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000), requires = "tapes", conflicts_with = "recordings")]
    pub seeds: u64,
    /// What coins are paid with: prices are turned into dollars by bitcoin's generated price, and accounts hold dollars. Tapes that are named after a pair in dollars are played in dollars without it
    #[arg(long, value_name = "BTC|USDT", default_value = "BTC", value_parser = quoted, requires = "tapes", conflicts_with = "recordings")]
    pub quote: Quoted,
    /// Use so many tapes at most, spread evenly over the list
    #[arg(long, value_name = "N", requires = "tapes", conflicts_with = "recordings")]
    pub limit: Option<usize>,
}

/// Reads what coins are paid with.
pub(super) fn quoted(text: &str) -> Result<Quoted, String> {
    match text.to_uppercase().as_str() {
        "BTC" => Ok(Quoted::Bitcoin),
        "USDT" => Ok(Quoted::Dollars),
        _ => Err("coins are paid with BTC or USDT".to_owned()),
    }
}

impl Material {
    /// Returns which tapes; `usual` where it was not said.
    pub(super) fn split<'a>(&'a self, usual: &'a str) -> &'a str {
        self.split.as_deref().unwrap_or(usual)
    }

    /// Returns how recordings are made of tapes; `usual` is the split where none was named.
    pub(super) fn settings(&self, usual: &str, threads: usize) -> anyhow::Result<evaluate::Settings> {
        let mut ordinary = Vec::new();
        for name in &self.ordinary {
            match name.as_str() {
                "all" => ordinary.extend(Trader::ALL),
                "none" => {}
                name => ordinary.push(name.parse()?),
            }
        }
        if self.ordinary.is_empty() {
            ordinary.extend(Trader::ALL);
        }
        Ok(evaluate::Settings {
            split: self.split(usual).to_owned(),
            seeds: (1..=self.seeds).collect(),
            attacks: if self.attack.is_empty() { What::ATTACKS.to_vec() } else { self.attack.clone() },
            ordinary,
            tapes: self.limit,
            ordinary_days: self.ordinary_days,
            threads,
            import: import::Settings { quoted: self.quote, ..import::Settings::default() },
            ..evaluate::Settings::default()
        })
    }

    /// Returns what was asked for, as it stands on a page.
    pub(super) fn asked(&self, settings: &evaluate::Settings) -> Vec<(String, String)> {
        let list = |names: Vec<String>| names.join(", ");
        let Some(folder) = &self.tapes else {
            let files = self.recordings.iter().map(|path| path.display().to_string()).collect();
            return vec![("recordings".into(), list(files))];
        };
        let mut asked = vec![
            ("tapes".into(), format!("{} ({})", folder.display(), settings.split)),
            ("attacks played".into(), list(settings.attacks.iter().map(ToString::to_string).collect())),
            ("ordinary accounts".into(), list(settings.ordinary.iter().map(ToString::to_string).collect())),
            ("days of ordinary trading without a tape".into(), settings.ordinary_days.to_string()),
            ("victims of each tape and attack".into(), self.seeds.to_string()),
        ];
        asked.extend((self.quote == Quoted::Dollars).then(|| ("coins are paid with".into(), "USDT".into())));
        asked.extend(self.limit.map(|most| ("tapes at most".into(), most.to_string())));
        asked
    }
}
