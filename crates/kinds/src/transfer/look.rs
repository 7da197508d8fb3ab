//! Every value of the source, looked at once: what is in it, and what would not fit.

use super::carry::{Carrier, Fate, Met, select};
use super::choose::{meaning, worth_trying};
use super::design::Profiles;
use super::machines::Machines;
use super::profile::Profile;
use super::source::{Source, SourceTable};
use super::task::Carry;
use engine::Result;
use std::collections::HashMap;
use targets::db::{Facts, Seen, Sql};

/// How much there is of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u64,
    /// Bytes of the values.
    pub bytes: u64,
}

/// Looks at every table.
pub fn at_all(source: &Source, facts: &mut dyn Facts) -> Result<(Profiles, HashMap<String, Size>)> {
    let (mut profiles, mut sizes) = (Profiles::new(), HashMap::new());
    for table in &source.tables {
        let (seen, size) = at(table, facts)?;
        profiles.insert(table.name().to_owned(), seen);
        sizes.insert(table.name().to_owned(), size);
    }
    Ok((profiles, sizes))
}

fn at(table: &SourceTable, facts: &mut dyn Facts) -> Result<(Vec<Profile>, Size)> {
    let columns = &table.table.columns;
    let mut profiles: Vec<Profile> =
        columns.iter().map(|column| Profile::trying(worth_trying(meaning(&column.declared)))).collect();
    let mut size = Size::default();
    let names = columns.iter().map(|column| column.name.as_str());
    let sql = Sql::new("select ").names("", names).text(" from ").table(&table.table.name);
    facts.scan(&sql, &mut |row| {
        size.rows += 1;
        for (profile, value) in profiles.iter_mut().zip(row) {
            profile.see(value);
            size.bytes += match value {
                Seen::Text(text) => text.len() as u64,
                Seen::Blob(bytes) | Seen::BrokenText(bytes) => bytes.len() as u64,
                Seen::Null => 0,
                _ => 8,
            };
        }
        Ok(())
    })?;
    Ok((profiles, size))
}

/// What would not fit, with the policies as they are: what was met, and how many rows would be kept aside.
pub fn check(carry: &Carry, machines: &Machines, facts: &mut dyn Facts) -> Result<(Met, u64, u64)> {
    let mut carrier = Carrier::new(carry, machines);
    let (mut aside, mut stopped) = (0, 0);
    facts.scan(&select(carry, None, None), &mut |row| {
        match carrier.row(row, &mut |_| Ok(()))? {
            Fate::Carried => {}
            Fate::Aside(..) => aside += 1,
            Fate::Stopped(..) => stopped += 1,
        }
        Ok(())
    })?;
    Ok((carrier.met, aside, stopped))
}
