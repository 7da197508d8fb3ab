//! Whole copies of a PostgreSQL database, by its own `pg_dump` and `pg_restore`.
//!
//! The custom format streams, uncompressed, because whoever keeps it compresses it better; `pg_restore --list` reads along
//! and must understand it. The directory format is for several tables at a time and lies in the scratch folder first. A
//! revived dump is a database of its own on the same server; replacing is two renames, so nothing is lost and no session
//! of others is ever ended.

use super::Postgres;
use super::address::Address;
use super::dump_stream::{Entry, Lines, Stream};
use super::tools::{Tools, command, complaint};
use super::wire::Wire;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use targets::db::{
    Class, Contents, Copies, Database, Dumping, EachPart, Error, Facts, Held, Result, Table, TableKind,
    TableName, Url, quote,
};
use targets::files::failed;

/// The one part of a dump in the custom format.
const PART: &str = "dump";
/// The file of a dump in the directory format that says what the others are.
const TOC: &str = "toc.dat";
/// By how much a dump lets others go first.
const BEHIND: i32 = 10;
const SCRATCH: &str = "sexton_drill_";
/// A table that goes in the moment between being listed and being locked makes the whole dump fail.
const TRIES: u32 = 3;

impl Copies for Postgres {
    fn formats(&self) -> &'static [&'static str] {
        &["custom", "directory"]
    }

    fn dump(&self, how: &Dumping, each: &mut EachPart) -> Result<Contents> {
        let mut tried = 1;
        loop {
            match self.dump_once(how, each) {
                Err(error) if error.class == Class::Transient && tried < TRIES => tried += 1,
                outcome => return outcome,
            }
        }
    }

    fn look(&self, how: &Dumping, folder: &Path) -> Result<Contents> {
        let (_, tools) = self.tools(how)?;
        let custom = folder.join(PART);
        let (what, format) =
            if custom.exists() { (custom.as_path(), "custom") } else { (folder, "directory") };
        let said = std::process::Command::new(&tools.restore)
            .arg("--list")
            .arg(what)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed("cannot start `pg_restore`", error))?;
        if !said.status.success() {
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            return Err(Error::system("`pg_restore` does not understand the backup")
                .help("use an older backup; `sexton backup list` shows them")
                .because(text.trim().to_owned()));
        }
        Ok(contents(&String::from_utf8_lossy(&said.stdout), format, &tools, String::new()))
    }

    fn revive(&self, how: &Dumping, folder: &Path, name: &str) -> Result<Arc<dyn Database>> {
        let (_, tools) = self.tools(how)?;
        self.tell(&format!("create database {} template template0", quote(name)))
            .map_err(|error| error.while_doing(&format!("making the database `{name}`")))?;
        let outcome = self.fill(&tools, how, folder, name);
        if let Err(error) = outcome {
            // What is half filled helps nobody; it was made a moment ago, by us.
            let _ = self.tell(&format!("drop database {}", quote(name)));
            return Err(error);
        }
        Ok(Arc::new(Postgres::new(name, Url::parse(&beside(&self.url.expose(), name))?)))
    }

    fn blank(&self, _how: &Dumping, name: &str) -> Result<Arc<dyn Database>> {
        self.make_blank(name)
    }

    fn script(&self, how: &Dumping, without: &[TableName]) -> Result<String> {
        let (_, tools) = self.tools(how)?;
        self.whole_script(&tools, without)
    }

    fn scratch_name(&self, _how: &Dumping, id: &str) -> String {
        format!("{SCRATCH}{id}")
    }

    fn discard(&self, name: &str) -> Result<()> {
        if !name.starts_with(SCRATCH) {
            return Err(Error::usage(format!("`{name}` was not made to be discarded")));
        }
        self.tell(&format!("drop database if exists {}", quote(name)))
    }

    fn replace(&self, revived: &str, aside: &str) -> Result<Option<String>> {
        let live = Address::parse(&self.url.expose())?.database;
        let rename = |from: &str, to: &str| {
            let sql = format!("alter database {} rename to {}", quote(from), quote(to));
            let url = beside(&self.url.expose(), "postgres");
            Wire::open(&Address::parse(&url)?)?.script(&sql, &mut |_| {})
        };
        rename(&live, aside).map_err(|error| {
            let help =
                format!("stop what uses `{live}`, then try again: a database in use cannot be replaced");
            error.while_doing(&format!("putting `{live}` aside")).help(help)
        })?;
        if let Err(error) = rename(revived, &live) {
            let back = rename(aside, &live);
            let error = error.while_doing(&format!("putting `{revived}` in the place of `{live}`"));
            return Err(match back {
                Ok(()) => error,
                Err(_) => error.help(format!("the old one is kept as `{aside}`: rename it back by hand")),
            });
        }
        Ok(Some(aside.to_owned()))
    }
}

