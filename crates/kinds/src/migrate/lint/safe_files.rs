//! A whole migration in its safe form: one or several migrations, in order.

use super::course::Course;
use super::judge::{Source, Terms};
use super::model::Statement;
use super::read;
use super::rewrite::{Step, safe};
use super::surroundings::Surroundings;

/// The migrations that take the place of this one; one and the same where nothing is to be done. A statement that cannot
/// be read, or has no safe form, stays as it is.
pub fn rewrite(source: &Source, terms: &Terms, around: Option<&Surroundings>) -> Vec<Step> {
    let engine = around.map_or(terms.engine, |around| around.engine);
    let version = terms.version.or(around.map(|around| around.version)).unwrap_or(engine.usual_version());
    let mut course = Course::new(engine, version, around);
    let mut steps: Vec<Step> = Vec::new();
    for part in source.script.parts() {
        let transaction = part.transaction && (part.statements.len() > 1 || source.script.transaction);
        for statement in part.statements {
            let sql = statement.sql.clone();
            let parts = read::read(engine, &sql).unwrap_or_default();
            let own = safe(&sql, &parts, &course).unwrap_or_else(|| {
                let statements = vec![commented(source, statement)];
                vec![Step { statements, transaction, apart: !transaction }]
            });
            for stated in &parts {
                course.apply(&stated.does);
            }
            for step in own {
                add(&mut steps, step);
            }
        }
    }
    steps
}

/// A statement with the comments right above it, which may allow what it does. Those above the first one stay where they
/// are, and those that speak to a migration tool are no part of a statement.
fn commented(source: &Source, statement: &Statement) -> String {
    let first = source.script.statements.first().is_some_and(|first| first.line == statement.line);
    if first {
        return statement.sql.clone();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let above = lines.get(..statement.line.saturating_sub(1) as usize).unwrap_or_default();
    let is_comment = |line: &&&str| {
        let line = line.trim();
        let speaks = ["-- +goose", "-- migrate:"].iter().any(|mark| line.starts_with(mark))
            || line.starts_with("-- sexton:") && !line.starts_with("-- sexton:ignore");
        line.starts_with("--") && !speaks
    };
    let mut comments: Vec<&str> = above.iter().rev().take_while(is_comment).copied().collect();
    comments.reverse();
    comments.push(&statement.sql);
    comments.join("\n")
}

fn add(steps: &mut Vec<Step>, step: Step) {
    match steps.last_mut() {
        // What needs no transaction of its own may share one; what has none may follow another that has none.
        Some(last) if last.transaction == step.transaction && (!step.apart || !step.transaction) => {
            last.statements.extend(step.statements);
        }
        _ => steps.push(step),
    }
}
