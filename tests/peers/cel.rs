//! Conditions of the user's own rules are judged as an independent implementation of CEL judges them, wherever the two
//! languages are meant to be one; where they differ on purpose, each difference is named here and in docs/own-rules.md.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fillguard::domain::{Side, Span, Symbol, Timestamp};
use fillguard::engine::account::{Account, Group, PairHabit};
use fillguard::engine::expression::{Condition, Past, Scope};
use fillguard::engine::fleet::Tags;
use fillguard::engine::keys::Keys;
use fillguard::engine::rules::{Case, pump_buy};
use serde_json::json;

use super::{environment, here};

/// Expressions that are made up.
const EXPRESSIONS: usize = 3_000;

/// A verdict: met, not met, a failure while it is judged, or not an expression at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    True,
    False,
    Failure,
    Refused,
}

/// The same expression in both languages, and how strongly its outermost operator binds.
#[derive(Clone)]
struct Both {
    ours: String,
    cel: String,
    binds: u8,
}

impl Both {
    fn same(text: &str) -> Both {
        Both { ours: text.to_owned(), cel: text.to_owned(), binds: 9 }
    }

    fn apart(ours: &str, cel: &str) -> Both {
        Both { ours: ours.to_owned(), cel: cel.to_owned(), binds: 9 }
    }

    /// Puts brackets around it where it binds more loosely than is asked for.
    fn within(self, binds: u8) -> Both {
        if self.binds >= binds { self } else { self.bracketed() }
    }

    fn bracketed(self) -> Both {
        Both { ours: format!("({})", self.ours), cel: format!("({})", self.cel), binds: 9 }
    }
}

/// Makes expressions up; the same ones every time.
struct Maker(u64);

