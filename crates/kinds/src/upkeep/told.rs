//! What was told about the batches, added up for the report.

use super::task::{Figures, Task};
use engine::{Counts, Done, Finding, Result, Step};
use serde_json::{Map, Value as Json, json};

/// The result: one entry for each object, the longest wait of others, and what became free. `after` tells the figures of an
/// object now.
pub fn summary(
    done: &Done,
    noun: (&str, &str),
    list: &str,
    after: impl Fn(&Task) -> Figures,
) -> Result<Json> {
    let mut entries = Vec::new();
    let (mut freed, mut seconds, mut worked, mut waited) = (0_u64, 0.0, 0_u64, None::<f64>);
    let mut counted = [0_usize; 3];
    for step in done.steps {
        let task = Task::of(step)?;
        let own: Vec<&Json> = done
            .details
            .iter()
            .filter(|told| told["name"] == json!(task.object.said()) && told["action"] == json!(step.action))
            .collect();
        let status = ["failed", "done", "skipped"]
            .into_iter()
            .find(|status| own.iter().any(|told| told["status"] == json!(status)))
            // A step that only tidies up tells of what it removed.
            .or(task.chores.is_empty().then_some("done"));
        let took: f64 = own.iter().filter_map(|told| told["seconds"].as_f64()).sum();
        let longest = own.iter().filter_map(|told| told["others_waited_seconds"].as_f64()).reduce(f64::max);
        // What had no figures before has none after.
        let measured = status == Some("done") && task.before != Figures::default();
        let now = if measured { after(&task) } else { task.before };
        counted[match status {
            Some("done") => 0,
            Some("failed") => 1,
            _ => 2,
        }] += 1;
        if status == Some("done") {
            freed +=
                task.before.bytes.unwrap_or(0).saturating_sub(now.bytes.or(task.before.bytes).unwrap_or(0));
            worked += task.before.bytes.unwrap_or(0);
            seconds += took;
        }
        waited = [waited, longest].into_iter().flatten().reduce(f64::max);
        entries.push(json!({
            "name": task.object.said(),
            "action": step.action,
            "status": status.unwrap_or("not_reached"),
            "reason": own.iter().rev().find_map(|told| told["reason"].as_str()),
            "why": task.why,
            "duration_seconds": rounded(took),
            "others_waited_seconds": longest.map(rounded),
            "dead_before": task.before.dead,
            "dead_after": now.dead,
            "bytes_before": task.before.bytes,
            "bytes_after": now.bytes,
        }));
    }
    let dropped: Vec<&Json> =
        done.details.iter().filter(|told| told["status"] == "dropped").map(|told| &told["name"]).collect();
    let mut result = Map::new();
    result.insert("message".to_owned(), json!(message(counted, noun, freed, waited)));
    result.insert(list.to_owned(), json!(entries));
    if !dropped.is_empty() {
        result.insert("leftovers_dropped".to_owned(), json!(dropped));
    }
    result.insert("bytes_freed".to_owned(), json!(freed));
    result.insert("bytes_worked".to_owned(), json!(worked));
    result.insert("worked_seconds".to_owned(), json!(rounded(seconds)));
    result.insert("others_waited_seconds".to_owned(), json!(waited.map(rounded)));
    Ok(Json::Object(result))
}

fn message(
    [done, failed, skipped]: [usize; 3],
    noun: (&str, &str),
    freed: u64,
    waited: Option<f64>,
) -> String {
    let of = |n: usize| if n == 1 { noun.0 } else { noun.1 };
    let mut parts = vec![format!("{done} {}", of(done))];
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if skipped > 0 {
        parts.push(format!("{skipped} passed over"));
    }
    if freed > 0 {
        parts.push(format!("{} given back", super::bytes_said(freed)));
    }
    if let Some(waited) = waited.filter(|waited| *waited >= 0.001) {
        parts.push(format!("others waited {:.0} ms at most", waited * 1000.0));
    }
    parts.join(", ")
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// What failed, each with its remedy.
pub fn failures(steps: &[Step], counts: &[Counts], remedy: &str) -> Vec<Finding> {
    let failed = steps.iter().zip(counts).filter(|(_, counts)| counts.failed > 0);
    failed
        .map(|(step, _)| Finding::warning("failed", &step.object, format!("{} failed", step.action), remedy))
        .collect()
}
