//! What a transfer came to, from what was told about its batches: the account of every table, and what did not arrive.

use super::ask::{self, Answer, Outcome};
use super::compare::{self, Compared};
use super::options::{self, Options};
use super::sequences;
use engine::words::{either, of, rows as rows_of};
use engine::{Done, Error, Finding, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use targets::db::Facts;

/// The account of a table.
#[derive(Debug, Clone, Default)]
struct Account {
    loads: bool,
    rows: u64,
    bytes: u64,
    aside: u64,
    misfits: Vec<Json>,
    compared: Option<Compared>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    tables: BTreeMap<String, Account>,
    failed: Vec<Json>,
    left: Vec<Json>,
    asked: Vec<Outcome>,
    /// The tables of the target, and how far their sequences are.
    places: Vec<String>,
    sequences: Vec<Json>,
    online: super::online::told::Told,
    /// The source changed between the plan and the copy.
    has_changed: bool,
}

/// What is said of every table, where it is known.
const FIGURES: [&str; 6] =
    ["source_rows", "target_rows", "quarantined", "checksum_source", "checksum_target", "mismatches"];

/// How long a look at the source took, in the result of the plan.
pub const LOOKED: &str = "looked_seconds";

/// How long each part took: steps that belong together as one, in their order.
pub fn phases(done: &Done) -> Vec<(String, f64)> {
    let looked = done.planned.and_then(|planned| planned[LOOKED].as_f64());
    let mut phases: Vec<(String, f64)> = looked.map(|took| ("look".to_owned(), took)).into_iter().collect();
    for (step, took) in done.steps.iter().zip(done.took) {
        let name = match step.action.as_str() {
            "make" | "release" | "load" | "tell" => "copy",
            "declare" | "validate" | "restore" => "validate",
            "compare" | "ask" => "compare",
            "cut_over" | "switch" => "cut_over",
            "finish" | "analyze" | "tend" | "stamp" | "end" => "finish",
            other => other,
        };
        match phases.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += took,
            None => phases.push((name.to_owned(), *took)),
        }
    }
    phases
}

/// What is told where the source changed between the plan and the copy.
pub const CHANGED: &str = "source_changed";
/// What to do then.
pub const CHANGED_HELP: &str = "take the transfer back with `sexton transfer rollback`, and plan it again: new rows were not asked beforehand";

/// So many times of queries stand in the message; all in the report.
const TIMED: usize = 4;

