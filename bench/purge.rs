//! What a purge and a merge cost, measured against what it replaces, in the same run, as ratios.
//!
//! Every variant runs in a process of its own on a fresh copy of the same database; rounds alternate (delete, purge,
//! purge with undo, …, delete, purge, …) and medians are told. The whole operation counts: planning with exact counts, batches,
//! verification. Without `--bench` (as a test runs it) it does everything once on 20 000 rows and checks what came out,
//! not how fast. It deliberately measures through `engine::Engine`, not through the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

mod backup;
mod child;
mod merge;
mod stage;
mod table;

use child::Outcome;
use stage::{Kind, Stage};
use table::{Ratio, Table};

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_purge_works_on_twenty_thousand_rows";
const CASES: [&str; 11] =
    ["plain", "rows", "archive", "list", "undo", "few", "others", "merge", "queue", "backup", "scale"];
/// Cases that need the table of events.
const OF_EVENTS: [&str; 9] = ["plain", "rows", "archive", "list", "undo", "few", "others", "backup", "scale"];

struct Flags {
    rows: u64,
    large: u64,
    rounds: usize,
    kinds: Vec<Kind>,
    cases: Vec<String>,
    folder: std::path::PathBuf,
    keep: bool,
    smoke: bool,
}

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    if let [first, rest @ ..] = said.all()
        && first == "child"
    {
        return child::main(rest);
    }
    let flags = if said.has("--bench") { read(said.all()) } else { Flags::smoke() };
    for kind in &flags.kinds {
        measure(&flags, *kind);
    }
    if flags.smoke || !flags.keep {
        let _ = std::fs::remove_dir_all(&flags.folder);
    }
}

impl Flags {
    fn smoke() -> Self {
        let folder = std::env::temp_dir().join(format!("sexton-bench-{}", std::process::id()));
        Self {
            rows: 20_000,
            large: 40_000,
            rounds: 1,
            kinds: vec![Kind::Sqlite, Kind::Postgres],
            cases: CASES.iter().map(|case| (*case).to_owned()).collect(),
            folder,
            keep: false,
            smoke: true,
        }
    }

    fn wants(&self, case: &str) -> bool {
        self.cases.iter().any(|wanted| wanted == case)
    }
}

fn read(arguments: &[String]) -> Flags {
    let mut flags = Flags {
        rows: 5_000_000,
        large: 50_000_000,
        rounds: 3,
        folder: std::env::temp_dir().join("sexton-bench"),
        cases: CASES[..8].iter().map(|case| (*case).to_owned()).collect(),
        smoke: false,
        ..Flags::smoke()
    };
    let mut chosen = Vec::new();
    let mut words = arguments.iter().filter(|word| *word != "--bench");
    while let Some(flag) = words.next() {
        let mut value =
            || words.next().unwrap_or_else(|| refuse(&format!("`{flag}` needs a value"))).as_str();
        match flag.as_str() {
            "--rows" => flags.rows = number(value()),
            "--large" => flags.large = number(value()),
            "--rounds" => flags.rounds = number(value()) as usize,
            "--database" => {
                flags.kinds = vec![Kind::named(value()).unwrap_or_else(|| refuse("sqlite or postgres"))]
            }
            "--case" => chosen.push(value().to_owned()),
            "--folder" => flags.folder = value().into(),
            "--keep" => flags.keep = true,
            other => refuse(&format!("`{other}` is not known")),
        }
    }
    if let Some(wrong) = chosen.iter().find(|case| !CASES.contains(&case.as_str())) {
        refuse(&format!("there is no case `{wrong}`; the cases are {}", CASES.join(", ")));
    }
    if !chosen.is_empty() {
        flags.cases = chosen;
    }
    flags
}

fn number(text: &str) -> u64 {
    text.replace('_', "").parse().unwrap_or_else(|_| refuse(&format!("`{text}` is not a number")))
}

fn refuse(why: &str) -> ! {
    panic!(
        "{why}\nhelp: [--rows N] [--rounds N] [--database sqlite|postgres] [--case NAME]… [--folder PATH] [--keep] [--large N]"
    )
}

/// All wanted cases on one database.
fn measure(flags: &Flags, kind: Kind) {
    let stage = Stage::open(kind, &flags.folder);
    let mut table = Table::default();
    println!("\n## {}, {} rows\n", kind.name(), flags.rows);
    eprintln!("making {} rows on {}", flags.rows, kind.name());
    if OF_EVENTS.iter().any(|case| flags.wants(case)) {
        stage.seed(flags.rows);
    }
    if flags.wants("merge") {
        merge::merge(flags.rows.min(MERGED), flags.rounds, &stage, &mut table);
    }
    if ["plain", "rows", "archive", "list"].iter().any(|case| flags.wants(case)) {
        deletions(flags, &stage, &mut table);
    }
    if flags.wants("undo") {
        undo(flags, &stage, &mut table);
    }
    if flags.wants("few") {
        few(flags, &stage, &mut table);
    }
    if flags.wants("others") {
        others(flags, &stage, &mut table);
    }
    if flags.wants("queue") {
        queue(flags, &stage, &mut table);
    }
    if flags.wants("backup") {
        backup::measure(flags, &stage, &mut table);
    }
    if flags.wants("scale") {
        scale(flags, &stage, &mut table);
    }
    table.print();
    if flags.smoke {
        table.check();
    }
}

