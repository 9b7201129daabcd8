//! Lines as proxies write them.

use super::*;
use crate::domain::{AccountId, Timestamp};

fn whose() -> Whose {
    let ids: Vec<AccountId> = ["binance/alice", "kucoin/bob"].iter().map(|id| id.parse().unwrap()).collect();
    let mut whose = Whose::of(&ids);
    whose.alias("desk-1".into(), "binance/alice");
    whose
}

/// Reads with the usual fields and those given as `what=field`.
fn reader(form: Form, given: &[&str]) -> Reader {
    let mut fields = form.usual();
    for pair in given {
        let (what, name) = pair.split_once('=').unwrap();
        let field = vec![form.field(name).unwrap_or_else(|why| panic!("{name} {why}"))];
        match what {
            "account" => fields.account = field,
            "ip" => fields.ip = field,
            "ua" => fields.user_agent = field,
            "id" => fields.client_order_id = field,
            "time" => fields.time = field,
            other => panic!("{other}"),
        }
    }
    Reader { form, fields, whose: whose() }
}

fn form(dialect: Dialect, text: &str) -> Form {
    Form::Pattern(dialect, dialect.pattern(text).unwrap())
}

/// Shows what is taken of a line, or why it is not.
fn shown(reader: &Reader, line: &str) -> String {
    let mut amiss = Vec::new();
    match reader.read(line, &mut amiss) {
        Ok(Entry { account, ip, user_agent, client_order_id, time, .. }) => {
            let ip = ip.map_or("-".to_owned(), |ip| ip.to_string());
            let time = time.map_or("-".to_owned(), |time| time.to_string());
            let (agent, id) = (user_agent.as_deref().unwrap_or("-"), client_order_id.as_deref().unwrap_or("-"));
            format!("{account} {ip} [{agent}] {id} {time} {amiss:?}")
        }
        Err(flaw) => format!("{flaw:?}"),
    }
}

fn at(text: &str) -> String {
    Timestamp::from_rfc3339(text).unwrap().to_string()
}