fn number(value: &Json, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

impl Sum {
    /// From what was told.
    pub fn of(details: &[Json], planned: Option<&Json>) -> Self {
        let left = planned.and_then(|planned| planned["left"].as_array().cloned());
        let tables = planned.and_then(|planned| planned["tables"].as_array()).into_iter().flatten();
        let places = tables.filter_map(|table| table["target"].as_str().map(str::to_owned)).collect();
        let mut sum = Self { left: left.unwrap_or_default(), places, ..Self::default() };
        for detail in details {
            sum.online.see(detail);
            if let Some(table) = detail["loaded"].as_str() {
                let account = sum.tables.entry(table.to_owned()).or_default();
                account.loads = true;
                account.rows += number(detail, "rows");
                account.bytes += number(detail, "bytes");
                account.aside += number(detail, "aside");
                for misfit in detail["misfits"].as_array().into_iter().flatten() {
                    merge(&mut account.misfits, misfit);
                }
            } else if let Some(table) = detail["compared"].as_str() {
                let account = sum.tables.entry(table.to_owned()).or_default();
                account.compared = serde_json::from_value(detail["outcome"].clone()).ok();
            } else if let Some(name) = detail["asked"].as_str() {
                let source = serde_json::from_value(detail["answer"].clone()).unwrap_or_default();
                let target = serde_json::from_value(detail["target"].clone()).ok();
                sum.asked.push(Outcome { name: name.to_owned(), source, target, error: None });
            } else if detail[CHANGED] == true {
                sum.has_changed = true;
            } else if detail["failed"].is_string() {
                // a reference that could not be declared does not hold either
                let is_known =
                    |known: &Json| ["failed", "name"].iter().all(|key| known[*key] == detail[*key]);
                if !sum.failed.iter().any(is_known) {
                    sum.failed.push(detail.clone());
                }
            }
        }
        sum
    }

    /// Asks the target what the source was asked, and how far its sequences are.
    pub fn ask(&mut self, options: &Options, facts: &mut dyn Facts) -> Result<()> {
        let places: Vec<&str> = self.places.iter().map(String::as_str).collect();
        self.sequences = sequences::told(&places, facts)?;
        let zone = options::zone(options.zone.as_deref())?;
        for outcome in self.asked.iter_mut().filter(|outcome| outcome.target.is_none()) {
            let Some(query) = options.queries.get(&outcome.name) else { continue };
            match ask::target(&outcome.name, query, &outcome.source, (options.lands_in(), &zone), facts) {
                Ok(answer) => outcome.target = Some(answer),
                Err(error) => outcome.error = Some(chain(&error)),
            }
        }
        Ok(())
    }

    /// For the report, with what the plan said.
    pub fn told(&self, planned: Option<&Json>, phases: &[(String, f64)]) -> Json {
        let mut result = planned.cloned().unwrap_or_else(|| json!({}));
        let mut tables = result["tables"].take();
        for table in tables.as_array_mut().into_iter().flatten() {
            let name = table["source"].as_str().unwrap_or_default().to_owned();
            for figure in FIGURES {
                table[figure] = Json::Null;
            }
            table["name"] = json!(name);
            let Some(account) = self.tables.get(&name) else { continue };
            table["loaded"] = json!(account.rows);
            table["loaded_bytes"] = json!(account.bytes);
            table["aside"] = json!(account.aside);
            table["misfits"] = json!(account.misfits);
            table["quarantined"] = json!(account.aside);
            if let Some(compared) = &account.compared {
                table["source_rows"] = json!(compared.rows + account.aside);
                table["target_rows"] = json!(compared.there);
                table["mismatches"] = json!(compared.differing);
                if let Some([source, target]) = &compared.sums {
                    table["checksum_source"] = json!(source);
                    table["checksum_target"] = json!(target);
                }
                table["compared"] = json!(compared);
            }
        }
        let known = self.tables.len() as u64;
        let (rows, aside) =
            self.tables.values().fold((0, 0), |(rows, aside), one| (rows + one.rows, aside + one.aside));
        let compared: Vec<&Compared> = self.tables.values().filter_map(|one| one.compared.as_ref()).collect();
        let mut message = match self.tables.values().any(|one| one.loads) {
            true => format!("{} copied in {}", rows_of(rows), of(known, "table", "tables")),
            false => of(known, "table", "tables"),
        };
        if let Some(run) = result["back"].as_str() {
            message = match result["action"].as_str() {
                _ if result["unfinished"].is_array() => {
                    format!("run {run} is taken back, nothing of it is left in the target")
                }
                Some("settle") => "there is no way back any more, nothing is noted in the target".to_owned(),
                _ => format!("run {run} is taken back, the source takes changes as before"),
            };
        }
        if aside > 0 {
            message.push_str(&format!(", {} kept aside", rows_of(aside)));
        }
        message.push_str(&compare::told(&compared));
        if !self.asked.is_empty() {
            let same = self.asked.iter().filter(|one| one.is_same()).count() as u64;
            let all = of(self.asked.len() as u64, "query", "queries");
            message.push_str(&format!(", {same} of {all} answered alike"));
            result["queries"] = json!(self.asked);
            let timed: Vec<(&str, f64, f64)> = self
                .asked
                .iter()
                .filter_map(|one| Some((one.name.as_str(), one.source.seconds, one.target.as_ref()?.seconds)))
                .collect();
            for (name, before, after) in timed.iter().take(TIMED) {
                message.push_str(&format!(", {name} {} before and {} after", short(*before), short(*after)));
            }
        }
        // the names of the contract, whatever was done
        result["query_checks"] =
            self.asked.iter().map(|one| json!({ "name": one.name, "same": one.is_same() })).collect();
        result["timings_before_after"] = self
            .asked
            .iter()
            .filter_map(|one| {
                let (before, after) = (one.source.seconds, one.target.as_ref()?.seconds);
                Some(json!({ "name": one.name, "before_seconds": before, "after_seconds": after }))
            })
            .collect();
        let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        result["phases"] =
            phases.iter().map(|(name, took)| json!({ "name": name, "seconds": rounded(*took) })).collect();
        // of a plain transfer nobody knows when the application was stopped
        (result["downtime_seconds"], result["backup"]) = (Json::Null, Json::Null);
        self.online.tell(&mut message, &mut result);
        result["verdict"] = json!(self.verdict());
        result["message"] = json!(message);
        result["tables"] = tables;
        result["failed"] = json!(self.failed);
        result["sequences"] = json!(self.sequences);
        result
    }

    /// What it came to, in a word; none where nothing was carried or compared.
    fn verdict(&self) -> Option<&'static str> {
        let accounts = || self.tables.values();
        let differs = |account: &Account| account.compared.as_ref().is_some_and(|one| !one.is_same());
        let lacks = |account: &Account| account.aside > 0 || !account.misfits.is_empty();
        if self.tables.is_empty() && self.asked.is_empty() {
            return None;
        }
        Some(if accounts().any(differs) || self.asked.iter().any(|one| !one.is_same()) {
            "different"
        } else if accounts().any(lacks) || !self.failed.is_empty() {
            "incomplete"
        } else if accounts().all(|account| account.compared.is_none()) && !self.tables.is_empty() {
            "not_compared"
        } else {
            "same"
        })
    }

    /// Whatever did not arrive, or not as it was.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (table, account) in &self.tables {
            if account.aside > 0 {
                found.push(Finding::warning(
                    "quarantine",
                    table,
                    format!("{} did not fit and {} kept aside", rows_of(account.aside), either(account.aside, "is", "are")),
                    "look at `sexton.unloaded` in the target; change them there, or clean the source and transfer again",
                ));
            }
            for misfit in account.misfits.iter().filter(|misfit| misfit["policy"] != "quarantine") {
                let text = |name: &str| misfit[name].as_str().unwrap_or_default().to_owned();
                let became = match text("policy").as_str() {
                    "null" => "NULL",
                    "truncate" => "what could be kept",
                    _ => "the default",
                };
                found.push(Finding::warning(
                    &format!("dirty_{}", text("misfit")),
                    format!("{table}.{}", text("column")),
                    format!(
                        "{} did not fit ({}) and arrived as {became}",
                        rows_of(number(misfit, "count")),
                        text("misfit")
                    ),
                    "nothing, where this was wanted",
                ));
            }
            let Some(compared) = &account.compared else { continue };
            if !compared.is_same() {
                found.push(differs(table, compared));
            }
            if !compared.not_compared.is_empty() {
                found.push(Finding::note(
                    "not_compared",
                    table,
                    format!(
                        "values of {} were not compared: their types have forms of their own",
                        compared.not_compared.join(", ")
                    ),
                    "look at some of them",
                ));
            }
        }
        if self.has_changed && (!found.is_empty() || !self.failed.is_empty()) {
            let what = "it may have changed since it was planned: rows that came since were copied, but not asked beforehand";
            found.push(Finding::note(
                CHANGED,
                "source",
                what,
                "plan the transfer again, where something did not arrive",
            ));
        }
        found.extend(sequences::behind(&self.sequences));
        found.extend(self.online.findings());
        found.extend(self.asked.iter().filter(|one| !one.is_same()).map(answers_differ));
        for failed in &self.failed {
            let text = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
            found.push(Finding::warning(
                "not_carried",
                text("name"),
                format!(
                    "the {} `{}` of {} could not be made: {}",
                    text("failed"),
                    text("name"),
                    text("table"),
                    text("why")
                ),
                "clean the rows in the target and make it by hand",
            ));
        }
        for left in &self.left {
            if let Ok(left) = serde_json::from_value(left.clone()) {
                found.push(super::refusals::of_left(&left));
            }
        }
        found
    }
}

