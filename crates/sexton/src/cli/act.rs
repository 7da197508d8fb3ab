//! What every command that changes something does: plan, show, ask, run, tell. One way for all of them.

use super::console::Console;
use super::progress::Progress;
use super::{consent, documents, signals, text};
use crate::config::{self, Config, Override};
use crate::exit::Exit;
use crate::first_run;
use crate::trouble::Trouble;
use engine::{
    Changes, Engine, Event, Failure, Level, Manners, Plan, Report, Request, Status, Stop, What, is_refused,
};
use notify::{Ended, Post};
use std::time::Duration;

/// Whoever ran something waits no longer than this for its messages.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let prepared = self.engine.prepare(request)?;
        if let (1, Some(_)) = (prepared.plan.items.len(), prepared.failures.first()) {
            return self.unplanned(request, prepared.failures.into_iter().next());
        }
        self.plan(prepared.plan)
    }

    /// Nothing could be planned: that is told as the error it is, and the run stands in the log as failed (S1-042).
    pub fn unplanned(&self, request: &Request, failure: Option<Failure>) -> Result<Exit, Trouble> {
        let Some(failure) = failure else { return Ok(Exit::Done) };
        match self.engine.log_unplanned(request, &failure) {
            Ok(report) => self.hand_in(&report),
            Err(error) => tracing::warn!(%error, "the failed run cannot be logged"),
        }
        Err(failure.into())
    }

    /// Runs a plan, if whoever is asked allows it.
    pub fn plan(&self, plan: Plan) -> Result<Exit, Trouble> {
        self.show(&plan);
        if !plan.request.dry_run {
            let operations = plan.items.iter().map(|item| &item.operation);
            first_run::check(self.engine, self.config, operations)?;
            consent::ask(&plan, self.console)?;
        }
        let stop = Stop::default();
        let listening = signals::listen(&stop);
        let outcome = self.watched(&plan, &[], |watch| self.engine.run(&plan, &stop, watch));
        drop(listening);
        self.tell(&outcome?, &plan)
    }

    /// Goes on with an earlier run, with other limits where some are said. It was allowed when it began; what could not
    /// be planned then was not.
    pub fn resume(&self, id: &str, said: &[Override], force: bool) -> Result<Exit, Trouble> {
        let id = self.latest(id, |report| report.operations.iter().any(can_resume))?;
        let change = |manners: &mut Manners| config::override_manners(manners, said);
        let run = self.engine.resumable(&id, &Changes { manners: Some(&change), force })?;
        if run.new {
            self.show(&run.plan);
            consent::ask(&run.plan, self.console)?;
        }
        let stop = Stop::default();
        let listening = signals::listen(&stop);
        let earlier = self.engine.events(&id, 0)?;
        let outcome = self.watched(&run.plan, &earlier, |watch| self.engine.resume_as(&run, &stop, watch));
        drop(listening);
        self.tell(&outcome?, &run.plan)
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

    fn watched(
        &self,
        plan: &Plan,
        earlier: &[Event],
        run: impl FnOnce(&mut dyn FnMut(&Event)) -> Result<Report, Failure>,
    ) -> Result<Report, Trouble> {
        let mut progress = Progress::new(self.console, plan, self.engine.clock(), earlier);
        let mut failed: Option<Option<String>> = None;
        let mut ends = Vec::new();
        let mut watch = |event: &Event| {
            if let What::Failed { help, .. } = &event.what {
                failed = Some(help.clone());
            }
            let kind = event.item.and_then(|n| plan.items.get(n)).map(|item| item.operation.kind.as_str());
            if let (What::Noted { text }, Some("transfer")) = (&event.what, kind) {
                ends.push(text.clone());
            }
            match self.post().happened(event) {
                Ok(true) => self.send(),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a message cannot be handed in"),
            }
            if self.console.events {
                self.console.data(&serde_json::to_string(event).unwrap_or_default());
            }
            progress.see(event);
        };
        let report = run(&mut watch)?;
        drop(progress);
        self.hand_in(&report);
        for operation in &report.operations {
            for (n, error) in operation.errors.iter().enumerate() {
                // What failed at every attempt alike is told once.
                if !operation.errors[..n].contains(error) {
                    self.console.note_error(&format!("{}: {error}", operation.operation));
                }
            }
            if operation.status == Status::Refused {
                let refuse = operation.findings.iter().filter(|finding| finding.level == Level::Refuse);
                let mut helps: Vec<&str> = Vec::new();
                for finding in refuse {
                    // One thing to do about many findings is told once.
                    if !helps.contains(&finding.remedy.as_str()) {
                        helps.push(&finding.remedy);
                        self.console.note_help(&finding.remedy);
                    }
                }
            }
        }
        // whether it went back
        ends.iter().for_each(|text| self.console.note_end(text));
        if let Some(Some(help)) = failed {
            self.console.note_help(&help);
        }
        Ok(report)
    }

    fn post(&self) -> Post<'_> {
        Post { engine: self.engine, settings: &self.config.notify }
    }

    /// Hands in the messages about a run, and sends them where that does not take long. Whatever goes wrong with them, the run is
    /// what it is.
    fn hand_in(&self, report: &Report) {
        let names: Vec<&str> = report.operations.iter().map(|done| done.operation.as_str()).collect();
        self.hand_in_all(&Ended {
            report: Some(report),
            schedule: None,
            name: &names.join(", "),
            why: None,
            event: notify::Event::Failure,
            id: &report.run_id,
            by_hand: true,
            promised: &|name| self.config.is_promised(name),
        });
    }

    /// The same for something that came to its end without a report of its own.
    pub fn hand_in_all(&self, ended: &Ended) {
        if self.config.notify.is_silent() {
            return;
        }
        match self.post().ended(ended) {
            Ok(()) => self.send(),
            Err(error) => tracing::warn!(%error, "a message cannot be handed in"),
        }
    }

    /// Sends what is due, within a few seconds.
    pub fn send(&self) {
        if self.config.notify.is_silent() {
            return;
        }
        match self.post().deliver(Some(PATIENCE)) {
            Ok(delivered) => {
                for (channel, many, why) in delivered.put_off.iter().chain(&delivered.given_up) {
                    let notes = engine::words::of(*many, "message waits", "messages wait");
                    self.console.note(&format!("warning: {notes} for {channel}: {why}"));
                    self.console.note_help("`sexton serve` tries again, and so does `sexton notify send`");
                }
            }
            Err(error) => tracing::warn!(%error, "messages cannot be sent"),
        }
    }

    /// Tells what came of it.
    fn tell(&self, report: &Report, plan: &Plan) -> Result<Exit, Trouble> {
        if self.console.is_text() {
            let id = self.short_id(&report.run_id);
            self.console.data(&text::outcome(report, &id, true, self.console));
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

/// Not what is still at work.
fn can_resume(operation: &engine::OperationReport) -> bool {
    operation.status.can_resume()
        && operation.status != Status::Running
        && operation.status != Status::Verifying
}
