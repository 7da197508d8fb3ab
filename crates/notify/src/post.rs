//! The desk at which messages are handed in: who gets which, from when on, and what was said already.

use crate::alert::{Alert, Watched};
use crate::channel::Refused;
use crate::message::{Event, Level, Message};
use crate::run::{event_of, of_operation, of_run};
use crate::send::carry;
use crate::settings::{Channel, Settings, Sort, length};
use crate::words::is_failed;
use engine::{Engine, Failure, NewNote, Report, Status, What};
use jiff::Timestamp;
use scheduler::{Notifications, Schedule};
use sha2::{Digest, Sha256};

/// So many earlier runs are looked at for failures in a row.
const ROW: u64 = 20;
/// The kind whose errors are told at once.
const TRANSFER: &str = "transfer";

/// Hands messages in.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// Keeps the outbox.
    pub engine: &'a Engine,
    /// Who is told what.
    pub settings: &'a Settings,
}

/// Something that came to its end.
pub struct Ended<'a> {
    /// The report; none where not even a plan could be made.
    pub report: Option<&'a Report>,
    /// The schedule, where it was one.
    pub schedule: Option<&'a Schedule>,
    /// What was to be done, for people.
    pub name: &'a str,
    /// Why it was not done, where there is no report that says it.
    pub why: Option<&'a str>,
    /// What it came to, where there is no report.
    pub event: Event,
    /// What it is known by, where there is no run.
    pub id: &'a str,
    /// Whether somebody typed it.
    pub by_hand: bool,
    /// Whether how long an operation may take was said, and not learned.
    pub promised: &'a dyn Fn(&str) -> bool,
}

