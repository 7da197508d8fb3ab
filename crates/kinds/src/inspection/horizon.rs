//! What ends one day: transaction ids, sequences, the disk. And what keeps vacuum from its work.

use super::{Around, DAY, Found, GIGABYTE, lasting, percent};
use engine::words::{bytes, count};
use targets::db::{Horizon, Inspection, Pinned, PinnedBy};

/// The server refuses to give ids from here on, three million before they would run out.
const LAST_XID: u64 = 2_147_483_648 - 3_000_000;
/// A transaction may be open for so long before it is in the way.
const LONG: f64 = 3_600.0;
/// So many transactions behind, whatever the time.
const FAR: u64 = 10_000_000;

pub fn judge(all: &Inspection, around: &Around, found: &mut Found) {
    if let Some(horizon) = all.horizon.known() {
        ids(horizon, around, found);
        pins(all, horizon, found);
    }
    sequences(all, around, found);
    disk(all, around, found);
}

fn ids(horizon: &Horizon, around: &Around, found: &mut Found) {
    let kinds = [
        ("transaction ids", horizon.xid_age, horizon.freeze_at, around.trend.ids_per_day),
        ("multixact ids", horizon.multixact_age, horizon.multixact_freeze_at, None),
    ];
    for (what, age, freeze_at, per_day) in kinds {
        // Autovacuum acts at its limit by itself; only where it does not get through there is something to do.
        let late = age > freeze_at.saturating_add(freeze_at / 2).max(300_000_000) || age > 1_000_000_000;
        let left = LAST_XID.saturating_sub(age);
        let days = per_day.filter(|rate| *rate >= 1.0).map(|rate| left as f64 / rate);
        if !late && !days.is_some_and(|days| days < 30.0) {
            continue;
        }
        let forecast = days.map_or(String::new(), |days| {
            format!("; at the present rate they end in {}", lasting(days * DAY))
        });
        let harm = if age > 1_500_000_000 || days.is_some_and(|days| days < 7.0) { 100 } else { 88 };
        found.warn(
            harm,
            "wraparound",
            what,
            format!(
                "{} of {} are used ({} %), and autovacuum should have acted at {}{forecast}",
                count(age),
                count(LAST_XID),
                percent(age, LAST_XID),
                count(freeze_at)
            ),
            "first end what pins vacuum (see below), then: vacuum (freeze, verbose) on the oldest tables: select oid::regclass, \
             age(relfrozenxid) from pg_class where relkind in ('r','m','t') order by 2 desc limit 10",
        );
    }
}

fn pins(all: &Inspection, horizon: &Horizon, found: &mut Found) {
    let dead: u64 = all.tables.known().into_iter().flatten().filter_map(|table| table.dead_rows).sum();
    let worst = all.tables.known().into_iter().flatten().max_by_key(|table| table.dead_rows.unwrap_or(0));
    let hurts = match worst.filter(|table| table.dead_rows.unwrap_or(0) > 1_000) {
        Some(table) => format!("; {} dead rows wait, most of them in `{}`", count(dead), table.name),
        None => String::new(),
    };
    let in_the_way = |pin: &&Pinned| match pin.kind {
        PinnedBy::Session | PinnedBy::Prepared => {
            pin.seconds.is_some_and(|seconds| seconds > LONG) || pin.age > FAR
        }
        PinnedBy::Slot => pin.age > FAR || (pin.state == "inactive" && pin.age > 100_000),
        PinnedBy::Standby => pin.age > FAR,
    };
    for pin in horizon.pins.iter().filter(in_the_way) {
        let since = pin.seconds.map_or(String::new(), |seconds| format!(" for {}", lasting(seconds)));
        let age = format!("{} transactions", count(pin.age));
        let (object, what, remedy) = match pin.kind {
            PinnedBy::Session => (
                format!("session {} ({})", pin.name, pin.who),
                format!("keeps vacuum from cleaning{since}, {age}: {}", pin.state),
                format!(
                    "end it: select pg_terminate_backend({}); keep the next one from it: \
                     alter role … set idle_in_transaction_session_timeout = '10min'",
                    pin.name
                ),
            ),
            PinnedBy::Prepared => (
                format!("prepared transaction `{}`", pin.name),
                format!("keeps vacuum from cleaning, and its locks{since}, {age}"),
                format!(
                    "decide it as {}: commit prepared '{1}' or rollback prepared '{1}'",
                    pin.who,
                    pin.name.replace('\'', "''")
                ),
            ),
            PinnedBy::Slot => (
                format!("replication slot `{}`", pin.name),
                format!("keeps vacuum from cleaning, {age}; it is {}", pin.state),
                format!(
                    "start what reads from it, or give it up: select pg_drop_replication_slot('{}')",
                    pin.name.replace('\'', "''")
                ),
            ),
            PinnedBy::Standby => (
                format!("standby `{}`", pin.name),
                format!("keeps vacuum from cleaning for its own readers, {age}"),
                "end the long query on the standby, or set hot_standby_feedback = off there".to_owned(),
            ),
        };
        let harm = if dead > 1_000_000 || pin.age > FAR { 80 } else { 62 };
        found.warn(harm, "pins_vacuum", object, format!("{what}{hurts}"), remedy);
    }
}

