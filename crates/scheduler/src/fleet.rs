//! A time of a schedule that is about many databases: one worker hands out the databases as they have their turn, and all
//! workers work on what was handed out.
//!
//! Each database gets a tick and a run of its own. What was handed out, and what came of it, is in the timetable: another worker
//! goes on with handing out where this one dies.

use crate::look::Known;
use crate::rollout::{self, Policy, Standing};
use crate::work::{Ended, Worker};
use engine::words::of;
use engine::{Failure, Part, Stop, Tick, TickState};
use jiff::SignedDuration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two looks at what became of the parts, while something happens and while nothing does.
const SOON: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(500);
/// So many failures are told by name.
const NAMED: usize = 5;

/// The databases of a fleet, as they are now.
pub struct Fleet {
    /// In the order in which they have their turn.
    pub members: Vec<Member>,
    /// How many at a time, and until when.
    pub policy: Policy,
}

/// One database of a fleet.
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its server; empty where there is none.
    pub server: String,
}

impl Worker<'_> {
    /// Hands out databases until all had their turn, and works on some itself.
    pub(crate) fn conduct(
        &self,
        tick: &Tick,
        known: &Known,
        stop: &Stop,
        own: &Stop,
    ) -> Result<Ended, Failure> {
        let fleet = match self.requests.fleet(self.engine, &known.schedule) {
            Ok(fleet) => fleet,
            Err(failure) => {
                return Ok(Ended::Over(TickState::Failed, Some(crate::work::said(&failure)), None));
            }
        };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (over, fleet) = (&over, &fleet);
            let handing_out = scope.spawn(move || {
                let ended = self.hand_out(tick, fleet, own);
                over.store(true, Ordering::Release);
                ended
            });
            while !over.load(Ordering::Acquire) {
                let now = self.engine.clock().now();
                let timetable = self.engine.timetable();
                let part = timetable.and_then(|all| Ok(all.claim_part(tick, &self.id, self.lease, now)?));
                match part {
                    Ok(Some(part)) => {
                        // What goes wrong with one of them stands in the timetable, or comes again there.
                        if let Err(failure) = self.take(&part, stop) {
                            tracing::warn!(%failure, part = %part.schedule, "the work on a database broke off");
                        }
                    }
                    // A failure is met by the one who hands out as well.
                    Ok(None) | Err(_) => {
                        own.wait(SOON);
                    }
                }
            }
            handing_out.join().unwrap_or_else(|_| {
                Err(engine::Error::system("the thread that hands out the databases broke").into())
            })
        })
    }

    fn hand_out(&self, tick: &Tick, fleet: &Fleet, own: &Stop) -> Result<Ended, Failure> {
        let servers: Vec<String> = fleet.members.iter().map(|member| member.server.clone()).collect();
        let mut pause = SOON;
        let mut seen = None;
        loop {
            let timetable = self.engine.timetable()?;
            if own.asked() {
                return Ok(Ended::PutOff(SignedDuration::ZERO, "its worker was stopped".to_owned()));
            }
            let now = timetable.parts_over(tick)?;
            if seen == Some(now) {
                own.wait(pause);
                pause = (pause * 2).min(SELDOM);
                seen = None;
                continue;
            }
            let parts = timetable.parts(tick)?;
            let standings: Vec<Standing> =
                fleet.members.iter().map(|member| standing(&parts, &member.name)).collect();
            let turn = rollout::turn(&fleet.policy, &servers, &standings);
            if !turn.begin.is_empty() {
                let names: Vec<&str> = turn.begin.iter().map(|n| fleet.members[*n].name.as_str()).collect();
                if !timetable.hand_out(tick, &names, self.engine.clock().now())? {
                    own.ask();
                }
                pause = SOON;
                continue;
            }
            if standings.contains(&Standing::AtWork) {
                seen = Some(now);
                continue;
            }
            return Ok(told(&parts, &standings, turn.stopped));
        }
    }
}

fn standing(parts: &[Part], name: &str) -> Standing {
    match parts.iter().find(|part| part.database == name).map(|part| part.state) {
        None => Standing::NotBegun,
        Some(TickState::Waiting | TickState::Taken | TickState::Claimed) => Standing::AtWork,
        Some(TickState::Done | TickState::Skipped) => Standing::Done,
        Some(TickState::Failed) => Standing::Failed,
    }
}

fn told(parts: &[Part], standings: &[Standing], stopped: Option<&'static str>) -> Ended {
    let count = |wanted: Standing| standings.iter().filter(|one| **one == wanted).count() as u64;
    let mut text = vec![format!("{} done", of(count(Standing::Done), "database", "databases"))];
    let failed: Vec<&Part> = parts.iter().filter(|part| part.state == TickState::Failed).collect();
    if !failed.is_empty() {
        let told = |part: &&Part| match &part.why {
            Some(why) => format!("{} ({why})", part.database),
            None => part.database.clone(),
        };
        let mut names: Vec<String> = failed.iter().take(NAMED).map(told).collect();
        if failed.len() > NAMED {
            names.push(format!("and {} more", failed.len() - NAMED));
        }
        text.push(format!("{} failed: {}", failed.len(), names.join(", ")));
    }
    match (stopped, count(Standing::NotBegun)) {
        (Some(why), 0) => text.push(why.to_owned()),
        (Some(why), left) => text.push(format!("{left} not begun: {why}")),
        (None, _) => {}
    }
    let text = text.join("; ");
    match (stopped, failed.is_empty()) {
        (Some(_), _) => Ended::Over(TickState::Failed, Some(text), None),
        (None, true) => Ended::Over(TickState::Done, Some(text), None),
        (None, false) => Ended::Warned(text),
    }
}
