//! The figures of a transfer for the report: how long batches took, what was carried after the copy, how long nobody could write.

use engine::Finding;
use engine::words::rows as rows_of;
use serde_json::{Value as Json, json};

/// What was told about the batches, summed up.
#[derive(Debug, Clone, Default)]
pub struct Told {
    batches: Vec<f64>,
    rounds: u64,
    changed: u64,
    last: Option<Json>,
    switched: Option<Json>,
    returned: Option<Json>,
    rehearsed: bool,
}

fn number(value: &Json, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

fn seconds(value: &Json) -> f64 {
    value["seconds"].as_f64().unwrap_or(0.0)
}

fn rounded(seconds: f64) -> Json {
    json!((seconds * 1000.0).round() / 1000.0)
}

impl Told {
    /// One batch.
    pub fn see(&mut self, detail: &Json) {
        if detail["loaded"].is_string() {
            self.batches.push(seconds(detail));
        }
        let followed = &detail["followed"];
        if followed.is_object() {
            self.rounds += 1;
            self.changed += number(followed, "changed");
        }
        if detail["cut_over"].is_object() {
            self.last = Some(detail["cut_over"].clone());
        }
        self.rehearsed |= detail["rehearsed"].is_object();
        if detail["returned"].is_object() {
            self.returned = Some(detail["returned"].clone());
        }
        if detail["switched"].is_object() {
            // of a rehearsal, which goes there and back, the way there
            self.switched.get_or_insert_with(|| detail["switched"].clone());
        }
    }

    /// Adds the figures to the result, and what matters to the message.
    pub fn tell(&self, message: &mut String, result: &mut Json) {
        if !self.batches.is_empty() {
            let mut sorted = self.batches.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
            result["latency"] =
                json!({ "batches": sorted.len(), "p50": rounded(at(0.5)), "p95": rounded(at(0.95)) });
        }
        if self.rounds > 0 {
            let last = self.last.as_ref().map_or(0, |last| number(last, "changed"));
            message.push_str(&format!(
                ", {} that changed meanwhile carried in {} rounds",
                rows_of(self.changed + last),
                self.rounds + u64::from(self.last.is_some())
            ));
            result["followed"] = json!({ "rounds": self.rounds, "changed": self.changed });
        }
        if let Some(last) = &self.last {
            result["cut_over"] = last.clone();
        }
        if let Some(returned) = &self.returned {
            message.push_str(&format!(
                ", {} carried back",
                rows_of(number(returned, "written") + number(returned, "removed"))
            ));
            result["returned"] = returned.clone();
        }
        if self.rehearsed {
            message.push_str(", and the copy is as it was");
            result["rehearsed"] = json!(true);
        }
        if let Some(switched) = &self.switched {
            let seconds = seconds(switched);
            result["downtime_seconds"] = rounded(seconds);
            let could = if self.rehearsed { "could have written" } else { "could write" };
            message.push_str(&format!(", nobody {could} for {seconds:.2} s"));
        }
    }
    /// What a person must know.
    pub fn findings(&self) -> Vec<Finding> {
        let Some(returned) = self.returned.as_ref().filter(|_| !self.rehearsed) else { return Vec::new() };
        let mut found = vec![Finding::note(
            "target_stays",
            "target",
            "its tables are as they were, and refuse changes",
            "drop them when nobody needs them any more",
        )];
        for name in returned["untold"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            found.push(Finding::warning(
                "not_filled",
                name,
                "triggers of the file keep it, and they did not fire for what was carried back",
                "fill it anew, as the application does",
            ));
        }
        let refused = number(returned, "refused");
        if refused > 0 {
            let samples = returned["samples"].as_array().into_iter().flatten().filter_map(Json::as_str);
            found.push(Finding::warning(
                "not_returned",
                "source",
                format!("{} had no way back: {}", rows_of(refused), samples.collect::<Vec<_>>().join("; ")),
                "look at them in the target, whose tables stay as they were",
            ));
        }
        found
    }
}