impl Post<'_> {
    /// Something came to its end: tells of it, and of what is wrong with its operations.
    pub fn ended(&self, ended: &Ended) -> Result<(), Failure> {
        if self.settings.is_silent() {
            return Ok(());
        }
        if let Some(report) = ended.report {
            self.transfers(report)?;
        }
        // Who is there sees it; and a look at what would happen is no news.
        let is_look = ended.schedule.is_none() && ended.report.is_some_and(|report| report.metadata.dry_run);
        if is_look || (ended.by_hand && !self.settings.by_hand) {
            return Ok(());
        }
        let now = self.engine.clock().now();
        let schedule = ended.schedule.map(|schedule| schedule.name.as_str());
        let (message, once, said) = match (ended.report, ended.why) {
            (Some(report), why) => {
                let at = report.metadata.finished_at.unwrap_or(now).as_microsecond();
                let said = format!(
                    "{:?}{:?}",
                    report.errors.iter().map(|e| &e.message).collect::<Vec<_>>(),
                    report.warnings
                );
                let mut message = of_run(report, schedule, now);
                if let Some(why) = why.filter(|_| message.event == Event::Success) {
                    // It went well, and was not all that was wanted.
                    (message.event, message.level) = (Event::Warning, Level::Warning);
                    message.title = format!("{}: {why}", ended.name);
                    message.text = format!("{why}\n\n{}", message.text);
                }
                (message, format!("run/{}/{at}", report.run_id), said)
            }
            (None, Some(why)) => {
                let (event, level, word) = match ended.event {
                    Event::Success => (Event::Success, Level::Info, "done"),
                    Event::Warning => (Event::Warning, Level::Warning, "done with warnings"),
                    _ => (Event::Failure, Level::Warning, "failed"),
                };
                let title = format!("{} {word}", ended.name);
                let mut message = Message::new(event, level, title, why, now);
                message.text = format!("{why}\n\ncorrelation {}", message.correlation_id);
                message.schedule = schedule.map(str::to_owned);
                (message, format!("end/{}", ended.id), why.to_owned())
            }
            (None, None) => return Ok(()),
        };
        let wants = ended.schedule.and_then(|schedule| schedule.says.notifications.as_ref());
        let wants = wants.unwrap_or(&self.settings.usual);
        let wanted = match message.event {
            Event::Success => wants.on_success,
            Event::Warning => wants.on_warnings,
            Event::Failure | Event::Alert => wants.on_failure,
        };
        let mut told: Vec<String> = Vec::new();
        if wanted {
            // All is well as often as it likes; what is not is not repeated for a while.
            let kin = match message.event {
                Event::Success => String::new(),
                _ => checksum(&format!("{} {} {said}", message.event.name(), message.title)),
            };
            let notes = self.notes(&message, wants, false, &once, &kin, now);
            told = notes.iter().map(|note| note.channel.clone()).collect();
            let lately = now.saturating_sub(self.settings.repeat_after).unwrap_or(now);
            self.engine.outbox()?.post(&notes, now, lately)?;
        }
        if let Some(report) = ended.report {
            self.look_at_run(report, ended, &told)?;
        }
        Ok(())
    }

    /// What is wrong with the operations of a run. Who was told that it failed is not told again for each of them, unless it is
    /// critical.
    fn look_at_run(&self, report: &Report, ended: &Ended, told: &[String]) -> Result<(), Failure> {
        let failed = event_of(report) == Event::Failure;
        for done in &report.operations {
            let before = if is_failed(done) { self.failures_before(report, &done.operation)? } else { 0 };
            let watched =
                of_operation(done, before, (ended.promised)(&done.operation), &self.settings.alerts);
            for one in watched {
                let leave = if failed && one.id.starts_with("failed/") { told } else { &[] };
                self.watch(&one, Some(report), leave)?;
            }
        }
        Ok(())
    }

    /// How many runs of an operation failed in a row, right before this one.
    fn failures_before(&self, report: &Report, operation: &str) -> Result<u64, Failure> {
        let mut row = 0;
        for earlier in self.engine.reports(ROW, None, Some(operation))? {
            let own = earlier.operations.iter().find(|done| done.operation == operation);
            let Some(own) = own.filter(|_| {
                earlier.run_id != report.run_id
                    && earlier.metadata.started_at <= report.metadata.started_at
                    && earlier.metadata.dry_run == report.metadata.dry_run
            }) else {
                continue;
            };
            match own.status {
                Status::Skipped => {}
                _ if is_failed(own) => row += 1,
                _ => break,
            }
        }
        Ok(row)
    }

    /// Tells what is wrong: once, again when it is worse or after a while, and when it is over. Whether it was told now.
    pub fn watch(
        &self,
        watched: &Watched,
        report: Option<&Report>,
        leave: &[String],
    ) -> Result<bool, Failure> {
        let now = self.engine.clock().now();
        let outbox = self.engine.outbox()?;
        let once = format!("{}/{}", watched.id, now.as_microsecond());
        let of = |message: Message| match report {
            Some(report) => message.of_run(&report.run_id, &report.correlation_id),
            None => message,
        };
        let Some(alert) = &watched.alert else {
            let Some(title) = &watched.over else { return Ok(outbox.calm(&watched.id, &[], now)?) };
            let message = of(Message::new(Event::Success, Level::Info, title, "", now));
            let message = Message { text: format!("correlation {}", message.correlation_id), ..message };
            let notes = self.notes(&message, &self.of_alerts(), false, &once, "", now);
            return Ok(outbox.calm(&watched.id, &notes, now)?);
        };
        let message = of(self.message(alert, now));
        let message = with_ids(message);
        let critical = alert.level == Level::Critical;
        let mut notes = self.notes(&message, &self.of_alerts(), critical, &once, "", now);
        notes.retain(|note| critical || !leave.contains(&note.channel));
        let remind = length(&self.settings.alerts.remind_after);
        let lately = now.saturating_sub(remind).unwrap_or(now);
        Ok(outbox.raise(&watched.id, alert.level as i64, &alert.title, &notes, now, lately)?)
    }

    fn message(&self, alert: &Alert, now: Timestamp) -> Message {
        let mut message = Message::new(Event::Alert, alert.level, &alert.title, &alert.text, now);
        message.operation.clone_from(&alert.operation);
        message.schedule.clone_from(&alert.schedule);
        message.metrics.clone_from(&alert.metrics);
        message
    }

    /// Something happened in a run: errors of a transfer are told before it ends (S4-047). Whether something is to be sent.
    pub fn happened(&self, event: &engine::Event) -> Result<bool, Failure> {
        let error = match &event.what {
            What::Failed { error, help: Some(help), busy: false, .. } => format!("{error}\nhelp: {help}"),
            What::Failed { error, busy: false, .. } => error.clone(),
            What::GaveUp { error, scope, .. } => format!("{scope}: {error}"),
            _ => return Ok(false),
        };
        if self.settings.is_silent() || !self.settings.alerts.transfer_errors {
            return Ok(false);
        }
        let Some(n) = event.item else { return Ok(false) };
        let plan = self.engine.run_record(&event.run)?.plan;
        match plan.items.get(n).map(|item| &item.operation).filter(|one| one.kind == TRANSFER) {
            Some(one) => {
                self.transfer_error((&event.run, n), &plan.request.correlation_id, &one.name, &error)
            }
            None => Ok(false),
        }
    }

    /// Errors of transfers that nobody saw while they happened.
    fn transfers(&self, report: &Report) -> Result<(), Failure> {
        if !self.settings.alerts.transfer_errors {
            return Ok(());
        }
        for (n, done) in report.operations.iter().enumerate().filter(|(_, done)| done.kind == TRANSFER) {
            if !done.errors.is_empty() {
                let place = (report.run_id.as_str(), n);
                self.transfer_error(place, &report.correlation_id, &done.operation, &done.errors.join("\n"))?;
            }
        }
        Ok(())
    }

    fn transfer_error(
        &self,
        (run, n): (&str, usize),
        correlation: &str,
        name: &str,
        error: &str,
    ) -> Result<bool, Failure> {
        let now = self.engine.clock().now();
        let title = format!("{name}: the transfer has an error");
        let alert = Alert::new(Level::Critical, title, error).about(name);
        let message = with_ids(self.message(&alert, now).of_run(run, correlation));
        // Of a thousand tables that cannot be had, the first one is news.
        let once = format!("transfer/{run}/{n}");
        let notes = self.notes(&message, &self.of_alerts(), true, &once, "", now);
        Ok(self.engine.outbox()?.post(&notes, now, now)? > 0)
    }

    /// Sends a test to a channel now, past the outbox.
    pub fn test(&self, channel: &Channel) -> Result<(), Refused> {
        let now = self.engine.clock().now();
        let message = with_ids(Message::new(
            Event::Success,
            Level::Info,
            format!("a test of {}", channel.name),
            "Sexton can reach you here. Nothing happened, and nothing has to be done.",
            now,
        ));
        carry(channel, &engine::new_id(), &message, &[], channel.patience)
    }

    /// Where alerts go.
    fn of_alerts(&self) -> Notifications {
        Notifications { channels: self.settings.alerts.channels.clone(), ..Notifications::default() }
    }

    /// One note for each channel that gets a message.
    fn notes(
        &self,
        message: &Message,
        wants: &Notifications,
        escalate: bool,
        once: &str,
        kin: &str,
        now: Timestamp,
    ) -> Vec<NewNote> {
        let alerts = &self.settings.alerts;
        let body = serde_json::to_value(message).unwrap_or_default();
        let chosen = |channel: &&Channel| {
            let escalates = alerts.escalate_to.contains(&channel.name);
            let usual = match wants.channels.as_slice() {
                [] => !escalates,
                named => named.contains(&channel.name),
            };
            (usual || (escalate && escalates)) && channel.level <= message.level
        };
        let of_channel = |channel: &Channel| {
            let urgent = message.level == Level::Critical;
            let (due, held) = if urgent { (now, false) } else { due(channel, now) };
            let note = |recipients: Vec<String>, mark: String| NewNote {
                channel: channel.name.clone(),
                recipients,
                urgent,
                held,
                once: format!("{once}{mark}"),
                kin: if kin.is_empty() { String::new() } else { format!("{kin}{mark}") },
                due,
                body: body.clone(),
            };
            let recipients = recipients(channel, &wants.recipients);
            match channel.sort {
                // Each chat is a call of its own: whoever has it gets it no second time when the next one fails.
                Sort::Telegram if recipients.len() > 1 => {
                    recipients.into_iter().map(|chat| note(vec![chat.clone()], format!("/{chat}"))).collect()
                }
                _ => vec![note(recipients, String::new())],
            }
        };
        self.settings.channels.iter().filter(chosen).flat_map(of_channel).collect()
    }
}