/// A fresh copy of the seed, one variant on it, gone again.
pub(crate) fn on_copy(stage: &Stage, from: &str, variant: &str, detail: &str) -> Outcome {
    let url = stage.copy(from, "round");
    let outcome = stage.run(variant, &url, detail);
    eprintln!("  {variant} {detail:.60}: {outcome:?}");
    stage.remove("round");
    outcome
}

const OLD: &str = "95 days";
/// Rows of the merge.
const MERGED: u64 = 200_000;
/// Half a per cent of the rows.
const OLDEST: &str = "490 days";

fn deletions(flags: &Flags, stage: &Stage, table: &mut Table) {
    let seed = stage.seed_name(flags.rows);
    let single = stage.delete(95);
    let doomed = stage.doomed(flags.rows, 95);
    let names = [
        ("plain", "purge without undo ÷ one `delete`", 1.2),
        ("rows", "purge with undo rows ÷ the same", 1.7),
        ("archive", "purge with archive file ÷ the same", 3.0),
    ];
    let mut ratios: Vec<Ratio> = names.iter().map(|(_, title, bar)| Ratio::at_most(title, *bar)).collect();
    let mut list =
        Ratio::at_least("ids, oldest first, then delete by list of 1000 ÷ purge without undo", 3.0);
    let mut any = Vec::new();
    for _ in 0..flags.rounds {
        let base = on_copy(stage, &seed, "statement", &single);
        assert_eq!(base.rows, doomed, "the single delete");
        let mut plain = None;
        for ((case, ..), ratio) in names.iter().zip(&mut ratios) {
            let needed = flags.wants(case) || (*case == "plain" && flags.wants("list"));
            if !needed {
                continue;
            }
            let ours = on_copy(stage, &seed, "purge", &stage::options(OLD, case));
            assert_eq!(ours.rows, doomed, "the purge `{case}`");
            table.peak(ours.peak_kb);
            ratio.add(&ours, &base);
            if *case == "plain" {
                plain = Some(ours);
            }
        }
        if let Some(plain) = plain.filter(|_| flags.wants("list")) {
            let theirs = on_copy(stage, &seed, "list", &stage.list(95));
            assert_eq!(theirs.rows, doomed, "deletion by list");
            list.add(&theirs, &plain);
            // Read in no order, the table happens to be walked in its physical one.
            let unordered = on_copy(stage, &seed, "list", &stage.list_any(95));
            any.push(format!("{:.2}", unordered.seconds / plain.seconds));
            list.note(format!(" (in any order: {})", any.join(" ")));
        }
    }
    ratios.into_iter().chain([list]).for_each(|ratio| table.add(ratio));
}

fn undo(flags: &Flags, stage: &Stage, table: &mut Table) {
    let url = stage.copy(&stage.seed_name(flags.rows), "purged");
    let purged = stage.run("purge", &url, &stage::options(OLD, "rows"));
    let bare = stage.insert_again(&url);
    let mut ratio = Ratio::at_most("undo ÷ bare `insert … select` of the same rows", 1.3);
    for _ in 0..flags.rounds {
        let base = on_copy(stage, "purged", "statement", &bare);
        assert_eq!(base.rows, purged.rows, "the bare insert");
        let ours = on_copy(stage, "purged", "undo", "");
        assert_eq!(ours.rows, purged.rows + purged.dependants, "the undo");
        table.peak(ours.peak_kb);
        ratio.add(&ours, &base);
    }
    stage.remove("purged");
    table.add(ratio);
}

fn few(flags: &Flags, stage: &Stage, table: &mut Table) {
    let seed = stage.seed_name(flags.rows);
    let mut ratio = Ratio::at_most("purge of 0.5 % by an index ÷ one `delete`", 2.0);
    for _ in 0..flags.rounds {
        let base = on_copy(stage, &seed, "statement", &stage.delete(490));
        let url = stage.copy(&seed, "round");
        let ours = stage.run("purge", &url, &stage::options(OLDEST, "plain"));
        eprintln!("  few: {ours:?}");
        assert!(ours.rows.abs_diff(base.rows) * 20 <= base.rows, "{} and {} rows", ours.rows, base.rows);
        ratio.add(&ours, &base);
        ratio.note(stage.how_much_was_read(&url, "events", &ours));
        stage.remove("round");
    }
    table.add(ratio);
}

