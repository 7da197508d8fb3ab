//! How big each table is now, and how busy.
//!
//! Rows are what the statistics say, writes what was counted since the counters began. Nothing is walked through.

use super::session::Connected;
use targets::db::{Facts, Result, Row, Sql, TableName, Traffic};

/// Measures every table that the user owns or sees.
pub(super) fn measure(session: &mut Connected) -> Result<Vec<Traffic>> {
    Ok(session.rows(&Sql::new(TABLES))?.into_iter().map(traffic).collect())
}

// The counters of a database that was never reset begin with the server's own; those of a partitioned table are in its
// partitions. A table that was never counted has a negative estimate.
const TABLES: &str = "
    with leaves as (
      select c.oid, c.oid as leaf from pg_class c where c.relkind in ('r', 'm')
      union all
      select c.oid, t.relid::oid
      from pg_class c cross join lateral pg_partition_tree(c.oid) as t
      where c.relkind = 'p' and t.isleaf),
    since as (
      select extract(epoch from clock_timestamp() - coalesce(
               (select stats_reset from pg_stat_database where datname = current_database()),
               (select stats_reset from pg_stat_bgwriter),
               pg_postmaster_start_time()))::double precision as seconds)
    select n.nspname::text, c.relname::text,
           sum(case when l.reltuples < 0 then s.n_live_tup else greatest(l.reltuples, 0) end)::double precision,
           sum(pg_table_size(l.oid))::bigint,
           sum(pg_indexes_size(l.oid))::bigint,
           (sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del) / greatest(min(since.seconds), 1))::double precision
    from leaves
      join pg_class c on c.oid = leaves.oid
      join pg_class l on l.oid = leaves.leaf
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_stat_user_tables s on s.relid = l.oid
      cross join since
    where n.nspname not in ('pg_catalog', 'information_schema', 'sexton') and n.nspname not like 'pg\\_%'
    group by n.nspname, c.relname
    order by n.nspname, c.relname";

fn traffic(row: Row) -> Traffic {
    let text = |n: usize| row[n].as_text().unwrap_or_default();
    let count = |n: usize| row[n].as_int().map(|count| count.max(0) as u64);
    Traffic {
        table: TableName::within(text(0), text(1)),
        rows: row[2].as_real().map(|rows| rows.max(0.0) as u64),
        bytes: count(3),
        index_bytes: count(4),
        writes_per_second: row[5].as_real(),
    }
}
