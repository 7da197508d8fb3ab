//! One row on its way: each value read by its column's rule, and what happens to those that do not fit.
//!
//! The check before the copy, the copy and the comparison afterwards all go through here, so they cannot disagree.

use super::convert::{Misfit, Rule, cell};
use super::machines::{Machines, Made};
use super::options::{Empty, Policy};
use super::task::{Carried, Carry};
use super::twice;
use engine::Result;
use std::collections::BTreeMap;
use targets::db::{Cell, Row, Seen, Sql, Value};

/// How many samples are kept of each kind of misfit.
const SAMPLES: usize = 3;

/// What was met, by column and kind: how often, what happened, and some of them.
#[derive(Debug, Clone, Default)]
pub struct Met(pub BTreeMap<(usize, Misfit), Tale>);

/// How often, and some of them.
#[derive(Debug, Clone, Default)]
pub struct Tale {
    /// How often.
    pub count: u64,
    /// How often there was no way out.
    pub stopped: u64,
    /// Key of the row and value.
    pub samples: Vec<(String, String)>,
}

impl Met {
    /// The same as one.
    pub fn add(&mut self, other: Self) {
        for (what, tale) in other.0 {
            let own = self.0.entry(what).or_default();
            own.count += tale.count;
            own.stopped += tale.stopped;
            own.samples.extend(tale.samples);
            own.samples.truncate(SAMPLES);
        }
    }
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Every value has its cell.
    Carried,
    /// It is kept aside, because of this column.
    Aside(usize, Misfit),
    /// Nothing may be copied, because of this column.
    Stopped(usize, Misfit),
}

/// What is read of a row of the source, over `t`: those columns that order the rows, then all others.
pub fn read(carry: &Carry) -> Sql {
    let mut sql = Sql::new("select ").names("t.", carry.order.iter().map(String::as_str));
    for column in &carry.columns {
        sql = sql.text(", t.").name(&column.source);
    }
    for broken in &carry.broken {
        sql = sql.text(", (").text(&broken.condition).text(")");
    }
    sql
}

/// Some rows of a table, in the order in which they are carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span<'s> {
    /// Behind this place.
    pub after: Option<&'s Row>,
    /// Up to this one.
    pub upto: Option<&'s Row>,
    /// At most so many.
    pub most: Option<u64>,
}

/// The rows of a table, in the order in which they are carried.
pub fn select(carry: &Carry, span: &Span) -> Sql {
    ordered(read(carry), carry, span, 0)
}

/// The place that is so many rows behind another.
pub fn place_behind(carry: &Carry, after: Option<&Row>, rows: u64) -> Sql {
    let places = Sql::new("select ").names("t.", carry.order.iter().map(String::as_str));
    ordered(places, carry, &Span { after, upto: None, most: Some(1) }, rows.saturating_sub(1))
}

fn ordered(sql: Sql, carry: &Carry, span: &Span, skip: u64) -> Sql {
    let order = || match carry.by_bytes {
        false => Sql::default().names("t.", carry.order.iter().map(String::as_str)),
        true => {
            let by_bytes = |name: &String| Sql::new("t.").name(name).text(" collate binary");
            Sql::join(&carry.order.iter().map(by_bytes).collect::<Vec<_>>(), ", ")
        }
    };
    let against = |sign: &str, place: &Row| {
        let values: Vec<Sql> = place.iter().map(|value| Sql::default().bind(value.clone())).collect();
        match values.as_slice() {
            [one] => order().text(sign).add(one),
            many => Sql::new("(")
                .add(&order())
                .text(")")
                .text(sign)
                .text("(")
                .add(&Sql::join(many, ", "))
                .text(")"),
        }
    };
    let bounds =
        [span.after.map(|place| against(" > ", place)), span.upto.map(|place| against(" <= ", place))];
    let bounds: Vec<Sql> = bounds.into_iter().flatten().collect();
    let mut sql = sql.text(" from ").name(&carry.table).text(" as t");
    if !bounds.is_empty() {
        sql = sql.text(" where ").add(&Sql::join(&bounds, " and "));
    }
    sql = sql.text(" order by ").add(&order());
    match (span.most, skip) {
        (Some(most), 0) => sql.text(&format!(" limit {most}")),
        (Some(most), skip) => sql.text(&format!(" limit {most} offset {skip}")),
        (None, _) => sql,
    }
}

/// Makes cells of rows.
pub struct Carrier<'c> {
    carry: &'c Carry,
    machines: &'c Machines,
    scratch: Vec<[String; 3]>,
    /// The columns whose values are read by their rule and nothing else, where they fit.
    plain: Vec<bool>,
    /// What programs made of the values of the row.
    made: Vec<Option<Made>>,
    /// Empty: where the cells of a row are, from row to row.
    cells: Vec<Cell<'static>>,
    /// What did not fit.
    pub met: Met,
}

