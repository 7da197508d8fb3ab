//! Rows that are put into a copy before a step, and looked for afterwards.
//!
//! After the way there they are known by their key, for what a step is for may be to change them; after the way back they must
//! be as they were put in, in every column that is there.

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::operation::Seed;
use std::collections::BTreeMap;
use targets::db::{Class, Facts, Limits, Row, Schema, Session, Sql, TableName, quote};

/// One row that was put in.
pub(super) struct Seeded {
    table: TableName,
    columns: Vec<String>,
    key: Vec<String>,
    row: Row,
}

/// Puts the rows in, as the database then has them.
pub(super) fn sow(seeds: &[Seed], session: &mut dyn Session, limits: &Limits) -> Result<Vec<Seeded>> {
    let mut all = Vec::new();
    if seeds.is_empty() {
        return Ok(all);
    }
    let schema = session.schema()?;
    let mut tx = session.begin(limits)?;
    for seed in seeds {
        let told = |error: Error| {
            let error = error.while_doing(&format!("putting in the rows of `{}`", seed.place));
            match error.class {
                Class::Transient => error,
                _ => error.help("correct this file: it is run before its migration, on a copy"),
            }
        };
        let table = match &seed.table {
            Some(name) => schema.find(name).map_err(told)?,
            None => {
                tx.execute(&Sql::raw(&seed.sql)).map_err(told)?;
                continue;
            }
        };
        let columns: Vec<String> = table.stored().map(|column| column.name.clone()).collect();
        let list: Vec<String> = columns.iter().map(|name| quote(name)).collect();
        let key = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
        let insert = Sql::raw(&format!("{} returning {}", seed.sql, list.join(", ")));
        for row in tx.rows(&insert).map_err(told)? {
            all.push(Seeded { table: table.name.clone(), columns: columns.clone(), key: key.clone(), row });
        }
    }
    tx.commit()?;
    Ok(all)
}

/// Which of them are not there any more, one finding for each table.
pub(super) fn lost(
    rows: &[Seeded],
    back: bool,
    id: &str,
    now: &Schema,
    facts: &mut dyn Facts,
) -> Result<Vec<Finding>> {
    let mut tables: BTreeMap<&TableName, (u64, u64)> = BTreeMap::new();
    for seeded in rows {
        let (all, gone) = tables.entry(&seeded.table).or_default();
        *all += 1;
        *gone += u64::from(!seeded.is_there(back, now, facts)?);
    }
    let lost = tables.into_iter().filter(|(_, (_, gone))| *gone > 0);
    Ok(lost
        .map(|(table, (all, gone))| {
            let what = match back {
                true => "are not as they were put in, once it was taken back",
                false => "are not there any more, once it was in",
            };
            Finding::warning(
                "rows_lost",
                id,
                format!("{gone} of the {all} rows put into `{table}` {what}"),
                "keep what it takes away, so that the way back can bring it back",
            )
        })
        .collect())
}

impl Seeded {
    fn is_there(&self, back: bool, now: &Schema, facts: &mut dyn Facts) -> Result<bool> {
        let Some(table) = now.table(&self.table) else { return Ok(false) };
        let shared = |name: &&String| table.column(name).is_some();
        let by_key = !back && !self.key.is_empty() && self.key.iter().all(|name| shared(&name));
        let mut conditions = Vec::new();
        for (name, value) in self.columns.iter().zip(&self.row) {
            let Some(column) = table.column(name) else { continue };
            if by_key && !self.key.contains(name) {
                continue;
            }
            let (is, was) = (Sql::new("t.").name(name), Sql::new("").bind(value.clone()));
            conditions.push(facts.dialect().same_of(column, &is, &was));
        }
        if conditions.is_empty() {
            return Ok(false);
        }
        let count = Sql::new("select count(*) from ")
            .table(&self.table)
            .text(" as t where ")
            .add(&Sql::join(&conditions, " and "));
        Ok(facts.count(&count)? > 0)
    }
}
