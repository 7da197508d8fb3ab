//! One range of a table on its way: read where it lies, each value by its rule, written in bulk, in one transaction with the
//! place where the next range begins.

use super::carried;
use super::carry::{Carrier, Fate, Met, key, select, shown};
use super::compare::Prints;
use super::convert::{Misfit, Rule};
use super::machines::Machines;
use super::options::Proof;
use super::task::{ASIDE, Carry, IDS, Place};
use engine::{Batch, Counts, Error, Result, Work};
use serde_json::json;
use targets::db::{Cell, Facts, Row, Seen, Sql, Value};

/// A row that is kept aside.
pub struct Aside {
    key: String,
    column: String,
    reason: String,
    row: String,
}

impl Aside {
    /// This row, because of that column.
    pub fn of(carry: &Carry, n: usize, misfit: Misfit, row: &[Seen]) -> Self {
        Self {
            key: key(carry, row),
            column: carry.columns[n].source.clone(),
            reason: misfit.to_string(),
            row: whole(carry, row),
        }
    }
}

/// A row that may not be carried, as the error that ends the transfer.
pub fn stopped(carry: &Carry, n: usize, misfit: Misfit, row: &[Seen]) -> Error {
    let column = &carry.columns[n];
    Error::data(format!(
        "{} in `{}.{}` ({}) {misfit} `{}`",
        shown(&row[carry.order.len() + n]),
        carry.table,
        column.source,
        key(carry, row),
        column.spelled
    ))
    .help(format!("say what happens to such values: `dirty = {{ {} = \"quarantine\" }}`", misfit.name()))
}

/// The id of a row and the uuid that it became, where the ids of the table become uuids.
pub fn own_id(carry: &Carry, row: &[Seen]) -> Option<(String, [u8; 16])> {
    let (n, table) = own_ids(carry)?;
    let old = match row[carry.order.len() + n] {
        Seen::Text(text) => text.to_owned(),
        other => other.to_value().to_string(),
    };
    let uuid = super::ids::uuid(table, &old);
    Some((old, uuid))
}

/// One batch.
pub fn act(
    carry: &Carry,
    proof: Proof,
    machines: &Machines,
    place: &Place,
    rows: u64,
    source: &mut dyn Facts,
    work: &mut Work,
) -> Result<Batch> {
    let mut carrier = Carrier::new(carry, machines);
    let copied: Vec<usize> = (0..carry.columns.len()).filter(|n| !carry.columns[*n].computed).collect();
    let columns: Vec<String> = copied.iter().map(|n| carry.columns[*n].target.clone()).collect();
    let all = copied.len() == carry.columns.len();
    let sql = select(carry, place.after.as_ref(), Some(rows));
    let (mut seen, mut bytes) = (0, 0);
    let mut last: Row = Vec::new();
    let mut aside = Vec::new();
    let began = work.clock().tick();
    let prints = (proof == Proof::Rows).then(|| Prints::of(carry));
    let mut hash = place.hash();
    let mut ids: Vec<(String, [u8; 16])> = Vec::new();
    let loaded = work.load(&carry.name, &columns, &mut |loader| {
        source.scan(&sql, &mut |row| {
            seen += 1;
            let fate = carrier.row(row, &mut |cells| {
                bytes += cells.iter().map(size).sum::<u64>();
                if let Some(prints) = &prints {
                    hash = hash.wrapping_add(prints.sent(cells));
                }
                if all {
                    return loader.row(cells);
                }
                // the cells live no longer than this row
                let mut kept: Vec<Cell> = Vec::with_capacity(copied.len());
                kept.extend(copied.iter().map(|n| cells[*n]));
                loader.row(&kept)
            })?;
            let order = &row[..carry.order.len()];
            match fate {
                Fate::Carried => ids.extend(own_id(carry, row)),
                Fate::Aside(n, misfit) => aside.push(Aside::of(carry, n, misfit, row)),
                Fate::Stopped(n, misfit) => return Err(stopped(carry, n, misfit, row)),
            }
            keep_place(&mut last, order);
            Ok(())
        })?;
        Ok(())
    })?;
    remember(carry, &ids, work)?;
    for row in &aside {
        keep(carry, row, work)?;
    }
    work.tell(json!({
        "loaded": carry.table,
        "rows": loaded,
        "bytes": bytes,
        "aside": aside.len(),
        "misfits": misfits(carry, &carrier.met),
        "seconds": work.clock().tick().duration_since(began).as_secs_f64(),
    }));
    let carried = place.rows + loaded;
    let next = match seen == rows {
        true => {
            let hash = Some(format!("{hash:032x}"));
            Some(Place { after: Some(last), rows: carried, hash, ..Place::default() }.cursor()?)
        }
        false => {
            carried::done(&carry.name, carried, hash, work)?;
            None
        }
    };
    Ok(Batch { counts: Counts { changed: loaded, failed: aside.len() as u64, ..Counts::default() }, next })
}

