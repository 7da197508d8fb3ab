//! Counters, transaction ids and what pins them, replicas and the archive, settings.

use super::{Look, count, flag, number, optional, real, text};
use targets::db::{
    Archive, Counters, Horizon, Pinned, PinnedBy, Replica, Replication, Result, Setting, SlotFacts,
    without_literals,
};

pub(super) fn counters(look: &mut Look) -> Result<Counters> {
    let row = look.first(
        "select extract(epoch from clock_timestamp() - coalesce(d.stats_reset, pg_postmaster_start_time()))::double precision,
                d.blks_hit, d.blks_read, d.xact_commit, d.xact_rollback, d.temp_bytes, d.deadlocks,
                coalesce(d.checksum_failures, 0),
                (select coalesce(sum(i.idx_blks_hit), 0)::bigint from pg_statio_user_indexes i),
                (select coalesce(sum(i.idx_blks_read), 0)::bigint from pg_statio_user_indexes i)
         from pg_stat_database d where d.datname = current_database()",
    )?;
    let checkpoints = look.first(match look.version() {
        170_000.. => "select num_timed, num_requested from pg_stat_checkpointer",
        _ => "select checkpoints_timed, checkpoints_req from pg_stat_bgwriter",
    })?;
    Ok(Counters {
        seconds: real(&row, 0),
        hits: number(&row, 1),
        reads: number(&row, 2),
        commits: number(&row, 3),
        rollbacks: number(&row, 4),
        temp_bytes: number(&row, 5),
        deadlocks: number(&row, 6),
        checksum_failures: number(&row, 7),
        index_hits: number(&row, 8),
        index_reads: number(&row, 9),
        checkpoints_timed: number(&checkpoints, 0),
        checkpoints_asked: number(&checkpoints, 1),
    })
}

pub(super) fn horizon(look: &mut Look) -> Result<Horizon> {
    let row = look.first(
        "select age(d.datfrozenxid)::bigint, mxid_age(d.datminmxid)::bigint,
                current_setting('autovacuum_freeze_max_age')::bigint,
                current_setting('autovacuum_multixact_freeze_max_age')::bigint,
                txid_snapshot_xmax(txid_current_snapshot())
         from pg_database d where d.datname = current_database()",
    )?;
    // Ids of a standby's primary come through its slot or through what it sends back; a session's own snapshot is that of
    // its statement, so an open transaction without one pins nothing.
    let pins = look.ask(
        "select * from (
           select 'session', a.pid::text, concat_ws(' ', nullif(a.application_name, ''), nullif(a.usename::text, '')),
                  greatest(age(a.backend_xmin), age(a.backend_xid))::bigint,
                  extract(epoch from clock_timestamp() - a.xact_start)::double precision,
                  coalesce(a.state, a.backend_type, '') || '\u{1f}' || coalesce(a.query, '')
           from pg_stat_activity a
           where (a.backend_xmin is not null or a.backend_xid is not null) and a.pid <> pg_backend_pid()
             and (a.datname = current_database() or a.datname is null) and a.backend_type <> 'walsender'
             and coalesce(a.query, '') not like 'autovacuum:%'
           union all
           select 'prepared', p.gid, p.owner::text, age(p.transaction)::bigint,
                  extract(epoch from clock_timestamp() - p.prepared)::double precision, 'prepared'
           from pg_prepared_xacts p where p.database = current_database()
           union all
           select 'slot', s.slot_name::text, s.slot_type, greatest(age(s.xmin), age(s.catalog_xmin))::bigint, null,
                  case when s.active then 'active' else 'inactive' end
           from pg_replication_slots s where s.xmin is not null or s.catalog_xmin is not null
           union all
           select 'standby', coalesce(nullif(r.application_name, ''), r.pid::text), coalesce(host(r.client_addr), ''),
                  age(r.backend_xmin)::bigint, null, coalesce(r.state, '')
           from pg_stat_replication r where r.backend_xmin is not null
         ) as pins (kind, name, who, age, seconds, state)
         order by age desc nulls last, seconds desc nulls last
         limit 20",
    )?;
    Ok(Horizon {
        xid_age: number(&row, 0),
        multixact_age: number(&row, 1),
        freeze_at: number(&row, 2),
        multixact_freeze_at: number(&row, 3),
        given: number(&row, 4),
        pins: pins
            .iter()
            .map(|row| {
                let state = text(row, 5);
                let (state, query) = state.split_once('\u{1f}').unwrap_or((&state, ""));
                let query = without_literals(query, 100);
                Pinned {
                    kind: match text(row, 0).as_str() {
                        "session" => PinnedBy::Session,
                        "prepared" => PinnedBy::Prepared,
                        "slot" => PinnedBy::Slot,
                        _ => PinnedBy::Standby,
                    },
                    name: text(row, 1),
                    who: text(row, 2),
                    age: number(row, 3),
                    seconds: real(row, 4),
                    state: if query.is_empty() { state.to_owned() } else { format!("{state}: {query}") },
                }
            })
            .collect(),
    })
}

