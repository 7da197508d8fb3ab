//! The guides: every command in them is run, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

fn guides() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    all.sort();
    assert!(all.len() >= 7, "the guides were not found");
    all
}

/// The blocks between ```sh and ```.
fn script(text: &str) -> String {
    let mut script = String::from("set -e\n");
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[test]
fn every_command_in_the_guides_works_as_printed() {
    // S0-110, S1-081, S3-062
    let program = Path::new(env!("CARGO_BIN_EXE_sexton")).parent().unwrap().display().to_string();
    let mut run = 0;
    for guide in guides() {
        let script = script(&std::fs::read_to_string(&guide).unwrap());
        if script.lines().count() == 1 {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{program}:/usr/bin:/bin"))
            .env("HOME", folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}: {}\n{}{}",
            guide.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        run += 1;
    }
    assert!(run >= 6);
}
