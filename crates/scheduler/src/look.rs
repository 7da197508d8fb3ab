//! Looking for what is due: in every process, as often as it likes; each time gets its row once.

use crate::due::due;
use crate::schedule::{Approval, Definition, Overlap, Schedule, Timing};
use engine::{Engine, Entry, Error, Failure, Looked, NewTick, Stamp, TickState};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Changes made by other processes are seen after so long.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// A moment known to be looked at may lie so far ahead: clocks differ a little.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// A schedule with what the state knows of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// It, as it is in force.
    pub schedule: Schedule,
    /// What the state knows.
    pub entry: Option<Entry>,
    /// The approval in force, with what it was given for, where that was noted.
    pub approval: Option<(Approval, Option<String>)>,
}

/// All schedules: those of the configuration, then those that were added, each as it is in force.
pub fn all(engine: &Engine, configured: &[Schedule]) -> Result<Vec<Known>, Failure> {
    let mut entries: BTreeMap<String, Entry> =
        engine.timetable()?.entries()?.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let mut all = Vec::new();
    for schedule in configured {
        all.push(in_force(schedule.clone(), entries.remove(&schedule.name)));
    }
    for entry in entries.into_values() {
        let Some(body) = &entry.body else { continue };
        match read(&entry.name, body) {
            Ok(schedule) => all.push(in_force(schedule, Some(entry))),
            Err(error) => tracing::error!(schedule = %entry.name, %error, "the schedule cannot be read"),
        }
    }
    Ok(all)
}

/// One schedule, as it is in force.
pub fn one(engine: &Engine, configured: &[Schedule], name: &str) -> Result<Option<Known>, Failure> {
    let entry = engine.timetable()?.entry(name)?;
    if let Some(schedule) = configured.iter().find(|schedule| schedule.name == name) {
        return Ok(Some(in_force(schedule.clone(), entry)));
    }
    let Some(entry) = entry else { return Ok(None) };
    let Some(body) = &entry.body else { return Ok(None) };
    Ok(Some(in_force(read(name, body)?, Some(entry))))
}

/// A schedule that was added, from what is stored.
fn read(name: &str, body: &serde_json::Value) -> Result<Schedule, Error> {
    let mut says: Definition = serde_json::from_value(body.clone())
        .map_err(|error| Error::data(format!("the schedule `{name}` cannot be read")).because(error))?;
    // What was added is approved by somebody else than itself (W-067).
    says.approval = None;
    Schedule::read(name, &says, false).map_err(|faults| {
        let first = faults.into_iter().next().map(|fault| (fault.what, fault.help)).unwrap_or_default();
        Error::data(format!("the schedule `{name}`: {}", first.0)).help(first.1)
    })
}

fn in_force(mut schedule: Schedule, entry: Option<Entry>) -> Known {
    let mut approval = schedule.says.approval.clone().map(|approval| (approval, None));
    if let Some(entry) = &entry {
        schedule.says.enabled = entry.enabled.unwrap_or(schedule.says.enabled);
        if let Some(given) = &entry.approval {
            let of = given.get("of").and_then(|of| of.as_str()).map(str::to_owned);
            let text =
                |key: &str| given.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
            let max_rows = given.get("max_rows").and_then(serde_json::Value::as_u64);
            approval = Some((Approval { by: text("by"), at: text("at"), max_rows }, of));
        }
    }
    Known { schedule, entry, approval }
}

/// Looks for what is due.
pub struct Looker<'a> {
    engine: &'a Engine,
    configured: &'a [Schedule],
    known: Vec<Known>,
    /// When it was last looked whether they are the same still.
    read: Option<Timestamp>,
    /// What they were read under.
    stamp: Option<Stamp>,
    /// When each is due next, after the moment up to which it was looked at.
    next: BTreeMap<String, Option<Timestamp>>,
}

impl<'a> Looker<'a> {
    /// For these schedules and those that were added.
    pub fn new(engine: &'a Engine, configured: &'a [Schedule]) -> Self {
        Self { engine, configured, known: Vec::new(), read: None, stamp: None, next: BTreeMap::new() }
    }

