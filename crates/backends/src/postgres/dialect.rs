//! How PostgreSQL spells things.
//!
//! Rows are named by `ctid`, the place where they lie: it needs no key and costs no index. A place is only ever used
//! in the statement that found it or while the row is locked, because an update moves the row.

use super::{age, references};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use targets::db::{
    AT, Action, Age, BATCH, Chore, Column, Cutoff, Dialect, EpochUnit, Family, ForeignKey, JsonPath, Link,
    Range, Result, Row, Shift, Spelled, Sql, Table, TableKind, TableName, Take, Trace, UndoTable, Value,
    after, quote,
};

/// The schema of Sexton's own tables.
pub(super) const OWN: &str = "sexton";
/// Positions of an undo table: page times this, plus the number of the row in its page.
const PAGE: i64 = 1 << 16;

/// The spelling, with what the first connection finds out about the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelling {
    version: Arc<AtomicU32>,
    pooled: Arc<AtomicBool>,
}

impl Spelling {
    /// Remembers the server's version and whether a pooler stands before it.
    pub fn learn(&self, version: u32, pooled: bool) {
        self.version.store(version, Ordering::Relaxed);
        self.pooled.store(pooled, Ordering::Relaxed);
    }

    /// 150018 for 15.18; 0 before the first connection.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Relaxed)
    }

    /// `from only "s"."t" as t`: never the heirs, whose rows lie elsewhere and have places of their own.
    pub(super) fn source(table: &Table) -> Sql {
        Sql::new("from only ").table(&table.name).text(" as t")
    }

    pub(super) fn doomed(&self, take: &Take) -> Sql {
        let condition = Sql::new("(").add(&take.condition).text(")");
        match &take.window {
            None => condition,
            Some((from, to)) => {
                self.window(take.table, from.as_ref(), to.as_ref()).text(" and ").add(&condition)
            }
        }
    }

    /// `sexton_at, "a", "b"`, which never begins or ends with a comma.
    pub(super) fn listed(first: &[&str], prefix: &str, columns: &[String]) -> Sql {
        let first: Vec<Sql> = first.iter().map(|text| Sql::new(text)).collect();
        let columns = columns.iter().map(|column| Sql::new(prefix).name(column));
        Sql::join(&first.into_iter().chain(columns).collect::<Vec<_>>(), ", ")
    }

    fn make_undo(&self, table: &Table, undo: &UndoTable, words: &str) -> Sql {
        let ending = match undo.temporary {
            false => "",
            // Behind a pooler the session is somebody else's after the transaction.
            true if self.pooled.load(Ordering::Relaxed) => " on commit drop",
            true => " on commit delete rows",
        };
        Sql::new(words)
            .table(&undo.name)
            .text(ending)
            .text(" as select ")
            .add(&Self::listed(
                &[&format!("null::bigint as {BATCH}"), &format!("null::tid as {AT}")],
                "t.",
                &undo.columns,
            ))
            .add(&Self::each_after(undo, |name, column| {
                Sql::new(", t.").name(column).text(&format!(" as {name}"))
            }))
            .text(" ")
            .add(&Self::source(table))
            .text(" with no data")
    }

    /// A piece of a statement for each column whose new value an undo table holds.
    fn each_after(undo: &UndoTable, piece: impl Fn(&str, &str) -> Sql) -> Sql {
        let pieces = undo.after.iter().enumerate().map(|(n, column)| piece(&after(n), column));
        Sql::join(&pieces.collect::<Vec<_>>(), "")
    }
}

impl Dialect for Spelling {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn placeholder(&self, n: usize) -> String {
        format!("${n}")
    }

    fn own(&self, name: &str) -> TableName {
        TableName::within(OWN, name)
    }

    fn prepare_own(&self) -> Option<Sql> {
        // `create schema if not exists` asks for the right to create even where the schema is there.
        Some(Sql::new(
            "do $$ begin if to_regnamespace('sexton') is null then create schema sexton; end if; end $$",
        ))
    }

    fn remove_own(&self) -> Option<Sql> {
        Some(Sql::new(
            "do $$ begin
               drop schema if exists sexton restrict;
             exception when dependent_objects_still_exist or insufficient_privilege then null;
             end $$",
        ))
    }

    fn exists(&self, table: &TableName) -> Sql {
        Sql::new("select count(to_regclass(").bind(table.quoted()).text("))")
    }

    fn makes_index(&self, index: &TableName) -> Sql {
        super::index_statements::of(index)
    }

