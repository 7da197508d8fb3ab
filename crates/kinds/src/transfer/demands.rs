//! The checks of the target's tables: asked of the server itself, before anything is copied, for every combination of values that
//! the source has. What breaks one is kept as a hash, so that the copy knows it again.

use super::canon::{Mix, sent};
use super::carry::{Carrier, Span, select};
use super::convert::{Misfit, Rule};
use super::design::{Design, NewColumn};
use super::domains::Domains;
use super::existing::Demands;
use super::machines::Machines;
use super::options::Options;
use super::refusals::{self, FILLED};
use super::source::{Source, SourceTable};
use super::task::{Carry, Refused};
use super::translate::columns::known;
use super::translate::expression::{Scope, condition};
use super::types;
use engine::words::count;
use engine::{Error, Finding, Result};
use std::collections::{BTreeSet, HashSet};
use targets::db::{Cell, Facts, Row, Sql, TableName, Value, civil, quote};

/// How many combinations are asked at once.
const AT_ONCE: usize = 1_000;
/// How many parameters a statement takes at most.
const PARAMETERS: usize = 60_000;
/// How many that break a check are kept. With more of them the check says something else than the data.
const MOST: usize = 10_000;
/// How many combinations are remembered as asked. Those that were forgotten are asked again.
const REMEMBERED: usize = 250_000;

/// A condition of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub expression: String,
    /// The columns that it is about.
    pub columns: Vec<String>,
    /// What it calls its only column, where it does not call it by its name.
    pub called: Option<String>,
}

impl Asked {
    /// That of a table.
    pub fn of_table(name: String, expression: String, columns: Vec<String>) -> Self {
        Self { name, expression, columns, called: None }
    }
}

/// How rows of a table are asked for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The table.
    pub carry: &'a Carry,
    /// The programs that make values.
    pub machines: &'a Machines,
    /// The domains of the target.
    pub domains: &'a Domains,
}

/// How many rows of so many columns are asked at once.
pub fn at_once(columns: usize) -> usize {
    AT_ONCE.min(PARAMETERS / columns)
}

impl Ask<'_> {
    /// Some values of these columns as a relation of this name, each row with its place. They are of the types below domains: what a
    /// domain demands is a condition of its own, and not an error of the statement.
    pub fn values<K>(
        &self,
        some: &[(K, Vec<Value>)],
        columns: &[usize],
        name: &str,
        called: Option<&str>,
    ) -> Sql {
        let rows = some.iter().enumerate().map(|(n, (_, values))| {
            let values = values.iter().zip(columns).map(|(value, n)| {
                let base = self.domains.base(&self.carry.columns[*n].spelled);
                Sql::new("").bind(value.clone()).text(&format!("::text::{base}"))
            });
            let values: Vec<Sql> = values.collect();
            Sql::new(&format!("({n}, ")).add(&Sql::join(&values, ", ")).text(")")
        });
        let names: Vec<String> = match called {
            Some(called) => vec![quote(called)],
            None => columns.iter().map(|n| quote(&self.carry.columns[*n].target)).collect(),
        };
        Sql::new("(values ").add(&Sql::join(&rows.collect::<Vec<_>>(), ", ")).text(&format!(
            ") as {}(sexton_place, {})",
            quote(name),
            names.join(", ")
        ))
    }
}

/// The hash of some cells of a row.
pub fn hash(carry: &Carry, columns: &[usize], cells: &[Cell]) -> u128 {
    let mut mix = Mix::default();
    for n in columns {
        sent(&carry.columns[*n].rule, &cells[*n], &mut mix);
    }
    mix.sum()
}

