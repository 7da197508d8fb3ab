//! Questions to the source: on a session that sees one moment, or inside the transaction that keeps others from writing.

use engine::Result;
use targets::db::{Facts, Row, Seen, Sql, Tx, Value};

/// Who is asked.
pub enum Source<'a> {
    /// A session that sees one moment.
    Moment(&'a mut dyn Facts),
    /// The transaction that holds the write lock.
    Locked(&'a mut dyn Tx),
}

impl Source<'_> {
    /// Hands over each row.
    pub fn scan(&mut self, sql: &Sql, each: &mut dyn FnMut(&[Seen]) -> Result<()>) -> Result<u64> {
        match self {
            Source::Moment(facts) => facts.scan(sql, each),
            Source::Locked(tx) => tx.query(sql, &mut |row| {
                let seen: Vec<Seen> = row.iter().map(Seen::from).collect();
                each(&seen)
            }),
        }
    }

    /// All rows, where there are few.
    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        match self {
            Source::Moment(facts) => facts.rows(sql),
            Source::Locked(tx) => tx.rows(sql),
        }
    }

    /// The first value; none where there is no row, or it is no number.
    pub fn number(&mut self, sql: &Sql) -> Result<Option<i64>> {
        Ok(self.rows(sql)?.first().and_then(|row| row.first()).and_then(Value::as_int))
    }
}