    fn columns(&self, table: &TableName) -> Sql {
        super::schema::columns_of(table)
    }

    fn spell(&self, chore: &Chore) -> Spelled {
        super::chores::spell(self.version(), chore)
    }

    fn trace(&self, statement: &str) -> Trace {
        super::trace::of(statement)
    }

    fn shift(&self, table: &TableName, shift: &Shift) -> Option<Sql> {
        Some(super::compaction::shift(self.version(), table, shift))
    }

    fn silence(&self) -> Option<Sql> {
        Some(Sql::new("set local session_replication_role = replica"))
    }

    fn strong_locks(&self) -> Option<Sql> {
        Some(super::trace::strong_locks())
    }

    // A commit of another waits until the log before it is on disk, ours too. Measured beside a writer that commits every
    // 2 ms: 99 of 100 waited for at most 13 ms beside batches of 25 ms, 4 ms beside these.
    fn batch_time(&self, alone: bool) -> Duration {
        Duration::from_millis(if alone { 250 } else { 5 })
    }

    fn batch_overhead(&self, begin: Duration) -> Duration {
        // where it goes on, begin, count, take, count, checkpoint, commit
        begin * 7
    }

    fn breather(&self, took: Duration) -> Duration {
        took * 2
    }

    fn same(&self, a: &Sql, b: &Sql) -> Sql {
        Sql::new("(").add(a).text(") is not distinct from (").add(b).text(")")
    }

    fn same_of(&self, column: &Column, a: &Sql, b: &Sql) -> Sql {
        let text = |value: &Sql| Sql::new("(").add(value).text(")::text");
        match column.family {
            // Neither `json` nor `xml` nor `point` has an operator `=`.
            Family::Json | Family::Other => self.same(&text(a), &text(b)),
            _ => self.same(a, b),
        }
    }

    // An array is sorted first and the index read once from one end to the other: 41 000 parents in 23 ms, against 185 ms
    // for the join that `in` becomes with a temporary table of unknown size.
    fn probed(&self, value: &Sql, select: &Sql) -> Sql {
        value.clone().text(" = any (array(").add(select).text("))")
    }

    fn walks(&self, table: &Table) -> bool {
        let version = self.version();
        // Older servers read the whole table for each range of places.
        table.kind == TableKind::Ordinary && (version == 0 || version >= 140_000)
    }

    fn window(&self, _: &Table, from: Option<&Row>, to: Option<&Row>) -> Sql {
        let bound = |sign: &str, row: &Row| {
            let block = row.first().and_then(Value::as_int).unwrap_or(0);
            Sql::new(&format!("t.ctid {sign} '({block},0)'::tid"))
        };
        match (from, to) {
            (None, None) => Sql::new("true"),
            (Some(from), None) => bound(">=", from),
            (None, Some(to)) => bound("<", to),
            (Some(from), Some(to)) => bound(">=", from).text(" and ").add(&bound("<", to)),
        }
    }

    // An index still leads to every deleted row, one page visit each, and the planner does not know that: measured on
    // 5 000 000 rows, a fifth of them gone, 2.5 to 14 s by one of the indexes. None of them knows `ctid`, so all that is
    // left is to read the table, with several workers: 0.6 s.
    fn count_left(&self, table: &TableName, condition: &Sql) -> Sql {
        Sql::new("select count(case when ")
            .add(condition)
            .text(" then t.ctid end) from ")
            .table(table)
            .text(" as t")
    }

    // What the triggers of a foreign key do runs in this very transaction and is counted like any other change. The counts
    // are not set back to nothing between transactions, and count what was rolled back to a savepoint.
    fn taken_along(&self, links: &[Link]) -> Option<Sql> {
        let table = |link: &Link| Sql::new("to_regclass(").bind(link.child.quoted()).text(")");
        let stays = links.iter().map(|link| {
            let action = match link.key.on_delete {
                Action::NoAction => "a",
                Action::Restrict => "r",
                Action::Cascade => "c",
                Action::SetNull => "n",
                Action::SetDefault => "d",
            };
            Sql::new(" and exists (select from pg_constraint as k where k.conrelid = ")
                .add(&table(link))
                .text(" and k.conname = ")
                .bind(link.key.name.clone())
                .text(&format!(" and k.confdeltype = '{action}' and k.convalidated"))
                .text(" and not exists (select from pg_trigger as g")
                .text(" where g.tgconstraint = k.oid and g.tgenabled not in ('O', 'A')))")
        });
        let counts = links.iter().map(|link| {
            let what = if link.goes { "deleted" } else { "updated" };
            Sql::new(&format!("pg_stat_get_xact_tuples_{what}(")).add(&table(link)).text(")")
        });
        Some(
            Sql::new("select case when current_setting('track_counts')::boolean")
                .text(" and current_setting('session_replication_role') <> 'replica'")
                .add(&Sql::join(&stays.collect::<Vec<_>>(), ""))
                .text(" then ")
                .add(&Sql::join(&counts.collect::<Vec<_>>(), " + "))
                .text(" end"),
        )
    }

