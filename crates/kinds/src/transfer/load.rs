//! One range of a table on its way: read where it lies, each value by its rule, written in bulk, in one transaction with the
//! place where the next range begins.

use super::ahead::{self, Ahead};
use super::carried;
use super::carry::{Carrier, Fate, Met, Span, key, select, shown};
use super::compare::Prints;
use super::convert::{Misfit, Rule};
use super::machines::Machines;
use super::options::{Policy, Proof};
use super::task::{ASIDE, Carried, Carry, IDS, Place};
use engine::{Batch, Counts, Error, Result, Work};
use serde_json::json;
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// What some spans came to.
struct Part {
    /// How many rows were read of the first span, and the place of the last one.
    seen: u64,
    last: Row,
    /// How many rows were written.
    loaded: u64,
    bytes: u64,
    /// The sum of their hashes.
    hash: u128,
    aside: Vec<Aside>,
    ids: Vec<(String, [u8; 16])>,
    met: Met,
}

/// The shares of a batch that two sessions bring: one takes them from the front, the other from the back, until they meet.
struct Shares<'s> {
    after: Option<&'s Row>,
    /// Where a share ends and the next one begins.
    bounds: &'s [Row],
    /// How many rows the last one has at most, which ends nowhere.
    most: u64,
    /// The first one that nobody has, and the first one that is taken from the back.
    left: Mutex<(usize, usize)>,
}

impl<'s> Shares<'s> {
    fn new(after: Option<&'s Row>, bounds: &'s [Row], most: u64) -> Self {
        // the last one is for the other session, whoever is faster
        Self { after, bounds, most, left: Mutex::new((0, bounds.len())) }
    }

    fn left(&self) -> MutexGuard<'_, (usize, usize)> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a share begins, and where one before it ends.
    fn begin(&self, n: usize) -> Option<&'s Row> {
        n.checked_sub(1).map_or(self.after, |n| self.bounds.get(n))
    }

    /// A share; the last one ends nowhere, and has its number of rows.
    fn span(&self, n: usize) -> Span<'s> {
        let upto = self.bounds.get(n);
        Span { after: self.begin(n), upto, most: upto.is_none().then_some(self.most) }
    }

    fn last(&self) -> Span<'s> {
        self.span(self.bounds.len())
    }

    fn front(&self) -> Option<Span<'s>> {
        let mut left = self.left();
        (left.0 < left.1).then(|| {
            left.0 += 1;
            self.span(left.0 - 1)
        })
    }

    fn back(&self) -> Option<Span<'s>> {
        let mut left = self.left();
        (left.0 < left.1).then(|| {
            left.1 -= 1;
            self.span(left.1)
        })
    }

    /// Behind which row everything is taken from the back, once nothing is left; none where that is all of it.
    fn meeting(&self) -> Option<&'s Row> {
        self.begin(self.left().1)
    }
}

/// A table on its way.
pub struct Loading<'l> {
    /// The table.
    pub carry: &'l Carry,
    /// How closely it will be compared.
    pub proof: Proof,
    /// The programs that make values.
    pub machines: &'l Machines,
}

