//! How SQLite spells the contract.
//!
//! An undo table has a column `sexton_row INTEGER PRIMARY KEY` for its own order, then columns without a type, so
//! that every value keeps its storage class. A batch evaluates its condition once: the rows to delete are those that
//! were remembered just now (`changes()`), so a condition that gives other rows when asked again cannot part the two.
//! Measured on 1 000 000 rows with three more indexes, 287 000 of them doomed, in one window: 1.6 s, and 1.6 s for the
//! same condition twice; in windows of 50 000 rows 3.1 s both. Without `not indexed`, the condition twice takes 4.7 s, because
//! the deletion follows the index. `order by … desc limit changes()` instead of the subtraction takes 2.2 s.

use super::place::{self, Place};
use super::{age, references, walk};
use std::time::Duration;
use targets::db::{
    AT, Age, BATCH, Chore, Column, Cutoff, Dialect, EpochUnit, Family, ForeignKey, Generated, JsonPath,
    Range, Result, Row, Spelled, Sql, Table, TableKind, TableName, Take, UndoTable, Value, after, quote,
};

/// The column of an undo table that numbers its rows.
const ROW: &str = "sexton_row";

/// SQLite's spelling.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn placeholder(&self, n: usize) -> String {
        format!("?{n}")
    }

    fn own(&self, name: &str) -> TableName {
        TableName::bare(&format!("sexton_{name}"))
    }

    fn prepare_own(&self) -> Option<Sql> {
        None
    }

    fn remove_own(&self) -> Option<Sql> {
        None
    }

    fn exists(&self, table: &TableName) -> Sql {
        Sql::new("select exists (select 1 from sqlite_schema where type = 'table' and name = ")
            .bind(table.name.as_str())
            .text(" collate nocase)")
    }

    fn makes_index(&self, index: &TableName) -> Sql {
        Sql::new("select sql from sqlite_schema where type = 'index' and sql is not null and name = ")
            .bind(index.name.as_str())
            .text(" collate nocase")
    }

    fn columns(&self, table: &TableName) -> Sql {
        Sql::new(
            "select null, s.name, c.name from sqlite_schema as s, pragma_table_xinfo(s.name) as c
             where s.type = 'table' and s.name = ",
        )
        .bind(table.name.as_str())
        .text(" collate nocase order by c.cid")
    }

    fn spell(&self, chore: &Chore) -> Spelled {
        super::chores::spell(chore)
    }

    fn clock_us(&self) -> Sql {
        Sql::new("cast(round(unixepoch('now', 'subsec') * 1000) as integer) * 1000")
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    fn broken_references(&self) -> Option<Sql> {
        Some(Sql::new("select \"table\", rowid, parent from pragma_foreign_key_check"))
    }

    // One writer exists: a batch keeps all others out. A page of an index that two batches change is written twice, and
    // scattered rows change most pages of an index: measured on 5 000 000 rows with three indexes, a fifth of them
    // doomed, short batches cost three times what long ones do. A long one gives way to whoever comes.
    fn batch_time(&self, alone: bool) -> Duration {
        Duration::from_millis(if alone { 8_000 } else { 50 })
    }

    // a connection that has waited for one batch asks for the lock about every 25 ms
    fn breather(&self, _: Duration) -> Duration {
        Duration::from_millis(30)
    }

    // without the collation, a column that ignores case would hide an edit that changed nothing else
    fn same(&self, a: &Sql, b: &Sql) -> Sql {
        Sql::new("(").add(a).text(") is (").add(b).text(") collate binary")
    }

    fn probed(&self, value: &Sql, select: &Sql) -> Sql {
        value.clone().text(" in (").add(select).text(")")
    }

    fn walks(&self, table: &Table) -> bool {
        match table.kind {
            TableKind::Ordinary => table.rowid.is_some(),
            TableKind::WithoutRowid => table.key.is_some(),
            TableKind::Partitioned | TableKind::Foreign | TableKind::View => false,
        }
    }

    fn window(&self, table: &Table, from: Option<&Row>, to: Option<&Row>) -> Sql {
        walk::window(table, from, to)
    }

    fn count_left(&self, table: &TableName, condition: &Sql) -> Sql {
        Sql::new("select count(*) from ").table(table).text(" as t where ").add(condition)
    }

    fn create_undo(&self, table: &Table, undo: &UndoTable) -> Vec<Sql> {
        let begin = if undo.temporary { "create temporary table " } else { "create table " };
        let mut columns = vec![format!("{ROW} integer primary key"), BATCH.to_owned(), AT.to_owned()];
        columns.extend(undo.columns.iter().map(|column| quote(column)));
        columns.extend(place::extra_keys(table, undo).into_iter().map(|(_, name)| name));
        columns.extend(
            undo.after
                .iter()
                .enumerate()
                .map(|(n, column)| format!("{}{}", after(n), table.column(column).map_or("", affinity))),
        );
        vec![Sql::new(begin).table(&undo.name).text(" (").text(&columns.join(", ")).text(")")]
    }

    fn remember(&self, take: &Take) -> Sql {
        match take.into {
            Some(undo) => copy(take, undo),
            None => Sql::default(),
        }
    }

    fn take(&self, take: &Take) -> Vec<Sql> {
        match take.into {
            Some(undo) => vec![copy(take, undo), delete_remembered(take.table, undo, None)],
            None => vec![delete(take)],
        }
    }

    fn choose(&self, take: &Take) -> Vec<Sql> {
        match take.into {
            Some(scratch) => vec![Sql::new("delete from ").table(&scratch.name), copy(take, scratch)],
            None => Vec::new(),
        }
    }

    fn remember_chosen(&self, table: &Table, scratch: &UndoTable, undo: &UndoTable, batch: i64) -> Sql {
        let extra = place::extra_keys(table, undo);
        let into = Sql::new("insert into ")
            .table(&undo.name)
            .text(&format!(" ({BATCH}, {AT}"))
            .text(if undo.columns.is_empty() { "" } else { ", " })
            .names("", undo.columns.iter().map(String::as_str));
        let into = extra.iter().fold(into, |into, (_, name)| into.text(", ").text(name));
        let into = (0..undo.after.len()).fold(into, |into, n| into.text(", ").text(&after(n)));
        let at = place::of(table).map_or_else(|| Sql::new("null"), |place| place.at());
        let select = into
            .text(") select ")
            .bind(batch)
            .text(", ")
            .add(&at)
            .text(if undo.columns.is_empty() { "" } else { ", " })
            .names("t.", undo.columns.iter().map(String::as_str));
        let select = extra.iter().fold(select, |select, (column, _)| select.text(", t.").name(column));
        let select = (0..undo.after.len()).fold(select, |select, n| select.text(", s.").text(&after(n)));
        select
            .text(" from ")
            .table(&scratch.name)
            .text(" as s join ")
            .table(&table.name)
            .text(" as t on ")
            .add(&place::same_as(table, scratch))
    }

    fn change(&self, table: &Table, scratch: &UndoTable, whole: bool) -> Sql {
        // A statement that must be able to take itself back makes SQLite copy each page before it is changed. A trigger would
        // inherit the word, whatever its own statements say.
        let verb = if whole && table.triggers.is_empty() { "update or rollback " } else { "update " };
        let assignments: Vec<Sql> = scratch
            .after
            .iter()
            .enumerate()
            .map(|(n, column)| Sql::default().name(column).text(&format!(" = s.{}", after(n))))
            .collect();
        Sql::new(verb)
            .table(&table.name)
            .text(" as t set ")
            .add(&Sql::join(&assignments, ", "))
            .text(" from ")
            .table(&scratch.name)
            .text(" as s where ")
            .add(&place::same_as(table, scratch))
    }

    fn change_remembered(&self, table: &Table, undo: &UndoTable, range: Range) -> Option<Sql> {
        let range = Sql::new("s.")
            .text(ROW)
            .text(" >= ")
            .bind(range.from)
            .text(" and s.")
            .text(ROW)
            .text(" < ")
            .bind(range.to);
        Some(self.change(table, undo, false).text(" and ").add(&range))
    }

    fn change_at_once(&self, take: &Take, columns: &[String]) -> Option<Sql> {
        if take.limit.is_some() || take.into.is_some() {
            return None;
        }
        let assignments = columns.iter().zip(&take.values);
        let assignments: Vec<Sql> =
            assignments.map(|(column, value)| Sql::default().name(column).text(" = ").add(value)).collect();
        let update = Sql::new("update ").table(&take.table.name).text(" as t");
        let (update, window) = match &take.window {
            Some((from, to)) => {
                let window = walk::window(take.table, from.as_ref(), to.as_ref());
                (update.text(" not indexed"), window.text(" and "))
            }
            None => (update, Sql::default()),
        };
        let set = update.text(" set ").add(&Sql::join(&assignments, ", "));
        Some(set.text(" where ").add(&window).text("(").add(&take.condition).text(")"))
    }

    fn chosen(&self, table: &Table, scratch: &UndoTable) -> Sql {
        among(table, scratch, &Sql::default())
    }

    fn tabulate(&self, name: &str, select: &Sql, indexes: &[Vec<String>]) -> Vec<Sql> {
        let mut all = vec![
            Sql::new("drop table if exists temp.").name(name),
            Sql::new("create temporary table ").name(name).text(" as ").add(select),
        ];
        for (n, columns) in indexes.iter().enumerate() {
            all.push(
                Sql::new("create index temp.")
                    .name(&format!("{name}_{}", n + 1))
                    .text(" on ")
                    .name(name)
                    .text(" (")
                    .names("", columns.iter().map(String::as_str))
                    .text(")"),
            );
        }
        all
    }

    // the write lock is held from the start of the transaction
    fn hold(&self, _: &Table, _: &Sql) -> Option<Sql> {
        None
    }

    // the same
    fn lock_whole(&self, _: &Table) -> Option<Sql> {
        None
    }

    // without a condition SQLite drops whole pages
    fn empty(&self, table: &Table) -> Sql {
        Sql::new("delete from ").table(&table.name)
    }

    fn undo_end(&self, undo: &UndoTable) -> Sql {
        Sql::new("select coalesce(max(").text(ROW).text("), 0) + 1 from ").table(&undo.name)
    }

    fn undo_stride(&self) -> i64 {
        1_000
    }

    fn undo_span(&self, undo: &UndoTable, batch: i64) -> Sql {
        Sql::new(&format!("select min({ROW}), max({ROW}) + 1 from "))
            .table(&undo.name)
            .text(&format!(" where {BATCH} = "))
            .bind(batch)
    }

    fn undo_range(&self, range: Range) -> Sql {
        let sql = Sql::new("u.")
            .text(ROW)
            .text(" >= ")
            .bind(range.from)
            .text(" and u.")
            .text(ROW)
            .text(" < ")
            .bind(range.to);
        match range.batch {
            Some(batch) => sql.text(&format!(" and u.{BATCH} = ")).bind(batch),
            None => sql,
        }
    }

    fn put_back(&self, table: &Table, undo: &UndoTable, columns: &[&str], range: Range) -> Sql {
        // whatever the table's own constraints say about conflicts: nothing may be overwritten
        insert_again("insert or abort into ", table, undo, columns, &self.undo_range(range))
    }

    // a statement that must be able to take itself back makes SQLite copy each page before it is changed
    fn put_back_or_end(&self, table: &Table, undo: &UndoTable, columns: &[&str], range: Range) -> Sql {
        insert_again("insert or rollback into ", table, undo, columns, &self.undo_range(range))
    }

    fn age(&self, column: &Column, unit: EpochUnit, cutoff: &Cutoff) -> Result<Age> {
        age::conditions(column, unit, cutoff)
    }

    fn read_as(&self, text: &Sql, column: &Column) -> Option<Sql> {
        references::read_as(text, column)
    }

    fn json_items(&self, column: &Column, path: &JsonPath) -> Result<Sql> {
        Ok(references::json_items(column, path))
    }

    fn json_without(&self, column: &Column, path: &JsonPath, gone: &Sql) -> Result<Sql> {
        Ok(references::json_without(column, path, gone))
    }

    fn keep_reference(&self, table: &Table, key: &ForeignKey, declared: bool) -> Vec<String> {
        references::keep(table, key, declared)
    }

    fn epoch(&self, instant: &Sql) -> Sql {
        Sql::new("unixepoch(").add(instant).text(", 'subsec')")
    }

    fn row_id(&self, table: &Table) -> Option<Sql> {
        table.rowid.as_ref().map(|rowid| Sql::new("t.").text(rowid))
    }

    fn row_bytes(&self, table: &Table) -> String {
        let each: Vec<String> = table
            .stored()
            .map(|column| format!("coalesce(length(cast(t.{} as blob)), 0) + 1", quote(&column.name)))
            .collect();
        format!("({} + 4)", each.join(" + "))
    }

    fn new_key(&self, table: &Table, column: &Column) -> Option<Sql> {
        if column.family != Family::Integer {
            return column.default.as_deref().map(|default| Sql::new("(").add(&Sql::raw(default)).text(")"));
        }
        let newest = |select: Sql| Sql::new("coalesce((").add(&select).text("), 0)");
        let of_rows = newest(Sql::new("select max(").name(&column.name).text(") from ").table(&table.name));
        // Numbers of rows that are gone are not given again where the column counts up.
        let given = newest(
            Sql::new("select max(seq) from sqlite_sequence where name = ").bind(table.name.name.clone()),
        );
        let newest = match column.identity {
            true => Sql::new("max(").add(&of_rows).text(", ").add(&given).text(")"),
            false => of_rows,
        };
        Some(newest.text(" + row_number() over ()"))
    }

    fn outward(&self, column: &Column) -> String {
        format!("t.{}", quote(&column.name))
    }

    fn inward(&self, _column: &Column, value: Value) -> Sql {
        Sql::default().bind(value)
    }
}

