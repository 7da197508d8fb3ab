//! The migration that a person means.

use crate::migrate::model::Migration;
use crate::migrate::problem::{Fault, MIGRATE, Problem};

/// By id, version, number, or the beginning of an id that only one has.
pub fn find<'a>(migrations: &'a [Migration], name: &str) -> Result<&'a Migration, Problem> {
    let number: Option<u64> = name.parse().ok();
    let tests: [&dyn Fn(&Migration) -> bool; 4] = [
        &|migration| migration.id == name,
        &|migration| migration.version == name,
        &|migration| number.is_some() && migration.number == number,
        &|migration| !name.is_empty() && migration.id.starts_with(name),
    ];
    for test in tests {
        let fitting: Vec<&Migration> = migrations.iter().filter(|migration| test(migration)).collect();
        match fitting.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let ids: Vec<&str> = several.iter().map(|migration| migration.id.as_str()).collect();
                let what = format!("`{name}` may mean {}", listed(&ids));
                return Err(Problem::new(Fault::Unknown, what, "write the whole id").about(ids));
            }
        }
    }
    let what = format!("there is no migration `{name}`");
    Err(Problem::new(Fault::Unknown, what, format!("`{MIGRATE} status` shows them")).about([name]))
}

/// Names in backticks, the first ten of them.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => shown.concat(),
    }
}
