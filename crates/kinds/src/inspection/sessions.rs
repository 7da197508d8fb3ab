//! Connections, and who waits for whom.

use super::{Found, lasting, percent};
use engine::words::count;
use targets::db::{Connections, Inspection, Talker};

/// A wait for a lock that is worth telling.
const WAIT: f64 = 5.0;
/// A transaction may do nothing for so long.
const IDLE: f64 = 300.0;

pub fn judge(all: &Inspection, found: &mut Found) {
    // On SQLite these are processes, of which only the log's size says whether they are in the way.
    let Some(connections) = all.connections.known().filter(|connections| connections.limit.is_some()) else {
        return;
    };
    room(connections, found);
    blocked(connections, found);
    for talker in &connections.talkers {
        let idle = talker.state.starts_with("idle in transaction") && talker.state_seconds > IDLE;
        let blocks = connections.talkers.iter().any(|other| other.blocked_by.contains(&talker.pid));
        if idle && !blocks {
            found.warn(
                58,
                "idle_in_transaction",
                named(talker),
                format!(
                    "has a transaction open and has done nothing for {}; last: {}",
                    lasting(talker.state_seconds),
                    talker.query
                ),
                format!(
                    "end it: select pg_terminate_backend({}); and let the server do so: alter role {} set \
                     idle_in_transaction_session_timeout = '5min'",
                    talker.pid,
                    targets::db::quote(&talker.user)
                ),
            );
        }
    }
    if connections.hidden {
        found.note(
            2,
            "hidden",
            "sessions of others",
            "are hidden from this role, so who waits for whom is known only in part",
            "grant pg_monitor to the role that looks",
        );
    }
}

/// A maintenance run needs one connection, at times three; the application must not miss them.
fn room(connections: &Connections, found: &mut Found) {
    let limit = connections.limit.unwrap_or(0).saturating_sub(connections.reserved);
    let used = percent(connections.all, limit);
    if limit > 0 && (used >= 80 || limit.saturating_sub(connections.all) < 4) {
        let idle: u64 =
            connections.by_state.iter().filter(|(state, _)| state == "idle").map(|(_, n)| n).sum();
        found.warn(
            if used >= 95 { 91 } else { 66 },
            "connections",
            "max_connections",
            format!("{} of {} connections are taken ({used} %), {} of them idle", count(connections.all), count(limit), count(idle)),
            "make the pools of the applications smaller, or put a pooler in front; raising max_connections costs memory and a restart",
        );
    }
}

/// One finding for each who stands at the root of a tree of waiting sessions.
fn blocked(connections: &Connections, found: &mut Found) {
    for root in roots(connections) {
        let waiting = behind(connections, root.pid);
        let longest = waiting.iter().map(|talker| talker.state_seconds).fold(0.0, f64::max);
        if longest < WAIT {
            continue;
        }
        let tree: Vec<String> = waiting
            .iter()
            .map(|talker| {
                let by: Vec<String> = talker.blocked_by.iter().map(ToString::to_string).collect();
                format!(
                    "{} waits for {} since {}",
                    named(talker),
                    by.join(", "),
                    lasting(talker.state_seconds)
                )
            })
            .collect();
        found.warn(
            86,
            "blocks",
            named(root),
            format!(
                "makes {} wait, the longest for {}: {}; it is {} with: {}",
                engine::words::of(waiting.len() as u64, "session", "sessions"),
                lasting(longest),
                tree.join("; "),
                root.state,
                root.query
            ),
            format!("let it end, cancel its statement: select pg_cancel_backend({0}), or end it: select pg_terminate_backend({0})", root.pid),
        );
    }
}

/// Sessions that block others and wait for nobody.
pub fn roots(connections: &Connections) -> Vec<&Talker> {
    let blocks =
        |talker: &&Talker| connections.talkers.iter().any(|other| other.blocked_by.contains(&talker.pid));
    connections.talkers.iter().filter(|talker| talker.blocked_by.is_empty()).filter(blocks).collect()
}

/// Everybody who waits for a session, directly or behind others, the nearest first.
pub fn behind(connections: &Connections, pid: i64) -> Vec<&Talker> {
    let mut all: Vec<&Talker> = Vec::new();
    let mut front = vec![pid];
    while let Some(next) = front.pop() {
        for talker in connections.talkers.iter().filter(|talker| talker.blocked_by.contains(&next)) {
            if !all.iter().any(|known| known.pid == talker.pid) {
                all.push(talker);
                front.insert(0, talker.pid);
            }
        }
    }
    all
}

/// `session 4711 (app, joe)`.
fn named(talker: &Talker) -> String {
    let who: Vec<&str> = [talker.application.as_str(), talker.user.as_str()]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    format!("session {} ({})", talker.pid, who.join(", "))
}
