//! One connection: the PostgreSQL protocol, synchronous, without named statements.
//!
//! Ours because the usual driver looks up unknown types in the middle of a result: with an enum column and more rows
//! than its buffer holds it waits for itself for ever, and its look-ups are named statements, which transaction
//! poolers mix up. Here a statement is one round trip, rows are handed on as they arrive, and nothing is kept but the
//! read buffer. It knows nothing of sessions, settings or retries; those are in `session`.

use super::address::{Address, Host};
use super::connect;
use super::errors::{Report, lost, protocol};
use super::values;
use rustls::{ClientConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use targets::db::{Error, Result, Row, Value};

/// What bytes travel through.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection that has been let in.
pub(super) struct Wire {
    stream: Stream,
    input: Vec<u8>,
    start: usize,
    end: usize,
    host: Host,
    pub process_id: i32,
    pub(super) secret: i32,
    pub parameters: HashMap<String, String>,
    pub notices: Vec<String>,
    /// The longest message to believe in.
    longest: usize,
    transaction: u8,
    lost: bool,
}

/// Before the log-in everything is short. What answers may not be PostgreSQL at all, and `HTTP` reads as a length of
/// more than a gigabyte.
const LONGEST_BEFORE: usize = 1 << 20;

/// One statement of a round trip.
pub(super) struct Statement<'a> {
    pub text: &'a str,
    pub params: Vec<&'a Value>,
    /// Whether its rows are handed on and its count is returned.
    pub wanted: bool,
}

impl<'a> Statement<'a> {
    /// A statement around the one that matters.
    pub fn aside(text: &'a str) -> Self {
        Self { text, params: Vec::new(), wanted: false }
    }
}

/// A result that nobody wants is read to its end up to here, then cancelled.
const DRAINED_BYTES: usize = 1 << 20;

impl Wire {
    /// Connects and logs in.
    pub fn open(address: &Address) -> Result<Self> {
        connect::open(address)
    }

    /// A connection that has not logged in yet.
    pub(super) fn new(stream: Stream, host: Host) -> Self {
        Self {
            stream,
            input: vec![0; 64 << 10],
            start: 0,
            end: 0,
            host,
            process_id: 0,
            secret: 0,
            parameters: HashMap::new(),
            notices: Vec::new(),
            longest: LONGEST_BEFORE,
            transaction: b'I',
            lost: false,
        }
    }

    /// Whether the connection is of no more use.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Treats the connection as lost.
    pub fn forget(&mut self) {
        self.lost = true;
    }

    /// Whether a transaction is open and has not failed.
    pub fn is_working(&self) -> bool {
        self.transaction == b'T' && !self.lost
    }

    /// Ends an open transaction, if any, working or failed. A connection on which that fails is of no more use.
    pub fn roll_back(&mut self) {
        if self.transaction != b'I' && !self.lost && self.script("rollback", &mut |_| {}).is_err() {
            self.lost = true;
        }
    }

    /// The host that answered.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Runs one statement without parameters; the number of rows it changed.
    pub fn count(&mut self, sql: &str) -> Result<u64> {
        self.run(&[Statement { text: sql, params: Vec::new(), wanted: true }], &mut |_| Ok(()))
    }

    /// Runs a script of any number of statements, handing on each row as text. Stops at the first error.
    pub fn script(&mut self, sql: &str, each: &mut dyn FnMut(Vec<Option<String>>)) -> Result<()> {
        let mut out = Message::new(b'Q');
        out.text(sql)?;
        self.send(&out.finish()?)?;
        let mut failure = None;
        loop {
            let (tag, body) = self.next()?;
            match tag {
                b'D' => {
                    let text =
                        |field: Option<&[u8]>| field.map(|it| String::from_utf8_lossy(it).into_owned());
                    each(fields(&self.input[body], |_, field| Ok(text(field)))?);
                }
                b'E' => failure = failure.or(Some(Report::read(&self.input[body]))),
                b'G' => self.refuse_copy(false)?,
                b'Z' => break,
                _ => {}
            }
        }
        failure.map_or(Ok(()), |report| Err(report.into_error()))
    }

