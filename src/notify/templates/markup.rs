//! HTML looked at closely enough to know what a person reads of it, and what a program would fetch.

/// Tags that Telegram shows (<https://core.telegram.org/bots/api#html-style>).
const TELEGRAM: [&str; 15] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-spoiler",
    "span",
];

/// Says what Telegram would refuse of a text.
pub(super) fn telegram(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find(['<', '&']) {
        rest = &rest[place..];
        if rest.starts_with('&') {
            let Some((_, length)) = entity(rest) else {
                return Some("has an & that is no entity; write &amp;".to_owned());
            };
            rest = &rest[length..];
            continue;
        }
        let Some(end) = rest.find('>') else { return Some("has a < without a >; write &lt;".to_owned()) };
        let tag = &rest[1..end];
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        if !TELEGRAM.contains(&name) {
            return Some(format!("has the tag <{name}>, which Telegram refuses; it takes {}", TELEGRAM.join(", ")));
        }
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Some(format!("closes <{name}> where it was not opened last"));
            }
        } else {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    open.pop().map(|name| format!("opens <{name}> and does not close it"))
}

/// Returns what a person reads: tags left out, entities read, blanks run together.
pub(super) fn read(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(place) = rest.find(['<', '&']) {
        plain.push_str(&rest[..place]);
        rest = &rest[place..];
        if rest.starts_with('<') {
            // A style is not read by anybody.
            let hidden = ["<style", "<title", "<head"].iter().find(|name| starts_with(rest, name)).copied();
            let end = match hidden {
                Some("<head") => find(rest, "</head>"),
                Some("<style") => find(rest, "</style>"),
                Some(_) => find(rest, "</title>"),
                None => None,
            };
            let end = end.or_else(|| rest.find('>').map(|end| end + 1)).unwrap_or(rest.len());
            rest = &rest[end..];
            plain.push(' ');
        } else {
            let (c, length) = entity(rest).unwrap_or(('&', 1));
            plain.push(c);
            rest = &rest[length..];
        }
    }
    plain.push_str(rest);
    plain
}

/// Says what showing a page would fetch from elsewhere, or run.
pub(super) fn fetches(page: &str) -> Option<&'static str> {
    let page = page.to_lowercase();
    const FETCHING: [&str; 11] =
        ["<script", "<link", "<iframe", "<object", "<embed", "<video", "<audio", "<base", "@import", "srcset", "<form"];
    if let Some(found) = FETCHING.into_iter().find(|word| page.contains(word)) {
        return Some(found);
    }
    // Pictures are inside the mail or not at all.
    let outside = |mark: &str, what: &'static str| {
        page.match_indices(mark)
            .any(|(place, _)| {
                let value = page[place + mark.len()..].trim_start().trim_start_matches(['"', '\'', '=', ' ']);
                !value.starts_with("cid:") && !value.starts_with("data:")
            })
            .then_some(what)
    };
    outside(" src=", "src=").or_else(|| outside("url(", "url(")).or_else(|| outside(" background=", "background="))
}

/// Reads the entity at the start of a text; returns its character and length.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.char_indices().take(10).find(|(_, c)| *c == ';')?.0;
    let c = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "nbsp" => ' ',
        "middot" => '·',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        && text[start.len()..].starts_with([' ', '>', '\n', '\t', '\r'])
}

fn find(text: &str, end: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(end).map(|place| place + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telegram_refuses_is_named() {
        assert_eq!(telegram("<b>a &amp; b</b> <a href=\"x\">&#39;</a>"), None);
        for (text, word) in [
            ("<b>a", "does not close"),
            ("<b><i>a</b></i>", "not opened last"),
            ("<p>a</p>", "<p>"),
            ("a & b", "&amp;"),
            ("a < b", "&lt;"),
        ] {
            assert!(telegram(text).is_some_and(|why| why.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_page_is_read_as_a_person_reads_it() {
        let page = "<html><head><style>b{x:1}</style></head><p>a &lt;b&gt; &#x27;c&#39;&nbsp;<b>d</b></p>";
        let read = read(page);
        assert_eq!(read.split_whitespace().collect::<Vec<_>>().join(" "), "a <b> 'c' d");
    }

    #[test]
    fn what_a_page_would_fetch_is_found() {
        assert_eq!(fetches("<img src=\"cid:loss\"><a href=\"https://x\">x</a>"), None);
        for page in [
            "<img src=\"https://x/y\">",
            "<img SRC='//x'>",
            "<p style=\"background:url(https://x)\">",
            "<style>@import 'x'</style>",
            "<script>1</script>",
            "<td background=\"http://x\">",
        ] {
            assert!(fetches(page).is_some(), "{page}");
        }
    }
}
