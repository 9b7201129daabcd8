//! `fillguard notify preview`: what people would read, for every kind of message.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use clap::{Parser, ValueEnum};

use super::{ConfigFile, FINE, MISUSE};
use crate::alert::Language;
use crate::notify::email::{self, EmailSettings, Letter};
use crate::notify::samples::{Sample, samples};
use crate::notify::telegram;
use crate::notify::webhook::{Form, Webhook, WebhookSettings};
use crate::notify::{ChannelSettings, Settings};
use crate::secret::Secret;

/// Show how messages read, with your templates where the configuration names some
///
/// The samples are invented: an attack of every kind, and what fillguard says by itself. Nothing is sent.
///
/// Exit code: 0 shown, 2 misuse or a configuration with mistakes.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Only this kind of message, such as pump or digest; all when absent
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// In this language; the configured one when absent
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// As this form
    #[arg(long, value_name = "FORM")]
    channel: Option<Shape>,
    /// Write files into this folder, all forms where none is named; a mail's text is printed when absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// A mail's text
    Mail,
    /// A mail's page, with its picture
    Page,
    /// A whole mail
    Eml,
    /// A Telegram message
    Telegram,
    /// The text that Slack, Discord, ntfy and Alertmanager get
    Webhook,
    /// The JSON that software of yours gets
    Json,
}

impl Shape {
    const ALL: [Shape; 6] = [Shape::Mail, Shape::Page, Shape::Eml, Shape::Telegram, Shape::Webhook, Shape::Json];

    /// The end of a file's name.
    const fn end(self) -> &'static str {
        match self {
            Shape::Mail => "mail.txt",
            Shape::Page => "mail.html",
            Shape::Eml => "eml",
            Shape::Telegram => "telegram.html",
            Shape::Webhook => "webhook.txt",
            Shape::Json => "json",
        }
    }
}

/// Shows; returns the exit code.
pub fn run(args: &Args, config: &ConfigFile, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let settings = if config.path.exists() {
        let Some(config) = config.check()? else { return Ok(MISUSE) };
        config.notify
    } else {
        let path = config.path.display();
        writeln!(said, "fillguard: there is no {path}; these are the built-in words, without a phrase")?;
        Settings::default()
    };
    let language = match &args.language {
        None => settings.language,
        Some(code) => match Language::ALL.into_iter().find(|language| language.code() == code) {
            Some(language) => language,
            None => {
                let known: Vec<&str> = Language::ALL.iter().map(|language| language.code()).collect();
                writeln!(said, "fillguard: there is no language {code}; there are {}", known.join(", "))?;
                return Ok(MISUSE);
            }
        },
    };
    let all = samples(language);
    let wanted: Vec<&Sample> =
        all.iter().filter(|sample| args.kind.as_ref().is_none_or(|kind| kind == sample.kind)).collect();
    if wanted.is_empty() {
        let known: Vec<&str> = all.iter().map(|sample| sample.kind).collect();
        writeln!(said, "fillguard: there is no such kind of message; there are {}", known.join(", "))?;
        return Ok(MISUSE);
    }
    let channel = ChannelSettings {
        name: "preview".to_owned(),
        phrase: settings.phrase.clone(),
        language,
        templates: settings.templates.clone(),
        ..ChannelSettings::default()
    };
    let Some(folder) = &args.out else {
        for sample in wanted {
            let text = shown(sample, args.channel.unwrap_or(Shape::Mail), &channel, false)?;
            writeln!(out, "== {} ({})\n", sample.kind, sample.message.level)?;
            out.write_all(&text)?;
            writeln!(out, "\n")?;
        }
        return Ok(FINE);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let shapes = args.channel.map_or(Shape::ALL.to_vec(), |shape| vec![shape]);
    for sample in &wanted {
        for shape in &shapes {
            let file = folder.join(format!("{}.{}.{}", sample.kind, language.code(), shape.end()));
            let text = shown(sample, *shape, &channel, true)?;
            std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
    }
    writeln!(out, "{} files in {}", wanted.len() * shapes.len(), folder.display())?;
    Ok(FINE)
}

/// Returns a sample in a form; for a file in such a way that a browser shows it as its reader would see it.
fn shown(sample: &Sample, shape: Shape, channel: &ChannelSettings, for_file: bool) -> anyhow::Result<Vec<u8>> {
    let queued = sample.queued();
    let incident = sample.incident.as_ref();
    let mail = || -> anyhow::Result<_> {
        let (from, to) = ("fillguard <fillguard@example.org>".parse()?, vec!["you@example.org".parse()?]);
        let settings = EmailSettings::new(channel.clone(), "smtp.example.org", from, to);
        let answer = queued.is_answerable().then(|| "https://guard.example.org/a/sample".to_owned());
        let letter = Letter { answer, picture: sample.picture.clone(), ..Letter::from(&queued) };
        let (message, letter) = email::dressed(&sample.message, &settings, letter, incident);
        Ok((message, settings, letter))
    };
    Ok(match shape {
        Shape::Mail => {
            let (message, settings, letter) = mail()?;
            let forms = email::forms(&message, &settings, &letter);
            format!("Subject: {}\n\n{}", forms.subject, forms.text.replace("\r\n", "\n")).into_bytes()
        }
        Shape::Page => {
            let (message, settings, letter) = mail()?;
            let page = email::forms(&message, &settings, &letter).page;
            let png = letter.picture.map(|picture| base64::engine::general_purpose::STANDARD.encode(picture.png));
            match png.filter(|_| for_file) {
                Some(png) => page.replace("cid:loss", &format!("data:image/png;base64,{png}")).into_bytes(),
                None => page.into_bytes(),
            }
        }
        Shape::Eml => {
            let (message, settings, letter) = mail()?;
            email::eml(&message, &settings, &letter)?
        }
        Shape::Telegram => {
            let text = telegram::shown(&queued, channel, incident);
            let page = format!(
                "<!DOCTYPE html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
                 <div style=\"white-space:pre-wrap;font:15px/1.4 sans-serif;max-width:26em\">{text}</div>\n"
            );
            if for_file { page.into_bytes() } else { text.into_bytes() }
        }
        Shape::Webhook | Shape::Json => {
            let form = if shape == Shape::Json { Form::Fillguard } else { Form::Discord };
            let url = Secret::new("https://example.org/hook".to_owned());
            let webhook = Webhook::new(WebhookSettings { form, ..WebhookSettings::new(channel.clone(), url) })?;
            let body = webhook.body(&queued, incident);
            match form {
                Form::Fillguard => serde_json::to_vec_pretty(&body)?,
                Form::Slack | Form::Discord | Form::Ntfy | Form::Alertmanager => {
                    body["content"].as_str().unwrap_or_default().as_bytes().to_vec()
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_every_form_in_every_language() {
        let channel = ChannelSettings { phrase: "blue elephant".into(), ..ChannelSettings::default() };
        for language in Language::ALL {
            let channel = ChannelSettings { language, ..channel.clone() };
            for sample in samples(language) {
                for shape in Shape::ALL {
                    let text = String::from_utf8(shown(&sample, shape, &channel, true).unwrap()).unwrap();
                    // A mail's parts are encoded; the rest shows the phrase as it is.
                    let whole = shape == Shape::Eml || text.contains("blue elephant");
                    // In a file the picture stands in the page itself.
                    let shown = shape != Shape::Page || !text.contains("cid:loss");
                    assert!(whole && shown, "{} {shape:?}: {text:.300}", sample.kind);
                }
            }
        }
    }
}
