//! What a dump says of itself while it passes: its table of contents, and how many rows each table gave.
//!
//! Both formats of `pg_dump` begin with the same table of contents; the custom one goes on with the rows, one line each. Only the
//! versions of the format that are known here are read (PostgreSQL 12 to 17), and only uncompressed. Of any other nothing is told,
//! rather than something wrong: counts are a help and never the reason for a backup to fail.

use std::collections::HashMap;

/// The end of a table's rows, after the last of them.
const END: &[u8] = b"\\.\n\n\n";
/// So many bytes tell which version it is.
const HEAD: usize = 16;
/// A table of contents larger than this is not waited for.
const LONGEST: usize = 256 << 20;

/// An entry of the table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub id: i64,
    pub schema: String,
    pub tag: String,
    pub sort: String,
}

/// Reads along.
#[derive(Default)]
pub(super) struct Stream {
    state: State,
    held: Vec<u8>,
    /// So much must be there before the table of contents is worth another try.
    wanted: usize,
    /// How many bytes a number has.
    width: usize,
    entries: Vec<Entry>,
    rows: HashMap<i64, u64>,
}

#[derive(Default)]
enum State {
    #[default]
    Contents,
    /// The sort of what comes, and whose it is.
    Block,
    /// The length of a piece of a table's rows.
    Piece(Lines),
    /// The rows themselves.
    Rows(Lines, usize),
    /// The number of a large object, or 0 when there are no more.
    Object,
    /// The length of a piece of a large object.
    ObjectPiece,
    /// The large object itself.
    ObjectBytes(usize),
    /// What comes is not known: nothing is told.
    Lost,
}

/// The lines of one table so far.
#[derive(Default)]
pub(super) struct Lines {
    id: i64,
    ends: u64,
    last: Vec<u8>,
}

impl Lines {
    pub fn of(id: i64) -> Self {
        Self { id, ..Self::default() }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        self.ends += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let tail = &bytes[bytes.len().saturating_sub(END.len())..];
        self.last.extend_from_slice(tail);
        let surplus = self.last.len().saturating_sub(END.len());
        self.last.drain(..surplus);
    }

    /// Rows are lines, but for the mark of the end; none when that is missing.
    pub fn rows(&self) -> Option<u64> {
        if self.last != END {
            return None;
        }
        self.ends.checked_sub(3)
    }
}

impl Stream {
    /// Takes the next bytes of a dump in the custom format.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// The table of contents of a file that holds nothing else.
    pub fn contents_of(bytes: &[u8]) -> Option<Vec<Entry>> {
        read_contents(bytes, false).map(|(_, entries, _)| entries)
    }

    /// What is in the dump, if it was understood, with the rows of each table.
    pub fn outcome(mut self) -> Option<(Vec<Entry>, HashMap<i64, u64>)> {
        if matches!(self.state, State::Contents) {
            // No more comes: a small dump ends before another try was worth it.
            self.wanted = 0;
            self.begin();
        }
        let understood = matches!(self.state, State::Block) && self.held.is_empty();
        understood.then_some((self.entries, self.rows))
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Lost => &[],
            State::Contents => {
                self.held.extend_from_slice(bytes);
                self.begin();
                &[]
            }
            State::Rows(mut lines, left) => {
                let (now, rest) = bytes.split_at(left.min(bytes.len()));
                lines.add(now);
                self.state = match left - now.len() {
                    0 => State::Piece(lines),
                    left => State::Rows(lines, left),
                };
                rest
            }
            State::ObjectBytes(left) => {
                let (now, rest) = bytes.split_at(left.min(bytes.len()));
                self.state = match left - now.len() {
                    0 => State::ObjectPiece,
                    left => State::ObjectBytes(left),
                };
                rest
            }
            state => self.small(state, bytes),
        }
    }

    /// States that wait for one number.
    fn small<'a>(&mut self, state: State, bytes: &'a [u8]) -> &'a [u8] {
        let kind = usize::from(matches!(state, State::Block));
        let needed = kind + 1 + self.width;
        let (now, rest) = bytes.split_at((needed - self.held.len()).min(bytes.len()));
        self.held.extend_from_slice(now);
        if self.held.len() < needed {
            self.state = state;
            return rest;
        }
        let held = std::mem::take(&mut self.held);
        let mut from = Bytes { bytes: &held[kind..], width: self.width };
        let number = from.number();
        let length = number.and_then(|number| usize::try_from(number).ok());
        self.state = match (state, number, length) {
            (State::Block, Some(id), _) if held[0] == 1 => State::Piece(Lines::of(id)),
            (State::Block, Some(_), _) if held[0] == 3 => State::Object,
            (State::Piece(lines), _, Some(0)) => {
                if let Some(rows) = lines.rows() {
                    self.rows.insert(lines.id, rows);
                }
                State::Block
            }
            (State::Piece(lines), _, Some(length)) => State::Rows(lines, length),
            (State::Object, Some(0), _) => State::Block,
            (State::Object, Some(_), _) => State::ObjectPiece,
            (State::ObjectPiece, _, Some(0)) => State::Object,
            (State::ObjectPiece, _, Some(length)) => State::ObjectBytes(length),
            _ => State::Lost,
        };
        rest
    }

    fn begin(&mut self) {
        let unknown = self.held.len() >= HEAD && head(&self.held, true).is_none();
        if unknown || self.held.len() > LONGEST {
            self.held = Vec::new();
            return;
        }
        self.state = State::Contents;
        if self.held.len() < self.wanted {
            return;
        }
        match read_contents(&self.held, true) {
            Some((width, entries, length)) => {
                let rest = self.held.split_off(length);
                self.held = Vec::new();
                self.width = width;
                self.entries = entries;
                self.state = State::Block;
                self.take(&rest);
            }
            None => self.wanted = self.held.len() * 2,
        }
    }
}

