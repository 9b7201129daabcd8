//! Who asks for something on the command line, and what they write: kept, and shown to others later.

use crate::notify::wording::is_invisible;

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// Returns who asks: the name given with `option`, else the user's, else that it was the command line.
pub(super) fn author(option: &str, given: Option<&str>) -> anyhow::Result<String> {
    let Some(given) = given else { return Ok(of(std::env::var("USER").ok())) };
    one_line(option, given, LONGEST_NAME)
}

/// Returns a text without blanks around it, where it is one line that a terminal shows as it stands.
pub(super) fn one_line(option: &str, text: &str, longest: usize) -> anyhow::Result<String> {
    let unseen = |letter: char| letter.is_control() || is_invisible(letter);
    let fits = !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(unseen);
    anyhow::ensure!(
        fits,
        "fillguard: {option} takes one line of at most {longest} characters, without control characters"
    );
    Ok(text.trim().to_owned())
}

/// A service has no user's name.
fn of(user: Option<String>) -> String {
    let user = user.and_then(|user| one_line("USER", &user, LONGEST_NAME).ok());
    user.unwrap_or_else(|| "command line".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_named_even_where_nobody_has_a_name() {
        assert_eq!(author("--by", Some(" bob ")).unwrap(), "bob");
        assert_eq!(of(Some("alice".into())), "alice");
        assert_eq!(of(Some("b\u{1b}[31m".into())), "command line");
        assert_eq!(of(None), "command line");
    }

    #[test]
    fn what_would_paint_a_terminal_is_refused() {
        for bad in ["b\u{1b}[31m\nroot", "a\u{9b}b", "a\u{202e}b", " ", &"x".repeat(101)] {
            let why = author("--by", Some(bad)).unwrap_err().to_string();
            assert!(why.contains("--by takes one line of at most 100"), "{why}");
        }
    }
}