impl Maker {
    /// A number below `most` (xorshift64*).
    fn draw(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.draw(of.len())]
    }

    /// Joins two with an operator of some strength; the right side must bind more strongly, because all are read from the left.
    fn join(&mut self, left: Both, sign: &str, right: Both, binds: u8) -> Both {
        let (left, right) = (left.within(binds), right.within(binds + 1));
        let text = |left: &str, right: &str| format!("{left} {sign} {right}");
        let joined = Both { ours: text(&left.ours, &right.ours), cel: text(&left.cel, &right.cel), binds };
        // Brackets that change nothing are read too.
        if self.draw(6) == 0 { joined.bracketed() } else { joined }
    }

    fn choice(&mut self, condition: Both, this: Both, that: Both) -> Both {
        // CEL wants brackets around a choice in the middle; ours takes it without them.
        let (condition, this) = (condition.within(1), this.within(1));
        let text = |a: &str, b: &str, c: &str| format!("{a} ? {b} : {c}");
        Both {
            ours: text(&condition.ours, &this.ours, &that.ours),
            cel: text(&condition.cel, &this.cel, &that.cel),
            binds: 0,
        }
    }

    fn truth(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return Both::same(self.one(&[
                "true",
                "false",
                "order.taker",
                "pair.new",
                "order.not_ours",
                "pair.followed",
                // Not known.
                "pair.young",
                "key.open",
                "has(pair.cap)",
                "has(order.dollars)",
            ]));
        }
        match self.draw(12) {
            0 => {
                let inner = self.truth(depth - 1).within(8);
                Both { ours: format!("!{}", inner.ours), cel: format!("!{}", inner.cel), binds: 8 }
            }
            1 | 2 => {
                let (left, right) = (self.truth(depth - 1), self.truth(depth - 1));
                self.join(left, "&&", right, 2)
            }
            3 | 4 => {
                let (left, right) = (self.truth(depth - 1), self.truth(depth - 1));
                self.join(left, "||", right, 1)
            }
            5 | 6 => {
                let (left, right) = (self.number(depth - 1).within(4), self.number(depth - 1));
                let sign = self.one(&["==", "!=", "<", "<=", ">", ">="]);
                self.join(left, sign, right, 3)
            }
            7 => {
                let (left, right) = (self.text(depth - 1).within(4), self.text(depth - 1));
                let sign = self.one(&["==", "!="]);
                self.join(left, sign, right, 3)
            }
            8 => {
                let (left, right) = (self.time(depth - 1).within(4), self.time(depth - 1));
                let sign = self.one(&["==", "!=", "<", "<=", ">", ">="]);
                self.join(left, sign, right, 3)
            }
            9 => {
                let (left, right) = (self.text(depth - 1).within(4), self.texts(depth - 1));
                self.join(left, "in", right, 3)
            }
            10 => {
                let (of, part) = (self.text(depth - 1).within(9), self.text(depth - 1));
                let name = self.one(&["startsWith", "endsWith", "contains"]);
                let text = |of: &str, part: &str| format!("{of}.{name}({part})");
                Both { ours: text(&of.ours, &part.ours), cel: text(&of.cel, &part.cel), binds: 9 }
            }
            _ => {
                let (condition, this, that) = (self.truth(depth - 1), self.truth(depth - 1), self.truth(depth - 1));
                self.choice(condition, this, that)
            }
        }
    }

    /// On purpose: all numbers are of one kind here. In CEL they are made doubles.
    fn number(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return match self.draw(3) {
                0 => Both::same(self.one(&["0.5", "1.5e3", "2.25", "15000.0", "1e-2"])),
                1 => {
                    let whole = self.draw(20).to_string();
                    Both::apart(&whole, &format!("{whole}.0"))
                }
                _ => Both::same(self.one(&[
                    "order.dollars",
                    "order.spent",
                    "order.levels",
                    "order.hour",
                    "account.orders",
                    // Not known.
                    "order.move",
                    "pair.cap",
                ])),
            };
        }
        match self.draw(10) {
            0 => {
                let inner = self.number(depth - 1).within(8);
                Both { ours: format!("-{}", inner.ours), cel: format!("-{}", inner.cel), binds: 8 }
            }
            1..=3 => {
                let (left, right) = (self.number(depth - 1), self.number(depth - 1));
                let sign = self.one(&["+", "-"]);
                self.join(left, sign, right, 5)
            }
            4 => {
                let (left, right) = (self.number(depth - 1), self.number(depth - 1));
                self.join(left, "*", right, 6)
            }
            5 => {
                // On purpose: dividing by zero is a failure. CEL's doubles become infinite.
                let (left, right) = (self.number(depth - 1).within(6), self.number(depth - 1).within(7));
                let (a, b) = (&left.cel, &right.cel);
                let cel = format!("(({b}) == 0.0 ? double(1 / 0) : ({a}) / ({b}))");
                Both { ours: format!("{} / {}", left.ours, right.ours), cel, binds: 6 }
            }
            6 => {
                // On purpose: there is a remainder of every number. CEL's is of whole ones alone.
                let (a, b) = (self.draw(40), self.draw(5));
                let minus = self.one(&["", "-"]);
                Both { ours: format!("{minus}{a} % {b}"), cel: format!("double({minus}{a} % {b})"), binds: 6 }
            }
            7 => {
                let of = if self.draw(2) == 0 { self.text(depth - 1) } else { self.texts(depth - 1) }.within(9);
                Both::apart(&format!("{}.size()", of.ours), &format!("double({}.size())", of.cel))
            }
            8 => {
                // An extension of CEL that not all have.
                let (a, b) = (self.number(depth - 1), self.number(depth - 1));
                let (name, sign) = if self.draw(2) == 0 { ("least", "<") } else { ("greatest", ">") };
                let cel = format!("(({0}) {sign} ({1}) ? ({0}) : ({1}))", a.cel, b.cel);
                Both::apart(&format!("math.{name}({}, {})", a.ours, b.ours), &cel)
            }
            _ => {
                let (condition, this, that) = (self.truth(depth - 1), self.number(depth - 1), self.number(depth - 1));
                self.choice(condition, this, that)
            }
        }
    }

    fn text(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return Both::same(self.one(&[
                "\"\"",
                "'buy'",
                "\"APPC\"",
                "'a\"b'",
                "\"a\\\"b\\\\\\n\\t\"",
                "\"pumpt ä币\"",
                "order.side",
                "order.pair",
                "order.base",
                "account.name",
            ]));
        }
        if self.draw(4) == 0 {
            let (condition, this, that) = (self.truth(depth - 1), self.text(depth - 1), self.text(depth - 1));
            return self.choice(condition, this, that);
        }
        let (left, right) = (self.text(depth - 1), self.text(depth - 1));
        self.join(left, "+", right, 5)
    }

    fn texts(&mut self, depth: usize) -> Both {
        if depth == 0 || self.draw(4) == 0 {
            return Both::same(self.one(&["account.tags", "[\"APPC\", \"BTC\"]", "[order.side]"]));
        }
        let values: Vec<Both> = (0..=self.draw(3)).map(|_| self.text(depth - 1)).collect();
        let list = |part: fn(&Both) -> &str| format!("[{}]", values.iter().map(part).collect::<Vec<_>>().join(", "));
        Both::apart(&list(|value| &value.ours), &list(|value| &value.cel))
    }

    fn time(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return Both::same(self.one(&["duration(\"90s\")", "duration('2h')", "duration(\"15m\")", "pair.since"]));
        }
        if self.draw(4) == 0 {
            let (condition, this, that) = (self.truth(depth - 1), self.time(depth - 1), self.time(depth - 1));
            return self.choice(condition, this, that);
        }
        let (left, right) = (self.time(depth - 1), self.time(depth - 1));
        let sign = self.one(&["+", "-"]);
        self.join(left, sign, right, 5)
    }
}

