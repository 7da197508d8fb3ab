//! How much of each table and index is space that a fresh copy would not need.
//!
//! The catalogue gives a first guess for all; where it may be wrong, pages at even distances are read, at most 8 MB of a table;
//! `pgstattuple` reads all of one where that was asked for and the extension is there. Nothing is locked, a table that
//! somebody holds is guessed at, and one that is dropped meanwhile is left out.

mod heap;
mod index;
mod layout;

use super::session::Connected;
use heap::Sample;
pub(super) use heap::ask;
use layout::Shape;
use targets::db::{Bloat, Class, Error, Facts, Measuring, Part, Result, Row, Sql, TableName, Value};

/// Pages of a first look, and of a second where the first was too coarse.
const FEW: u64 = 256;
const MANY: u64 = 1_024;
/// Points of a hundred that a first look may be wrong by.
const COARSE: f64 = 1.5;
/// What the model of a page is off by at the most, in points of a hundred.
const MODEL: f64 = 0.5;
const MODEL_OF_INDEX: f64 = 3.0;
/// What a guess from statistics is off by.
const GUESS: f64 = 10.0;
const TARGET: u64 = 2_032;

/// One table as the catalogue has it.
struct Heap {
    name: TableName,
    oid: i64,
    bytes: u64,
    fill: f64,
    rows: f64,
    dead: Option<u64>,
    last_vacuum: Option<String>,
    readable: bool,
    filtered: bool,
    large: i64,
    large_bytes: u64,
    large_readable: bool,
    changed: f64,
    target: u64,
    dropped: i64,
}

/// A column with what the statistics say.
struct Column {
    name: String,
    shape: Shape,
    width: Option<f64>,
    nulls: f64,
}

// Of a table that only the catalogue knows rows for, the counters are newer than the last count.
const HEAPS: &str = "
    select n.nspname::text, c.relname::text, c.oid::bigint, b.own, coalesce(o.fill, 100)::double precision,
           (case when c.reltuples >= 0 then c.reltuples else s.n_live_tup end)::double precision, s.n_dead_tup,
           to_char(greatest(s.last_vacuum, s.last_autovacuum) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
           has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage'),
           c.relkind = 'r' and c.relrowsecurity and row_security_active(c.oid),
           c.reltoastrelid::bigint, coalesce(b.large, 0)::bigint,
           coalesce(has_schema_privilege(l.relnamespace, 'usage') and has_table_privilege(l.oid, 'select'), false),
           (coalesce(s.n_mod_since_analyze, 0) / greatest(c.reltuples, 1))::double precision,
           coalesce(o.target, {TARGET})::bigint,
           (select count(*) from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and a.attisdropped)
    from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      left join pg_class as l on l.oid = c.reltoastrelid
      left join pg_stat_all_tables as s on s.relid = c.oid
      cross join lateral (
        select max(option_value::int) filter (where option_name = 'fillfactor') as fill,
               max(option_value::int) filter (where option_name = 'toast_tuple_target') as target
        from pg_options_to_table(c.reloptions)) as o
      cross join lateral (
        select exists (select from pg_locks as k
                       where k.relation = c.oid and k.mode = 'AccessExclusiveLock' and k.granted) as held) as h
      cross join lateral (
        select case when h.held then c.relpages * current_setting('block_size')::bigint
                    else pg_relation_size(c.oid) end as own,
               case when not h.held then pg_relation_size(nullif(c.reltoastrelid, 0)) end as large) as b
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'sexton')
      and n.nspname not like 'pg\\_toast%' and not pg_is_other_temp_schema(n.oid)
      and case when h.held then b.own else pg_total_relation_size(c.oid) end >= {LEAST}
    order by b.own desc";

const COLUMNS: &str = "
    select a.attname::text, a.attlen::bigint, a.attalign::text, a.attstorage::text,
           s.avg_width::double precision, coalesce(s.null_frac, 0)::double precision
    from pg_attribute as a
      join pg_class as c on c.oid = a.attrelid
      join pg_namespace as n on n.oid = c.relnamespace
      left join pg_stats as s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
                             and not s.inherited
    where a.attnum > 0 and not a.attisdropped and a.attrelid = ";

