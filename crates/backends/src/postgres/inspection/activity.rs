//! Who is connected, who waits for whom, and what takes the time.

use super::{Look, count, flag, number, optional, real, text};
use targets::db::{Class, Connections, Lock, Result, Slow, Talker, without_literals};

/// So much of a statement is shown.
const SHOWN: usize = 160;

pub(super) fn connections(look: &mut Look) -> Result<Connections> {
    let states = look.ask(
        "select coalesce(state, case when query = '<insufficient privilege>' then 'hidden' else 'unknown' end), count(*)
         from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()
         group by 1 order by 2 desc, 1",
    )?;
    let whole = look.first(
        "select (select count(*) from pg_stat_activity
                 where backend_type = 'client backend' or backend_type is null and usesysid is not null),
                current_setting('max_connections')::bigint,
                current_setting('superuser_reserved_connections')::bigint
                  + coalesce(current_setting('reserved_connections', true)::bigint, 0),
                exists (select from pg_stat_activity where query = '<insufficient privilege>')",
    )?;
    Ok(Connections {
        by_state: states.iter().map(|row| (text(row, 0), number(row, 1))).collect(),
        all: number(&whole, 0),
        limit: count(&whole, 1),
        reserved: number(&whole, 2),
        talkers: talkers(look)?,
        hidden: flag(&whole, 3),
    })
}

// Who blocks whom is asked only of those that wait: the question holds up the server's lock table for a moment. Those who
// block are listed too, whatever they do.
fn talkers(look: &mut Look) -> Result<Vec<Talker>> {
    let rows = look.ask(
        "with others as materialized (
           select a.* from pg_stat_activity a
           where a.pid <> pg_backend_pid() and a.datname = current_database()),
         waiting as materialized (
           select pid, pg_blocking_pids(pid) as blockers from others where wait_event_type = 'Lock'),
         blocking as (select distinct unnest(blockers) as pid from waiting)
         select a.pid::bigint, coalesce(a.application_name, ''), coalesce(a.usename::text, ''),
                coalesce(a.state, a.backend_type, ''),
                extract(epoch from clock_timestamp() - a.xact_start)::double precision,
                extract(epoch from clock_timestamp() - coalesce(a.state_change, a.query_start, a.xact_start))::double precision,
                a.wait_event_type || ': ' || a.wait_event,
                array_to_string(w.blockers, ','), coalesce(a.query, '')
         from others a left join waiting w on w.pid = a.pid
         where w.pid is not null or a.pid in (select pid from blocking)
            or (a.backend_type = 'client backend' and a.xact_start < clock_timestamp() - interval '5 seconds')
         order by w.pid is null, a.xact_start
         limit {MOST}",
    )?;
    Ok(rows
        .iter()
        .map(|row| Talker {
            pid: row[0].as_int().unwrap_or(0),
            application: text(row, 1),
            user: text(row, 2),
            state: text(row, 3),
            transaction_seconds: real(row, 4).map(|seconds| seconds.max(0.0)),
            state_seconds: real(row, 5).unwrap_or(0.0).max(0.0),
            waits_for: optional(row, 6),
            blocked_by: text(row, 7).split(',').filter_map(|pid| pid.parse().ok()).collect(),
            query: without_literals(&text(row, 8), SHOWN),
        })
        .collect())
}

pub(super) fn locks(look: &mut Look) -> Result<Vec<Lock>> {
    let rows = look.ask(
        "select l.pid::bigint,
                case when n.nspname = 'public' then c.relname::text else n.nspname::text || '.' || c.relname::text end,
                l.mode, l.granted
         from pg_locks l
           join pg_class c on c.oid = l.relation
           join pg_namespace n on n.oid = c.relnamespace
         where l.locktype = 'relation' and l.pid <> pg_backend_pid() and c.relkind in ('r', 'p', 'm', 'S')
           and l.database = (select oid from pg_database where datname = current_database())
           and n.nspname not in ('pg_catalog', 'information_schema')
         order by l.granted, l.mode = 'AccessShareLock', l.pid, c.relname
         limit {MOST}",
    )?;
    Ok(rows
        .iter()
        .map(|row| Lock {
            pid: row[0].as_int().unwrap_or(0),
            table: text(row, 1),
            mode: text(row, 2),
            granted: flag(row, 3),
        })
        .collect())
}

/// None where the extension is not in use.
pub(super) fn slow(look: &mut Look) -> Result<Option<Vec<Slow>>> {
    let own = "select quote_ident(n.nspname), (string_to_array(e.extversion, '.'))[2]::bigint
               from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'";
    let Some(found) = look.ask(own)?.into_iter().next() else { return Ok(None) };
    let (schema, minor) = (text(&found, 0), number(&found, 1));
    // Planning is counted apart since 1.8.
    let (total, mean) =
        if minor >= 8 { ("total_exec_time", "mean_exec_time") } else { ("total_time", "mean_time") };
    let question = format!(
        "with own as materialized (
           select s.query, s.calls, s.{mean}, s.{total}, s.rows, sum(s.{total}) over () as everything
           from {schema}.pg_stat_statements s
           where s.dbid = (select oid from pg_database where datname = current_database()))
         select query, calls, {mean}::double precision, {total}::double precision,
                ({total} / nullif(everything, 0))::double precision, rows
         from own order by {total} desc limit 20"
    );
    match look.ask(&question) {
        Ok(rows) => Ok(Some(
            rows.iter()
                .map(|row| Slow {
                    query: without_literals(&text(row, 0), SHOWN),
                    calls: number(row, 1),
                    mean_ms: real(row, 2).unwrap_or(0.0),
                    total_ms: real(row, 3).unwrap_or(0.0),
                    share: real(row, 4).unwrap_or(0.0),
                    rows: number(row, 5),
                })
                .collect(),
        )),
        // A lost connection, or no time.
        Err(error) if error.class == Class::Transient => Err(error),
        // Made, but not loaded with the server; or not for this role.
        Err(_) => Ok(None),
    }
}
