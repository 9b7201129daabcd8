//! A line of fields and fixed texts, taken apart in the one way that is possible.
//!
//! Whoever uses a key chooses some of the fields (a program's name, a header). Where a proxy does not mask what could
//! end a field, a line can be written so that it reads in two ways, one of them forged. So each field's bounds are looked
//! for from both ends, and only a field that begins and ends at the same place either way is believed.

/// A form of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before the first field.
    lead: String,
    /// Fields, each with the text after it; only the last may have none.
    fields: Vec<(String, String)>,
    /// Which of them hold neither spaces nor quotation marks.
    tight: Vec<bool>,
    /// Whether a backslash masks the quotation mark after it.
    masks: bool,
    /// Whether columns are padded with spaces.
    padded: bool,
}

/// A piece of a form as its language writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This text.
    Text(String),
    /// A field of this name.
    Field(String),
}

/// Where fields stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'l> {
    /// There, and nowhere else.
    At(&'l str),
    /// It could be more than one text.
    Unsure,
}

impl Pattern {
    /// Joins pieces; refuses what could never be told apart. `is_tight` says which fields never hold a space or a
    /// quotation mark.
    pub(super) fn new(
        pieces: Vec<Piece>,
        masks: bool,
        padded: bool,
        is_tight: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let (mut lead, mut fields) = (String::new(), Vec::<(String, String)>::new());
        for piece in pieces {
            match (piece, fields.last_mut()) {
                (Piece::Text(text), None) => lead.push_str(&text),
                (Piece::Text(text), Some((_, after))) => after.push_str(&text),
                (Piece::Field(name), Some((before, after))) if after.is_empty() => {
                    return Err(format!("nothing stands between {before} and {name}, so they cannot be told apart"));
                }
                (Piece::Field(name), _) => fields.push((name, String::new())),
            }
        }
        if fields.is_empty() {
            return Err("has no field in it".to_owned());
        }
        if padded {
            lead = single_spaces(lead.trim_start());
            fields.iter_mut().for_each(|(_, after)| *after = single_spaces(after));
        }
        let tight = fields.iter().map(|(name, _)| is_tight(name)).collect();
        Ok(Pattern { lead, fields, tight, masks, padded })
    }

    /// Returns the fields' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the place of a field.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(known, _)| known == name)
    }

    /// Returns a line as [`Pattern::split`] wants it.
    pub(super) fn plain(&self, line: &str) -> String {
        if self.padded { single_spaces(line.trim_start_matches(' ')) } else { line.to_owned() }
    }

    /// Takes a line apart; nothing when it has not this form.
    pub(super) fn split<'l>(&self, line: &'l str) -> Option<Vec<Found<'l>>> {
        let begin = line.starts_with(&self.lead).then_some(self.lead.len())?;
        let (_, tail) = self.fields.last()?;
        let end = line.len().checked_sub(tail.len()).filter(|end| *end >= begin)?;
        if !line.is_char_boundary(end) || &line[end..] != tail || !tail.is_empty() && !self.stands(line, end, tail) {
            return None;
        }
        let inner = &self.fields[..self.fields.len() - 1];
        // The earliest end of each field, then the latest.
        let mut earliest = Vec::with_capacity(inner.len());
        let mut at = begin;
        for (_, after) in inner {
            let found = self.first(line, at, end, after)?;
            earliest.push(found);
            at = found + after.len();
        }
        let mut latest = Vec::with_capacity(inner.len());
        let mut until = end;
        for (_, after) in inner.iter().rev() {
            let found = self.last(line, begin, until, after)?;
            latest.push(found);
            until = found;
        }
        latest.reverse();
        let mut stops: Vec<Option<usize>> =
            earliest.iter().zip(&latest).map(|(one, other)| (one == other).then_some(*one)).collect();
        self.narrow(line, begin, end, &mut stops);
        let mut found = Vec::with_capacity(self.fields.len());
        let mut start = Some(begin);
        for (place, (_, after)) in self.fields.iter().enumerate() {
            let stop = stops.get(place).copied().unwrap_or(Some(end));
            found.push(match (start, stop) {
                (Some(start), Some(stop)) if start <= stop => Found::At(&line[start..stop]),
                _ => Found::Unsure,
            });
            start = stop.map(|stop| stop + after.len());
        }
        Some(found)
    }

    /// Settles the unsure ends of fields that hold no spaces: from where such a field begins, it ends at the first text
    /// that may end it; and likewise backwards.
    fn narrow(&self, line: &str, begin: usize, end: usize, stops: &mut [Option<usize>]) {
        let splits = |c: char| matches!(c, ' ' | '"');
        for place in 0..stops.len() {
            let start =
                if place == 0 { Some(begin) } else { stops[place - 1].map(|at| at + self.after(place - 1).len()) };
            if let (None, Some(start), true) = (stops[place], start, self.tight[place])
                && self.after(place).starts_with(splits)
            {
                let stop = self.first(line, start, end, self.after(place));
                stops[place] = stop.filter(|stop| !line[start..*stop].contains(splits));
            }
        }
        for place in (0..stops.len()).rev() {
            let stop = stops.get(place + 1).copied().unwrap_or(Some(end));
            if let (None, Some(stop), true) = (stops[place], stop, self.tight[place + 1])
                && self.after(place).ends_with(splits)
            {
                let at = self.last(line, begin, stop, self.after(place));
                stops[place] = at.filter(|at| !line[*at + self.after(place).len()..stop].contains(splits));
            }
        }
    }

    fn after(&self, place: usize) -> &str {
        &self.fields[place].1
    }

    /// Returns the first place of `text` that begins at `from` or later and ends at `until` or earlier.
    fn first(&self, line: &str, from: usize, until: usize, text: &str) -> Option<usize> {
        let part = line.get(from..until)?;
        part.match_indices(text).map(|(at, _)| from + at).find(|at| self.stands(line, *at, text))
    }

    fn last(&self, line: &str, from: usize, until: usize, text: &str) -> Option<usize> {
        let part = line.get(from..until)?;
        part.rmatch_indices(text).map(|(at, _)| from + at).find(|at| self.stands(line, *at, text))
    }

    /// Says whether a text that begins at `at` ends a field: a masked quotation mark does not.
    fn stands(&self, line: &str, at: usize, text: &str) -> bool {
        if !self.masks || !text.starts_with('"') {
            return true;
        }
        let masks = line.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        masks.is_multiple_of(2)
    }
}

fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let pieces = text.split('|').map(|piece| match piece.strip_prefix('$') {
            Some(name) => Piece::Field(name.to_owned()),
            None => Piece::Text(piece.to_owned()),
        });
        Pattern::new(pieces.collect(), true, false, |name| name == "ip").unwrap()
    }

    fn shown(pattern: &Pattern, line: &str) -> Option<Vec<String>> {
        let show = |found: &Found<'_>| match found {
            Found::At(text) => (*text).to_owned(),
            Found::Unsure => "?".to_owned(),
        };
        pattern.split(line).map(|found| found.iter().map(show).collect())
    }

    #[test]
    fn a_line_is_taken_apart_where_there_is_one_way() {
        let form = pattern(r#"$ip| - |$user| "|$agent|""#);
        assert_eq!(shown(&form, r#"1.2.3.4 - alice "bot/1""#).unwrap(), ["1.2.3.4", "alice", "bot/1"]);
        assert_eq!(shown(&form, r#"1.2.3.4 -  """#).unwrap(), ["1.2.3.4", "", ""]);
        for other in ["", "1.2.3.4", r#"1.2.3.4 - alice "bot/1"#, r#"1.2.3.4 - alice "bot\""#, r#"x"1.2.3.4 - a "b" "#]
        {
            assert_eq!(shown(&form, other), None, "{other}");
        }
    }

    #[test]
    fn a_forged_part_makes_its_field_unsure_and_no_other() {
        let form = pattern(r#"$ip| "|$agent|" "|$account|""#);
        let honest = r#"1.2.3.4 "bot" "alice""#;
        assert_eq!(shown(&form, honest).unwrap(), ["1.2.3.4", "bot", "alice"]);
        assert_eq!(shown(&form, r#"1.2.3.4 "x" "bob" "alice""#).unwrap(), ["1.2.3.4", "?", "?"]);
        assert_eq!(shown(&form, r#"1.2.3.4 "x\" \"bob" "alice""#).unwrap(), ["1.2.3.4", r#"x\" \"bob"#, "alice"]);
        let turned = pattern(r#""|$agent|" "|$account|" |$ip"#);
        assert_eq!(shown(&turned, r#""x" "bob" "alice" 1.2.3.4"#).unwrap(), ["?", "?", "1.2.3.4"]);
        assert_eq!(shown(&form, r#"1.2.3.4 "x\\" "alice""#).unwrap(), ["1.2.3.4", r"x\\", "alice"]);
    }

    #[test]
    fn fields_without_anything_between_are_refused() {
        let refused = Pattern::new(vec![Piece::Field("a".into()), Piece::Field("b".into())], true, false, |_| false);
        assert!(refused.unwrap_err().contains("between a and b"));
        assert!(Pattern::new(vec![Piece::Text("a".into())], true, false, |_| false).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_in_a_line_nothing_panics_and_sure_fields_rebuild_it(line in r#"[ab" \\é-]{0,24}"#) {
            for form in [r#"$ip| "|$b|""#, r"$a| |$ip", r#"a|$a|" "|$ip|-|$c|"#] {
                let form = pattern(form);
                let Some(found) = form.split(&line) else { continue };
                let sure: Option<Vec<&str>> =
                    found.iter().map(|one| if let Found::At(text) = one { Some(*text) } else { None }).collect();
                if let Some(sure) = sure {
                    let mut again = form.lead.clone();
                    for (text, (_, after)) in sure.iter().zip(&form.fields) {
                        again.push_str(text);
                        again.push_str(after);
                    }
                    proptest::prop_assert_eq!(&again, &line);
                }
            }
        }
    }
}
