//! Rows for a trial: `ID.sql` in a folder beside that of the migrations. Its statements run on the copy before the migration
//! does, and what they insert must survive it.

use super::options::Options;
use crate::migrate::script::{Kind, Language, Lexer, split};
use engine::{Error, Result, Seed};
use std::path::PathBuf;

/// The folder: named, or `seeds` beside that of the migrations.
pub fn folder(options: &Options) -> PathBuf {
    match &options.seeds {
        Some(folder) => folder.clone(),
        None => options.directory.with_file_name("seeds"),
    }
}

/// Those of one migration; none where it has no file.
pub fn of(options: &Options, id: &str, language: Language) -> Result<Vec<Seed>> {
    let path = folder(options).join(format!("{id}.sql"));
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::system(format!("`{place}` cannot be read")).because(error)),
    };
    let statements = split(&text, language)
        .map_err(|problem| Error::usage(format!("`{place}`: {}", problem.what)).help(problem.help.clone()))?;
    Ok(statements
        .into_iter()
        .map(|statement| Seed {
            table: inserts_into(&statement.sql, language),
            place: format!("{place}, line {}", statement.line),
            sql: statement.sql,
        })
        .collect())
}

/// The table that a plain `insert` fills, as it is spelt there; none for anything else, and where it gives rows back itself.
fn inserts_into(sql: &str, language: Language) -> Option<String> {
    let tokens: Vec<_> = Lexer::new(sql, language)
        .map_while(std::result::Result::ok)
        .filter(|token| !matches!(token.kind, Kind::Comment | Kind::Block))
        .collect();
    let word = |n: usize, wanted: &str| {
        tokens.get(n).is_some_and(|token| {
            token.kind == Kind::Word && sql[token.start..token.end].eq_ignore_ascii_case(wanted)
        })
    };
    let gives_back = (0..tokens.len()).any(|n| word(n, "returning"));
    if !word(0, "insert") || !word(1, "into") || gives_back {
        return None;
    }
    let first = tokens.get(2)?;
    let mut end = first.end;
    for token in tokens.get(3..)? {
        let name = matches!(token.kind, Kind::Word | Kind::Quoted) || &sql[token.start..token.end] == ".";
        if token.start != end || !name {
            break;
        }
        end = token.end;
    }
    Some(sql[first.start..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_an_insert_is_found_as_it_is_spelt() {
        let table = |sql: &str| inserts_into(sql, Language::Sqlite);
        for (sql, wanted) in [
            ("insert into users values (1)", Some("users")),
            ("INSERT INTO app.\"Old Users\"(id) select 1", Some("app.\"Old Users\"")),
            ("insert /* x */ into \"a.b\" (c) values ('returning')", Some("\"a.b\"")),
            ("insert into users values (1) returning id", None),
            ("update users set id = 2", None),
            ("insert", None),
        ] {
            assert_eq!(table(sql).as_deref(), wanted, "{sql}");
        }
    }
}
