//! How many rows there are on both sides, so that a row that went without a trace is noticed.

use super::ask::Source;
use super::stage::count_aside;
use super::{CHECK, Online};
use engine::words::{either, of};
use engine::{Error, Result, Work};
use targets::db::Sql;

/// What was counted of a table.
pub type Counted = (String, u64);

/// Counts these tables on both sides; an error where they differ.
pub fn compare(
    online: &Online,
    tables: &[usize],
    source: &mut Source,
    work: &mut Work,
) -> Result<Vec<Counted>> {
    let mut counted = Vec::new();
    for carry in tables.iter().filter_map(|n| online.carries.get(*n)) {
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
        counted.push((carry.table.clone(), here));
    }
    Ok(counted)
}
