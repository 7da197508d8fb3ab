//! Statements of SQLite, from the tree of its own grammar.
//!
//! The tree knows no places, so a part of a statement is found again by its name.

use super::super::stated::{Control, Does, Mistake, NewIndex, NewTable, RowDeed, Stated, Thing, plain};
use super::sqlite_table::{alter, name, qualified, table};
use sqlite3_parser::ast::{Cmd, Expr, PragmaBody, SortedColumn, Stmt, TriggerCmd, TriggerEvent};
use sqlite3_parser::lexer::sql::{Error, Parser};
use sqlite3_parser::{Bump, FallibleIterator};
use std::ops::Range;
use targets::db::TableName;

/// What a statement does, or why it cannot be read.
pub fn read(sql: &str) -> Result<Vec<Stated>, Vec<Mistake>> {
    let bump = Bump::new();
    // Without the end of a statement the grammar waits for more of it; a comment may stand at the end of the text.
    let whole = format!("{sql}\n;");
    let mut parser = Parser::new(&bump, whole.as_bytes());
    let mut all = Vec::new();
    loop {
        match parser.next() {
            Ok(None) => return Ok(all),
            Ok(Some(Cmd::Stmt(statement))) => {
                let does = does(&statement);
                let at = place(sql, &does);
                all.push(Stated { does, at });
            }
            Ok(Some(_)) => all.push(Stated { does: Does::Harmless, at: 0..sql.len() }),
            Err(error) => return Err(vec![mistake(sql, &error)]),
        }
    }
}

fn mistake(sql: &str, error: &Error) -> Mistake {
    let (what, position) = match error {
        Error::ParserError(error, position) => (error.to_string(), position),
        Error::UnrecognizedToken(position) => ("unknown character".to_owned(), position),
        Error::UnterminatedLiteral(position) => ("a quote is never closed".to_owned(), position),
        Error::UnterminatedBracket(position) => ("a bracket is never closed".to_owned(), position),
        Error::UnterminatedBlockComment(position) => ("a comment is never closed".to_owned(), position),
        Error::BadVariableName(position) => ("this is no name of a parameter".to_owned(), position),
        Error::BadNumber(position) => ("this is no number".to_owned(), position),
        Error::ExpectedEqualsSign(position) => ("`=` is missing after `!`".to_owned(), position),
        Error::MalformedBlobLiteral(position) => ("this is no blob".to_owned(), position),
        Error::MalformedHexInteger(position) => ("this is no hexadecimal number".to_owned(), position),
        other => (other.to_string(), &None),
    };
    let word = what.strip_prefix("near \"").and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let at = position.as_ref().map_or(0..sql.len(), |position| {
        // The position is behind the word that was not expected.
        let line_starts = std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1));
        let line = line_starts.take(position.line).last().unwrap_or(0);
        let end = ends_at(sql, line + position.column.saturating_sub(1));
        // It is before the word that was not expected, or behind it.
        let near = |start: &usize| start.abs_diff(end).min((start + word.len()).abs_diff(end));
        match sql.match_indices(word).map(|(start, _)| start).min_by_key(near) {
            Some(start) if !word.is_empty() => start..start + word.len(),
            _ => end.saturating_sub(1)..end,
        }
    });
    Mistake { what, at: ends_at(sql, at.start)..ends_at(sql, at.end) }
}

/// The nearest place that is not inside a letter.
fn ends_at(sql: &str, wanted: usize) -> usize {
    (0..=wanted.min(sql.len())).rev().find(|at| sql.is_char_boundary(*at)).unwrap_or(0)
}

