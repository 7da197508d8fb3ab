//! The rows that go back, while the whole of them is not known yet: in temporary tables of the source, so that memory holds one of them
//! at a time, however many were changed.
//!
//! All must be known before the first is touched: a value of which there is only one may have gone from one row to another.

use super::super::task::Carry;
use super::capture;
use engine::{Error, Result};
use targets::db::{Row, Sql, TableName, Tx, Value};

/// A row as the source is to have it, and as it is there.
#[derive(Debug, Default, PartialEq)]
pub struct Returning {
    /// Its key in the source.
    pub key: Vec<Value>,
    /// How the target shows its key.
    pub shown: String,
    /// The hash of each of its values in the target; none where it is gone.
    pub wanted: Option<Vec<u128>>,
    /// Its columns and values for the source; none where it is gone.
    pub values: Vec<(String, Value)>,
    /// The same of the row that is there.
    pub old: Option<Vec<(String, Value)>>,
}

/// A row that comes back from where it was kept.
pub struct Kept {
    /// Its number: above zero where the source has it.
    pub n: i64,
    /// Its key in the source.
    pub key: Vec<Value>,
    /// How the target shows its key.
    pub shown: String,
    /// The hash of each of its values in the target.
    pub wanted: Vec<u128>,
    /// Its columns and values for the source.
    pub values: Vec<(String, Value)>,
}

/// Those of one table.
pub struct Spool<'s> {
    /// The columns of the source that hold something of their own.
    stored: &'s [String],
    /// Those of its key, by their places.
    key: Vec<usize>,
    /// How many there are of rows that the source has, whose numbers begin at 1, and of others, whose numbers begin at -1.
    rows: [i64; 2],
}

/// What the rows become, with columns `c0`, `c1`, … for those of the table.
fn new() -> TableName {
    TableName::within("temp", "sexton_returning")
}

/// What they were.
fn old() -> TableName {
    TableName::within("temp", "sexton_returned")
}

impl<'s> Spool<'s> {
    /// An empty one for a table with these columns, of which these are its key.
    pub fn begin(stored: &'s [String], key: &[&str], tx: &mut dyn Tx) -> Result<Self> {
        let places: Option<Vec<usize>> = key.iter().map(|name| place(stored, name)).collect();
        let spool = Self { stored, key: places.ok_or_else(unknown)?, rows: [0, 0] };
        Self::end(tx)?;
        // without types, so that every value is kept as it is
        let columns: String = (0..stored.len()).map(|n| format!(", c{n}")).collect();
        let create = |table: &TableName, own: &str| {
            Sql::new("create table ").table(table).text(&format!(" (n integer primary key{own}{columns})"))
        };
        tx.execute(&create(&new(), ", shown, wanted, known"))?;
        tx.execute(&create(&old(), ""))?;
        Ok(spool)
    }

    /// Nothing of it is needed any more.
    pub fn end(tx: &mut dyn Tx) -> Result<()> {
        for table in [new(), old()] {
            tx.execute(&Sql::new("drop table if exists ").table(&table))?;
        }
        Ok(())
    }

    /// Keeps a row.
    pub fn keep(&mut self, row: &Returning, tx: &mut dyn Tx) -> Result<()> {
        let n = match &row.old {
            Some(_) => {
                self.rows[0] += 1;
                self.rows[0]
            }
            None => {
                self.rows[1] += 1;
                -self.rows[1]
            }
        };
        let mut values = vec![Value::Null; self.stored.len()];
        for (place, value) in self.key.iter().zip(&row.key) {
            values[*place] = value.clone();
        }
        // a new row says nothing of columns that the target does not have
        let mut known = Vec::new();
        for (name, value) in &row.values {
            let place = place(self.stored, name).ok_or_else(unknown)?;
            values[place] = value.clone();
            known.push(place.to_string());
        }
        let wanted = row.wanted.as_ref().map_or(Value::Null, |hashes| {
            Value::Blob(hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect())
        });
        let own = [Value::from(row.shown.as_str()), wanted, Value::Text(known.join(","))];
        insert(&new(), n, own.into_iter().chain(values), tx)?;
        match (&row.old, &row.wanted) {
            (Some(old_row), Some(_)) => insert(&old(), n, old_row.iter().map(|(_, value)| value.clone()), tx),
            _ => Ok(()),
        }
    }

