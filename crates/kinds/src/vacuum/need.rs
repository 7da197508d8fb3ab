//! Which tables need it, and how badly: 1 is where the database itself would begin.

use super::options::Options;
use targets::db::TableUpkeep;

/// Ages are acted on before the database does it itself at the worst moment.
const AGE_SHARE: f64 = 0.8;

/// How badly a table needs a vacuum, with the reason; none when it does not.
pub fn of(table: &TableUpkeep, options: &Options) -> Option<(f64, String)> {
    let dead = match options.if_bloat_over {
        Some(limit) => {
            let share = 100.0 * table.dead / (table.dead + table.rows).max(1.0);
            (table.dead > 0.0 && share > limit).then(|| {
                (share / limit.max(1.0), format!("{share:.0} % of its rows are dead, the limit is {limit} %"))
            })
        }
        None => over(table.dead, table.dead_limit, "dead rows"),
    };
    let long = over(table.long_dead, table.long_dead_limit, "dead parts of long values");
    let inserted = table.inserted.zip(table.insert_limit);
    let inserted = inserted
        .filter(|_| options.if_bloat_over.is_none())
        .and_then(|(rows, limit)| over(rows, limit, "rows inserted since the last vacuum"));
    let age = over(table.age, AGE_SHARE * table.age_limit, "transactions since its oldest unfrozen row");
    let groups =
        over(table.group_age, AGE_SHARE * table.group_age_limit, "groups of lockers since the oldest");
    [age, groups, dead, long, inserted]
        .into_iter()
        .flatten()
        .reduce(|worst, one| if one.0 > worst.0 { one } else { worst })
}

/// Whether its statistics are old, with the reason.
pub fn of_statistics(table: &TableUpkeep) -> Option<(f64, String)> {
    if let Some(wants) = table.wants_statistics {
        return wants.then(|| (1.0, "the planner misses statistics".to_owned()));
    }
    if table.analyzed_us.is_none() && table.rows + table.changed > 0.0 {
        return Some((1.0, "never analysed".to_owned()));
    }
    over(table.changed, table.change_limit, "rows changed since the last time")
}

fn over(value: f64, limit: f64, what: &str) -> Option<(f64, String)> {
    (limit > 0.0 && value > limit)
        .then(|| (value / limit, format!("{value:.0} {what}, the limit is {limit:.0}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use targets::db::TableName;

    fn table(rows: f64, dead: f64) -> TableUpkeep {
        let unknown = TableUpkeep::unknown(TableName::bare("t"));
        TableUpkeep { rows, dead, dead_limit: 50.0 + 0.2 * rows, age_limit: 2e8, ..unknown }
    }

    #[test]
    fn a_table_needs_it_from_its_own_threshold_on() {
        // S1-074
        let options = Options::default();
        assert_eq!(of(&table(1_000.0, 250.0), &options), None);
        let (score, why) = of(&table(1_000.0, 500.0), &options).unwrap();
        assert!((score - 2.0).abs() < 1e-9 && why.contains("500 dead rows"), "{score} {why}");
        let old = TableUpkeep { age: 1.9e8, ..table(1_000.0, 0.0) };
        assert!(of(&old, &options).unwrap().1.contains("oldest unfrozen row"));
        let inserted =
            TableUpkeep { inserted: Some(5_000.0), insert_limit: Some(1_200.0), ..table(1_000.0, 0.0) };
        assert!(of(&inserted, &options).is_some());
        let never = TableUpkeep { insert_limit: None, ..inserted };
        assert!(of(&never, &options).is_none());
    }

    #[test]
    fn a_percentage_of_ones_own_takes_the_place_of_the_threshold() {
        // S1-074: 30 % is over 20, 5 % is not
        let options = Options { if_bloat_over: Some(20.0), ..Options::default() };
        assert!(of(&table(700.0, 300.0), &options).is_some());
        assert!(of(&table(950.0, 50.0), &options).is_none());
        assert!(
            of(&TableUpkeep { age: 1.9e8, ..table(950.0, 0.0) }, &options).is_some(),
            "age counts all the same"
        );
    }
}