fn sequences(all: &Inspection, around: &Around, found: &mut Found) {
    for sequence in all.sequences.known().into_iter().flatten().filter(|sequence| !sequence.cycles) {
        let used = percent(sequence.last.max(0) as u64, sequence.most.max(1) as u64);
        let rate =
            around.trend.values_per_day.get(&sequence.name.to_string()).copied().filter(|rate| *rate > 0.0);
        let days = rate.map(|rate| (sequence.most - sequence.last).max(0) as f64 / rate);
        if used < 70 && !(days.is_some_and(|days| days < 90.0) && used >= 10) {
            continue;
        }
        let forecast = days.map_or(String::new(), |days| {
            format!("; at the present rate it ends in {}", lasting(days * DAY))
        });
        let object = sequence.column.clone().unwrap_or_else(|| sequence.name.to_string());
        let remedy = match (&sequence.column, sequence.most <= i64::from(i32::MAX)) {
            (Some(column), true) => match column.rsplit_once('.') {
                Some((table, column)) => format!(
                    "make `{column}` of `{table}` a bigint before that: `sexton migrate lint` shows the way without a long lock \
                     (a new column, filled in batches, exchanged), also for columns that refer to it"
                ),
                None => "make the column a bigint".to_owned(),
            },
            _ => format!(
                "alter sequence {} maxvalue … or cycle, whichever its users can bear",
                sequence.name.quoted()
            ),
        };
        let harm = if used >= 90 || days.is_some_and(|days| days < 30.0) { 96 } else { 72 };
        found.warn(
            harm,
            "sequence_ends",
            object,
            format!(
                "{} of {} values are used ({used} %){forecast}",
                count(sequence.last.max(0) as u64),
                count(sequence.most.max(0) as u64)
            ),
            remedy,
        );
    }
}

fn disk(all: &Inspection, around: &Around, found: &mut Found) {
    let Some(disk) = all.disk.known().filter(|disk| disk.total_bytes > 0) else { return };
    let free = percent(disk.free_bytes, disk.total_bytes);
    let days = around
        .trend
        .bytes_per_day
        .filter(|rate| *rate >= 1_000_000.0)
        .map(|rate| disk.free_bytes as f64 / rate);
    let soon = days.is_some_and(|days| days < 14.0);
    // A tenth of a large disk is much; what it must hold is the database once more, for a rewrite.
    let tight = free < 10 && disk.free_bytes < all.server.bytes.saturating_mul(2).max(2 * GIGABYTE);
    if tight || soon {
        let forecast = days.map_or(String::new(), |days| {
            format!("; the database alone fills it in {}", lasting(days * DAY))
        });
        found.warn(
            if free < 3 || days.is_some_and(|days| days < 3.0) { 97 } else { 84 },
            "disk",
            "the disk of the database",
            format!("{} of {} are free ({free} %){forecast}", bytes(disk.free_bytes), bytes(disk.total_bytes)),
            "see what grows with `sexton stats`, delete what is not needed (`sexton init` proposes what), or make it larger",
        );
    }
}
