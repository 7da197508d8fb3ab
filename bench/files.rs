//! What it costs to look through a store of files, measured against `find` and against a script, as ratios.
//!
//! A store of a folder for each planner, a hundred files each, and a database whose rows refer to nearly all of them. Every
//! variant runs in a process of its own; rounds alternate and medians are told. Without `--bench` (as a test runs it) it
//! does everything once on 2 000 files and checks what came out, not how fast. It deliberately measures planning only: a
//! move is a rename.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use engine::{Manners, OperationRequest, Request, Severity, Trigger};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use targets::db::Url;
use testkit::Workshop;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_files_works_on_two_thousand_files";
const EACH: u64 = 100;
/// The highest peak memory allowed, in MB, for a million files.
const PEAK_MB: f64 = 150.0;

/// What a careful script does: for each folder one query, a recursive glob, and a look into a set.
const SCRIPT: &str = r#"
import json, os, pathlib, sqlite3, sys
base, database = pathlib.Path(sys.argv[1]), sqlite3.connect(sys.argv[2])
orphans, size = [], 0
for folder in sorted(os.listdir(base)):
    row = database.execute("select files from planners where planner_id = ?", (folder,)).fetchone()
    known = set(json.loads(row[0]).values()) if row and row[0] else set()
    for path in (base / folder).glob("**/*"):
        if path.is_file():
            about = path.stat()
            if row is None or str(path.relative_to(base)) not in known:
                orphans.append(str(path))
                size += about.st_size
print(len(orphans))
"#;

struct Flags {
    files: u64,
    rounds: usize,
    folder: PathBuf,
    keep: bool,
    smoke: bool,
}

#[derive(Default)]
struct Outcome {
    seconds: f64,
    peak_kb: u64,
    found: u64,
}

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    if let [first, variant, folder] = said.all()
        && first == "child"
    {
        return child(variant, Path::new(folder));
    }
    let smoke = !said.has("--bench");
    let flags = read(said.all(), smoke);
    make(&flags);
    measure(&flags);
    if !flags.keep {
        std::fs::remove_dir_all(&flags.folder).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn read(arguments: &[String], smoke: bool) -> Flags {
    let own = std::env::temp_dir().join(format!("sexton-bench-files-{}", std::process::id()));
    let mut flags = Flags { files: 2_000, rounds: 1, folder: own, keep: false, smoke };
    if smoke {
        return flags;
    }
    (flags.files, flags.rounds) = (1_000_000, 3);
    let mut words = arguments.iter().filter(|word| *word != "--bench");
    while let Some(flag) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("`{flag}` needs a value")).as_str();
        let number =
            |text: &str| text.replace('_', "").parse().unwrap_or_else(|_| panic!("`{text}` is no number"));
        match flag.as_str() {
            "--files" => flags.files = number(value()),
            "--rounds" => flags.rounds = number(value()) as usize,
            "--folder" => flags.folder = value().into(),
            "--keep" => flags.keep = true,
            other => {
                panic!("`{other}` is not known\nhelp: [--files N] [--rounds N] [--folder PATH] [--keep]")
            }
        }
    }
    flags
}

