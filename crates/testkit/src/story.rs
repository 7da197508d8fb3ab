//! A story: given, request, after. The kit tells it on both databases and holds it to the promises.
//!
//! Planning changes nothing; the run does what the plan said; undo gives back the same dump; undoing again changes
//! nothing; a death at fault point 1, 2, 3 … until none fires any more ends, after resume and undo, in the same
//! dump; and in the end nothing of ours is left behind.

use crate::{Place, Workshop};
use engine::{
    Engine, Failure, Kind, Manners, OperationRequest, Plan, Report, Request, Severity, Status, Stop, Trigger,
};

use std::path::Path;
use std::time::{Duration, Instant};

type Stock = Box<dyn Fn(&Path)>;
type After = Box<dyn Fn(&Place, &Report)>;

/// One story, told by [`Story::tell`].
pub struct Story {
    catalogue: Vec<&'static dyn Kind>,
    kind: String,
    options: serde_json::Value,
    manners: Manners,
    force: bool,
    undoes: bool,
    faults: bool,
    given: Box<dyn Fn(&Place)>,
    meanwhile: Box<dyn Fn(&Place)>,
    after: After,
    stock: Option<Stock>,
}

/// Further than any story has points; a loop that reaches it is a bug.
const MOST_POINTS: u32 = 2_000;

impl Story {
    /// A story about one kind with these options.
    pub fn new(catalogue: Vec<&'static dyn Kind>, kind: &str, options: serde_json::Value) -> Self {
        Self {
            catalogue,
            kind: kind.to_owned(),
            options,
            manners: Manners {
                batch_size: Some(3),
                max_percent: 100.0,
                min_free_disk_mb: 0,
                ..Manners::default()
            },
            force: false,
            undoes: true,
            faults: true,
            given: Box::new(|_| {}),
            meanwhile: Box::new(|_| {}),
            after: Box::new(|_, _| {}),
            stock: None,
        }
    }

    /// What is there before.
    pub fn given(mut self, given: impl Fn(&Place) + 'static) -> Self {
        self.given = Box::new(given);
        self
    }

    /// What is in the folder of the file store before. It belongs to what undo must give back: names, bytes and times of
    /// files, and folders.
    pub fn stocked(mut self, stock: impl Fn(&Path) + 'static) -> Self {
        self.stock = Some(Box::new(stock));
        self
    }

    /// What the application does between a fault and the resumption.
    pub fn meanwhile(mut self, meanwhile: impl Fn(&Place) + 'static) -> Self {
        self.meanwhile = Box::new(meanwhile);
        self
    }

    /// What must be true after the run.
    pub fn after(mut self, after: impl Fn(&Place, &Report) + 'static) -> Self {
        self.after = Box::new(after);
        self
    }

    /// Limits and manners.
    pub fn manners(mut self, change: impl FnOnce(&mut Manners)) -> Self {
        change(&mut self.manners);
        self
    }

    /// Findings that can be forced are.
    pub fn forced(mut self) -> Self {
        self.force = true;
        self
    }

    /// The configuration says that nothing can be put back.
    pub fn without_undo(mut self) -> Self {
        self.undoes = false;
        self
    }

    /// Without the loop over fault points, where another story of the same kind has it.
    pub fn without_faults(mut self) -> Self {
        self.faults = false;
        self
    }

    /// Tells it on both databases.
    pub fn tell(&self) {
        crate::both(|place| self.tell_on(place));
    }

    /// Tells it on one.
    pub fn tell_on(&self, place: &Place) {
        (self.given)(place);
        let workshop = Workshop::new(place, self.catalogue.clone());
        if let Some(stock) = &self.stock {
            stock(&workshop.store());
        }
        let before = self.dump(place, &workshop);
        self.once(place, &workshop, &before);
        if self.faults && self.undoes {
            self.fault_loop(place, &workshop, &before);
            assert_eq!(place.leftovers(), Vec::<String>::new(), "something of ours is left behind");
        }
    }

    /// Database and, where the story has one, file store.
    fn dump(&self, place: &Place, workshop: &Workshop) -> String {
        let mut dump = place.dump();
        if self.stock.is_some() {
            dump.push_str(&tree(&workshop.store()));
        }
        dump
    }

