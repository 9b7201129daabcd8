//! The HTML form of a mail: tables and inline styles, which every mail program shows; nothing is loaded from anywhere.

use super::super::wording::{escape, host, one_line, web_link};
use super::super::words::Words;
use super::Letter;
use crate::domain::{Level, Message};

/// The styles inline are the light ones. Programs that know dark mode read this block and override them.
const STYLE: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){
.page{background:#14171a!important}
.card{background:#1e2327!important;border-color:#3a4147!important}
.ink{color:#eceff1!important}
.soft{color:#aeb7bd!important}
.line{border-color:#3a4147!important}
.link{color:#8ab4f8!important}
}
@media (max-width:480px){.pad{padding-left:16px!important;padding-right:16px!important}}";

/// The name under which the page finds its picture inside the mail.
pub(super) const PICTURE: &str = "loss";

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

/// Returns the page.
pub(super) fn page(message: &Message, phrase: &str, letter: &Letter, words: &Words) -> String {
    let word = words.level(message.level);
    let colour = match message.level {
        Level::Notice => "#3b5b7a",
        Level::Alert => "#a85b00",
        Level::Act => "#b3261e",
    };
    let headline = shown(&message.headline, 1_000);
    let mut rows = String::new();
    let pad = "padding:0 28px";
    row(
        &mut rows,
        &format!(
            "<td class=\"pad\" style=\"background:{colour};padding:10px 28px;{FONT};font-size:13px;font-weight:700;letter-spacing:.04em;color:#ffffff\">{word} &middot; fillguard</td>"
        ),
    );
    row(
        &mut rows,
        &format!(
            "<td class=\"pad ink\" style=\"{pad};padding-top:22px;{FONT};font-size:21px;line-height:1.35;font-weight:700;color:#1a1d1f\">{headline}</td>"
        ),
    );
    if !message.facts.is_empty() {
        let items: String = message
            .facts
            .iter()
            .map(|fact| format!("<li style=\"margin:0 0 6px 0\">{}</li>", shown(fact, 1_000)))
            .collect();
        row(
            &mut rows,
            &format!(
                "<td class=\"pad ink\" style=\"{pad};padding-top:14px;{FONT};font-size:15px;line-height:1.5;color:#1a1d1f\"><ul style=\"margin:0;padding:0 0 0 20px\">{items}</ul></td>"
            ),
        );
    }
    if let Some(picture) = &letter.picture {
        let caption = shown(&picture.caption(words), 200);
        row(
            &mut rows,
            &format!(
                "<td class=\"pad soft\" style=\"{pad};padding-top:14px;{FONT};font-size:13px;color:#55606a\">\
                 <img src=\"cid:{PICTURE}\" alt=\"{caption}\" width=\"544\" style=\"width:100%;max-width:544px;height:auto;display:block\">\
                 {caption}</td>"
            ),
        );
    }
    row(&mut rows, &step(message, letter, words, colour, pad));
    if !message.otherwise.is_empty() {
        row(
            &mut rows,
            &format!(
                "<td class=\"pad ink\" style=\"{pad};padding-top:16px;{FONT};font-size:15px;line-height:1.5;color:#1a1d1f\"><b>{}:</b> {}</td>",
                words.otherwise,
                shown(&message.otherwise, 1_000)
            ),
        );
    }
    if !message.table.is_empty() {
        row(&mut rows, &format!("<td class=\"pad\" style=\"{pad};padding-top:20px\">{}</td>", table(message)));
    }
    row(&mut rows, &foot(message, phrase, letter, words, pad));
    let code = words.language.code();
    format!(
        "<!DOCTYPE html>\r\n<html lang=\"{code}\"><head><meta charset=\"utf-8\">\r\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\r\n\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"supported-color-schemes\" content=\"light dark\">\r\n\
         <title>{headline}</title>\r\n<style>{STYLE}</style></head>\r\n\
         <body class=\"page\" style=\"margin:0;padding:0;background:#eef1f3\">\r\n\
         <table role=\"presentation\" class=\"page\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"background:#eef1f3\"><tr><td align=\"center\" style=\"padding:20px 8px\">\r\n\
         <table role=\"presentation\" class=\"card\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"max-width:600px;background:#ffffff;border:1px solid #d5dadd\">\r\n\
         {rows}</table>\r\n</td></tr></table></body></html>\r\n"
    )
}

fn row(rows: &mut String, cell: &str) {
    rows.push_str("<tr>");
    rows.push_str(cell);
    rows.push_str("</tr>\r\n");
}

/// The one next step, and where to take it. The address stands beneath in full, so that people see where they go.
fn step(message: &Message, letter: &Letter, words: &Words, colour: &str, pad: &str) -> String {
    let what = shown(&message.next_step, 1_000);
    let style = format!("{pad};padding-top:18px;{FONT};font-size:16px;line-height:1.5;color:#1a1d1f");
    let sentence = format!("<div class=\"ink\" style=\"font-weight:700\">{what}</div>");
    let answer = letter.answer.as_deref().map(|link| {
        let link = escape(link);
        format!("<div style=\"padding-top:16px\"><a class=\"link\" href=\"{link}\" style=\"color:#0b57d0;font-weight:700\">{}</a></div>", words.answer)
    });
    let (answer, open) = (answer.unwrap_or_default(), words.open);
    match web_link(&message.link) {
        Some(link) => {
            let (link, host) = (escape(link), escape(host(link)));
            format!(
                "<td class=\"pad ink\" style=\"{style}\">{sentence}\
                 <table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"margin:12px 0 8px 0\"><tr>\
                 <td bgcolor=\"{colour}\" style=\"background:{colour};border-radius:6px\">\
                 <a href=\"{link}\" style=\"display:inline-block;padding:13px 22px;{FONT};font-size:16px;font-weight:700;color:#ffffff;text-decoration:none\">{open} {host}</a>\
                 </td></tr></table>\
                 <div style=\"font-size:13px;word-break:break-all\"><a class=\"link\" href=\"{link}\" style=\"color:#0b57d0\">{link}</a></div>{answer}</td>"
            )
        }
        None => format!("<td class=\"pad ink\" style=\"{style}\">{sentence}{}{answer}</td>", shown(&message.link, 300)),
    }
}

fn table(message: &Message) -> String {
    let cell =
        format!("padding:7px 0;border-top:1px solid #d5dadd;{FONT};font-size:14px;line-height:1.4;vertical-align:top");
    let rows: String = message
        .table
        .iter()
        .map(|(label, value)| {
            format!(
                "<tr><td class=\"soft line\" width=\"32%\" style=\"{cell};padding-right:12px;color:#55606a\">{}</td>\
                 <td class=\"ink line\" style=\"{cell};color:#1a1d1f;word-break:break-word\">{}</td></tr>\r\n",
                shown(label, 60),
                shown(value, 500)
            )
        })
        .collect();
    format!("<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">{rows}</table>")
}

fn foot(message: &Message, phrase: &str, letter: &Letter, words: &Words, pad: &str) -> String {
    let mut lines = Vec::new();
    if letter.repeat {
        lines.push(words.repeat.to_owned());
    }
    if !phrase.is_empty() {
        lines.push(format!("{}: <b>{}</b>", words.phrase, escape(phrase)));
    }
    lines.push(format!("{} {}, {}", words.incident, shown(message.incident.as_str(), 120), letter.at));
    lines.push(words.never_asks.to_owned());
    format!(
        "<td class=\"pad soft\" style=\"{pad};padding-top:22px;padding-bottom:24px;{FONT};font-size:13px;line-height:1.6;color:#55606a\">{}</td>",
        lines.join("<br>")
    )
}

fn shown(text: &str, most: usize) -> String {
    escape(&one_line(text, most))
}