/// What is told of a question that was not answered alike.
pub fn answers_differ(outcome: &Outcome) -> Finding {
    let said = |answer: &Answer| match answer.first.as_slice() {
        [] => "no rows".to_owned(),
        first => format!("{} such as {}", rows_of(answer.rows), first.join(" / ")),
    };
    let what = match (&outcome.target, &outcome.error) {
        (Some(target), _) => {
            format!("the source answers {}, the target {}", said(&outcome.source), said(target))
        }
        (None, Some(error)) => format!("the target could not be asked: {error}"),
        (None, None) => "the target was not asked".to_owned(),
    };
    let help = "look at the rows on both sides; write a `target` of its own where the statement means something else there";
    Finding::warning("query_differs", &outcome.name, what, help)
}

/// What is told of a table that is not the same on both sides.
pub fn differs(table: &str, compared: &Compared) -> Finding {
    let some: Vec<String> = compared
        .differences
        .iter()
        .take(3)
        .map(|difference| match (&difference.column, &difference.source, &difference.target) {
            (Some(column), source, target) => format!(
                "{}: `{column}` is {} there and {} here",
                difference.row,
                source.as_deref().unwrap_or("nothing"),
                target.as_deref().unwrap_or("nothing")
            ),
            (None, Some(_), _) => format!("{}: missing in the target", difference.row),
            (None, None, _) => format!("{}: not in the source", difference.row),
        })
        .collect();
    let counts = match compared.rows == compared.there {
        true => String::new(),
        false => format!(" ({} there, {} here)", compared.rows, compared.there),
    };
    let least = if compared.at_least { "at least " } else { "" };
    let told = if some.is_empty() { String::new() } else { format!(": {}", some.join("; ")) };
    let since = if compared.source_changed { ", and the source has changed since it was copied" } else { "" };
    Finding::warning(
        "differs",
        table,
        format!(
            "{least}{} {} not the same on both sides{counts}{told}{since}",
            rows_of(compared.differing),
            either(compared.differing, "is", "are")
        ),
        "find out who wrote meanwhile, empty the target and transfer again",
    )
}

/// A time that may be short.
fn short(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1_000_000.0),
        _ if seconds < 0.01 => format!("{:.1} ms", seconds * 1_000.0),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1_000.0),
        _ => format!("{seconds:.1} s"),
    }
}

fn merge(all: &mut Vec<Json>, one: &Json) {
    let same = |known: &&mut Json| known["column"] == one["column"] && known["misfit"] == one["misfit"];
    match all.iter_mut().find(same) {
        Some(known) => known["count"] = json!(number(known, "count") + number(one, "count")),
        None => all.push(one.clone()),
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
