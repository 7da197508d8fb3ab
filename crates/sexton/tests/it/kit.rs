//! A desk: a folder with a database and a configuration, and the program run there with nothing else around it.
//!
//! What it shows for snapshots is without run ids, times and paths.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use testkit::Place;

/// A folder of one's own.
pub struct Desk {
    folder: TempDir,
    pub place: Place,
    variables: Vec<(String, String)>,
}

/// What the program said.
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
    shown: String,
}

/// Audit rows on both sides of 90 days, one a day, and what hangs on them nowhere.
pub const AUDIT: &str =
    "create table audit_log (id integer primary key, created_at text not null, action text not null);
insert into audit_log (created_at, action)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 400)
select datetime('now', '-' || i || ' days', '-1 hour'), 'update' from n;
create table session (id integer primary key, expires_at text not null);
insert into session (expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 50)
select datetime('now', (i - 26) || ' days', '+1 hour') from n;";

/// Two operations on these rows.
pub const CONFIG: &str = r#"
[database.main]
url = "app.db"

[defaults]
max_percent = 100

[operation.logs]
kind = "purge"
title = "Delete old audit rows"
table = "audit_log"
age_column = "created_at"
older_than = "90 days"

[operation.sessions]
kind = "purge"
title = "Delete expired sessions"
severity = "LOW"
table = "session"
expires = "expires_at"
undo = "none"

[group.daily]
operations = ["sessions", "logs"]
"#;

impl Desk {
    /// A folder with `app.db` and nothing else.
    pub fn empty() -> Self {
        Self::at(Place::sqlite())
    }

    /// A folder for a database elsewhere.
    pub fn at(place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if place.is_sqlite() {
            std::os::unix::fs::symlink(place.url(), folder.path().join("app.db")).unwrap();
        }
        Self { folder, place, variables: Vec::new() }
    }

    /// A folder with some rows in `app.db`, and a configuration for them.
    pub fn ready() -> Self {
        let desk = Self::empty();
        desk.place.script(AUDIT);
        desk.write("sexton.toml", CONFIG);
        desk
    }

    /// The same with more of a configuration.
    pub fn ready_with(more: &str) -> Self {
        let desk = Self::ready();
        desk.write("sexton.toml", &format!("{more}\n{CONFIG}"));
        desk
    }

    /// Sets a variable for the program.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// The program with these arguments, not started yet. Nobody is at the keyboard.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command
            .args(words(line))
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments.
    pub fn sexton(&self, line: &str) -> Said {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        let code = status.code().unwrap_or(-1);
        let mut shown = format!("$ sexton {line}\n{stdout}");
        if !stderr.is_empty() {
            let _ = write!(shown, "--- stderr ---\n{stderr}");
        }
        let _ = write!(shown, "--- exit {code} ---");
        Said { shown: self.redacted(&shown), stdout, stderr, code }
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        let rows = self.place.rows(&format!("select count(*) from {table}"));
        match &rows[0][0] {
            targets::db::Value::Int(number) => *number,
            targets::db::Value::Text(text) => text.parse().unwrap(),
            other => panic!("no count: {other:?}"),
        }
    }

    /// The text without what differs from run to run.
    pub fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for path in [self.folder.path().to_owned(), self.place.url().into()] {
            text = text.replace(&path.display().to_string(), "[dir]");
        }
        for id in self.runs() {
            text = text.replace(&id, "[run]");
            // The short form is the first letters of the whole.
            for length in 3..id.len() {
                for verb in ["undo", "resume"] {
                    text = text.replace(
                        &format!("sexton {verb} {}\n", &id[..length]),
                        &format!("sexton {verb} [run]\n"),
                    );
                }
            }
        }
        text.lines().map(|line| redacted_line(line) + "\n").collect::<String>().trim_end().to_owned()
    }

    /// The ids of all runs so far, from the copy of the run log.
    pub fn runs(&self) -> Vec<String> {
        let log = [".sexton", ".local/state/sexton"]
            .iter()
            .find_map(|folder| std::fs::read_to_string(self.file(folder).join("runs.jsonl")).ok());
        let mut ids: Vec<String> = Vec::new();
        for line in log.unwrap_or_default().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = event["run"].as_str().unwrap().to_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

impl Said {
    /// What was said, for a snapshot.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Asserts how it ended.
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown);
        self
    }

    /// Asserts that all was done, except that one operation, which only looks, may have found something.
    pub fn ends_well_but_for(self, look: &str) -> Self {
        let said = self.json();
        for (name, operation) in
            said.as_object().unwrap().iter().filter(|(_, one)| one["operation"].is_string())
        {
            let well = if name == look {
                &["completed", "skipped", "partial"][..]
            } else {
                &["completed", "skipped"][..]
            };
            let status = operation["status"].as_str().unwrap();
            assert!(well.contains(&status), "{name} is {status}: {}", self.shown);
        }
        let found = said[look]["status"] == "partial";
        assert_eq!(self.code, if found { 5 } else { 0 }, "{}", self.shown);
        self
    }

    /// The one document on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}", self.shown))
    }
}