/// Measures what was asked for.
pub(super) fn measure(session: &mut Connected, wanted: &Measuring) -> Result<Vec<Bloat>> {
    let page =
        session.value(&Sql::new("select current_setting('block_size')::bigint"))?.as_int().unwrap_or(8192);
    let extension = pgstattuple(session)?;
    let least = wanted.least_bytes.to_string();
    let heaps = HEAPS.replace("{LEAST}", &least).replace("{TARGET}", &TARGET.to_string());
    let heaps: Vec<Heap> = session.rows(&Sql::raw(&heaps))?.iter().map(heap).collect();
    let mut work =
        Measure { session, page: page as f64, left: wanted.read_bytes, wanted, extension, all: Vec::new() };
    for heap in heaps {
        if wanted.tables.is_empty() || wanted.tables.contains(&heap.name) {
            match work.table(&heap) {
                // Dropped since the catalogue was read.
                Err(error) if matches!(error.code.as_deref(), Some("42P01" | "XX000")) => {}
                done => done?,
            }
        }
    }
    let mut all = work.all;
    all.sort_by_key(|one| std::cmp::Reverse((one.wasted_bytes, one.bytes)));
    Ok(all)
}

/// The schema of the extension, where this role may use it.
fn pgstattuple(session: &mut Connected) -> Result<Option<String>> {
    let sql = "select n.nspname::text from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pgstattuple' and has_schema_privilege(n.oid, 'usage')
          and has_function_privilege(to_regprocedure(format('%I.pgstattuple(regclass)', n.nspname)), 'execute')";
    Ok(session.value(&Sql::new(sql))?.as_text().map(str::to_owned))
}

fn heap(row: &Row) -> Heap {
    let text = |n: usize| row[n].as_text().unwrap_or_default();
    let flag = |n: usize| row[n].as_bool().unwrap_or(false);
    let number = |n: usize| row[n].as_int().unwrap_or(0);
    Heap {
        name: TableName::within(text(0), text(1)),
        oid: number(2),
        bytes: number(3).max(0) as u64,
        fill: row[4].as_real().unwrap_or(100.0),
        rows: row[5].as_real().unwrap_or(-1.0),
        dead: row[6].as_int().map(|n| n.max(0) as u64),
        last_vacuum: row[7].as_text().map(str::to_owned),
        readable: flag(8),
        filtered: flag(9),
        large: number(10),
        large_bytes: number(11).max(0) as u64,
        large_readable: flag(12),
        changed: row[13].as_real().unwrap_or(0.0),
        target: number(14).max(128) as u64,
        dropped: number(15),
    }
}

fn column(row: &Row) -> Column {
    let text = |n: usize| row[n].as_text().unwrap_or_default();
    Column {
        name: text(0).to_owned(),
        shape: Shape {
            length: row[1].as_int().unwrap_or(-1),
            align: layout::alignment(text(2)),
            storage: text(3).chars().next().unwrap_or('p'),
        },
        width: row[4].as_real(),
        nulls: row[5].as_real().unwrap_or(0.0),
    }
}

/// What is measured now.
struct Measure<'a> {
    session: &'a mut Connected,
    page: f64,
    /// Bytes that may still be read.
    left: u64,
    wanted: &'a Measuring,
    extension: Option<String>,
    all: Vec<Bloat>,
}

