//! What the tables, indexes and materialised views of a PostgreSQL database need, from catalogues and counters.
//!
//! Sizes of a table that somebody holds against everybody are those of its last statistics: asking for its true size would
//! wait for him. What a role may not see of others is made up for by the locks that everybody may see.

use super::leftovers;
use super::session::Connected;
use std::collections::HashMap;
use targets::db::{
    Busy, Facts, IndexUpkeep, Pin, PinKind, Result, Row, Sql, TableName, TableUpkeep, Upkeep, Value,
    ViewUpkeep,
};

/// Everything, or one table with its indexes.
pub(super) fn look(session: &mut Connected, only: Option<&TableName>) -> Result<Upkeep> {
    let version = session.dialect.version();
    let which = match only {
        None => Sql::new("true"),
        Some(table) => Sql::new("c.oid = to_regclass(").bind(table.quoted()).text(")"),
    };
    let busy = busy(session, version)?;
    // Dead rows that are gone must not be told, nor those missed that a vacuum had to leave.
    super::chores::wait_for_figures(session, only)?;
    let tables = session.rows(&Sql::new(&tables_query(version)).add(&which).text(" order by 2, 3"))?;
    let indexes = session.rows(&Sql::new(&indexes_query(version)).add(&which).text(" order by 2, 3"))?;
    let views = session.rows(&Sql::new(&views_query(version)).add(&which).text(" order by 2, 3"))?;
    let reads = session.rows(&Sql::new(READS))?;
    let mut indexes: Vec<IndexUpkeep> = indexes.iter().map(|row| index(row, &busy)).collect();
    leftovers::mark(&mut indexes);
    Ok(Upkeep {
        tables: tables.iter().map(|row| table(row, &busy)).collect(),
        indexes,
        views: Some(views.iter().map(|row| view(row, &busy, &reads)).collect()),
        pins: session.rows(&Sql::new(PINS))?.iter().filter_map(pin).collect(),
        file: None,
    })
}

/// Sexton's own tables are the engine's business, temporary ones nobody's but their session's.
const OURS: &str = "n.nspname not in ('pg_catalog', 'information_schema', 'sexton')
      and n.nspname not like 'pg\\_temp%' and n.nspname not like 'pg\\_toast%' and c.relpersistence <> 't' and ";

/// Tables that somebody holds against everybody.
const LOCKED: &str = "locked as materialized (
      select relation from pg_locks
      where locktype = 'relation' and granted and mode = 'AccessExclusiveLock'
        and database = (select oid from pg_database where datname = current_database()))";

/// Whether this role may do what owners may; from 17 on the right can be granted.
fn maintains(version: u32, owner: &str, table: &str) -> String {
    match version >= 170_000 {
        true => format!(
            "(pg_has_role({owner}, 'usage') or has_table_privilege(current_user, {table}, 'maintain'))"
        ),
        false => format!("pg_has_role({owner}, 'usage')"),
    }
}

