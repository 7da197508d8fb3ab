//! `sexton serve` and `sexton worker`: one thread looks for what is due, others work on it, until somebody asks to stop. Where
//! messages go somewhere, one more looks whether anything is wrong, one sends, and one gives the sign of life.
//!
//! Nothing is kept in memory that would be missed: whatever is killed here is gone on with by the next process.

use crate::choice::{self, Names};
use crate::config::{Config, Node, Override, StatePlace, THRESHOLD};
use crate::doorbell::Doorbell;
use crate::exit::Exit;
use crate::first_run;
use crate::fleet;
use crate::lookout::Lookout;
use crate::trouble::{Trouble, chain};
use crate::wiring;
use engine::{Engine, Error, Event, Failure, Request, Stop, TickState, Trigger, new_id};
use jiff::{SignedDuration, Timestamp};
use notify::settings::length;
use notify::{Ended, Post};
use scheduler::{Fleet, Looker, Member, Outcome, Requests, Schedule, Worker};
use std::time::Duration;

/// After something went wrong.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks for something to do that another process may have added, where nobody can be heard.
const IDLE: Duration = Duration::from_secs(1);
/// The same where others are heard: what was missed all the same waits so long.
const SELDOM: Duration = Duration::from_secs(15);
/// Right after somebody else was quicker.
const AT_ONCE: Duration = Duration::from_millis(20);
/// The longest between two looks for what is due: what others add is seen then.
const LOOKED: SignedDuration = SignedDuration::from_secs(5);
/// The turn of the one who looks whether anything is wrong.
const LOOKOUT: &str = "lookout";
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

    fn fleet(&self, _engine: &Engine, schedule: &Schedule) -> Result<Fleet, Failure> {
        let name = schedule.says.fleet.as_deref().unwrap_or_default();
        let Some(setting) = self.config.fleets.iter().find(|fleet| fleet.name == name) else {
            return Err(Error::usage(format!("there is no fleet `{name}`"))
                .help(format!("add `[fleet.{name}]` to the configuration"))
                .into());
        };
        let members = wiring::members(self.config, setting)?
            .into_iter()
            .map(|member| Member { server: member.setting.url.server(), name: member.setting.name });
        Ok(Fleet { members: members.collect(), policy: fleet::policy(setting) })
    }

    fn refused(&self, engine: &Engine, request: &Request) -> Result<Option<String>, Failure> {
        match first_run::check(engine, self.config, &request.operations) {
            Ok(()) => Ok(None),
            Err(refused) if refused.exit == Exit::Refused => {
                let help = refused.help.map(|help| format!(" ({help})")).unwrap_or_default();
                Ok(Some(format!("{}{help}", refused.causes.join(": "))))
            }
            Err(trouble) => Err(Failure::Error(Error::system(trouble.causes.join(": ")))),
        }
    }

    fn seen(&self, event: &Event) {
        if let Err(failure) = self.post.happened(event) {
            tracing::warn!(%failure, "a message cannot be handed in");
        }
    }

    fn over(&self, outcome: &Outcome<'_>) {
        let rows = outcome.report.map(|report| report.totals.rows()).unwrap_or(0);
        let why = outcome.why.map(|why| format!(": {why}")).unwrap_or_default();
        let run = outcome.report.map(|report| format!(", run {}", report.run_id)).unwrap_or_default();
        let (name, state) = (&outcome.schedule.name, outcome.state.name());
        if let Some(database) = outcome.tick.part_of() {
            // People are told about all of them together, when all are done.
            let rows = engine::words::rows(rows);
            return (self.tell)(&format!("{name} on {database} {state}{why}, {rows}{run}"));
        }
        let failed = outcome.state == TickState::Failed;
        let is_for_many = outcome.schedule.says.fleet.is_some() && outcome.state == TickState::Done;
        let ended = Ended {
            report: outcome.report,
            schedule: Some(outcome.schedule),
            name: &outcome.schedule.name,
            why: outcome.why.filter(|_| failed || is_for_many || outcome.report.is_some()),
            id: &outcome.tick.id,
            event: match (is_for_many, outcome.warned) {
                (true, false) => notify::Event::Success,
                (true, true) => notify::Event::Warning,
                (false, _) => notify::Event::Failure,
            },
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
            && (is_for_many || outcome.report.is_some_and(worked))
            && let Some(url) = self.config.notify.watcher(&outcome.schedule.name)
        {
            notify::beat_surely(&outcome.schedule.name, url);
        }
        (self.tell)(&match outcome.schedule.says.fleet {
            Some(_) => format!("{name} {state}{why}"),
            None => format!("{name} {state}{why}, {}{run}", engine::words::rows(rows)),
        });
    }
}

/// The request that a schedule means.
pub fn request_of(config: &Config, schedule: &Schedule) -> Result<Request, Trouble> {
    let names = Names::listed(&schedule.says.run);
    let chosen = choice::operations(&names, config)?;
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
    let max_parallel = choice::side_by_side(&names, config);
    Ok(Request { trigger: Trigger::Schedule, max_parallel, ..request })
}

