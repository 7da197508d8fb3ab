//! The file of a new migration, named and begun as its neighbours are.
//!
//! Needs no database. It never writes over a file.

use super::options::Options;
use crate::migrate::directory::{Convention, Directory, Reading};
use crate::migrate::script::Language;
use engine::{Error, Result};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Makes the files; where they are.
pub fn new_files(options: &serde_json::Value, name: &str, now: Timestamp) -> Result<Vec<PathBuf>> {
    let options = Options::read(options)?;
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.map(str::to_lowercase).collect::<Vec<_>>().join("_");
    if name.is_empty() {
        return Err(Error::usage("a migration needs a name")
            .help("say what it does: `sexton migrate new 'add orders'`"));
    }
    let folder = &options.directory;
    let cannot = |error: std::io::Error, path: &Path| {
        Error::system(format!("`{}` cannot be made", path.display()))
            .help("name a folder you may write to with `--directory`")
            .because(error)
    };
    let fresh = folder.read_dir().map_or(true, |mut entries| entries.next().is_none());
    let (convention, numbers) = match options.convention()? {
        Some(convention) if fresh => (convention, Vec::new()),
        None if fresh => (Convention::Native, Vec::new()),
        asked => {
            let reading = Reading { language: Language::Sqlite, convention: asked, histories: Vec::new() };
            let directory = Directory::read(folder, &reading)?;
            (directory.convention, directory.migrations.iter().filter_map(|one| one.number).collect())
        }
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(error, folder))?;
    let mut made = Vec::new();
    for (file, text) in files(convention, &numbers, &name, now) {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| cannot(error, parent))?;
        }
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|error| cannot(error, &path))?;
        made.push(path);
    }
    Ok(made)
}

/// Names and beginnings.
fn files(convention: Convention, numbers: &[u64], name: &str, now: Timestamp) -> Vec<(String, String)> {
    let next = numbers.iter().max().map_or(1, |last| last + 1);
    let moment = now.strftime("%Y%m%d%H%M%S").to_string();
    // Numbers that are times of day go on as such.
    let is_times = numbers.iter().any(|number| *number > 10_000_000);
    let stamp = |width: usize| if is_times { moment.clone() } else { format!("{next:0width$}") };
    let one = |file: String, text: &str| vec![(file, text.to_owned())];
    let words = name.replace('_', " ");
    match convention {
        Convention::Native => one(
            format!("{}_{name}.sql", stamp(4)),
            &format!("-- sexton:description {words}\n-- sexton:up\n\n-- sexton:down\n"),
        ),
        Convention::Dbmate => one(format!("{moment}_{name}.sql"), "-- migrate:up\n\n-- migrate:down\n"),
        Convention::Goose => one(
            format!("{}_{name}.sql", if numbers.is_empty() { moment.clone() } else { stamp(5) }),
            "-- +goose Up\n\n-- +goose Down\n",
        ),
        Convention::Flyway => one(format!("V{next}__{name}.sql"), ""),
        Convention::Refinery => one(format!("V{next}__{name}.sql"), ""),
        Convention::GolangMigrate | Convention::Sqlx => {
            let stem = if convention == Convention::Sqlx { moment.clone() } else { stamp(6) };
            ["up", "down"].map(|way| (format!("{stem}_{name}.{way}.sql"), String::new())).to_vec()
        }
        Convention::Diesel => {
            let day = now.strftime("%Y-%m-%d-%H%M%S");
            ["up", "down"].map(|way| (format!("{day}_{name}/{way}.sql"), String::new())).to_vec()
        }
        Convention::Structure => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_comes_after_its_neighbours() {
        let now: Timestamp = "2026-11-20T10:20:30Z".parse().unwrap();
        let name = |convention, numbers: &[u64]| files(convention, numbers, "add_orders", now)[0].0.clone();
        assert_eq!(name(Convention::Native, &[]), "0001_add_orders.sql");
        assert_eq!(name(Convention::Native, &[1, 12]), "0013_add_orders.sql");
        assert_eq!(name(Convention::Native, &[20260101000000]), "20261120102030_add_orders.sql");
        assert_eq!(name(Convention::Dbmate, &[1]), "20261120102030_add_orders.sql");
        assert_eq!(name(Convention::GolangMigrate, &[3]), "000004_add_orders.up.sql");
        assert_eq!(name(Convention::Flyway, &[3]), "V4__add_orders.sql");
        assert_eq!(name(Convention::Diesel, &[]), "2026-11-20-102030_add_orders/up.sql");
    }
}