    fn create_undo(&self, table: &Table, undo: &UndoTable) -> Vec<Sql> {
        if !undo.temporary {
            return vec![self.make_undo(table, undo, "create table ")];
        }
        // One of an earlier run in this session may have other columns.
        vec![
            Sql::new("drop table if exists pg_temp.").table(&undo.name),
            self.make_undo(table, undo, "create temporary table "),
        ]
    }

    fn remember(&self, take: &Take) -> Sql {
        let Some(undo) = take.into else { return Sql::new("select 1 where false") };
        Sql::new("insert into ")
            .table(&undo.name)
            .text(" (")
            .add(&Self::listed(&[BATCH, AT], "", &undo.columns))
            .add(&Self::each_after(undo, |name, _| Sql::new(", ").text(name)))
            .text(") select ")
            .bind(take.batch)
            .text("::bigint, ")
            .add(&Self::listed(&["t.ctid"], "t.", &undo.columns))
            .add(&Sql::join(
                &take.values.iter().map(|value| Sql::new(", ").add(value)).collect::<Vec<_>>(),
                "",
            ))
            .text(" ")
            .add(&Self::source(take.table))
            .text(" where ")
            .add(&self.doomed(take))
            .add(&super::taking::limit_and_lock(take))
    }

    fn take(&self, take: &Take) -> Vec<Sql> {
        match self.is_quick(take) {
            true => vec![self.take_quick(take)],
            false => vec![self.take_careful(take)],
        }
    }

    fn choose(&self, take: &Take) -> Vec<Sql> {
        let Some(scratch) = take.into else { return Vec::new() };
        vec![
            // It may be gone: with a lost connection, or rolled back with the batch that made it.
            self.make_undo(take.table, scratch, "create temporary table if not exists "),
            Sql::new("delete from pg_temp.").table(&scratch.name),
            self.remember(take),
        ]
    }

    fn remember_chosen(&self, table: &Table, scratch: &UndoTable, undo: &UndoTable, batch: i64) -> Sql {
        Sql::new("insert into ")
            .table(&undo.name)
            .text(" (")
            .add(&Self::listed(&[BATCH, AT], "", &undo.columns))
            .add(&Self::each_after(undo, |name, _| Sql::new(", ").text(name)))
            .text(") select ")
            .bind(batch)
            .text("::bigint, ")
            .add(&Self::listed(&["t.ctid"], "t.", &undo.columns))
            .add(&Self::each_after(undo, |name, _| Sql::new(", s.").text(name)))
            .text(" ")
            .add(&Self::source(table))
            .text(&format!(" join pg_temp.{} as s on t.ctid = s.{AT} where ", quote(&scratch.name.name)))
            .add(&self.chosen(table, scratch))
    }

    // a transaction in which a statement failed is over anyway
    fn change(&self, table: &Table, scratch: &UndoTable, _whole: bool) -> Sql {
        let assignments: Vec<Sql> = scratch
            .after
            .iter()
            .enumerate()
            .map(|(n, column)| Sql::default().name(column).text(&format!(" = s.{}", after(n))))
            .collect();
        Sql::new("update only ")
            .table(&table.name)
            .text(" as t set ")
            .add(&Sql::join(&assignments, ", "))
            .text(&format!(" from pg_temp.{} as s where t.ctid = s.{AT} and ", quote(&scratch.name.name)))
            // the list alone makes the server look only at these places
            .add(&self.chosen(table, scratch))
    }