/// What makes a column of ours turn a new value into what the table's own column will make of it: '1' into 1, or the
/// other way round. Values that lie in the table already need none.
fn affinity(column: &Column) -> &'static str {
    match column.family {
        Family::Integer => " integer",
        Family::Text => " text",
        Family::Real => " real",
        Family::Any if column.declared.is_empty() || column.declared.eq_ignore_ascii_case("any") => "",
        Family::Any | Family::Json => " numeric",
        _ => "",
    }
}

/// The table, its window and its condition, from `from` on. In a window no index may be used: it would be read whole
/// for every window.
fn doomed(take: &Take) -> Sql {
    let from = Sql::new(" from ").table(&take.table.name).text(" as t");
    let mut conditions = Vec::new();
    let from = match &take.window {
        Some((start, end)) => {
            conditions.push(walk::window(take.table, start.as_ref(), end.as_ref()));
            from.text(" not indexed")
        }
        None => from,
    };
    if !take.condition.is_empty() {
        conditions.push(Sql::new("(").add(&take.condition).text(")"));
    }
    if conditions.is_empty() { from } else { from.text(" where ").add(&Sql::join(&conditions, " and ")) }
}

fn limited(sql: Sql, limit: Option<u64>) -> Sql {
    match limit {
        Some(limit) => sql.text(" limit ").bind(i64::try_from(limit).unwrap_or(i64::MAX)),
        None => sql,
    }
}

