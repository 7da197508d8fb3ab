//! A user who may read a database but not write it: the plan says what is missing, and nothing is touched.

use crate::kit::{AUDIT, CONFIG};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use testkit::Place;

/// A user without any rights of his own, where the tests run as one with all of them.
const NOBODY: u32 = 65_534;

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_or_folder_that_cannot_be_written_is_refused_at_planning() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::sqlite();
    place.script(AUDIT);
    let (program, data) = (folder.path().join("sexton"), folder.path().join("data"));
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_sexton"), &program).unwrap();
    std::fs::copy(place.url(), data.join("app.db")).unwrap();
    let config = format!("[state]\nfolder = \"state\"\n{}", CONFIG.replace("app.db", "data/app.db"));
    std::fs::write(folder.path().join("sexton.toml"), config).unwrap();
    allow(folder.path(), 0o755);
    allow(&folder.path().join("state"), 0o777);
    allow(&data, 0o555);
    let root = std::fs::metadata(folder.path()).unwrap().uid() == 0;
    for (mode, said) in [(0o666, "chmod u+w"), (0o444, "give this user the right to write the file")] {
        allow(&data.join("app.db"), mode);
        let before = std::fs::read(data.join("app.db")).unwrap();
        let mut command = Command::new(&program);
        command
            .current_dir(folder.path())
            .args(["run", "logs", "--yes", "--min-free-disk-mb", "0"])
            .env_clear();
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(std::fs::read(data.join("app.db")).unwrap(), before);
    }
    // so that the folder can be removed again
    allow(&data, 0o755);
}
