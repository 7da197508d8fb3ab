//! `sexton serve` and `sexton worker`: one thread looks for what is due, others work on it, until somebody asks to stop. Where
//! messages go somewhere, one more looks whether anything is wrong, and one sends.
//!
//! Nothing is kept in memory that would be missed: whatever is killed here is gone on with by the next process.

use crate::choice::{self, Names};
use crate::config::{Config, Node, Override, THRESHOLD};
use crate::lookout::Lookout;
use crate::trouble::{Trouble, chain};
use crate::wiring;
use engine::{Engine, Error, Event, Failure, Request, Stop, TickState, Trigger, new_id};
use jiff::{SignedDuration, Timestamp};
use notify::settings::length;
use notify::{Ended, Post};
use scheduler::{Looker, Outcome, Requests, Schedule, Worker};
use std::time::Duration;

/// Between two looks for what is due, and for something to do.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two signs of life.
const BEAT: SignedDuration = SignedDuration::from_secs(10);
/// Between two times that old ticks are forgotten.
const TIDY: SignedDuration = SignedDuration::from_hours(1);
/// Whoever serves is there when it was heard of within this time.
const HEARD: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks at schedules that did not run.
const SCHEDULES: SignedDuration = SignedDuration::from_secs(60);
/// What is still to be sent when it is asked to stop gets so long.
const LAST: Duration = Duration::from_secs(3);

/// How it is served.
pub struct Service<'a> {
    /// What was configured.
    pub config: &'a Config,
    /// The name of this machine.
    pub host: String,
    /// How many runs at a time.
    pub workers: usize,
    /// How long a worker may be silent before others go on with what it has.
    pub lease: Duration,
    /// Tells people what happens.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// Makes requests of schedules, as the configuration has their operations.
pub struct Plans<'a> {
    /// What was configured.
    pub config: &'a Config,
    /// Hears what came of each.
    pub tell: &'a (dyn Fn(&str) + Sync),
    /// Gets the messages about it.
    pub post: Post<'a>,
}

impl Requests for Plans<'_> {
    fn configured(&self) -> &[Schedule] {
        &self.config.schedules
    }

    fn request(&self, schedule: &Schedule) -> Result<Request, Failure> {
        request_of(self.config, schedule).map_err(|trouble| {
            let error = Error::usage(trouble.causes.join(": "));
            Failure::Error(match trouble.help {
                Some(help) => error.help(help),
                None => error,
            })
        })
    }

    fn seen(&self, event: &Event) {
        if let Err(failure) = self.post.happened(event) {
            tracing::warn!(%failure, "a message cannot be handed in");
        }
    }

    fn over(&self, outcome: &Outcome<'_>) {
        let failed = outcome.state == TickState::Failed;
        let ended = Ended {
            report: outcome.report,
            schedule: Some(outcome.schedule),
            name: &outcome.schedule.name,
            why: outcome.why.filter(|_| failed || outcome.report.is_some()),
            id: &outcome.tick.id,
            by_hand: false,
            promised: &|name| self.config.is_promised(name),
        };
        // A message that cannot be handed in is no reason for anything else to fail.
        if let Err(failure) = self.post.ended(&ended) {
            (self.tell)(&format!("error: a message cannot be handed in: {}", chain(&failure).join(": ")));
        }
        // What was only shown for want of an approval is no work.
        let worked = |report: &engine::Report| report.metadata.dry_run == outcome.schedule.says.dry_run;
        if outcome.state == TickState::Done
            && outcome.report.is_some_and(worked)
            && let Some(url) = self.config.notify.watcher(&outcome.schedule.name)
        {
            notify::beat_surely(&outcome.schedule.name, url);
        }
        let rows = outcome.report.map(|report| report.totals.rows()).unwrap_or(0);
        let why = outcome.why.map(|why| format!(": {why}")).unwrap_or_default();
        let run = outcome.report.map(|report| format!(", run {}", report.run_id)).unwrap_or_default();
        let (name, state) = (&outcome.schedule.name, outcome.state.name());
        (self.tell)(&format!("{name} {state}{why}, {}{run}", engine::words::rows(rows)));
    }
}