#[test]
fn nginx_lines_are_read() {
    let own = r#"$remote_addr - $http_x_account [$time_local] "$request" $status "$http_user_agent""#;
    let reader = reader(form(Dialect::Nginx, own), &["account=http_x_account", "id=request?newClientOrderId"]);
    let time = at("2026-04-07T14:30:06Z");
    for (line, wanted) in [
        (
            r#"203.0.113.7 - alice [07/Apr/2026:16:30:06 +0200] "POST /api/v3/order?symbol=A&newClientOrderId=bot-17&signature=ff HTTP/1.1" 200 "bot/2 \x22x\x22""#,
            format!("alice 203.0.113.7 [bot/2 \"x\"] bot-17 {time} []"),
        ),
        (
            r#"2001:db8::1 - binance/alice [07/Apr/2026:14:30:06 +0000] "GET / HTTP/1.1" 401 "-""#,
            format!("binance/alice 2001:db8::1 [-] - {time} []"),
        ),
        (
            r#"::ffff:203.0.113.7 - desk-1 [07/Apr/2026:14:30:06 +0000] "-" 400 "a \" b""#,
            format!("binance/alice 203.0.113.7 [a \" b] - {time} []"),
        ),
        (r#"unix: - bob [-] "-" 400 "-""#, "bob - [-] - - [Address]".to_owned()),
        (
            r#"1.2.3.4 - bob [soon] "GET /?newClientOrderId=a%20b HTTP/1.1" 400 "-""#,
            "bob 1.2.3.4 [-] - - [OrderId, Time]".to_owned(),
        ),
        (r#"1.2.3.4 - - [-] "-" 400 "-""#, "NoAccount".to_owned()),
        (r#"1.2.3.4 - carol [-] "-" 400 "-""#, "Stranger".to_owned()),
        // A header that a client chose, not in quotes: it could forge what follows.
        (r#"1.2.3.4 - bob [x] - alice [-] "-" 400 "-""#, "Ambiguous".to_owned()),
        (r#"1.2.3.4 - bob [-] "-" 400 "-" more"#, "Form".to_owned()),
        ("", "Form".to_owned()),
        (r#"{"account":"alice"}"#, "Form".to_owned()),
    ] {
        assert_eq!(shown(&reader, line), wanted, "{line}");
    }
}

#[test]
fn the_combined_form_tells_the_name_that_signed_in() {
    let reader = reader(form(Dialect::Nginx, Dialect::Nginx.usual()), &["account=remote_user"]);
    let line = r#"198.51.100.4 - alice [07/Apr/2026:14:30:06 +0000] "GET /v1?a=\x22 HTTP/1.1" 200 612 "https://example.org/?q=\x22" "Mozilla/5.0 (X11; Linux x86_64) \x22quoted\x22""#;
    let wanted =
        format!("alice 198.51.100.4 [Mozilla/5.0 (X11; Linux x86_64) \"quoted\"] - {} []", at("2026-04-07T14:30:06Z"));
    assert_eq!(shown(&reader, line), wanted);
}

#[test]
fn envoy_lines_are_read_and_its_unmasked_quotes_cannot_forge() {
    let own = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%" %DOWNSTREAM_REMOTE_ADDRESS% %REQ(X-ACCOUNT)% "%REQ(USER-AGENT)%"
"#;
    let reader = reader(
        form(Dialect::Envoy, own),
        &["account=%REQ(x-account)%", "id=REQ(X-ENVOY-ORIGINAL-PATH?:PATH)?newClientOrderId"],
    );
    let time = at("2026-04-07T14:30:06.25Z");
    for (line, wanted) in [
        (
            r#"[2026-04-07T14:30:06.250Z] "POST /order?newClientOrderId=x-1" 203.0.113.7:51234 alice "bot/2""#,
            format!("alice 203.0.113.7 [bot/2] x-1 {time} []"),
        ),
        (r#"[2026-04-07T14:30:06.250Z] "GET /" [2001:db8::1]:443 bob "-""#, format!("bob 2001:db8::1 [-] - {time} []")),
        // Envoy masks no quotation mark; one inside the last field leaves the others as they are.
        (
            r#"[2026-04-07T14:30:06.250Z] "GET /" 203.0.113.7:1 bob "a" b""#,
            format!("bob 203.0.113.7 [a\" b] - {time} []"),
        ),
        (r#"[2026-04-07T14:30:06.250Z] "GET /" 203.0.113.7:1 bob "a" x "b""#, "Ambiguous".to_owned()),
    ] {
        assert_eq!(shown(&reader, line), wanted, "{line}");
    }
    let usual = self::reader(form(Dialect::Envoy, Dialect::Envoy.usual()), &["account=REQ(X-REQUEST-ID)"]);
    let line = r#"[2026-04-07T14:30:06.250Z] "GET /x HTTP/1.1" 200 - 0 3 12 11 "10.0.0.1, 203.0.113.7" "bot/2" "alice" "api.example.org" "10.0.0.9:80""#;
    assert_eq!(shown(&usual, line), format!("alice 203.0.113.7 [bot/2] - {time} []"));
}

#[test]
fn squid_lines_are_read() {
    let native = reader(form(Dialect::Squid, Dialect::Squid.usual()), &["account=un"]);
    let time = at("2026-04-07T14:30:06.25Z");
    let line = "1775572206.250    123 203.0.113.7 TCP_TUNNEL/200 4560 CONNECT api.example.org:443 alice HIER_DIRECT/198.51.100.9 -";
    assert_eq!(shown(&native, line), format!("alice 203.0.113.7 [-] - {time} []"));
    let line = "1775572206.250 123456 2001:db8::1 TCP_MISS/200 4560 GET http://a/ - HIER_DIRECT/198.51.100.9 text/html";
    assert_eq!(shown(&native, line), "NoAccount");
    let own = r#"%>a %{X-Account}>h [%tl] "%rm %ru HTTP/%rv" "%{User-Agent}>h" %-9Ss|"#;
    let own = reader(form(Dialect::Squid, own), &["account={X-Account}>h", "id=ru?clientOid"]);
    let line = r#"203.0.113.7 desk-1 [07/Apr/2026:14:30:06 +0000] "GET http://a/?clientOid=k%2D1 HTTP/1.1" "bot%20\"2\"" TCP_HIT  |"#;
    assert_eq!(
        shown(&own, line),
        format!("binance/alice 203.0.113.7 [bot \"2\"] k-1 {} []", at("2026-04-07T14:30:06Z"))
    );
}

#[test]
fn json_lines_are_read_by_the_usual_names_and_by_paths() {
    let usual = reader(Form::Json, &[]);
    let time = at("2026-04-07T14:30:06.25Z");
    let line = r#"{"msec":1775572206.250,"account":"alice","remote_addr":"203.0.113.7","http_user_agent":"bot/2",
        "client_order_id":"bot-17","request":"POST /?signature=ff"}"#
        .replace('\n', " ");
    assert_eq!(shown(&usual, &line), format!("alice 203.0.113.7 [bot/2] bot-17 {time} []"));
    // Caddy nests the request and lists each header.
    let line = r#"{"ts":1775572206.25,"request":{"remote_ip":"203.0.113.7","headers":{"User-Agent":["bot/2"],"X-Account":["bob"]},
        "uri":"/o?clientOid=k1&signature=ff"}}"#
        .replace('\n', " ");
    let nested = reader(Form::Json, &["account=request.headers.X-Account", "id=request.uri?clientOid"]);
    assert_eq!(shown(&nested, &line), format!("bob 203.0.113.7 [bot/2] k1 {time} []"));
    let dotted = reader(Form::Json, &["account=user.name", "ip=source.ip", "time=@timestamp"]);
    let line = r#"{"user.name":"alice","source":{"ip":"[2001:db8::1]:1"},"@timestamp":"2026-04-07T14:30:06.250Z"}"#;
    assert_eq!(shown(&dotted, line), format!("alice 2001:db8::1 [-] - {time} []"));
    for (line, wanted) in [
        ("", "Json"),
        ("[1]", "Json"),
        ("{", "Json"),
        (r#"{"account":null}"#, "NoAccount"),
        (r#"{"account":{"a":1}}"#, "NoAccount"),
        (r#"{"account":"-"}"#, "NoAccount"),
        (r#"{"account":17}"#, "Stranger"),
        (
            r#"{"account":"alice","ip":"hunter2","time":"hunter2","client_order_id":"a=b"}"#,
            "alice - [-] - - [Address, OrderId, Time]",
        ),
    ] {
        assert_eq!(shown(&usual, line), wanted, "{line}");
    }
}

#[test]
fn one_account_for_all_lines_needs_no_field() {
    let mut fixed = reader(form(Dialect::Nginx, Dialect::Nginx.usual()), &[]);
    fixed.whose.fix("binance/alice");
    let line = r#"198.51.100.4 - - [-] "-" 200 0 "-" "-""#;
    assert_eq!(shown(&fixed, line), "binance/alice 198.51.100.4 [-] - - []");
}

#[test]
fn a_field_that_the_pattern_has_not_is_refused_with_those_it_has() {
    let form = form(Dialect::Nginx, "$remote_addr $status");
    assert_eq!(form.field("http_x_account").unwrap_err(), "is not in the pattern; it has remote_addr, status");
    assert!(form.field("status?x").is_ok() && Form::Json.field("").is_err());
}

proptest::proptest! {
    #[test]
    fn no_line_panics_and_nothing_but_the_named_fields_is_taken(
        line in r#"([a-z0-9"\\{}\[\]:,. \-?&=%é]|alice|"account":|signature=hunter2){0,30}"#,
    ) {
        let readers = [
            reader(Form::Json, &["id=account?x"]),
            reader(form(Dialect::Nginx, r#"$remote_addr $http_x "$ua""#), &["account=http_x", "ua=ua", "id=ua"]),
            reader(form(Dialect::Envoy, "%A% %B%"), &["account=A", "ua=B", "id=B"]),
            reader(form(Dialect::Squid, "%un %ru"), &["account=un", "ua=ru", "id=ru?x"]),
        ];
        for reader in readers {
            let mut amiss = Vec::new();
            if let Ok(entry) = reader.read(&line, &mut amiss) {
                let frame = entry.frame(&0).unwrap();
                proptest::prop_assert!(!frame.get().contains("signature"), "{}", frame.get());
            }
        }
    }
}