/// Keeps the place of a row, in the memory of the one before.
fn keep_place(last: &mut Row, order: &[Seen]) {
    last.resize(order.len(), Value::Null);
    for (kept, value) in last.iter_mut().zip(order) {
        match (kept, value) {
            (Value::Text(kept), Seen::Text(text)) => {
                kept.clear();
                kept.push_str(text);
            }
            (kept, value) => *kept = value.to_value(),
        }
    }
}

fn size(cell: &Cell) -> u64 {
    match cell {
        Cell::Null => 0,
        Cell::Bool(_) => 1,
        Cell::Text(text) => text.len() as u64,
        Cell::Bytes(bytes) => bytes.len() as u64,
        Cell::Uuid(_) => 16,
        Cell::Day(_) => 4,
        Cell::Int(_) | Cell::Real(_) | Cell::Moment(_) => 8,
    }
}

/// What was met, for the report.
pub fn misfits(carry: &Carry, met: &Met) -> Vec<serde_json::Value> {
    met.0
        .iter()
        .map(|((n, misfit), tale)| {
            let column = &carry.columns[*n];
            json!({
                "column": column.source,
                "misfit": misfit.name(),
                "policy": column.policies.get(misfit).copied().unwrap_or_default(),
                "count": tale.count,
                "samples": tale.samples.iter().map(|(row, value)| json!({"row": row, "value": value})).collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// A row as JSON, so that nothing of it is lost: what is no text of UTF-8 is in hexadecimal digits.
fn whole(carry: &Carry, row: &[Seen]) -> String {
    let mut object = serde_json::Map::new();
    for (column, value) in carry.columns.iter().zip(&row[carry.order.len()..]) {
        let value = match value {
            Seen::Null => serde_json::Value::Null,
            Seen::Int(number) => json!(number),
            Seen::Real(number) if number.is_finite() => json!(number),
            Seen::Real(number) => json!(number.to_string()),
            // the table that keeps it cannot hold the character
            Seen::Text(text) if !text.contains('\0') => json!(text),
            Seen::Text(text) => json!({ "text": hex(text.as_bytes()) }),
            Seen::BrokenText(bytes) => json!({ "text": hex(bytes) }),
            Seen::Blob(bytes) => json!({ "blob": hex(bytes) }),
            other => json!(other.to_value().to_string()),
        };
        object.insert(column.source.clone(), value);
    }
    serde_json::Value::Object(object).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps a row aside.
pub fn keep(carry: &Carry, row: &Aside, work: &mut Work) -> Result<()> {
    let table = work.dialect().own(ASIDE);
    let create = Sql::new("create table if not exists ").table(&table).text(
        " (run text not null, source text not null, source_table text not null, source_key text not null, \
         source_column text not null, reason text not null, row_data text not null)",
    );
    work.record(&create)?;
    let insert = Sql::new("insert into ")
        .table(&table)
        .text(" values (")
        .bind(work.point())
        .text(", ")
        .bind(carry.database.as_str())
        .text(", ")
        .bind(carry.table.as_str())
        .text(", ")
        .bind(row.key.replace('\0', "\u{fffd}"))
        .text(", ")
        .bind(row.column.as_str())
        .text(", ")
        .bind(row.reason.as_str())
        .text(", ")
        .bind(row.row.as_str())
        .text(")");
    work.record(&insert).map(drop)
}

/// The column whose ids become uuids, where they are those of the table itself.
fn own_ids(carry: &Carry) -> Option<(usize, &str)> {
    carry.columns.iter().enumerate().find_map(|(n, column)| match &column.rule {
        Rule::Id(table) if carry.key.contains(&n) && table.eq_ignore_ascii_case(&carry.table) => {
            Some((n, table.as_str()))
        }
        _ => None,
    })
}

/// Keeps which id became which.
pub fn remember(carry: &Carry, ids: &[(String, [u8; 16])], work: &mut Work) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let table = ids_table(work)?;
    let point = work.point().to_owned();
    let columns = ["run", "source_table", "old_id", "new_id"].map(str::to_owned);
    work.load(&table, &columns, &mut |loader| {
        for (old, new) in ids {
            loader.row(&[Cell::Text(&point), Cell::Text(&carry.table), Cell::Text(old), Cell::Uuid(*new)])?;
        }
        Ok(())
    })
    .map(drop)
}

fn ids_table(work: &mut Work) -> Result<targets::db::TableName> {
    let table = work.dialect().own(IDS);
    let create = Sql::new("create table if not exists ")
        .table(&table)
        .text(" (run text not null, source_table text not null, old_id text not null, new_id uuid not null)");
    work.record(&create)?;
    Ok(table)
}

/// The same for rows of which some may have been there before.
pub fn remember_new(carry: &Carry, ids: &[(String, [u8; 16])], work: &mut Work) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let table = ids_table(work)?;
    work.statement(&format!(
        "create index if not exists ids_by_old on {} (source_table, old_id)",
        table.quoted()
    ))?;
    for (old, _) in ids {
        let known = Sql::new("delete from ")
            .table(&table)
            .text(" where run = ")
            .bind(work.point())
            .text(" and source_table = ")
            .bind(carry.table.as_str())
            .text(" and old_id = ")
            .bind(old.as_str());
        work.record_later(known)?;
    }
    remember(carry, ids, work)
}
