//! What is done with schedules, for every surface: find, add, switch, approve, tell. Each change is a line in the audit trail.

use crate::config::Config;
use crate::daemon::request_of;
use crate::trouble::Trouble;
use engine::{Engine, Entry, Failure, Tick, TickState};
use jiff::Timestamp;
use scheduler::{Definition, Known, Schedule, Timing, fingerprint, needed_approval};
use serde_json::{Value as Json, json};

/// A process that is not heard of for so long is gone.
const GONE: f64 = 90.0;

/// Schedules of one configuration and its state.
#[derive(Clone, Copy)]
pub struct Schedules<'a> {
    /// Keeps them.
    pub engine: &'a Engine,
    /// Has some of them, and what they run.
    pub config: &'a Config,
}

impl Schedules<'_> {
    /// All of them, as they are in force.
    pub fn all(&self) -> Result<Vec<Known>, Trouble> {
        Ok(scheduler::all(self.engine, &self.config.schedules)?)
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Result<Known, Trouble> {
        if let Some(known) = scheduler::one(self.engine, &self.config.schedules, name)? {
            return Ok(known);
        }
        let all = self.all()?;
        let names: Vec<&str> = all.iter().map(|known| known.schedule.name.as_str()).collect();
        let help = match (crate::config::nearest(name, &names), names.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "there is none: add a table `[schedule.NAME]`, or `sexton schedule add`".to_owned(),
            (None, names) => format!("there are {}", names.join(", ")),
        };
        Err(Trouble::usage(format!("there is no schedule `{name}`"), help))
    }

    /// Adds a schedule, or changes one that was added; its version. With `expected`, only if it has that one still (0: if it is
    /// not there).
    pub fn add(
        &self,
        name: &str,
        says: &Definition,
        expected: Option<i64>,
        actor: &str,
    ) -> Result<i64, Trouble> {
        if !crate::config::is_good_name(name) {
            return Err(Trouble::usage(
                format!("`{name}` is not a good name for a schedule"),
                "use letters, digits, `_`, `-` and `.`",
            ));
        }
        if self.config.schedules.iter().any(|known| known.name == name) {
            return Err(Trouble::refused(
                format!("`{name}` stands in the configuration, and is changed there"),
                "switch or approve it here, or take another name",
            ));
        }
        let schedule = Schedule::read(name, says, false).map_err(|faults| {
            let what: Vec<String> =
                faults.iter().map(|fault| format!("`{}`: {}", fault.key, fault.what)).collect();
            Trouble::usage(
                what.join("; "),
                faults.into_iter().map(|fault| fault.help).next().unwrap_or_default(),
            )
        })?;
        // Whatever it names must be there now.
        request_of(self.config, &schedule)?;
        self.can_be_told(says)?;
        if let Some(unknown) =
            says.fleet.as_ref().filter(|name| !self.config.fleets.iter().any(|f| f.name == **name))
        {
            let what = format!("there is no fleet `{unknown}`");
            return Err(Trouble::usage(
                what,
                "`sexton fleet list` shows them; they stand in the configuration",
            ));
        }
        let others = self.all()?;
        let is_there = |name: &String| others.iter().any(|known| known.schedule.name == *name);
        if let Some(unknown) = says.after.iter().find(|name| !is_there(name)) {
            let what = format!("there is no schedule `{unknown}` to wait for");
            return Err(Trouble::usage(what, "`sexton schedule` lists them"));
        }
        let after_of = |other: &str| {
            let known = others.iter().find(|known| known.schedule.name == other);
            known.map(|known| known.schedule.says.after.clone()).unwrap_or_default()
        };
        if Schedule::waits_for_itself(name, &says.after, after_of) {
            return Err(Trouble::usage(
                format!("`{name}` would wait for itself"),
                "name other schedules in `after`",
            ));
        }
        let known = self.entry(name, actor)?;
        let expected = expected.unwrap_or(known.version);
        // What was approved was something else, and a switch of before is what the definition says now.
        let changed = Entry { body: Some(json!(says)), approval: None, enabled: None, ..known };
        let version = self.put(&changed, Some(expected))?;
        self.engine.audit(actor, "add schedule", name, &json!(says).to_string())?;
        Ok(version)
    }

    /// Channels are those of the configuration, and recipients are people (W-071).
    fn can_be_told(&self, says: &Definition) -> Result<(), Trouble> {
        let Some(notifications) = &says.notifications else { return Ok(()) };
        let names: Vec<&str> =
            self.config.notify.channels.iter().map(|channel| channel.name.as_str()).collect();
        if let Some(unknown) = notifications.channels.iter().find(|name| !names.contains(&name.as_str())) {
            let help = match crate::config::nearest(unknown, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => {
                    "there are none: add a table `[notify.NAME]` to the configuration".to_owned()
                }
                None => format!("there are {}", names.join(", ")),
            };
            return Err(Trouble::usage(format!("there is no channel `{unknown}`"), help));
        }
        let wrong = |text: &String| crate::config::wrong_recipient(text, &names);
        match notifications.recipients.iter().find_map(wrong) {
            Some((what, help)) => Err(Trouble::usage(what, help)),
            None => Ok(()),
        }
    }

    /// Forgets one that was added.
    pub fn remove(&self, name: &str, expected: Option<i64>, actor: &str) -> Result<(), Trouble> {
        if self.named(name)?.schedule.configured {
            return Err(Trouble::refused(
                format!("`{name}` stands in the configuration, and is taken away there"),
                format!("`sexton schedule disable {name}` keeps it from running"),
            ));
        }
        self.engine.timetable()?.remove(name, expected)?;
        self.engine.audit(actor, "remove schedule", name, "")?;
        Ok(())
    }

    /// Lets it run by itself, or no longer.
    pub fn switch(&self, name: &str, on: bool, actor: &str) -> Result<(), Trouble> {
        self.named(name)?;
        let changed = Entry { enabled: Some(on), ..self.entry(name, actor)? };
        self.put(&changed, Some(changed.version))?;
        self.engine.audit(actor, if on { "enable schedule" } else { "disable schedule" }, name, "")?;
        Ok(())
    }

    /// Allows it to do what it is now.
    pub fn approve(&self, name: &str, max_rows: Option<u64>, actor: &str) -> Result<(), Trouble> {
        let schedule = self.named(name)?.schedule;
        let request = request_of(self.config, &schedule)?;
        let now = self.engine.clock().now();
        let approval =
            json!({ "by": actor, "at": now, "max_rows": max_rows, "of": fingerprint(&schedule, &request) });
        let changed = Entry { approval: Some(approval.clone()), ..self.entry(name, actor)? };
        self.put(&changed, Some(changed.version))?;
        self.engine.audit(actor, "approve schedule", name, &approval.to_string())?;
        Ok(())
    }

    /// Says no to what waits for an approval: it is switched off.
    pub fn refuse(&self, name: &str, actor: &str) -> Result<(), Trouble> {
        let known = self.named(name)?;
        if self.lacks(&known).is_none() {
            return Err(Trouble::refused(
                format!("`{name}` waits for no approval"),
                format!("`sexton schedule disable {name}` keeps it from running"),
            ));
        }
        let changed = Entry { enabled: Some(false), ..self.entry(name, actor)? };
        self.put(&changed, Some(changed.version))?;
        self.engine.audit(actor, "refuse schedule", name, "")?;
        Ok(())
    }

    /// Takes the approval back.
    pub fn withdraw(&self, name: &str, actor: &str) -> Result<(), Trouble> {
        if self.named(name)?.schedule.says.approval.is_some() {
            return Err(Trouble::refused(
                format!("the approval of `{name}` stands in the configuration, and is taken back there"),
                format!("`sexton schedule disable {name}` keeps it from running"),
            ));
        }
        let changed = Entry { approval: None, ..self.entry(name, actor)? };
        self.put(&changed, Some(changed.version))?;
        self.engine.audit(actor, "withdraw approval", name, "")?;
        Ok(())
    }

    /// Notes a time for right now.
    pub fn ask(&self, name: &str, actor: &str) -> Result<Tick, Trouble> {
        self.named(name)?;
        let Some(tick) = scheduler::by_hand(self.engine, name)? else {
            return Err(Trouble::system(format!("`{name}` cannot be run"), "its time could not be noted"));
        };
        self.engine.audit(actor, "run schedule", name, &tick.id)?;
        Ok(tick)
    }

    /// All of them, each with what came of its last time.
    pub fn with_last(&self) -> Result<Vec<(Known, Option<Tick>)>, Trouble> {
        let mut last = self.engine.timetable()?.last_of_each()?;
        let with_last = |known: Known| {
            let tick = last.remove(&known.schedule.name);
            (known, tick)
        };
        Ok(self.all()?.into_iter().map(with_last).collect())
    }

    /// Why it is only shown, where that is so.
    pub fn lacks(&self, known: &Known) -> Option<String> {
        let request = request_of(self.config, &known.schedule).ok()?;
        needed_approval(known, &request).filter(|_| !known.schedule.says.dry_run)
    }

    /// The processes that serve, as far as they were heard of.
    pub fn serving(&self) -> Result<Vec<Json>, Trouble> {
        let workers = self.engine.timetable()?.workers()?;
        Ok(workers.into_iter().filter(|one| one.silent_seconds < GONE).map(|one| json!(one)).collect())
    }

    /// How each stands, as the status has it (R5).
    pub fn standings(&self) -> Result<Vec<Json>, Trouble> {
        Ok(self.with_last()?.iter().map(|(known, last)| self.standing(known, last.as_ref())).collect())
    }

    /// How one stands.
    pub fn standing(&self, known: &Known, last: Option<&Tick>) -> Json {
        let failed = last.filter(|tick| tick.state == TickState::Failed);
        json!({
            "name": known.schedule.name,
            "enabled": known.schedule.says.enabled,
            "zone": known.schedule.says.zone,
            "next_run": known.schedule.next(self.engine.clock().now()),
            "last_run": last.map(|tick| tick.due),
            "last_status": last.map(|tick| tick.state),
            "last_error": failed.and_then(|tick| tick.why.clone()),
            "dry_run_first": known.schedule.says.dry_run_first,
        })
    }

    /// A schedule as a document.
    pub fn document(&self, known: &Known, last: Option<&Tick>) -> Json {
        let schedule = &known.schedule;
        let next: Vec<Timestamp> = match &schedule.timing {
            Timing::At(cron) if schedule.says.enabled => cron.upcoming(self.engine.clock().now(), 5),
            _ => Vec::new(),
        };
        let mut document = json!(schedule.says);
        document["name"] = schedule.name.clone().into();
        document["origin"] = if schedule.configured { "config" } else { "added" }.into();
        document["version"] = known.entry.as_ref().map_or(0, |entry| entry.version).into();
        document["next"] = json!(next);
        document["last"] = json!(last);
        document["approval"] = json!(known.approval.as_ref().map(|(approval, _)| approval));
        document["approval_needed"] = json!(self.lacks(known));
        document
    }

    /// What the state knows of a schedule, or nothing yet.
    fn entry(&self, name: &str, actor: &str) -> Result<Entry, Trouble> {
        let fresh = Entry {
            name: name.to_owned(),
            body: None,
            version: 0,
            enabled: None,
            approval: None,
            looked: None,
            changed_at: None,
            changed_by: String::new(),
        };
        let known = self.engine.timetable()?.entry(name)?;
        Ok(Entry { changed_by: actor.to_owned(), ..known.unwrap_or(fresh) })
    }

    fn put(&self, changed: &Entry, expected: Option<i64>) -> Result<i64, Trouble> {
        let version = self.engine.timetable()?.put(changed, expected, self.engine.clock().now());
        version.map_err(|error| Trouble::of_doubt(Failure::from(error)))
    }
}