fn tables_query(version: u32) -> String {
    let inserted = match version >= 130_000 {
        true => "pg_stat_get_ins_since_vacuum(c.oid)::double precision",
        false => "null::double precision",
    };
    let may = maintains(version, "c.relowner", "c.oid");
    format!(
        "with {LOCKED}
    select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind = 'p',
           greatest(c.reltuples, 0)::double precision,
           coalesce(pg_stat_get_dead_tuples(c.oid), 0)::double precision,
           (s.vt + s.vs * greatest(c.reltuples, 0))::double precision,
           {inserted},
           case when s.it >= 0 then s.it + s.ins * greatest(c.reltuples, 0) end::double precision,
           coalesce(pg_stat_get_mod_since_analyze(c.oid), 0)::double precision,
           (s.at + s.ans * greatest(c.reltuples, 0))::double precision,
           coalesce(pg_stat_get_dead_tuples(l.oid), 0)::double precision,
           (s.vt + s.vs * greatest(coalesce(l.reltuples, 0), 0))::double precision,
           greatest(case when c.relfrozenxid <> '0' then age(c.relfrozenxid) end,
                    case when l.relfrozenxid <> '0' then age(l.relfrozenxid) end, 0)::double precision,
           s.fa::double precision,
           greatest(case when c.relminmxid <> '0' then mxid_age(c.relminmxid) end,
                    case when l.relminmxid <> '0' then mxid_age(l.relminmxid) end, 0)::double precision,
           s.ga::double precision,
           case when k.relation is null then pg_table_size(c.oid)
                else (c.relpages + coalesce(l.relpages, 0))::bigint * current_setting('block_size')::bigint end,
           case when k.relation is null then pg_indexes_size(c.oid)
                else 0 end,
           (extract(epoch from greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))
             * 1000000)::bigint,
           (extract(epoch from greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)))
             * 1000000)::bigint,
           c.relfilenode::bigint,
           {may} or (select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()),
           o.off is not null,
           (select pn.nspname::text from pg_inherits i join pg_class p on p.oid = i.inhparent
              join pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid and p.relkind = 'p'),
           (select p.relname::text from pg_inherits i join pg_class p on p.oid = i.inhparent
             where i.inhrelid = c.oid and p.relkind = 'p')
    from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_class l on l.oid = c.reltoastrelid
      left join locked k on k.relation = c.oid
      cross join lateral (
        select max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold') as vt,
               max(option_value) filter (where option_name = 'autovacuum_vacuum_scale_factor') as vs,
               max(option_value) filter (where option_name = 'autovacuum_vacuum_insert_threshold') as it,
               max(option_value) filter (where option_name = 'autovacuum_vacuum_insert_scale_factor') as ins,
               max(option_value) filter (where option_name = 'autovacuum_analyze_threshold') as at,
               max(option_value) filter (where option_name = 'autovacuum_analyze_scale_factor') as ans,
               max(option_value) filter (where option_name = 'autovacuum_freeze_max_age') as fa,
               max(option_value) filter (where option_name = 'autovacuum_multixact_freeze_max_age') as ga,
               max(option_value) filter (where option_name = 'autovacuum_enabled'
                                           and lower(option_value) in ('false', 'off', 'no', '0')) as off
        from pg_options_to_table(c.reloptions)) as o
      cross join lateral (
        select coalesce(o.vt, current_setting('autovacuum_vacuum_threshold'))::double precision as vt,
               coalesce(o.vs, current_setting('autovacuum_vacuum_scale_factor'))::double precision as vs,
               coalesce(o.it, current_setting('autovacuum_vacuum_insert_threshold', true))::double precision as it,
               coalesce(o.ins, current_setting('autovacuum_vacuum_insert_scale_factor', true))::double precision as ins,
               coalesce(o.at, current_setting('autovacuum_analyze_threshold'))::double precision as at,
               coalesce(o.ans, current_setting('autovacuum_analyze_scale_factor'))::double precision as ans,
               least(o.fa::bigint, current_setting('autovacuum_freeze_max_age')::bigint) as fa,
               least(o.ga::bigint, current_setting('autovacuum_multixact_freeze_max_age')::bigint) as ga) as s
    where c.relkind in ('r', 'm', 'p') and {OURS}"
    )
}

fn table(row: &Row, busy: &HashMap<i64, Busy>) -> TableUpkeep {
    let real = |n: usize| row[n].as_real().unwrap_or(0.0);
    let parent = row[24].as_text().zip(row[25].as_text());
    TableUpkeep {
        partitioned: row[3].as_bool().unwrap_or(false),
        parent: parent.map(|(schema, name)| TableName::within(schema, name)),
        rows: real(4),
        dead: real(5),
        dead_limit: real(6),
        inserted: row[7].as_real(),
        insert_limit: row[8].as_real(),
        changed: real(9),
        change_limit: real(10),
        long_dead: real(11),
        long_dead_limit: real(12),
        age: real(13),
        age_limit: real(14),
        group_age: real(15),
        group_age_limit: real(16),
        bytes: bytes(&row[17]),
        index_bytes: bytes(&row[18]),
        vacuumed_us: row[19].as_int(),
        analyzed_us: row[20].as_int(),
        node: row[21].as_int().unwrap_or(0),
        may: row[22].as_bool().unwrap_or(false),
        neglected: row[23].as_bool().unwrap_or(false),
        busy: row[0].as_int().and_then(|oid| busy.get(&oid)).cloned(),
        ..TableUpkeep::unknown(name(row))
    }
}

