//! Tables and indexes.

use super::{Look, count, flag, list, number, optional, real, text};
use targets::db::{IndexFacts, Result, Row, TableFacts, TableName};

/// From this size on a table is worth being divided, and its order is looked at.
const LARGE: &str = "134217728";

pub(super) fn tables(look: &mut Look) -> Result<Vec<TableFacts>> {
    let sized = TABLES.replace("{LARGE}", LARGE);
    let rows = look.ask(&sized.replace("{UNHELD}", "not held"))?;
    Ok(rows.iter().map(table).collect())
}

// Sizes as `df` of a table: `pg_table_size` counts what lies outside of the rows too. A table that was never counted has a
// negative estimate; what the counters saw is better then. Thresholds of autovacuum may be set for each table.
const TABLES: &str = "
    with {HELD},
    own as materialized (
      select c.oid, n.nspname, c.relname, c.relispartition, c.reltuples, c.relpages, c.reltoastrelid, c.relfrozenxid,
             c.reloptions, c.relhasindex, c.relkind, c.oid in (select oid from held_tables) as held
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and c.relpersistence <> 't' and {OURS}),
    sized as materialized (
      select o.*,
             case when held then o.relpages::bigint * current_setting('block_size')::bigint
                  else pg_table_size(o.oid) end as bytes,
             case when not held then pg_relation_size(o.oid) end as heap,
             case when not held and o.reltoastrelid <> 0 then pg_total_relation_size(o.reltoastrelid) end as toast,
             case when not held then pg_indexes_size(o.oid)
                  else (select coalesce(sum(ic.relpages::bigint), 0)::bigint * current_setting('block_size')::bigint
                        from pg_index i join pg_class ic on ic.oid = i.indexrelid where i.indrelid = o.oid) end as index_bytes,
             coalesce((select option_value from pg_options_to_table(o.reloptions)
                       where option_name = 'autovacuum_vacuum_threshold'),
                      current_setting('autovacuum_vacuum_threshold'))::double precision as threshold,
             coalesce((select option_value from pg_options_to_table(o.reloptions)
                       where option_name = 'autovacuum_vacuum_scale_factor'),
                      current_setting('autovacuum_vacuum_scale_factor'))::double precision as scale,
             coalesce((select option_value from pg_options_to_table(o.reloptions)
                       where option_name = 'autovacuum_enabled'), 'on') in ('off', 'false', 'no', '0') as autovacuum_off
      from own o)
    select o.nspname::text, o.relname::text, o.relispartition,
           case when o.reltuples > 0 then o.reltuples::double precision
                when s.n_live_tup > 0 or o.reltuples = 0 or o.heap = 0
                then coalesce(s.n_live_tup, 0)::double precision end,
           o.bytes, o.toast, o.index_bytes, o.held,
           s.seq_scan, s.seq_tup_read, s.idx_scan, s.n_tup_ins, s.n_tup_upd, s.n_tup_del, s.n_dead_tup, s.n_mod_since_analyze,
           extract(epoch from greatest(s.last_vacuum, s.last_autovacuum))::bigint,
           extract(epoch from greatest(s.last_analyze, s.last_autoanalyze))::bigint,
           coalesce(s.last_analyze, s.last_autoanalyze) is not null or o.reltuples > 0,
           case when o.relfrozenxid <> '0' then greatest(
             age(o.relfrozenxid), (select age(t.relfrozenxid) from pg_class t where t.oid = o.reltoastrelid))::bigint end,
           o.autovacuum_off,
           (o.threshold + o.scale * greatest(o.reltuples, 0))::bigint,
           exists (select from pg_index i
                   where i.indrelid = o.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
                     and not exists (
                       select from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
                         left join pg_attribute a on a.attrelid = o.oid and a.attnum = k.attnum
                       where k.n <= i.indnkeyatts and not coalesce(a.attnotnull, false))),
           case when o.bytes >= {LARGE} then (
             select a.attname::text
             from pg_attribute a
               join pg_stats p on p.schemaname = o.nspname and p.tablename = o.relname and p.attname = a.attname
             where a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
               and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
               and p.correlation >= 0.95 and (p.n_distinct < -0.01 or p.n_distinct > 20) and p.null_frac < 0.01
             order by p.correlation desc limit 1) end,
           o.relkind = 'm'
    from sized o left join pg_stat_all_tables s on s.relid = o.oid
    order by o.nspname, o.relname";

