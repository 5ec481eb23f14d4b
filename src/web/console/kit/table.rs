//! Tables: filtered, sorted, paged and exported alike everywhere, by what stands in the address.

use std::cmp::Reverse;
use std::ops::Range;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json};

pub use super::cell::Cell;

use super::address::{ENTRY, address};
use super::session::Session;
use crate::base::{Error, Result};
use crate::domain::auth::scopes::RequiredScope;

pub const PAGE_LEN: usize = 50;
/// Rows that are filtered and sorted in a millisecond at most.
const ROWS_AT_ONCE_MAX: usize = 500;
/// Words of a filter that are looked at.
const WORDS_MAX: usize = 10;

/// What a table shows of rows `R`.
pub struct Table<R: 'static> {
    /// Its name in addresses and file names.
    pub name: &'static str,
    pub caption: &'static str,
    /// Its columns; the first one names the row.
    pub columns: &'static [Column<R>],
    /// The column it is sorted by at first, with a minus before it for downwards.
    pub sort: &'static str,
    /// What can be done to some rows at once.
    pub select: Option<Select<R>>,
    /// What to do next when there is nothing to list, and the command for it, if there is one.
    pub empty: (&'static str, &'static str),
}

/// The name of columns with what can be done to a row: nobody filters or sorts by them, and no file has them.
pub const ACT: &str = "";

pub struct Column<R> {
    /// Its name in addresses, filters and exports: [`ACT`] for one that is in none of them.
    pub name: &'static str,
    pub title: &'static str,
    /// What a row has in it.
    pub cell: fn(&R) -> Cell,
}

/// Boxes before the rows, and what can be done to those that are ticked. Each action is a page that shows a plan.
pub struct Select<R> {
    /// What the page gets for each row, as `name`.
    pub key: fn(&R) -> String,
    /// The actions: label, path, and the scope without which one is not shown.
    pub actions: &'static [(&'static str, &'static str, RequiredScope)],
}

/// What a page does with its table.
#[expect(clippy::large_enum_variant, reason = "one for a page, and taken apart at once")]
pub enum TableAnswer {
    View(View),
    /// It is a file instead.
    Export(Response),
}

/// Rows of a table of which some must be completed before they are shown.
pub struct Picked<R: 'static> {
    table: &'static Table<R>,
    rows: Vec<R>,
    total: usize,
    lacking: Range<usize>,
    is_chosen: bool,
}

impl<R: Send + 'static> Picked<R> {
    /// Those that must be completed.
    pub fn lacking(&mut self) -> &mut [R] {
        &mut self.rows[self.lacking.clone()]
    }

    /// The rows that the address asks for.
    pub async fn show(self, session: &Session) -> Result<TableAnswer> {
        let Self { table, rows, total, is_chosen, .. } = self;
        let session = session.clone();
        off_workers(rows.len(), move || {
            let rows = if is_chosen { rows } else { table.chosen(&session, rows) };
            table.answer(&session, &rows, total)
        })
        .await
    }
}

/// Does what takes long with many rows where it keeps nobody waiting: the workers answer everybody.
async fn off_workers<T: Send + 'static>(rows: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if rows <= ROWS_AT_ONCE_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("making a table", e))
}

/// A table as its page shows it.
#[derive(Template)]
#[template(path = "parts/table.html")]
pub struct View {
    root: String,
    name: &'static str,
    caption: &'static str,
    filter: String,
    /// Parameters of the address that are not the table's, and those that a new filter keeps.
    kept: Vec<(String, String)>,
    unfiltered: String,
    heads: Vec<Head>,
    rows: Vec<Row>,
    actions: Vec<(&'static str, &'static str)>,
    total: usize,
    found: usize,
    first: usize,
    last: usize,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
    json: String,
    empty: (&'static str, &'static str),
}

impl HtmlSafe for View {}

struct Head {
    title: &'static str,
    class: &'static str,
    /// Where the list is sorted by it; empty for one that nobody sorts by.
    address: String,
    /// `ascending`, `descending` or `none`.
    sorted: &'static str,
}

struct Row {
    key: String,
    cells: Vec<Drawn>,
}