    // What is remembered is what was changed: a row that somebody else changes meanwhile has another place by then and is in
    // neither. Choosing and locking the rows first costs a record in the log for each of them.
    fn change_at_once(&self, take: &Take, columns: &[String]) -> Option<Sql> {
        if take.limit.is_some() || take.skip_locked {
            return None;
        }
        let assignments = columns.iter().zip(&take.values);
        let assignments: Vec<Sql> =
            assignments.map(|(column, value)| Sql::default().name(column).text(" = ").add(value)).collect();
        let update = Sql::new("update only ")
            .table(&take.table.name)
            .text(" as t set ")
            .add(&Sql::join(&assignments, ", "));
        let Some(undo) = take.into else { return Some(update.text(" where ").add(&self.doomed(take))) };
        // Under names of their own: an expression may name columns of the row without `t.`.
        let olds: Vec<String> = (1..=undo.columns.len()).map(|n| format!("sexton_old_{n}")).collect();
        let olds = format!("{AT}, {}", olds.join(", "));
        let new = Sql::join(&columns.iter().map(|name| Sql::new(", t.").name(name)).collect::<Vec<_>>(), "");
        let names: Vec<String> = (0..columns.len()).map(after).collect();
        let all = Self::listed(&[AT], "", &undo.columns).text(", ").text(&names.join(", "));
        Some(
            Sql::new(&format!("with old ({olds}) as materialized (select "))
                .add(&Self::listed(&["t.ctid"], "t.", &undo.columns))
                .text(" ")
                .add(&Self::source(take.table))
                .text(" where ")
                .add(&self.doomed(take))
                .text("), changed (")
                .add(&all)
                .text(") as (")
                .add(&update)
                .text(&format!(" from old as o where t.ctid = o.{AT} and t.ctid = any (array(select {AT} from old))"))
                .text(&format!(" returning {olds}"))
                .add(&new)
                .text("), kept as (insert into ")
                .table(&undo.name)
                .text(&format!(" ({BATCH}, "))
                .add(&all)
                .text(") select ")
                .bind(take.batch)
                .text("::bigint, ")
                .add(&all)
                .text(" from changed returning 1) select (select count(*) from changed), (select count(*) from kept)"),
        )
    }

    fn chosen(&self, _: &Table, scratch: &UndoTable) -> Sql {
        Sql::new(&format!("t.ctid = any (array(select {AT} from pg_temp.")).table(&scratch.name).text("))")
    }

    fn tabulate(&self, name: &str, select: &Sql, indexes: &[Vec<String>]) -> Vec<Sql> {
        let mut all = vec![
            Sql::new("drop table if exists pg_temp.").name(name),
            Sql::new("create temporary table ").name(name).text(" on commit drop as ").add(select),
        ];
        for columns in indexes {
            all.push(
                Sql::new("create index on pg_temp.")
                    .name(name)
                    .text(" (")
                    .names("", columns.iter().map(String::as_str))
                    .text(")"),
            );
        }
        // nobody else can: autovacuum does not see temporary tables
        all.push(Sql::new("analyze pg_temp.").name(name));
        all
    }

    fn passing(&self) -> Sql {
        Sql::new(" for update skip locked")
    }

    fn clock_us(&self) -> Sql {
        Sql::new("(extract(epoch from clock_timestamp()) * 1000000)::bigint")
    }

    fn announce(&self, name: &str) -> Option<Sql> {
        Some(Sql::new("select pg_notify(").bind(name).text(", '')"))
    }

    fn hold(&self, table: &Table, condition: &Sql) -> Option<Sql> {
        let rows = Sql::new("select 1 ").add(&Self::source(table)).text(" where ").add(condition);
        Some(Sql::new("select count(*) from (").add(&rows).text(" for update of t) as held"))
    }

    fn lock_whole(&self, table: &Table) -> Option<Sql> {
        Some(Sql::new("lock table only ").table(&table.name).text(" in access exclusive mode"))
    }

    fn empty(&self, table: &Table) -> Sql {
        Sql::new("truncate only ").table(&table.name)
    }

    fn undo_end(&self, undo: &UndoTable) -> Sql {
        Sql::new("select pg_relation_size(cast(")
            .bind(undo.name.quoted())
            .text(&format!(" as regclass)) / current_setting('block_size')::bigint * {PAGE}"))
    }

    fn undo_stride(&self) -> i64 {
        32 * PAGE
    }

    fn undo_span(&self, undo: &UndoTable, batch: i64) -> Sql {
        let place = format!("(ctid::text::point)[0]::bigint * {PAGE} + (ctid::text::point)[1]::bigint");
        Sql::new(&format!("select min({place}), max({place}) + 1 from "))
            .table(&undo.name)
            .text(&format!(" where {BATCH} = "))
            .bind(batch)
    }

    fn undo_range(&self, range: Range) -> Sql {
        let place = |position: i64| format!("'({},{})'::tid", position.max(0) / PAGE, position.max(0) % PAGE);
        let sql = Sql::new(&format!("u.ctid >= {} and u.ctid < {}", place(range.from), place(range.to)));
        match range.batch {
            Some(batch) => sql.text(&format!(" and u.{BATCH} = ")).bind(batch),
            None => sql,
        }
    }

