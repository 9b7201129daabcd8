use super::super::email::{self, EmailSettings, Letter};
use super::super::samples::samples;
use super::super::words::words;
use super::super::{ChannelSettings, telegram};
use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What is wrong with one file, as it is told.
fn refused(name: &str, text: &str) -> String {
    let folder = folder(&[(name, text)]);
    let problems = Templates::read(folder.path(), "blue elephant").map(|_| ()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].file, folder.path().join(name));
    format!("{}: {}", problems[0].line.unwrap_or(0), problems[0].why)
}

const WHOLE: &str = "{{ headline }}\n{{ lost }}\n{{ next_step }}\n{{ phrase }}\n";

#[test]
fn a_template_with_a_mistake_is_refused_with_its_line_and_reason() {
    for (name, text, line, reason) in [
        ("mail.txt", "{{ headline }}\n{% if %}", 2, "syntax error"),
        ("mail.txt", "{{ headline }}\n{{ headlnie }}", 2, "docs/alerts.md lists"),
        ("mail.txt", "x\n\n{{ headline | loud }}", 3, "unknown filter"),
        (
            "mail.txt",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            0,
            "does not come to an end",
        ),
        ("mail.txt", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 0, ""),
        ("mail.txt", "{{ '0123456789' * 100000 }}", 0, ""),
        ("mail.txt", "{{ headline }}{{ lost }}{{ next_step }}", 0, "leaves out the phrase"),
        ("mail.txt", "{{ phrase }}{{ next_step }}", 0, "leaves out the money"),
        ("mail.txt", "{{ headline }}{{ lost }}{{ phrase }}", 0, "leaves out what to do"),
        ("mail.txt", "  \n", 0, "makes nothing"),
        ("headline.txt", "Something happened on {{ account }}", 0, "leaves out the money"),
        ("next_step.txt", "{% if false %}x{% endif %}", 0, "may not be empty"),
        ("telegram.html", &format!("<p>{WHOLE}</p>"), 0, "Telegram refuses"),
        ("telegram.html", &format!("<b>{WHOLE}"), 0, "does not close it"),
        ("telegram.html", &format!("{WHOLE}{{{{ facts | join | safe }}}}"), 0, "write &amp;"),
        ("telegram.html", &format!("{WHOLE}{{% for n in range(3000) %}}ab{{% endfor %}}"), 0, "4,096"),
        ("mail.html", &format!("{WHOLE}<img src=\"https://example.org/x.png\">"), 0, "would load"),
        ("mail.html", &format!("{WHOLE}{{{{ facts | join | safe }}}}"), 0, "take away | safe"),
        ("mail.html", &format!("{WHOLE}<script>1</script>"), 0, "would load or run"),
        ("mail.html", &format!("{WHOLE}{{% include 'elsewhere.html' %}}"), 0, "elsewhere.html"),
        ("headlines.txt", "x", 0, "is headline.txt meant?"),
    ] {
        let told = refused(name, text);
        assert!(told.contains(reason), "{name} {text:?}: {told}");
        assert!(line == 0 || told.starts_with(&format!("{line}: ")), "{name} {text:?}: {told}");
    }
}