/// The store and the database, unless they are there.
fn make(flags: &Flags) {
    let store = flags.folder.join("store");
    if store.exists() {
        return;
    }
    eprintln!("making {} files", flags.files);
    for planner in 0..flags.files / EACH {
        for kind in ["variables", "images"] {
            let folder = store.join(format!("planner-{planner}/{kind}"));
            std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
            for n in 0..EACH / 2 {
                std::fs::File::create(folder.join(format!("value-{n}.pkl")))
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
    // One planner in two hundred is gone, and of each other one file has no reference.
    let file = flags.folder.join("app.db");
    backends::sqlite::Sqlite::create("bench", &file)
        .and_then(|database| {
            database.script(&[
                "create table planners (planner_id text primary key, files json)",
                &format!(
                    "insert into planners
                     with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {planners}),
                          m(j) as (select 0 union all select j + 1 from m where j + 1 < {half})
                     select 'planner-' || i, (select json_group_object(kind || j, 'planner-' || i || '/' || kind || '/value-' || j || '.pkl')
                       from m, (select 'variables' as kind union all select 'images') where j > 0 or kind = 'images')
                     from n where i % 200 <> 7",
                    planners = flags.files / EACH,
                    half = EACH / 2
                ),
                "create table one (path text)",
                "insert into one values ('planner-0/images/value-0.pkl')",
            ])
        })
        .unwrap_or_else(|error| panic!("{error:?}"));
}

fn measure(flags: &Flags) {
    let planners = flags.files / EACH;
    let gone = (planners + 192) / 200;
    let store = flags.folder.join("store");
    // Once for nothing, so that every variant finds the names in memory.
    find(&store);
    let (mut scan, mut whole) = (Vec::new(), Vec::new());
    let (mut of_scan, mut of_whole) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for _ in 0..flags.rounds {
        let base = find(&store);
        assert_eq!(base.found, flags.files + planners * 3 + 1, "`find`");
        let ours = run_child("scan", &flags.folder);
        assert_eq!(ours.found, flags.files, "the scan");
        let script = run_script(&flags.folder);
        assert_eq!(script.found, gone * EACH + planners - gone, "the script");
        let full = run_child("plan", &flags.folder);
        assert_eq!(full.found, gone + planners - gone, "the plan");
        peak = peak.max(ours.peak_kb).max(full.peak_kb);
        eprintln!(
            "  find {:.2} s, scan {:.2} s, script {:.2} s, plan {:.2} s",
            base.seconds, ours.seconds, script.seconds, full.seconds
        );
        of_scan.push(ours.seconds / base.seconds);
        of_whole.push(script.seconds / full.seconds);
        scan.push((ours.seconds, base.seconds));
        whole.push((full.seconds, script.seconds));
    }
    let seconds = |both: &[(f64, f64)]| {
        let of = |one: fn(&(f64, f64)) -> f64| median(&both.iter().map(one).collect::<Vec<_>>());
        format!("{:.2} / {:.2}", of(|both| both.0), of(|both| both.1))
    };
    let met = |met: bool| if met { "yes" } else { "no" };
    println!(
        "\n## Files, {} of them\n\n| what | bar | ratio | seconds, ours / base | met |\n|---|---|---|---|---|",
        flags.files
    );
    let (first, second) = (median(&of_scan), median(&of_whole));
    println!(
        "| scan ÷ `find` printing path, size and time | ≤ 1.5 | **{first:.2}** | {} | {} |",
        seconds(&scan),
        met(first <= 1.5)
    );
    println!(
        "| a glob and a query per folder, from a script ÷ plan | ≥ 8 | **{second:.2}** | {} | {} |",
        seconds(&whole),
        met(second >= 8.0)
    );
    let mb = peak as f64 / 1024.0;
    println!("| peak memory of Sexton, MB | ≤ {PEAK_MB} | **{mb:.0}** | – | {} |", met(mb <= PEAK_MB));
    if flags.smoke {
        assert!(first.is_finite() && second.is_finite() && (1.0..PEAK_MB * 4.0).contains(&mb));
    }
}

fn find(store: &Path) -> Outcome {
    let began = Instant::now();
    let output = Command::new("find").arg(store).args(["-printf", "%p %s %T@\\n"]).output();
    let output = output.unwrap_or_else(|error| panic!("`find` cannot be run: {error}"));
    let seconds = began.elapsed().as_secs_f64();
    Outcome { seconds, found: output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64, peak_kb: 0 }
}

fn run_script(folder: &Path) -> Outcome {
    let began = Instant::now();
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).arg(folder.join("store")).arg(folder.join("app.db"));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("`python3` cannot be run: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.trim().parse().unwrap_or_else(|_| panic!("the script failed: {text}"));
    Outcome { seconds: began.elapsed().as_secs_f64(), found, peak_kb: 0 }
}

fn run_child(variant: &str, folder: &Path) -> Outcome {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let child = Command::new(program).args(["child", variant]).arg(folder).stderr(Stdio::inherit()).output();
    let child = child.unwrap_or_else(|error| panic!("cannot run a child: {error}"));
    let text = String::from_utf8_lossy(&child.stdout);
    let told: Json =
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("`{variant}` failed: {error}"));
    Outcome {
        seconds: told["seconds"].as_f64().unwrap_or(f64::NAN),
        peak_kb: told["peak_kb"].as_u64().unwrap_or(0),
        found: told["found"].as_u64().unwrap_or(0),
    }
}

struct Store(PathBuf);

impl engine::Stores for Store {
    fn store(&self, _name: &str) -> engine::Result<Arc<dyn targets::files::Files>> {
        Ok(Arc::new(backends::local_files::LocalFiles::new("store", &self.0)))
    }
}

/// Plans once. `scan` reads one reference, so that what is left is the look through the store.
fn child(variant: &str, folder: &Path) {
    let options = match variant {
        // Every file is too young for a minimum age of ten years: nothing is listed.
        "scan" => {
            json!({"store": "store", "min_age": "10 years", "references": [{"table": "one", "column": "path"}]})
        }
        _ => json!({
            "store": "store",
            "ids": "planners.planner_id",
            "id_pattern": "planner-*",
            "min_age": "1 ms",
            "classes": [{"class": "orphaned_files", "glob": "**"}],
            "references": [{"table": "planners", "column": "files"}],
        }),
    };
    let url = folder.join("app.db").display().to_string();
    assert!(Url::parse(&url).is_ok(), "{url}");
    let workshop = Workshop::over(&url, kinds::catalogue()).storing(Arc::new(Store(folder.join("store"))));
    let engine = workshop.engine();
    let request = Request {
        operations: vec![OperationRequest {
            name: "bench".to_owned(),
            kind: "files".to_owned(),
            title: "bench".to_owned(),
            database: "test".to_owned(),
            severity: Severity::Low,
            backup: false,
            options,
            manners: Manners { max_percent: 100.0, ..Manners::default() },
            needs: Vec::new(),
            verifies: Vec::new(),
            expected_seconds: None,
        }],
        dry_run: true,
        actor: "bench".to_owned(),
        trigger: Trigger::Cli,
        correlation_id: "bench".to_owned(),
        force: false,
        go_on: false,
        max_parallel: 1,
    };
    let began = Instant::now();
    let plan = engine.plan(&request).unwrap_or_else(|error| panic!("{error:?}"));
    let seconds = began.elapsed().as_secs_f64();
    let result = plan.items[0].result.clone().unwrap_or_default();
    let found = match variant {
        "scan" => result["statistics"]["file_count"].as_u64().unwrap_or(0),
        _ => plan.items[0].matched(),
    };
    println!("{}", json!({"seconds": seconds, "peak_kb": peak_kb(), "found": found}));
}

/// The most memory this process has had.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