/// The request that a schedule means.
pub fn request_of(config: &Config, schedule: &Schedule) -> Result<Request, Trouble> {
    let chosen = choice::operations(&Names::listed(&schedule.says.run), config)?;
    let said: Vec<Override> = schedule
        .says
        .options
        .iter()
        .map(|(key, value)| Override {
            key: key.clone(),
            flag: format!("options.{key}"),
            value: Node::of_json(key, value),
        })
        .collect();
    let actor = format!("schedule {}", schedule.name);
    let mut request = choice::request(config, &chosen, &said, None, &actor)?;
    if let Some(most) = schedule.says.alert_threshold {
        for (chosen, asked) in chosen.iter().zip(&mut request.operations) {
            if Config::has_option(chosen.operation.kind, THRESHOLD) {
                asked.options[THRESHOLD] = most.into();
            }
        }
    }
    Ok(Request { trigger: Trigger::Schedule, ..request })
}

impl Service<'_> {
    /// Serves until it is asked to stop. The batch at work is ended, and what is left of its run goes on later.
    pub fn serve(&self, stop: &Stop) -> Result<(), Trouble> {
        let engine = wiring::engine(self.config, None);
        let id = new_id();
        let place = format!("process {} of {}", std::process::id(), self.host);
        let began = engine.clock().now();
        // What cannot be had now is told at once, not in an hour.
        engine.timetable()?.arrive(&id, &place, began)?;
        self.greet(&engine, began)?;
        let post = Post { engine: &engine, settings: &self.config.notify };
        if !post.settings.is_silent() {
            // Before anybody is there again: whether nobody was.
            Lookout { engine: &engine, config: self.config }.look_at_schedules()?;
        }
        if post.settings.is_heard() {
            engine.outbox()?.mark(notify::SERVED, began)?;
        }
        let plans = Plans { config: self.config, tell: self.tell, post };
        std::thread::scope(|scope| {
            for n in 0..self.workers {
                let (id, plans) = (format!("{id}-{n}"), &plans);
                scope.spawn(move || self.work(&id, plans, stop));
            }
            if !post.settings.is_silent() {
                scope.spawn(|| self.watch(stop));
            }
            if post.settings.is_heard() {
                scope.spawn(|| self.send(stop));
            }
            self.look(&engine, &id, &place, began, stop);
        });
        engine.timetable()?.leave(&id)?;
        (self.tell)("stopped");
        Ok(())
    }

    fn greet(&self, engine: &Engine, now: Timestamp) -> Result<(), Trouble> {
        let all = scheduler::all(engine, &self.config.schedules)?;
        let on = all.iter().filter(|known| known.schedule.says.enabled).count();
        let next =
            all.iter().filter_map(|known| Some((known.schedule.next(now)?, &known.schedule.name))).min();
        let next = next.map(|(at, name)| format!("; next is {name} at {}", at.strftime("%d %b %H:%M UTC")));
        let schedules = engine::words::of(on as u64, "schedule is", "schedules are");
        (self.tell)(&format!("{schedules} looked after{}", next.unwrap_or_default()));
        Ok(())
    }

    /// Looks for what is due and says that it is there.
    fn look(&self, engine: &Engine, id: &str, place: &str, began: Timestamp, stop: &Stop) {
        let mut looker = Looker::new(engine, &self.config.schedules);
        let mut trouble = Repeated::default();
        let (mut beaten, mut tidied) = (began, None);
        while !stop.asked() {
            let now = engine.clock().now();
            let outcome = (|| {
                looker.look(now)?;
                if now.duration_since(beaten).abs() >= BEAT {
                    engine.timetable()?.arrive(id, place, began)?;
                    if self.config.notify.is_heard() {
                        engine.outbox()?.mark(notify::SERVED, now)?;
                    }
                    beaten = now;
                }
                if tidied.is_none_or(|tidied| now.duration_since(tidied).abs() >= TIDY) {
                    let before = self.config.keep_runs.before(now)?;
                    engine.timetable()?.forget(before)?;
                    let outbox = engine.outbox()?;
                    outbox.forget(before)?;
                    let channels = self.config.notify.channels.iter();
                    let names: Vec<&str> = channels.map(|channel| channel.name.as_str()).collect();
                    outbox.give_up_others(&names, now)?;
                    tidied = Some(now);
                }
                Ok(())
            })();
            trouble.tell(outcome, self.tell);
            self.pause(stop);
        }
    }

    fn work(&self, id: &str, plans: &Plans<'_>, stop: &Stop) {
        // An engine of its own: sessions are not shared between runs.
        let engine = wiring::engine(self.config, None);
        let worker = Worker::new(&engine, plans, id, self.lease);
        let mut trouble = Repeated::default();
        while !stop.asked() {
            match worker.step(stop) {
                Ok(true) => continue,
                outcome => trouble.tell(outcome.map(drop), self.tell),
            }
            self.pause(stop);
        }
    }

    /// Looks whether anything is wrong.
    fn watch(&self, stop: &Stop) {
        let engine = wiring::engine(self.config, None);
        let lookout = Lookout { engine: &engine, config: self.config };
        let every = length(&self.config.notify.alerts.every);
        let (mut looked, mut seen, mut trouble) = (None, None, Repeated::default());
        while !stop.asked() {
            let now = engine.clock().now();
            let stale = |at: Option<Timestamp>, every: SignedDuration| {
                at.is_none_or(|at| now.duration_since(at).abs() >= every)
            };
            // Schedules are little work, and whoever waits for one should not wait longer to hear of it.
            let outcome = if stale(looked, every) {
                (looked, seen) = (Some(now), Some(now));
                lookout.look().map(drop)
            } else if stale(seen, SCHEDULES) {
                seen = Some(now);
                lookout.look_at_schedules()
            } else {
                Ok(())
            };
            trouble.tell_text(outcome.err().map(|trouble| trouble.causes.join(": ")), self.tell);
            self.pause(stop);
        }
    }

    /// Sends what is due, and the sign of life.
    fn send(&self, stop: &Stop) {
        let engine = wiring::engine(self.config, None);
        let post = Post { engine: &engine, settings: &self.config.notify };
        let every = length(&self.config.notify.alerts.heartbeat_every);
        let (mut beaten, mut trouble, mut away) = (None, Repeated::default(), Repeated::default());
        while !stop.asked() {
            trouble.tell(self.deliver(&post, None, &mut away), self.tell);
            let now = engine.clock().now();
            if let Some(url) = &self.config.notify.heartbeat
                && beaten.is_none_or(|beaten| now.duration_since(beaten).abs() >= every)
                && is_served(&engine, now)
            {
                beaten = Some(now);
                if let Err(refused) = notify::beat(url) {
                    (self.tell)(&format!("error: the heartbeat was not taken: {}", refused.why));
                }
            }
            self.pause(stop);
        }
        trouble.tell(self.deliver(&post, Some(LAST), &mut away), self.tell);
    }

    fn deliver(&self, post: &Post, limit: Option<Duration>, away: &mut Repeated) -> Result<(), Failure> {
        let delivered = post.deliver(limit)?;
        for (channel, many, why) in &delivered.given_up {
            let notes = engine::words::of(*many, "message", "messages");
            (self.tell)(&format!("error: {notes} to {channel} given up: {why}"));
        }
        match delivered.put_off.first() {
            Some((channel, _, why)) => {
                away.tell_text(Some(format!("{channel} takes no messages: {why}")), self.tell)
            }
            None if delivered.sent > 0 => away.tell_text(None, self.tell),
            None => {}
        }
        Ok(())
    }

    fn pause(&self, stop: &Stop) {
        for _ in 0..10 {
            if !stop.asked() {
                std::thread::sleep(PAUSE / 10);
            }
        }
    }
}