    /// Runs statements in one round trip; an error in one leaves out the rest. The count is that of the wanted one.
    /// An error from `each` ends the result (a long one is cancelled, which also fails an open transaction).
    pub fn run(
        &mut self,
        statements: &[Statement<'_>],
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<u64> {
        let mut out = Vec::new();
        for statement in statements {
            write_statement(&mut out, statement)?;
        }
        out.extend(Message::new(b'S').finish()?);
        self.send(&out)?;
        let (mut at, mut count) = (0, 0);
        let mut types = Vec::new();
        let mut failure: Option<Error> = None;
        let (mut unwanted_bytes, mut cancelled) = (0, false);
        loop {
            let (tag, body) = self.next()?;
            let wanted = statements.get(at).is_some_and(|statement| statement.wanted);
            match tag {
                b'T' if wanted => types = column_types(&self.input[body])?,
                b'D' if wanted && failure.is_none() => {
                    let row = fields(&self.input[body], |n, field| {
                        values::read(types.get(n).copied().unwrap_or_default(), field)
                    });
                    failure = row.and_then(&mut *each).err();
                }
                b'D' => {
                    unwanted_bytes += body.len();
                    if failure.is_some() && unwanted_bytes > DRAINED_BYTES && !cancelled {
                        cancelled = true;
                        connect::cancel(&self.host, self.process_id, self.secret);
                    }
                }
                b'C' => {
                    if wanted {
                        count = rows_in_tag(&self.input[body]);
                    }
                    at += 1;
                }
                b'I' => at += 1,
                b'E' => {
                    let report = Report::read(&self.input[body]);
                    failure = failure.or_else(|| Some(report.into_error()));
                }
                b'G' => self.refuse_copy(true)?,
                b'Z' => break,
                _ => {}
            }
        }
        failure.map_or(Ok(count), Err)
    }

    /// COPY from the client has no place here; the server waits for data until it is told so.
    fn refuse_copy(&mut self, synced: bool) -> Result<()> {
        let mut out = Message::new(b'f');
        out.text("copy from the client is not supported here")?;
        let mut out = out.finish()?;
        if synced {
            out.extend(Message::new(b'S').finish()?);
        }
        self.send(&out)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if self.lost {
            return Err(lost(std::io::ErrorKind::NotConnected.into()));
        }
        // A server that ends a session says why before it closes: read that, rather than report the broken pipe.
        if let Err(error) = self.stream.write_all(bytes).and_then(|()| self.stream.flush()) {
            let farewell = self.last_words();
            self.lost = true;
            return Err(farewell.unwrap_or_else(|| lost(error)));
        }
        Ok(())
    }

    fn last_words(&mut self) -> Option<Error> {
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        loop {
            let (tag, body) = self.next_raw().ok()?;
            if tag == b'E' {
                return Some(Report::read(&self.input[body]).into_error());
            }
        }
    }

    /// The next message: its letter and where its body lies in the buffer. Notices and settings are taken in passing.
    pub(super) fn next(&mut self) -> Result<(u8, Range<usize>)> {
        loop {
            let (tag, body) = match self.next_raw() {
                Ok(message) => message,
                Err(error) => {
                    self.lost = true;
                    return Err(error);
                }
            };
            match tag {
                b'N' => self.notices.push(Report::read(&self.input[body]).message().to_owned()),
                b'A' => {}
                b'S' => {
                    let text = String::from_utf8_lossy(&self.input[body]).into_owned();
                    if let Some((name, value)) = text.trim_end_matches('\0').split_once('\0') {
                        self.parameters.insert(name.to_owned(), value.to_owned());
                    }
                }
                b'E' if is_fatal(&self.input[body.clone()]) => {
                    self.lost = true;
                    return Err(Report::read(&self.input[body]).into_error());
                }
                b'Z' => {
                    self.longest = i32::MAX as usize;
                    self.transaction = self.input.get(body.start).copied().unwrap_or(b'I');
                    return Ok((tag, body));
                }
                _ => return Ok((tag, body)),
            }
        }
    }

    fn next_raw(&mut self) -> Result<(u8, Range<usize>)> {
        self.fill(5)?;
        let tag = self.input[self.start];
        let length = self.input[self.start + 1..self.start + 5].try_into().map(i32::from_be_bytes);
        let length = length.ok().and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| (4..=self.longest).contains(length));
        let length = length.ok_or_else(|| protocol("a message has an impossible length"))?;
        self.fill(1 + length)?;
        let body = self.start + 5..self.start + 1 + length;
        self.start = body.end;
        Ok((tag, body))
    }

    /// Reads until this many bytes of the next message are there.
    fn fill(&mut self, needed: usize) -> Result<()> {
        if self.end - self.start >= needed {
            return Ok(());
        }
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.input.len() < needed {
            self.input.resize(needed, 0);
        }
        while self.end < needed {
            match self.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err(lost(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        Ok(())
    }

    pub(super) fn body(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.lost {
            // A polite goodbye frees locks at once; if it fails the server notices by itself.
            let _ = self.stream.write_all(b"X\0\0\0\x04").and_then(|()| self.stream.flush());
        }
    }
}

impl Stream {
    pub fn set_read_timeout(&self, time: Option<Duration>) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(time),
            Stream::Unix(stream) => stream.set_read_timeout(time),
            Stream::Tls(stream) => stream.sock.set_read_timeout(time),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Unix(stream) => stream.write(buffer),
            Stream::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A message in the making.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Begins a message of this kind; 0 for the ones before the log-in, which have no letter.
    pub fn new(tag: u8) -> Self {
        Self(vec![tag, 0, 0, 0, 0])
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn int(&mut self, number: i32) {
        self.bytes(&number.to_be_bytes());
    }

    fn count(&mut self, count: usize) -> Result<()> {
        let count = u16::try_from(count)
            .map_err(|_| Error::usage(format!("the statement has {count} parameters, more than 65535")))?;
        self.bytes(&count.to_be_bytes());
        Ok(())
    }

    pub fn text(&mut self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(
                Error::usage("the statement holds a zero byte").help("remove it: PostgreSQL cannot take it")
            );
        }
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<u8>> {
        let length = i32::try_from(self.0.len() - 1)
            .map_err(|_| Error::data("a statement with its values is larger than 2 GB"))?;
        self.0[1..5].copy_from_slice(&length.to_be_bytes());
        if self.0[0] == 0 {
            self.0.remove(0);
        }
        Ok(self.0)
    }
}

/// Parse, bind, describe, execute: always the unnamed statement.
fn write_statement(out: &mut Vec<u8>, statement: &Statement<'_>) -> Result<()> {
    let params: Vec<_> = statement.params.iter().map(|value| values::bound(value)).collect();
    let mut parse = Message::new(b'P');
    parse.text("")?;
    parse.text(statement.text)?;
    parse.count(params.len())?;
    params.iter().for_each(|param| parse.bytes(&param.type_id.to_be_bytes()));
    out.extend(parse.finish()?);

    let mut bind = Message::new(b'B');
    bind.text("")?;
    bind.text("")?;
    bind.count(params.len())?;
    params.iter().for_each(|param| bind.bytes(&u16::from(param.binary).to_be_bytes()));
    bind.count(params.len())?;
    for param in &params {
        match &param.bytes {
            None => bind.int(-1),
            Some(bytes) => {
                let length =
                    i32::try_from(bytes.len()).map_err(|_| Error::data("a value is larger than 2 GB"))?;
                bind.int(length);
                bind.bytes(bytes);
            }
        }
    }
    bind.bytes(&[0, 1, 0, 1]);
    out.extend(bind.finish()?);

    let mut describe = Message::new(b'D');
    describe.bytes(b"P");
    describe.text("")?;
    out.extend(describe.finish()?);

    let mut execute = Message::new(b'E');
    execute.text("")?;
    execute.int(0);
    out.extend(execute.finish()?);
    Ok(())
}

/// The type numbers of a row description.
fn column_types(body: &[u8]) -> Result<Vec<u32>> {
    let short = || protocol("a row description is too short");
    let mut rest = body.get(2..).ok_or_else(short)?;
    let mut types = Vec::new();
    while !rest.is_empty() {
        let name_end = rest.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let field = rest.get(name_end + 1..name_end + 19).ok_or_else(short)?;
        types.push(u32::from_be_bytes([field[6], field[7], field[8], field[9]]));
        rest = &rest[name_end + 19..];
    }
    Ok(types)
}

/// The fields of a data row.
fn fields<T>(body: &[u8], mut read: impl FnMut(usize, Option<&[u8]>) -> Result<T>) -> Result<Vec<T>> {
    let short = || protocol("a row is too short");
    let mut rest = body.get(2..).ok_or_else(short)?;
    let mut row = Vec::with_capacity(usize::from(u16::from_be_bytes([body[0], body[1]])));
    while !rest.is_empty() {
        let (length, tail) = rest.split_at_checked(4).ok_or_else(short)?;
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        rest = tail;
        let field = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (field, tail) = rest.split_at_checked(length).ok_or_else(short)?;
                rest = tail;
                Some(field)
            }
        };
        row.push(read(row.len(), field)?);
    }
    Ok(row)
}

/// `DELETE 12` → 12.
fn rows_in_tag(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    text.trim_end_matches('\0').rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Whether the session ends with this error (`S` and `V` hold the severity, `V` untranslated).
fn is_fatal(body: &[u8]) -> bool {
    body.split(|byte| *byte == 0).any(|field| field == b"VFATAL" || field == b"VPANIC")
}
