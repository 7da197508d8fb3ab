//! The moment at which nobody may write: the last round, the counts, then the source refuses changes, and the target has them all.
//!
//! The source refuses before the target commits, and the application is sent only after that: a death in between leaves a file that
//! takes no changes and has lost none. Whoever goes on then does the last round again, whoever goes back lets the file take changes.

use super::super::carried;
use super::super::machines::Machines;
use super::super::options::Trouble;
use super::ask::Source;
use super::entry::{self, Entry, State};
use super::noted::Notes;
use super::round::{self, Round};
use super::switch::{self, Place};
use super::{LIMIT, Numbers, Online, ROWID, capture, counts};
use engine::{Batch, Clock, Counts, Error, Result, Stores, Work};
use serde_json::json;
use std::time::{Duration, Instant};
use targets::db::{Limits, Session, Sql, Tx, quote};

/// How long to wait for a moment in which nobody writes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time that is left until somebody must be able to write again.
struct Left<'a> {
    clock: &'a dyn Clock,
    began: Instant,
    /// The seconds of earlier attempts that count.
    before: f64,
    limit: f64,
}

impl Left<'_> {
    fn spent(&self) -> f64 {
        self.before + self.clock.tick().duration_since(self.began).as_secs_f64()
    }

    fn check(&self) -> Result<()> {
        match self.spent() > self.limit {
            true => Err(too_long(self.limit)),
            false => Ok(()),
        }
    }
}

fn too_long(limit: f64) -> Error {
    Error::system(format!("nobody could write for {limit} s, the limit of the cut-over"))
        .code(LIMIT)
        .help("begin again when less is written, or allow more with `cut_over_limit`")
}

/// Since the source refuses changes, in seconds; none where the clock was put back.
fn seconds(own: &Entry, now: i64) -> f64 {
    (now - own.since.unwrap_or(now)).max(0) as f64 / 1e6
}

/// What of it counts for the limit, where an earlier attempt has died: all, but where the limit lets nothing go back, and would keep
/// everybody from going on instead.
fn waited(own: &Entry, now: i64) -> f64 {
    match own.online.go_back_on.contains(&Trouble::Limit) {
        true => seconds(own, now),
        false => 0.0,
    }
}

/// The last round, with everybody kept from writing. Where an earlier attempt died when the source refused changes already, its time
/// counts.
pub fn act(
    online: &Online,
    machines: &Machines,
    writer: &mut dyn Session,
    work: &mut Work,
    times: &counts::Times,
) -> Result<Batch> {
    let clock = work.clock();
    let patience = PATIENCE.min(Duration::from_secs_f64(online.limit.max(0.1)));
    let mut tx = writer.begin(&Limits { lock: patience, statement: Duration::ZERO, ..Limits::default() })?;
    let (now, began) = (clock.now().as_microsecond(), clock.tick());
    let mut own =
        entry::within(tx.as_mut())?.ok_or_else(|| Error::system("the source forgot its transfer"))?;
    let since = *own.since.get_or_insert(now);
    let left = Left { clock, began, before: waited(&own, now), limit: online.limit };
    left.check()?;
    let milliseconds = ((left.limit - left.before) * 1000.0).clamp(1.0, 1e9) as u64;
    work.statement(&format!("set local statement_timeout = {milliseconds}"))?;
    let outcome = last(online, machines, tx.as_mut(), work, &left, times);
    let (round, counted) = outcome.map_err(|error| match left.check() {
        Err(over) => over.because(error),
        Ok(()) => error,
    })?;
    own.state = State::Moved;
    capture::refuse(online, tx.as_mut())?;
    entry::write(&own, tx.as_mut())?;
    left.check()?;
    tx.commit()?;
    work.tell(json!({
        "cut_over": { "since": since, "changed": round.changed, "written": round.written, "removed": round.removed,
            "aside": round.aside, "counted": counted, "seconds": left.spent() },
    }));
    Ok(Batch { counts: rows(&round), next: None })
}

/// What a round counts in the report.
pub fn rows(round: &Round) -> Counts {
    Counts { failed: round.aside, ..Counts::default() }
}

