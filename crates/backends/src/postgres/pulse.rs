//! The signals a throttle looks at.
//!
//! One question for all that everybody may ask; what a role may not see, or what the server does not know, is none. The
//! archive and the disk are asked for by themselves, because most roles may not.

use super::address::Host;
use super::lock::OURS;
use super::session::Connected;
use targets::db::{Class, Disk, Facts, OldTransaction, Pulse, Result, Row, Sql, Value};

/// Takes the pulse.
pub(super) fn take(session: &mut Connected) -> Result<Pulse> {
    let question = format!(
        "with others as materialized ({OTHERS})
         select ({REPLICA_LAG}), ({LOCK_WAITERS}), ({ACTIVE}), ({SLOTS}), current_setting('archive_mode') <> 'off',
                txid_snapshot_xmax(txid_current_snapshot()), ({LATELY}), ({CONNECTIONS}), ({READ}), ({WRITTEN}), o.*
         from (select) as one left join ({OLDEST}) as o on true"
    );
    let Some(row) = one(session, &question.replace("{OURS}", OURS))? else {
        return Ok(Pulse::default());
    };
    let number = |n: usize| row[n].as_int().map(|n| n.max(0) as u64);
    let in_use = others_write(session, row[5].as_int().unwrap_or(0), row[6].as_int().unwrap_or(0));
    let archived = match row[4].as_bool() {
        Some(true) => one(session, ARCHIVER)?.and_then(|row| row[0].as_int()).map(|n| n.max(0) as u64),
        _ => None,
    };
    Ok(Pulse {
        replica_lag_ms: number(0),
        lock_waiters: number(1),
        active_sessions: number(2),
        free_disk_bytes: free_disk(session)?,
        wal_bytes: [number(3), archived].into_iter().max().flatten(),
        connections: number(7),
        read_bytes: number(8),
        written_bytes: number(9),
        oldest: row[10].as_int().map(|_| old_transaction(&row[10..])),
        in_use,
        alone: in_use == Some(false),
    })
}

/// Whether others write anywhere in the cluster, whose log all share; none where only the next look can tell.
///
/// Every transaction that writes takes a number, and everybody may see how far those are. Numbers that this session did
/// not take count where another client was at work lately: autovacuum takes some too.
fn others_write(session: &mut Connected, taken: i64, clients: i64) -> Option<bool> {
    let before = session.numbers.replace((taken, session.written));
    match before {
        _ if clients == 0 => Some(false),
        Some((before, written)) => Some(taken - before > session.written.saturating_sub(written) as i64),
        None => None,
    }
}

/// The first row; none when this role may not ask or the server cannot tell.
fn one(session: &mut Connected, sql: &str) -> Result<Option<Row>> {
    match session.rows(&Sql::new(sql)) {
        Ok(rows) => Ok(rows.into_iter().next()),
        Err(error) if error.class == Class::Transient => Err(error),
        Err(_) => Ok(None),
    }
}

// The functions beneath the system's views, which everybody may call too: to plan the joins of the views took the server four
// times as long as to answer.
const OTHERS: &str = "
    select pid, usesysid, datid, state, query, xact_start, state_change, backend_type
    from pg_stat_get_activity(null)
    where pid <> pg_backend_pid() and coalesce(application_name, '') not like '{OURS}%'";

// A replica that has everything has no lag to report; one that has not answered yet has no place either.
const REPLICA_LAG: &str = "
    select (extract(epoch from max(coalesce(replay_lag, case when replay_lsn is not null then interval '0' end)))
            * 1000)::bigint
    from pg_stat_get_wal_senders()";

const LOCK_WAITERS: &str =
    "select count(distinct pid) from pg_lock_status() where not granted and pid <> pg_backend_pid()";

const ACTIVE: &str = "
    select count(*) from others where state = 'active' and backend_type = 'client backend'";

// Of the sessions of other roles only a role that may sees what they do. Autovacuum has no user.
const LATELY: &str = "
    select count(*) from others
    where usesysid is not null and datid is not null
      and (state is null or state = 'active' or state_change > clock_timestamp() - interval '2 seconds')";

