//! The other side of a worker: starts it, gives it rows, notices when it dies or takes too long, and finds the row it died of.
//!
//! Rows go out several at a time. After a death the rows without an answer go out once more, each answer sent by itself: then
//! the first without one is the guilty row. Only that one has failed.

use super::serve::{FAILED, GIVEN, parts, put, read_frame, serve, write_frame};
use std::ffi::OsString;
use std::io::{self, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use targets::db::{Error, Result};
use targets::programs::{Outcome, Program, Programs, Running};

/// As many rows go out together, or fewer when they are large.
const ROWS: usize = 1_000;
const BYTES: usize = 1 << 20;
/// After so many rows in a row that brought their worker down, the program is to blame.
const HOPELESS: u32 = 20;

/// Runs programs in child processes.
#[derive(Debug, Clone)]
pub struct Children {
    /// What is started.
    pub program: PathBuf,
    /// With these arguments.
    pub arguments: Vec<OsString>,
    /// How long a row may take.
    pub patience: Duration,
}

/// Runs programs in threads of this process, without any limit: for tests.
#[derive(Debug, Clone, Default)]
pub struct InProcess;

impl Programs for Children {
    fn start(&self, program: &Program) -> Result<Box<dyn Running>> {
        let own = self.clone();
        Worker::start(Box::new(move || own.spawn()), program, self.patience)
    }
}

impl Programs for InProcess {
    fn start(&self, program: &Program) -> Result<Box<dyn Running>> {
        Worker::start(Box::new(thread), program, Duration::from_secs(600))
    }
}

impl Children {
    fn spawn(&self) -> io::Result<Peer> {
        let mut child = Command::new(&self.program)
            .arg0("sexton")
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err(io::Error::other("no pipes")) };
        Ok(Peer { to: Box::new(to), answers: listen(from), child: Some(child) })
    }
}

fn thread() -> io::Result<Peer> {
    let (their, to) = io::pipe()?;
    let (from, out) = io::pipe()?;
    std::thread::Builder::new().stack_size(64 << 20).spawn(move || serve(BufReader::new(their), out))?;
    Ok(Peer { to: Box::new(to), answers: listen(from), child: None })
}

/// Frames, as many at a time as came in together, from a thread that ends when the other side does. However many there are it
/// never waits for whoever takes them: the other side could then not go on, nor take in what is being sent to it.
fn listen(from: impl io::Read + Send + 'static) -> Receiver<Vec<Vec<u8>>> {
    let (sender, answers) = channel();
    std::thread::spawn(move || {
        let mut from = BufReader::with_capacity(BYTES / 8, from);
        while let Ok(Some(frame)) = read_frame(&mut from) {
            let mut some = vec![frame];
            while is_whole(from.buffer())
                && let Ok(Some(frame)) = read_frame(&mut from)
            {
                some.push(frame);
            }
            if sender.send(some).is_err() {
                break;
            }
        }
    });
    answers
}

/// Whether all of a frame is there.
fn is_whole(bytes: &[u8]) -> bool {
    bytes
        .split_first_chunk::<4>()
        .is_some_and(|(length, rest)| rest.len() >= u32::from_le_bytes(*length) as usize)
}

/// A worker at work.
struct Peer {
    to: Box<dyn Write + Send>,
    answers: Receiver<Vec<Vec<u8>>>,
    child: Option<Child>,
}