impl Postgres {
    /// The version of the server, and programs that fit it.
    fn tools(&self, how: &Dumping) -> Result<(String, Tools)> {
        let mut session = self.connect(true)?;
        if session.pooled {
            return Err(Error::usage(format!("`{}` is reached through a pooler", self.label)).help(
                "give the database a URL that leads to the server itself: `pg_dump` and `pg_restore` change settings of \
                 their session, which a pooler hands on to others",
            ));
        }
        let server = session.server()?;
        Ok((server.version, Tools::find(server.version_number / 10_000, how.programs.as_deref())?))
    }

    /// One statement outside of any transaction.
    pub(super) fn tell(&self, sql: &str) -> Result<()> {
        Wire::open(&Address::parse(&self.url.expose())?)?.script(sql, &mut |_| {})
    }

    fn dump_once(&self, how: &Dumping, each: &mut EachPart) -> Result<Contents> {
        let (server, tools) = self.tools(how)?;
        let address = Address::parse(&self.url.expose())?;
        let directory = how.format.as_deref() == Some("directory");
        let mut dump = command(&tools.dump, &address);
        dump.args(["--no-password", "--lock-wait-timeout=60s", "--compress=0"]);
        let listed = if directory {
            let folder = how.scratch.join("dump");
            let _ = std::fs::remove_dir_all(&folder);
            dump.arg("--format=directory")
                .arg(format!("--jobs={}", how.jobs.max(1)))
                .arg("--file")
                .arg(&folder);
            let child = dump.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
            let child = child.map_err(|error| failed("cannot start `pg_dump`", error))?;
            step_back(&child);
            let said =
                child.wait_with_output().map_err(|error| failed("cannot wait for `pg_dump`", error))?;
            if !said.status.success() {
                return Err(complaint("pg_dump", &self.label, &String::from_utf8_lossy(&said.stderr)));
            }
            let rows = send_folder(&folder, each)?;
            let listed = self.look(how, &folder)?;
            let toc = std::fs::read(folder.join(TOC)).unwrap_or_default();
            let entries = Stream::contents_of(&toc);
            let _ = std::fs::remove_dir_all(&folder);
            counted(listed, entries.map(|entries| (entries, rows)))
        } else {
            dump.arg("--format=custom");
            let mut output = Output::start(dump, &tools, &self.label)?;
            each(PART, &mut output)?;
            let list = output.listed()?;
            counted(
                contents(&list, "custom", &tools, String::new()),
                std::mem::take(&mut output.stream).outcome(),
            )
        };
        let found = Contents { server_version: server, ..listed };
        let holds_rows = |table: &Table| table.kind == TableKind::Ordinary;
        if found.tables.is_empty() && self.read()?.schema()?.tables.iter().any(holds_rows) {
            return Err(Error::system(format!(
                "the dump of `{}` holds no table, and the database has some",
                self.label
            ))
            .help("this role must be able to read everything: `grant pg_read_all_data to ROLE`"));
        }
        Ok(found)
    }