#[test]
fn parts_and_forms_are_told_in_the_users_words_and_the_rest_in_fillguards() {
    let folder = folder(&[
        ("headline.txt", "{{ account }} is being robbed{% if lost %}: {{ lost }}{% endif %} & <gone>"),
        ("headline.de.txt", "{{ account }} wird bestohlen{% if lost %}: {{ lost }}{% endif %}"),
        (
            "telegram.html",
            "<b>{{ headline }}</b>\n{{ lost }}\n{{ next_step }}\n<i>{{ phrase }}</i>\n{% include '_foot.html' %}",
        ),
        ("_foot.html", "kind {{ kind }} of {{ incident }}"),
        (
            "mail.html",
            "<html><body><h1>{{ headline }}</h1><p>{{ lost }} {{ next_step }} {{ phrase }}</p>\
                       {% if picture %}<img src=\"{{ picture.source }}\" alt=\"{{ picture.caption }}\">{% endif %}</body></html>",
        ),
    ]);
    let templates = Templates::read(folder.path(), "blue elephant").unwrap();
    let channel = ChannelSettings {
        phrase: "blue elephant".into(),
        templates: Some(templates.clone()),
        ..ChannelSettings::default()
    };
    let of = |kind: &str, language| samples(language).into_iter().find(|one| one.kind == kind).unwrap();
    let grown = of("growing", Language::English);
    let text = telegram::shown(&grown.queued(), &channel, grown.incident.as_ref());
    assert!(
        text.starts_with("<b>binance") && text.contains("is being robbed: 0.42 BTC &amp; &lt;gone&gt;</b>"),
        "{text}"
    );
    assert!(text.contains("kind pump of binance-alice-4711") && text.contains("may be a repeat"), "{text}");
    let german = ChannelSettings { language: Language::German, ..channel.clone() };
    let pump = of("pump", Language::German);
    assert!(telegram::shown(&pump.queued(), &german, None).contains("wird bestohlen: 0.42 BTC"));

    let (from, to) = ("guard@example.org".parse().unwrap(), vec!["me@example.org".parse().unwrap()]);
    let settings = EmailSettings::new(channel, "smtp.example.org", from, to);
    let letter = Letter { picture: grown.picture.clone(), ..Letter::from(&grown.queued()) };
    let (message, letter) = email::dressed(&grown.message, &settings, letter, grown.incident.as_ref());
    let forms = email::forms(&message, &settings, &letter);
    assert_eq!(forms.subject, "[fillguard] act now: binance/alice is being robbed: 0.42 BTC & <gone>");
    assert!(forms.text.contains("What to do now: ") && forms.text.contains("is being robbed"), "{}", forms.text);
    assert!(forms.page.contains("<h1>binance") && forms.page.contains("src=\"cid:loss\""), "{}", forms.page);
    assert!(forms.page.contains("may be a repeat"), "{}", forms.page);
    assert_eq!(templates.files(), ["headline.de.txt", "headline.txt", "mail.html", "telegram.html"]);
}

#[test]
fn a_template_that_breaks_on_a_real_message_gives_way_to_the_built_in_words_and_says_so_once() {
    let text = format!("{WHOLE}{{{{ 1 / (headline.length - 7) }}}}{{{{ facts | length }}}}");
    let folder = folder(&[("telegram.html", &text.replace("headline.length", "(headline | length)"))]);
    let templates = Templates::read(folder.path(), "blue elephant").unwrap();
    let words = words(Language::English);
    let about = About::new(words, "blue elephant", crate::domain::Timestamp::EPOCH);
    let mut message = samples(Language::English).remove(0).message;
    assert!(templates.dress(&message, &about, &[Part::Telegram]).forms[0].is_some());
    // Seven letters: a division by zero that no sample had.
    message.headline = "robbed!".into();
    let first = templates.dress(&message, &about, &[Part::Telegram]);
    assert_eq!(first.forms, [None]);
    assert!(first.message.facts.last().unwrap().contains("The template telegram.html failed"), "{first:?}");
    let second = templates.dress(&message, &about, &[Part::Telegram]);
    assert_eq!((second.forms, second.message), (vec![None], message));
}

#[test]
fn a_reload_takes_what_is_fine_and_keeps_the_former_where_it_is_not() {
    let folder = folder(&[("headline.txt", "one {{ lost }}")]);
    let templates = Templates::read(folder.path(), "").unwrap();
    let words = words(Language::English);
    let headline = || {
        let about = About::new(words, "", crate::domain::Timestamp::EPOCH);
        templates.dress(&samples(Language::English)[0].message, &about, &[]).message.headline
    };
    assert_eq!(templates.reload(), Ok(false));
    std::fs::write(folder.path().join("headline.txt"), "two {{ lost }}").unwrap();
    assert_eq!(templates.reload(), Ok(true));
    assert_eq!(headline(), "two 0.42 BTC");
    std::fs::write(folder.path().join("headline.txt"), "{{ three }}").unwrap();
    assert!(templates.reload().is_err());
    assert_eq!(headline(), "two 0.42 BTC");
}

#[test]
fn the_example_of_the_documentation_is_fine() {
    let docs = include_str!("../../../docs/alerts.md");
    let (_, rest) = docs.split_once("```jinja\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let folder = folder(&[("telegram.html", example)]);
    Templates::read(folder.path(), "").unwrap();
}
