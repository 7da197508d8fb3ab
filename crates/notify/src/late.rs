//! The dead man: a schedule that did not run at its time, and a process that should serve and does not.

use crate::alert::{Alert, Watched};
use crate::message::Level;
use crate::words::lasting;
use engine::Tick;
use jiff::{SignedDuration, Timestamp};
use scheduler::{Known, Timing};
use std::collections::BTreeMap;

/// The mark that a process which serves sets from time to time.
pub const SERVED: &str = "served";

/// Which schedules did not begin at their time, and for longer than `grace`. `last` has the last tick of each.
pub fn late(
    known: &[Known],
    last: &BTreeMap<String, Tick>,
    now: Timestamp,
    grace: SignedDuration,
) -> Vec<Watched> {
    let mut all = Vec::new();
    for Known { schedule, entry, .. } in known {
        let Timing::At(_) = &schedule.timing else { continue };
        let name = &schedule.name;
        let tick = last.get(name);
        // What has begun is late in another way, and told as that.
        let waiting = tick.filter(|tick| tick.state.is_open());
        let missed = match (waiting, tick) {
            (Some(tick), _) => Some(tick.due),
            (None, Some(tick)) => schedule.next(tick.due),
            // Nobody has looked at it yet: it is not known since when it should run.
            (None, None) => entry.as_ref().and_then(|entry| schedule.next(entry.looked?)),
        };
        let missed = missed
            .filter(|due| schedule.says.enabled && !schedule.is_blacked_out(*due))
            .filter(|due| schedule.start_of(*due) + grace < now);
        let alert = missed.map(|due| {
            let why = match waiting.and_then(|tick| tick.why.as_ref()) {
                Some(why) => format!("it waits: {why}"),
                None => "nobody began it; `sexton schedule` tells whether a process serves".to_owned(),
            };
            let mut alert = Alert::new(
                Level::Critical,
                format!(
                    "{name} did not run, {} after its time",
                    lasting(now.duration_since(due).as_secs_f64())
                ),
                format!("it was due at {}\n{why}", due.strftime("%Y-%m-%d %H:%M UTC")),
            );
            alert.schedule = Some(name.clone());
            alert
        });
        all.push(Watched::new(format!("late/{name}"), alert).told_over(format!("{name} runs again")));
    }
    all
}

/// Whether nobody serves: `marked` is when somebody last did. Nothing where nobody ever did, or where nothing is to be done.
pub fn standstill(
    known: &[Known],
    marked: Option<Timestamp>,
    now: Timestamp,
    grace: SignedDuration,
) -> Option<Watched> {
    let marked = marked?;
    let any = known.iter().any(|known| known.schedule.says.enabled);
    let silent = now.duration_since(marked);
    let alert = (any && silent > grace).then(|| {
        Alert::new(
            Level::Critical,
            format!("nobody looks after the schedules for {}", lasting(silent.as_secs_f64())),
            format!(
                "the last process that served was heard of at {}; `sexton serve` does",
                marked.strftime("%Y-%m-%d %H:%M UTC")
            ),
        )
    });
    Some(Watched::new(SERVED, alert).told_over("the schedules are looked after again"))
}