/// Asks ours, about an order whose fields CEL is told below.
fn ours(texts: &[String]) -> Vec<Said> {
    let now = Timestamp::from_rfc3339("2026-03-01T13:30:00Z").expect("a time");
    let mut account = Account::new("binance/alice".parse().expect("an account"));
    account.orders = 7;
    let group = Group {
        order_id: "1".into(),
        symbol: Symbol::from_dashed("APPC-BTC").expect("a pair"),
        side: Side::Buy,
        first: now,
        last: now,
        quantity: "100".parse().expect("a number"),
        notional: "0.5".parse().expect("a number"),
        high: "0.005".parse().expect("a number"),
        low: "0.005".parse().expect("a number"),
        levels: 3,
        taker: true,
        market: 0.0,
        strange: 0.0,
        strange_source: false,
        not_ours: false,
        n: 1,
    };
    let habit = PairHabit {
        first: now - Span::from_secs(3_600),
        last: now,
        orders: 2,
        episode: Default::default(),
        turn: Default::default(),
        traded: 0.0,
    };
    let case = Case {
        account: &account,
        group: &group,
        habit: &habit,
        pair: None,
        dollar: None,
        new_pair: true,
        time: now,
        n: 1,
        at: now,
        unit: 1.0,
        equity: None,
        place: None,
        together: None,
        cap: None,
    };
    let tags = Tags([("bots".into(), [account.id.clone()].into())].into());
    let (keys, past, joint) = (Keys::default(), Past::default(), pump_buy::Settings::default());
    let scope = Scope::new(&case, &keys, &past, &tags, &joint);
    let ask = |text: &String| match Condition::new(text).map(|condition| condition.holds(&scope)) {
        Ok(Ok(true)) => Said::True,
        Ok(Ok(false)) => Said::False,
        Ok(Err(_)) => Said::Failure,
        Err(_) => Said::Refused,
    };
    texts.iter().map(ask).collect()
}