fn table(row: &Row) -> TableFacts {
    let materialized = flag(row, 24);
    TableFacts {
        partition: flag(row, 2),
        rows: real(row, 3).map(|rows| rows.max(0.0) as u64),
        bytes: count(row, 4),
        toast_bytes: count(row, 5),
        index_bytes: count(row, 6),
        held: flag(row, 7),
        seq_scans: count(row, 8),
        seq_rows: count(row, 9),
        index_scans: count(row, 10),
        inserted: number(row, 11),
        updated: number(row, 12),
        deleted: number(row, 13),
        dead_rows: count(row, 14),
        changed_since_analyze: count(row, 15),
        last_vacuum: row.get(16).and_then(targets::db::Value::as_int),
        last_analyze: row.get(17).and_then(targets::db::Value::as_int),
        analyzed: flag(row, 18),
        xid_age: count(row, 19),
        autovacuum_off: flag(row, 20),
        vacuum_at: count(row, 21),
        // A materialized view needs a key only to be refreshed beside its readers.
        has_key: flag(row, 22) || materialized,
        grows_by: optional(row, 23),
        ..TableFacts::of(TableName::within(&text(row, 0), &text(row, 1)))
    }
}

pub(super) fn indexes(look: &mut Look) -> Result<Vec<IndexFacts>> {
    let last = match look.version() {
        160_000.. => "extract(epoch from pg_stat_get_lastscan(o.indexrelid))::bigint",
        _ => "null::bigint",
    };
    let rows = look.ask(&INDEXES.replace("{LAST}", last))?;
    Ok(rows.iter().map(index).collect())
}

// How a part compares: its expression, operator class, collation and direction. Expressions can only be read from a table
// that nobody holds.
const INDEXES: &str = "
    with {HELD},
    building as materialized (
      select index_relid from pg_stat_progress_create_index where index_relid <> 0),
    own as materialized (
      select i.*, n.nspname, c.relname as table_name, tn.nspname as index_schema, ic.relname,
             ic.relispartition or ic.relkind = 'I' as relispartition, ic.relpages,
             am.amname, i.indrelid in (select oid from held_tables) as held
      from pg_index i
        join pg_class c on c.oid = i.indrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_class ic on ic.oid = i.indexrelid
        join pg_namespace tn on tn.oid = ic.relnamespace
        join pg_am am on am.oid = ic.relam
      where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and i.indislive and {OURS}),
    parts as (
      select o.indexrelid,
             string_agg(
               case when a.attname is not null then a.attname::text
                    when o.held then 'expression ' || k.n
                    else pg_get_indexdef(o.indexrelid, k.n::int, true) end
               || ' ' || o.indclass[k.n - 1]::text || ' ' || o.indcollation[k.n - 1]::text
               || ' ' || o.indoption[k.n - 1]::text, e'\\x1f' order by k.n)
               filter (where k.n <= o.indnkeyatts) as parts,
             string_agg(coalesce(a.attname::text, ''), e'\\x1f' order by k.n)
               filter (where k.n <= o.indnkeyatts) as columns,
             string_agg(a.attname::text, e'\\x1f' order by k.n) filter (where k.n > o.indnkeyatts) as carried
      from own o
        cross join lateral unnest(o.indkey::int2[]) with ordinality as k (attnum, n)
        left join pg_attribute a on a.attrelid = o.indrelid and a.attnum = k.attnum and k.attnum <> 0
      group by o.indexrelid)
    select o.index_schema::text, o.relname::text, o.nspname::text, o.table_name::text,
           case when not o.held then pg_get_indexdef(o.indexrelid) end,
           o.amname::text, p.parts, p.columns, p.carried,
           case when o.indpred is null then null when o.held then 'held' else pg_get_expr(o.indpred, o.indrelid) end,
           case when o.held then o.relpages::bigint * current_setting('block_size')::bigint
                else pg_relation_size(o.indexrelid) end,
           pg_stat_get_numscans(o.indexrelid), {LAST},
           o.indisunique, o.indisprimary,
           (select k.conname::text from pg_constraint k
            where k.conindid = o.indexrelid and k.contype in ('p', 'u', 'x') limit 1),
           o.indisreplident or o.indisclustered, o.indisvalid and o.indisready,
           o.indexrelid in (select index_relid from building), o.relispartition, o.indisexclusion
    from own o join parts p on p.indexrelid = o.indexrelid
    order by o.nspname, o.table_name, o.relname";

fn index(row: &Row) -> IndexFacts {
    IndexFacts {
        name: TableName::within(&text(row, 0), &text(row, 1)),
        table: TableName::within(&text(row, 2), &text(row, 3)),
        definition: optional(row, 4),
        method: text(row, 5),
        parts: list(row, 6),
        columns: list(row, 7).into_iter().map(|name| Some(name).filter(|name| !name.is_empty())).collect(),
        carried: list(row, 8),
        only: optional(row, 9),
        bytes: count(row, 10),
        scans: count(row, 11),
        last_scan: row.get(12).and_then(targets::db::Value::as_int),
        unique: flag(row, 13) || flag(row, 20),
        primary: flag(row, 14),
        constraint: optional(row, 15),
        identity: flag(row, 16),
        valid: flag(row, 17),
        building: flag(row, 18),
        attached: flag(row, 19),
    }
}
