//! One sheet of HTML: head, style, headings, tables, figures. All text that comes in is escaped here.

use std::fmt::Write as _;

use crate::markup::safe;

const STYLE: &str = "
:root{color-scheme:light dark;--page:#fff;--ink:#1a1f24;--soft:#57606a;--line:#d3d9de;--grid:#e7ebee;--head:#f3f5f7;
--a:#0072b2;--b:#c9510c;--c:#00795a;--d:#8a5a9e;--pale:#a9c8de;--band:#fbe9df;--bad:#fff1f0}
@media screen and (prefers-color-scheme:dark){:root{--page:#14181c;--ink:#e8ecef;--soft:#a3adb5;--line:#3b444c;--grid:#262d33;
--head:#1f262c;--a:#5ab4f0;--b:#f08c4a;--c:#3cc79d;--d:#cf9be6;--pale:#2f5570;--band:#3a2a20;--bad:#3a2222}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',Arial,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:1120px;padding:28px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}h2{font-size:19px;margin:40px 0 6px;border-bottom:2px solid var(--ink);padding-bottom:3px}
h3{font-size:15px;margin:22px 0 4px}p{margin:6px 0;max-width:82ch}.soft{color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:10px;margin:16px 0}
.facts div{border:1px solid var(--line);border-radius:6px;padding:8px 12px}.facts b{display:block;font-size:20px;font-variant-numeric:tabular-nums}
.facts span{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:12.5px;margin:8px 0;font-variant-numeric:tabular-nums}
th{text-align:left;background:var(--head);border-bottom:1px solid var(--soft);padding:4px 8px;vertical-align:bottom}
td{border-bottom:1px solid var(--line);padding:3px 8px;vertical-align:top;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}
tr.mark td{font-weight:700}code,pre{font:12px/1.45 ui-monospace,'Liberation Mono',Menlo,monospace;overflow-wrap:anywhere}
pre{background:var(--head);border:1px solid var(--line);border-radius:6px;padding:10px 12px;white-space:pre-wrap}
figure{margin:16px 0 22px}figcaption{font-weight:600;margin:0 0 2px}figcaption span{display:block;font-weight:400;color:var(--soft);font-size:13px;max-width:82ch}
svg{display:block;width:100%;height:auto;max-width:860px}.many{display:grid;grid-template-columns:repeat(auto-fill,minmax(236px,1fr));gap:6px 14px}
.three{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:10px 18px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(430px,1fr));gap:8px 28px}
details{font-size:13px;margin-top:4px}summary{cursor:pointer;color:var(--soft)}
svg text{font:12px system-ui,-apple-system,'Segoe UI','Liberation Sans',Arial,sans-serif;fill:var(--ink)}svg .t{fill:var(--soft)}svg .h{font-weight:600}
.grid{stroke:var(--grid)}.axis{stroke:var(--soft)}.whisk{stroke:var(--ink);stroke-width:1.6}.goal{stroke:var(--ink);stroke-width:2;stroke-dasharray:3 2}
.band{fill:var(--band)}.pale{fill:var(--pale)}.halo{stroke:var(--page);stroke-width:3.5;paint-order:stroke;stroke-linejoin:round}
.la,.lb,.lc,.ld,.ls{fill:none;stroke-width:2}.la{stroke:var(--a)}.lb{stroke:var(--b)}.lc{stroke:var(--c)}.ld{stroke:var(--d)}.ls{stroke:var(--soft);stroke-width:1}
.lp{fill:none;stroke:var(--pale);stroke-width:1.2}.fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}.fd{fill:var(--d)}.fs{fill:var(--soft)}.fp{fill:var(--pale)}
.oa,.ob,.oc,.od,.os,.op{fill:var(--page);stroke-width:1.8}.oa{stroke:var(--a)}.ob{stroke:var(--b)}.oc{stroke:var(--c)}.od{stroke:var(--d)}.os{stroke:var(--soft)}.op{stroke:var(--pale)}
.dash{stroke-dasharray:5 4}
@media print{@page{margin:13mm}body{max-width:none;padding:0;font-size:11px}h1{font-size:20px}h2{font-size:15px;margin-top:20px;break-after:avoid}
h3,figcaption{break-after:avoid}figure,tr,.facts{break-inside:avoid}table{font-size:9px}svg{max-width:640px}
.many{grid-template-columns:repeat(4,1fr)}.three{grid-template-columns:repeat(3,1fr);gap:6px 10px}.pair{grid-template-columns:1fr 1fr;gap:6px 14px}.facts{grid-template-columns:repeat(5,1fr)}.facts b{font-size:15px}
.facts span,figcaption span{font-size:10px}
summary{display:none}.screen{display:none}}
";

/// A sheet that is being written, from the top down.
pub(super) struct Page {
    out: String,
}

/// A table: its columns, and its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    head: Vec<(String, bool)>,
    rows: Vec<(Vec<String>, bool)>,
}