// This session is none of the others.
const CONNECTIONS: &str = "select count(*) + 1 from others where backend_type = 'client backend'";

const READ: &str = "
    select (pg_stat_get_db_blocks_fetched(oid) - pg_stat_get_db_blocks_hit(oid)) * current_setting('block_size')::bigint
    from pg_database where datname = current_database()";

const WRITTEN: &str = "
    select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
                           '0/0')::bigint";

const SLOTS: &str = "
    select max(pg_wal_lsn_diff(
             case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
             restart_lsn))::bigint
    from pg_get_replication_slots()";

const ARCHIVER: &str = "
    select count(*) * (select setting::bigint * case unit when '8kB' then 8192 else 1 end
                       from pg_settings where name = 'wal_segment_size')
    from pg_ls_archive_statusdir()
    where name like '%.ready'";

const OLDEST: &str = "
    select o.pid, extract(epoch from clock_timestamp() - o.xact_start)::double precision, coalesce(o.state, ''),
           left(o.query, 200), array_to_string(pg_blocking_pids(o.pid), ',')
    from (select pid, xact_start, state, query from others
          where xact_start is not null and backend_type = 'client backend'
            and datid = (select oid from pg_database where datname = current_database())
          order by xact_start
          limit 1) as o";

fn old_transaction(row: &[Value]) -> OldTransaction {
    let text = |n: usize| row[n].as_text().unwrap_or_default().to_owned();
    OldTransaction {
        pid: row[0].as_int().unwrap_or(0),
        seconds: row[1].as_real().unwrap_or(0.0).max(0.0),
        state: text(2),
        query: text(3),
        blocked_by: text(4).split(',').filter_map(|pid| pid.parse().ok()).collect(),
    }
}

/// Free bytes at the data folder, only when it is certain that the folder of this very server is on this machine: a
/// forwarded port or a container looks local and is not.
fn free_disk(session: &mut Connected) -> Result<Option<u64>> {
    Ok(session.disk()?.map(|disk| disk.free_bytes))
}

impl Connected {
    /// The disk on which the data folder lies, where that is certain.
    pub fn disk(&mut self) -> Result<Option<Disk>> {
        disk_of(self)
    }
}

fn disk_of(session: &mut Connected) -> Result<Option<Disk>> {
    let local = match session.wire.host() {
        Host::Socket(_) => true,
        Host::Tcp(name, _) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
    };
    if !local {
        return Ok(None);
    }
    if session.data_folder.is_none() {
        let row = one(session, DATA_FOLDER)?;
        session.data_folder = Some(row.and_then(|row| data_folder(&row)));
    }
    Ok(session.data_folder.as_ref().and_then(|known| disk_at(known.as_deref()?)))
}

const DATA_FOLDER: &str =
    "select current_setting('data_directory'), extract(epoch from pg_postmaster_start_time())::bigint";

fn data_folder(row: &[Value]) -> Option<String> {
    let folder = row[0].as_text()?;
    let note = std::fs::read_to_string(format!("{folder}/postmaster.pid")).ok()?;
    let started: i64 = note.lines().nth(2)?.parse().ok()?;
    // The note has whole seconds, written a moment before.
    ((row[1].as_int()? - started).abs() <= 2).then(|| folder.to_owned())
}

fn disk_at(folder: &str) -> Option<Disk> {
    let path = std::ffi::CString::new(folder).ok()?;
    // SAFETY: a statvfs of zeros is a valid one, `path` ends with a zero byte, and both outlive the call.
    let told = unsafe {
        let mut told: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut told) == 0).then_some(told)
    }?;
    #[allow(clippy::unnecessary_cast)] // the fields are narrower on other systems
    let bytes = |blocks: u64| blocks * told.f_frsize as u64;
    Some(Disk {
        total_bytes: bytes(told.f_blocks),
        free_bytes: bytes(told.f_bavail),
        used_bytes: bytes(told.f_blocks - told.f_bfree),
    })
}
