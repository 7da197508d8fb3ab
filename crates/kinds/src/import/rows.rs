//! Rows on their way from a file into a table. One reader goes through the file once, from batch to batch.

use super::{TableReader, Task};
use engine::archive::value_of;
use engine::{Error, Result, Work};
use serde_json::{Map, Value as Json};
use targets::db::{Family, Row, Sql, Value};
use targets::files::Files;

/// The most rows of one statement.
const MOST_ROWS: usize = 500;
/// The most values of one statement: both databases take them.
const MOST_VALUES: usize = 30_000;
/// So many bytes of values are in memory, about, before they are sent.
const MOST_BYTES: usize = 4 << 20;
/// The most rows of one batch.
const MOST_IN_BATCH: u64 = 10_000;

/// A row with the line that it is from.
type Lined = (u64, Row);

/// A file that is being read.
pub struct Incoming {
    file: String,
    reader: TableReader,
    /// A row that was read and did not go in yet.
    ahead: Option<(u64, Map<String, Json>)>,
}

impl Incoming {
    /// Opens the file behind its first rows.
    pub fn open(store: &dyn Files, file: &str, after: u64) -> Result<Self> {
        let mut reader = TableReader::open(store, file)?;
        for _ in 0..after {
            if reader.next_row()?.is_none() {
                return Err(Error::data(format!("{} has fewer rows than when it was begun", reader.about()))
                    .help("bring the file back as it was, then `sexton resume`"));
            }
        }
        Ok(Self { file: file.to_owned(), reader, ahead: None })
    }

    /// Whether it goes on behind so many rows of this file.
    pub fn is_at(&self, file: &str, rows: u64) -> bool {
        self.file == file && self.reader.rows() - u64::from(self.ahead.is_some()) == rows
    }

    /// Whether nothing is left.
    pub fn is_at_the_end(&mut self) -> Result<bool> {
        if self.ahead.is_none() {
            self.ahead = self.reader.next_row()?;
        }
        Ok(self.ahead.is_none())
    }

    fn next(&mut self, task: &Task) -> Result<Option<Lined>> {
        let next = match self.ahead.take() {
            Some(ahead) => Some(ahead),
            None => self.reader.next_row()?,
        };
        let Some((line, object)) = next else { return Ok(None) };
        row_of(object, task).map(|row| Some((line, row))).map_err(|why| self.reader.wrong(line, &why))
    }

    /// The next rows, about so many, each found by its line where the database refuses it.
    pub fn some(&mut self, task: &Task, rows: u64, work: &mut Work) -> Result<u64> {
        let mut batch: Vec<Lined> = Vec::new();
        let mut bytes = 0;
        while (batch.len() as u64) < rows.clamp(1, MOST_IN_BATCH) && bytes < MOST_BYTES {
            let Some(row) = self.next(task)? else { break };
            bytes += size(&row.1);
            batch.push(row);
        }
        let parted = work.as_far_as_possible(&batch, &mut |work, rows: &[Lined]| {
            let mut statements = rows.chunks(chunk(task)).map(|rows| values(rows, task, work));
            let all = statements.by_ref().collect::<Result<Vec<Sql>>>()?;
            work.insert_all(&task.table, &task.columns, &mut all.into_iter())
        })?;
        match parted.refused.first() {
            None => Ok(parted.done),
            Some((place, why)) => {
                let line = batch[*place].0;
                let others = match parted.refused.len() {
                    1 => String::new(),
                    all => format!(", nor are {} other rows near it", all - 1),
                };
                Err(self.reader.wrong(line, &format!("is not taken by `{}`: {why}{others}", task.table.name)))
            }
        }
    }

    /// All rows, in one step: none of them is seen before all of them are there.
    pub fn all(&mut self, task: &Task, work: &mut Work) -> Result<u64> {
        let dialect = work.dialect();
        let mut failed = None;
        let mut statements = std::iter::from_fn(|| {
            let mut rows = Vec::new();
            let mut bytes = 0;
            while rows.len() < chunk(task) && bytes < MOST_BYTES {
                match self.next(task) {
                    Ok(Some(row)) => {
                        bytes += size(&row.1);
                        rows.push(row);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        return None;
                    }
                }
            }
            if rows.is_empty() {
                return None;
            }
            match values_in(&rows, task, dialect) {
                Ok(sql) => Some(sql),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        });
        let added = work.insert_all(&task.table, &task.columns, &mut statements);
        match failed {
            Some(error) => Err(error),
            None => added,
        }
    }
}

/// Rows of one statement.
fn chunk(task: &Task) -> usize {
    (MOST_VALUES / task.columns.len().max(1)).clamp(1, MOST_ROWS)
}

fn values(rows: &[Lined], task: &Task, work: &Work) -> Result<Sql> {
    values_in(rows, task, work.dialect())
}

fn values_in(rows: &[Lined], task: &Task, dialect: &dyn targets::db::Dialect) -> Result<Sql> {
    let mut tuples = Vec::with_capacity(rows.len());
    for (_, row) in rows {
        let mut values = Vec::with_capacity(row.len());
        for (column, value) in task.columns.iter().zip(row) {
            values.push(dialect.inward(task.table.expect_column(column)?, value.clone()));
        }
        tuples.push(Sql::new("(").add(&Sql::join(&values, ", ")).text(")"));
    }
    Ok(Sql::new("values ").add(&Sql::join(&tuples, ", ")))
}

/// The values of a row in the order of the columns, or what is wrong with it.
pub fn row_of(mut object: Map<String, Json>, task: &Task) -> Result<Row, String> {
    let mut row = Vec::with_capacity(task.columns.len());
    for name in &task.columns {
        let Some(json) = object.remove(name) else { return Err(format!("has no `{name}`")) };
        let value = value_of(json).map_err(|why| format!("has no value for `{name}`: {why}"))?;
        let exact = task.table.column(name).map(|column| column.family);
        // more digits than a float has were lost on the way, and nobody would notice
        if let (Value::Real(number), Some(Family::Integer | Family::Numeric)) = (&value, exact)
            && !task.ours
            && number.abs() >= 9_007_199_254_740_992.0
            && number.is_finite()
        {
            return Err(format!("has a number for `{name}` that is exact only as text, in quotes"));
        }
        row.push(value);
    }
    match object.keys().next() {
        Some(name) => Err(format!("has `{name}`, which the rows before it have not")),
        None => Ok(row),
    }
}

fn size(row: &Row) -> usize {
    let one = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) | Value::BrokenText(bytes) | Value::Raw { bytes, .. } => bytes.len(),
        _ => 0,
    };
    row.iter().map(|value| one(value) + std::mem::size_of::<Value>()).sum()
}