/// A thousand stale tasks of a large queue.
fn queue(flags: &Flags, stage: &Stage, table: &mut Table) {
    stage.seed_queue(flags.rows);
    let seed = stage.queue_name(flags.rows);
    let mut ratio = Ratio::at_most("recovery of 1 000 stale tasks ÷ the bare `update`", 1.5);
    for _ in 0..flags.rounds {
        let base = on_copy(stage, &seed, "statement", &stage.reset_stale());
        assert_eq!(base.rows, stage::queue::STALE, "the bare update");
        let url = stage.copy(&seed, "round");
        let ours = stage.run("queue", &url, &stage::queue::recover());
        eprintln!("  queue: {ours:?}");
        assert_eq!(ours.rows, stage::queue::STALE, "the recovery");
        ratio.add(&ours, &base);
        ratio.note(stage.how_much_was_read(&url, "task_queue", &ours));
        table.peak(ours.peak_kb);
        stage.remove("round");
    }
    table.add(ratio);
}

/// What others notice.
fn others(flags: &Flags, stage: &Stage, table: &mut Table) {
    let seconds = if flags.smoke { 0.1 } else { 10.0 };
    let mut p99 = Ratio::at_most("p99 of a foreground writer during the purge ÷ idle", 1.5);
    let mut longest = Ratio::at_most("longest wait of another writer during the purge, ms", 250.0);
    for _ in 0..flags.rounds {
        let url = stage.copy(&stage.seed_name(flags.rows), "round");
        let idle = stage.writer(&url, || std::thread::sleep(std::time::Duration::from_secs_f64(seconds)));
        let mut seconds = 0.0;
        let busy = stage.writer(&url, || {
            let ours = stage.run("purge", &url, &stage::options(OLD, "plain"));
            seconds = ours.seconds;
            eprintln!("  others: {ours:?}");
        });
        stage.remove("round");
        let url = stage.copy(&stage.seed_name(flags.rows), "round");
        let single = stage.writer(&url, || drop(stage.run("statement", &url, &stage.delete(95))));
        eprintln!("  others: idle {idle:?}, busy {busy:?}, single delete {single:?}");
        p99.note(format!(" (one `delete`: {:.1})", single.p99_ms / idle.p99_ms));
        longest.note(format!(" (one `delete`: {:.0}; the purge took {seconds:.0} s)", single.longest_ms));
        p99.add_bare(busy.p99_ms, idle.p99_ms);
        longest.add_bare(busy.longest_ms, 1.0);
        stage.remove("round");
    }
    match stage.kind {
        Kind::Postgres => table.add(p99),
        Kind::Sqlite => {
            table.add(longest);
            newcomer(flags, stage, table);
        }
    }
}

/// What somebody notices who comes when the purge has long been alone.
fn newcomer(flags: &Flags, stage: &Stage, table: &mut Table) {
    let alone = std::time::Duration::from_secs_f64(if flags.smoke { 0.0 } else { 12.0 });
    let mut longest = Ratio::at_most("longest wait of a writer who comes in the middle, ms", 250.0);
    for _ in 0..flags.rounds {
        let url = stage.copy(&stage.seed_name(flags.rows), "round");
        let waits = std::thread::scope(|scope| {
            let purge = scope.spawn(|| stage.run("purge", &url, &stage::options(OLD, "plain")));
            std::thread::sleep(alone);
            stage.writer(&url, || drop(purge.join().map(|ours| eprintln!("  newcomer: {ours:?}"))))
        });
        eprintln!("  newcomer: {waits:?}");
        longest.add_bare(waits.longest_ms, 1.0);
        stage.remove("round");
    }
    table.add(longest);
}

/// The cost of a doomed row in a ten times larger table.
fn scale(flags: &Flags, stage: &Stage, table: &mut Table) {
    let mut ratio = Ratio::at_most("cost of a row in the large table ÷ in the small one", 1.2);
    let cost = |rows: u64| {
        let mut ours = on_copy(stage, &stage.seed_name(rows), "purge", &stage::options(OLD, "plain"));
        table.peak(ours.peak_kb);
        let doomed = ours.rows.max(1) as f64 / 1e6;
        (ours.seconds, ours.cpu) = (ours.seconds / doomed, ours.cpu / doomed);
        ours
    };
    let mut cost = cost;
    eprintln!("making {} rows on {}", flags.large, stage.kind.name());
    stage.seed(flags.large);
    let small = cost(flags.rows);
    let large = cost(flags.large);
    ratio.add(&large, &small);
    stage.remove(&stage.seed_name(flags.large));
    table.add(ratio);
}
