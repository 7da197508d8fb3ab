//! Rows in bulk: COPY from the client, in the binary form.
//!
//! Half the cost of the text form for both sides. A table with a column whose binary form is unknown here (a composite, a
//! range, an interval) goes in the text form as a whole. Nothing but the buffer is kept.

use super::cells::{self, Form};
use super::errors::Report;
use super::message::{Message, rows_in_tag};
use super::session::Connected;
use super::wire::Wire;
use targets::db::{Cell, Error, Load, Loader, Result, Sql, TableName, Value};

/// Messages of this size cost the server least; the socket holds about as much while the server works.
const FLUSH_BYTES: usize = 128 << 10;
/// The letter of a message and its length.
const HEAD_BYTES: usize = 5;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// An open COPY.
pub(super) struct Copying<'a> {
    wire: &'a mut Wire,
    table: TableName,
    columns: Vec<(String, Form)>,
    binary: bool,
    buffer: Vec<u8>,
    rows: u64,
    open: bool,
}

impl<'a> Copying<'a> {
    /// Asks for the columns' types and begins. The transaction is open.
    pub fn begin(session: &'a mut Connected, load: &Load) -> Result<Self> {
        let columns = forms(session, load)?;
        let binary = columns.iter().all(|(_, form)| *form != Form::Written);
        let names = Sql::new("copy ")
            .table(load.table)
            .text(" (")
            .names("", load.columns.iter().map(String::as_str))
            .text(if binary { ") from stdin (format binary)" } else { ") from stdin" });
        let wire = &mut session.wire;
        let mut begin = Message::new(b'Q');
        begin.text(&names.shown())?;
        wire.send(&begin.finish()?)?;
        let mut failure = None;
        loop {
            let (tag, body) = wire.next()?;
            match tag {
                b'G' => break,
                b'E' => failure = failure.or(Some(Report::read(wire.body(body)))),
                b'Z' => {
                    return Err(failure.map_or_else(
                        || super::errors::protocol("it did not ask for the rows of a copy"),
                        Report::into_error,
                    ));
                }
                _ => {}
            }
        }
        let mut buffer = Vec::with_capacity(FLUSH_BYTES + (FLUSH_BYTES >> 2));
        buffer.extend([b'd', 0, 0, 0, 0]);
        if binary {
            buffer.extend(SIGNATURE);
        }
        Ok(Self { wire, table: load.table.clone(), columns, binary, buffer, rows: 0, open: true })
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.len() > HEAD_BYTES {
            let length = (self.buffer.len() - 1) as u32;
            self.buffer[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
            self.wire.send(&self.buffer)?;
        }
        if self.buffer.capacity() > 16 * FLUSH_BYTES {
            // one large row must not be paid for until the end
            self.buffer = Vec::with_capacity(FLUSH_BYTES + (FLUSH_BYTES >> 2));
            self.buffer.extend([b'd', 0, 0, 0, 0]);
        }
        self.buffer.truncate(HEAD_BYTES);
        Ok(())
    }

    /// Ends the copy, well or not, and reads what the server says.
    fn end(&mut self, message: Vec<u8>) -> Result<u64> {
        self.open = false;
        self.wire.send(&message)?;
        let (mut failure, mut count) = (None, 0);
        loop {
            let (tag, body) = self.wire.next()?;
            match tag {
                b'C' => count = rows_in_tag(self.wire.body(body)),
                b'E' => failure = failure.or(Some(Report::read(self.wire.body(body)))),
                b'Z' => break,
                _ => {}
            }
        }
        failure.map_or(Ok(count), |report| Err(report.into_error()))
    }
}

impl Loader for Copying<'_> {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        if cells.len() != self.columns.len() {
            return Err(Error::system(format!(
                "a row for `{}` has {} values for {} columns",
                self.table,
                cells.len(),
                self.columns.len()
            )));
        }
        let begun = self.buffer.len();
        if self.binary {
            self.buffer.extend((cells.len() as u16).to_be_bytes());
        }
        for (n, (cell, (name, form))) in cells.iter().zip(&self.columns).enumerate() {
            let written = if self.binary {
                cells::write_binary(*form, cell, &mut self.buffer)
            } else {
                if n > 0 {
                    self.buffer.push(b'\t');
                }
                cells::write_text(cell, &mut self.buffer)
            };
            if let Err(why) = written {
                self.buffer.truncate(begun);
                return Err(Error::data(format!(
                    "a value does not fit column `{name}` of `{}`: {why}",
                    self.table
                ))
                .code("22000"));
            }
        }
        if !self.binary {
            self.buffer.push(b'\n');
        }
        self.rows += 1;
        if self.buffer.len() >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        if self.binary {
            self.buffer.extend((-1_i16).to_be_bytes());
        }
        self.flush()?;
        let count = self.end(Message::new(b'c').finish()?)?;
        if count != self.rows {
            return Err(Error::system(format!(
                "`{}` took {count} of {} rows: a trigger or a rule left the others out",
                self.table, self.rows
            ))
            .help(format!(
                "switch it off for the time of the load: alter table {} disable trigger user",
                self.table.quoted()
            )));
        }
        Ok(count)
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        if !self.open || self.wire.is_lost() {
            return;
        }
        let mut message = Message::new(b'f');
        let ended =
            message.text("given up").and_then(|()| message.finish()).and_then(|bytes| self.end(bytes));
        // It is meant to fail; only a connection that did not survive it is of no more use, and knows so itself.
        let _ = ended;
    }
}

/// In which form each column takes its values, in the order asked for. A domain is read as the type under it.
fn forms(session: &mut Connected, load: &Load) -> Result<Vec<(String, Form)>> {
    let sql = Sql::new(
        "with recursive base (attname, typid) as (
           select a.attname, a.atttypid from pg_attribute a
           where a.attrelid = cast(",
    )
    .bind(load.table.quoted())
    .text(
        " as regclass) and a.attnum > 0 and not a.attisdropped
           union all
           select b.attname, t.typbasetype from base b join pg_type t on t.oid = b.typid where t.typtype = 'd')
         select b.attname::text, t.oid, t.typtype::text
         from base b join pg_type t on t.oid = b.typid where t.typtype <> 'd'",
    );
    let (text, params) = sql.render(&session.dialect);
    let mut rows = Vec::new();
    let statement = super::message::Statement { text: &text, params, wanted: true };
    session.wire.run(&[statement], &mut |row| {
        rows.push(row);
        Ok(())
    })?;
    let form = |name: &String| {
        let row = rows.iter().find(|row| row[0].as_text() == Some(name));
        let row = row.ok_or_else(|| {
            Error::usage(format!("table `{}` has no column `{name}`", load.table))
                .help("look at the table's columns")
        })?;
        let is_enum = row[2].as_text() == Some("e");
        Ok((name.clone(), cells::form(row.get(1).and_then(Value::as_int).unwrap_or(0), is_enum)))
    };
    load.columns.iter().map(form).collect()
}
