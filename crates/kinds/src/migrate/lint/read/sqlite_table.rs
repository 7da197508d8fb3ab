//! Tables, columns and rules for rows as SQLite declares and alters them.

use super::super::stated::{Demand, Does, NewColumn, NewConstraint, NewTable, Steady, Value, plain, type_of};
use sqlite3_parser::ast::{
    AlterTableBody, ColumnConstraint, ColumnDefinition, CreateTableBody, Expr, ForeignKeyClause,
    IndexedColumn, Literal, Name, NamedTableConstraint, QualifiedName, SortedColumn, TabFlags,
    TableConstraint, Type, TypeSize,
};
use targets::db::TableName;

/// A name without its quotes.
pub fn name(name: &Name) -> String {
    plain(name.0, false)
}

/// A name, with the database where it is given.
pub fn qualified(written: &QualifiedName) -> TableName {
    TableName { schema: written.db_name.as_ref().map(name), name: name(&written.name) }
}

/// What an `alter table` does.
pub fn alter(table: TableName, body: &AlterTableBody) -> Does {
    match body {
        AlterTableBody::RenameTo(to) => Does::RenameTable { table, to: name(to) },
        AlterTableBody::AddColumn(definition) => {
            Does::AddColumn { table, column: column(definition), if_not_exists: false }
        }
        AlterTableBody::DropColumnNotNull(column) => Does::DropNotNull { table, column: name(column) },
        AlterTableBody::SetColumnNotNull(column, _) => Does::SetNotNull { table, column: name(column) },
        AlterTableBody::RenameColumn { old, new } => {
            Does::RenameColumn { table, column: name(old), to: name(new) }
        }
        AlterTableBody::DropColumn(column) => {
            Does::DropColumn { table, column: name(column), if_exists: false, cascade: false }
        }
        AlterTableBody::AddConstraint(added) => Does::AddConstraint { table, constraint: constraint(added) },
        AlterTableBody::DropConstraint(dropped) => {
            Does::DropConstraint { table, name: name(dropped), if_exists: false }
        }
    }
}

/// What a `create table` makes.
pub fn table(body: &CreateTableBody) -> NewTable {
    let CreateTableBody::ColumnsAndConstraints { columns, constraints, flags } = body else {
        return NewTable { shaped_elsewhere: true, ..NewTable::default() };
    };
    NewTable {
        columns: columns.iter().map(column).collect(),
        constraints: constraints.iter().flat_map(|list| list.iter()).map(constraint).collect(),
        strict: flags.contains(TabFlags::Strict),
        ..NewTable::default()
    }
}

fn column(definition: &ColumnDefinition) -> NewColumn {
    let own = name(&definition.col_name);
    let mut column = NewColumn {
        declared: definition.col_type.as_ref().map_or_else(String::new, declared),
        ..NewColumn::default()
    };
    for named in definition.constraints {
        let demands = match &named.constraint {
            ColumnConstraint::NotNull { nullable, .. } => {
                column.not_null |= !nullable;
                continue;
            }
            ColumnConstraint::Default(default) => {
                column.default = Some(Value { text: default.to_string(), steady: steady(default), at: 0..0 });
                continue;
            }
            ColumnConstraint::Generated { typ, .. } => {
                column.generated = Some(typ.as_ref().is_some_and(|typ| typ.0.eq_ignore_ascii_case("stored")));
                continue;
            }
            ColumnConstraint::PrimaryKey { auto_increment, .. } => {
                column.identity = *auto_increment;
                Demand::Primary { columns: vec![own.clone()], index: None }
            }
            ColumnConstraint::Unique(_) => Demand::Unique { columns: vec![own.clone()], index: None },
            ColumnConstraint::Check(check) => Demand::Check(check.to_string()),
            ColumnConstraint::ForeignKey { clause, .. } => foreign_key(vec![own.clone()], clause),
            _ => continue,
        };
        column.constraints.push(plain_constraint(named.name.as_ref().map(name), demands));
    }
    column.name = own;
    column
}

fn constraint(named: &NamedTableConstraint) -> NewConstraint {
    let demands = match &named.constraint {
        TableConstraint::PrimaryKey { columns, .. } => {
            Demand::Primary { columns: sorted(columns), index: None }
        }
        TableConstraint::Unique { columns, .. } => Demand::Unique { columns: sorted(columns), index: None },
        TableConstraint::Check(check, _) => Demand::Check(check.to_string()),
        TableConstraint::ForeignKey { columns, clause, .. } => foreign_key(indexed(columns), clause),
    };
    plain_constraint(named.name.as_ref().map(name), demands)
}

fn plain_constraint(name: Option<String>, demands: Demand) -> NewConstraint {
    NewConstraint { name, demands, not_valid: false, not_enforced: false, text: String::new(), at: 0..0 }
}

fn foreign_key(columns: Vec<String>, clause: &ForeignKeyClause) -> Demand {
    Demand::ForeignKey {
        columns,
        parent: TableName::bare(&name(&clause.tbl_name)),
        parent_columns: clause.columns.map_or_else(Vec::new, indexed),
    }
}

fn indexed(columns: &[IndexedColumn]) -> Vec<String> {
    columns.iter().map(|column| name(&column.col_name)).collect()
}

fn sorted(columns: &[SortedColumn]) -> Vec<String> {
    columns.iter().map(|column| plain(&column.expr.to_string(), false)).collect()
}

fn declared(typ: &Type) -> String {
    let size = match &typ.size {
        None => String::new(),
        Some(TypeSize::MaxSize(size)) => format!("({size})"),
        Some(TypeSize::TypeSize(size, scale)) => format!("({size},{scale})"),
    };
    type_of(&format!("{}{size}", typ.name))
}

/// SQLite takes for a column that is added only what it need not compute.
fn steady(default: &Expr) -> Steady {
    match default {
        Expr::Literal(Literal::Null) => Steady::Null,
        Expr::Literal(Literal::CurrentDate | Literal::CurrentTime | Literal::CurrentTimestamp) => {
            Steady::Volatile
        }
        Expr::Literal(_) | Expr::Id(_) | Expr::Name(_) => Steady::Constant,
        Expr::Unary(_, inner) => steady(inner),
        Expr::Parenthesized(inner) => match inner.as_slice() {
            [literal @ Expr::Literal(_)] => steady(literal),
            _ => Steady::Volatile,
        },
        _ => Steady::Volatile,
    }
}
