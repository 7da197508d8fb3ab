//! The spans of a run, folded from its events: the run, its operations, and what each of them went through.

use engine::{Event, Plan, Report, Status, What};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// No more batches of an operation have a span of their own; beyond that, neighbours share one.
const MOST_BATCHES: usize = 100;
/// No more moments are told of an operation.
const MOST_MOMENTS: usize = 50;
/// A plan that was made longer ago was shown to somebody first: that is no work.
const PLANNED: SignedDuration = SignedDuration::from_secs(60);

/// A part of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The same for all parts of what somebody asked for.
    pub trace: [u8; 16],
    /// Its own.
    pub id: [u8; 8],
    /// Of what it is a part.
    pub parent: Option<[u8; 8]>,
    /// What it is.
    pub name: String,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// What there is to say about it.
    pub says: Vec<(&'static str, Said)>,
    /// What happened in it.
    pub moments: Vec<Moment>,
    /// How it ended: none for parts of which nothing is said, an empty text for what went well.
    pub failed: Option<Result<(), String>>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Text(String),
    Flag(bool),
    Count(u64),
}

/// Something that happened at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    pub at: Timestamp,
    pub name: &'static str,
    pub text: String,
}

/// Makes spans of one run.
struct Folding<'a> {
    trace: [u8; 16],
    run: &'a str,
    /// Which attempt it is: a run that was gone on with has a span for each.
    attempt: usize,
    spans: Vec<Span>,
}

/// The spans of the last attempt at a run.
pub fn of_run(plan: &Plan, events: &[Event], report: &Report) -> Vec<Span> {
    let ends = |event: &Event| event.item.is_none() && event.what == What::Finished;
    let attempt = events.iter().filter(|event| ends(event)).count().saturating_sub(1);
    let before = events.len().saturating_sub(1);
    let first = events[..before].iter().rposition(ends).map_or(0, |last| last + 1);
    let own = &events[first..];
    let (Some(begin), Some(end)) = (own.first(), own.last()) else { return Vec::new() };
    let mut folding = Folding {
        trace: digest(&["trace", &report.correlation_id]),
        run: &report.run_id,
        attempt,
        spans: Vec::new(),
    };
    let request = &plan.request;
    let names: Vec<&str> = plan.items.iter().map(|item| item.operation.name.as_str()).collect();
    let is_fresh =
        attempt == 0 && (SignedDuration::ZERO..PLANNED).contains(&begin.at.duration_since(plan.now));
    let root = folding.add(
        None,
        "",
        format!("run {}", names.join(", ")),
        (if is_fresh { plan.now } else { begin.at }, end.at),
    );
    let trigger = serde_json::to_value(request.trigger).ok();
    let root_span = &mut folding.spans[0];
    root_span.says = vec![
        ("sexton.run", Said::Text(report.run_id.clone())),
        ("sexton.correlation_id", Said::Text(report.correlation_id.clone())),
        ("sexton.operations", Said::Text(names.join(","))),
        (
            "sexton.trigger",
            Said::Text(trigger.and_then(|one| Some(one.as_str()?.to_owned())).unwrap_or_default()),
        ),
        ("sexton.actor", Said::Text(request.actor.clone())),
        ("sexton.dry_run", Said::Flag(request.dry_run)),
        ("sexton.status", Said::Text(report.status.name())),
        ("sexton.rows", Said::Count(report.totals.rows())),
    ];
    root_span.failed = outcome(report.status, || {
        let errors = report.errors.iter().map(|error| error.message.as_str());
        errors.collect::<Vec<_>>().join("; ")
    });
    if is_fresh {
        folding.add(Some(root), "plan", "plan".to_owned(), (plan.now, begin.at));
    }
    let mut reached = begin.at;
    for (n, item) in plan.items.iter().enumerate() {
        let events: Vec<&Event> = own.iter().filter(|event| event.item == Some(n)).collect();
        let (Some(operation), Some(first), Some(last)) =
            (report.operations.get(n), events.first(), events.last())
        else {
            continue;
        };
        // It began when the one before was over, or beside it.
        let began = reached.min(first.at);
        let place = folding.spans.len();
        let span = folding.add(Some(root), &n.to_string(), item.operation.name.clone(), (began, last.at));
        folding.spans[place].says = vec![
            ("sexton.correlation_id", Said::Text(report.correlation_id.clone())),
            ("sexton.kind", Said::Text(item.operation.kind.clone())),
            ("db.system.name", Said::Text(item.engine.clone())),
            ("db.namespace", Said::Text(item.operation.database.clone())),
            ("sexton.status", Said::Text(operation.status.name())),
            ("sexton.rows_matched", Said::Count(operation.rows_matched)),
            ("sexton.batches", Said::Count(operation.batches)),
        ];
        folding.spans[place].failed = outcome(operation.status, || {
            operation.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        });
        folding.spans[place].moments = moments(&events);
        folding.phases(n, span, began, &events);
        reached = reached.max(last.at);
    }
    folding.spans
}

