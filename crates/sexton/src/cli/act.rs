//! What every command that changes something does: plan, show, ask, run, tell. One way for all of them.

use super::console::Console;
use super::progress::Progress;
use super::trouble::Trouble;
use super::{consent, documents, signals, text};
use crate::config::Config;
use crate::exit::Exit;
use engine::{Engine, Event, Level, Plan, Report, Request, Status, Stop, What, is_refused};

/// A command at work.
pub struct Act<'a> {
    /// What was configured.
    pub config: &'a Config,
    /// Does the work.
    pub engine: &'a Engine,
    /// Where to tell.
    pub console: &'a Console,
}

impl Act<'_> {
    /// Plans a request and runs it.
    pub fn request(&self, request: &Request) -> Result<Exit, Trouble> {
        let plan = self.engine.plan(request)?;
        self.plan(plan)
    }

    /// Runs a plan, if whoever is asked allows it.
    pub fn plan(&self, plan: Plan) -> Result<Exit, Trouble> {
        self.show(&plan);
        if !plan.request.dry_run {
            self.first_run_dry(&plan)?;
            consent::ask(&plan, self.console)?;
        }
        let stop = Stop::default();
        let listening = signals::listen(&stop);
        let outcome = self.watched(&plan, |watch| self.engine.run(&plan, &stop, watch));
        drop(listening);
        self.tell(&outcome?, &plan)
    }

    /// Goes on with an earlier run. It was allowed when it began.
    pub fn resume(&self, id: &str) -> Result<Exit, Trouble> {
        let record =
            self.engine.run_record(&self.latest(id, |report| report.operations.iter().any(can_resume))?)?;
        let stop = Stop::default();
        let listening = signals::listen(&stop);
        let outcome = self.watched(&record.plan, |watch| self.engine.resume(&record.id, &stop, watch));
        drop(listening);
        self.tell(&outcome?, &record.plan)
    }

    /// Shows the plan: in full where a person will be asked about it.
    fn show(&self, plan: &Plan) {
        let asks = self.console.can_ask() && !self.console.yes;
        let detailed = asks || self.console.verbose || plan.request.dry_run;
        if self.console.is_text() {
            self.console.data(&text::plan(plan, self.console, detailed));
        } else if asks {
            self.console.note(&text::plan(plan, self.console, detailed));
        }
    }

    /// The policy that nothing runs for the first time without having been looked at (S2-079).
    fn first_run_dry(&self, plan: &Plan) -> Result<(), Trouble> {
        if !self.config.first_run_dry {
            return Ok(());
        }
        for item in &plan.items {
            let name = &item.operation.name;
            let known = ["undo", "restore-archive"].contains(&item.operation.kind.as_str())
                || self.engine.reports(1_000, None, Some(name))?.iter().any(|report| report.metadata.dry_run);
            if !known {
                return Err(Trouble::refused(
                    format!("`{name}` had no dry run yet, and `first_run_dry` asks for one; nothing was run"),
                    format!("look at it first: `sexton run {name} --dry-run`"),
                ));
            }
        }
        Ok(())
    }

    fn watched(
        &self,
        plan: &Plan,
        run: impl FnOnce(&mut dyn FnMut(&Event)) -> Result<Report, engine::Failure>,
    ) -> Result<Report, Trouble> {
        let mut progress = Progress::new(self.console, plan, self.engine.clock());
        let mut failed: Option<Option<String>> = None;
        let mut watch = |event: &Event| {
            if let What::Failed { help, .. } = &event.what {
                failed = Some(help.clone());
            }
            if self.console.events {
                self.console.data(&serde_json::to_string(event).unwrap_or_default());
            }
            progress.see(event);
        };
        let report = run(&mut watch)?;
        drop(progress);
        for operation in &report.operations {
            for error in &operation.errors {
                self.console.note_error(&format!("{}: {error}", operation.operation));
            }
            if operation.status == Status::Refused {
                for finding in operation.findings.iter().filter(|finding| finding.level == Level::Refuse) {
                    self.console.note_help(&finding.remedy);
                }
            }
        }
        if let Some(Some(help)) = failed {
            self.console.note_help(&help);
        }
        Ok(report)
    }

    /// Tells what came of it.
    fn tell(&self, report: &Report, plan: &Plan) -> Result<Exit, Trouble> {
        if self.console.is_text() {
            let id = self.short_id(&report.run_id);
            self.console.data(&text::outcome(report, &id, self.console));
            let refused = plan.items.iter().any(|item| is_refused(item, plan.request.force));
            if refused && plan.request.dry_run {
                self.console.note("a real run would be refused, see above");
            }
        } else if !self.console.events {
            self.console.document(&documents::of_run(report, plan, self.console.output));
        }
        Ok(Exit::of_report(report))
    }

    /// The run meant by `latest`: the newest one that fits. Any other text is given back.
    pub fn latest(&self, id: &str, fits: impl Fn(&Report) -> bool) -> Result<String, Trouble> {
        if id != "latest" {
            return Ok(id.to_owned());
        }
        let found = self.engine.reports(1_000, None, None)?.into_iter().find(fits);
        Ok(found.map_or_else(|| id.to_owned(), |report| report.run_id))
    }

    /// The first letters of a run's id, as many as tell it from all others.
    pub fn short_id(&self, id: &str) -> String {
        (3..id.len())
            .map(|length| &id[..length])
            .find(|prefix| self.engine.run_record(prefix).is_ok_and(|record| record.id == id))
            .unwrap_or(id)
            .to_owned()
    }
}

fn can_resume(operation: &engine::OperationReport) -> bool {
    operation.status.can_resume()
}
