//! The guides: every command in them is run, in a folder of its own, and what they show is what comes out.

use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::Place;

fn guides() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    all.sort();
    assert!(all.len() >= 7, "the guides were not found");
    all
}

/// A block of commands, and what the guide shows of their output: the next block, when it is one of plain text.
#[derive(Default)]
struct Step {
    script: String,
    shown: Vec<String>,
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside: Option<&str> = None;
    let mut before = "";
    for line in guide.lines() {
        match (inside, line.trim().strip_prefix("```")) {
            (None, Some(kind)) => {
                if kind == "sh" {
                    steps.push(Step::default());
                }
                inside = Some(if kind == "text" && before != "sh" { "elsewhere" } else { kind });
            }
            (Some(kind), Some(_)) => {
                before = kind;
                inside = None;
            }
            (Some("sh"), None) => {
                let script = &mut steps.last_mut().unwrap().script;
                script.push_str(line);
                script.push('\n');
            }
            (Some("text"), None) if !line.trim().is_empty() => {
                steps.last_mut().unwrap().shown.push(line.to_owned());
            }
            _ => {}
        }
    }
    steps
}

const UNITS: &[&str] = &["s", "ms", "min", "h", "kB", "MB", "GB"];
const MONTHS: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A line without what differs from run to run: times, durations, sizes, ids of runs and of backups, versions, folders.
fn lasting(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let bare = |word: &str| word.trim_end_matches([',', ';', ':', ')', '.']).to_owned();
    let numeric = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || ".:-".contains(c))
    };
    let mut kept: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let word = bare(word);
        let next = words.get(at + 1).map(|next| bare(next)).unwrap_or_default();
        let last = at.checked_sub(1).map(|at| words[at]).unwrap_or_default();
        let is_time = numeric(&word) && (word.contains(':') || word.matches(['-', '.']).count() == 2);
        let changes = is_time
            || (numeric(&word) && (UNITS.contains(&next.as_str()) || MONTHS.contains(&next.as_str())))
            || MONTHS.contains(&word.as_str())
            || last == "undo"
            || (UNITS.contains(&word.as_str()) && numeric(last))
            || (word.contains("Z-") && word.contains('T'))
            || word.starts_with('/')
            || (last == "used" && numeric(&word));
        kept.push(if changes { "#".to_owned() } else { word });
    }
    kept.join(" ")
}

/// Whether a line of the output is the one shown; `…` stands for anything.
fn is_shown(shown: &str, line: &str) -> bool {
    let mut rest = line;
    let mut parts = shown.split('…').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || shown.trim_end().ends_with('…')
}

/// The first line shown that the output does not have after the ones before it.
fn not_printed<'a>(shown: &'a [String], output: &str) -> Option<&'a String> {
    let mut lines = output.lines().map(lasting);
    shown.iter().find(|wanted| {
        let wanted = lasting(wanted);
        !lines.any(|line| is_shown(&wanted, &line))
    })
}

#[test]
fn every_command_in_the_guides_works_and_prints_what_is_shown() {
    // S0-110, S1-081, S3-062, S4-057
    const BETWEEN: &str = "=== the next block ===";
    let program = Path::new(env!("CARGO_BIN_EXE_sexton")).parent().unwrap().display().to_string();
    let (mut run, mut compared, mut wrong) = (0, 0, Vec::new());
    for guide in guides() {
        let steps = steps(&std::fs::read_to_string(&guide).unwrap());
        if steps.is_empty() {
            continue;
        }
        let blocks: Vec<&str> = steps.iter().map(|step| step.script.as_str()).collect();
        let script = format!("exec 2>&1\nset -e\n{}", blocks.join(&format!("\necho '{BETWEEN}'\n")));
        let folder = tempfile::tempdir().unwrap();
        // those about PostgreSQL get two empty databases
        let databases: Vec<Place> = if script.contains("$DATABASE_URL") {
            vec![Place::postgres(), Place::postgres()]
        } else {
            Vec::new()
        };
        let urls = ["DATABASE_URL", "STAGING_URL"].into_iter().zip(databases.iter().map(Place::url));
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{program}:/usr/bin:/bin"))
            .env("HOME", folder.path())
            .envs(urls)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {}\n{said}", guide.display(), output.status);
        for (step, said) in steps.iter().zip(said.split(BETWEEN)) {
            if let Some(line) = not_printed(&step.shown, said) {
                wrong.push(format!("{}: nothing printed is\n    {line}\nin\n{said}", guide.display()));
            }
            compared += usize::from(!step.shown.is_empty());
        }
        run += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run >= 6 && compared >= 10, "{run} guides were run, {compared} blocks compared");
}

#[test]
fn only_what_differs_between_runs_is_left_out_of_the_comparison() {
    let line = "done   10 rows in 1 batch, 50 dependants, 0.2 s";
    assert_eq!(lasting(line), "done 10 rows in 1 batch 50 dependants # #");
    assert!(is_shown("a … c", "a b c") && is_shown("a …", "a b c") && is_shown("a b c", "a b c"));
    assert!(!is_shown("a … c", "a b c d") && !is_shown("a", "a b") && !is_shown("b …", "a b"));
}
