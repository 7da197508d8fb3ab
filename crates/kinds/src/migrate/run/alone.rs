//! A migration on a copy, or on an empty database, must leave everything else alone: what there is once for a whole server
//! (roles, its settings, other databases) is that of the real database too.

use super::task::Task;
use crate::migrate::model::Statement;
use crate::migrate::script::{Language, words};
use engine::{Error, Finding, Result, Step};

/// The steps without such statements, and which these are.
pub fn alone(steps: Vec<Step>, language: Language) -> Result<(Vec<Step>, Vec<Finding>)> {
    let (mut all, mut left_out) = (Vec::with_capacity(steps.len()), Vec::new());
    for mut step in steps {
        let mut task = Task::of(&step)?;
        let before = task.script.statements.len();
        task.script.statements.retain(|statement| !reaches_beyond(statement, language));
        let gone = before - task.script.statements.len();
        if gone > 0 {
            left_out.push(Finding::note(
                "left_out",
                &step.id,
                format!("{gone} of its statements reach beyond this database, and were left out"),
                "roles and settings of the server are tried on a server of their own",
            ));
            step.task = serde_json::to_value(&task)
                .map_err(|error| Error::system("the step of a migration cannot be written").because(error))?;
        }
        all.push(step);
    }
    Ok((all, left_out))
}

/// Whether it concerns the whole server.
fn reaches_beyond(statement: &Statement, language: Language) -> bool {
    if language.is_sqlite() {
        return false;
    }
    let words = words(&statement.sql, language, 3);
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ALTER", "SYSTEM", ..] => true,
        ["CREATE" | "ALTER" | "DROP", what, ..] => {
            ["ROLE", "USER", "GROUP", "DATABASE", "TABLESPACE", "SUBSCRIPTION"].contains(what)
                && words.get(2).is_none_or(|third| third != "MAPPING")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_once_for_the_whole_server_is_left_alone() {
        let beyond = |sql: &str| {
            let statement = Statement { sql: sql.to_owned(), ..Statement::default() };
            reaches_beyond(&statement, Language::Postgres { major: None })
        };
        for sql in ["create role x", "ALTER SYSTEM set a = 1", "drop database d", "alter user u password 'x'"]
        {
            assert!(beyond(sql), "{sql}");
        }
        for sql in
            ["create table role (a int)", "create user mapping for x server y", "grant select on t to x"]
        {
            assert!(!beyond(sql), "{sql}");
        }
    }
}
