//! How long an operation will take, from how long it took and how much it did.

/// Fewer rows say more of the beginning and the end of a run than of its work.
const TELLING: u64 = 100;

/// What an earlier run took, and how many rows it dealt with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    pub seconds: f64,
    pub rows: u64,
}

/// The seconds that so many rows will take: at the median rate of earlier runs where both are many, else the median time.
/// None before the first run.
pub(crate) fn seconds(rows: u64, past: &[Past]) -> Option<f64> {
    let usual = median(past.iter().map(|run| run.seconds).collect())?;
    let telling = past.iter().filter(|run| run.rows >= TELLING);
    let rate = median(telling.map(|run| run.seconds / run.rows as f64).collect());
    match rate {
        Some(rate) if rows >= TELLING => Some(rate * rows as f64),
        _ => Some(usual),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_take_longer_at_the_rate_of_earlier_runs() {
        // S1-060
        let past = |list: &[(f64, u64)]| {
            list.iter().map(|&(seconds, rows)| Past { seconds, rows }).collect::<Vec<_>>()
        };
        assert_eq!(seconds(1_000, &[]), None);
        let known = past(&[(10.0, 1_000), (11.0, 1_000), (50.0, 1_000)]);
        assert_eq!(seconds(1_000, &known), Some(11.0));
        assert_eq!(seconds(10_000, &known), Some(110.0));
        // a run that did nearly nothing says nothing of one that does much
        assert_eq!(seconds(10_000, &past(&[(0.5, 3)])), Some(0.5));
        assert_eq!(seconds(10_000, &past(&[(0.5, 3), (2.0, 1_000)])), Some(20.0));
        // kinds that look have no rows
        assert_eq!(seconds(0, &past(&[(3.0, 0), (5.0, 0), (4.0, 0)])), Some(4.0));
    }
}