/// What a figure says above and below its drawing.
pub(super) struct Caption<'a> {
    /// What is shown.
    pub title: &'a str,
    /// How it is read, and of how many it is.
    pub read: &'a str,
}

impl Table {
    /// Begins with its columns; those whose name begins with `#` hold numbers.
    pub fn new(columns: &[&str]) -> Table {
        let head = columns.iter().map(|name| (name.trim_start_matches('#').to_owned(), name.starts_with('#')));
        Table { head: head.collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push((cells, false));
    }

    /// Adds a row that stands out.
    pub fn marked(&mut self, cells: Vec<String>) {
        self.rows.push((cells, true));
    }

    fn html(&self) -> String {
        let mut out = String::from("<div class=\"wide\"><table><thead><tr>");
        let class = |number: bool| if number { " class=\"n\"" } else { "" };
        for (name, number) in &self.head {
            out.push_str(&format!("<th scope=\"col\"{}>{}</th>", class(*number), safe(name)));
        }
        out.push_str("</tr></thead><tbody>\n");
        for (cells, marked) in &self.rows {
            out.push_str(if *marked { "<tr class=\"mark\">" } else { "<tr>" });
            for (place, cell) in cells.iter().enumerate() {
                let number = self.head.get(place).is_some_and(|(_, number)| *number);
                out.push_str(&format!("<td{}>{}</td>", class(number), safe(cell)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        out
    }
}

impl Page {
    /// Begins a sheet.
    pub fn new(title: &str, under: &str) -> Page {
        let (title, under) = (safe(title), safe(under));
        let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
        out.push_str(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>",
        );
        out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
        out.push_str("<meta name=\"referrer\" content=\"no-referrer\"/>");
        out.push_str(&format!("<title>{title}</title><style>{STYLE}</style></head><body>\n"));
        out.push_str(&format!("<h1>{title}</h1>\n<p class=\"soft\">{under}</p>\n"));
        Page { out }
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) {
        self.line(format_args!("<h2>{}</h2>", safe(heading)));
    }

    /// Begins a part of a section.
    pub fn part(&mut self, heading: &str) {
        self.line(format_args!("<h3>{}</h3>", safe(heading)));
    }

    /// Writes a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.line(format_args!("<p>{}</p>", safe(text)));
    }

    /// Writes a paragraph of less weight.
    pub fn aside(&mut self, text: &str) {
        self.line(format_args!("<p class=\"soft\">{}</p>", safe(text)));
    }

    /// Writes a text as it stands in a file.
    pub fn file(&mut self, text: &str) {
        self.line(format_args!("<pre>{}</pre>", safe(text)));
    }

    /// Writes a few figures large.
    pub fn facts(&mut self, facts: &[(String, String)]) {
        self.out.push_str("<div class=\"facts\">");
        for (value, label) in facts {
            self.line(format_args!("<div><b>{}</b><span>{}</span></div>", safe(value), safe(label)));
        }
        self.out.push_str("</div>\n");
    }

    /// Writes a table.
    pub fn table(&mut self, table: &Table) {
        self.out.push_str(&table.html());
    }

    /// Writes a drawing with its caption; the figures behind it can be opened below it.
    pub fn figure(&mut self, caption: &Caption<'_>, drawing: &str, figures: Option<&Table>) {
        self.line(format_args!(
            "<figure><figcaption>{}<span>{}</span></figcaption>{drawing}",
            safe(caption.title),
            safe(caption.read)
        ));
        if let Some(table) = figures {
            self.line(format_args!(
                "<details class=\"screen\"><summary>the figures</summary>{}</details>",
                table.html()
            ));
        }
        self.out.push_str("</figure>\n");
    }

    /// Begins a row of figures that stand side by side where there is room.
    pub fn side_by_side(&mut self) {
        self.out.push_str("<div class=\"pair\">\n");
    }

    /// Ends it.
    pub fn below(&mut self) {
        self.out.push_str("</div>\n");
    }

    /// Ends the sheet.
    pub fn finish(mut self) -> String {
        self.out.push_str("</body></html>\n");
        self.out
    }

    fn line(&mut self, html: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(html);
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_in_becomes_markup() {
        let bad = "<script>\u{202e}alert('1' & \"2\")\u{0}";
        let mut page = Page::new(bad, bad);
        let mut table = Table::new(&[bad, "#n"]);
        table.row(vec![bad.to_owned(), bad.to_owned()]);
        page.section(bad);
        page.part(bad);
        page.paragraph(bad);
        page.aside(bad);
        page.file(bad);
        page.facts(&[(bad.to_owned(), bad.to_owned())]);
        page.figure(&Caption { title: bad, read: bad }, "<svg></svg>", Some(&table));
        let html = page.finish();
        assert!(!html.contains("<script>") && !html.contains('\u{202e}') && !html.contains('\u{0}'));
        assert_eq!(
            html.matches("&lt;script&gt;").count(),
            html.matches("alert(&#39;1&#39; &amp; &quot;2&quot;)").count()
        );
        assert!(html.matches("&lt;script&gt;").count() > 10);
    }
}
