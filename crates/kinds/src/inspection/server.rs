//! The server as a whole: settings that hurt, damage, the archive, replicas, the cache.
//!
//! Settings are told only where a figure shows that they hurt, or where they put data at risk. No folklore.

use super::{DAY, Found, GIGABYTE, lasting, percent};
use engine::words::{bytes, count};
use targets::db::{Inspection, Replication};

pub fn judge(all: &Inspection, found: &mut Found) {
    settings(all, found);
    counters(all, found);
    if let Some(replication) = all.replication.known() {
        replicas(replication, all, found);
        archive(replication, found);
    }
}

fn settings(all: &Inspection, found: &mut Found) {
    let value = |name: &str| {
        let settings = all.settings.known().into_iter().flatten();
        settings.filter(|setting| setting.name == name).map(|setting| setting.value.as_str()).next()
    };
    let off = |name: &str| value(name) == Some("off");
    for (name, harm, what) in [
        ("fsync", 98, "is off: a crash of the machine can leave the whole cluster unreadable"),
        ("full_page_writes", 95, "is off: a crash in the middle of a write can leave torn pages"),
        ("autovacuum", 90, "is off: dead rows stay, statistics age, and transaction ids come to their end"),
        ("track_counts", 90, "is off: autovacuum does not learn which tables need it"),
    ] {
        if off(name) {
            found.warn(
                harm,
                "setting",
                name,
                what,
                format!("alter system set {name} = on; select pg_reload_conf()"),
            );
        }
    }
    for name in ["zero_damaged_pages", "ignore_checksum_failure"] {
        if value(name) == Some("on") {
            let what =
                "is on: damaged pages are taken for empty or sound ones, and their rows are lost silently";
            found.warn(
                97,
                "setting",
                name,
                what,
                format!("alter system set {name} = off; select pg_reload_conf()"),
            );
        }
    }
    let keeps_all = value("max_slot_wal_keep_size") == Some("-1");
    let slots = all.replication.known().map_or(0, |replication| replication.slots.len());
    if keeps_all && slots > 0 {
        found.note(
            12,
            "setting",
            "max_slot_wal_keep_size",
            format!("has no limit, and there are {slots} replication slots: one that nobody reads fills the disk"),
            "alter system set max_slot_wal_keep_size = '50GB' (less than the free disk); select pg_reload_conf()",
        );
    }
}

fn counters(all: &Inspection, found: &mut Found) {
    let Some(counters) = all.counters.known() else { return };
    if counters.checksum_failures > 0 {
        found.warn(
            100,
            "damage",
            "checksums",
            format!("{} pages failed their checksum: the disk returns other bytes than were written", count(counters.checksum_failures)),
            "take a backup of what can be read now, then look at the disk (dmesg, smartctl) and at the tables: sexton check",
        );
    }
    let seconds = counters.seconds.unwrap_or(0.0);
    let days = (seconds / DAY).max(1.0 / 24.0);
    let accesses = counters.hits + counters.reads;
    let hit = percent(counters.hits, accesses);
    // A small cache is no fault while what is read from the disk is little.
    if accesses > 10_000_000 && hit < 90 && counters.reads as f64 / days > 1_000_000.0 {
        let shared =
            all.settings.known().into_iter().flatten().find(|setting| setting.name == "shared_buffers");
        let now = shared.map_or(String::new(), |setting| format!(" (shared_buffers is {})", setting.value));
        found.note(
            20,
            "cache",
            "the cache",
            format!("holds {hit} % of the pages that are asked for, {} were read in {}{now}", count(counters.reads), lasting(seconds)),
            "look at the tables that are read whole (`sexton inspect`), then give it more memory: shared_buffers, up to a quarter of it",
        );
    }
    if counters.temp_bytes as f64 / days > 10.0 * GIGABYTE as f64 {
        found.note(
            18,
            "temporary_files",
            "sorts and hashes",
            format!("wrote {} into temporary files in {}", bytes(counters.temp_bytes), lasting(seconds)),
            "see which: log_temp_files = '100MB'; then raise work_mem for the roles that run them",
        );
    }
    if counters.deadlocks as f64 / days >= 24.0 && counters.deadlocks >= 24 {
        found.warn(
            38,
            "deadlocks",
            "transactions",
            format!("met in {} deadlocks in {}", count(counters.deadlocks), lasting(seconds)),
            "the log names both statements: let every transaction lock rows in the same order",
        );
    }
    let asked = counters.checkpoints_asked;
    if asked > 100 && asked > counters.checkpoints_timed && asked as f64 / days > 48.0 {
        found.note(
            16,
            "checkpoints",
            "max_wal_size",
            format!(
                "{} of {} checkpoints came because the log was full",
                count(asked),
                count(asked + counters.checkpoints_timed)
            ),
            "alter system set max_wal_size = '4GB' (or twice what it is); select pg_reload_conf()",
        );
    }
}

