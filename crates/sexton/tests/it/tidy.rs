//! What the compiler cannot keep: module docs, file length, who may use what, no forgotten test file.

use std::path::{Path, PathBuf};

const LONGEST: usize = 600;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            into.push((name.replace("../", ""), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

pub fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        for part in ["src", "tests"] {
            sources(&entry.path().join(part), &mut all);
        }
    }
    for (name, _) in &mut all {
        if let Some(at) = name.find("crates/") {
            *name = name[at..].to_owned();
        }
    }
    assert!(all.len() > 100, "the sources were not found");
    all
}

fn offenders(wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    all().into_iter().filter(|(name, text)| wrong(name, text)).map(|(name, _)| name).collect()
}

/// The code without its tests and comments.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_eq!(offenders(|_, text| !text.starts_with("//!")), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long() {
    let too_long = |name: &str, text: &str| {
        !name.contains("/tests/")
            && text.split("#[cfg(test)]").next().unwrap_or(text).lines().count() > LONGEST
    };
    assert_eq!(offenders(too_long), Vec::<String>::new());
}

#[test]
fn drivers_appear_only_in_the_back_ends() {
    let uses_driver = |name: &str, text: &str| {
        !name.starts_with("crates/backends")
            // a mail server of the tests that speaks TLS
            && !name.starts_with("crates/notify/tests")
            // the API's own TLS: nothing of a database or a store
            && !name.ends_with("sexton/src/http/tls.rs")
            && ["rusqlite", "postgres_protocol", "rustls", "object_store"]
                .iter()
                .any(|driver| production(text).contains(&format!("{driver}::")))
            && !name.contains("tidy.rs")
    };
    assert_eq!(offenders(uses_driver), Vec::<String>::new());
}

#[test]
fn only_wiring_names_a_back_end() {
    let names = |name: &str, text: &str| {
        name.starts_with("crates/sexton/src")
            && !name.ends_with("wiring.rs")
            && production(text).contains("backends::")
    };
    assert_eq!(offenders(names), Vec::<String>::new());
}

#[test]
fn only_the_clock_reads_the_time() {
    let reads = |name: &str, text: &str| {
        let ours = [
            "crates/targets/src",
            "crates/engine/src",
            "crates/kinds/src",
            "crates/scheduler/src",
            "crates/notify/src",
            "crates/sexton/src",
        ];
        ours.iter().any(|part| name.starts_with(part))
            && !name.ends_with("engine/src/clock.rs")
            && ["Timestamp::now(", "Zoned::now(", "SystemTime::now(", "Instant::now("]
                .iter()
                .any(|call| production(text).contains(call))
    };
    assert_eq!(offenders(reads), Vec::<String>::new());
}

#[test]
fn only_the_config_reads_the_environment() {
    let reads = |name: &str, text: &str| {
        name.contains("/src/")
            && !name.starts_with("crates/sexton/src/config")
            && !name.starts_with("crates/testkit")
            && ["env::var", "env::args", "env::vars"].iter().any(|call| production(text).contains(call))
    };
    assert_eq!(offenders(reads), Vec::<String>::new());
}

#[test]
fn only_main_ends_the_process() {
    let ends = |name: &str, text: &str| {
        name.contains("/src/")
            && !name.ends_with("sexton/src/main.rs")
            && ["process::exit(", "process::abort("].iter().any(|call| production(text).contains(call))
    };
    assert_eq!(offenders(ends), Vec::<String>::new());
}

#[test]
fn no_test_file_is_forgotten() {
    for entry in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        let folder = entry.path().join("tests/it");
        let Ok(main) = std::fs::read_to_string(folder.join("main.rs")) else { continue };
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else { continue };
            assert!(main.contains(&format!("mod {module};")), "{} is not in main.rs", file.path().display());
        }
    }
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_unfinished() {
    let marks = [
        concat!("#[", "ignore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
    ];
    assert_eq!(offenders(|_, text| marks.iter().any(|mark| text.contains(mark))), Vec::<String>::new());
}

#[test]
fn requirement_ids_in_tests_exist_in_the_ledger() {
    let ledger = std::fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let mut unknown = Vec::new();
    for (name, text) in all().into_iter().filter(|(name, _)| name.contains("/tests/")) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let Some((group, number)) = word.split_once('-') else { continue };
            let is_id = ["S0", "S1", "S2", "S3", "S4", "W", "X"].contains(&group)
                && number.len() >= 2
                && number.chars().all(|c| c.is_ascii_digit());
            if is_id && !ledger.contains(word) {
                unknown.push(format!("{word} in {name}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn every_command_that_a_text_names_is_there() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_sexton")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known: Vec<&str> =
        help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let unknown = |_: &str, text: &str| {
        production(text).split("`sexton ").skip(1).any(|rest| {
            let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            !word.is_empty()
                && !word.starts_with('-')
                && word != "reference"
                && !known.contains(&word.as_str())
        })
    };
    assert_eq!(offenders(unknown), Vec::<String>::new());
}