    /// Notes the times that have come since it was last looked; how many are new. Whoever comes first does it.
    pub fn look(&mut self, now: Timestamp) -> Result<u64, Failure> {
        let stale = self.read.is_none_or(|read| now.duration_since(read).abs() >= FRESH);
        if stale {
            // A thousand schedules are read in a millisecond or two, which is most of what an idle process would do.
            let stamp = self.engine.timetable()?.stamp()?;
            if self.stamp.as_ref() != Some(&stamp) {
                self.know(all(self.engine, self.configured)?);
                self.stamp = Some(stamp);
            }
            self.read = Some(now);
        }
        let mut found = Vec::new();
        for known in &self.known {
            let schedule = &known.schedule;
            if !schedule.says.enabled || matches!(schedule.timing, Timing::After(_)) {
                continue;
            }
            let looked = known.entry.as_ref().and_then(|entry| entry.looked);
            let Some(looked) = looked.filter(|looked| *looked <= now + AHEAD) else {
                // Seen for the first time, or the clock was ahead: it begins now.
                found.push(Looked {
                    schedule: schedule.name.clone(),
                    ticks: Vec::new(),
                    until: Some(now),
                    back: true,
                });
                continue;
            };
            let next = self.next.entry(schedule.name.clone()).or_insert_with(|| schedule.next(looked));
            if next.is_some_and(|next| next <= now) {
                let ticks = due(schedule, looked, now);
                found.push(Looked { schedule: schedule.name.clone(), ticks, until: Some(now), back: false });
            }
        }
        let timetable = self.engine.timetable()?;
        let mut new = 0;
        if !found.is_empty() {
            new = timetable.note(&found)?;
            self.read = None;
        }
        if stale {
            self.pass_over_what_overlaps(now)?;
        }
        Ok(new)
    }

    /// Takes what was read. When something is due next is found anew only where it may be another time than before: with a thousand
    /// schedules that is most of the work of an idle process.
    fn know(&mut self, fresh: Vec<Known>) {
        let looked = |known: &Known| known.entry.as_ref().and_then(|entry| entry.looked);
        let before: BTreeMap<&str, &Known> =
            self.known.iter().map(|known| (known.schedule.name.as_str(), known)).collect();
        let is_same = |known: &Known| {
            let before = before.get(known.schedule.name.as_str());
            before.is_some_and(|before| {
                looked(before) == looked(known) && before.schedule.says == known.schedule.says
            })
        };
        let mut next = std::mem::take(&mut self.next);
        self.next = fresh
            .iter()
            .filter(|known| is_same(known))
            .filter_map(|known| next.remove_entry(&known.schedule.name))
            .collect();
        self.known = fresh;
    }

    /// What has come while the one before is still at work.
    fn pass_over_what_overlaps(&self, now: Timestamp) -> Result<(), Failure> {
        let timetable = self.engine.timetable()?;
        let open = timetable.open()?;
        if open.is_empty() {
            return Ok(());
        }
        let at_work =
            |name: &str| open.iter().any(|tick| tick.schedule == name && tick.state == TickState::Claimed);
        for known in &self.known {
            let name = &known.schedule.name;
            let waits =
                open.iter().any(|tick| tick.schedule == *name && tick.state.is_open() && tick.start <= now);
            if !waits || !at_work(name) {
                continue;
            }
            let why = "the one before is still at work";
            match known.schedule.says.overlap {
                Overlap::Queue => 0,
                Overlap::Skip => timetable.pass_over(name, TickState::Skipped, why, now)?,
                Overlap::Fail => timetable.pass_over(name, TickState::Failed, why, now)?,
            };
        }
        Ok(())
    }

    /// For how long nothing will be due, at most `most`.
    pub fn quiet(&self, now: Timestamp, most: SignedDuration) -> SignedDuration {
        let next = self.next.values().flatten().min();
        next.map_or(most, |next| next.duration_since(now).clamp(SignedDuration::ZERO, most))
    }
}

/// Notes a time for what waits for a schedule that has ended, or passes it over when that failed.
pub(crate) fn chain(
    engine: &Engine,
    configured: &[Schedule],
    ended: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let timetable = engine.timetable()?;
    let waits = |after: &[String]| after.iter().any(|need| need == ended);
    let mut waiting: Vec<String> = Vec::new();
    for schedule in configured.iter().filter(|schedule| waits(&schedule.says.after)) {
        waiting.push(schedule.name.clone());
    }
    waiting.extend(timetable.waiting_for(ended)?);
    for name in waiting {
        let Some(known) = one(engine, configured, &name)? else { continue };
        let Timing::After(needs) = &known.schedule.timing else { continue };
        if !known.schedule.says.enabled || !waits(needs) {
            continue;
        }
        let own = timetable.ticks(Some(&known.schedule.name), 1)?.into_iter().next();
        let since = own.map(|tick| tick.due);
        let mut failed = None;
        let mut complete = true;
        for need in needs {
            let last = timetable.ticks(Some(need), 20)?.into_iter().find(|tick| tick.ended.is_some());
            match last.filter(|tick| since.is_none_or(|since| tick.ended > Some(since))) {
                Some(tick) if tick.state == TickState::Done => {}
                Some(tick) => failed = Some(format!("`{need}`, which it waits for, {}", said(tick.state))),
                None => complete = false,
            }
        }
        if !complete && failed.is_none() {
            continue;
        }
        let tick = NewTick { due: now, start: known.schedule.start_of(now), skipped: failed };
        timetable.note(&[Looked {
            schedule: known.schedule.name.clone(),
            ticks: vec![tick],
            until: None,
            back: false,
        }])?;
    }
    Ok(())
}

fn said(state: TickState) -> &'static str {
    match state {
        TickState::Failed => "has failed",
        _ => "was passed over",
    }
}
