//! What a SQLite file says of its tables and indexes only in the text of their `create` statements.
//!
//! The catalogue knows columns, keys and references; checks, collations, the expressions of defaults and indexes, what happens
//! when a parent changes, and what may wait for the commit are only written. Expressions are kept as text.

use sqlite3_parser::ast::{
    Cmd, ColumnConstraint, CreateTableBody, DeferSubclause, Expr, ForeignKeyClause, IndexedColumn,
    InitDeferredPred, Literal, Operator, RefAct, RefArg, ResolveType, SortOrder, SortedColumn, Stmt,
    TableConstraint,
};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator};
use targets::db::Action;

/// A table as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Its columns in order.
    pub columns: Vec<WrittenColumn>,
    /// Its checks, those of columns among them: name and condition.
    pub checks: Vec<(Option<String>, String)>,
    /// Its references, those of columns among them.
    pub references: Vec<WrittenReference>,
    /// The ids of rows that are gone are not given again.
    pub autoincrement: bool,
    /// What happens to a row that breaks a rule, where that is no error: the rule, and what.
    pub conflicts: Vec<(String, String)>,
}

/// A column as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenColumn {
    /// Its name.
    pub name: String,
    /// The expression of its default.
    pub default: Option<String>,
    /// The expression that computes it.
    pub generated: Option<String>,
    /// Its collation, in lower case.
    pub collation: Option<String>,
}

/// A reference as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenReference {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: String,
    /// The columns referred to; none for the primary key.
    pub parent_columns: Vec<String>,
    /// What happens when the parent goes.
    pub on_delete: Action,
    /// What happens when the parent's key changes.
    pub on_update: Action,
    /// It may be broken until the commit.
    pub deferred: bool,
}

/// An index as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenIndex {
    /// What it is over, in order.
    pub parts: Vec<WrittenPart>,
    /// No two rows may be equal.
    pub unique: bool,
    /// Which rows are in it.
    pub only: Option<String>,
}

/// One part of an index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenPart {
    /// The expression; a bare name is a column.
    pub expression: String,
    /// Its own collation, in lower case.
    pub collation: Option<String>,
    /// Largest first.
    pub descending: bool,
}

impl Written {
    /// Keeps what is no error.
    fn conflict(&mut self, of: &str, how: Option<ResolveType>) {
        let how = match how {
            Some(ResolveType::Ignore) => "on conflict ignore",
            Some(ResolveType::Replace) => "on conflict replace",
            Some(ResolveType::Fail) => "on conflict fail",
            Some(ResolveType::Rollback) => "on conflict rollback",
            None | Some(ResolveType::Abort) => return,
        };
        self.conflicts.push((of.to_owned(), how.to_owned()));
    }
}

/// What `read` makes of the only statement of a text; none where it is no such statement.
pub fn statement<T>(sql: &str, read: impl Fn(&Stmt) -> Option<T> + std::panic::RefUnwindSafe) -> Option<T> {
    // the parser does not promise never to panic
    let whole = format!("{sql}\n;");
    std::panic::catch_unwind(|| {
        let bump = Bump::new();
        match Parser::new(&bump, whole.as_bytes()).next() {
            Ok(Some(Cmd::Stmt(statement))) => read(&statement),
            _ => None,
        }
    })
    .ok()
    .flatten()
}

/// What `read` makes of an expression.
pub fn expression<T>(text: &str, read: impl Fn(&Expr) -> T + std::panic::RefUnwindSafe) -> Option<T> {
    statement(&format!("create index i on t (a) where {text}"), |statement| match statement {
        Stmt::CreateIndex { where_clause: Some(expression), .. } => Some(read(expression)),
        _ => None,
    })
}

/// A name without its quotes.
pub fn unquoted(written: &str) -> String {
    let mut letters = written.trim().chars();
    let close = match letters.next() {
        Some('[') => return written.trim()[1..].trim_end_matches(']').to_owned(),
        Some(quote @ ('"' | '`' | '\'')) => quote,
        _ => return written.trim().to_owned(),
    };
    let inner = letters.as_str();
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    inner.replace(&format!("{close}{close}"), &close.to_string())
}