    fn fill(&self, tools: &Tools, how: &Dumping, folder: &Path, name: &str) -> Result<()> {
        let address = Address { database: name.to_owned(), ..Address::parse(&self.url.expose())? };
        let custom = folder.join(PART);
        let mut restore = command(&tools.restore, &address);
        // The name may hold what libpq would take for a connection string of its own.
        let safe = name.replace('\\', "\\\\").replace('\'', "\\'");
        restore.arg("--no-password").arg("--exit-on-error").arg(format!("--dbname=dbname='{safe}'"));
        if how.jobs > 1 {
            restore.arg(format!("--jobs={}", how.jobs));
        }
        let said = restore
            .arg(if custom.exists() { custom.as_path() } else { folder })
            .output()
            .map_err(|error| failed("cannot start `pg_restore`", error))?;
        if said.status.success() {
            return Ok(());
        }
        Err(complaint("pg_restore", name, &String::from_utf8_lossy(&said.stderr)))
    }
}

/// As messages and reports spell it everywhere else.
fn table_name(schema: &str, name: &str) -> String {
    targets::db::TableName::within(schema, name).to_string()
}

/// What `pg_restore --list` says: `3352; 0 16390 TABLE DATA public orders app`.
fn contents(list: &str, format: &str, tools: &Tools, server_version: String) -> Contents {
    let tables = list
        .lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| {
            let (_, rest) = line.split_once(" TABLE DATA ")?;
            let mut words = rest.split(' ');
            let schema = words.next()?;
            // the last word is the owner, and a name may have blanks
            let mut name: Vec<&str> = words.collect();
            name.pop();
            Some(Held { name: table_name(schema, &name.join(" ")), rows: None })
        })
        .collect();
    Contents {
        format: format.to_owned(),
        server_version,
        tool_version: tools.version.clone(),
        schema: String::new(),
        tables,
    }
}

/// The same with the rows that went into the dump, where the dump told.
fn counted(listed: Contents, told: Option<(Vec<Entry>, HashMap<i64, u64>)>) -> Contents {
    let Some((entries, rows)) = told else { return listed };
    let made_here: HashSet<(&str, &str)> = entries
        .iter()
        .filter(|entry| entry.sort == "TABLE")
        .map(|entry| (entry.schema.as_str(), entry.tag.as_str()))
        .collect();
    let with_rows = entries.iter().filter(|entry| entry.sort == "TABLE DATA");
    let tables = with_rows
        .map(|entry| Held {
            name: table_name(&entry.schema, &entry.tag),
            // A table that an extension makes has rows of its own besides those in the dump.
            rows: rows
                .get(&entry.id)
                .copied()
                .filter(|_| made_here.contains(&(entry.schema.as_str(), entry.tag.as_str()))),
        })
        .collect();
    Contents { tables, ..listed }
}

/// A backup has time: on this machine others go first.
fn step_back(child: &Child) {
    let _ = rustix::process::setpriority_process(Some(rustix::process::Pid::from_child(child)), BEHIND);
}