impl<'c> Carrier<'c> {
    /// For the rows of a table.
    pub fn new(carry: &'c Carry, machines: &'c Machines) -> Self {
        let has_programs = carry.columns.iter().any(|column| column.jq.is_some());
        Self {
            carry,
            machines,
            scratch: vec![Default::default(); carry.columns.len()],
            plain: carry.columns.iter().map(is_plain).collect(),
            made: if has_programs { vec![None; carry.columns.len()] } else { Vec::new() },
            cells: Vec::new(),
            met: Met::default(),
        }
    }

    fn make(&mut self, row: &[Seen]) -> Result<()> {
        for ((column, value), made) in self.carry.columns.iter().zip(row).zip(&mut self.made) {
            if let Some(program) = &column.jq {
                *made = Some(self.machines.make(program, value)?);
            }
        }
        Ok(())
    }

    /// Hands the cells of a key to `take`, without what else is in its row; false where one of its values fits nowhere, so that
    /// there is no such row in the target.
    pub fn key(&mut self, values: &[Seen], take: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<bool> {
        let mut made: Vec<Option<Made>> = vec![None; self.carry.key.len()];
        for ((n, value), made) in self.carry.key.iter().zip(values).zip(&mut made) {
            if let Some(program) = &self.carry.columns[*n].jq {
                *made = Some(self.machines.make(program, value)?);
            }
        }
        let mut cells: Vec<Cell> = Vec::with_capacity(values.len());
        let keys = self.carry.key.iter().zip(values).zip(&made);
        for (((n, value), made), [_, scratch @ ..]) in keys.zip(&mut self.scratch) {
            let column = &self.carry.columns[*n];
            let outcome = match made {
                None => carried(column, *value, false, scratch),
                Some(Made::Null) => carried(column, Seen::Null, false, scratch),
                Some(Made::Text(text)) => carried(column, Seen::Text(text), false, scratch),
                Some(Made::Bad) => unmade(column, *value, scratch),
            };
            match outcome {
                Ok((cell, _)) => cells.push(cell),
                Err(_) => return Ok(false),
            }
        }
        take(&cells)?;
        Ok(true)
    }

    /// Hands the cells of a row to `take`, or says why not.
    pub fn row(&mut self, row: &[Seen], take: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<Fate> {
        let first = self.carry.order.len();
        self.make(&row[first..])?;
        // Nothing is allocated for the rows whose references are whole.
        let mut broken: Vec<usize> = Vec::new();
        for (n, reference) in self.carry.broken.iter().enumerate() {
            if row.get(first + self.carry.columns.len() + n) == Some(&Seen::Int(1)) {
                broken.extend(&reference.columns);
            }
        }
        let plain = &self.plain;
        // nothing but the memory of the row before
        let mut cells: Vec<Cell> = std::mem::take(&mut self.cells).into_iter().map(|_| Cell::Null).collect();
        cells.reserve(self.carry.columns.len());
        for (n, ((column, value), scratch)) in
            self.carry.columns.iter().zip(&row[first..]).zip(&mut self.scratch).enumerate()
        {
            let is_broken = !broken.is_empty() && broken.contains(&n) && *value != Seen::Null;
            let [fast, scratch @ ..] = scratch;
            if plain[n] && !is_broken {
                // nearly all values of nearly all tables end here
                match cell(&column.rule, *value, fast) {
                    Ok(Cell::Null) if column.not_null => {}
                    Ok(cell) => {
                        cells.push(cell);
                        continue;
                    }
                    Err(_) => {}
                }
            }
            let outcome = match self.made.get(n).and_then(Option::as_ref) {
                None => carried(column, *value, is_broken, scratch),
                Some(Made::Null) => carried(column, Seen::Null, is_broken, scratch),
                Some(Made::Text(text)) => carried(column, Seen::Text(text), is_broken, scratch),
                Some(Made::Bad) => unmade(column, *value, scratch),
            };
            match outcome {
                Ok((cell, None)) => cells.push(cell),
                Ok((cell, Some(misfit))) => {
                    note(&mut self.met, self.carry, n, misfit, row, value);
                    cells.push(cell);
                }
                Err((misfit, policy)) => {
                    note(&mut self.met, self.carry, n, misfit, row, value);
                    return Ok(match policy {
                        Policy::Quarantine => Fate::Aside(n, misfit),
                        _ => self.stopped(n, misfit),
                    });
                }
            }
        }
        if let Some((n, policy)) = twice::repeats(self.carry, row, &cells) {
            note(&mut self.met, self.carry, n, Misfit::Duplicate, row, &row[first + n]);
            match policy {
                Policy::Quarantine => return Ok(Fate::Aside(n, Misfit::Duplicate)),
                Policy::Null => cells[n] = Cell::Null,
                _ => return Ok(self.stopped(n, Misfit::Duplicate)),
            }
        }
        for refused in &self.carry.refused {
            let hash = format!("{:032x}", super::demands::hash(self.carry, &refused.columns, &cells));
            if refused.bad.binary_search(&hash).is_err() {
                continue;
            }
            let n = refused.columns[0];
            let column = &self.carry.columns[n];
            note(&mut self.met, self.carry, n, refused.misfit, row, &row[first + n]);
            match column.policies.get(&refused.misfit).copied().unwrap_or_default() {
                Policy::Quarantine => return Ok(Fate::Aside(n, refused.misfit)),
                Policy::Null if !column.not_null && refused.columns.len() == 1 => cells[n] = Cell::Null,
                _ => return Ok(self.stopped(n, refused.misfit)),
            }
        }
        take(&cells)?;
        cells.clear();
        self.cells = cells.into_iter().map(|_| Cell::Null).collect();
        Ok(Fate::Carried)
    }

    /// A row for which there is no way out, because of what was just noted.
    fn stopped(&mut self, n: usize, misfit: Misfit) -> Fate {
        self.met.0.entry((n, misfit)).or_default().stopped += 1;
        Fate::Stopped(n, misfit)
    }
}

fn note(met: &mut Met, carry: &Carry, n: usize, misfit: Misfit, row: &[Seen], value: &Seen) {
    let tale = met.0.entry((n, misfit)).or_default();
    tale.count += 1;
    if tale.samples.len() < SAMPLES {
        tale.samples.push((key(carry, row), shown(value)));
    }
}

/// The row, as a person would look it up in the source.
pub fn key(carry: &Carry, row: &[Seen]) -> String {
    let parts = carry.order.iter().zip(row).map(|(name, value)| format!("{name} {}", shown(value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A value, short.
pub fn shown(value: &Seen) -> String {
    const MOST: usize = 40;
    match value {
        Seen::Text(text) if text.chars().count() > MOST => {
            format!("'{}…'", text.chars().take(MOST).collect::<String>().replace('\'', "''"))
        }
        Seen::Blob(bytes) | Seen::BrokenText(bytes) if bytes.len() > MOST / 2 => {
            format!("{}…", Value::Blob(bytes[..MOST / 2].to_vec()))
        }
        other => other.to_value().to_string(),
    }
}

/// A cell; with the misfit where it is another value than it was; or the misfit that has no way out.
type Outcome<'a> = std::result::Result<(Cell<'a>, Option<Misfit>), (Misfit, Policy)>;

fn carried<'a>(
    column: &'a Carried,
    value: Seen<'a>,
    broken: bool,
    scratch: &'a mut [String; 2],
) -> Outcome<'a> {
    let policy = |misfit: Misfit| column.policies.get(&misfit).copied().unwrap_or_default();
    if broken {
        return match policy(Misfit::Reference) {
            Policy::Null if !column.not_null => Ok((Cell::Null, Some(Misfit::Reference))),
            Policy::Quarantine => Err((Misfit::Reference, Policy::Quarantine)),
            _ => Err((Misfit::Reference, Policy::Stop)),
        };
    }
    let value = mapped(column, value);
    let [first, second] = scratch;
    let stands_in = |what: Empty| match what {
        Empty::Keep => None,
        Empty::Default => Some(column.default.as_deref().map_or(Seen::Null, Seen::Text)),
        Empty::Null => Some(Seen::Null),
        Empty::Error => None,
    };
    let value = match (value, column.empty) {
        (Seen::Text(""), Some(what)) => {
            if what == Empty::Error {
                return instead(column, Misfit::Empty, policy(Misfit::Empty), Seen::Text(""), first);
            }
            stands_in(what).unwrap_or(Seen::Text(""))
        }
        (value, _) => value,
    };
    if value == Seen::Null {
        let value = stands_in(column.null).unwrap_or(Seen::Null);
        if value != Seen::Null {
            return cell(&column.rule, value, first)
                .map(|cell| (cell, None))
                .map_err(|misfit| (misfit, Policy::Stop));
        }
        if column.not_null || column.null == Empty::Error {
            return instead(column, Misfit::Null, policy(Misfit::Null), Seen::Null, first);
        }
        return Ok((Cell::Null, None));
    }
    match cell(&column.rule, value, first) {
        Ok(cell) => Ok((cell, None)),
        Err(misfit) => instead(column, misfit, policy(misfit), value, second),
    }
}

/// Whether nothing but the rule says what becomes of a value.
fn is_plain(column: &Carried) -> bool {
    let Carried { jq, values, null, empty, .. } = column;
    jq.is_none() && values.is_empty() && *null == Empty::Keep && empty.is_none()
}

/// A value of which its program made nothing.
fn unmade<'a>(column: &'a Carried, value: Seen<'a>, scratch: &'a mut [String; 2]) -> Outcome<'a> {
    let policy = column.policies.get(&Misfit::Unreadable).copied().unwrap_or_default();
    instead(column, Misfit::Unreadable, policy, value, &mut scratch[0])
}

fn mapped<'a>(column: &'a Carried, value: Seen<'a>) -> Seen<'a> {
    if column.values.is_empty() {
        return value;
    }
    let other = match value {
        Seen::Text(text) => column.values.get(text),
        Seen::Int(number) => column.values.get(&number.to_string()),
        _ => None,
    };
    match other {
        Some(Some(text)) => Seen::Text(text),
        Some(None) => Seen::Null,
        None => value,
    }
}

/// What the policy makes of a misfit.
fn instead<'a>(
    column: &'a Carried,
    misfit: Misfit,
    policy: Policy,
    value: Seen<'a>,
    scratch: &'a mut String,
) -> Outcome<'a> {
    let stop = (misfit, Policy::Stop);
    match policy {
        Policy::Stop => Err(stop),
        Policy::Quarantine => Err((misfit, Policy::Quarantine)),
        Policy::Null if !column.not_null => Ok((Cell::Null, Some(misfit))),
        Policy::Null => Err(stop),
        Policy::Default => {
            let default = column.default.as_deref().ok_or(stop)?;
            cell(&column.rule, Seen::Text(default), scratch)
                .map(|cell| (cell, Some(misfit)))
                .map_err(|_| stop)
        }
        Policy::Truncate => {
            cut(&column.rule, misfit, value, scratch).map(|cell| (cell, Some(misfit))).ok_or(stop)
        }
    }
}