/// Asks the other implementation; or says why it cannot be asked.
fn theirs(texts: &[String]) -> Result<Vec<Said>, String> {
    let python = environment("cel", &["cel-python==0.5.0"])?;
    let fields = json!({
        "order": {"dollars": 15_000, "spent": 0.5, "levels": 3, "hour": 13, "taker": true, "not_ours": false,
            "side": "buy", "pair": "APPC-BTC", "base": "APPC"},
        "pair": {"new": true, "followed": false, "since": {"seconds": 3_600}},
        "account": {"name": "alice", "orders": 7, "tags": ["bots"]},
        "key": {},
    });
    let mut running = Command::new(python)
        .arg(here().join("tests/peers/cel.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| why.to_string())?;
    let asked = json!({"fields": fields, "expressions": texts}).to_string();
    let mut to = running.stdin.take().expect("its input is piped");
    let sending = std::thread::spawn(move || to.write_all(asked.as_bytes()));
    let output = running.wait_with_output().map_err(|why| why.to_string())?;
    sending.join().expect("it was sent").map_err(|why| why.to_string())?;
    assert!(output.status.success(), "the script failed");
    let said = |line: &str| match line.split(' ').next() {
        Some("true") => Said::True,
        Some("false") => Said::False,
        Some("failure") => Said::Failure,
        _ => Said::Refused,
    };
    let said: Vec<Said> = String::from_utf8_lossy(&output.stdout).lines().map(said).collect();
    assert_eq!(said.len(), texts.len());
    Ok(said)
}

#[test]
fn conditions_are_judged_as_another_implementation_of_cel_judges_them() {
    let mut maker = Maker(0x5eed);
    let mut made: Vec<Both> = (0..EXPRESSIONS).map(|place| maker.truth(2 + place % 3)).collect();
    made.retain(|both| both.ours.len() < 2_000);
    let text = |part: fn(&Both) -> &String| made.iter().map(part).cloned().collect::<Vec<String>>();
    let theirs = match theirs(&text(|both| &both.cel)) {
        Ok(theirs) => theirs,
        Err(why) => {
            eprintln!("skipped: cel: {why}");
            return;
        }
    };
    let ours = ours(&text(|both| &both.ours));
    let differ: Vec<String> = made
        .iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(both, (ours, theirs))| format!("{ours:?} {}\n{theirs:?} {}", both.ours, both.cel))
        .collect();
    let count = |wanted: Said| ours.iter().filter(|said| **said == wanted).count();
    let counts = [Said::True, Said::False, Said::Failure, Said::Refused].map(count);
    eprintln!("cel: {} expressions: {counts:?} true, false, failures, refused; {} differ", made.len(), differ.len());
    assert!(differ.is_empty(), "{} differ, the shortest:\n{}", differ.len(), shortest(&differ));
    assert!(counts[..3].iter().all(|count| *count > made.len() / 20) && counts[3] == 0, "{counts:?}");
}

fn shortest(differ: &[String]) -> String {
    let mut sorted: Vec<&String> = differ.iter().collect();
    sorted.sort_by_key(|text| text.len());
    sorted.into_iter().take(8).map(|text| text.chars().take(600).collect::<String>()).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn every_difference_from_cel_is_one_that_is_documented() {
    use Said::{Failure, False, Refused, True};
    // Expression, ours, CEL.
    let known = [
        // One kind of number.
        ("1 / 2 == 0", False, True),
        ("order.dollars > 15", True, True),
        ("7.5 % 2.0 == 1.5", True, Failure),
        // Division by zero, and numbers too large.
        ("1.0 / 0.0 > 5.0", Failure, True),
        ("1e300 * 1e300 > 5.0", Failure, True),
        // Ours only.
        ("1_000 == 1000", True, Refused),
        // (CEL has no days, and no product of a time; this implementation takes both.)
        ("duration(\"1d\") == duration(\"24h\")", True, True),
        ("duration(\"1m\") * 2 == duration(\"2m\")", True, True),
        ("true ? false ? true : true : false", True, Refused),
        // CEL only: told when the file is read.
        ("size(order.side) == 3", Refused, True),
        ("\"a\" < \"b\"", Refused, True),
        ("1 < 2 == true", Refused, True),
        ("1 in [1, 2]", Refused, True),
        ("order.side.matches(\"b.y\")", Refused, True),
        ("0x10 == 16", Refused, True),
        (".5 == 0.5", Refused, True),
        ("r\"\\d\" == \"\\\\d\"", Refused, True),
        ("account.tags[0] == \"bots\"", Refused, True),
        ("account.tags.exists(tag, tag == \"bots\")", Refused, True),
        ("order.side == 5 || true", Refused, True),
    ];
    let texts: Vec<String> = known.iter().map(|(text, ..)| (*text).to_owned()).collect();
    let mine: Vec<_> = texts.iter().zip(ours(&texts)).collect();
    let wanted: Vec<_> = texts.iter().zip(known.iter().map(|(_, ours, _)| *ours)).collect();
    assert_eq!(mine, wanted);
    match theirs(&texts) {
        Ok(theirs) => {
            let theirs: Vec<_> = texts.iter().zip(theirs).collect();
            let wanted: Vec<_> = texts.iter().zip(known.iter().map(|(.., cel)| *cel)).collect();
            assert_eq!(theirs, wanted);
        }
        Err(why) => eprintln!("skipped: cel: {why}"),
    }
}