// Indexes of long values lie in a schema that not every role may enter. The bloat of a tree is what it has beyond the pages
// that its entries would fill to its fillfactor: entries as wide as the statistics say, with eight bytes of their own and
// four of the page. Entries that share a key take less, so the share is too small for them rather than too large.
fn indexes_query(version: u32) -> String {
    let may = maintains(version, "c.relowner", "c.oid");
    format!(
        "with {LOCKED},
    widths as materialized (
      select schemaname, tablename, attname, max(avg_width * (1 - null_frac)) as width
      from pg_stats group by schemaname, tablename, attname)
    select c.oid::bigint, xn.nspname::text, x.relname::text, n.nspname::text, c.relname::text,
           i.indisvalid, i.indisexclusion, a.amname::text,
           case when k.relation is null then pg_relation_size(x.oid)
                else x.relpages::bigint * current_setting('block_size')::bigint end,
           x.relfilenode::bigint,
           {may} and has_schema_privilege(xn.oid, 'usage'),
           case when a.amname = 'btree' and x.relpages > 1 and x.reltuples >= 0 and w.missing = 0 then
             greatest(0, 100 * (1 - (2 + ceil(x.reltuples * (8 + 8 * ceil(w.width / 8) + 4)
                                     / ((current_setting('block_size')::bigint - 40) * f.fill / 100))) / x.relpages))
           end::double precision
    from pg_index i
      join pg_class x on x.oid = i.indexrelid
      join pg_namespace xn on xn.oid = x.relnamespace
      join pg_class h on h.oid = i.indrelid
      left join pg_class o on o.reltoastrelid = h.oid
      join pg_class c on c.oid = coalesce(o.oid, h.oid)
      join pg_namespace n on n.oid = c.relnamespace
      join pg_am a on a.oid = x.relam
      left join locked k on k.relation = any (array[x.oid, h.oid])
      cross join lateral (
        select coalesce(max(option_value) filter (where option_name = 'fillfactor'), '90')::double precision as fill
        from pg_options_to_table(x.reloptions)) as f
      cross join lateral (
        select coalesce(sum(s.width), 0) as width, count(*) filter (where s.width is null) as missing
        from unnest(i.indkey::int2[]) with ordinality as u (number, place)
          left join pg_attribute t on t.attrelid = h.oid and t.attnum = u.number and u.number > 0
          left join pg_attribute e on e.attrelid = x.oid and e.attnum = u.place and u.number = 0
          left join widths s on s.schemaname = n.nspname
            and s.tablename = case when u.number > 0 then h.relname else x.relname end
            and s.attname = coalesce(t.attname, e.attname)) as w
    where x.relkind = 'i' and {OURS}"
    )
}

fn index(row: &Row, busy: &HashMap<i64, Busy>) -> IndexUpkeep {
    let text = |n: usize| row[n].as_text().unwrap_or_default();
    IndexUpkeep {
        name: name(row),
        table: TableName::within(text(3), text(4)),
        valid: row[5].as_bool().unwrap_or(false),
        exclusion: row[6].as_bool().unwrap_or(false),
        method: text(7).to_owned(),
        bytes: bytes(&row[8]),
        node: row[9].as_int().unwrap_or(0),
        left_by: None,
        may: row[10].as_bool().unwrap_or(false),
        bloat_percent: row[11].as_real(),
        busy: row[0].as_int().and_then(|oid| busy.get(&oid)).cloned(),
    }
}

// The same conditions under which the server fills a view beside its readers.
fn views_query(version: u32) -> String {
    let may = maintains(version, "c.relowner", "c.oid");
    format!(
        "with {LOCKED}
    select c.oid::bigint, n.nspname::text, c.relname::text, c.relispopulated,
           (select x.relname::text from pg_index i join pg_class x on x.oid = i.indexrelid
            where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null
              and i.indexprs is null
            order by x.relname limit 1),
           case when k.relation is null then pg_table_size(c.oid)
                else c.relpages::bigint * current_setting('block_size')::bigint end,
           c.relfilenode::bigint,
           {may}
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join locked k on k.relation = c.oid
    where c.relkind = 'm' and {OURS}"
    )
}

const READS: &str = "
    with recursive uses as (
      select distinct r.ev_class as view, d.refobjid as what
      from pg_rewrite r
        join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
          and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class),
    reach as (
      select u.view, u.what from uses u join pg_class c on c.oid = u.view where c.relkind = 'm'
      union
      select reach.view, u.what
      from reach join pg_class c on c.oid = reach.what and c.relkind = 'v' join uses u on u.view = reach.what)
    select distinct reach.view::bigint, n.nspname::text, c.relname::text
    from reach join pg_class c on c.oid = reach.what and c.relkind = 'm' join pg_namespace n on n.oid = c.relnamespace
    order by 1, 2, 3";

fn view(row: &Row, busy: &HashMap<i64, Busy>, reads: &[Row]) -> ViewUpkeep {
    let own = reads.iter().filter(|read| read[0] == row[0]);
    ViewUpkeep {
        name: name(row),
        populated: row[3].as_bool().unwrap_or(false),
        unique: row[4].as_text().map(str::to_owned),
        reads: own.map(name).collect(),
        bytes: bytes(&row[5]),
        node: row[6].as_int().unwrap_or(0),
        may: row[7].as_bool().unwrap_or(false),
        busy: row[0].as_int().and_then(|oid| busy.get(&oid)).cloned(),
    }
}