/// Whether somebody looks after the schedules at this moment.
fn is_served(engine: &Engine, now: Timestamp) -> bool {
    let marked = engine.outbox().ok().and_then(|outbox| outbox.marked(notify::SERVED).ok()?);
    marked.is_some_and(|marked| now.duration_since(marked).abs() <= HEARD)
}

/// Trouble that comes again every half second is told once.
#[derive(Default)]
struct Repeated {
    last: Option<String>,
}

impl Repeated {
    fn tell(&mut self, outcome: Result<(), Failure>, tell: &(dyn Fn(&str) + Sync)) {
        self.tell_text(
            outcome.err().map(|failure| {
                let help = failure.help().map(|help| format!(" ({help})")).unwrap_or_default();
                format!("{}{help}", chain(&failure).join(": "))
            }),
            tell,
        );
    }

    fn tell_text(&mut self, now: Option<String>, tell: &(dyn Fn(&str) + Sync)) {
        match (&self.last, &now) {
            (last, Some(now)) if last.as_ref() != Some(now) => tell(&format!("error: {now}; trying on")),
            (Some(_), None) => tell("all is well again"),
            _ => {}
        }
        self.last = now;
    }
}

/// How a tick stands, for people.
pub fn standing(state: TickState, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("{}: {why}", state.name()),
        None => state.name().to_owned(),
    }
}