struct Drawn {
    title: &'static str,
    class: &'static str,
    link: Option<String>,
    html: Html,
}

/// HTML that a cell wrote itself.
struct Html(String);

impl HtmlSafe for Html {}

impl std::fmt::Display for Html {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<R: Send + 'static> Table<R> {
    /// The rows that the address asks for, to be looked at or as a file.
    pub async fn show(&'static self, session: &Session, rows: Vec<R>) -> Result<TableAnswer> {
        let (total, lacking) = (rows.len(), 0..0);
        Picked { table: self, rows, total, lacking, is_chosen: false }.show(session).await
    }

    /// The same of rows that are completed late, because the columns `late` cost a look for each: those on the page, or all
    /// of them where the filter, the sort or an export is about such a column. So a page reads no more than it shows.
    pub async fn pick(&'static self, session: &Session, rows: Vec<R>, late: &[&str]) -> Result<Picked<R>> {
        let total = rows.len();
        if self.needs_all(session, late) {
            return Ok(Picked { table: self, lacking: 0..total, rows, total, is_chosen: false });
        }
        let asked = session.clone();
        let rows = off_workers(total, move || self.chosen(&asked, rows)).await?;
        let (first, _) = page(session, rows.len());
        let lacking = first..(first + PAGE_LEN).min(rows.len());
        Ok(Picked { table: self, lacking, rows, total, is_chosen: true })
    }

    /// Whether such columns count for all rows.
    pub fn needs_all(&self, session: &Session, late: &[&str]) -> bool {
        let is_early = |name: &str| !late.contains(&name) && self.columns.iter().any(|column| column.name == name);
        let mut words = words(session.query("q").unwrap_or_default());
        session.query("export").is_some()
            || late.contains(&self.order(session).0)
            || words.any(|word| !word.split_once(':').is_some_and(|(name, _)| is_early(name)))
    }

    /// The columns with something to know.
    fn named(&self) -> impl Iterator<Item = &Column<R>> {
        self.columns.iter().filter(|column| column.name != ACT)
    }