/// By table: what the server tells of work in progress, else locks that only such work takes.
fn busy(session: &mut Connected, version: u32) -> Result<HashMap<i64, Busy>> {
    let mut parts = vec![
        // Tables of a database that was copied from another one have the same numbers as there.
        "select relid::bigint, pid::bigint, 'vacuum', false, 1
         from pg_stat_progress_vacuum where datname = current_database()",
        "select relid::bigint, pid::bigint, 'create index', true, 0
         from pg_stat_progress_create_index where datname = current_database()",
        "select relid::bigint, pid::bigint, 'cluster', false, 1
         from pg_stat_progress_cluster where datname = current_database()",
        // The table of long values is worked on for its owner's sake.
        "select o.oid::bigint, v.pid::bigint, 'vacuum', false, 1
         from pg_stat_progress_vacuum v join pg_class o on o.reltoastrelid = v.relid
         where v.datname = current_database()",
        "select l.relation::bigint, l.pid::bigint, l.mode::text, l.mode = 'ShareUpdateExclusiveLock', 2
         from pg_locks l
         where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
           and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                          'AccessExclusiveLock')
           and l.database = (select oid from pg_database where datname = current_database())",
    ];
    if version >= 130_000 {
        parts.push(
            "select relid::bigint, pid::bigint, 'analyze', false, 1
             from pg_stat_progress_analyze where datname = current_database()",
        );
    }
    let all = parts.join(" union all ");
    let query = format!(
        "select * from ({all}) as w (relation, pid, work, builds, rank)
         where relation is not null and pid <> pg_backend_pid() order by rank"
    );
    let mut busy: HashMap<i64, Busy> = HashMap::new();
    for row in session.rows(&Sql::new(&query))? {
        let (Some(table), Some(pid)) = (row[0].as_int(), row[1].as_int()) else { continue };
        let work = row[2].as_text().unwrap_or_default().to_owned();
        let known = busy.values().any(|known| known.pid == pid && !known.work.ends_with("Lock"));
        // A vacuum holds such a lock as well.
        let builds = row[3].as_bool().unwrap_or(false) && !known;
        busy.entry(table).or_insert(Busy { pid, work, builds });
    }
    Ok(busy)
}

const PINS: &str = "
    select 'session', 'pid ' || pid, greatest(age(backend_xmin), age(backend_xid))::double precision,
           extract(epoch from clock_timestamp() - xact_start)::double precision,
           coalesce(state, '') || ': ' || left(coalesce(query, ''), 200),
           'select pg_terminate_backend(' || pid || ')'
    from pg_stat_activity
    where (backend_xmin is not null or backend_xid is not null) and pid <> pg_backend_pid()
      and backend_type not in ('walsender', 'autovacuum worker')
      and (datname = current_database() or datname is null)
    union all
    select 'slot', slot_name::text, greatest(age(xmin), age(catalog_xmin))::double precision, null::double precision,
           slot_type || case when active then ', in use' else ', nobody uses it' end,
           'select pg_drop_replication_slot(' || quote_literal(slot_name) || ')'
    from pg_replication_slots where xmin is not null or catalog_xmin is not null
    union all
    select 'prepared', gid, age(transaction)::double precision,
           extract(epoch from clock_timestamp() - prepared)::double precision,
           'prepared by ' || owner, 'rollback prepared ' || quote_literal(gid)
    from pg_prepared_xacts
    union all
    select 'standby', coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid),
           age(backend_xmin)::double precision, null::double precision,
           'hot_standby_feedback is on there', 'end the long query on the standby'
    from pg_stat_replication where backend_xmin is not null
    order by 3 desc nulls last";

fn pin(row: &Row) -> Option<Pin> {
    let text = |n: usize| row[n].as_text().unwrap_or_default().to_owned();
    let kind = match row[0].as_text()? {
        "session" => PinKind::Session,
        "slot" => PinKind::Slot,
        "prepared" => PinKind::Prepared,
        _ => PinKind::Standby,
    };
    Some(Pin {
        kind,
        name: text(1),
        age: row[2].as_real().unwrap_or(0.0),
        seconds: row[3].as_real().map(|seconds| seconds.max(0.0)),
        about: text(4),
        release: text(5),
    })
}

fn name(row: &Row) -> TableName {
    TableName::within(row[1].as_text().unwrap_or_default(), row[2].as_text().unwrap_or_default())
}

fn bytes(value: &Value) -> u64 {
    value.as_int().unwrap_or(0).max(0) as u64
}
