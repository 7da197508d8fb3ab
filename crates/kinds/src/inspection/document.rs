//! An inspection as a document: the comprehensive maintenance report (R1e), all sections in one.

use super::{Around, advise, sessions};
use serde_json::{Map, Value as Json, json};
use targets::db::{IndexFacts, Inspection, Section, Server, TableFacts};

/// More than this share of a table is worth naming, in per cent.
const WASTED_OVER: f64 = 10.0;

/// The figures of a look.
pub fn of(all: &Inspection, around: &Around) -> Json {
    let advice = advise(all, &around.elsewhere);
    let names = |list: &[&IndexFacts]| -> Json { list.iter().map(|index| short(index)).collect() };
    let pairs = |list: &[(&IndexFacts, &IndexFacts)]| -> Json {
        list.iter()
            .map(|(index, other)| {
                let mut one = short(index);
                one["covered_by"] = json!(other.name.to_string());
                one
            })
            .collect()
    };
    let missing: Json = advice
        .missing
        .iter()
        .map(|reference| {
            json!({
                "table": reference.table.to_string(), "columns": reference.columns,
                "parent": reference.parent.to_string(), "constraint": reference.name,
            })
        })
        .collect();
    let connections = all.connections.known();
    let mut document = json!({
        "database": about(&all.server),
        "size_bytes": all.server.bytes,
        "tables": tables(all),
        "indexes": all.indexes.known().map(|indexes| indexes.iter().map(|index| full(index, around)).collect::<Json>()),
        "unused_indexes": names(&advice.unused),
        "redundant_indexes": pairs(&advice.redundant),
        "duplicate_indexes": pairs(&advice.duplicate),
        "invalid_indexes": names(&advice.invalid),
        "missing_indexes": missing,
        "statistics_since_seconds": all.counters.known().and_then(|counters| counters.seconds),
        "active_connections": connections.map(|connections| connections.all),
        "connections": connections.map(|known| json!({
            "by_state": known.by_state.iter().cloned().map(|(state, n)| (state, json!(n))).collect::<Map<String, Json>>(),
            "limit": known.limit, "reserved": known.reserved,
        })),
        "long_queries": long_queries(all),
        "blocking": blocking(all),
        "locks": all.locks.known().map(|locks| json!(locks)),
        "index_efficiency_percent": index_efficiency(all),
        "cache": cache(all),
        "growth": around.trend,
        "bloat": bloat(all),
        "estimates": estimates(all, around),
    });
    for (name, section) in [
        ("counters", part(&all.counters)),
        ("horizon", part(&all.horizon)),
        ("sequences", part(&all.sequences)),
        ("replication", part(&all.replication)),
        ("slow_queries", part(&all.slow)),
        ("settings", part(&all.settings)),
        ("disk", part(&all.disk)),
        ("file", part(&all.file)),
    ] {
        document[name] = section;
    }
    let missing: Map<String, Json> = all
        .missing()
        .into_iter()
        .map(|(part, why, help)| (part.to_owned(), json!({ "why": why, "help": help })))
        .collect();
    document["not_available"] = Json::Object(missing);
    document
}

/// What a part told, or null.
fn part<T: serde::Serialize>(part: &Section<T>) -> Json {
    part.known().map_or(Json::Null, |known| serde_json::to_value(known).unwrap_or(Json::Null))
}

/// S1-052; never a password, for there is none in it.
pub fn about(server: &Server) -> Json {
    json!({
        "type": server.engine,
        "is_postgresql": server.engine == "postgresql",
        "is_sqlite": server.engine == "sqlite",
        "name": server.database,
        "host": server.host,
        "user": server.user,
        "version": server.version,
        "read_only": server.read_only,
        "pooled": server.pooled,
    })
}

/// All tables, the largest first.
pub fn tables(all: &Inspection) -> Json {
    let mut tables: Vec<&TableFacts> = all.tables.known().into_iter().flatten().collect();
    tables.sort_by_key(|table| {
        (std::cmp::Reverse((table.total_bytes().unwrap_or(0), table.rows.unwrap_or(0))), table.name.clone())
    });
    tables.into_iter().map(of_table).collect()
}

/// One table, in the words of R1a and what more is known.
pub fn of_table(table: &TableFacts) -> Json {
    json!({
        "name": table.name.to_string(),
        "rows": table.rows,
        "rows_exact": table.rows_exact,
        "table_bytes": table.bytes,
        "index_bytes": table.index_bytes,
        "toast_bytes": table.toast_bytes,
        "total_bytes": table.total_bytes(),
        "dead_rows": table.dead_rows,
        "wasted_percent": wasted(table).map(|(share, _)| share),
        "wasted_method": wasted(table).map(|(_, method)| method),
        "seq_scans": table.seq_scans,
        "index_scans": table.index_scans,
        "xid_age": table.xid_age,
        "last_vacuum": table.last_vacuum,
        "last_analyze": table.last_analyze,
        "locked": table.held,
    })
}

/// The level of fragmentation as far as it is known without reading the table: what rows that are dead take, or on
/// SQLite what pages hold for nothing. Tables under 1 MB are left out.
fn wasted(table: &TableFacts) -> Option<(f64, &'static str)> {
    let share = |part: u64, whole: u64| (part as f64 / whole.max(1) as f64 * 1000.0).round() / 10.0;
    if table.bytes.unwrap_or(0) < super::MEGABYTE {
        return None;
    }
    match (table.unused_bytes, table.dead_rows) {
        (Some(unused), _) => Some((share(unused, table.bytes?), "unused bytes of its pages")),
        (None, Some(dead)) => Some((share(dead, dead + table.rows.unwrap_or(0)), "share of dead rows")),
        _ => None,
    }
}