    /// The column to sort by, and whether downwards.
    fn order<'s>(&'s self, session: &'s Session) -> (&'s str, bool) {
        let sort = session.query("sort").unwrap_or(self.sort);
        sort.strip_prefix('-').map_or((sort, false), |sort| (sort, true))
    }

    /// The rows that fit, in order.
    fn chosen(&self, session: &Session, rows: Vec<R>) -> Vec<R> {
        let mut rows = self.filtered(rows, session.query("q").unwrap_or_default());
        let (sort, is_down) = self.order(session);
        if let Some(column) = self.named().find(|column| column.name == sort) {
            if is_down {
                rows.sort_by_cached_key(|row| Reverse((column.cell)(row).order()))
            } else {
                rows.sort_by_cached_key(|row| (column.cell)(row).order())
            }
        }
        rows
    }

    fn answer(&self, session: &Session, rows: &[R], total: usize) -> TableAnswer {
        match session.query("export") {
            Some("csv") => TableAnswer::Export(self.file("csv", "text/csv; charset=utf-8", self.csv(rows))),
            Some("json") => TableAnswer::Export(self.file("json", "application/json", self.json(rows))),
            _ => TableAnswer::View(self.view(session, rows, total)),
        }
    }

    /// The rows that have all words of a filter. `column:word` looks into one column.
    fn filtered(&self, mut rows: Vec<R>, filter: &str) -> Vec<R> {
        let words: Vec<String> = words(filter).collect();
        if words.is_empty() {
            return rows;
        }
        // Which columns a word is about: one by its name, or all.
        let words: Vec<(Option<&str>, &str)> = words
            .iter()
            .map(|word| match word.split_once(':') {
                Some((name, word)) if self.named().any(|column| column.name == name) => (Some(name), word),
                _ => (None, word.as_str()),
            })
            .collect();
        rows.retain(|row| {
            let has = |(limit, word): &(Option<&str>, &str)| {
                let mut looked = self.named().filter(|column| limit.is_none_or(|name| column.name == name));
                looked.any(|column| (column.cell)(row).has(word))
            };
            words.iter().all(has)
        });
        rows
    }

    fn view(&self, session: &Session, rows: &[R], total: usize) -> View {
        let (sort, is_down) = self.order(session);
        let (first, pages) = page(session, rows.len());
        let page = first / PAGE_LEN + 1;
        let shown: Vec<&R> = rows.iter().skip(first).take(PAGE_LEN).collect();
        let head = |column: &Column<R>| {
            let class = shown.first().map(|row| (column.cell)(row).class()).unwrap_or_default();
            let is_sorted = column.name == sort && column.name != ACT;
            let next = if is_sorted && !is_down { format!("-{}", column.name) } else { column.name.to_owned() };
            let sorted = match (is_sorted, is_down) {
                (false, _) => "none",
                (true, false) => "ascending",
                (true, true) => "descending",
            };
            let address = || full(session, &[("sort", &next), ("page", "")]);
            let address = if column.name == ACT { String::new() } else { address() };
            Head { title: column.title, class, address, sorted }
        };
        let select = self.select.as_ref();
        let actions = select.map(|select| select.actions).unwrap_or_default();
        let actions: Vec<_> =
            actions.iter().filter(|(_, _, scope)| session.may(scope)).map(|(label, path, _)| (*label, *path)).collect();
        let key = |row: &R| select.filter(|_| !actions.is_empty()).map(|s| (s.key)(row)).unwrap_or_default();
        let kept = |name: &str| !["q", "page", "export", ENTRY].contains(&name);
        View {
            root: session.root.clone(),
            name: self.name,
            caption: self.caption,
            filter: session.query("q").unwrap_or_default().to_owned(),
            kept: session.queries().iter().filter(|(name, _)| kept(name)).cloned().collect(),
            unfiltered: full(session, &[("q", ""), ("page", "")]),
            heads: self.columns.iter().map(head).collect(),
            rows: shown.iter().map(|row| Row { key: key(row), cells: self.drawn(session, row) }).collect(),
            actions,
            total,
            found: rows.len(),
            first: (first + 1).min(rows.len()),
            last: (first + PAGE_LEN).min(rows.len()),
            previous: (page > 1).then(|| full(session, &[("page", &(page - 1).to_string())])),
            next: (page < pages).then(|| full(session, &[("page", &(page + 1).to_string())])),
            csv: full(session, &[("export", "csv"), ("page", "")]),
            json: full(session, &[("export", "json"), ("page", "")]),
            empty: self.empty,
        }
    }

    fn drawn(&self, session: &Session, row: &R) -> Vec<Drawn> {
        let draw = |column: &Column<R>| {
            let cell = (column.cell)(row);
            Drawn {
                title: column.title,
                class: cell.class(),
                link: cell.link().map(|path| format!("{}{path}", session.root)),
                html: Html(cell.html(session.now)),
            }
        };
        self.columns.iter().map(draw).collect()
    }

    fn csv(&self, rows: &[R]) -> String {
        let line = |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n";
        let cells = |row: &R| self.named().map(|column| (column.cell)(row).harmless()).collect();
        let head = line(self.named().map(|column| column.name.to_owned()).collect());
        rows.iter().fold(head, |text, row| text + &line(cells(row)))
    }

    fn json(&self, rows: &[R]) -> String {
        let object = |row: &R| -> Map<String, Json> {
            self.named().map(|column| (column.name.to_owned(), (column.cell)(row).json())).collect()
        };
        let rows: Vec<_> = rows.iter().map(object).collect();
        serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
    }

    fn file(&self, end: &str, kind: &'static str, text: String) -> Response {
        let name = format!("attachment; filename=\"keylender-{}.{end}\"", self.name);
        ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response()
    }
}

/// The words of a filter.
fn words(filter: &str) -> impl Iterator<Item = String> {
    filter.split_whitespace().take(WORDS_MAX).map(str::to_lowercase)
}

/// The first row of the page that the address asks for, and how many pages there are.
fn page(session: &Session, rows: usize) -> (usize, usize) {
    let pages = rows.div_ceil(PAGE_LEN).max(1);
    let page = session.query("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, pages);
    ((page - 1) * PAGE_LEN, pages)
}

fn full(session: &Session, changes: &[(&str, &str)]) -> String {
    format!("{}{}", session.root, address(session, changes))
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
