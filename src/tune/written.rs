//! Figures as people read them: about three digits, and their unit.

/// Writes a number with about three digits, without trailing zeros.
pub(crate) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "not known".to_owned();
    }
    let decimals: usize = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        size if size >= 0.000_1 => 5,
        _ => 9,
    };
    trimmed(format!("{value:.decimals$}"))
}

/// Writes a part of one in percent.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "not known".to_owned();
    }
    format!("{} %", trimmed(format!("{:.1}", share * 100.0)))
}

/// Writes a span in the unit that suits.
pub(crate) fn seconds(value: f64) -> String {
    match value.abs() {
        s if s < 0.000_5 => "0 s".to_owned(),
        s if s < 60.0 => format!("{} s", figure(value)),
        s if s < 3_600.0 => format!("{} min", figure(value / 60.0)),
        s if s < 86_400.0 => format!("{} h", figure(value / 3_600.0)),
        _ => format!("{} d", figure(value / 86_400.0)),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            ["0", "0.052", "1.5", "31.4", "1234"],
            [0.0, 0.0524, 1.5, 31.41, 1_234.4].map(figure).each_ref().map(|s| s.as_str())
        );
        assert_eq!(
            (percent(0.9333), seconds(90.0), seconds(5_400.0)),
            ("93.3 %".into(), "1.5 min".into(), "1.5 h".into())
        );
    }
}
