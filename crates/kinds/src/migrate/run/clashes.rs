//! Tables that a migration would make and that are there, or would change and that are not: told before anything runs
//! (S2-038, W-008).
//!
//! It looks at the first words of each statement only, and says nothing where it does not understand them: the database
//! has the last word anyway.

use super::task::{Deed, Task};
use engine::{Finding, Result, Step};
use std::collections::BTreeSet;
use targets::db::{Facts, Schema, TableName};

/// What does not fit the database.
pub fn find(steps: &[Step], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    let mut tasks = Vec::new();
    for step in steps {
        let task = Task::of(step)?;
        if task.deed == Deed::Apply && task.done == 0 {
            tasks.push(task);
        }
    }
    let says_anything =
        tasks.iter().flat_map(|task| &task.script.statements).any(|one| touch(&one.sql).is_some());
    if !says_anything {
        return Ok(Vec::new());
    }
    let schema = facts.schema()?;
    let mut there: BTreeSet<String> =
        schema.tables.iter().map(|table| table.name.name.to_lowercase()).collect();
    let mut all = Vec::new();
    for task in &tasks {
        for statement in &task.script.statements {
            let Some(touched) = touch(&statement.sql) else { continue };
            let (name, id) = (touched.name, &task.brief.id);
            let at = format!("{}, line {}", task.script.file.display(), statement.line);
            match touched.how {
                How::Make if there.contains(&name) && is_in_reach(&schema, &name) => {
                    all.push(Finding::forbid(
                        "object_exists",
                        id,
                        format!("it makes the table `{name}`, which is there already ({at})"),
                        format!("if the database has all of it already: `sexton migrate baseline --to {id}`"),
                    ))
                }
                How::Change if !there.contains(&name) => all.push(Finding::forbid(
                    "object_missing",
                    id,
                    format!("it changes the table `{name}`, which is not there ({at})"),
                    "correct the file, or bring in first what makes the table",
                )),
                How::Drop => {
                    there.remove(&name);
                }
                How::Rename(to) => {
                    there.remove(&name);
                    there.insert(to);
                }
                _ => {
                    there.insert(name);
                }
            }
        }
    }
    Ok(all)
}

/// Tables of other schemas may have the same name.
fn is_in_reach(schema: &Schema, name: &str) -> bool {
    schema.find(name).is_ok()
}

#[derive(Debug, PartialEq)]
enum How {
    Make,
    Change,
    Drop,
    Rename(String),
}

#[derive(Debug, PartialEq)]
struct Touched {
    name: String,
    how: How,
}

/// The table that a statement makes, changes or drops.
fn touch(sql: &str) -> Option<Touched> {
    let head: String = sql.chars().take(300).collect();
    let words: Vec<&str> = head
        .split(|c: char| c.is_whitespace() || c == '(')
        .filter(|word| !word.is_empty())
        .take(12)
        .collect();
    let is = |n: usize, word: &str| words.get(n).is_some_and(|found| found.eq_ignore_ascii_case(word));
    let (how, at) = match () {
        _ if is(0, "create") && is(1, "table") && is(2, "if") => return None,
        _ if is(0, "create") && is(1, "table") => (How::Make, 2),
        _ if is(0, "alter") && is(1, "table") && (is(2, "if") || is(2, "only")) => return None,
        _ if is(0, "alter") && is(1, "table") && is(3, "rename") && is(4, "to") => {
            (How::Rename(plain(words.get(5)?)?), 2)
        }
        _ if is(0, "alter") && is(1, "table") => (How::Change, 2),
        _ if is(0, "drop") && is(1, "table") && is(2, "if") => (How::Drop, 4),
        _ if is(0, "drop") && is(1, "table") => (How::Drop, 2),
        _ => return None,
    };
    Some(Touched { name: plain(words.get(at)?)?, how })
}

/// A name without quotes; none where a schema stands before it.
fn plain(word: &str) -> Option<String> {
    let word = word.trim_end_matches([';', ',']);
    let bare = word.trim_matches(['"', '`', '[', ']']);
    let table = TableName::bare(bare);
    (!bare.is_empty() && !bare.contains('.')).then(|| table.name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_statement_is_found_where_it_is_clear() {
        let of = |sql: &str| touch(sql).map(|touched| (touched.name, touched.how));
        assert_eq!(of("CREATE TABLE \"Orders\" (id int)"), Some(("orders".into(), How::Make)));
        assert_eq!(of("create table orders(id int)"), Some(("orders".into(), How::Make)));
        assert_eq!(of("create table if not exists orders (id int)"), None);
        assert_eq!(of("alter table a rename to b"), Some(("a".into(), How::Rename("b".into()))));
        assert_eq!(of("alter table a add column x int"), Some(("a".into(), How::Change)));
        assert_eq!(of("create table s.orders (id int)"), None);
        assert_eq!(of("create index i on a (x)"), None);
    }
}
