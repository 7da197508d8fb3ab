//! Coming across everything below a folder, on several threads: most of the time goes into asking the system about
//! each file, one by one.
//!
//! Threads open folders, always relative to the handle of the one above and never through a link, and look at what is in
//! them, a portion at a time; whoever asked for the walk is told on his own thread and decides there which folders are gone
//! into. Small trees are walked without any thread. What vanishes meanwhile is left out.

use super::tree::{about, open_folder};
use super::{FOLDER, LocalFiles, is_part};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, DirEntry, Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use std::borrow::Cow;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use targets::db::Result;
use targets::files::{About, Each, LONGEST_NAME, Sort, check_name, failed};

/// Entries that are looked at before another thread may go on with the same folder.
const PORTION: usize = 1024;
/// Portions after which a tree is large enough for threads.
const ALONE: usize = 64;
/// Portions that may wait to be told. Each may keep a folder open, and so may each level of the tree.
const WAITING: usize = 16;

/// See `Files::walk`.
pub fn walk(store: &LocalFiles, folder: &str, each: &mut Each) -> Result<bool> {
    let Some(start) = open_folder(store, folder)? else { return Ok(false) };
    let mut tasks = vec![Task::Read(Folder { here: Arc::new(start), name: folder.into(), entries: None })];
    for _ in 0..ALONE {
        let Some(task) = tasks.pop() else { return Ok(true) };
        let mut rest = None;
        let seen = look(store, task, &mut |more| rest = Some(more));
        tasks.extend(rest);
        tasks.extend(tell(seen, each)?);
    }
    if !tasks.is_empty() {
        on_threads(store, tasks, each)?;
    }
    Ok(true)
}

fn on_threads(store: &LocalFiles, tasks: Vec<Task>, each: &mut Each) -> Result<()> {
    let queue = Queue::default();
    queue.add(tasks);
    let threads = thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 4);
    thread::scope(|scope| {
        let (tellers, told) = sync_channel(WAITING);
        for _ in 0..threads {
            let (queue, teller) = (&queue, tellers.clone());
            scope.spawn(move || work(store, queue, &teller));
        }
        drop(tellers);
        let _over = Over(&queue);
        tell_all(&queue, told, each)
    })
}

/// Tells what the threads have seen until nothing is left.
fn tell_all(queue: &Queue, told: Receiver<Seen>, each: &mut Each) -> Result<()> {
    for seen in told {
        queue.add(tell(seen, each)?);
        if queue.done() {
            break;
        }
    }
    Ok(())
}

fn work(store: &LocalFiles, queue: &Queue, teller: &SyncSender<Seen>) {
    // Also when this thread panics: nobody may wait for it.
    let _over = Over(queue);
    while let Some(task) = queue.next() {
        let seen = look(store, task, &mut |rest| queue.add(vec![rest]));
        if teller.send(seen).is_err() {
            return;
        }
    }
}

/// What is to be looked at.
enum Task {
    /// A folder that is not open yet.
    Open { above: Arc<OwnedFd>, part: String, name: Arc<str> },
    /// The next portion of an open one.
    Read(Folder),
}

struct Folder {
    here: Arc<OwnedFd>,
    name: Arc<str>,
    /// How far it was read; none for not at all.
    entries: Option<Dir>,
}

/// A portion of a folder.
struct Seen {
    /// None when the folder could not be opened: then it is about the folder itself.
    here: Option<Arc<OwnedFd>>,
    folder: Arc<str>,
    /// The names, one after the other.
    parts: String,
    /// Where each of them ends, and what it is.
    found: Vec<(usize, Result<About>)>,
}