/// When a message that is not critical may go, and whether it waits for others.
fn due(channel: &Channel, now: Timestamp) -> (Timestamp, bool) {
    let mut at = now;
    if let Some(period) = channel.digest.map(|period| period.as_secs()).filter(|period| *period > 0) {
        let next = (now.as_second().div_euclid(period) + 1).saturating_mul(period);
        at = Timestamp::from_second(next).unwrap_or(now);
    }
    if let Some(quiet) = channel.quiet.as_ref().filter(|quiet| quiet.is_open(at)) {
        at = quiet.closes_after(at);
    }
    (at, at > now)
}

/// Who gets it on this channel: addresses for mail, and whatever is meant for the channel by its name.
fn recipients(channel: &Channel, named: &[String]) -> Vec<String> {
    let own = |text: &String| text.strip_prefix(&format!("{}:", channel.name)).map(|to| to.trim().to_owned());
    let by_name: Vec<String> = named.iter().filter_map(own).collect();
    if !by_name.is_empty() || channel.sort != Sort::Email {
        return by_name;
    }
    named.iter().filter(|text| crate::channel::is_address(text)).cloned().collect()
}

/// What it can be found by stands in the text too: not every channel shows fields.
fn with_ids(message: Message) -> Message {
    let run = message.run_id.as_ref().map(|run| format!("run {run}\n")).unwrap_or_default();
    let text = format!("{}\n\n{run}correlation {}", message.text.trim_end(), message.correlation_id);
    Message { text, ..message }
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
