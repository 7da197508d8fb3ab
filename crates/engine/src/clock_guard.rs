//! Whether the machine's clock may be believed (W-124): one that is wrong makes everything too old, or nothing.
//!
//! A database on the same machine has the same clock, so traces are asked as well: when the clock was believed last, undo points,
//! the time of the file. They only say that the time was not earlier. A clock that is far ahead of all of them is doubted, until a
//! person allows the run. What is found is `clock`; while it is, nothing is forgotten for its age.

use crate::engine::Engine;
use crate::error::{Error, Failure, Result};
use crate::finding::{Finding, Level};
use crate::guard::Scene;
use crate::plan::Plan;
use crate::undo;
use crate::undo_request::{RESTORE, UNDO};
use crate::words::count;
use jiff::{SignedDuration, Timestamp};
use targets::db::Facts;

/// The code of the finding.
pub const CLOCK: &str = "clock";

/// Clocks of two machines may be so far apart: zones that were set wrong, say, are of no harm to ages of days.
const APART: SignedDuration = SignedDuration::from_hours(24);
/// Clocks are set back by so much without being wrong.
const BACK: SignedDuration = SignedDuration::from_hours(1);
/// Longer than the pause of any usual schedule: what lies longer back is asked for other traces.
pub(crate) const QUIET: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Longer than a year: nothing explains that nobody was here for so long.
const FAR: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Before 1980 nobody wrote a file: archives and images are unpacked with such times.
const EIGHTIES: Timestamp = Timestamp::constant(315_532_800, 0);

/// The newest trace of an earlier moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When.
    pub at: Timestamp,
    /// What it is.
    pub what: &'static str,
}

/// Doubts about the clock as one finding, of the moment at which the clock was believed last.
pub(crate) fn doubt(object: &str, clock: Timestamp, believed: Option<Timestamp>) -> Option<Finding> {
    let believed = believed?;
    if believed > clock + BACK {
        return Some(ahead(object, format!("the newest run in the log began in the future, at {believed}")));
    }
    far(object, clock, &Trace { at: believed, what: "the newest run in the log" })
}

fn ahead(object: &str, what: String) -> Finding {
    Finding::refuse(
        CLOCK,
        object,
        what,
        "set the clock of this machine right, because ages are measured from it; if it is right now, allow the run once with \
         `--force`",
    )
}

fn far(object: &str, clock: Timestamp, trace: &Trace) -> Option<Finding> {
    let gap = clock.duration_since(trace.at);
    (gap > FAR).then(|| {
        let days = count((gap.as_hours() / 24) as u64);
        ahead(
            object,
            format!("{} is {days} days old by this machine's clock, which shows {clock:.0}", trace.what),
        )
    })
}

/// What is put back is no matter of age: there a doubt is only told.
pub(crate) fn weighed(mut finding: Finding, kind: &str) -> Finding {
    if [UNDO, RESTORE].contains(&kind) {
        finding.level = Level::Warning;
    }
    finding
}

/// All findings about the clock.
pub(crate) fn findings(scene: &Scene) -> Vec<Finding> {
    let mut all = Vec::new();
    let object = &scene.server.database;
    let theirs = Timestamp::from_microsecond(scene.server.clock_us).unwrap_or(Timestamp::MAX);
    let apart = scene.clock.duration_since(theirs).abs();
    if apart > APART {
        let days = count((apart.as_hours() / 24) as u64);
        all.push(ahead(object, format!("our clock and the database's are {days} days apart")));
    }
    if scene.now > scene.clock + BACK {
        all.push(ahead(
            object,
            format!("the plan measures ages from a moment in the future, {:.0}", scene.now),
        ));
    }
    all.extend(doubt(object, scene.clock, scene.believed));
    if let Some(trace) = scene.trace.as_ref().filter(|_| scene.believed.is_none()) {
        all.extend(far(object, scene.clock, trace));
    }
    all.into_iter().map(|finding| weighed(finding, &scene.item.operation.kind)).collect()
}

/// The newest trace of an earlier moment: by itself when the clock was believed last, and other ones where that is long ago.
pub(crate) fn trace(
    clock: Timestamp,
    believed: Option<Timestamp>,
    facts: &mut dyn Facts,
) -> Result<Option<Trace>> {
    let believed = believed.map(|at| Trace { at, what: "the newest run in the log" });
    if believed.as_ref().is_some_and(|trace| clock.duration_since(trace.at) <= QUIET) {
        return Ok(believed);
    }
    // Who may not read them is told so by the guard of rights.
    let points = undo::points(facts).unwrap_or_default().into_iter().map(|point| point.created_at);
    let points = points.map(|at| Trace { at, what: "the newest undo point" });
    let not_ahead = |trace: &Trace| trace.at <= clock + BACK;
    let known = believed.into_iter().chain(points).filter(not_ahead).max_by_key(|trace| trace.at);
    if known.is_some() {
        return Ok(known);
    }
    let written = facts.server()?.written_us.and_then(|us| Timestamp::from_microsecond(us).ok());
    let written =
        written.filter(|at| *at > EIGHTIES).map(|at| Trace { at, what: "the newest change of the file" });
    Ok(written.filter(not_ahead))
}

impl Engine {
    /// When the clock was believed last, as far as that can be told without making a state.
    pub(crate) fn believed(&self) -> Result<Option<Timestamp>> {
        match self.state_to_ask() {
            Some(state) => state.believed(),
            None => Ok(None),
        }
    }

    /// Doubts about the clock before a run: of the log, or of the plan.
    pub(crate) fn doubt_of(&self, plan: &Plan) -> Result<Option<Finding>, Failure> {
        let of_plan = plan.items.iter().flat_map(|item| &item.findings).find(|finding| finding.code == CLOCK);
        Ok(self.doubt_of_clock()?.or_else(|| of_plan.cloned()))
    }

    /// Doubts about the clock that the log of runs raises.
    pub fn doubt_of_clock(&self) -> Result<Option<Finding>, Failure> {
        Ok(doubt("this machine", self.clock().now(), self.state()?.believed()?))
    }

    /// Refuses to forget anything for its age while the clock is in doubt.
    pub(crate) fn only_with_a_clock(&self) -> Result<(), Failure> {
        match self.doubt_of_clock()? {
            None => Ok(()),
            Some(found) => Err(Error::data(format!("nothing is forgotten for its age: {}", found.what))
                .help(found.remedy)
                .into()),
        }
    }

    /// Notes that the clock was believed at this moment: without doubts, or because a person forced the run.
    pub(crate) fn believe_clock(&self) -> Result<(), Failure> {
        let (state, now) = (self.state()?, self.clock().now());
        let lately = |at: Timestamp| at.duration_until(now).abs() < BACK;
        match state.believed()?.is_some_and(lately) {
            true => Ok(()),
            false => Ok(state.believe(now)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;

    #[test]
    fn a_pause_that_a_schedule_explains_is_no_doubt_and_ten_years_are() {
        // W-124
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let doubted = |days: i64| doubt("main", now, Some(now - (24 * days).hours())).is_some();
        assert!(!doubted(0) && !doubted(35) && !doubted(366));
        assert!(doubted(401) && doubted(3_650) && doubted(-1));
        assert!(doubt("main", now, None).is_none());
        let found = doubt("main", now, Some(now - (24 * 3_650).hours())).unwrap();
        assert!(found.what.contains("3 650 days") && found.remedy.contains("--force"), "{found:?}");
    }
}