impl Loading<'_> {
    /// One batch. With a second session of the source it is brought by two.
    pub fn act(
        &self,
        place: &Place,
        rows: u64,
        source: &mut dyn Facts,
        other: Option<&mut Box<dyn Facts>>,
        work: &mut Work,
    ) -> Result<Batch> {
        let carry = self.carry;
        let began = work.clock().tick();
        let (part, last) = match (&place.ahead, other) {
            (None, Some(other)) if !place.bounds.is_empty() => {
                let most = last_share(rows);
                let shares = Shares::new(place.after.as_ref(), &place.bounds, most);
                let (part, (beside, last)) = work.beside(
                    |work| self.bring(&mut || shares.front(), source, work),
                    |work| {
                        ahead::begin(carry, work)?;
                        let mut first = Some(shares.last());
                        let mut next = || first.take().or_else(|| shares.back());
                        let part = self.bring(&mut next, other.as_mut(), work)?;
                        let ahead = part.ahead(place, shares.meeting(), most)?;
                        ahead::note(carry, &ahead, work)?;
                        Ok((part, ahead.last))
                    },
                )?;
                (part.with(beside), last)
            }
            (Some(ahead), _) => {
                let mut before =
                    Some(Span { after: place.after.as_ref(), upto: ahead.from.as_ref(), most: None })
                        .filter(|_| ahead.from != place.after);
                let mut part = self.bring(&mut || before.take(), source, work)?;
                part.loaded += ahead.rows;
                part.hash = part.hash.wrapping_add(ahead.hash());
                (part, ahead.last.clone())
            }
            _ => {
                let mut whole = Some(Span { after: place.after.as_ref(), upto: None, most: Some(rows) });
                let part = self.bring(&mut || whole.take(), source, work)?;
                let last = (part.seen == rows).then(|| part.last.clone());
                (part, last)
            }
        };
        remember(carry, &part.ids, work)?;
        for row in &part.aside {
            keep(carry, row, work)?;
        }
        work.tell(json!({
            "loaded": carry.table,
            "rows": part.loaded,
            "bytes": part.bytes,
            "aside": part.aside.len(),
            "misfits": misfits(carry, &part.met),
            "seconds": work.clock().tick().duration_since(began).as_secs_f64(),
        }));
        let carried = place.rows + part.loaded;
        let hash = place.hash().wrapping_add(part.hash);
        let next = match last {
            Some(last) => {
                let hash = Some(format!("{hash:032x}"));
                Some(Place { after: Some(last), rows: carried, hash, ..Place::default() }.cursor()?)
            }
            None => {
                carried::done(&carry.name, carried, hash, work)?;
                None
            }
        };
        let failed = part.aside.len() as u64;
        Ok(Batch { counts: Counts { changed: part.loaded, failed, ..Counts::default() }, next })
    }

    /// Brings the rows of some spans, all of them in one go.
    fn bring<'s>(
        &self,
        next: &mut dyn FnMut() -> Option<Span<'s>>,
        source: &mut dyn Facts,
        work: &mut Work,
    ) -> Result<Part> {
        let carry = self.carry;
        let mut carrier = Carrier::new(carry, self.machines);
        let copied: Vec<usize> = (0..carry.columns.len()).filter(|n| !carry.columns[*n].computed).collect();
        let columns: Vec<String> = copied.iter().map(|n| carry.columns[*n].target.clone()).collect();
        let all = copied.len() == carry.columns.len();
        let prints = (self.proof == Proof::Rows).then(|| Prints::of(carry));
        let (mut seen, mut bytes, mut hash) = (0, 0, 0_u128);
        let (mut last, mut aside, mut ids) = (Row::new(), Vec::new(), Vec::new());
        let loaded = work.load(&carry.name, &columns, &mut |loader| {
            let mut is_first = true;
            while let Some(span) = next() {
                source.scan(&select(carry, &span), &mut |row| {
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
                    match fate {
                        Fate::Carried => ids.extend(own_id(carry, row)),
                        Fate::Aside(n, misfit) => aside.push(Aside::of(carry, n, misfit, row)),
                        Fate::Stopped(n, misfit) => return Err(stopped(carry, n, misfit, row)),
                    }
                    if is_first {
                        seen += 1;
                        keep_place(&mut last, &row[..carry.order.len()]);
                    }
                    Ok(())
                })?;
                is_first = false;
            }
            Ok(())
        })?;
        Ok(Part { seen, last, loaded, bytes, hash, aside, ids, met: carrier.met })
    }
}

/// Whether its rows may come on two sessions at once: whatever is kept beside them is kept by one.
pub fn may_come_beside(carry: &Carry) -> bool {
    let keeps_aside = |column: &Carried| column.policies.values().any(|policy| *policy == Policy::Quarantine);
    own_ids(carry).is_none() && !carry.columns.iter().any(keeps_aside)
}

/// Into how many shares a batch of so many rows is parted, so that no session waits long for the other.
pub fn shares(rows: u64) -> u64 {
    rows.clamp(1, 16)
}

/// Of so many rows, those of one share.
pub fn share_of(rows: u64) -> u64 {
    rows / shares(rows)
}

/// Those of the last one: with it the batch has as many as it should.
fn last_share(rows: u64) -> u64 {
    rows - share_of(rows) * (shares(rows) - 1)
}

impl Part {
    /// What the others have to know of rows that came beside, of which the first span is the last of the batch.
    fn ahead(&self, place: &Place, from: Option<&Row>, most: u64) -> Result<Ahead> {
        if !self.aside.is_empty() || !self.ids.is_empty() {
            return Err(Error::system("rows that come beside others leave something to keep"));
        }
        let after = place.after.clone();
        let last = (self.seen == most).then(|| self.last.clone());
        let hash = format!("{:032x}", self.hash);
        Ok(Ahead { after, from: from.cloned(), last, rows: self.loaded, hash })
    }

    fn with(mut self, other: Self) -> Self {
        self.loaded += other.loaded;
        self.bytes += other.bytes;
        self.hash = self.hash.wrapping_add(other.hash);
        self.met.add(other.met);
        self
    }
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
        object.insert(column.source.clone(), kept_value(value));
    }
    serde_json::Value::Object(object).to_string()
}

/// A value of a row that is kept aside.
pub fn kept_value(value: &Seen) -> serde_json::Value {
    match value {
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
    }
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