/// References to tables that are not carried: their rows are there already, or the reference leads nowhere.
pub fn of_parents(design: &Design, target: &mut dyn Facts) -> Result<Vec<(String, Asked)>> {
    let schema = target.schema()?;
    let is_carried = |name: &TableName| design.tables.iter().any(|one| one.name == *name);
    let mut all = Vec::new();
    for table in design.tables.iter().filter_map(|table| schema.table(&table.name)) {
        for reference in table.references.iter().filter(|reference| !is_carried(&reference.parent)) {
            let own = |name: &String| format!("{}.{}", quote(&table.name.name), quote(name));
            let pairs = reference.columns.iter().zip(&reference.parent_columns);
            let same: Vec<String> =
                pairs.map(|(name, key)| format!("sexton_parent.{} = {}", quote(key), own(name))).collect();
            let none: Vec<String> =
                reference.columns.iter().map(|name| format!("{} is null", own(name))).collect();
            let expression = format!(
                "{} or exists (select 1 from {} as sexton_parent where {})",
                none.join(" or "),
                reference.parent.quoted(),
                same.join(" and ")
            );
            let asked = Asked::of_table(reference.name.clone(), expression, reference.columns.clone());
            all.push((table.name.quoted(), asked));
        }
    }
    Ok(all)
}

/// The checks of tables that are made, of which it is not certain that all rows keep them: SQLite compares and reads other than the
/// server, a value may become another one, and a check may be younger than the rows. Where it is about nothing but numbers as they
/// are, it means the same there, and SQLite is asked whether some row breaks it.
pub fn of_new(
    options: &Options,
    source: &Source,
    design: &Design,
    reader: &mut dyn Facts,
) -> Result<Demands> {
    let mut demands = Demands::default();
    for table in &design.tables {
        let Some(from) = source.tables.iter().find(|one| one.name() == table.source) else { continue };
        let known = known(from, &table.columns);
        let written = from.written.iter().flat_map(|written| &written.checks);
        for (n, (name, text)) in written.enumerate() {
            let Ok(sql) = condition(text, Scope::of(&known, true)) else { continue };
            let about = table.columns.iter().filter(|column| sql.contains(&quote(&column.name)));
            let about: Vec<&NewColumn> = about.collect();
            let as_it_is = |column: &&NewColumn| {
                options.column(from.name(), &column.source).is_none() && is_number(from, column)
            };
            if about.iter().all(as_it_is) && !is_broken(from, text, reader) {
                continue;
            }
            let name = name.clone().unwrap_or_else(|| format!("check {}", n + 1));
            let names = about.iter().map(|column| column.name.clone()).collect();
            demands.checks.entry(table.name.quoted()).or_default().push(Asked::of_table(name, sql, names));
        }
    }
    Ok(demands)
}

/// A column that holds numbers as the source holds them.
fn is_number(from: &SourceTable, column: &NewColumn) -> bool {
    let as_declared = from.table.column(&column.source).is_some_and(|there| {
        let declared = there.declared.to_lowercase();
        ["int", "real", "floa", "doub", "num", "dec"].iter().any(|word| declared.contains(word))
    });
    as_declared && matches!(column.rule, Rule::Whole(..) | Rule::Double | Rule::Number(_))
}

/// Whether a row of the source breaks a check; so, too, where it cannot be asked.
fn is_broken(from: &SourceTable, text: &str, reader: &mut dyn Facts) -> bool {
    let some = Sql::new("select count(*) from (select 1 from ")
        .table(&from.table.name)
        .text(&format!(" where not ({text}) limit 1) as t"));
    reader.count(&some).map_or(true, |rows| rows > 0)
}

