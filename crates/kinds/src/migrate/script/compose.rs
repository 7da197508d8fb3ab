//! What a transaction can hold of a script: `begin` and `commit` are taken out and remembered as blocks, statements that
//! the database refuses in a transaction stand alone, and what cannot be done either way is told.

use super::outside::{Refusal, refusal};
use super::{Language, begins_with, words};
use crate::migrate::model::{Script, Statement};
use crate::migrate::problem::{Fault, Problem};
use std::path::Path;

/// What the author of a script says about transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transactions {
    /// The tool wraps the script in one. With the words that switch it off, where there are any.
    On(&'static str),
    /// Each statement is by itself, but for those between `begin` and `commit`.
    Off,
    /// The tool leaves it to the script, which becomes one transaction where nothing speaks against it.
    AsWritten,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Begin,
    Commit,
    Rollback,
    Nothing,
}

/// The script of these statements, each with its line.
pub fn compose(
    file: &Path,
    written: Vec<(&str, u32)>,
    problems: Vec<Problem>,
    language: Language,
    transactions: Transactions,
) -> Script {
    let mut script = Script { file: file.to_owned(), problems, ..Script::default() };
    let (mut block, mut count, mut explicit) = (None, 0, false);
    for (n, (sql, line)) in written.iter().enumerate() {
        let refuse = |what: &str, help: String| Problem::new(Fault::Transaction, what, help).at(*line);
        match control(sql, language) {
            Control::Begin if block.is_none() => {
                count += 1;
                block = Some(count);
                explicit = true;
            }
            Control::Commit if block.is_some() => block = None,
            Control::Begin => {
                let what = "`begin` stands in a transaction that is already open";
                script.problems.push(refuse(what, "write `commit` before it".to_owned()));
            }
            Control::Commit => {
                let what = "`commit` ends a transaction that it did not begin";
                script
                    .problems
                    .push(refuse(what, "leave it out: what is recorded must not be left behind".to_owned()));
            }
            Control::Rollback => {
                let what = "`rollback` would take back what is then recorded as done";
                script.problems.push(refuse(what, "leave it out".to_owned()));
            }
            Control::Nothing => {
                let outside = refusal(sql, language, &written[..n], &written[n + 1..]);
                if let (Some(refused), Some(_)) = (&outside, block) {
                    script
                        .problems
                        .push(refuse(refused.why(), "put it before `begin` or after `commit`".to_owned()));
                }
                if let (Some(Refusal::Never(why)), Transactions::On(off)) = (&outside, transactions)
                    && block.is_none()
                {
                    let help = alone(off);
                    script.problems.push(refuse(why, help));
                }
                script.statements.push(Statement {
                    sql: (*sql).to_owned(),
                    line: *line,
                    outside: outside.map(|refused| refused.why().to_owned()),
                    block,
                });
            }
        }
    }
    if block.is_some() {
        let line = written.last().map_or(1, |(_, line)| *line);
        let problem =
            Problem::new(Fault::Transaction, "`begin` has no `commit`", "write `commit` at the end");
        script.problems.push(problem.at(line));
    }
    arrange(&mut script, explicit, count, transactions);
    for problem in &mut script.problems {
        problem.file = Some(file.to_owned());
    }
    script
}

/// Decides what runs together.
fn arrange(script: &mut Script, explicit: bool, count: u32, transactions: Transactions) {
    let statements = &mut script.statements;
    let alone = statements.iter().any(|statement| statement.outside.is_some());
    let whole = count == 1 && statements.iter().all(|statement| statement.block.is_some());
    if explicit && !whole {
        if let Transactions::On(off) = transactions {
            let line =
                statements.iter().find(|statement| statement.block.is_some()).map_or(1, |first| first.line);
            let help = match off {
                "" => "leave `begin` and `commit` out".to_owned(),
                off => format!("leave `begin` and `commit` out, or write `{off}`"),
            };
            let what = "`begin` stands in a file that runs in one transaction anyway";
            script.problems.push(Problem::new(Fault::Transaction, what, help).at(line));
        }
        return;
    }
    let together = whole || !matches!(transactions, Transactions::Off);
    script.transaction = together && !alone;
    let mut block = 0;
    for n in 0..statements.len() {
        if !together || script.transaction || statements[n].outside.is_some() {
            statements[n].block = None;
            continue;
        }
        block += u32::from(n == 0 || statements[n - 1].outside.is_some());
        statements[n].block = Some(block);
    }
}

fn alone(off: &str) -> String {
    match off {
        "" => "run it by hand, it is no step of a migration".to_owned(),
        off => format!("put it in a file of its own, with `{off}`"),
    }
}

fn control(sql: &str, language: Language) -> Control {
    const FIRST: [&str; 7] = ["begin", "start", "commit", "end", "rollback", "abort", "prepare"];
    if !begins_with(sql, &FIRST) {
        return Control::Nothing;
    }
    let words = words(sql, language, 3);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Control::Begin,
        ["COMMIT" | "ROLLBACK", "PREPARED", ..] => Control::Nothing,
        ["COMMIT" | "END", ..] => Control::Commit,
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO"] => Control::Nothing,
        ["ROLLBACK" | "ABORT", ..] | ["PREPARE", "TRANSACTION", ..] => Control::Rollback,
        _ => Control::Nothing,
    }
}