/// Copies the doomed rows into an undo table, each with its place.
pub(super) fn copy(take: &Take, undo: &UndoTable) -> Sql {
    let extra = place::extra_keys(take.table, undo);
    let into = Sql::new("insert into ")
        .table(&undo.name)
        .text(&format!(" ({BATCH}, {AT}"))
        .text(if undo.columns.is_empty() { "" } else { ", " })
        .names("", undo.columns.iter().map(String::as_str));
    let into = extra.iter().fold(into, |into, (_, name)| into.text(", ").text(name));
    let into = (0..take.values.len()).fold(into, |into, n| into.text(", ").text(&after(n)));
    let at = place::of(take.table).map_or_else(|| Sql::new("null"), |place| place.at());
    let select = into
        .text(") select ")
        .bind(take.batch)
        .text(", ")
        .add(&at)
        .text(if undo.columns.is_empty() { "" } else { ", " })
        .names("t.", undo.columns.iter().map(String::as_str));
    let select = extra.iter().fold(select, |select, (column, _)| select.text(", t.").name(column));
    let select = take.values.iter().fold(select, |select, value| select.text(", ").add(value));
    limited(select.add(&doomed(take)), take.limit)
}

/// How far the undo table reaches: what is remembered next lies behind it.
pub(super) fn newest(undo: &UndoTable) -> Sql {
    Sql::new("select coalesce(max(").text(ROW).text("), 0) from ").table(&undo.name)
}

