//! How long it will take: bytes to be worked on, by how fast earlier runs of the same operation were.

use engine::Earlier;

/// Seconds for so many bytes; `usual` bytes a second where no earlier run tells.
pub fn expected(bytes: u64, usual: f64, earlier: &[Earlier]) -> f64 {
    let mut rates: Vec<f64> = earlier
        .iter()
        .filter_map(|run| {
            let (bytes, seconds) =
                (run.result["bytes_worked"].as_f64()?, run.result["worked_seconds"].as_f64()?);
            // What took no time says nothing about what will take some.
            (bytes > 1e6 && seconds > 0.01).then(|| bytes / seconds)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let rate = rates.get(rates.len() / 2).copied().unwrap_or(usual);
    bytes as f64 / rate.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_takes_longer_and_history_counts() {
        // S1-060
        assert!(expected(2_000_000_000, 50e6, &[]) > expected(1_000_000_000, 50e6, &[]));
        assert_eq!(expected(1_000_000_000, 50e6, &[]), 20.0);
        let run = |bytes: f64, seconds: f64| Earlier {
            at: jiff::Timestamp::UNIX_EPOCH,
            result: json!({"bytes_worked": bytes, "worked_seconds": seconds}),
        };
        assert_eq!(expected(1_000_000_000, 50e6, &[run(1e9, 100.0)]), 100.0);
        assert_eq!(expected(1_000_000_000, 50e6, &[run(10.0, 100.0)]), 20.0, "too little to tell");
    }
}