    fn put_back(&self, table: &Table, undo: &UndoTable, columns: &[&str], range: Range) -> Sql {
        let into = Sql::new("insert into ").table(&table.name);
        let into = match columns {
            [] => into,
            columns => into.text(" (").names("", columns.iter().copied()).text(") overriding system value"),
        };
        into.text(" select ")
            .names("u.", columns.iter().copied())
            .text(" from ")
            .table(&undo.name)
            .text(" as u where ")
            .add(&self.undo_range(range))
    }

    // A partition that a foreign key points into cannot be dropped, only detached first; that checks the key.
    fn drop_partition(&self, partition: &Table) -> Vec<Sql> {
        let Some(parent) = partition.parents.first() else { return Vec::new() };
        vec![
            Sql::new("lock table ").table(&partition.name).text(" in share row exclusive mode"),
            Sql::new("alter table ").table(parent).text(" detach partition ").table(&partition.name),
            Sql::new("drop table ").table(&partition.name),
        ]
    }

    fn age(&self, column: &Column, unit: EpochUnit, cutoff: &Cutoff) -> Result<Age> {
        age::conditions(column, unit, cutoff)
    }

    fn read_as(&self, text: &Sql, column: &Column) -> Option<Sql> {
        references::read_as(text, column)
    }

    fn json_items(&self, column: &Column, path: &JsonPath) -> Result<Sql> {
        references::json_items(column, path)
    }

    fn json_without(&self, column: &Column, path: &JsonPath, gone: &Sql) -> Result<Sql> {
        references::json_without(column, path, gone)
    }

    fn keep_reference(&self, table: &Table, key: &ForeignKey, declared: bool) -> Vec<String> {
        references::keep(table, key, declared)
    }

    fn epoch(&self, instant: &Sql) -> Sql {
        Sql::new("cast(extract(epoch from ").add(instant).text(") as double precision)")
    }

    fn row_id(&self, _: &Table) -> Option<Sql> {
        Some(Sql::new("t.ctid::text"))
    }

    fn dead_rows(&self, table: &TableName) -> Option<Sql> {
        Some(
            Sql::new("select coalesce(sum(s.n_dead_tup), 0)::bigint from pg_stat_user_tables as s where s.relid = cast(")
                .bind(table.quoted())
                .text(" as regclass)"),
        )
    }

    fn row_bytes(&self, _: &Table) -> String {
        // the row, its pointer and the header that pg_column_size leaves out
        "(pg_column_size(t.*) + 28)".to_owned()
    }

    fn new_key(&self, table: &Table, column: &Column) -> Option<Sql> {
        if column.identity {
            let sequence = Sql::new("nextval(pg_get_serial_sequence(").bind(table.name.quoted());
            return Some(sequence.text(", ").bind(column.name.clone()).text("))"));
        }
        column.default.as_deref().map(|default| Sql::new("(").add(&Sql::raw(default)).text(")"))
    }

    fn catch_up(&self, table: &Table) -> Vec<Sql> {
        let numbered = |column: &&Column| {
            column.identity
                || column.default.as_deref().is_some_and(|default| default.starts_with("nextval("))
        };
        let one = |column: &Column| {
            let name = Sql::default().name(&column.name).shown();
            Sql::new("select setval(s.name, greatest(s.top, s.given, 1), greatest(s.top, s.given) > 0) from (select ")
                .text("cast(q.name as regclass) as name, coalesce(pg_sequence_last_value(cast(q.name as regclass)), 0) as given, ")
                .text(&format!("(select coalesce(max({name}), 0) from "))
                .table(&table.name)
                .text(") as top from (select pg_get_serial_sequence(")
                .bind(table.name.quoted())
                .text(", ")
                .bind(column.name.as_str())
                .text(") as name) as q where q.name is not null) as s")
        };
        table.columns.iter().filter(numbered).map(one).collect()
    }

    fn outward(&self, column: &Column) -> String {
        let name = Sql::new("t.").name(&column.name).shown();
        match column.family {
            Family::Integer | Family::Real | Family::Text | Family::Blob | Family::Bool => name,
            _ => format!("{name}::text"),
        }
    }

    fn inward(&self, column: &Column, value: Value) -> Sql {
        // `declared` is the catalogue's own spelling, quoted where it must be.
        Sql::new("cast(").bind(value).text(&format!(" as {})", column.declared))
    }
}