fn replicas(replication: &Replication, all: &Inspection, found: &mut Found) {
    for replica in &replication.replicas {
        let late = replica.lag_seconds.is_some_and(|lag| lag > 60.0)
            || replica.lag_bytes.is_some_and(|lag| lag > GIGABYTE);
        if late {
            let lag = replica.lag_seconds.map_or(String::new(), |lag| format!("{}, ", lasting(lag)));
            found.warn(
                70,
                "replica_behind",
                &replica.name,
                format!("is behind by {lag}{} of the log", bytes(replica.lag_bytes.unwrap_or(0))),
                "look at its disk and network, and for long queries on it; `sexton run` waits for it by itself (`max_replica_lag`)",
            );
        }
    }
    if replication.standby && replication.behind_seconds.is_some_and(|behind| behind > 60.0) {
        found.warn(
            70,
            "replica_behind",
            "this standby",
            format!("is behind by {}", lasting(replication.behind_seconds.unwrap_or(0.0))),
            "look at its disk and network, and at its primary",
        );
    }
    let free = all.disk.known().map(|disk| disk.free_bytes);
    for slot in &replication.slots {
        let kept = slot.kept_bytes.unwrap_or(0);
        let lost = slot.status.as_deref() == Some("lost");
        let dangerous = matches!(slot.status.as_deref(), Some("unreserved" | "extended"));
        if !lost && !dangerous && (slot.active || kept < GIGABYTE) {
            continue;
        }
        let drop = format!("select pg_drop_replication_slot('{}')", slot.name.replace('\'', "''"));
        let what = match lost {
            true => "has lost the log that its reader needs: it can never go on".to_owned(),
            false => format!(
                "keeps {} of the log{}; {}",
                bytes(kept),
                free.map_or(String::new(), |free| format!(" ({} are free)", bytes(free))),
                if slot.active { "its reader is slow" } else { "nobody reads from it" }
            ),
        };
        let harm = if free.is_some_and(|free| kept > free) { 94 } else { 78 };
        let remedy = match slot.active {
            true => "look at what reads from it".to_owned(),
            false => format!("start what reads from it, or give it up: {drop}"),
        };
        found.warn(harm, "slot", format!("replication slot `{}`", slot.name), what, remedy);
    }
}

fn archive(replication: &Replication, found: &mut Found) {
    let archive = &replication.archive;
    if !archive.on {
        if !replication.standby {
            found.note(
                6,
                "no_archive",
                "archive_mode",
                "is off: the database can be brought back to a backup, not to a moment",
                "where an hour of work matters, archive the log with pgBackRest, WAL-G or barman; docs/guides/backup.md says how they fit",
            );
        }
        return;
    }
    let failing = match (archive.last_failed_seconds, archive.last_seconds) {
        (Some(failed), Some(went_well)) => failed < went_well,
        (Some(_), None) => true,
        _ => false,
    };
    if failing {
        found.warn(
            92,
            "archive_fails",
            "the archive of the log",
            format!(
                "does not take `{}`: {} attempts failed, the last {} ago; the log stays on the disk until it does",
                archive.last_failed.as_deref().unwrap_or("a file"),
                count(archive.failed),
                lasting(archive.last_failed_seconds.unwrap_or(0.0))
            ),
            "run the archive_command by hand as the server's user, and read the server's log",
        );
    }
}