/// Sends all files; says how many rows each of them held, by the number in its name.
fn send_folder(folder: &Path, each: &mut EachPart) -> Result<HashMap<i64, u64>> {
    let doing = "cannot read the dump in the scratch folder";
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(doing, error))? {
        let entry = entry.map_err(|error| failed(doing, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut rows = HashMap::new();
    for name in names {
        let place = folder.join(&name);
        let file = File::open(&place).map_err(|error| failed(doing, error))?;
        let id = name.strip_suffix(".dat").and_then(|id| id.parse().ok());
        let mut counting = Counting { file, lines: Lines::of(id.unwrap_or(0)) };
        each(&name, &mut counting)?;
        if let (Some(id), Some(found)) = (id, counting.lines.rows()) {
            rows.insert(id, found);
        }
        // the room is needed by what comes after
        let keeps = name == TOC;
        if !keeps {
            let _ = File::options().write(true).truncate(true).open(&place);
        }
    }
    Ok(rows)
}

/// A file of rows, counted while it is read.
struct Counting {
    file: File,
    lines: Lines,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.lines.add(&buffer[..read]);
        Ok(read)
    }
}

/// How much `pg_dump` may have written before somebody reads it.
const PIPE: usize = 1 << 20;
/// It writes 4 KB at a time, and to wake somebody for each of them costs more than to carry them.
const ENOUGH: usize = 128 << 10;
const GATHERING: Duration = Duration::from_millis(1);

/// What `pg_dump` writes. The end of it is an error unless the program ended well.
struct Output {
    dump: Child,
    lister: Child,
    /// The way to `pg_restore --list`, for as long as it reads.
    along: Option<ChildStdin>,
    list: Option<JoinHandle<String>>,
    stream: Stream,
    complaints: Option<JoinHandle<String>>,
    label: String,
    bytes: u64,
    /// The last look found little: whoever writes shall gather more before the next one.
    hurried: bool,
    over: bool,
}

impl Output {
    fn start(mut dump: std::process::Command, tools: &Tools, label: &str) -> Result<Self> {
        let mut dump = dump
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("cannot start `pg_dump`", error))?;
        step_back(&dump);
        if let Some(out) = &dump.stdout {
            // A smaller one does as well, only slower.
            let _ = rustix::pipe::fcntl_setpipe_size(out, PIPE);
        }
        let lister = std::process::Command::new(&tools.restore)
            .arg("--list")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut lister = match lister {
            Ok(lister) => lister,
            Err(error) => {
                let _ = dump.kill();
                let _ = dump.wait();
                return Err(failed("cannot start `pg_restore`", error));
            }
        };
        let along = lister.stdin.take();
        let list = lister.stdout.take().map(gather);
        let complaints = dump.stderr.take().map(gather);
        Ok(Self {
            dump,
            lister,
            along,
            list,
            stream: Stream::default(),
            complaints,
            label: label.to_owned(),
            bytes: 0,
            hurried: false,
            over: false,
        })
    }

    fn end(&mut self) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        self.over = true;
        let status = self.dump.wait()?;
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if !status.success() {
            return Err(io::Error::other(complaint("pg_dump", &self.label, &said)));
        }
        if self.bytes == 0 {
            return Err(io::Error::other(
                Error::system(format!("`pg_dump` wrote nothing for database `{}`", self.label))
                    .help("run it by hand: `pg_dump --format=custom --file=/dev/null DATABASE`"),
            ));
        }
        Ok(0)
    }

    /// What the dump holds, as `pg_restore` sees it.
    fn listed(&mut self) -> Result<String> {
        drop(self.along.take());
        let list = self.list.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let status = self.lister.wait().map_err(|error| failed("cannot wait for `pg_restore`", error))?;
        if !status.success() {
            return Err(Error::system(format!("what `pg_dump` wrote for `{}` is no dump", self.label))
                .help("run it by hand: `pg_dump --format=custom DATABASE | pg_restore --list`"));
        }
        Ok(list)
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(out) = &mut self.dump.stdout else { return self.end() };
        if self.hurried {
            std::thread::sleep(GATHERING);
        }
        let read = out.read(buffer)?;
        self.hurried = read < ENOUGH;
        if read == 0 {
            return self.end();
        }
        self.bytes += read as u64;
        self.stream.take(&buffer[..read]);
        // It closes when it has read the list at the beginning.
        if self.along.as_mut().is_some_and(|along| along.write_all(&buffer[..read]).is_err()) {
            self.along = None;
        }
        Ok(read)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        drop(self.along.take());
        if !self.over {
            let _ = self.dump.kill();
            let _ = self.dump.wait();
        }
        let _ = self.lister.kill();
        let _ = self.lister.wait();
    }
}

fn gather(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The URL of another database on the same server.
pub(super) fn beside(url: &str, name: &str) -> String {
    let (main, query) = url.split_once('?').unwrap_or((url, ""));
    let start = main.find("://").map_or(0, |at| at + 3);
    let end = main[start..].find('/').map_or(main.len(), |at| start + at);
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let options: Vec<&str> =
        query.split('&').filter(|option| !option.is_empty() && !option.starts_with("dbname=")).collect();
    let tail = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
    format!("{}/{encoded}{tail}", &main[..end])
}