fn does(statement: &Stmt) -> Does {
    match statement {
        Stmt::AlterTable(table, body) => alter(qualified(table), body),
        Stmt::Analyze(table) => Does::Analyze { table: table.as_ref().map(qualified) },
        Stmt::Attach { .. } | Stmt::Detach(_) => Does::Attach,
        Stmt::Begin(..) => Does::Control(Control::Begin),
        Stmt::Commit(_) => Does::Control(Control::Commit),
        Stmt::Rollback { savepoint_name: Some(_), .. } | Stmt::Release(_) | Stmt::Savepoint(_) => {
            Does::Control(Control::Savepoint)
        }
        Stmt::Rollback { .. } => Does::Control(Control::Rollback),
        Stmt::CreateIndex { unique, if_not_exists, idx_name, tbl_name, columns, where_clause } => {
            let index = NewIndex {
                name: Some(name(&idx_name.name)),
                columns: columns.iter().map(column).collect(),
                unique: *unique,
                if_not_exists: *if_not_exists,
                condition: where_clause.as_ref().map(ToString::to_string),
                ..NewIndex::default()
            };
            Does::CreateIndex { table: TableName::bare(&name(tbl_name)), index }
        }
        Stmt::CreateTable { temporary, if_not_exists, tbl_name, body } => {
            let new = NewTable { temporary: *temporary, if_not_exists: *if_not_exists, ..table(body) };
            Does::CreateTable { table: qualified(tbl_name), new }
        }
        Stmt::CreateTrigger { trigger_name, event, tbl_name, when_clause, commands, .. } => {
            let table = qualified(tbl_name);
            let again = when_clause.is_none()
                && commands.iter().any(|command| match (command, event) {
                    (TriggerCmd::Update { tbl_name, .. }, TriggerEvent::Update) => {
                        same(&qualified(tbl_name), &table)
                    }
                    (TriggerCmd::Update { tbl_name, sets, .. }, TriggerEvent::UpdateOf(columns)) => {
                        same(&qualified(tbl_name), &table)
                            && sets
                                .iter()
                                .any(|set| set.col_names.iter().any(|changed| columns.contains(changed)))
                    }
                    _ => false,
                });
            Does::CreateTrigger { table, name: name(&trigger_name.name), again }
        }
        Stmt::CreateView { view_name, .. } => {
            Does::CreateView { name: qualified(view_name), replaces: false }
        }
        Stmt::CreateVirtualTable { tbl_name, if_not_exists, .. } => {
            let new =
                NewTable { if_not_exists: *if_not_exists, shaped_elsewhere: true, ..NewTable::default() };
            Does::CreateTable { table: qualified(tbl_name), new }
        }
        Stmt::Delete { tbl_name, where_clause, .. } => {
            rows(qualified(tbl_name), RowDeed::Delete, where_clause)
        }
        Stmt::Update { tbl_name, where_clause, .. } => {
            rows(qualified(tbl_name), RowDeed::Update, where_clause)
        }
        Stmt::Insert { tbl_name, .. } => rows(qualified(tbl_name), RowDeed::Insert, &None),
        Stmt::DropIndex { if_exists, idx_name } => {
            Does::DropIndex { names: vec![qualified(idx_name)], concurrently: false, if_exists: *if_exists }
        }
        Stmt::DropTable { if_exists, tbl_name } => {
            Does::DropTable { tables: vec![qualified(tbl_name)], if_exists: *if_exists, cascade: false }
        }
        Stmt::DropTrigger { if_exists, trigger_name } => {
            drop(Thing::Trigger, qualified(trigger_name), *if_exists)
        }
        Stmt::DropView { if_exists, view_name } => drop(Thing::View, qualified(view_name), *if_exists),
        Stmt::Pragma(name, body) => Does::Pragma {
            name: plain(&name.name.to_string(), true),
            value: body.as_ref().map(|body| match body {
                PragmaBody::Equals(value) | PragmaBody::Call(value) => {
                    value.to_string().trim_matches(['\'', '"']).to_lowercase()
                }
            }),
        },
        Stmt::Reindex { obj_name } => {
            Does::Reindex { target: "index", name: obj_name.as_ref().map(qualified), concurrently: false }
        }
        Stmt::Select(_) => Does::Harmless,
        Stmt::Vacuum(_, into) if into.is_some() => Does::Harmless,
        Stmt::Vacuum(..) => Does::Vacuum { table: None, full: true },
    }
}

fn drop(thing: Thing, name: TableName, if_exists: bool) -> Does {
    Does::DropThing { thing, names: vec![name], table: None, if_exists, cascade: false }
}

fn rows(table: TableName, deed: RowDeed, condition: &Option<Expr>) -> Does {
    Does::Rows { table, deed, condition: condition.as_ref().map(ToString::to_string), new_table_only: false }
}

fn column(sorted: &SortedColumn) -> Option<String> {
    match &sorted.expr {
        Expr::Id(id) => Some(plain(id.0, false)),
        Expr::Name(column) => Some(name(column)),
        Expr::Collate(inner, _) => match inner {
            Expr::Id(id) => Some(plain(id.0, false)),
            Expr::Name(column) => Some(name(column)),
            _ => None,
        },
        _ => None,
    }
}

fn same(a: &TableName, b: &TableName) -> bool {
    a.name.eq_ignore_ascii_case(&b.name)
}

/// Where the part stands that is worth a look; the first line where nothing better is known.
fn place(sql: &str, does: &Does) -> Range<usize> {
    let wanted = match does {
        Does::AddColumn { column, .. } => &column.name,
        Does::DropColumn { column, .. }
        | Does::RenameColumn { column, .. }
        | Does::SetNotNull { column, .. }
        | Does::DropNotNull { column, .. } => column,
        _ => return 0..sql.len(),
    };
    found(sql, wanted).map_or(0..sql.len(), |start| start..start + wanted.len())
}

/// Where a name stands as a word of its own, the last time.
pub fn found(sql: &str, wanted: &str) -> Option<usize> {
    let word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    sql.match_indices(wanted)
        .map(|(at, _)| at)
        .filter(|at| !word(sql[..*at].chars().next_back()) && !word(sql[at + wanted.len()..].chars().next()))
        .last()
}
