//! The life of a worker: a program comes in, then rows, and for each row what the program made of it goes out.
//!
//! Frames: four bytes of length (little-endian), then that many bytes. First the program as JSON, answered with one frame: empty,
//! or what is wrong with it. Then requests of several rows each; every row gets a frame of its own, sent together with others
//! where that is quick. A worker promises nothing: it may die at any row.

use super::program::compile;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use targets::programs::{Outcome, Program};

/// Answers wait for others until they are as large as this …
const TOGETHER: usize = 64 << 10;
/// … or as old as this.
const WAITS: Duration = Duration::from_millis(50);
/// Programs recurse, also good ones.
const STACK: usize = 64 << 20;

/// What the first byte of an answer says.
pub(super) const GIVEN: u8 = 0;
pub(super) const FAILED: u8 = 1;

/// Serves with at most so many bytes of address space, until nothing more comes in. For a process of its own: the limit
/// stays, and it dies with its parent.
pub fn serve_within(bytes: u64, from: impl Read + Send, to: impl Write + Send) -> io::Result<()> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(bytes))?;
    // A worker dies by aborting: its core is of no use to anybody.
    setrlimit(Resource::Core, limit(0))?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || serve(from, to))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
    })
}

/// Serves until nothing more comes in.
pub fn serve(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let Some(first) = read_frame(&mut from)? else { return Ok(()) };
    let program: Program = serde_json::from_slice(&first)?;
    let compiled = match compile(&program) {
        Ok(compiled) => compiled,
        Err(reason) => {
            write_frame(&mut to, reason.as_bytes())?;
            return to.flush();
        }
    };
    write_frame(&mut to, b"")?;
    to.flush()?;
    while let Some(request) = read_frame(&mut from)? {
        let (careful, rows) = read_rows(&request)?;
        let mut answers = Vec::new();
        let mut since = Instant::now();
        for row in rows {
            answer(&compiled.run(row), &mut answers);
            if careful || answers.len() >= TOGETHER || since.elapsed() >= WAITS {
                to.write_all(&answers)?;
                to.flush()?;
                answers.clear();
                since = Instant::now();
            }
        }
        to.write_all(&answers)?;
        to.flush()?;
    }
    Ok(())
}

/// One answer, as a frame.
fn answer(outcome: &Outcome, into: &mut Vec<u8>) {
    let begin = into.len();
    into.extend([0; 4]);
    match outcome {
        Outcome::Given(values) => {
            into.push(GIVEN);
            for value in values {
                put(value.as_bytes(), into);
            }
        }
        Outcome::Failed(reason) => {
            into.push(FAILED);
            into.extend(reason.as_bytes());
        }
    }
    let length = (into.len() - begin - 4) as u32;
    into[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

/// Length and bytes.
pub(super) fn put(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend((bytes.len() as u32).to_le_bytes());
    into.extend(bytes);
}

/// The parts of a frame that each have a length of their own.
pub(super) fn parts(mut frame: &[u8]) -> io::Result<Vec<&str>> {
    let broken = || io::Error::new(ErrorKind::InvalidData, "a frame is broken");
    let mut all = Vec::new();
    while !frame.is_empty() {
        let (length, rest) = frame.split_first_chunk::<4>().ok_or_else(broken)?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(broken)?;
        all.push(std::str::from_utf8(part).map_err(|_| broken())?);
        frame = rest;
    }
    Ok(all)
}

fn read_rows(request: &[u8]) -> io::Result<(bool, Vec<&str>)> {
    match request.split_first() {
        Some((careful, rows)) => Ok((*careful == 1, parts(rows)?)),
        None => Ok((false, Vec::new())),
    }
}

pub(super) fn write_frame(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(bytes)
}

/// The next frame; none at a clean end.
pub(super) fn read_frame(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < 4 {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(more) => have += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
