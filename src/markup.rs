//! Text that comes from outside, on its way into HTML or XML.

/// Makes a text safe to stand in a page or a file of markup, between tags or in a quoted attribute.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // Marks that turn the direction of what follows can make a name look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_markup_is_written_and_what_deceives_is_marked() {
        assert_eq!(safe("<b a='x'>&\"\r\n"), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;\u{fffd}\n");
        assert_eq!(safe("a\u{202e}b\u{0}\u{ffff}ä"), "a\u{fffd}b\u{fffd}\u{fffd}ä");
    }
}