/// Deletes what the statement before it remembered: the rows behind `newest`, when that is known.
pub(super) fn delete_remembered(table: &Table, undo: &UndoTable, newest: Option<i64>) -> Sql {
    let after = Sql::new(" where ").text(ROW).text(" > ");
    let newest = match newest {
        Some(newest) => after.bind(newest),
        None => after.text("(select max(").text(ROW).text(") - changes() from ").table(&undo.name).text(")"),
    };
    Sql::new("delete from ").table(&table.name).text(" as t where ").add(&among(table, undo, &newest))
}

/// Deletes without remembering.
pub(super) fn delete(take: &Take) -> Sql {
    match (take.limit, place::of(take.table)) {
        (Some(_), Some(place)) => {
            let some = limited(Sql::new("select ").add(&place.columns()).add(&doomed(take)), take.limit);
            Sql::new("delete from ")
                .table(&take.table.name)
                .text(" as t where ")
                .add(&place.tuple())
                .text(" in (")
                .add(&some)
                .text(")")
        }
        _ => Sql::new("delete").add(&doomed(take)),
    }
}

/// Inserts undo rows into their table again.
fn insert_again(insert: &str, table: &Table, undo: &UndoTable, columns: &[&str], which: &Sql) -> Sql {
    let columns: Vec<&str> = columns
        .iter()
        .copied()
        .filter(|name| table.column(name).is_some_and(|column| column.generated == Generated::No))
        .collect();
    let rowid = place::hidden_rowid(table);
    let comma = if columns.is_empty() { "" } else { ", " };
    let into = Sql::new(insert).table(&table.name).text(" (");
    let into = match rowid {
        Some(rowid) => into.name(rowid).text(comma),
        None => into,
    };
    let select = into.names("", columns.iter().copied()).text(") select ");
    let select = match rowid {
        // a vacuum may have given the hidden rowid to another row: then any will do, after all others have theirs
        Some(rowid) => select
            .text("case when exists (select 1 from ")
            .table(&table.name)
            .text(" as t where t.")
            .name(rowid)
            .text(" = u.")
            .text(AT)
            .text(") then null else u.")
            .text(AT)
            .text(" end")
            .text(comma),
        None => select,
    };
    let select = select.names("u.", columns).text(" from ").table(&undo.name).text(" as u where ").add(which);
    if rowid.is_some() { select.text(" order by 1 nulls last") } else { select }
}

/// The rows whose place stands in an undo table.
fn among(table: &Table, undo: &UndoTable, narrowed: &Sql) -> Sql {
    let tuple = place::of(table).as_ref().map_or_else(|| Sql::new("null"), Place::tuple);
    tuple
        .text(" in (select ")
        .text(&place::remembered(table, undo))
        .text(" from ")
        .table(&undo.name)
        .add(narrowed)
        .text(")")
}
