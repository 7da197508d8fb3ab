//! The engine as surfaces see it: plan, run, resume, undo, stop, log. There is no second way to do anything.

use crate::age::Age;
use crate::archive::RestoreArchive;
use crate::backup::{BackupPolicy, Gate};
use crate::clock::Clock;
use crate::error::{Error, Failure, Result};
use crate::event::Event;
use crate::fault::Faults;
use crate::finding::{Finding, Level};
use crate::held::Held;
use crate::journal::{Journal, Watch};
use crate::kept::Kept;
use crate::looking::SeeLooks;
use crate::operation::{Earlier, Kind, Operation, Stores};
use crate::plan::{Item, Plan};
use crate::presence::Life;
use crate::report::Report;
use crate::request::OperationRequest;
use crate::run::Run;
use crate::run_log::RunLog;
use crate::state::{Audit, Outbox, RunRecord, Sessions, ShownPlans, State, Timetable, Tokens};
use crate::status::Status;
use crate::stop::Stop;
use crate::undo::{self, Point, PutBack};
use crate::undo_request::{RESTORE, UNDO};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use targets::db::{Database, Limits, Schema, Server, Session};

/// How many earlier runs a kind that only looks is shown.
const HISTORY: u64 = 60;
/// How many samples of a database are looked at.
const SAMPLES: u64 = 400;

/// Finds a database of the configuration by its name.
pub trait Databases: Send + Sync {
    /// The database of this name, or a usage error with the names there are.
    fn database(&self, name: &str) -> Result<Arc<dyn Database>>;
    /// All names.
    fn names(&self) -> Vec<String>;
}

/// What an engine is made of. Wiring fills it in; nothing else names a back end or a kind.
pub struct Parts {
    /// What Sexton knows how to do.
    pub catalogue: Vec<&'static dyn Kind>,
    /// The databases of the configuration.
    pub databases: Box<dyn Databases>,
    /// The file stores of the configuration.
    pub stores: Box<dyn Stores>,
    /// Where Sexton remembers its runs. Opened at the first need: looking needs no state.
    pub state: Box<dyn Fn() -> Result<Arc<dyn Database>> + Send + Sync>,
    /// Whether its place is there already: looking may ask it how long something usually takes, but makes nothing.
    pub state_is_there: Box<dyn Fn() -> bool + Send + Sync>,
    /// Where the JSON-lines copy of the run log goes.
    pub log_folder: Option<PathBuf>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long undo rows are kept.
    pub keep_undo: Age,
    /// The most bytes that the undo rows of one operation may take.
    pub undo_max_bytes: Option<u64>,
    /// For how long runs are remembered; the last run of each operation always is.
    pub keep_runs: Age,
    /// Tables of applications that want a row for each run.
    pub run_logs: Vec<RunLog>,
    /// How backups are made and kept; none when they are switched off.
    pub backups: Option<BackupPolicy>,
    /// Hears of every run that is over, with all that happened in it. It must return at once.
    pub ended: Option<Arc<Heard>>,
}

/// What hears of a run that is over.
pub type Heard = dyn Fn(&Plan, &[Event], &Report) + Send + Sync;

/// The engine.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) state: OnceLock<State>,
    /// Whether looking may ask the state; found out once.
    state_to_ask: OnceLock<bool>,
    /// Sessions of the plan that the run goes on with.
    pub(crate) kept: Kept,
    faults: Faults,
    pub(crate) see_looks: OnceLock<SeeLooks>,
}

