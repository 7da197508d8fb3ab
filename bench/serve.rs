//! What the daemon costs while nothing is due, how soon it answers, and how long answers take when many ask: the program itself as
//! a process of its own, asked from here.
//!
//! Without `--bench` (as a test runs it) it does everything once, for a moment, and checks what came out, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Another build of the program than the one that this was built with.
const PROGRAM: &str = "--program";
/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_the_daemon_works_for_a_moment";
const PEAK_MB: f64 = 30.0;
const CPU_PERCENT: f64 = 0.5;
const START_MS: f64 = 200.0;
const P99_MS: f64 = 10.0;
/// Connections that are kept open; each has one call at a time.
const CONNECTIONS: u32 = 8;

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let number = |name: &str| said.number::<u64>(name);
    let bench = said.has("--bench");
    let seconds = number("--seconds").unwrap_or(if bench { 60 } else { 1 });
    let schedules = number("--schedules").unwrap_or(if bench { 1_000 } else { 20 });
    let rate = number("--rate").unwrap_or(if bench { 500 } else { 50 });
    let rounds = if bench { 7 } else { 1 };
    let folder = std::env::temp_dir().join(format!("sexton-bench-serve-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    println!("| the daemon | bar | seen | met |\n|---|---|---|---|");
    let row = |what: &str, bar: String, seen: String, met: bool| {
        println!("| {what} | {bar} | **{seen}** | {} |", if met { "yes" } else { "no" });
    };

    let desk = Desk::new(&folder.join("idle"), schedules);
    let mut starts = Vec::new();
    for _ in 0..rounds {
        starts.push(Served::begin(&desk).answered.as_secs_f64() * 1000.0);
    }
    starts.sort_by(f64::total_cmp);
    let median = starts[starts.len() / 2];
    let what = format!("start to first answer, {schedules} schedules (median of {rounds})");
    row(&what, format!("≤ {START_MS} ms"), format!("{median:.0} ms"), median <= START_MS);

    let served = Served::begin(&desk);
    std::thread::sleep(Duration::from_secs(if bench { 5 } else { 1 }));
    let (before, began) = (served.cpu_seconds(), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let share = (served.cpu_seconds() - before) / began.elapsed().as_secs_f64() * 100.0;
    let (now, peak) = (served.megabytes("VmRSS:"), served.megabytes("VmHWM:"));
    assert!(now > 1.0 && peak >= now, "{now} {peak}");
    let what = format!("memory, idle with {schedules} schedules (peak {peak:.1} MB)");
    row(&what, format!("≤ {PEAK_MB} MB"), format!("{now:.1} MB"), now <= PEAK_MB);
    let what = format!("CPU of a core, idle for {seconds} s");
    row(&what, format!("≤ {CPU_PERCENT} %"), format!("{share:.2} %"), share <= CPU_PERCENT);
    drop(served);

    let desk = Desk::new(&folder.join("asked"), 10);
    let served = Served::begin(&desk);
    let run = desk.run();
    for path in ["/api/v1/status".to_owned(), format!("/api/v1/runs/{run}")] {
        let times = served.asked(&path, rate, seconds.min(30), &desk.token);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] * 1000.0;
        let what = format!(
            "`GET {}` {rate} times a second ({} calls; median {:.1} ms, longest {:.1} ms), p99",
            path.replace(&run, "{id}"),
            times.len(),
            at(0.5),
            at(1.0)
        );
        row(&what, format!("≤ {P99_MS} ms"), format!("{:.1} ms", at(0.99)), at(0.99) <= P99_MS);
    }
    drop(served);
    let _ = std::fs::remove_dir_all(&folder);
}

/// A folder with a database, a configuration and a token.
struct Desk {
    folder: PathBuf,
    token: String,
}

impl Desk {
    fn new(folder: &Path, schedules: u64) -> Self {
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{error}"));
        let database = folder.join("app.db");
        std::fs::File::create(&database).unwrap_or_else(|error| panic!("{error}"));
        let url = targets::db::Url::parse(&database.display().to_string())
            .unwrap_or_else(|error| panic!("{error}"));
        backends::testing::script(
            &url,
            "create table log (id integer primary key, at text not null); insert into log values (1, '2020-01-01')",
        )
        .unwrap_or_else(|why| panic!("{why}"));
        let mut config = "[database.main]\nurl = \"app.db\"\n[defaults]\nmax_percent = 100\n[api]\ncalls_per_minute = 1_000_000\n\
                          [operation.logs]\nkind = \"purge\"\ntable = \"log\"\nage_column = \"at\"\nolder_than = \"90 days\"\nseverity = \"LOW\"\n"
            .to_owned();
        // Nothing is due meanwhile: all of them half a year from now.
        let month = (jiff::Zoned::now().month() + 5) % 12 + 1;
        for n in 0..schedules {
            let (minute, hour, day) = (n % 60, n / 60 % 24, n % 28 + 1);
            config +=
                &format!("[schedule.s{n}]\ncron = \"{minute} {hour} {day} {month} *\"\nrun = [\"logs\"]\n");
        }
        std::fs::write(folder.join("sexton.toml"), config).unwrap_or_else(|error| panic!("{error}"));
        let mut desk = Self { folder: folder.to_owned(), token: String::new() };
        desk.token = desk.said(&["token", "create", "bench"]).trim().to_owned();
        desk
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut given = std::env::args().skip_while(|argument| argument != PROGRAM).skip(1);
        let program = given.next().unwrap_or_else(|| env!("CARGO_BIN_EXE_sexton").to_owned());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap_or_else(|error| panic!("{error}"));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A run that is over; its id.
    fn run(&self) -> String {
        let report = self.said(&["run", "logs", "--yes", "--output", "json"]);
        let report: serde_json::Value =
            serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
        let listed = self.said(&["runs", "list", "--output", "json"]);
        let listed: serde_json::Value =
            serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}"));
        let id = [&report["run_id"], &report["metadata"]["run_id"], &listed["runs"][0]["run_id"]];
        id.into_iter()
            .find_map(serde_json::Value::as_str)
            .unwrap_or_else(|| panic!("no id: {report}"))
            .to_owned()
    }
}

/// A process that serves.
struct Served {
    process: Child,
    at: String,
    /// From its start to its first answer.
    answered: Duration,
}

impl Served {
    fn begin(desk: &Desk) -> Self {
        let began = Instant::now();
        let mut process = desk
            .command(&["serve", "--listen", "127.0.0.1:0", "--workers", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}"));
        let mut lines = BufReader::new(process.stderr.take().unwrap_or_else(|| panic!("no output"))).lines();
        let at = loop {
            let line = lines.next().and_then(Result::ok).unwrap_or_else(|| panic!("it ended"));
            if let Some((_, at)) = line.split_once("answer at http://") {
                break at.trim().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let mut served = Self { process, at, answered: Duration::ZERO };
        let (status, _) = served.connection().ask("/live", "");
        assert_eq!(status, 200);
        served.answered = began.elapsed();
        served
    }

    fn connection(&self) -> Connection {
        let stream = TcpStream::connect(&self.at).unwrap_or_else(|error| panic!("{}: {error}", self.at));
        let _ = stream.set_nodelay(true);
        let reader = BufReader::new(stream.try_clone().unwrap_or_else(|error| panic!("{error}")));
        Connection { stream, reader }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap_or_default()
    }

    /// Seconds of CPU so far, of all threads.
    fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks = |n: usize| {
            after.split_whitespace().nth(n).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
        };
        // A tick is a hundredth of a second on every Linux of today.
        (ticks(11) + ticks(12)) / 100.0
    }

    fn megabytes(&self, name: &str) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }

    /// Asks so many times a second whatever the answers take; seconds from when each was meant to be sent to its answer, sorted.
    fn asked(&self, path: &str, rate: u64, seconds: u64, token: &str) -> Vec<f64> {
        let begin = Instant::now() + Duration::from_millis(50);
        let calls = rate * seconds;
        let mut times: Vec<f64> = std::thread::scope(|scope| {
            let ask = |first: u32| {
                let mut connection = self.connection();
                let mut own = Vec::new();
                for n in (u64::from(first)..calls).step_by(CONNECTIONS as usize) {
                    let due = begin + Duration::from_secs_f64(n as f64 / rate as f64);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let (status, length) = connection.ask(path, token);
                    assert!(status == 200 && length > 10, "{status}");
                    own.push(due.elapsed().as_secs_f64());
                }
                own
            };
            let all: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || ask(first))).collect();
            all.into_iter().flat_map(|one| one.join().unwrap_or_else(|_| panic!("a call failed"))).collect()
        });
        times.sort_by(f64::total_cmp);
        times
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// The status of an answer and the length of its body.
    fn ask(&mut self, path: &str, token: &str) -> (u16, usize) {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap_or_else(|error| panic!("{error}"));
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
            }
            if let Some(rest) = line.strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap_or_else(|error| panic!("{error}"));
        (status, length)
    }
}