    /// The request of the story.
    pub fn request(&self) -> Request {
        request(&self.kind, self.options.clone(), self.manners.clone(), self.force)
    }

    fn once(&self, place: &Place, workshop: &Workshop, before: &str) {
        let engine = workshop.engine();
        let plan = plan(&engine, &self.request());
        assert_eq!(self.dump(place, workshop), before, "planning changed something");
        assert_eq!(place.leftovers(), Vec::<String>::new(), "planning left something behind");
        let report = run(&engine, &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        (self.after)(place, &report);
        let done = &report.operations[0];
        assert_eq!(
            done.rows_deleted + done.rows_changed + done.rows_restored,
            plan.matched(),
            "the run did something else than the plan said: {done:#?}"
        );
        if !self.undoes {
            return;
        }
        self.undo(&engine, &report.run_id);
        if self.stock.is_none() {
            assert_eq!(self.dump(place, workshop), before, "undo did not give back what was there");
        } else {
            // The quarantine goes with its undo point.
            let now = self.dump(place, workshop);
            let lines = |text: &str| -> Vec<String> {
                let ours = |line: &&str| !line.contains(".sexton-quarantine");
                text.lines().filter(ours).map(str::to_owned).collect()
            };
            assert_eq!(lines(&now), lines(before), "undo did not give back what was there");
        }
        let again =
            engine.undo_request(&report.run_id, Some("test"), "tester").unwrap_or_else(|e| panic!("{e}"));
        let again = run(&engine, &crate::story::plan(&engine, &again));
        assert!(matches!(again.status, Status::Skipped | Status::Completed), "{again:#?}");
        if self.stock.is_none() {
            assert_eq!(self.dump(place, workshop), before, "undoing again changed something");
        }
        forget(&engine);
        assert_eq!(self.dump(place, workshop), before, "forgetting the undo point changed something");
    }

    fn undo(&self, engine: &Engine, run_id: &str) {
        let Some(request) = undo_request(engine, run_id) else { return };
        let report = run(engine, &plan(engine, &request));
        // An undo that died after its last batch has nothing left to do.
        assert!(matches!(report.status, Status::Completed | Status::Skipped), "the undo: {report:#?}");
    }

    fn fault_loop(&self, place: &Place, workshop: &Workshop, before: &str) {
        for nth in 1..MOST_POINTS {
            let engine = workshop.engine();
            let plan = plan(&engine, &self.request());
            engine.faults().arm(nth);
            let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
            let died = matches!(outcome, Err(Failure::Fault(_)));
            assert_eq!(died, !engine.faults().waiting(), "point {nth} fired without a death: {outcome:?}");
            drop(engine);
            (self.meanwhile)(place);
            let engine = workshop.engine();
            let run_id = match outcome {
                Ok(report) => report.run_id,
                Err(_) => self.go_on(&engine, nth),
            };
            let undo_died = self.undo_with_faults(place, workshop, &run_id, nth, before);
            forget(&workshop.engine());
            // To the last point of both: an undo may have more of them than its run.
            if !died && !undo_died {
                assert!(nth > 1, "no fault point was ever reached");
                return;
            }
        }
        panic!("after {MOST_POINTS} fault points there is no end");
    }

    /// After a death: resume when the run had begun, else run anew.
    fn go_on(&self, engine: &Engine, nth: u32) -> String {
        match resumed(engine, "latest") {
            Ok(report) => {
                assert_eq!(report.status, Status::Completed, "resumed after point {nth}: {report:#?}");
                report.run_id
            }
            // Death before the run was noted, or after its last event.
            Err(_) if nth == 1 => run(engine, &plan(engine, &self.request())).run_id,
            Err(error) => {
                let last = engine.run_record("latest").unwrap_or_else(|_| panic!("point {nth}: {error}"));
                assert_eq!(last.report().status, Status::Completed, "point {nth}: {error}");
                last.id
            }
        }
    }

    /// Undoes, dying at a point that moves along with the run's, then undoes to the end; whether it died.
    fn undo_with_faults(
        &self,
        place: &Place,
        workshop: &Workshop,
        run_id: &str,
        nth: u32,
        before: &str,
    ) -> bool {
        let engine = workshop.engine();
        let mut died = false;
        if let Some(request) = undo_request(&engine, run_id) {
            let plan = plan(&engine, &request);
            engine.faults().arm(nth);
            let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
            died = matches!(outcome, Err(Failure::Fault(_)));
            assert_eq!(died, !engine.faults().waiting(), "point {nth} of the undo: {outcome:?}");
            drop(engine);
            match outcome {
                Err(Failure::Fault(_)) => self.undo(&workshop.engine(), run_id),
                Ok(report) => assert!(
                    matches!(report.status, Status::Completed | Status::Skipped),
                    "the undo after point {nth}: {report:#?}"
                ),
                Err(error) => panic!("the undo failed, and not by the fault at point {nth}: {error:?}"),
            }
        }
        if self.stock.is_some() {
            forget(&workshop.engine());
        }
        assert_eq!(
            self.dump(place, workshop),
            before,
            "after a death at point {nth} and undo, something is different"
        );
        died
    }
}

/// A request for one operation on the test database.
pub fn request(kind: &str, options: serde_json::Value, manners: Manners, force: bool) -> Request {
    Request {
        operations: vec![OperationRequest {
            name: format!("the {kind}"),
            kind: kind.to_owned(),
            title: kind.to_owned(),
            database: "test".to_owned(),
            severity: Severity::Low,
            backup: false,
            options,
            manners,
            needs: Vec::new(),
            verifies: Vec::new(),
            expected_seconds: None,
        }],
        dry_run: false,
        actor: "tester".to_owned(),
        trigger: Trigger::Cli,
        correlation_id: "test".to_owned(),
        force,
        go_on: true,
        max_parallel: 1,
    }
}

/// The plan of what is to be run, or a panic with the whole error.
pub fn plan(engine: &Engine, request: &Request) -> Plan {
    let prepared = engine.prepare(request).unwrap_or_else(|error| panic!("planning failed: {error:?}"));
    if let Some(error) = prepared.failures.first() {
        panic!("planning failed: {error:?}");
    }
    prepared.plan
}

/// The report, or a panic with the whole error.
pub fn run(engine: &Engine, plan: &Plan) -> Report {
    unless_busy(|| engine.run(plan, &Stop::default(), &mut |_| {}))
        .unwrap_or_else(|error| panic!("the run failed: {error:?}"))
}

/// Goes on with a run after a death.
pub fn resumed(engine: &Engine, id: &str) -> Result<Report, Failure> {
    unless_busy(|| engine.resume(id, &Stop::default(), &mut |_| {}))
}

/// What came of it as soon as the right to maintain is free: the server of one who died may take longer to notice than a run waits.
pub fn unless_busy(mut begin: impl FnMut() -> Result<Report, Failure>) -> Result<Report, Failure> {
    let began = Instant::now();
    loop {
        match begin() {
            Err(Failure::Busy { .. }) if began.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            outcome => return outcome,
        }
    }
}

fn undo_request(engine: &Engine, run_id: &str) -> Option<Request> {
    let report = engine.run_record(run_id).unwrap_or_else(|error| panic!("{error:?}")).report();
    report.operations[0].undo_id.as_ref()?;
    Some(engine.undo_request(run_id, Some("test"), "tester").unwrap_or_else(|error| panic!("{error:?}")))
}

/// Forgets every undo point and exemption of the test database.
pub fn forget(engine: &Engine) {
    engine.end_all_exemptions("test", "tester").unwrap_or_else(|error| panic!("{error:?}"));
    for point in engine.undo_points("test").unwrap_or_else(|error| panic!("{error:?}")) {
        engine.drop_undo("test", &point.id, "tester").unwrap_or_else(|error| panic!("{error:?}"));
    }
}

/// Everything in a folder: names, and of files bytes and times. Links are not followed.
pub fn tree(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            let about = path.symlink_metadata().unwrap_or_else(|error| panic!("{error}"));
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            if about.is_dir() {
                lines.push(format!("\n{name}/"));
                folders.push(path);
            } else if about.is_file() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                lines.push(format!("\n{name} {}.{:09} {bytes:02x?}", about.mtime(), about.mtime_nsec()));
            } else {
                lines.push(format!("\n{name} -> {:?}", std::fs::read_link(&path)));
            }
        }
    }
    lines.sort();
    lines.concat()
}