impl Peer {
    /// Ends it; how it ended.
    fn end(&mut self) -> String {
        let Some(child) = &mut self.child else { return "its thread ended".to_owned() };
        let _ = child.kill();
        match child.wait() {
            Ok(status) => match status.signal() {
                Some(6) | Some(11) => "it ran out of stack or memory".to_owned(),
                Some(signal) => format!("its process was ended by signal {signal}"),
                None => format!("its process ended ({status})"),
            },
            Err(error) => format!("its process is lost: {error}"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

type Make = Arc<dyn Fn() -> io::Result<Peer> + Send + Sync>;

/// A program with the worker that has it, if one lives.
struct Worker {
    make: Make,
    first: Vec<u8>,
    patience: Duration,
    peer: Option<Peer>,
    deaths: u32,
}

impl Worker {
    fn start(
        make: Box<dyn Fn() -> io::Result<Peer> + Send + Sync>,
        program: &Program,
        patience: Duration,
    ) -> Result<Box<dyn Running>> {
        let first = serde_json::to_vec(program)
            .map_err(|error| Error::system("the jq program cannot be handed over").because(error))?;
        let mut worker = Worker { make: make.into(), first, patience, peer: None, deaths: 0 };
        worker.peer()?;
        Ok(Box::new(worker))
    }

    /// The living worker, or a new one.
    fn peer(&mut self) -> Result<&mut Peer> {
        if self.peer.is_none() {
            let cannot = |error| {
                Error::system("the worker for jq programs cannot be started")
                    .help("look whether this machine has processes and memory left")
                    .because(error)
            };
            let mut peer = (self.make)().map_err(cannot)?;
            let written = write_frame(&mut peer.to, &self.first).and_then(|()| peer.to.flush());
            // It may have died before it read this: what it says, or does not, tells more.
            let answer = peer.answers.recv_timeout(self.patience + Duration::from_secs(10));
            match answer {
                Ok(reason) if reason.iter().any(|frame| !frame.is_empty()) => {
                    let reason = String::from_utf8_lossy(&reason.concat()).into_owned();
                    return Err(Error::usage(format!("the jq program cannot be read: {reason}"))
                        .help("correct the program; `jq` and `jaq` read the same language"));
                }
                Ok(_) => written.map_err(cannot)?,
                Err(_) => return Err(cannot(io::Error::other(peer.end()))),
            }
            self.peer = Some(peer);
        }
        self.peer.as_mut().ok_or_else(|| Error::system("the worker for jq programs is gone"))
    }

    /// Gives rows to the worker and takes answers until all are there; else why there will be no more. The next rows go out
    /// before the last ones have come back, so that neither side waits for the other.
    fn converse(
        &mut self,
        rows: &[String],
        careful: bool,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Option<String>> {
        let patience = self.patience;
        let peer = self.peer()?;
        let (mut sent, mut got) = (0, 0);
        while got < rows.len() {
            while sent < rows.len() && sent - got <= ROWS {
                let some = &rows[sent..sent + together(&rows[sent..])];
                let mut request = vec![u8::from(careful)];
                some.iter().for_each(|row| put(row.as_bytes(), &mut request));
                if write_frame(&mut peer.to, &request).and_then(|()| peer.to.flush()).is_err() {
                    return Ok(Some(self.lost(false)));
                }
                sent += some.len();
            }
            match peer.answers.recv_timeout(patience) {
                Ok(frames) => {
                    got += frames.len();
                    for frame in frames {
                        outcomes.push(read(&frame)?);
                    }
                }
                Err(error) => return Ok(Some(self.lost(error == RecvTimeoutError::Timeout))),
            }
        }
        Ok(None)
    }

    fn lost(&mut self, late: bool) -> String {
        let how = self.peer.take().map(|mut peer| peer.end()).unwrap_or_default();
        match late {
            true => format!("it takes longer than {} s", self.patience.as_secs_f64()),
            false => how,
        }
    }
}

fn read(frame: &[u8]) -> Result<Outcome> {
    let broken = || Error::system("the worker for jq programs said something that nobody understands");
    match frame.split_first() {
        Some((&GIVEN, rest)) => {
            let values = parts(rest).map_err(|error| broken().because(error))?;
            Ok(Outcome::Given(values.into_iter().map(str::to_owned).collect()))
        }
        Some((&FAILED, rest)) => Ok(Outcome::Failed(String::from_utf8_lossy(rest).into_owned())),
        _ => Err(broken()),
    }
}

/// How many of these rows go out together.
fn together(rows: &[String]) -> usize {
    let mut bytes = 0;
    let fit = rows.iter().take(ROWS).take_while(|row| {
        bytes += row.len();
        bytes <= BYTES
    });
    fit.count().max(1).min(rows.len())
}

impl Running for Worker {
    fn transform(&mut self, rows: &[String]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(rows.len());
        while outcomes.len() < rows.len() {
            let before = outcomes.len();
            if self.converse(&rows[before..], false, &mut outcomes)?.is_none() {
                self.deaths = 0;
                continue;
            }
            // Once more from the first without an answer, one by one, up to the guilty row.
            let left = &rows[outcomes.len()..];
            let rest = &left[..together(left)];
            let again = outcomes.len();
            if let Some(reason) = self.converse(rest, true, &mut outcomes)? {
                self.deaths = if outcomes.len() > again || again > before { 1 } else { self.deaths + 1 };
                if self.deaths >= HOPELESS {
                    return Err(Error::data(format!(
                        "the jq program brings its worker down again and again: {reason}"
                    ))
                    .help("correct the program: it recurses without end, loops, or needs too much memory"));
                }
                outcomes.push(Outcome::Failed(reason));
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Program {
        Program { text: text.to_owned(), args: Default::default(), now: 0.0, pretty: false }
    }

    #[test]
    fn rows_come_back_in_their_order_however_many_there_are() {
        let mut running =
            InProcess.start(&program("if . == 7 then error(\"seven\") else ., . + 1 end")).ok().unwrap();
        let rows: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
        let outcomes = running.transform(&rows).unwrap();
        assert_eq!(outcomes.len(), 5_000);
        assert_eq!(outcomes[7], Outcome::Failed("seven".into()));
        assert_eq!(outcomes[4_999], Outcome::Given(vec!["4999".into(), "5000".into()]));
    }

    #[test]
    fn a_program_that_cannot_be_read_is_refused_at_the_start() {
        let error = InProcess.start(&program(".a |")).err().unwrap();
        assert_eq!(error.class, targets::db::Class::Usage);
    }
}
