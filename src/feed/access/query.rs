//! One parameter of an address, as `newClientOrderId` of `POST /api/v3/order?symbol=APCBTC&newClientOrderId=bot-17`.

/// Returns a parameter of the address in a request line, or of a form.
pub(super) fn parameter(text: &str, name: &str) -> Option<String> {
    let query = match text.split_once('?') {
        Some((_, query)) => query,
        None => text.split_whitespace().last()?,
    };
    let query = query.split([' ', '#']).next().unwrap_or_default();
    let pair = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?;
    Some(decoded(&pair.1.replace('+', " ")))
}

/// Undoes `%HH`; what is no such code stays.
pub(super) fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_in_a_request_line_an_address_and_a_form() {
        for text in [
            "POST /api/v3/order?symbol=A&newClientOrderId=bot%2D17&signature=ff HTTP/1.1",
            "/api/v3/order?newClientOrderId=bot-17",
            "https://api.example.org/order?x=1&newClientOrderId=bot-17#end",
            "symbol=A&newClientOrderId=bot-17",
        ] {
            assert_eq!(parameter(text, "newClientOrderId").as_deref(), Some("bot-17"), "{text}");
        }
        for text in ["", "GET / HTTP/1.1", "/?newClientOrderI=1", "/?xnewClientOrderId=1"] {
            assert_eq!(parameter(text, "newClientOrderId"), None, "{text}");
        }
        assert_eq!(decoded("100%, %zz %C3%A9%"), "100%, %zz é%");
    }
}