/// Waits until the server has noticed that processes of ours were killed: until then it holds what they have locked. A file has
/// nobody who would hold anything.
pub fn sessions_end(place: &Place) {
    let ours = "select 1 from pg_stat_activity where datname = current_database() and application_name like 'sexton%'";
    crate::workers::wait_for("the sessions of killed processes end", || {
        place.is_sqlite() || place.rows(ours).is_empty()
    });
}

/// Words of a command line; single quotes keep blanks together.
pub fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        match n % 2 {
            0 => all.extend(part.split_whitespace().map(str::to_owned)),
            _ => all.push(part.to_owned()),
        }
    }
    all
}

fn redacted_line(line: &str) -> String {
    let line =
        replaced(line, "9999-99-99T99:99:99", "[time]", &|c| c.is_ascii_digit() || c == '.' || c == 'Z');
    let line = replaced(&line, "9999-99-99 99:99:99", "[time]", &|_| false);
    let line = replaced(&line, "9999-99-99 99:99", "[minute]", &|_| false);
    let line = match line.split_once("undo kept until ") {
        Some((before, after)) => {
            let day = after.find([',', '(']).unwrap_or(after.len());
            format!("{before}undo kept until [day]{}", &after[day..])
        }
        None => line,
    };
    let words: Vec<&str> = line.split(' ').collect();
    let is_seconds = |n: usize| {
        words[n].contains('.')
            && words[n].parse::<f64>().is_ok()
            && words.get(n + 1).is_some_and(|next| next.trim_end_matches([',', ';']) == "s")
    };
    let shown: Vec<&str> =
        words.iter().enumerate().map(|(n, word)| if is_seconds(n) { "[n]" } else { word }).collect();
    let line = shown.join(" ");
    // The width of a column of durations is not always the same.
    if !line.contains("[n]") && !line.contains(" took") {
        return line;
    }
    let indent = line.len() - line.trim_start().len();
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    format!("{}{}", &line[..indent], cells.join("  "))
}

/// Replaces what fits the pattern (9 stands for a digit) and whatever of `more` follows.
fn replaced(line: &str, pattern: &str, with: &str, more: &dyn Fn(char) -> bool) -> String {
    let chars: Vec<char> = line.chars().collect();
    let wanted: Vec<char> = pattern.chars().collect();
    let mut text = String::new();
    let mut n = 0;
    while n < chars.len() {
        let fits = chars.len() - n >= wanted.len()
            && wanted
                .iter()
                .zip(&chars[n..])
                .all(|(wanted, c)| if *wanted == '9' { c.is_ascii_digit() } else { wanted == c });
        if !fits {
            text.push(chars[n]);
            n += 1;
            continue;
        }
        text.push_str(with);
        n += wanted.len();
        while n < chars.len() && more(chars[n]) {
            n += 1;
        }
    }
    text
}

/// The same command where `small` is a file system of its own, which the system drops with the process. Systems that let only
/// root mount are asked by `sudo`.
pub fn on_its_own_file_system(command: &Command, how: &str) -> Output {
    let ids = Command::new("sh").args(["-c", "printf '%s %s' $(id -u) $(id -g)"]).output().unwrap();
    let ids = String::from_utf8(ids.stdout).unwrap();
    let (user, group) = ids.split_once(' ').unwrap();
    let inside = |first: &[&str], last: &str, options: &str| -> Output {
        let script = format!("mount -t tmpfs -o {how}{options} tmpfs small && exec {last} \"$@\"");
        let mut outer = Command::new(first[0]);
        outer.args(&first[1..]).args(["sh", "-c", &script, "sh", "env", "-i"]);
        for (name, value) in command.get_envs() {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value.unwrap_or_default());
            outer.arg(pair);
        }
        outer.arg(command.get_program()).args(command.get_args());
        outer.current_dir(command.get_current_dir().unwrap());
        outer.output().unwrap_or_else(|error| panic!("{}: {error}", first[0]))
    };
    let can = |program: &str, arguments: &[&str]| {
        let said =
            Command::new(program).args(arguments).args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
        said.is_ok_and(|said| said.status.success())
    };
    // Root of a space of its own is nobody in particular, and may not reach the socket of the server.
    for way in [&["unshare", "--mount"][..], &["unshare", "--mount", "--map-root-user"]] {
        if can(way[0], &way[1..]) {
            return inside(way, "", "");
        }
    }
    let by_root = ["sudo", "-n", "unshare", "--mount"];
    assert!(
        can(by_root[0], &by_root[1..]),
        "no file system can be mounted\nhelp: allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, \
         kernel.unprivileged_userns_clone=1), or sudo without a password, or run the tests as root"
    );
    let own = format!(",uid={user},gid={group}");
    inside(&by_root, &format!("setpriv --reuid={user} --regid={group} --clear-groups"), &own)
}
