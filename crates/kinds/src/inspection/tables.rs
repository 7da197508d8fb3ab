//! Tables: autovacuum that is off or behind, missing statistics, missing keys, constraints never proved, whole reads,
//! tables that would be better divided.

use super::{DAY, Found, GIGABYTE, MANY_ROWS, MEGABYTE, percent};
use engine::words::{bytes, count};
use targets::db::{Inspection, TableFacts};

/// From this size on a table is divided with profit.
const DIVIDED: u64 = 50 * GIGABYTE;
/// The same in rows.
const DIVIDED_ROWS: u64 = 200_000_000;

pub fn judge(all: &Inspection, found: &mut Found) {
    let seconds = all.counters.known().and_then(|counters| counters.seconds);
    for table in all.tables.known().into_iter().flatten() {
        vacuum(table, found);
        statistics(table, all, found);
        whole_reads(table, seconds, found);
        divided(table, found);
        for (code, column, what, remedy) in &table.oddities {
            let object =
                if column.is_empty() { table.name.to_string() } else { format!("{}.{column}", table.name) };
            found.note(9, code, object, what.clone(), remedy.clone());
        }
        if !table.has_key && !table.partition && table.rows.is_none_or(|rows| rows > 0) {
            found.note(
                7,
                "no_key",
                &table.name,
                "has nothing that tells its rows apart: a change of it cannot be undone exactly, and it cannot be replicated",
                format!("alter table {} add primary key (…), or add an identity column", table.name.quoted()),
            );
        }
    }
    for constraint in all.unvalidated.known().into_iter().flatten() {
        found.note(
            22,
            "not_validated",
            format!("{} of {}", constraint.name, constraint.table),
            "was never proved for older rows, so that the planner and readers cannot rely on it",
            format!(
                "alter table {} validate constraint {} (writers go on meanwhile)",
                constraint.table.quoted(),
                targets::db::quote(&constraint.name)
            ),
        );
    }
    duplicate_references(all, found);
}

fn vacuum(table: &TableFacts, found: &mut Found) {
    let (dead, rows) = (table.dead_rows.unwrap_or(0), table.rows.unwrap_or(0));
    let due = table.vacuum_at.unwrap_or(u64::MAX);
    if table.autovacuum_off && (rows >= MANY_ROWS || dead >= MANY_ROWS) {
        found.tell(
            dead >= MANY_ROWS,
            52,
            "autovacuum_off",
            &table.name,
            format!("is left out by autovacuum: {} dead rows beside {}", count(dead), count(rows)),
            format!("alter table {} reset (autovacuum_enabled)", table.name.quoted()),
        );
    } else if dead >= MANY_ROWS && dead > due.saturating_mul(3) {
        found.warn(
            48,
            "vacuum_behind",
            &table.name,
            format!(
                "has {} dead rows beside {}; autovacuum should have come at {}",
                count(dead),
                count(rows),
                count(due)
            ),
            format!(
                "see what pins it (above); else: vacuum {0}; and let it come sooner: alter table {0} set \
                 (autovacuum_vacuum_scale_factor = 0.02)",
                table.name.quoted()
            ),
        );
    }
}

fn statistics(table: &TableFacts, all: &Inspection, found: &mut Found) {
    let rows = table.rows.unwrap_or(0);
    let large = rows >= MANY_ROWS || table.bytes.is_some_and(|bytes| bytes >= 4 * MEGABYTE);
    // A whole file without any is one finding, told with the file.
    let sqlite = super::is_file(all);
    if !table.analyzed && large && !sqlite {
        found.warn(
            42,
            "never_analyzed",
            &table.name,
            "was never analysed: the planner guesses how many rows it will meet",
            format!("analyze {}", table.name.quoted()),
        );
    } else if let Some(changed) =
        table.changed_since_analyze.filter(|changed| *changed > rows && rows >= MANY_ROWS)
    {
        found.note(
            14,
            "statistics_old",
            &table.name,
            format!("changed {} times since it was analysed, at {} rows", count(changed), count(rows)),
            format!("analyze {}", table.name.quoted()),
        );
    }
}

/// A table that is read whole again and again, for few rows each time.
fn whole_reads(table: &TableFacts, seconds: Option<f64>, found: &mut Found) {
    let (Some(scans), Some(read), Some(rows)) = (table.seq_scans, table.seq_rows, table.rows) else { return };
    let days = seconds.map_or(1.0, |seconds| (seconds / DAY).max(1.0 / 24.0));
    // Where each scan gave few of the rows, a limit or an early end kept it cheap.
    let whole = scans > 0 && read / scans.max(1) > rows / 2;
    let often = scans >= 500 && scans as f64 / days >= 24.0;
    if rows < 100_000 || !whole || !often || scans < table.index_scans.unwrap_or(0) / 100 {
        return;
    }
    found.warn(
        36,
        "read_whole",
        &table.name,
        format!(
            "was read from end to end {} times, {} rows each time; its indexes were used {} times",
            count(scans),
            count(read / scans),
            count(table.index_scans.unwrap_or(0))
        ),
        "find the statement (`sexton inspect`, or auto_explain) and make an index for what it asks: create index concurrently …",
    );
}

/// Large tables that only grow at their end (S1-080).
fn divided(table: &TableFacts, found: &mut Found) {
    let size = table.total_bytes().unwrap_or(0);
    let large = size >= DIVIDED || table.rows.is_some_and(|rows| rows >= DIVIDED_ROWS);
    let Some(column) = table.grows_by.as_ref().filter(|_| large && !table.partition) else { return };
    found.note(
        24,
        "partition",
        &table.name,
        format!(
            "holds {} in {} rows that lie in the order of `{column}`, {} % of its changes are new rows",
            bytes(size),
            count(table.rows.unwrap_or(0)),
            percent(table.inserted, table.inserted + table.updated + table.deleted)
        ),
        format!(
            "divide it by range of `{column}`, a month or a week each: old rows then go with `drop table`, not with deletes, and \
             vacuum looks at the newest part only"
        ),
    );
}

fn duplicate_references(all: &Inspection, found: &mut Found) {
    let references: Vec<_> = all.references.known().into_iter().flatten().collect();
    for (n, one) in references.iter().enumerate() {
        let same = references[..n].iter().find(|other| {
            (&other.table, &other.columns, &other.parent, &other.parent_columns)
                == (&one.table, &one.columns, &one.parent, &one.parent_columns)
        });
        if let Some(other) = same {
            found.note(
                15,
                "duplicate_constraint",
                format!("{} of {}", one.name, one.table),
                format!("says the same as `{}`: every write is checked twice", other.name),
                format!(
                    "alter table {} drop constraint {}",
                    one.table.quoted(),
                    targets::db::quote(&one.name)
                ),
            );
        }
    }
}
