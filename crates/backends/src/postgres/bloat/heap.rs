//! A sample of the pages of a table: how many live rows there are on each, and how many bytes they take.
//!
//! Pages are taken at even distances, so that clustered gaps are met in proportion. Only what the session may read and sees
//! is counted.

use super::super::session::Connected;
use super::layout::{self, POINTER, Shape};
use targets::db::{Result, Row, Sql};

/// Longest wait for a table that somebody holds, and longest work on one question.
const PATIENCE: &str =
    "select set_config('lock_timeout', '100', true), set_config('statement_timeout', '20000', true)";
/// More rows than these are not looked at one by one.
const ROWS: u64 = 20_000;

/// What a sample says of one page, on average.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Pages looked at.
    pub pages: u64,
    /// Rows on a page.
    pub rows: f64,
    /// Bytes of them on a page, with their pointers.
    pub bytes: f64,
    /// The standard error of `bytes`.
    pub error: f64,
    /// All rows have about the same length.
    pub even: bool,
    /// Bytes of large values of the rows of a page.
    pub outside: f64,
}

/// One question with our patience.
pub fn ask(session: &mut Connected, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    session.ask_after(Some(PATIENCE), sql, each).map(drop)
}

/// The pages to look at, as `p.page`.
pub fn chosen(total: u64, sampled: u64) -> String {
    format!(
        "(select (i * 2 + 1) * {total}::bigint / (2 * {sampled}::bigint) as page from generate_series(0::bigint, {sampled}::bigint - 1) as i) as p"
    )
}

/// The rows of `p.page`, over `t`.
pub fn within(version: u32) -> &'static str {
    match version {
        140_000.. => "t.ctid >= ('(' || p.page || ',0)')::tid and t.ctid < ('(' || p.page + 1 || ',0)')::tid",
        _ => {
            "t.ctid = any (array(select ('(' || p.page || ',' || o || ')')::tid from generate_series(1, 291) as o))"
        }
    }
}

/// Looks at `sampled` of the `total` pages: `size` gives the bytes of a row over `t`, `only` says which rows count.
pub fn sample(
    session: &mut Connected,
    table: &str,
    (total, sampled): (u64, u64),
    size: &str,
    only: &str,
) -> Result<Sample> {
    let within = within(session.dialect.version());
    let sql = format!(
        "select s.n::double precision, s.bytes, s.squares from {} cross join lateral (
           select count(*) as n, coalesce(sum(r.size), 0)::double precision as bytes,
                  coalesce(sum(r.size::double precision * r.size), 0) as squares
           from (select ({size}) as size from only {table} as t where {within} and {only}) as r) as s
         order by p.page",
        chosen(total, sampled)
    );
    let mut pages = Vec::new();
    ask(session, &Sql::raw(&sql), &mut |row| {
        let number = |n: usize| row[n].as_real().unwrap_or(0.0);
        pages.push((number(0), number(1), number(2)));
        Ok(())
    })?;
    Ok(sum(&pages, total))
}

/// The same, value by value: the large ones are not in the row.
pub fn sample_values(
    session: &mut Connected,
    table: &str,
    (total, sampled): (u64, u64),
    columns: &[(String, Shape)],
    (target, rows_on_page): (u64, f64),
) -> Result<Sample> {
    let sampled = sampled.min((ROWS as f64 / rows_on_page.max(1.0)) as u64).max(1);
    let within = within(session.dialect.version());
    let sizes: Vec<String> =
        columns.iter().map(|(name, _)| format!("pg_column_size(t.{})", targets::db::quote(name))).collect();
    let sql = format!(
        "select p.page, s.sizes from {} cross join lateral (
           select array_to_string(array[{}]::int[], ',', '') as sizes from only {table} as t where {within} offset 0) as s",
        chosen(total, sampled),
        sizes.join(", ")
    );
    let shapes: Vec<Shape> = columns.iter().map(|(_, shape)| *shape).collect();
    let mut pages: std::collections::BTreeMap<i64, (f64, f64, f64)> =
        (0..sampled).map(|i| (((i * 2 + 1) * total / (2 * sampled)) as i64, (0.0, 0.0, 0.0))).collect();
    let mut outside = 0.0;
    ask(session, &Sql::raw(&sql), &mut |row| {
        let text = row[1].as_text().unwrap_or_default();
        let sizes: Vec<Option<u64>> = text.split(',').map(|size| size.parse().ok()).collect();
        let (bytes, large) = layout::row(&shapes, &sizes, target);
        let bytes = bytes as f64 + POINTER;
        outside += large.iter().map(|size| layout::chunks(*size) as f64).sum::<f64>();
        let page = pages.entry(row[0].as_int().unwrap_or(0)).or_default();
        *page = (page.0 + 1.0, page.1 + bytes, page.2 + bytes * bytes);
        Ok(())
    })?;
    let found: Vec<(f64, f64, f64)> = pages.into_values().collect();
    Ok(Sample { outside: outside / sampled as f64, ..sum(&found, total) })
}

fn sum(pages: &[(f64, f64, f64)], total: u64) -> Sample {
    let n = pages.len().max(1) as f64;
    let (rows, bytes, squares) =
        pages.iter().fold((0.0, 0.0, 0.0), |sum, page| (sum.0 + page.0, sum.1 + page.1, sum.2 + page.2));
    // Neighbours in an even sample tell how much of the difference is chance; what was looked at whole has none.
    let steps: f64 = pages.windows(2).map(|two| (two[1].1 - two[0].1).powi(2)).sum();
    let chance = steps / (2.0 * (n - 1.0).max(1.0)) / n * (1.0 - n / (total as f64).max(n));
    let mean = if rows > 0.0 { bytes / rows } else { 0.0 };
    let spread = if rows > 0.0 { (squares / rows - mean * mean).max(0.0).sqrt() } else { 0.0 };
    Sample {
        pages: pages.len() as u64,
        rows: rows / n,
        bytes: bytes / n,
        error: chance.max(0.0).sqrt(),
        even: spread < mean * 0.02,
        outside: 0.0,
    }
}

/// The bytes of a row over `t` as it lies on its page, with its pointer; only where no value is kept beside it.
pub const WHOLE: &str = "(pg_column_size(t.*) + 7) / 8 * 8 + 4";
/// The same of a row of a table of large values, which has no type of its own: three columns, the last of them the chunk.
pub const CHUNK: &str = "(32 + pg_column_size(t.chunk_data) + 7) / 8 * 8 + 4";