    /// The numbers of all: rows that the source has come before others, which must not get the row numbers of those.
    pub fn numbers(&self) -> impl Iterator<Item = i64> + use<> {
        let [known, others] = self.rows;
        (1..=known).chain((1..=others).map(|n| -n))
    }

    /// Takes away what is there of all of them; how many rows that were.
    pub fn make_room(&self, carry: &Carry, tx: &mut dyn Tx) -> Result<u64> {
        let kept: Vec<Sql> = self.key.iter().map(|place| Sql::new(&format!("s.c{place}"))).collect();
        let order = || carry.order.iter().map(String::as_str);
        let sql = Sql::new("delete from ")
            .name(&carry.table)
            .text(" where (")
            .names("", order())
            .text(") in (select ")
            .names("t.", order())
            .text(" from ")
            .table(&new())
            .text(" as s cross join ")
            .name(&carry.table)
            .text(" as t where ")
            .add(&same(carry, &kept))
            .text(")");
        tx.execute(&sql)
    }

    /// The row of this number as the source is to have it; none where it is to have none.
    pub fn row(&self, n: i64, tx: &mut dyn Tx) -> Result<Option<Kept>> {
        let row = one(&new(), n, tx)?;
        let Some([_, shown, wanted, known, values @ ..]) = row.as_deref() else {
            return Err(Error::system("a row that goes back was lost on its way"));
        };
        let Value::Blob(wanted) = wanted else { return Ok(None) };
        let hash = |bytes: &[u8]| bytes.try_into().map(u128::from_be_bytes).unwrap_or_default();
        let places = known.as_text().unwrap_or_default().split(',').filter_map(|n| n.parse::<usize>().ok());
        Ok(Some(Kept {
            n,
            key: self.key.iter().map(|place| values[*place].clone()).collect(),
            shown: shown.as_text().unwrap_or_default().to_owned(),
            wanted: wanted.chunks_exact(16).map(hash).collect(),
            values: places.filter_map(|n| Some((self.stored[n].clone(), values.get(n)?.clone()))).collect(),
        }))
    }

    /// What the row of this number was in the source.
    pub fn old(&self, n: i64, tx: &mut dyn Tx) -> Result<Option<Vec<(String, Value)>>> {
        let row = one(&old(), n, tx)?;
        Ok(row.map(|row| self.stored.iter().cloned().zip(row.into_iter().skip(1)).collect()))
    }
}

/// The row of this key, over `t`.
pub fn is(carry: &Carry, key: &[Value]) -> Sql {
    let values: Vec<Sql> = key.iter().map(|value| Sql::default().bind(value.clone())).collect();
    same(carry, &values)
}

/// That the key of `t` is this, to the letter.
fn same(carry: &Carry, key: &[Sql]) -> Sql {
    let one = |(name, value): (&&str, &Sql)| {
        let is = || Sql::new("t.").name(name).text(" = ").add(value);
        is().text(" and ").add(&is()).text(" collate binary")
    };
    let parts: Vec<Sql> = capture::keys(carry).iter().zip(key).map(one).collect();
    Sql::join(&parts, " and ")
}

fn place(stored: &[String], name: &str) -> Option<usize> {
    stored.iter().position(|known| known.eq_ignore_ascii_case(name))
}

fn insert(table: &TableName, n: i64, values: impl Iterator<Item = Value>, tx: &mut dyn Tx) -> Result<()> {
    let all: Vec<Sql> =
        std::iter::once(Value::Int(n)).chain(values).map(|value| Sql::default().bind(value)).collect();
    let sql = Sql::new("insert into ").table(table).text(" values (").add(&Sql::join(&all, ", ")).text(")");
    tx.execute(&sql).map(drop)
}

fn one(table: &TableName, n: i64, tx: &mut dyn Tx) -> Result<Option<Row>> {
    let sql = Sql::new("select * from ").table(table).text(" where n = ").bind(n);
    Ok(tx.rows(&sql)?.into_iter().next())
}

fn unknown() -> Error {
    Error::system("the source has other columns than the transfer carried")
        .help("carry what was written in the target by hand, then send the application back")
}
