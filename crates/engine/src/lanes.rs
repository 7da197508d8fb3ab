//! Several operations of one run at a time: those that have nothing in common.
//!
//! Each is done on a thread of its own, by the same steps as ever (`run`). What happens is told to the one who writes the log, so
//! there is one log in one order, and nothing is done before it is written. Who needs another one, works on the same database
//! or moves files of the same store, waits for it, in the order in which they were asked for.

use crate::backup::Gate;
use crate::engine::Engine;
use crate::error::{Error, Failure};
use crate::event::Event;
use crate::held::Held;
use crate::journal::{Journal, Told};
use crate::plan::Plan;
use crate::request::OperationRequest;
use crate::run::Run;
use crate::status::Status;
use crate::told::LOG;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};

/// What a thread says.
enum Said {
    Happened(Told),
    Ended(usize, Result<(), Failure>, Gate),
}

/// Says at its end how an operation ended, however that comes about.
struct Ending {
    n: usize,
    outcome: Option<(Result<(), Failure>, Gate)>,
    to: Sender<Said>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let broke = || (Err(Error::system("the thread of the operation broke").into()), Gate::default());
        let (outcome, gate) = self.outcome.take().unwrap_or_else(broke);
        // Nobody listens any more where the run has ended before.
        let _ = self.to.send(Said::Ended(self.n, outcome, gate));
    }
}

impl Engine {
    /// What an operation works on: databases and stores that nobody else should work on at the same time.
    fn touched(&self, request: &OperationRequest) -> BTreeSet<String> {
        let place = |name: &str| match self.stores().place(name) {
            Ok(url) => format!("database {url}"),
            Err(_) => format!("database {name}"),
        };
        let names = self.database_names();
        let mut texts = Vec::new();
        texts_in(&request.options, &mut texts);
        let others = texts.into_iter().filter(|text| names.contains(text));
        let mut all: BTreeSet<String> = others.map(|name| place(&name)).collect();
        all.insert(place(&request.database));
        if let Ok(operation) = self.operation(request) {
            all.extend(operation.stores().into_iter().map(|store| format!("store {store}")));
        }
        all
    }
}

impl<'a> Run<'a, '_> {
    /// All operations, several at a time; the last failure of one whose database is busy.
    pub(crate) fn side_by_side(&mut self, now: &mut [Status]) -> Result<Option<Failure>, Failure> {
        let plan = self.plan;
        let most = plan.request.max_parallel;
        let touched: Vec<BTreeSet<String>> =
            plan.items.iter().map(|item| self.engine.touched(&item.operation)).collect();
        let mut waiting: Vec<usize> = (0..plan.items.len()).collect();
        let mut at_work: Vec<usize> = Vec::new();
        // Backups belong to a database, and never two are at work on one.
        let mut gates: BTreeMap<&str, Gate> = BTreeMap::new();
        let mut busy = None;
        let (to, said) = channel();
        std::thread::scope(|scope| {
            // Dropped at the end, also at an error: who still wants to tell something ends then.
            let said = said;
            loop {
                while at_work.len() < most
                    && let Some(n) = next(plan, &touched, &waiting, &at_work)
                {
                    waiting.retain(|other| *other != n);
                    let gate = gates.remove(plan.items[n].operation.database.as_str()).unwrap_or_default();
                    self.gate = gate;
                    if !self.has_a_turn(n, now)? {
                        gates.insert(&plan.items[n].operation.database, std::mem::take(&mut self.gate));
                        continue;
                    }
                    at_work.push(n);
                    let resumed = now[n].can_resume() && self.has_begun(n);
                    let lane = self.lane(n, resumed, to.clone());
                    scope.spawn(lane);
                }
                if at_work.is_empty() {
                    return Ok(busy.take());
                }
                match said.recv() {
                    Ok(Said::Happened(Told { event, written })) => {
                        // Whoever waits for it ends with the error, and so does the run.
                        let _ = written.send(self.journal.take(event));
                    }
                    Ok(Said::Ended(n, outcome, gate)) => {
                        at_work.retain(|other| *other != n);
                        gates.insert(&plan.items[n].operation.database, gate);
                        busy = self.settle(n, outcome, now)?.or(busy.take());
                    }
                    Err(_) => return Ok(busy.take()),
                }
            }
        })
    }

    /// The work of one operation, for a thread of its own.
    fn lane(&mut self, n: usize, resumed: bool, to: Sender<Said>) -> impl FnOnce() + Send + use<'a> {
        let Run { engine, id, term, plan, stop, .. } = *self;
        let doubt = self.doubt.clone();
        let gate = std::mem::take(&mut self.gate);
        let own = |event: &&Event| event.item == Some(n);
        let events: Vec<Event> = self.journal.events().iter().filter(own).cloned().collect();
        move || {
            let asked_by = &plan.request.correlation_id;
            let _span = tracing::error_span!(target: LOG, "run", correlation = %asked_by).entered();
            let mut ending = Ending { n, outcome: None, to: to.clone() };
            let tell = move |told: Told| {
                let _ = to.send(Said::Happened(told));
            };
            let mut journal = Journal::part(id, events, engine.clock(), tell);
            let mut run = Run {
                engine,
                id,
                term,
                plan,
                stop,
                doubt,
                journal: &mut journal,
                gate,
                held: Held::default(),
                at_command: None,
                did: None,
                owed: false,
            };
            let outcome = run.item(n, resumed);
            ending.outcome = Some((outcome, std::mem::take(&mut run.gate)));
        }
    }
}

/// The first of those that wait for nobody.
fn next(plan: &Plan, touched: &[BTreeSet<String>], waiting: &[usize], at_work: &[usize]) -> Option<usize> {
    let must_wait = |n: usize, other: usize| {
        let (own, name) = (&plan.items[n].operation, &plan.items[other].operation.name);
        own.needs.contains(name) || own.verifies.contains(name) || !touched[n].is_disjoint(&touched[other])
    };
    let earlier = |n: usize| waiting.iter().filter(move |other| **other < n).chain(at_work);
    waiting.iter().copied().find(|n| !earlier(*n).any(|other| must_wait(*n, *other)))
}

fn texts_in(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => into.push(text.clone()),
        serde_json::Value::Array(all) => all.iter().for_each(|one| texts_in(one, into)),
        serde_json::Value::Object(all) => all.values().for_each(|one| texts_in(one, into)),
        _ => {}
    }
}
