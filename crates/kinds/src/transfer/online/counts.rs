//! How many rows there are on both sides, so that a row that went without a trace is noticed.

use super::ask::Source;
use super::stage::count_aside;
use super::{CHECK, Online};
use engine::words::{either, of};
use engine::{Error, Result, Work};
use std::collections::HashMap;
use targets::db::Sql;

/// What was counted of a table.
pub type Counted = (String, u64);
/// How long it took to count each table on both sides.
pub type Times = HashMap<String, f64>;

/// How many seconds counting may take while nobody may write.
const BUDGET: f64 = 0.5;

/// The tables that are counted while nobody may write: always those of which rows may go without a trace, the others as long as that
/// is quick. All of them were counted just before, and whatever changed since is read back.
pub fn choose(online: &Online, touched: &[usize], times: &Times) -> Vec<usize> {
    let time = |n: &usize| online.carries.get(*n).and_then(|carry| times.get(&carry.table)).copied();
    let (mut chosen, mut rest): (Vec<usize>, Vec<usize>) =
        touched.iter().partition(|n| online.traceless.contains(n) || time(n).is_none());
    rest.sort_by(|a, b| time(a).unwrap_or(0.0).total_cmp(&time(b).unwrap_or(0.0)));
    let mut spent = 0.0;
    for n in rest {
        spent += time(&n).unwrap_or(0.0);
        if spent <= BUDGET {
            chosen.push(n);
        }
    }
    chosen
}

/// Counts these tables on both sides; an error where they differ.
pub fn compare(
    online: &Online,
    tables: &[usize],
    source: &mut Source,
    work: &mut Work,
    times: &mut Times,
) -> Result<Vec<Counted>> {
    let mut counted = Vec::new();
    for carry in tables.iter().filter_map(|n| online.carries.get(*n)) {
        let began = work.clock().tick();
        let there = source.number(&Sql::new("select count(*) from ").name(&carry.table))?.unwrap_or(0);
        let here = work.count(&Sql::new("select count(*) from ").table(&carry.name))?;
        let aside = count_aside(carry, work)?;
        if u64::try_from(there).ok() != Some(here + aside) {
            return Err(Error::data(format!(
                "`{}` has {}, and {here} {} in the target, {aside} kept aside",
                carry.table,
                of(there.max(0) as u64, "row", "rows"),
                either(here, "is", "are")
            ))
            .code(CHECK)
            .help("rows went without a trace, by `or replace` against a unique index over an expression, say; begin the transfer again"));
        }
        times.insert(carry.table.clone(), work.clock().tick().duration_since(began).as_secs_f64());
        counted.push((carry.table.clone(), here));
    }
    Ok(counted)
}