/// A `create table`.
pub fn table(sql: &str) -> Option<Written> {
    statement(sql, |statement| match statement {
        Stmt::CreateTable {
            body: CreateTableBody::ColumnsAndConstraints { columns, constraints, .. },
            ..
        } => {
            let mut written = Written::default();
            for definition in columns {
                let mut column =
                    WrittenColumn { name: unquoted(definition.col_name.0), ..WrittenColumn::default() };
                for named in definition.constraints {
                    let own = column.name.clone();
                    of_column(
                        &named.constraint,
                        own,
                        named.name.as_ref().map(|name| name.0),
                        &mut column,
                        &mut written,
                    );
                }
                written.columns.push(column);
            }
            for named in constraints.iter().flat_map(|list| list.iter()) {
                let conflict = match &named.constraint {
                    TableConstraint::PrimaryKey { conflict_clause, .. }
                    | TableConstraint::Unique { conflict_clause, .. } => *conflict_clause,
                    _ => None,
                };
                written.conflict("a key", conflict);
                match &named.constraint {
                    TableConstraint::Check(check, _) => {
                        written
                            .checks
                            .push((named.name.as_ref().map(|name| unquoted(name.0)), check.to_string()));
                    }
                    TableConstraint::PrimaryKey { auto_increment, .. } => {
                        written.autoincrement |= auto_increment
                    }
                    TableConstraint::ForeignKey { columns, clause, defer_clause } => {
                        written.references.push(reference(names(columns), clause, defer_clause.as_ref()));
                    }
                    TableConstraint::Unique { .. } => {}
                }
            }
            Some(written)
        }
        _ => None,
    })
}

fn of_column(
    constraint: &ColumnConstraint,
    own: String,
    name: Option<&str>,
    column: &mut WrittenColumn,
    written: &mut Written,
) {
    let conflict = match constraint {
        ColumnConstraint::PrimaryKey { conflict_clause, .. }
        | ColumnConstraint::NotNull { conflict_clause, .. }
        | ColumnConstraint::Unique(conflict_clause) => *conflict_clause,
        _ => None,
    };
    written.conflict(&own, conflict);
    match constraint {
        ColumnConstraint::Default(default) => column.default = Some(default.to_string()),
        ColumnConstraint::Generated { expr, .. } => column.generated = Some(expr.to_string()),
        ColumnConstraint::Collate { collation_name } => {
            column.collation = Some(unquoted(collation_name.0).to_ascii_lowercase());
        }
        ColumnConstraint::PrimaryKey { auto_increment, .. } => written.autoincrement |= auto_increment,
        ColumnConstraint::Check(check) => written.checks.push((name.map(unquoted), check.to_string())),
        ColumnConstraint::ForeignKey { clause, defer_clause } => {
            written.references.push(reference(vec![own], clause, defer_clause.as_ref()));
        }
        // `deferrable` may also stand by itself behind the reference
        ColumnConstraint::Defer(defer) => {
            if let Some(last) = written.references.last_mut().filter(|last| last.columns == [own]) {
                last.deferred = is_deferred(Some(defer));
            }
        }
        _ => {}
    }
}

/// A `create index`.
pub fn index(sql: &str) -> Option<WrittenIndex> {
    statement(sql, |statement| match statement {
        Stmt::CreateIndex { unique, columns, where_clause, .. } => Some(WrittenIndex {
            parts: columns.iter().map(part).collect(),
            unique: *unique,
            only: where_clause.as_ref().map(ToString::to_string),
        }),
        _ => None,
    })
}

fn part(column: &SortedColumn) -> WrittenPart {
    let descending = column.order == Some(SortOrder::Desc);
    match &column.expr {
        Expr::Collate(inner, collation) => WrittenPart {
            expression: inner.to_string(),
            collation: Some(unquoted(collation).to_ascii_lowercase()),
            descending,
        },
        other => WrittenPart { expression: other.to_string(), collation: None, descending },
    }
}

fn names(columns: &[IndexedColumn]) -> Vec<String> {
    columns.iter().map(|column| unquoted(column.col_name.0)).collect()
}

fn reference(
    columns: Vec<String>,
    clause: &ForeignKeyClause,
    defer: Option<&DeferSubclause>,
) -> WrittenReference {
    let mut reference = WrittenReference {
        columns,
        parent: unquoted(clause.tbl_name.0),
        parent_columns: clause.columns.map_or_else(Vec::new, names),
        on_delete: Action::NoAction,
        on_update: Action::NoAction,
        deferred: is_deferred(defer),
    };
    for arg in clause.args {
        match arg {
            RefArg::OnDelete(act) => reference.on_delete = action(*act),
            RefArg::OnUpdate(act) => reference.on_update = action(*act),
            _ => {}
        }
    }
    reference
}

fn is_deferred(defer: Option<&DeferSubclause>) -> bool {
    defer.is_some_and(|defer| {
        defer.deferrable && matches!(defer.init_deferred, Some(InitDeferredPred::InitiallyDeferred))
    })
}