/// The same in bytes.
pub fn wasted_bytes(table: &TableFacts) -> Option<u64> {
    wasted(table).map(|(share, _)| (table.bytes.unwrap_or(0) as f64 * share / 100.0) as u64)
}

/// R1b as far as the counters tell; `sexton bloat` measures.
fn bloat(all: &Inspection) -> Json {
    let over = |table: &&TableFacts| wasted(table).is_some_and(|(share, _)| share > WASTED_OVER);
    let of_one = |table: &TableFacts| {
        let (share, method) = wasted(table).unwrap_or_default();
        json!({
            "name": table.name.to_string(), "wasted_percent": share,
            "wasted_bytes": wasted_bytes(table).unwrap_or(0),
            "total_bytes": table.total_bytes(), "dead_rows": table.dead_rows, "method": method,
            "last_vacuum": table.last_vacuum,
        })
    };
    let tables: Json = all.tables.known().into_iter().flatten().filter(over).map(of_one).collect();
    json!({ "threshold_percent": WASTED_OVER, "tables": tables })
}

fn short(index: &IndexFacts) -> Json {
    json!({ "name": index.name.to_string(), "table": index.table.to_string(), "bytes": index.bytes, "scans": index.scans })
}

fn full(index: &IndexFacts, around: &Around) -> Json {
    let elsewhere = around.elsewhere.get(&index.name);
    json!({
        "name": index.name.to_string(),
        "table": index.table.to_string(),
        "bytes": index.bytes,
        "scans": index.scans.map(|scans| scans + elsewhere.copied().unwrap_or(0)),
        "scans_on_standbys": elsewhere,
        "last_scan": index.last_scan,
        "unique": index.unique,
        "valid": index.valid,
        "definition": index.definition,
    })
}

fn long_queries(all: &Inspection) -> Json {
    let talkers = all.connections.known().map_or(&[][..], |connections| connections.talkers.as_slice());
    talkers
        .iter()
        .filter(|_| !super::is_file(all))
        .map(|talker| {
            json!({
                "pid": talker.pid, "application": talker.application, "user": talker.user,
                "age_seconds": talker.transaction_seconds.unwrap_or(talker.state_seconds), "state": talker.state,
                "query": talker.query, "waits_for": talker.waits_for, "blocked_by": talker.blocked_by,
            })
        })
        .collect()
}

/// Who stands at the root, and who waits behind.
fn blocking(all: &Inspection) -> Json {
    let Some(connections) = all.connections.known() else { return Json::Null };
    sessions::roots(connections)
        .into_iter()
        .map(|root| {
            let waiting: Json = sessions::behind(connections, root.pid)
                .into_iter()
                .map(|talker| json!({ "pid": talker.pid, "blocked_by": talker.blocked_by, "seconds": talker.state_seconds, "query": talker.query }))
                .collect();
            json!({ "pid": root.pid, "application": root.application, "state": root.state, "query": root.query, "waiting": waiting })
        })
        .collect()
}

/// index scans of all scans over tables with at least 10 000 rows since the counters began; null under 1 000 scans, and
/// where nobody counts.
pub fn index_efficiency(all: &Inspection) -> Option<f64> {
    let large = all.tables.known()?.iter().filter(|table| table.rows.unwrap_or(0) >= super::MANY_ROWS);
    let (mut by_index, mut whole) = (0, 0);
    for table in large {
        by_index += table.index_scans?;
        whole += table.seq_scans?;
    }
    let scans = by_index + whole;
    (scans >= 1_000).then(|| (by_index as f64 / scans as f64 * 1000.0).round() / 10.0)
}

fn cache(all: &Inspection) -> Json {
    let ratio = |hits: u64, reads: u64| match hits + reads {
        0 => Json::Null,
        all => json!((hits as f64 / all as f64 * 1000.0).round() / 10.0),
    };
    match all.counters.known() {
        Some(counters) => json!({
            "hit_percent": ratio(counters.hits, counters.reads),
            "index_hit_percent": ratio(counters.index_hits, counters.index_reads),
            "blocks_read": counters.reads,
        }),
        None => Json::Null,
    }
}

/// About how long each upkeep of the whole database takes, in seconds: as long as its last runs did, else at rates of an
/// ordinary disk (S1-060).
fn estimates(all: &Inspection, around: &Around) -> Json {
    let tables: u64 = all.tables.known().into_iter().flatten().filter_map(|table| table.bytes).sum();
    let indexes: u64 = all.tables.known().into_iter().flatten().filter_map(|table| table.index_bytes).sum();
    let table_count = all.tables.known().map_or(0, Vec::len) as f64;
    let (tables, whole) = (tables.max(all.server.bytes / 2) as f64, all.server.bytes as f64);
    let seconds =
        |bytes: f64, rate: f64, each: f64| json!(((bytes / rate + each * table_count) * 10.0).ceil() / 10.0);
    const MB: f64 = 1_000_000.0;
    let mut all = json!({
        "vacuum": seconds(tables, 150.0 * MB, 0.005),
        "analyze": seconds(tables.min(table_count * 240.0 * MB), 200.0 * MB, 0.02),
        "reindex": seconds(indexes as f64, 40.0 * MB, 0.01),
        "backup": seconds(whole, 60.0 * MB, 0.005),
        "check": seconds(whole, 120.0 * MB, 0.005),
    });
    for (kind, usual) in &around.usual {
        all[kind] = json!(usual);
    }
    all
}