impl Engine {
    /// An engine made of these parts. Connects to nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            state: OnceLock::new(),
            state_to_ask: OnceLock::new(),
            kept: Kept::default(),
            faults: Faults::default(),
            see_looks: OnceLock::new(),
        }
    }

    /// From now on this sees how far long looks of plans are. Only the first one does.
    pub fn watch_looks(&self, see: SeeLooks) {
        let _ = self.see_looks.set(see);
    }

    /// What Sexton knows how to do.
    pub fn catalogue(&self) -> &[&'static dyn Kind] {
        &self.parts.catalogue
    }

    /// The names of the databases.
    pub fn database_names(&self) -> Vec<String> {
        self.parts.databases.names()
    }

    /// The fault points, for tests.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    /// What the last runs of an operation that only looks have found, newest first.
    pub(crate) fn earlier_results(&self, operation: &str) -> Vec<Earlier> {
        // A state that cannot be had is no reason not to look.
        let Ok(state) = self.state() else { return Vec::new() };
        let reports = state.reports(HISTORY, None, Some(operation)).unwrap_or_default();
        reports
            .into_iter()
            .flat_map(|report| {
                let at = report.metadata.started_at;
                let own = report.operations.into_iter().filter(|done| done.operation == operation);
                own.filter_map(|done| done.result)
                    .map(move |result| Earlier { at, result })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The samples of a database, newest first; none where there is no state yet.
    pub fn samples(&self, database: &str) -> Vec<Earlier> {
        // A state that cannot be had is no reason not to look.
        self.state_to_ask().and_then(|state| state.samples(database, SAMPLES).ok()).unwrap_or_default()
    }

    /// Keeps what a plan found as samples of its databases, for kinds that have some.
    pub fn keep_samples(&self, plan: &Plan) -> Result<(), Failure> {
        plan.items.iter().try_for_each(|item| self.keep_sample(item, item.result.as_ref()))
    }

    pub(crate) fn keep_sample(&self, item: &Item, result: Option<&serde_json::Value>) -> Result<(), Failure> {
        let Some(result) = result else { return Ok(()) };
        let Some(sample) = self.operation(&item.operation)?.sample(result) else { return Ok(()) };
        Ok(self.state()?.keep_sample(&item.operation.database, self.clock().now(), &sample)?)
    }

    /// Runs a plan. A plan that came from elsewhere is checked against the present first with [`Engine::recheck`].
    pub fn run(&self, plan: &Plan, stop: &Stop, watch: &mut Watch) -> Result<Report, Failure> {
        self.run_as(&new_id(), plan, stop, watch)
    }

    /// The same under a chosen id, for surfaces that tell the id before the run ends.
    pub fn run_as(&self, id: &str, plan: &Plan, stop: &Stop, watch: &mut Watch) -> Result<Report, Failure> {
        self.run_under(id, 0, plan, stop, watch)
    }

    /// The same under a term, so that it can be taken over by one with a higher one.
    pub fn run_under(
        &self,
        id: &str,
        term: i64,
        plan: &Plan,
        stop: &Stop,
        watch: &mut Watch,
    ) -> Result<Report, Failure> {
        let state = self.state()?;
        self.faults.point("before the run")?;
        let doubt = self.doubt_of(plan)?;
        if doubt.is_none() {
            self.believe_clock()?;
            // A wrong clock would forget everything.
            state.forget_runs(self.parts.keep_runs.before(self.clock().now())?)?;
        }
        let forced = doubt.is_some() && plan.request.force && !plan.request.dry_run;
        let here = self.here()?;
        state.begin_run(id, plan, self.clock().now(), term, &here)?;
        let _presence = self.beating(id, here)?;
        self.faults.point("run begun")?;
        let report = self.execute((id, term), plan, Vec::new(), doubt, stop, watch)?;
        // At the end: what is older than its age by a clock that somebody allowed is not forgotten by this run.
        if forced {
            self.believe_clock()?;
        }
        Ok(report)
    }

    /// A run, worked on under a term, from its events so far.
    pub(crate) fn execute(
        &self,
        (id, term): (&str, i64),
        plan: &Plan,
        events: Vec<crate::event::Event>,
        doubt: Option<Finding>,
        stop: &Stop,
        watch: &mut Watch,
    ) -> Result<Report, Failure> {
        let state = self.state()?;
        let _emptied = self.kept.emptied_at_the_end();
        let statuses = crate::resume::statuses_of(plan, &events);
        let mut forward = |event: &crate::event::Event| watch(event);
        let mut journal = Journal::new(
            id,
            term,
            events,
            state,
            self.parts.log_folder.as_deref(),
            self.clock(),
            &mut forward,
        );
        Run {
            engine: self,
            id,
            term,
            plan,
            stop,
            doubt,
            journal: &mut journal,
            gate: Gate::default(),
            held: Held::default(),
            at_command: None,
            did: None,
            owed: false,
        }
        .execute(&statuses)
    }

    /// What a database says about itself and its tables, for surfaces that draft a configuration.
    pub fn describe(&self, database: &str) -> Result<(Server, Schema), Failure> {
        let mut facts = self.database(database)?.read()?;
        Ok((facts.server()?, facts.schema()?))
    }

    /// Lets a surface look at a database, through a session on which the database refuses writes.
    pub fn look<T>(
        &self,
        database: &str,
        see: impl FnOnce(&mut dyn targets::db::Facts) -> Result<T>,
    ) -> Result<T, Failure> {
        Ok(see(self.database(database)?.read()?.as_mut())?)
    }

    /// The undo points of a database, newest first.
    pub fn undo_points(&self, database: &str) -> Result<Vec<Point>, Failure> {
        Ok(undo::points(self.database(database)?.read()?.as_mut())?)
    }

    /// The rows of an undo point that could not be put back, at most `limit`.
    pub fn undo_conflicts(
        &self,
        database: &str,
        point: &Point,
        limit: usize,
    ) -> Result<Vec<undo::Conflict>, Failure> {
        Ok(undo::conflicts_of(self.database(database)?.read()?.as_mut(), point, limit)?)
    }

    /// The rows of an undo point that could not be put back as things are now, at most `limit`. Nothing is changed.
    pub fn foreseen_conflicts(
        &self,
        database: &str,
        point: &Point,
        limit: usize,
    ) -> Result<Vec<undo::Conflict>, Failure> {
        Ok(undo::foreseen(self.database(database)?.read()?.as_mut(), point, limit)?)
    }

    /// The files that an undo point has set aside, at most `limit`.
    pub fn undo_files(
        &self,
        database: &str,
        point: &str,
        limit: u64,
    ) -> Result<Vec<undo::MovedFile>, Failure> {
        Ok(undo::moved_files(self.database(database)?.read()?.as_mut(), point, limit)?)
    }

    /// The indexes that an undo point has dropped.
    pub fn undo_indexes(&self, database: &str, point: &str) -> Result<Vec<undo::DroppedIndex>, Failure> {
        Ok(undo::dropped_indexes(self.database(database)?.read()?.as_mut(), point)?)
    }

    /// Forgets an undo point: what it remembered can no longer be put back.
    pub fn drop_undo(&self, database: &str, id: &str, actor: &str) -> Result<Point, Failure> {
        let mut session = self.database(database)?.open()?;
        let Some(point) = undo::read_point(session.as_mut(), id)? else {
            return Err(Error::usage(format!("there is no undo point `{id}` in `{database}`"))
                .help("`sexton undo list` shows those there are")
                .into());
        };
        undo::discard_files(session.as_mut(), self.stores(), &Limits::default(), &point.id)?;
        undo::drop_point(session.as_mut(), &Limits::default(), &point)?;
        undo::tidy(session.as_mut(), &Limits::default())?;
        self.audit(actor, "drop undo point", id, database)?;
        Ok(point)
    }

    /// Forgets all undo points whose time is over; how many.
    pub fn drop_expired_undo(&self, database: &str, actor: &str) -> Result<usize, Failure> {
        self.only_with_a_clock()?;
        let now = self.clock().now();
        let mut dropped = 0;
        for point in self.undo_points(database)? {
            if point.expires_at.is_some_and(|until| until <= now) {
                self.drop_undo(database, &point.id, actor)?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    /// Ends the exemption of restored rows of a table.
    pub fn end_exemption(&self, database: &str, table: &str, actor: &str) -> Result<bool, Failure> {
        let mut session = self.database(database)?.open()?;
        let schema = session.schema()?;
        let named = schema.find(table)?;
        let mut ended = undo::release(session.as_mut(), &Limits::default(), &named.name)?;
        for leaf in schema.leaves(named) {
            ended |= undo::release(session.as_mut(), &Limits::default(), &leaf.name)?;
        }
        undo::tidy(session.as_mut(), &Limits::default())?;
        self.audit(actor, "end exemption", table, database)?;
        Ok(ended)
    }

    /// A checksum of the rows of every table.
    pub fn digest(&self, database: &str) -> Result<Vec<crate::digest::TableDigest>, Failure> {
        Ok(crate::digest::of(self.database(database)?.read()?.as_mut())?)
    }

    /// Ends all exemptions of a database; the tables that had some.
    pub fn end_all_exemptions(&self, database: &str, actor: &str) -> Result<Vec<String>, Failure> {
        let mut session = self.database(database)?.open()?;
        let mut ended = Vec::new();
        for table in undo::exempted(session.as_mut())? {
            undo::release(session.as_mut(), &Limits::default(), &table)?;
            self.audit(actor, "end exemption", &table.to_string(), database)?;
            ended.push(table.to_string());
        }
        for store in undo::release_files(session.as_mut(), &Limits::default())? {
            self.audit(actor, "end exemption", &format!("files of {store}"), database)?;
            ended.push(format!("files of {store}"));
        }
        undo::tidy(session.as_mut(), &Limits::default())?;
        Ok(ended)
    }

    /// Asks a run, in whichever process, to stop at its next batch; its full id.
    pub fn ask_stop(&self, prefix: &str, actor: &str) -> Result<String, Failure> {
        let state = self.state()?;
        let record = self.run_record(prefix)?;
        let (id, status) = (record.id.clone(), record.report().status);
        if status.is_over() {
            return Err(Error::usage(format!("run `{id}` is over ({})", status.name())).into());
        }
        if status == Status::Interrupted {
            return Err(Error::usage(format!("run `{id}` is not at work: its process is gone"))
                .help(format!("go on with it: `sexton resume {id}`"))
                .into());
        }
        state.ask_stop(&id, actor, self.clock().now())?;
        self.audit(actor, "stop", &id, "")?;
        Ok(id)
    }

    /// Reports of the last runs, newest first.
    pub fn reports(
        &self,
        limit: u64,
        since: Option<Timestamp>,
        operation: Option<&str>,
    ) -> Result<Vec<Report>, Failure> {
        self.reports_before(None, limit, since, operation)
    }

    /// The same of those before this run, by its whole id, so that a list can be read page by page.
    pub fn reports_before(
        &self,
        before: Option<&str>,
        limit: u64,
        since: Option<Timestamp>,
        operation: Option<&str>,
    ) -> Result<Vec<Report>, Failure> {
        let state = self.state()?;
        if let Some(before) = before {
            // A run that is not there would be an empty page, which means the end.
            state.run(before)?;
        }
        let mut reports = state.reports_before(before, limit, since, operation)?;
        for report in reports.iter_mut().filter(|report| report.is_open()) {
            *report = self.as_it_stands(&report.run_id)?.report();
        }
        Ok(reports)
    }

    /// Everything about one run.
    pub fn run_record(&self, prefix: &str) -> Result<RunRecord, Failure> {
        let state = self.state()?;
        self.as_it_stands(&state.find_run(prefix)?)
    }

    /// A run by its whole id, and whether its process died before the end.
    fn as_it_stands(&self, id: &str) -> Result<RunRecord, Failure> {
        let state = self.state()?;
        let mut record = state.run(id)?;
        if record.report().is_open() && self.life(&record) == Life::Gone {
            // Whoever came to the end meanwhile is gone as well: what was written last is read now.
            record = state.run(id)?;
            record.interrupted = record.report().is_open();
        }
        Ok(record)
    }

    /// The events of a run, by its whole id, from this one on, counted from 0.
    pub fn events(&self, run: &str, first: u64) -> Result<Vec<Event>, Failure> {
        Ok(self.state()?.events(run, first)?)
    }

    /// What is due, what was due, and who works on it.
    pub fn timetable(&self) -> Result<Timetable<'_>, Failure> {
        Ok(Timetable::new(self.state()?))
    }

    /// What is to be sent, and what is wrong at the moment.
    pub fn outbox(&self) -> Result<Outbox<'_>, Failure> {
        Ok(Outbox::new(self.state()?))
    }

    /// Who may use the API.
    pub fn tokens(&self) -> Result<Tokens<'_>, Failure> {
        Ok(Tokens::new(self.state()?))
    }

    /// Who is signed in at the page.
    pub fn sessions(&self) -> Result<Sessions<'_>, Failure> {
        Ok(Sessions::new(self.state()?))
    }

    /// The plans that were shown and can be agreed to.
    pub fn shown_plans(&self) -> Result<ShownPlans<'_>, Failure> {
        Ok(ShownPlans::new(self.state()?))
    }

    /// The audit trail, newest first.
    pub fn audit_trail(&self, limit: u64) -> Result<Vec<Audit>, Failure> {
        Ok(self.state()?.audit_trail(limit)?)
    }

    /// Adds a line to the audit trail.
    pub fn audit(&self, actor: &str, action: &str, object: &str, detail: &str) -> Result<(), Failure> {
        Ok(self.state()?.audit(&Audit {
            at: self.clock().now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            detail: detail.to_owned(),
        })?)
    }

    /// Writes a row for the run into the applications' own logs. A failure is a warning: the run is over.
    pub(crate) fn tell_applications(&self, report: &Report, plan: &Plan) {
        // A dry run writes nothing into the databases that it looks at.
        if report.metadata.dry_run {
            return;
        }
        for log in &self.parts.run_logs {
            let written = self
                .database(&log.database)
                .and_then(|database| Ok(log.write(database.as_ref(), report, plan)?));
            if let Err(error) = written {
                tracing::warn!(%error, table = %log.table, "the application's run log cannot be written");
            }
        }
    }

    pub(crate) fn state(&self) -> Result<&State, Failure> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = State::open(&(self.parts.state)()?)?;
        Ok(self.state.get_or_init(|| state))
    }

    /// The state for those who only look: none where there is none yet, or none that answers.
    pub(crate) fn state_to_ask(&self) -> Option<&State> {
        let there = self.state.get().is_some()
            || *self.state_to_ask.get_or_init(|| {
                (self.parts.state_is_there)()
                    && (self.parts.state)().and_then(|database| State::is_there(&database)).unwrap_or(false)
            });
        there.then(|| self.state().ok())?
    }

    pub(crate) fn stores(&self) -> &dyn Stores {
        self.parts.stores.as_ref()
    }

    pub(crate) fn database(&self, name: &str) -> Result<Arc<dyn Database>, Failure> {
        Ok(self.parts.databases.database(name)?)
    }

    /// A session that may change this database: the one of the plan where it is there still.
    pub(crate) fn session(&self, name: &str, database: &dyn Database) -> Result<Box<dyn Session>, Failure> {
        let kept = self.kept.take(name, self.clock());
        Ok(match kept.and_then(|facts| facts.promote()) {
            Some(session) => session,
            None => database.open()?,
        })
    }

    pub(crate) fn operation(&self, request: &OperationRequest) -> Result<Box<dyn Operation>, Failure> {
        if request.kind == UNDO {
            let put_back: PutBack = serde_json::from_value(request.options.clone())
                .map_err(|error| Error::usage("an undo needs a point").because(error))?;
            return Ok(Box::new(put_back));
        }
        if request.kind == RESTORE {
            let restore: RestoreArchive = serde_json::from_value(request.options.clone())
                .map_err(|error| Error::usage("a restore needs a store and a run").because(error))?;
            return Ok(Box::new(restore));
        }
        let kind = self.parts.catalogue.iter().find(|kind| kind.name() == request.kind).ok_or_else(|| {
            let names: Vec<&str> = self.parts.catalogue.iter().map(|kind| kind.name()).collect();
            Error::usage(format!("there is no kind `{}`", request.kind))
                .help(format!("the kinds are {}", names.join(", ")))
        })?;
        Ok(kind.operation(&request.options).map_err(|error| error.while_doing(&request.name))?)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn stop_asked(&self, run: &str) -> Result<bool, Failure> {
        Ok(self.state()?.stop_asked(run)?)
    }
}

/// A short id that people can type: eight letters and digits, unique enough that a prefix of three mostly does.
pub fn new_id() -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes = uuid::Uuid::now_v7().into_bytes();
    // The last eight bytes of a version 7 id are random but for two bits.
    bytes[8..].iter().map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()] as char).collect()
}

/// Whether any finding stands in the way, for surfaces.
pub fn is_refused(item: &Item, force: bool) -> bool {
    item.findings.iter().any(|finding| finding.level == Level::Refuse && !(force && finding.forcible))
}