fn action(act: RefAct) -> Action {
    match act {
        RefAct::SetNull => Action::SetNull,
        RefAct::SetDefault => Action::SetDefault,
        RefAct::Cascade => Action::Cascade,
        RefAct::Restrict => Action::Restrict,
        RefAct::NoAction => Action::NoAction,
    }
}

/// Whether a check lets nothing but JSON documents and NULL into a column.
pub fn wants_document(check: &str, column: &str) -> bool {
    check.to_ascii_lowercase().contains("json_valid")
        && expression(check, |expr| asks_document(expr, column)).unwrap_or_default()
}

fn asks_document(expr: &Expr, column: &str) -> bool {
    let is_column = |expr: &Expr| match expr {
        Expr::Id(id) => unquoted(id.0).eq_ignore_ascii_case(column),
        Expr::Name(name) => unquoted(name.0).eq_ignore_ascii_case(column),
        _ => false,
    };
    let is_null = |expr: &Expr| match bare(expr) {
        Expr::IsNull(inner) | Expr::Binary(inner, Operator::Is, Expr::Literal(Literal::Null)) => {
            is_column(inner)
        }
        _ => false,
    };
    match bare(expr) {
        Expr::FunctionCall { name, args: Some([one]), .. } => {
            name.0.eq_ignore_ascii_case("json_valid") && is_column(one)
        }
        Expr::Binary(left, Operator::And, right) => {
            asks_document(left, column) || asks_document(right, column)
        }
        Expr::Binary(left, Operator::Or, right) => {
            asks_document(left, column) && is_null(right) || is_null(left) && asks_document(right, column)
        }
        _ => false,
    }
}

/// Without the parentheses around it.
pub(super) fn bare<'e, 'b>(expr: &'e Expr<'b>) -> &'e Expr<'b> {
    match expr {
        Expr::Parenthesized(inner) if inner.len() == 1 => bare(&inner[0]),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{WrittenPart, index, table};
    use targets::db::Action;

    #[test]
    fn what_the_catalogue_does_not_tell_is_read_from_the_statement() {
        let written = table(
            "create table \"My t\" (id integer primary key autoincrement, a text collate nocase default (lower('X')) \
             check (length(a) < 10), [b c] int as (id * 2) stored, \
             p int references p on delete cascade on update set null deferrable initially deferred, \
             constraint ck check (id > 0 or a is null), foreign key (id, a) references q (x, y) on delete restrict)",
        )
        .unwrap();
        assert!(written.autoincrement);
        assert_eq!(written.columns[1].collation.as_deref(), Some("nocase"));
        assert_eq!(written.columns[1].default.as_deref().map(|text| text.contains("lower")), Some(true));
        assert_eq!(written.columns[2].name, "b c");
        assert_eq!(written.columns[2].generated.as_deref(), Some("id * 2"));
        assert_eq!(written.checks.len(), 2);
        assert_eq!(written.checks[1].0.as_deref(), Some("ck"));
        let p = &written.references[0];
        assert_eq!((p.on_delete, p.on_update, p.deferred), (Action::Cascade, Action::SetNull, true));
        assert!(p.parent_columns.is_empty());
        assert_eq!(written.references[1].parent_columns, ["x", "y"]);
        assert_eq!(table("create index i on t (a)"), None);
        assert_eq!(table("no sql"), None);
    }

    #[test]
    fn indexes_are_read_part_by_part() {
        let written =
            index("create unique index i on t (a, lower(b), c collate NOCASE desc) where d is null").unwrap();
        assert!(written.unique);
        assert_eq!(written.parts[1].expression, "lower (b)");
        let last = WrittenPart { expression: "c".into(), collation: Some("nocase".into()), descending: true };
        assert_eq!(written.parts[2], last);
        assert!(written.only.is_some_and(|only| only.contains('d')));
    }

    #[test]
    fn a_check_may_want_documents() {
        for check in [
            "json_valid(d)",
            "(JSON_VALID(\"D\") OR \"d\" IS NULL)",
            "d is null or json_valid(d)",
            "json_valid(d) and length(d) > 2",
        ] {
            assert!(super::wants_document(check, "d"), "{check}");
        }
        for check in [
            "json_valid(e)",
            "json_valid(d) or length(d) < 3",
            "not json_valid(d)",
            "d = 'json_valid(d)'",
            "json_valid(d) = 0",
        ] {
            assert!(!super::wants_document(check, "d"), "{check}");
        }
    }
}