fn last(
    online: &Online,
    machines: &Machines,
    tx: &mut dyn Tx,
    work: &mut Work,
    left: &Left,
    times: &counts::Times,
) -> Result<(Round, Vec<counts::Counted>)> {
    let from = carried::upto(work)?;
    let mut source = Source::Locked(tx);
    let round = round::carry(online, machines, from, &mut source, work)?;
    left.check()?;
    // all that changed since the copy began: the last rounds before this one counted nothing
    let touched = counts::choose(online, &round::touched(online, 0, &mut source)?, times);
    let counted = counts::compare(online, &touched, &mut source, work, &mut times.clone())?;
    left.check()?;
    for numbers in &online.numbers {
        go_on(numbers, &mut source, work)?;
    }
    for carry in online.without_key() {
        let column = quote(ROWID);
        work.statement(&format!("alter table {} drop column if exists {column}", carry.name.quoted()))?;
    }
    if !online.one_way {
        let run = work.point().to_owned();
        Notes::of(online, &run).begin(work)?;
    }
    carried::follow(round.upto, work)?;
    Ok((round, counted))
}

/// Lets ids go on where those of the source were.
fn go_on(numbers: &Numbers, source: &mut Source, work: &mut Work) -> Result<()> {
    let given = match numbers.counts {
        true => {
            let last =
                Sql::new("select seq from sqlite_sequence where name = ").bind(numbers.source.as_str());
            source.number(&last)?.unwrap_or(0)
        }
        false => 0,
    };
    let column = quote(&numbers.column);
    let greatest = format!("coalesce(max({column}), 0), {given}");
    let set = match &numbers.shared {
        Some(sequence) => {
            // it may be further already, for another table
            let last =
                || Sql::new(", pg_sequence_last_value(").bind(sequence.as_str()).text("::text::regclass)");
            Sql::new("select setval(")
                .bind(sequence.as_str())
                .text(&format!("::text::regclass, greatest({greatest}, 1"))
                .add(&last())
                .text(&format!("), greatest({greatest}"))
                .add(&last())
                .text(") > 0) from ")
        }
        None => Sql::new("select setval(pg_get_serial_sequence(")
            .bind(numbers.table.quoted())
            .text(", ")
            .bind(numbers.column.as_str())
            .text(&format!("), greatest({greatest}, 1), greatest({greatest}) > 0) from ")),
    };
    work.rows(&set.table(&numbers.table)).map(drop)
}

/// Where the application is sent, with the password that it needs.
pub fn url(online: &Online, stores: &dyn Stores) -> Result<String> {
    let place = stores.place(&online.target)?;
    let url = place.expose();
    match online.has_password && url == place.to_string() {
        true => Err(Error::usage(format!("the password of `{}` is not known any more", online.target))
            .help("resume with `--database` and the whole URL, or name the target in the configuration")),
        false => Ok(url),
    }
}

/// Sends the application to the target.
pub fn switch(own: &Entry, writer: &mut dyn Session, work: &mut Work) -> Result<Batch> {
    let clock = work.clock();
    let online = &own.online;
    let mut was = own.was.clone();
    let waited = waited(own, clock.now().as_microsecond());
    if own.state == State::Moved && waited > online.limit {
        return Err(too_long(online.limit));
    }
    if let Some(how) = &online.switch {
        let url = url(online, work.stores())?;
        // before anything is written there: afterwards nobody knows what it was
        was = was.or(switch::said(how)?);
        note(&Entry { state: State::Switching, was: was.clone(), ..own.clone() }, writer)?;
        let limit = Duration::from_secs_f64((online.limit - waited).max(1.0));
        match switch::send(how, &Place::There(&url), clock, limit) {
            Ok(_) => {}
            Err(error) if how.command.is_empty() => {
                // the file is as it was: the application was sent nowhere
                note(&Entry { state: State::Moved, ..own.clone() }, writer)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    note(&Entry { state: State::Switched, was, ..own.clone() }, writer)?;
    let seconds = seconds(own, clock.now().as_microsecond());
    work.tell(json!({ "switched": { "seconds": seconds, "sent": online.switch.is_some() } }));
    Ok(Batch { counts: Counts::default(), next: None })
}

/// Writes down in the source how far it has come.
fn note(own: &Entry, writer: &mut dyn Session) -> Result<()> {
    let mut tx = writer.begin(&Limits { lock: PATIENCE, ..Limits::default() })?;
    entry::write(own, tx.as_mut())?;
    tx.commit()
}

/// Nothing of what was written down on the way is needed any more.
pub fn end(writer: &mut dyn Session) -> Result<()> {
    let mut tx = writer.begin(&Limits { lock: PATIENCE, ..Limits::default() })?;
    capture::forget_changes(tx.as_mut())?;
    tx.commit()
}