/// Its version, how many bytes a number and a place in the file have, and where its beginning ends; none when it is of another
/// version, or compressed.
fn head(bytes: &[u8], custom: bool) -> Option<(u8, usize, usize, usize)> {
    let head = bytes.get(..HEAD)?;
    let (minor, width, offset, format) = (head[6], usize::from(head[8]), usize::from(head[9]), head[10]);
    let known = head.starts_with(b"PGDMP") && head[5] == 1 && (14..=16).contains(&minor);
    // the level of compression as a number, or since 1.15 the algorithm as one byte
    let end = if minor == 14 { HEAD } else { 12 };
    let compressed = head[11..end].iter().any(|byte| *byte != 0);
    (known && width == 4 && offset <= 8 && custom == (format == 1) && !compressed)
        .then_some((minor, width, offset, end))
}

/// How many bytes a number has, the entries, and where they end; none when there is too little of it, or it is not known.
fn read_contents(bytes: &[u8], custom: bool) -> Option<(usize, Vec<Entry>, usize)> {
    let (minor, width, offset, end) = head(bytes, custom)?;
    let mut from = Bytes { bytes: &bytes[end..], width };
    for _ in 0..7 {
        from.number()?;
    }
    for _ in 0..3 {
        from.text()?;
    }
    let mut entries = Vec::new();
    for _ in 0..from.number()? {
        let id = from.number()?;
        from.number()?;
        from.text()?;
        from.text()?;
        let tag = from.text()?.unwrap_or_default();
        let sort = from.text()?.unwrap_or_default();
        from.number()?;
        for _ in 0..3 {
            from.text()?;
        }
        let schema = from.text()?.unwrap_or_default();
        for _ in 0..2 {
            from.text()?;
        }
        if minor >= 16 {
            from.number()?;
        }
        for _ in 0..2 {
            from.text()?;
        }
        while from.text()?.is_some() {}
        match custom {
            true => drop(from.take(1 + offset)?),
            false => drop(from.text()?),
        }
        entries.push(Entry { id, schema, tag, sort });
    }
    Some((width, entries, bytes.len() - from.bytes.len()))
}

struct Bytes<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (now, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(now)
    }

    /// A sign and so many bytes, the lowest first.
    fn number(&mut self) -> Option<i64> {
        let bytes = self.take(1 + self.width)?;
        let size = bytes[1..].iter().rev().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        Some(if bytes[0] == 0 { size } else { -size })
    }

    /// A length and so many bytes; a negative length stands for nothing.
    fn text(&mut self) -> Option<Option<String>> {
        let length = self.number()?;
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        Some(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Stream};

    fn number(size: u32) -> Vec<u8> {
        [&[0_u8][..], &size.to_le_bytes()].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [&number(text.len() as u32)[..], text.as_bytes()].concat()
    }

    /// One table of two rows and a large object, as version 1.14 writes them.
    fn dump() -> Vec<u8> {
        let none = [&[1_u8][..], &1_u32.to_le_bytes()].concat();
        let mut all = [&b"PGDMP"[..], &[1, 14, 0, 4, 8, 1], &number(0)].concat();
        (0..7).for_each(|_| all.extend(number(0)));
        (0..3).for_each(|_| all.extend(text("15.1")));
        all.extend(number(1));
        all.extend(
            [number(7), number(1), text("0"), text("0"), text("t"), text("TABLE DATA"), number(3)].concat(),
        );
        (0..3).for_each(|_| all.extend(text("")));
        all.extend([text("public"), text(""), text(""), text("app"), text("false")].concat());
        all.extend(none);
        all.extend([0; 9]);
        let rows = b"1\n2\n\\.\n\n\n";
        all.extend([&[1][..], &number(7), &number(rows.len() as u32), rows, &number(0)].concat());
        all.extend([&[3][..], &number(8), &number(9), &text("\n\n"), &number(0), &number(0)].concat());
        all
    }

    #[test]
    fn a_dump_tells_the_same_in_pieces_of_any_size() {
        let all = dump();
        for size in (1..40).chain([all.len() - 1, all.len()]) {
            let mut stream = Stream::default();
            all.chunks(size).for_each(|piece| stream.take(piece));
            let (entries, rows) = stream.outcome().unwrap_or_else(|| panic!("in pieces of {size}"));
            assert_eq!((entries[0].tag.as_str(), rows[&7]), ("t", 2), "in pieces of {size}");
        }
        for cut in 0..all.len() {
            let mut stream = Stream::default();
            stream.take(&all[..cut]);
            let told = stream.outcome().is_some_and(|(_, rows)| rows.get(&7).is_some_and(|rows| *rows != 2));
            assert!(!told, "cut at {cut}");
        }
    }

    #[test]
    fn rows_are_lines_whatever_the_pieces() {
        for size in 1..12 {
            let mut lines = Lines::of(1);
            for piece in b"a\tb\\n\nc\t\\N\n\\.\n\n\n".chunks(size) {
                lines.add(piece);
            }
            assert_eq!(lines.rows(), Some(2), "in pieces of {size}");
        }
        let mut cut = Lines::of(1);
        cut.add(b"a\n\\.\n");
        assert_eq!(cut.rows(), None);
    }
}
