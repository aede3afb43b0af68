//! The page: sections of sentences, plots and tables as one HTML file that loads nothing.

use std::fmt::Write;

use crate::lab::report::plot::{Medium, Plot, escaped};

/// A part of a section.
pub enum Part {
    /// A sentence or more.
    Text(String),
    /// A plot, the name of its file, and what is seen in it.
    Plot {
        /// Its file's name without the ending.
        name: &'static str,
        /// It.
        plot: Plot,
        /// What is seen.
        seen: Vec<String>,
    },
    /// A table.
    Table(Table),
    /// A table that is shown when its title is touched.
    Folded(String, Table),
}

/// A table: the first column names the rows.
pub struct Table {
    /// Names of the columns.
    pub head: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    fn html(&self) -> String {
        let mut text = String::from("<div class=\"wide\"><table><thead><tr>");
        for name in &self.head {
            let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(name));
        }
        text.push_str("</tr></thead><tbody>\n");
        for row in &self.rows {
            text.push_str("<tr>");
            for (n, cell) in row.iter().enumerate() {
                let (open, close) = if n == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
                let _ = write!(text, "{open}{}{close}", escaped(cell));
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</tbody></table></div>\n");
        text
    }
}

/// A part of the page with a title.
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// What it holds.
    pub parts: Vec<Part>,
}

impl Section {
    /// The plots, with their names.
    pub fn plots(&self) -> impl Iterator<Item = (&'static str, &Plot)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Plot { name, plot, .. } => Some((*name, plot)),
            _ => None,
        })
    }

    fn html(&self) -> String {
        let mut text = format!("<section>\n<h2>{}</h2>\n", escaped(self.title));
        for part in &self.parts {
            let _ = match part {
                Part::Text(sentence) => writeln!(text, "<p>{}</p>", escaped(sentence)),
                Part::Table(table) => writeln!(text, "{}", table.html()),
                Part::Folded(title, table) => {
                    writeln!(text, "<details><summary>{}</summary>\n{}</details>", escaped(title), table.html())
                }
                Part::Plot { plot, seen, .. } => {
                    let drawn = if plot.is_empty() { String::new() } else { plot.svg(Medium::Desk) + &plot.svg(Medium::Phone) };
                    let seen: Vec<String> = seen.iter().map(|sentence| escaped(sentence)).collect();
                    writeln!(text, "<figure>\n{drawn}<figcaption>{}</figcaption>\n</figure>", seen.join(" "))
                }
            };
        }
        text.push_str("</section>\n");
        text
    }
}

const LOOKS: &str = "
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1b; --pale: #f4f4f2; --edge: #d8d8d4; --warn: #fff3d6; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e6e6e3; --pale: #212428; --edge: #3a3e44; --warn: #43360f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--edge); break-after: avoid; }
p, figcaption { max-width: 50rem; margin: .5rem 0; overflow-wrap: anywhere; }
.headline p { font-size: 1.1rem; }
.warning { background: var(--warn); padding: .5rem .8rem; border-radius: .3rem; }
figure { margin: 1.6rem 0; break-inside: avoid; }
figcaption { margin-top: .4rem; }
svg { display: block; width: 100%; height: auto; }
svg.desk { max-width: 800px; }
svg.phone { display: none; max-width: 350px; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem .22rem 0; text-align: right; border-bottom: 1px solid var(--edge); vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { font-weight: 600; vertical-align: bottom; white-space: normal; min-width: 4rem; }
tbody th { font-weight: 400; }
td:last-child, th:last-child { padding-right: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .8rem 0; padding: .8rem 1rem;
  background: var(--pale); border-radius: .4rem; break-inside: avoid; font-size: .92rem; }
dt { opacity: .75; }
dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .3rem 0; }
@media (max-width: 44rem) {
  main { padding: .8rem .9rem 3rem; }
  h1 { font-size: 1.35rem; }
  .headline p { font-size: 1rem; }
  svg.desk { display: none; }
  svg.phone { display: block; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --pale: #fff; --edge: #bbb; --warn: #fff; }
  main { max-width: none; padding: 0; }
  svg.desk { display: block; max-width: 100%; }
  svg.phone { display: none; }
  .warning, dl { border: 1px solid var(--edge); }
  .wide { overflow: visible; }
  table { font-size: 7pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  th, td { white-space: normal; }
}
";

/// The whole file.
pub fn html(title: &str, headline: &[String], warnings: &[String], facts: &[(&str, String)], sections: &[Section]) -> String {
    let title = escaped(title);
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>{LOOKS}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<div class=\"headline\">\n"
    );
    for sentence in headline {
        let _ = writeln!(text, "<p>{}</p>", escaped(sentence)); // writing to a String cannot fail
    }
    text.push_str("</div>\n");
    for warning in warnings {
        let _ = writeln!(text, "<p class=\"warning\"><strong>Mind:</strong> {}</p>", escaped(warning));
    }
    text.push_str("<dl>\n");
    for (name, fact) in facts {
        let _ = writeln!(text, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(fact));
    }
    text.push_str("</dl>\n");
    text.extend(sections.iter().map(Section::html));
    text.push_str("</main>\n</body>\n</html>\n");
    text
}