impl Folding<'_> {
    fn add(
        &mut self,
        parent: Option<[u8; 8]>,
        part: &str,
        name: String,
        (from, to): (Timestamp, Timestamp),
    ) -> [u8; 8] {
        let attempt = self.attempt.to_string();
        let id = digest(&["span", self.run, &attempt, part]);
        self.spans.push(Span {
            trace: self.trace,
            id,
            parent,
            name,
            from: from.min(to),
            to,
            says: Vec::new(),
            moments: Vec::new(),
            failed: None,
        });
        id
    }

    /// What an operation went through: each event ends a phase that began with the one before.
    fn phases(&mut self, n: usize, parent: [u8; 8], began: Timestamp, events: &[&Event]) {
        let mut from = began;
        let mut started = None;
        let mut batches = Vec::new();
        for event in events {
            let phase = match &event.what {
                What::Planned { .. } => Some("lock"),
                What::Guarded { .. } | What::Refused { .. } => Some("guard"),
                What::BackedUp { .. } => Some("backup"),
                What::Verified { .. } => Some("verify"),
                _ => None,
            };
            match &event.what {
                What::Started { .. } => (started, from) = (Some(event.at), event.at),
                What::Advanced { seconds, counts, .. } => {
                    batches.push((event.at, *seconds, counts.rows()));
                    from = event.at;
                }
                What::StepDone { .. } => from = event.at,
                _ => {}
            }
            if let Some(phase) = phase {
                self.add(Some(parent), &format!("{n} {phase}"), phase.to_owned(), (from, event.at));
                from = event.at;
            }
        }
        if let (Some(started), Some((end, ..))) = (started, batches.last()) {
            let end = *end;
            let all = self.add(Some(parent), &format!("{n} batches"), "batches".to_owned(), (started, end));
            self.batches(n, all, &batches);
        }
    }

    /// A span for each batch, or for as many neighbours as need be.
    fn batches(&mut self, n: usize, parent: [u8; 8], batches: &[(Timestamp, f64, u64)]) {
        let together = batches.len().div_ceil(MOST_BATCHES).max(1);
        for (place, some) in batches.chunks(together).enumerate() {
            let (Some((first, seconds, _)), Some((end, ..))) = (some.first(), some.last()) else { continue };
            let took = SignedDuration::try_from_secs_f64(*seconds).unwrap_or(SignedDuration::ZERO);
            let from = first.checked_sub(took).unwrap_or(*first);
            let number = place * together + 1;
            let name = match some.len() {
                1 => format!("batch {number}"),
                many => format!("batches {number} to {}", number + many - 1),
            };
            self.add(Some(parent), &format!("{n} batch {number}"), name, (from, *end));
            if let Some(span) = self.spans.last_mut() {
                span.says = vec![
                    ("sexton.batches", Said::Count(some.len() as u64)),
                    ("sexton.rows", Said::Count(some.iter().map(|(.., rows)| rows).sum())),
                ];
            }
        }
    }
}

/// What went otherwise than planned.
fn moments(events: &[&Event]) -> Vec<Moment> {
    let all = events.iter().filter_map(|event| {
        let (name, text) = match &event.what {
            What::Retried { error, attempt } => ("retried", format!("try {attempt}: {error}")),
            What::Paused { reason, seconds } => ("paused", format!("{seconds:.1} s: {reason}")),
            What::GaveUp { scope, error, .. } => ("gave up", format!("{scope}: {error}")),
            What::BeganAgain { reason } => ("began again", reason.clone()),
            What::Stopped { reason } => ("stopped", reason.said().to_owned()),
            What::Failed { error, .. } => ("failed", error.clone()),
            What::Skipped { reason } => ("skipped", reason.clone()),
            _ => return None,
        };
        Some(Moment { at: event.at, name, text })
    });
    all.take(MOST_MOMENTS).collect()
}

fn outcome(status: Status, why: impl Fn() -> String) -> Option<Result<(), String>> {
    match status {
        Status::Completed | Status::Skipped => Some(Ok(())),
        Status::Failed | Status::Interrupted | Status::Refused => Some(Err(why())),
        _ => None,
    }
}

/// An id that is the same each time that it is made of the same.
fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let digest = Sha256::digest(parts.join("\u{1f}"));
    std::array::from_fn(|n| digest[n])
}
