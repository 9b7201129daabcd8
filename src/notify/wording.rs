//! Text made safe for where it is shown: no control characters, no reordering marks, no markup, cut to fit.

/// Shown when an earlier attempt may have arrived.
pub(super) const REPEAT: &str = "This may be a repeat: an earlier attempt may have arrived.";

/// Returns `text` on one line of at most `most` characters, without control, invisible and reordering characters.
///
/// Exchange names and user agents reach messages; a line break there could forge a header, an escape sequence could
/// rewrite a terminal, and a right-to-left mark could turn an address around.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let (mut gap, mut count, mut kept) = (false, 0, 0);
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = count > 0;
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        for c in std::mem::take(&mut gap).then_some(' ').into_iter().chain([c]) {
            if count == most {
                line.truncate(kept);
                line.push('…');
                return line;
            }
            line.push(c);
            count += 1;
            // How much stays when a mark of omission must take the last place.
            if count < most {
                kept = line.len();
            }
        }
    }
    line
}

pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns `text` with the five characters that mean something in HTML written as entities.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match entity(c) {
            Some(entity) => safe.push_str(entity),
            None => safe.push(c),
        }
    }
    safe
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}

/// Returns `link` when it may stand behind a button: a web address over TLS without blanks or quotes.
pub(crate) fn web_link(link: &str) -> Option<&str> {
    let fine = link.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && link.len() <= 2_000
        && link.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`'));
    fine.then_some(link)
}

/// Returns the host of a link, for a label.
pub(crate) fn host(link: &str) -> &str {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Breaks `text` at blanks into lines of at most `width` columns; a longer word is broken where it must be.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let size = columns(word);
        if used > 0 && used + 1 + size > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            let size = columns_of(c);
            if used + size > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += size;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Returns how many terminal columns `text` takes; Chinese asset names take two a character.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_no_break_escape_or_reordering() {
        assert_eq!(one_line("a\r\nBcc: x\t\u{1b}[2J\u{202e}b\u{200b} ", 80), "a Bcc: x [2Jb");
        assert_eq!((one_line("abcdef", 4), one_line("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
        assert_eq!(one_line("", 4), "");
    }

    #[test]
    fn only_a_plain_web_link_is_followed() {
        assert_eq!(web_link("https://www.kucoin.com/account/api"), Some("https://www.kucoin.com/account/api"));
        for bad in ["javascript:alert(1)", "http://a", "https://", "https://a\" onclick=\"b", "https://a b", ""] {
            assert_eq!(web_link(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_line_is_never_longer_than_asked_and_never_breaks(text in ".*", most in 1_usize..60) {
            let line = one_line(&text, most);
            proptest::prop_assert!(line.chars().count() <= most);
            proptest::prop_assert!(!line.chars().any(char::is_control));
        }

        #[test]
        fn wrapped_lines_fit_and_lose_no_character(text in "[a-z币 ]{0,200}", width in 8_usize..40) {
            let lines = wrap(&text, width);
            proptest::prop_assert!(lines.iter().all(|line| columns(line) <= width));
            let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
        }
    }
}
