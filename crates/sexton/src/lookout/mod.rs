//! Looks whether anything is wrong: databases and their disks, queues, backups, schedules that did not run, runs that fail.
//!
//! Everything is seen through plans and lists, which change nothing; what the figures mean is judged in `notify`.

mod fleets;

use crate::choice::{self, Chosen, Names};
use crate::config::{Config, Node, OperationSetting, Override};
use crate::looks;
use crate::trouble::{Trouble, chain};
use engine::{Engine, Failure, Plan, TickState};
use jiff::{SignedDuration, Timestamp};
use notify::settings::{AlertsSection, length};
use notify::{Ended, Post, Watched};
use scheduler::Overlap;
use serde_json::{Value as Json, json};

/// Who looks, for the audit trail and for messages.
const ACTOR: &str = "sexton";
/// So many runs of a week are counted.
const RUNS: u64 = 1_000;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Times that failed before they began are told when they are not older than this.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// Looks.
#[derive(Clone, Copy)]
pub struct Lookout<'a> {
    /// Looks at databases, and knows the timetable.
    pub engine: &'a Engine,
    /// What there is to look at.
    pub config: &'a Config,
}

impl Lookout<'_> {
    fn alerts(&self) -> &AlertsSection {
        &self.config.notify.alerts
    }

    fn post(&self) -> Post<'_> {
        Post { engine: self.engine, settings: &self.config.notify }
    }

    /// Looks at everything and hands in what is news.
    pub fn look(&self) -> Result<Vec<Watched>, Trouble> {
        let mut all = self.schedules()?;
        all.extend(self.runs()?);
        all.extend(self.databases());
        all.extend(self.fleets()?);
        all.extend(self.queues());
        all.extend(self.backups());
        let post = self.post();
        for one in &all {
            post.watch(one, None, &[])?;
        }
        Ok(all)
    }

    /// The same for schedules only, which is little work.
    pub fn look_at_schedules(&self) -> Result<(), Trouble> {
        let post = self.post();
        for one in self.schedules()? {
            post.watch(&one, None, &[])?;
        }
        Ok(())
    }

    fn schedules(&self) -> Result<Vec<Watched>, Trouble> {
        let now = self.engine.clock().now();
        let known = scheduler::all(self.engine, &self.config.schedules)?;
        let timetable = self.engine.timetable()?;
        let grace = length(&self.alerts().late);
        let last = timetable.last_of_each().map_err(Failure::from)?;
        let mut all = notify::late(&known, &last, now, grace);
        let marked = self.engine.outbox()?.marked(notify::SERVED).map_err(Failure::from)?;
        all.extend(notify::standstill(&known, marked, now, grace));
        // A time that failed because the one before was still at work was ended by whoever looked, not by a worker.
        for known in known.iter().filter(|known| known.schedule.says.overlap == Overlap::Fail) {
            let ticks = timetable.ticks(Some(&known.schedule.name), 20).map_err(Failure::from)?;
            for tick in ticks.iter().filter(|tick| {
                tick.state == TickState::Failed && tick.worker.is_none() && is_recent(tick.ended, now)
            }) {
                self.post().ended(&Ended {
                    report: None,
                    schedule: Some(&known.schedule),
                    name: &known.schedule.name,
                    why: tick.why.as_deref(),
                    id: &tick.id,
                    event: notify::Event::Failure,
                    by_hand: false,
                    promised: &|_| false,
                })?;
            }
        }
        Ok(all)
    }

    /// The runs of a week: how many failed, and which of those at work take too long.
    fn runs(&self) -> Result<Vec<Watched>, Trouble> {
        let now = self.engine.clock().now();
        let since = now.checked_sub(WEEK).unwrap_or(now);
        let reports = self.engine.reports(RUNS, Some(since), None)?;
        let mut all: Vec<Watched> =
            notify::error_rate_of_week(&reports, now, self.alerts()).into_iter().collect();
        for report in &reports {
            let promised = |name: &str| self.config.is_promised(name);
            all.extend(notify::at_work(report, now, &promised, self.alerts()));
        }
        Ok(all)
    }

    fn databases(&self) -> Vec<Watched> {
        let mut all = Vec::new();
        for database in &self.config.databases {
            match looks::doctor(self.engine, self.config, &database.name) {
                Ok(result) => {
                    all.push(notify::unreachable(&database.name, None));
                    all.extend(notify::databases_figures(&database.name, &result["figures"], self.alerts()));
                }
                Err(trouble) => {
                    all.push(notify::unreachable(&database.name, Some(&trouble.causes.join(": "))));
                }
            }
        }
        all
    }

    fn queues(&self) -> Vec<Watched> {
        let mut all = Vec::new();
        let mut seen: Vec<(&str, Option<&Json>, Option<&Json>)> = Vec::new();
        for operation in self.config.operations.iter().filter(|one| one.kind.name() == "queue") {
            // Several operations are about one queue.
            let which = (
                operation.database.as_str(),
                operation.options.get("table"),
                operation.options.get("preset"),
            );
            if seen.contains(&which) {
                continue;
            }
            // A queue whose statistics cannot be had is told by the run of its operation.
            if let Ok(result) = self.statistics(self.engine, operation, None) {
                seen.push(which);
                all.extend(notify::queue(&operation.name, &result, self.alerts()));
            }
        }
        all
    }

    /// The newest backup of every database that should have some.
    fn backups(&self) -> Vec<Watched> {
        let Some(policy) = &self.config.backups else { return Vec::new() };
        let now = self.engine.clock().now();
        let most = length(&self.alerts().backup_age);
        let copies = self.config.operations.iter().filter(|one| one.kind.name() == "backup");
        // What is run on fleets only is not for the database that it names for want of another one.
        let copies: Vec<_> = copies.filter(|one| !self.is_for_fleets(&one.name)).collect();
        let has = |database: &str| copies.iter().any(|one| one.database == database);
        let known = match self.engine.backups(None) {
            Ok((known, _)) => known,
            Err(failure) => {
                let why = chain(&failure).join(": ");
                let any = self.config.databases.iter().any(|database| has(&database.name));
                return if any {
                    vec![notify::unreachable("the store of the backups", Some(&why))]
                } else {
                    Vec::new()
                };
            }
        };
        let mut all = vec![notify::unreachable("the store of the backups", None)];
        for database in &self.config.databases {
            let name = &database.name;
            if policy.external.iter().any(|external| external.database == *name) {
                continue;
            }
            let newest =
                known.iter().filter(|backup| backup.database == *name).map(|backup| backup.taken_at).max();
            if newest.is_some() || has(name) {
                all.push(notify::backup(name, newest, now, most));
            }
        }
        all
    }

    /// Whether schedules run an operation, and all of them on fleets.
    fn is_for_fleets(&self, name: &str) -> bool {
        let runs = |known: &&scheduler::Known| {
            let chosen = choice::operations(&Names::listed(&known.schedule.says.run), self.config);
            chosen.unwrap_or_default().iter().any(|one| one.operation.name == name)
        };
        let all = scheduler::all(self.engine, &self.config.schedules).unwrap_or_default();
        let runs: Vec<_> = all.iter().filter(runs).collect();
        !runs.is_empty() && runs.iter().all(|known| known.schedule.says.fleet.is_some())
    }

    /// The statistics of a queue, in its own database or in another one.
    fn statistics(
        &self,
        engine: &Engine,
        operation: &OperationSetting,
        database: Option<&str>,
    ) -> Result<Json, Trouble> {
        let stats = Override {
            key: "action".to_owned(),
            flag: "action".to_owned(),
            value: Node::of_json("action", &json!("stats")),
        };
        let request = choice::request(self.config, &[Chosen::named(operation)], &[stats], database, ACTOR)?;
        let Plan { items, .. } = engine.plan(&request)?;
        Ok(items.into_iter().next().and_then(|item| item.result).unwrap_or(Json::Null))
    }
}

fn is_recent(ended: Option<Timestamp>, now: Timestamp) -> bool {
    ended.is_some_and(|ended| now.duration_since(ended) < LATELY)
}