/// Asks all checks of a table. What is broken by more values than can be kept is told, because nothing can be done with each.
pub fn ask(
    asking: &Ask,
    (misfit, checks): (Misfit, &[Asked]),
    source: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<(Vec<Refused>, Vec<Finding>)> {
    let carry = asking.carry;
    let (mut refused, mut findings) = (Vec::new(), Vec::new());
    for asked in checks {
        let place = |name: &String| carry.columns.iter().position(|column| column.target == *name);
        let columns: Vec<usize> = asked.columns.iter().filter_map(place).collect();
        if columns.len() < asked.columns.len() || columns.is_empty() {
            // of defaults alone the target takes care
            if !columns.is_empty() {
                findings.push(refusals::not_asked(
                    &carry.name,
                    &format!("the check `{}`", asked.name),
                    FILLED,
                ));
            }
            continue;
        }
        let check = Check { asking, asked, columns: &columns };
        let mut bad = check.broken_by(source, target)?;
        if bad.len() > MOST {
            findings.push(Finding::forbid(
                &format!("dirty_{}", misfit.name()),
                format!("{}.{}", carry.table, carry.columns[columns[0]].source),
                format!(
                    "more than {} different values break the check `{}` of the target, `{}`: it is not about this data",
                    count(MOST as u64),
                    asked.name,
                    asked.expression
                ),
                "change the check in the target, or clean the source first: so many are not handled one by one",
            ));
            bad.clear();
        }
        if !bad.is_empty() {
            let bad = bad.iter().map(|hash| format!("{hash:032x}")).collect();
            refused.push(Refused { name: asked.name.clone(), misfit, columns, bad });
        }
    }
    Ok((refused, findings))
}

/// A check of the target over some columns.
struct Check<'a> {
    asking: &'a Ask<'a>,
    asked: &'a Asked,
    columns: &'a [usize],
}

impl Check<'_> {
    /// Hashes of the combinations that break it, sorted; not many more than can be kept.
    fn broken_by(&self, source: &mut dyn Facts, target: &mut dyn Facts) -> Result<BTreeSet<u128>> {
        let at_once = at_once(self.columns.len());
        let carry = self.asking.carry;
        let mut asked: HashSet<u128> = HashSet::new();
        let mut waiting: Vec<(u128, Vec<Value>)> = Vec::new();
        let mut bad = BTreeSet::new();
        let mut carrier = Carrier::new(carry, self.asking.machines);
        source.scan(&select(carry, &Span::default()), &mut |row| {
            carrier.row(row, &mut |cells| {
                let hash = hash(carry, self.columns, cells);
                if bad.len() > MOST || !asked.insert(hash) {
                    return Ok(());
                }
                waiting.push((hash, self.columns.iter().map(|n| value(&cells[*n])).collect()));
                if waiting.len() >= at_once {
                    bad.extend(self.ask(&std::mem::take(&mut waiting), target)?);
                }
                if asked.len() >= REMEMBERED {
                    asked.clear();
                }
                Ok(())
            })?;
            carrier.met = Default::default();
            Ok(())
        })?;
        if !waiting.is_empty() {
            bad.extend(self.ask(&waiting, target)?);
        }
        Ok(bad)
    }

    /// Which of some combinations break it.
    fn ask(&self, some: &[(u128, Vec<Value>)], target: &mut dyn Facts) -> Result<Vec<u128>> {
        let own = &self.asking.carry.name.name;
        let sql = Sql::new("select sexton_place from ")
            .add(&self.asking.values(some, self.columns, own, self.asked.called.as_deref()))
            .text(&format!(" where not ({})", self.asked.expression));
        let rows = target.rows(&sql).map_err(|error| unasked(&self.asked.name, error))?;
        let place = |row: &Row| row.first().and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
        Ok(rows.iter().filter_map(place).filter_map(|n| some.get(n)).map(|(hash, _)| *hash).collect())
    }
}

/// An error that says what was asked.
pub fn unasked(name: &str, error: Error) -> Error {
    error.while_doing(&format!("asking `{name}` of the target"))
}

/// A cell as the server reads it from a text.
pub fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(flag) => Value::Text(flag.to_string()),
        Cell::Int(number) => Value::Text(number.to_string()),
        Cell::Real(number) => Value::Text(format!("{number:e}")),
        Cell::Text(text) => Value::Text((*text).to_owned()),
        Cell::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Value::Text(format!("\\x{hex}"))
        }
        Cell::Uuid(bytes) => Value::Text(civil::uuid(bytes)),
        Cell::Moment(micros) => Value::Text(types::dated(civil::moment(*micros))),
        Cell::Day(days) => Value::Text(civil::day(*days)),
    }
}
