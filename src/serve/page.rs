//! The answer page's HTML: one column, works without scripts, light and dark.

use super::take::Offer;
use crate::domain::{Level, Message};
use crate::notify::wording::{escape, host, one_line, web_link};
use crate::notify::words::Words;
use crate::store::{Answer, Verdict};

/// What a page shows.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// What just happened.
    pub notice: Option<&'a str>,
    /// What the incident says.
    pub message: Option<&'a Message>,
    /// What was answered last.
    pub answered: Option<&'a Answer>,
    /// Which answers this link may still give.
    pub offered: &'a [Verdict],
    /// What is offered about the key.
    pub take: Offer,
    /// Where they go.
    pub action: &'a str,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#eef1f3;--card:#fff;--ink:#1a1d1f;--soft:#55606a;--line:#d5dadd;--link:#0b57d0}\
@media (prefers-color-scheme:dark){:root{--page:#14171a;--card:#1e2327;--ink:#eceff1;--soft:#aeb7bd;--line:#3a4147;--link:#8ab4f8}}\
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}\
main{max-width:600px;margin:20px auto;background:var(--card);border:1px solid var(--line)}\
.bar{padding:10px 24px;color:#fff;font-size:13px;font-weight:700}.act{background:#b3261e}.alert{background:#a85b00}.notice{background:#3b5b7a}\
.in{padding:18px 24px 26px}h1{font-size:21px;line-height:1.35;margin:0 0 12px}ul{padding-left:20px;margin:0 0 16px}\
a{color:var(--link);word-break:break-all}.soft{color:var(--soft);font-size:13px}.said{border-left:4px solid #3b5b7a;padding:8px 14px;margin:0 0 16px;font-weight:700}\
button{display:block;width:100%;padding:14px;margin:0 0 10px;font:inherit;font-weight:700;border-radius:6px;border:1px solid var(--line);background:var(--card);color:var(--ink);cursor:pointer}\
button.not_mine{background:#b3261e;border-color:#b3261e;color:#fff}button:focus-visible{outline:3px solid var(--link);outline-offset:2px}";

/// Returns the page.
pub(super) fn page(shown: &Shown<'_>, phrase: &str, words: &Words) -> String {
    let level = shown.message.map_or(Level::Notice, |message| message.level);
    let mut body = String::new();
    if let Some(notice) = shown.notice {
        body.push_str(&format!("<p class=\"said\" role=\"status\">{}</p>", escape(notice)));
    }
    if let Some(message) = shown.message {
        body.push_str(&format!("<h1>{}</h1>", line(&message.headline)));
        let facts: String = message.facts.iter().map(|fact| format!("<li>{}</li>", line(fact))).collect();
        body.push_str(&format!("<ul>{facts}</ul>"));
        if let Some(answer) = shown.answered {
            body.push_str(&format!("<p><b>{}</b></p>", escape(&words.answered(answer))));
        }
        let form = |fields: &str| format!("<form method=\"post\" action=\"{}\">{fields}</form>", escape(shown.action));
        match &shown.take {
            Offer::None => {}
            Offer::Ask => body.push_str(&form(&take_button("ask", words.take[0]))),
            Offer::Confirm(code) => {
                let code = format!("<input type=\"hidden\" name=\"code\" value=\"{}\">", escape(code));
                body.push_str(&form(&(code + &take_button("yes", words.take[1]))));
            }
        }
        if !shown.offered.is_empty() {
            let buttons: String = shown.offered.iter().map(|verdict| button(*verdict, words)).collect();
            body.push_str(&form(&buttons));
        }
        body.push_str(&format!("<p><b>{}:</b> {}</p>", words.what_now, line(&message.next_step)));
        if let Some(link) = web_link(&message.link) {
            let (link, host) = (escape(link), escape(host(link)));
            body.push_str(&format!("<p><a href=\"{link}\" rel=\"noreferrer\">{} {host}</a></p>", words.open));
        }
        if !message.otherwise.is_empty() {
            body.push_str(&format!("<p><b>{}:</b> {}</p>", words.otherwise, line(&message.otherwise)));
        }
    }
    let mut foot = Vec::new();
    if !phrase.is_empty() && shown.message.is_some() {
        foot.push(format!("{}: <b>{}</b>", words.phrase, line(phrase)));
    }
    if let Some(message) = shown.message {
        foot.push(format!("{} {}", words.incident, line(message.incident.as_str())));
    }
    foot.push(words.never_asks.to_owned());
    let (class, word, code) = (level.as_str(), words.level(level), words.language.code());
    format!(
        "<!DOCTYPE html>\n<html lang=\"{code}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>fillguard</title>\
         <style>{STYLE}</style></head><body><main><div class=\"bar {class}\">{word} &middot; fillguard</div>\
         <div class=\"in\">{body}<p class=\"soft\">{}</p></div></main></body></html>\n",
        foot.join("<br>")
    )
}

fn button(verdict: Verdict, words: &Words) -> String {
    let label = match verdict {
        Verdict::Mine => words.answers[0],
        Verdict::NotMine => words.answers[1],
        Verdict::Later => words.answers[2],
        Verdict::Seen => words.seen,
    };
    let word = verdict.as_str();
    format!("<button class=\"{word}\" name=\"verdict\" value=\"{word}\">{}</button>", escape(label))
}

fn take_button(value: &str, label: &str) -> String {
    format!("<button class=\"not_mine\" name=\"take\" value=\"{value}\">{}</button>", escape(label))
}

fn line(text: &str) -> String {
    escape(&one_line(text, 1_000))
}