pub(super) fn replication(look: &mut Look, standby: bool) -> Result<Replication> {
    let place = match standby {
        true => "pg_last_wal_replay_lsn()",
        false => "pg_current_wal_lsn()",
    };
    let behind = look.first(
        "select case when pg_is_in_recovery() then case
                  when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
                  else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end end::double precision",
    )?;
    let replicas = look.ask(&format!(
        "select coalesce(nullif(application_name, ''), pid::text), coalesce(state, ''),
                extract(epoch from replay_lag)::double precision,
                greatest(pg_wal_lsn_diff({place}, replay_lsn), 0)::bigint, coalesce(sync_state, '') in ('sync', 'quorum')
         from pg_stat_replication
         where application_name not in ('pg_basebackup') order by 4 desc nulls last limit 50"
    ))?;
    let status = if look.version() >= 130_000 { "wal_status" } else { "null::text" };
    let slots = look.ask(&format!(
        "select slot_name::text, slot_type, active, greatest(pg_wal_lsn_diff({place}, restart_lsn), 0)::bigint, {status}
         from pg_replication_slots where not temporary order by 4 desc nulls last limit 50"
    ))?;
    let archive = look.first(
        "select current_setting('archive_mode') <> 'off', archived_count, failed_count,
                extract(epoch from clock_timestamp() - last_archived_time)::double precision,
                extract(epoch from clock_timestamp() - last_failed_time)::double precision, last_failed_wal
         from pg_stat_archiver",
    )?;
    Ok(Replication {
        standby,
        behind_seconds: real(&behind, 0),
        replicas: replicas
            .iter()
            .map(|row| Replica {
                name: text(row, 0),
                state: text(row, 1),
                lag_seconds: real(row, 2),
                lag_bytes: count(row, 3),
                synchronous: flag(row, 4),
            })
            .collect(),
        slots: slots
            .iter()
            .map(|row| SlotFacts {
                name: text(row, 0),
                kind: text(row, 1),
                active: flag(row, 2),
                kept_bytes: count(row, 3),
                status: optional(row, 4),
            })
            .collect(),
        archive: Archive {
            on: flag(&archive, 0),
            archived: number(&archive, 1),
            failed: number(&archive, 2),
            last_seconds: real(&archive, 3),
            last_failed_seconds: real(&archive, 4),
            last_failed: optional(&archive, 5),
        },
    })
}

const SETTINGS: &[&str] = &[
    "autovacuum",
    "track_counts",
    "fsync",
    "full_page_writes",
    "shared_buffers",
    "max_connections",
    "max_wal_size",
    "work_mem",
    "maintenance_work_mem",
    "wal_level",
    "archive_mode",
    "max_slot_wal_keep_size",
    "idle_in_transaction_session_timeout",
    "data_checksums",
    "old_snapshot_threshold",
    "synchronous_commit",
    "zero_damaged_pages",
    "ignore_checksum_failure",
];

pub(super) fn settings(look: &mut Look) -> Result<Vec<Setting>> {
    let names: Vec<String> = SETTINGS.iter().map(|name| format!("'{name}'")).collect();
    let rows = look.ask(&format!(
        "select name, current_setting(name), source from pg_settings where name in ({}) order by name",
        names.join(", ")
    ))?;
    Ok(rows
        .iter()
        .map(|row| Setting { name: text(row, 0), value: text(row, 1), source: text(row, 2) })
        .collect())
}
