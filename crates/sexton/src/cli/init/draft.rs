//! The text of a drafted configuration. It passes `sexton config check`.

use super::guess::{Guess, Sort, undeclared};
use crate::cli::numbers::{bytes, of, rows};
use std::fmt::Write;
use targets::db::{Schema, Server};

/// The draft for a database that was typed as `place`.
pub fn draft(place: &str, server: &Server, schema: &Schema, guesses: &[Guess]) -> String {
    let (url, hint) = url_without_password(place);
    let mut text = String::new();
    let engine = if server.engine == "postgresql" { "PostgreSQL" } else { "SQLite" };
    let tables = of(schema.tables.len() as u64, "table", "tables");
    let _ = write!(
        text,
        "# A proposal, drafted from {engine} {}: {tables}, {}.\n\
         # Look through it, then:  sexton plan --all   (changes nothing)\n\
         # All settings:           sexton config example\n\n\
         [database.main]\nurl = {}\n{hint}",
        server.version,
        bytes(server.bytes),
        quoted(&url),
    );
    if guesses.is_empty() {
        text.push_str(
            "\n# No table looks like a log, a queue, sessions, tokens or soft-deleted rows. An operation looks like this:\n\
             # [operation.logs]\n# kind = \"purge\"\n# table = \"my_log\"\n# age_column = \"created_at\"\n\
             # older_than = \"90 days\"\n",
        );
    }
    for guess in guesses {
        text.push_str(&operation(guess));
    }
    if guesses.len() > 1 {
        let names: Vec<String> = guesses.iter().map(|guess| quoted(&name_of(guess))).collect();
        let _ = write!(text, "\n[group.daily]\noperations = [{}]\n", names.join(", "));
    }
    text.push_str(&references(schema));
    text
}

fn operation(guess: &Guess) -> String {
    let mut text = String::new();
    let size = match (guess.rows, guess.bytes) {
        (Some(number), Some(size)) => format!(", about {}, {}", rows(number), bytes(size)),
        (Some(number), None) => format!(", about {}", rows(number)),
        (None, Some(size)) => format!(", {}", bytes(size)),
        (None, None) => String::new(),
    };
    let (looks, age) = match guess.sort {
        Sort::Log => ("a log", "90 days"),
        Sort::Audit => ("an audit trail: ask who must be able to look into it, and for how long", "1 year"),
        Sort::Expiring => ("rows with an end of their own", ""),
        Sort::Queue => ("a queue: only finished tasks go", "7 days"),
        Sort::SoftDeleted => ("rows that are only marked as deleted", "1 year"),
    };
    let _ = write!(
        text,
        "\n# `{}` looks like {looks}{size}.\n[operation.{}]\nkind = \"purge\"\ntable = {}\n",
        guess.table,
        key(&name_of(guess)),
        quoted(&guess.table),
    );
    let column = quoted(&guess.age_column);
    let _ = match guess.sort {
        Sort::Expiring => writeln!(text, "expires = {column}"),
        _ => writeln!(text, "age_column = {column}\nolder_than = \"{age}\""),
    };
    if let Some(status) = &guess.status_column {
        let _ = writeln!(
            text,
            "# Which values mean \"finished\"?\nwhere = {}",
            quoted(&format!(
                "lower(t.{}) in ('completed', 'done', 'success', 'finished')",
                column_name(status)
            ))
        );
    }
    if guess.sort == Sort::Expiring {
        text.push_str(
            "# Nobody wants these back. Leave it out to keep undo rows all the same.\nundo = \"none\"\n",
        );
    }
    text
}

/// Quoted only where it must be: a person is going to read it.
fn column_name(name: &str) -> String {
    let plain =
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if plain { name.to_owned() } else { targets::db::quote(name) }
}

fn references(schema: &Schema) -> String {
    let missing = undeclared(schema);
    if missing.is_empty() {
        return String::new();
    }
    let mut text = "\n# These columns look like references that the database does not declare. A purge of the table on the right\n\
                    # does not know of them unless it says so:\n\
                    # relations = [{ table = \"…\", columns = [\"…\"], policy = \"restrict\" }]\n"
        .to_owned();
    for one in missing {
        let _ = writeln!(text, "#   {}.{} -> {}.{}", one.table, one.column, one.parent, one.parent_column);
    }
    text
}

/// The name of an operation: that of its table, without what cannot be typed easily.
fn name_of(guess: &Guess) -> String {
    let name: String = guess
        .table
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '_' })
        .collect();
    if ["metadata", "all", "latest", "daily"].contains(&name.as_str()) {
        format!("{name}_rows")
    } else {
        name
    }
}

fn key(name: &str) -> String {
    if name.is_empty() { "\"\"".to_owned() } else { name.to_owned() }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A password belongs into the environment, not into a file that is shown around.
fn url_without_password(place: &str) -> (String, &'static str) {
    let hint = "# export DB_PASSWORD=…, or write it into a file `.env` beside this one\n";
    let Some((scheme, rest)) = place.split_once("://") else { return (place.to_owned(), "") };
    let (main, options) = rest.split_once('?').map_or((rest, None), |(main, options)| (main, Some(options)));
    let main = match main.rsplit_once('@').and_then(|(who, place)| Some((who.split_once(':')?.0, place))) {
        Some((user, place)) => format!("{user}:${{DB_PASSWORD}}@{place}"),
        None => main.to_owned(),
    };
    // it may be among the options too
    let options = options.map(|options| {
        let each = options.split('&').map(|option| match option.split_once('=') {
            Some((name @ ("password" | "sslpassword"), _)) => format!("{name}=${{DB_PASSWORD}}"),
            _ => option.to_owned(),
        });
        format!("?{}", each.collect::<Vec<_>>().join("&"))
    });
    let url = format!("{scheme}://{main}{}", options.unwrap_or_default());
    let hint = if url == place { "" } else { hint };
    (url, hint)
}
