//! One connection: the PostgreSQL protocol, synchronous, without named statements.
//!
//! Ours because the usual driver looks up unknown types in the middle of a result: with an enum column and more rows
//! than its buffer holds it waits for itself for ever, and its look-ups are named statements, which transaction
//! poolers mix up. Here a statement is one round trip, rows are handed on as they arrive, and nothing is kept but the
//! read buffer. It knows nothing of sessions, settings or retries; those are in `session`.

use super::address::{Address, Host};
use super::connect;
use super::errors::{Report, lost, protocol};
use super::message::{Message, Statement, column_types, fields, is_fatal, rows_in_tag, write_statement};
use super::pool::Home;
use super::values;
use rustls::{ClientConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use targets::db::{Error, Result, Row};

/// What bytes travel through.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// It goes on elsewhere.
    Gone,
}

/// What is done with a row: the types of its columns, and its message.
pub(super) type EachRow<'a> = dyn FnMut(&[u32], &[u8]) -> Result<()> + 'a;

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
    /// The codes of these notices.
    pub noticed: Vec<String>,
    /// Somebody announced something that this session listens for.
    pub announced: bool,
    /// The longest message to believe in.
    longest: usize,
    transaction: u8,
    lost: bool,
    /// Where it goes when nobody needs it here any more.
    home: Option<Home>,
}

/// Before the log-in everything is short. What answers may not be PostgreSQL at all, and `HTTP` reads as a length of
/// more than a gigabyte.
const LONGEST_BEFORE: usize = 1 << 20;

/// A result that nobody wants is read to its end up to here, then cancelled.
const DRAINED_BYTES: usize = 1 << 20;
/// Nobody reads more notices than this.
const NOTICES: usize = 100;
const BUFFER_BYTES: usize = 64 << 10;

impl Wire {
    /// Connects and logs in.
    pub fn open(address: &Address) -> Result<Self> {
        match &address.pool {
            Some(pool) => pool.wire(),
            None => connect::open(address),
        }
    }

    /// The same connection, which goes back there.
    pub(super) fn at_home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// It is not kept for others: a pooler has better uses for it.
    pub fn leave_home(&mut self) {
        if let Some(home) = self.home.take() {
            home.lost();
        }
    }

    /// The connection by itself, as nobody had used it, where that can be; what is left of this one is empty.
    fn fresh(&mut self) -> Option<Self> {
        self.roll_back();
        if self.lost || self.script("discard all", &mut |_| {}).is_err() {
            return None;
        }
        let input = match self.input.len() > BUFFER_BYTES {
            true => vec![0; BUFFER_BYTES],
            false => std::mem::take(&mut self.input),
        };
        self.lost = true;
        Some(Self {
            stream: std::mem::replace(&mut self.stream, Stream::Gone),
            input,
            start: 0,
            end: 0,
            host: self.host.clone(),
            process_id: self.process_id,
            secret: self.secret,
            parameters: std::mem::take(&mut self.parameters),
            notices: Vec::new(),
            noticed: Vec::new(),
            longest: self.longest,
            announced: false,
            transaction: b'I',
            lost: false,
            home: None,
        })
    }

    /// A connection that has not logged in yet.
    pub(super) fn new(stream: Stream, host: Host) -> Self {
        Self {
            stream,
            input: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            host,
            process_id: 0,
            secret: 0,
            parameters: HashMap::new(),
            notices: Vec::new(),
            noticed: Vec::new(),
            announced: false,
            longest: LONGEST_BEFORE,
            transaction: b'I',
            lost: false,
            home: None,
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
        self.run_raw(statements, &mut |types, body| each(values::row(types, body)?))
    }

    /// The same, each row as it came.
    pub fn run_raw(&mut self, statements: &[Statement<'_>], each: &mut EachRow<'_>) -> Result<u64> {
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
                b'D' if wanted && failure.is_none() => failure = each(&types, &self.input[body]).err(),
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
                b'N' if self.notices.len() < NOTICES => {
                    let report = Report::read(&self.input[body]);
                    self.noticed.push(report.code().to_owned());
                    self.notices.push(report.message().to_owned());
                }
                b'N' => {}
                b'A' => self.announced = true,
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

    /// Waits for anything that the server says by itself, but no longer than this, and takes it in.
    pub fn hear(&mut self, most: Duration) -> Result<()> {
        if self.lost {
            return Err(lost(std::io::ErrorKind::NotConnected.into()));
        }
        if self.start == self.end {
            use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
            (self.start, self.end) = (0, 0);
            let limited = self.stream.set_read_timeout(Some(most.max(Duration::from_millis(1))));
            let read = limited.and_then(|()| self.stream.read(&mut self.input));
            let read = read.and_then(|count| self.stream.set_read_timeout(None).map(|()| count));
            match read {
                Ok(0) => {
                    self.lost = true;
                    return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(count) => self.end = count,
                Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {
                    return self.stream.set_read_timeout(None).map_err(lost);
                }
                Err(error) => {
                    self.lost = true;
                    return Err(lost(error));
                }
            }
        }
        while self.start < self.end {
            let (tag, body) = self.next_raw().inspect_err(|_| self.lost = true)?;
            match tag {
                b'A' => self.announced = true,
                b'E' => {
                    self.lost = true;
                    return Err(Report::read(&self.input[body]).into_error());
                }
                _ => {}
            }
        }
        Ok(())
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
        if self.end == 0 && self.input.len() > needed.max(16 * BUFFER_BYTES) {
            // One large row must not be paid for until the end of the session.
            self.input = vec![0; needed.max(BUFFER_BYTES)];
        }
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
        if let Some(home) = self.home.take() {
            match self.fresh() {
                Some(fresh) => home.take_back(fresh),
                None => home.lost(),
            }
        }
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
            Stream::Gone => Ok(()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
            Stream::Gone => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Unix(stream) => stream.write(buffer),
            Stream::Tls(stream) => stream.write(buffer),
            Stream::Gone => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
            Stream::Gone => Ok(()),
        }
    }
}
