//! `sexton example`: one of the example systems in a folder of its own, with a mess in it, to try things on.

use super::console::Console;
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring;
use clap::ArgMatches;
use std::path::Path;

/// An example: its files, and the scripts that make its SQLite database, in order.
struct Example {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    scripts: &'static [&'static str],
    /// The folder of its store, if it has one.
    store: &'static str,
}

macro_rules! files {
    ($folder:literal: $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../../../../examples/", $folder, "/", $name)))),+]
    };
}

const EXAMPLES: [Example; 5] = [
    Example {
        name: "e0",
        files: files!("e0": "README.md", "schema.sql", "schema.legacy.sql", "migrations/0001_task_queue.sql", "migrations/0002_monitoring.sql", "seed.sql", "store.txt", "plans.jq", "sexton.toml"),
        scripts: &["schema.sql", "seed.sql"],
        store: "collaterals",
    },
    Example {
        name: "e1",
        files: files!("e1": "README.md", "schema.sqlite.sql", "seed.sqlite.sql", "schema.postgres.sql", "seed.postgres.sql", "sexton.toml"),
        scripts: &["schema.sqlite.sql", "seed.sqlite.sql"],
        store: "",
    },
    Example {
        name: "e2",
        files: files!("e2": "README.md", "migrations/add_level.sql", "migrations/fill_level.sql", "migrations/a_course_by_level.sql", "schema.sqlite.sql", "seed.sqlite.sql", "schema.postgres.sql", "seed.postgres.sql", "store.txt", "sexton.toml"),
        scripts: &["schema.sqlite.sql", "seed.sqlite.sql"],
        store: "uploads",
    },
    Example {
        name: "e3",
        files: files!("e3": "README.md", "migrations.sqlite/20250118_add_folder_constraints.sql", "migrations.postgres/20250118_add_folder_constraints.sql", "schema.sqlite.sql", "seed.sqlite.sql", "constraints.sqlite.sql", "schema.postgres.sql", "seed.postgres.sql", "constraints.postgres.sql", "sexton.toml"),
        scripts: &["schema.sqlite.sql", "seed.sqlite.sql"],
        store: "",
    },
    Example {
        name: "e4",
        files: files!("e4": "README.md", "schema.sqlite.sql", "seed.sqlite.sql", "dirty.sqlite.sql", "schema.postgres.sql", "sexton.toml"),
        scripts: &["schema.sqlite.sql", "seed.sqlite.sql"],
        store: "",
    },
];

/// The files of an example's store, one a line: name and size.
const STORE: &str = "store.txt";

/// Makes these files, two days old: younger ones would be left alone.
fn fill_store(folder: &Path, list: &str) -> std::io::Result<()> {
    let two_days = std::time::Duration::from_secs(2 * 86_400);
    let mut folders = std::collections::BTreeSet::new();
    for (name, size) in list.lines().filter_map(|line| line.rsplit_once(' ')) {
        let path = folder.join(name);
        for above in path.ancestors().skip(1).take_while(|above| above.starts_with(folder)) {
            folders.insert(above.to_owned());
        }
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(&path, vec![b'.'; size.parse().unwrap_or(0)])?;
        make_older(&path, two_days)?;
    }
    folders.iter().try_for_each(|folder| make_older(folder, two_days))
}

fn make_older(path: &Path, age: std::time::Duration) -> std::io::Result<()> {
    let file = std::fs::File::open(path)?;
    let now = file.metadata()?.modified()?;
    file.set_modified(now - age)
}

/// The names of the examples.
pub fn names() -> Vec<&'static str> {
    EXAMPLES.iter().map(|example| example.name).collect()
}

/// Writes the files and makes the database. A folder that is not empty is left alone.
pub fn example(matches: &ArgMatches, console: &Console) -> Result<Exit, Trouble> {
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let Some(example) = EXAMPLES.iter().find(|example| example.name == name) else {
        return Err(Trouble::usage(
            format!("there is no example `{name}`"),
            format!("the examples are {}", names().join(", ")),
        ));
    };
    let folder = matches.get_one::<String>("folder").map_or(example.name, String::as_str);
    let folder = Path::new(folder);
    let occupied = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(Trouble::usage(format!("`{}` is not empty", folder.display()), "name a new folder"));
    }
    let failed = |error: std::io::Error| {
        Trouble::usage(
            format!("`{}` cannot be written: {error}", folder.display()),
            "name a folder you may write to",
        )
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (file, text) in example.files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        std::fs::write(path, text).map_err(failed)?;
    }
    for (_, text) in example.files.iter().filter(|(file, _)| *file == STORE) {
        fill_store(&folder.join(example.store), text).map_err(failed)?;
    }
    let scripts: Vec<&str> = example
        .scripts
        .iter()
        .filter_map(|script| example.files.iter().find(|(file, _)| file == script).map(|(_, text)| *text))
        .collect();
    wiring::make_example(&folder.join("app.db"), &scripts)?;
    console
        .data(&format!("example {name} is in {0}: try `cd {0}` and `sexton plan --all`", folder.display()));
    Ok(Exit::Done)
}