impl Service<'_> {
    /// Serves until it is asked to stop. The batch at work is ended, and what is left of its run goes on later.
    pub fn serve(&self, stop: &Stop) -> Result<(), Trouble> {
        let engine = wiring::engine(self.config, None);
        let id = new_id();
        let place = format!("process {} of {}", std::process::id(), self.host);
        let began = engine.clock().now();
        // What cannot be had now is told at once, not in an hour.
        let timetable = engine.timetable()?;
        // The file as it is now: by the first look somebody may have put another one there.
        let file = wiring::state_file(self.config);
        timetable.arrive(&id, &place, began)?;
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
        let door = Doorbell::default();
        let looked = std::thread::scope(|scope| {
            let door = &door;
            for n in 0..self.workers {
                let (id, plans) = (format!("{id}-{n}"), &plans);
                scope.spawn(move || self.work(&id, plans, door, stop));
            }
            if self.shares_its_state() {
                scope.spawn(move || {
                    let mut trouble = Repeated::default();
                    let engine = wiring::engine(self.config, None);
                    door.listen(&engine, stop, |outcome| trouble.tell(outcome, self.tell));
                });
            }
            if !post.settings.is_silent() {
                scope.spawn(|| self.watch(stop));
            }
            if !post.settings.is_silent() {
                scope.spawn(|| self.send(stop));
            }
            if post.settings.heartbeat.is_some() {
                scope.spawn(|| self.beat(stop));
            }
            let looked = self.look(&engine, (&id, &place, began), file, door, stop);
            stop.ask();
            // Whoever waits for work need not wait on.
            door.ring();
            looked
        });
        looked?;
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
    fn look(
        &self,
        engine: &Engine,
        (id, place, began): (&str, &str, Timestamp),
        file: Option<(u64, u64)>,
        door: &Doorbell,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        let mut looker = Looker::new(engine, &self.config.schedules);
        let mut trouble = Repeated::default();
        let (mut beaten, mut tidied) = (began, None);
        let mut settles = began + LOOKED;
        while !stop.asked() {
            if wiring::state_file(self.config) != file {
                // It would be written on to a file that nobody finds any more.
                return Err(Trouble {
                    help: Some("put it back, or begin with a new one: start `sexton serve` again".to_owned()),
                    ..Trouble::system("the file of the state", "it was taken away or replaced")
                });
            }
            let now = engine.clock().now();
            let outcome = (|| {
                if looker.look(now)? > 0 {
                    door.ring();
                }
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
            let pause = match &outcome {
                Ok(()) => looker.quiet(engine.clock().now(), LOOKED).try_into().unwrap_or(PAUSE),
                Err(_) => PAUSE,
            };
            trouble.tell(outcome, self.tell);
            if now >= settles {
                wiring::give_back_memory();
                settles = now + TIDY;
            }
            stop.wait(pause.max(AT_ONCE));
        }
        Ok(())
    }

    fn work(&self, id: &str, plans: &Plans<'_>, door: &Doorbell, stop: &Stop) {
        // An engine of its own: sessions are not shared between runs.
        let engine = wiring::engine(self.config, None);
        let worker = Worker::new(&engine, plans, id, self.lease).one_of(self.workers);
        let mut trouble = Repeated::default();
        loop {
            // In this order: whoever asks for the stop after it was looked for rings after it was counted.
            let rung = door.count();
            if stop.asked() {
                break;
            }
            let outcome = worker.step(stop);
            if let Ok(true) = outcome {
                continue;
            }
            let pause = match &outcome {
                Ok(_) if door.hears_others() => {
                    let timetable = engine.timetable();
                    timetable.and_then(|timetable| Ok(timetable.quiet(engine.clock().now(), SELDOM)?))
                }
                Ok(_) => Ok(IDLE),
                Err(_) => Ok(PAUSE),
            };
            trouble.tell(outcome.map(drop), self.tell);
            door.wait(rung, pause.unwrap_or(PAUSE).max(AT_ONCE));
        }
        worker.give_back();
    }

    /// Whether others may work on the same state.
    fn shares_its_state(&self) -> bool {
        matches!(self.config.state, StatePlace::Database(_))
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
                // Of many, one looks: databases are not asked more often because there are more workers.
                let turn = !self.shares_its_state()
                    || engine.outbox().and_then(|box_| Ok(box_.turn(LOOKOUT, every, now)?)).unwrap_or(true);
                if turn { lookout.look().map(drop) } else { Ok(()) }
            } else if stale(seen, SCHEDULES) {
                seen = Some(now);
                lookout.look_at_schedules()
            } else {
                Ok(())
            };
            trouble.tell_text(outcome.err().map(|trouble| trouble.causes.join(": ")), self.tell);
            stop.wait(PAUSE);
        }
    }

    /// Sends what is due.
    fn send(&self, stop: &Stop) {
        let engine = wiring::engine(self.config, None);
        let post = Post { engine: &engine, settings: &self.config.notify };
        let (mut trouble, mut away) = (Repeated::default(), Repeated::default());
        while !stop.asked() {
            trouble.tell(self.deliver(&post, None, &mut away), self.tell);
            stop.wait(PAUSE);
        }
        trouble.tell(self.deliver(&post, Some(LAST), &mut away), self.tell);
    }

    /// Gives the sign of life, beside everything else: a receiver that is slow must not look like a death.
    fn beat(&self, stop: &Stop) {
        let engine = wiring::engine(self.config, None);
        let every = length(&self.config.notify.alerts.heartbeat_every);
        let mut beaten = None;
        while !stop.asked() {
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
            stop.wait(PAUSE);
        }
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