/// Looks at one portion. What is left of the folder is handed to `more` before the slow part begins.
fn look(store: &LocalFiles, task: Task, more: &mut dyn FnMut(Task)) -> Seen {
    let cannot = |name: &str, errno: Errno| failed(&store.cannot("look at", name), errno.into());
    let mut folder = match task {
        Task::Read(folder) => folder,
        Task::Open { above, part, name } => {
            match rustix::fs::openat(&above, part.as_str(), FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(here) => Folder { here: Arc::new(here), name, entries: None },
                Err(Errno::NOENT) => return Seen::nothing(name),
                // Also when a link has taken the folder's place meanwhile.
                Err(errno) => return Seen::failed(cannot(&name, errno), name),
            }
        }
    };
    let entries = match folder.entries.take() {
        Some(entries) => Ok(entries),
        None => fcntl_dupfd_cloexec(&folder.here, 0).and_then(Dir::new),
    };
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(errno) => return Seen::failed(cannot(&folder.name, errno), folder.name),
    };
    let mut seen = Seen::nothing(Arc::clone(&folder.name));
    seen.here = Some(Arc::clone(&folder.here));
    let mut portion: Vec<DirEntry> = Vec::new();
    let mut trouble = None;
    while portion.len() < PORTION {
        match entries.read() {
            Some(Ok(entry)) => portion.push(entry),
            // The folder itself has vanished.
            Some(Err(Errno::NOENT)) | None => break,
            Some(Err(errno)) => {
                trouble = Some(cannot(&folder.name, errno));
                break;
            }
        }
    }
    let here = Arc::clone(&folder.here);
    if portion.len() == PORTION {
        folder.entries = Some(entries);
        more(Task::Read(folder));
    }
    for entry in portion {
        if let Some((part, found)) = one(&here, &entry) {
            let found = found.map_err(|errno| cannot(&joined(&seen.folder, &part), errno));
            seen.add(&part, found);
        }
    }
    if let Some(error) = trouble {
        seen.add("", Err(error));
    }
    seen
}

/// The name of an entry and what it is; none when it is not to be told.
fn one<'a>(here: &OwnedFd, entry: &'a DirEntry) -> Option<(Cow<'a, str>, rustix::io::Result<About>)> {
    let bytes = entry.file_name().to_bytes();
    if bytes == b"." || bytes == b".." {
        return None;
    }
    let Ok(part) = std::str::from_utf8(bytes) else {
        return Some((String::from_utf8_lossy(bytes), Ok(nameless())));
    };
    if is_part(part) {
        return None;
    }
    // What is above has passed this already.
    if check_name(part).is_err() {
        return Some((part.into(), Ok(nameless())));
    }
    match rustix::fs::statat(here, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some((part.into(), Ok(about(&stat)))),
        Err(Errno::NOENT) => None,
        Err(errno) => Some((part.into(), Err(errno))),
    }
}

/// Tells a portion; the folders to go into.
fn tell(seen: Seen, each: &mut Each) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    let mut name = String::from(&*seen.folder);
    if !name.is_empty() {
        name.push('/');
    }
    let above = name.len();
    let mut from = 0;
    for (to, found) in seen.found {
        let part = &seen.parts[from..to];
        from = to;
        name.truncate(above);
        name.push_str(part);
        if part.is_empty() {
            each(&seen.folder, found)?;
            continue;
        }
        let found = found.map(|about| if name.len() > LONGEST_NAME { nameless() } else { about });
        let is_folder = found.as_ref().is_ok_and(|about| about.sort == Sort::Folder);
        if each(&name, found)?
            && is_folder
            && let Some(here) = &seen.here
        {
            let (above, part) = (Arc::clone(here), part.to_owned());
            tasks.push(Task::Open { above, part, name: name.as_str().into() });
        }
    }
    Ok(tasks)
}

impl Seen {
    fn nothing(folder: Arc<str>) -> Self {
        Self { here: None, folder, parts: String::new(), found: Vec::new() }
    }

    fn failed(error: targets::db::Error, folder: Arc<str>) -> Self {
        let mut seen = Self::nothing(folder);
        seen.add("", Err(error));
        seen
    }

    fn add(&mut self, part: &str, found: Result<About>) {
        self.parts.push_str(part);
        self.found.push((self.parts.len(), found));
    }
}

fn joined(folder: &str, part: &str) -> String {
    if folder.is_empty() { part.to_owned() } else { format!("{folder}/{part}") }
}

fn nameless() -> About {
    About { sort: Sort::Other, bytes: 0, modified_us: 0, shared: None }
}

/// What is left to do. The newest comes first, so that few folders are open at once.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: Vec<Task>,
    /// Tasks of which not everything is told yet.
    open: usize,
    over: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, tasks: Vec<Task>) {
        let mut waiting = self.waiting();
        waiting.open += tasks.len();
        waiting.tasks.extend(tasks);
        self.bell.notify_all();
    }

    /// One task is told; whether it was the last.
    fn done(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.open -= 1;
        waiting.open == 0
    }

    fn next(&self) -> Option<Task> {
        let mut waiting = self.waiting();
        loop {
            if waiting.over {
                return None;
            }
            if let Some(task) = waiting.tasks.pop() {
                return Some(task);
            }
            waiting = self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Sends everybody home when it goes.
struct Over<'a>(&'a Queue);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.waiting().over = true;
        self.0.bell.notify_all();
    }
}