/// What is left of a value that was too much.
fn cut<'a>(rule: &Rule, misfit: Misfit, value: Seen<'a>, scratch: &'a mut String) -> Option<Cell<'a>> {
    match (rule, misfit, value) {
        (
            Rule::Text(most) | Rule::Padded(most),
            Misfit::TooLong | Misfit::ZeroCharacter,
            Seen::Text(text),
        ) => {
            scratch.clear();
            let kept = text.chars().filter(|letter| *letter != '\0');
            scratch.extend(kept.take(most.map_or(usize::MAX, |most| most as usize)));
            Some(Cell::Text(scratch))
        }
        (Rule::Text(most) | Rule::Padded(most), Misfit::BrokenText, Seen::BrokenText(bytes)) => {
            scratch.clear();
            let text = String::from_utf8_lossy(bytes);
            let kept = text.chars().filter(|letter| *letter != '\0');
            scratch.extend(kept.take(most.map_or(usize::MAX, |most| most as usize)));
            Some(Cell::Text(scratch))
        }
        (Rule::Moment(..) | Rule::Clock(_) | Rule::Single | Rule::Double, Misfit::TooFine, value) => {
            super::convert::whole(rule, value, scratch).ok().map(|(cell, _)| cell)
        }
        (Rule::Day, Misfit::TooFine, Seen::Text(text)) => {
            let told = super::times::read(text)?;
            i32::try_from(told.micros.div_euclid(86_400_000_000)).ok().map(Cell::Day)
        }
        (Rule::Number(Some((_, scale))), Misfit::TooFine, Seen::Real(number)) => {
            *scratch = fewer(&number.to_string(), *scale)?;
            cell(rule, Seen::Real(number), &mut String::new()).err()?;
            Some(Cell::Text(scratch))
        }
        (Rule::Number(Some((_, scale))), Misfit::TooFine, Seen::Text(text)) => {
            *scratch = fewer(text, *scale)?;
            Some(Cell::Text(scratch))
        }
        _ => None,
    }
}

/// A decimal with its last digits cut off; none where it is written with an exponent.
fn fewer(text: &str, scale: i32) -> Option<String> {
    let (whole, fraction) = text.split_once('.')?;
    let kept = fraction.get(..usize::try_from(scale).ok()?.min(fraction.len()))?;
    let plain = !text.contains(['e', 'E']);
    plain.then(|| if kept.is_empty() { whole.to_owned() } else { format!("{whole}.{kept}") })
}