impl Measure<'_> {
    fn table(&mut self, heap: &Heap) -> Result<()> {
        let columns = Sql::raw(COLUMNS).bind(heap.oid).text("::oid order by a.attnum");
        let columns: Vec<Column> = self.session.rows(&columns)?.iter().map(column).collect();
        let table = heap.name.quoted();
        let pages = (heap.bytes as f64 / self.page) as u64;
        let mut one = Bloat {
            name: heap.name.clone(),
            table: heap.name.clone(),
            part: Part::Rows,
            bytes: heap.bytes,
            wasted_bytes: None,
            method: "none".to_owned(),
            error_points: None,
            live_rows: (heap.rows >= 0.0).then_some(heap.rows as u64),
            dead_rows: heap.dead,
            last_vacuum: heap.last_vacuum.clone(),
            lacks: None,
        };
        let mut sample = None;
        match self.look(heap, &table, pages, &columns) {
            Ok(found) => {
                let row = if found.rows > 0.0 { found.bytes / found.rows } else { 0.0 };
                let filled = layout::filled(self.page, heap.fill, row, found.even);
                let fresh = (found.bytes * pages as f64 / filled).ceil() * self.page;
                one.wasted_bytes = Some(heap.bytes.saturating_sub(fresh as u64));
                one.method = if found.pages >= pages { "read" } else { "sample" }.to_owned();
                one.error_points = Some(MODEL + 100.0 * 1.96 * found.error / filled);
                one.live_rows = Some((found.rows * pages as f64).round() as u64);
                sample = Some(found);
            }
            Err(error) if is_gone(&error) => return Err(error),
            Err(error) => {
                self.guess(heap, &columns, &mut one);
                let help = error.help.clone().unwrap_or_else(|| "look again later".to_owned());
                one.lacks = Some((error.to_string(), help));
            }
        }
        if self.wanted.exact && heap.bytes <= self.left {
            self.read_all(heap, sample.as_ref(), &mut one)?;
        }
        let live = one.live_rows;
        if heap.bytes >= self.wanted.least_bytes {
            self.all.push(one);
        }
        if heap.large_bytes >= self.wanted.least_bytes {
            self.large(heap, sample.as_ref(), pages)?;
        }
        if self.wanted.indexes {
            self.indexes(heap, &table, pages, sample.is_some(), live, &columns)?;
        }
        Ok(())
    }

    /// A sample of the table, or the reason that there is none.
    fn look(&mut self, heap: &Heap, table: &str, pages: u64, columns: &[Column]) -> Result<Sample> {
        let refused = |what: &str, help: String| Err(Error::usage(what).help(help));
        if !heap.readable {
            return refused("this role may not read it", format!("grant select on {table} to the role"));
        }
        if heap.filtered {
            return refused(
                "row security hides rows of it from this role",
                "measure as its owner, or as a role with bypassrls".to_owned(),
            );
        }
        if pages == 0 {
            return Ok(Sample::default());
        }
        let mut found = Sample::default();
        for most in [FEW, MANY] {
            let sampled = pages.min(most);
            let bytes = (sampled as f64 * self.page) as u64;
            if bytes > self.left {
                if found.pages > 0 {
                    break;
                }
                return refused(
                    "reading a sample would take more than was allowed",
                    "allow more: `read_mb`".to_owned(),
                );
            }
            self.left -= bytes;
            // What dropped columns left in a row goes with a fresh copy.
            found = match heap.large_bytes as i64 + heap.dropped {
                0 => heap::sample(self.session, table, (pages, sampled), heap::WHOLE, "true")?,
                _ => {
                    let columns: Vec<(String, Shape)> =
                        columns.iter().map(|column| (column.name.clone(), column.shape)).collect();
                    let on_page = if heap.rows > 0.0 { heap.rows / pages as f64 } else { 60.0 };
                    let rows = (heap.target, on_page);
                    heap::sample_values(self.session, table, (pages, sampled), &columns, rows)?
                }
            };
            if sampled == pages || 100.0 * 1.96 * found.error / self.page < COARSE {
                break;
            }
        }
        Ok(found)
    }

    /// What the statistics say; nothing where there are none.
    fn guess(&mut self, heap: &Heap, columns: &[Column], one: &mut Bloat) {
        let counted = columns.iter().filter(|column| column.width.is_some()).count();
        if counted == 0 || heap.rows < 0.0 {
            return;
        }
        let row = width(columns);
        let filled = layout::filled(self.page, heap.fill, row, false);
        let fresh = (heap.rows * row / filled).ceil() * self.page;
        one.wasted_bytes = Some(heap.bytes.saturating_sub(fresh as u64));
        one.method = "statistics".to_owned();
        let missing = 20.0 * (columns.len() - counted) as f64 + 10.0 * heap.dropped as f64;
        one.error_points = Some((GUESS + missing + 100.0 * heap.changed.max(0.0)).min(100.0));
    }

    /// All of the table, by the extension.
    fn read_all(&mut self, heap: &Heap, sample: Option<&Sample>, one: &mut Bloat) -> Result<()> {
        let Some(schema) = &self.extension else { return Ok(()) };
        let sql = Sql::new("select tuple_count, tuple_len, dead_tuple_count from ")
            .name(schema)
            .text(".pgstattuple(")
            .bind(heap.oid)
            .text("::oid::regclass)");
        let mut found = Vec::new();
        let outcome = heap::ask(self.session, &sql, &mut |row| {
            found = row;
            Ok(())
        });
        if outcome.is_err() || found.len() < 3 {
            return Ok(());
        }
        self.left = self.left.saturating_sub(heap.bytes);
        let number = |n: usize| found[n].as_int().unwrap_or(0).max(0) as f64;
        let (rows, even) = (number(0).max(1.0), sample.is_some_and(|sample| sample.even));
        // It counts rows without what rounds them up, and with what dropped columns left in them.
        let row = match sample {
            Some(sample) if sample.rows > 0.0 => sample.bytes / sample.rows,
            _ => number(1) / rows + 3.5 + layout::POINTER,
        };
        let fresh = (rows * row / layout::filled(self.page, heap.fill, row, even)).ceil() * self.page;
        one.wasted_bytes = Some(heap.bytes.saturating_sub(fresh as u64));
        one.method = "pgstattuple".to_owned();
        one.error_points = Some(MODEL);
        one.live_rows = Some(rows as u64);
        one.dead_rows = Some(number(2) as u64);
        one.lacks = None;
        Ok(())
    }

    /// The table of large values: read, where that is allowed, else by the rows that refer to it.
    fn large(&mut self, heap: &Heap, sample: Option<&Sample>, pages: u64) -> Result<()> {
        let name = TableName::within(
            heap.name.schema.as_deref().unwrap_or_default(),
            &format!("{} (large values)", heap.name.name),
        );
        let own = (heap.large_bytes as f64 / self.page) as u64;
        let mut one = Bloat {
            name,
            table: heap.name.clone(),
            part: Part::Large,
            bytes: heap.large_bytes,
            wasted_bytes: None,
            method: "none".to_owned(),
            error_points: None,
            live_rows: None,
            dead_rows: None,
            last_vacuum: None,
            lacks: None,
        };
        let sampled = own.min(MANY);
        let cost = (sampled as f64 * self.page) as u64;
        let (live, error) = if heap.large_readable && cost <= self.left {
            self.left -= cost;
            let table =
                self.session.value(&Sql::new("select ").bind(heap.large).text("::oid::regclass::text"))?;
            let table = table.as_text().unwrap_or_default().to_owned();
            let found = heap::sample(self.session, &table, (own, sampled), heap::CHUNK, "true")?;
            one.method = "sample".to_owned();
            (found.bytes * own as f64, found.error / self.page)
        } else if let Some(sample) = sample {
            one.method = "sample of rows".to_owned();
            (sample.outside * pages as f64, 0.03)
        } else {
            one.lacks = Some(("this role may not read it".to_owned(), "measure as its owner".to_owned()));
            self.all.push(one);
            return Ok(());
        };
        let fresh = (live / (self.page - layout::PAGE_HEADER)).ceil() * self.page;
        one.wasted_bytes = Some(heap.large_bytes.saturating_sub(fresh as u64));
        one.error_points = Some(MODEL + 196.0 * error);
        self.all.push(one);
        Ok(())
    }

    fn indexes(
        &mut self,
        heap: &Heap,
        table: &str,
        pages: u64,
        seen: bool,
        live: Option<u64>,
        columns: &[Column],
    ) -> Result<()> {
        let trees = match index::trees(self.session, heap.oid, self.wanted.least_bytes) {
            // Somebody holds the table: its indexes cannot even be asked for their sizes.
            Err(error) if error.class == Class::Transient => return Ok(()),
            trees => trees?,
        };
        for tree in trees {
            let mut one = Bloat {
                name: TableName::within(&tree.schema, &tree.name),
                table: heap.name.clone(),
                part: Part::Index,
                bytes: tree.bytes,
                wasted_bytes: None,
                method: "none".to_owned(),
                error_points: None,
                live_rows: live,
                dead_rows: None,
                last_vacuum: None,
                lacks: None,
            };
            let sampled = pages.min(FEW);
            let cost = (sampled as f64 * self.page) as u64;
            let found = match seen && cost <= self.left {
                true => {
                    self.left -= cost;
                    Some(tree.fresh(self.session, table, (pages, sampled), self.page))
                }
                false => None,
            };
            match found {
                Some(Ok((fresh, error))) => {
                    one.wasted_bytes = Some(tree.bytes.saturating_sub(fresh as u64));
                    one.method = "sample".to_owned();
                    one.error_points = Some(MODEL_OF_INDEX + error);
                }
                Some(Err(error)) if is_gone(&error) => return Err(error),
                other => {
                    let width = columns.iter().filter_map(|column| column.width).fold(8.0, f64::min);
                    if let Some(fresh) = tree.fresh_by_statistics(width, self.page) {
                        one.wasted_bytes = Some(tree.bytes.saturating_sub(fresh as u64));
                        one.method = "statistics".to_owned();
                        one.error_points = Some(2.5 * GUESS);
                    }
                    let why = match other {
                        Some(Err(error)) => error.to_string(),
                        _ => "its table could not be read".to_owned(),
                    };
                    one.lacks = Some((
                        why,
                        "measure as the owner of the table, and allow more: `read_mb`".to_owned(),
                    ));
                }
            }
            if self.wanted.exact && tree.bytes <= self.left {
                self.read_tree(&tree, &mut one);
            }
            self.all.push(one);
        }
        Ok(())
    }

    /// All pages of a b-tree, by the extension: what its leaves hold.
    fn read_tree(&mut self, tree: &index::Tree, one: &mut Bloat) {
        let Some(schema) = &self.extension else { return };
        let sql = Sql::new("select leaf_pages, avg_leaf_density, internal_pages from ")
            .name(schema)
            .text(".pgstatindex(")
            .bind(tree.oid)
            .text("::oid::regclass)");
        let mut found: Row = Vec::new();
        let outcome = heap::ask(self.session, &sql, &mut |row| {
            found = row;
            Ok(())
        });
        if outcome.is_err() || found.len() < 3 {
            return;
        }
        self.left = self.left.saturating_sub(tree.bytes);
        let number =
            |n: usize| found.get(n).and_then(Value::as_real).filter(|n| n.is_finite()).unwrap_or(0.0);
        let fresh = tree.by_density(number(0), number(1), number(2)) * self.page;
        let wasted = tree.bytes.saturating_sub(fresh as u64);
        // Entries of dead rows fill pages too: what the rows themselves say is nearer then.
        if one.method == "sample" && one.wasted_bytes.is_some_and(|known| known > wasted) {
            return;
        }
        one.wasted_bytes = Some(wasted);
        one.method = "pgstatindex".to_owned();
        one.error_points = Some(2.0);
        one.lacks = None;
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.code.as_deref(), Some("42P01" | "XX000"))
}

/// About the bytes of a row, with its pointer: what comes after a value of any length is padded by half of what it may be.
fn width(columns: &[Column]) -> f64 {
    let (mut at, mut known, mut full) = (0.0f64, true, 1.0);
    for column in columns {
        let there = 1.0 - column.nulls;
        full *= there;
        let bytes = column.width.unwrap_or(match column.shape.length {
            fixed if fixed > 0 => fixed as f64,
            _ => 32.0,
        });
        let align = column.shape.align as f64;
        let aligned = column.shape.length > 0 || bytes > 127.0;
        if aligned && known && there == 1.0 {
            at = (at / align).ceil() * align;
        } else if aligned {
            at += there * (align - 1.0) / 2.0;
        }
        known &= column.shape.length > 0 && column.nulls == 0.0;
        at += there * bytes;
    }
    let bitmap = layout::eight(23 + (columns.len() as u64).div_ceil(8)) as f64;
    let data = if known { (at / 8.0).ceil() * 8.0 } else { at + 3.5 };
    full * 24.0 + (1.0 - full) * bitmap + data + layout::POINTER
}
