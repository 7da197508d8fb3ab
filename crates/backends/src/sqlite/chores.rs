//! Upkeep in the words of SQLite, done on a connection of our own.
//!
//! One writer exists: whoever wants to write waits until a chore is over, so its time is what others waited at most.

use super::errors::{During, explain};
use super::pulse;
use super::session::Link;
use std::time::{Duration, Instant};
use targets::db::{Chore, Error, Limits, Order, Performed, Result, Spelled, Value};

/// Rows of each index that are looked at for the statistics: the write lock is held meanwhile.
const SAMPLE: u32 = 1_000;

pub(super) fn spell(chore: &Chore) -> Spelled {
    let statement = match chore {
        Chore::Vacuum { .. } => Some("vacuum".to_owned()),
        Chore::Analyze { table: None } => Some("analyze".to_owned()),
        Chore::Analyze { table: Some(table) } => Some(format!("analyze {}", table.quoted())),
        Chore::GiveBack { pages } => Some(format!("pragma incremental_vacuum({pages})")),
        // The planner's own choice of tables, all of them looked at, with a limit of its own.
        Chore::Optimize => Some("pragma optimize = 0x10002".to_owned()),
        Chore::ShortenLog => Some("pragma wal_checkpoint(truncate)".to_owned()),
        Chore::Reindex { index, .. } => Some(format!("reindex {}", index.quoted())),
        Chore::DropIndex { .. } | Chore::MakeIndex { .. } | Chore::Refresh { .. } => None,
    };
    Spelled { statement, left_out: Vec::new() }
}

pub(super) fn perform(link: &Link, order: &Order) -> Result<Performed> {
    let Some(statement) = spell(&order.chore).statement else { return Ok(Performed::default()) };
    if matches!(order.chore, Chore::Vacuum { .. }) {
        room(link)?;
    }
    if matches!(order.chore, Chore::Analyze { .. }) {
        link.command(&format!("pragma analysis_limit = {SAMPLE}"))?;
    }
    let others = pulse::held_by_others(link.path());
    let began = Instant::now();
    link.patience(order.limits.lock)?;
    link.allow(order.limits.statement);
    let done = link.command(&statement);
    link.allow(Duration::ZERO);
    link.patience(Limits::default().lock)?;
    let took = began.elapsed();
    let done = done?;
    let others_waited = match others {
        Some(false) => Some(Duration::ZERO),
        _ => Some(took),
    };
    let number = |n: usize| done.first().and_then(|row| row.get(n)).and_then(Value::as_int).unwrap_or(0);
    let (mut notices, mut passed_over) = (Vec::new(), false);
    if order.chore == Chore::ShortenLog {
        // A reader that does not go away keeps the log: that is an answer, not an error.
        passed_over = number(0) != 0;
        notices.push(format!("{} of {} pages of the log moved into the file", number(2), number(1)));
    }
    Ok(Performed { statement, notices, others_waited, passed_over })
}

/// The new copy lies in a temporary file first, then in the log or the journal.
fn room(link: &Link) -> Result<()> {
    let needed = 2 * link.pragma("page_size")?.max(0) as u64 * link.pragma("page_count")?.max(0) as u64;
    if pulse::free_disk(link.path()).is_some_and(|there| there < needed) {
        return Err(Error::system(format!("not enough free disk to vacuum database `{}`", link.label()))
            .help(format!("free {} MB on its disk: df -h", needed / 1_000_000 + 1))
            .code("13"));
    }
    Ok(())
}

impl Link {
    /// How long to wait for the locks of others.
    fn patience(&self, time: Duration) -> Result<()> {
        self.set_busy_timeout(time).map_err(|error| explain(self.label(), During::Run, error))
    }
}
