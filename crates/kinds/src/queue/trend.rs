//! How a queue has moved: depth and age at each earlier run of the statistics, as figures and as a line of bars.
//!
//! The samples are the results that the run log keeps anyway; nothing is stored for this.

use engine::Planning;
use serde_json::{Map, Value as Json, json};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Adds the history to the statistics of now.
pub fn add(result: &mut Map<String, Json>, planning: &Planning) {
    let now = sample(planning.now.to_string(), &Json::Object(result.clone()));
    let earlier = planning.earlier.iter().rev();
    let mut samples: Vec<Json> = earlier.map(|one| sample(one.at.to_string(), &one.result)).collect();
    samples.push(now);
    let line = |key: &str| {
        let values: Vec<f64> = samples.iter().map(|one| one[key].as_f64().unwrap_or(0.0)).collect();
        bars(&values)
    };
    let (pending, age) = (line("pending"), line("oldest_minutes"));
    result.insert(
        "history".to_owned(),
        json!({ "pending": pending, "oldest_minutes": age, "samples": samples }),
    );
}

fn sample(at: String, result: &Json) -> Json {
    let depth = |key: &str| result["depth"][key].as_u64().unwrap_or(0);
    json!({
        "at": at, "pending": depth("pending"), "running": depth("running"), "failed": depth("failed"),
        "stale": result["stale_tasks"].as_u64().unwrap_or(0),
        "oldest_minutes": result["oldest_pending"]["age_minutes"].as_f64(),
    })
}

/// One bar for each value, the highest for the largest.
fn bars(values: &[f64]) -> String {
    let most = values.iter().copied().fold(0.0_f64, f64::max);
    values
        .iter()
        .map(|value| match most > 0.0 {
            true => BARS[((value / most) * 7.0).round().clamp(0.0, 7.0) as usize],
            false => BARS[0],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn the_largest_value_has_the_highest_bar() {
        assert_eq!(bars(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(bars(&[0.0, 0.0]), "▁▁");
        assert_eq!(bars(&[]), "");
    }
}
