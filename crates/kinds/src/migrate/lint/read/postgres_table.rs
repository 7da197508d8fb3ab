//! Tables, columns and rules for rows as PostgreSQL declares and alters them.

use super::super::stated::{
    Demand, Does, Minor, NewColumn, NewConstraint, NewTable, SERIAL, Stated, Steady, Value,
};
use super::tree::{
    child, children, columns_in, declared, expression, inside, name, name_in, range, text, value, word_in,
    words,
};
use squawk_syntax::SyntaxKind::{self, *};
use squawk_syntax::SyntaxNode;
use targets::db::TableName;

/// What each part of an `alter table` does.
pub fn alter(node: &SyntaxNode) -> Vec<Stated> {
    let table = name_in(node, TABLE_RELATION_NAME);
    let skipped = [IF_EXISTS, TABLE_RELATION_NAME];
    node.children()
        .filter(|part| !skipped.contains(&part.kind()))
        .map(|part| Stated { does: action(&table, &part), at: range(&part) })
        .collect()
}

fn action(table: &TableName, part: &SyntaxNode) -> Does {
    let table = table.clone();
    let minor = |minor| Does::Alter { table: table.clone(), minor };
    match part.kind() {
        ADD_COLUMN => Does::AddColumn {
            table,
            column: column(part),
            if_not_exists: child(part, IF_NOT_EXISTS).is_some(),
        },
        ADD_CONSTRAINT => match part.children().find_map(|inner| constraint(&inner, None)) {
            Some(constraint) => Does::AddConstraint { table, constraint },
            None => Does::Harmless,
        },
        ALTER_COLUMN => alter_column(table, part),
        ALTER_CONSTRAINT => minor(Minor::AlterConstraint),
        ATTACH_PARTITION => Does::AttachPartition {
            table,
            partition: name_in(part, TABLE_NAME_REF),
            default: inside(part, PARTITION_DEFAULT).is_some(),
        },
        DETACH_PARTITION => Does::DetachPartition {
            table,
            partition: name_in(part, TABLE_NAME_REF),
            concurrently: inside(part, DETACH_CONCURRENTLY).is_some()
                || inside(part, DETACH_FINALIZE).is_some(),
        },
        CLUSTER_ON | SET_WITHOUT_CLUSTER => minor(Minor::ClusterOn),
        ENABLE_RLS | DISABLE_RLS | FORCE_RLS | NO_FORCE_RLS => minor(Minor::RowSecurity),
        ENABLE_RULE | DISABLE_RULE | ENABLE_ALWAYS_RULE | ENABLE_REPLICA_RULE => minor(Minor::Rule),
        ENABLE_TRIGGER | ENABLE_ALWAYS_TRIGGER => Does::Trigger { table, enabled: true },
        DISABLE_TRIGGER | ENABLE_REPLICA_TRIGGER => Does::Trigger { table, enabled: false },
        DROP_COLUMN => Does::DropColumn {
            table,
            column: word_in(part, COLUMN_NAME_REF).unwrap_or_default(),
            if_exists: child(part, IF_EXISTS).is_some(),
            cascade: child(part, CASCADE).is_some(),
        },
        DROP_CONSTRAINT => Does::DropConstraint {
            table,
            name: word_in(part, CONSTRAINT_NAME_REF).unwrap_or_default(),
            if_exists: child(part, IF_EXISTS).is_some(),
        },
        INHERIT_TABLE | NO_INHERIT_TABLE => Does::Inherit {
            table,
            parent: name_in(part, TABLE_NAME_REF),
            leaves: part.kind() == NO_INHERIT_TABLE,
        },
        OWNER_TO => minor(Minor::Owner),
        OF_TYPE | NOT_OF => minor(Minor::OfType),
        RENAME_COLUMN => Does::RenameColumn {
            table,
            column: word_in(part, COLUMN_NAME_REF).unwrap_or_default(),
            to: word_in(part, COLUMN_NAME).unwrap_or_default(),
        },
        RENAME_CONSTRAINT => Does::RenameConstraint { table },
        REPLICA_IDENTITY => minor(Minor::ReplicaIdentity),
        SET_OPTIONS | RESET_OPTIONS => minor(gentle(part)),
        SET_ACCESS_METHOD => Does::MoveTable { table, how: "set access method" },
        SET_LOGGED => Does::MoveTable { table, how: "set logged" },
        SET_UNLOGGED => Does::MoveTable { table, how: "set unlogged" },
        SET_TABLESPACE => Does::MoveTable { table, how: "set tablespace" },
        SET_SCHEMA => Does::SetSchema { table, to: words(part).pop().unwrap_or_default() },
        TABLE_RENAME_TO => Does::RenameTable { table, to: name_in(part, TABLE_NAME).name },
        VALIDATE_CONSTRAINT => {
            Does::ValidateConstraint { table, name: word_in(part, CONSTRAINT_NAME_REF).unwrap_or_default() }
        }
        _ => minor(Minor::SetOptions),
    }
}

/// Options of which PostgreSQL knows that nobody needs to stop for them.
fn gentle(part: &SyntaxNode) -> Minor {
    let gentle = |option: &str| {
        option.starts_with("autovacuum")
            || option.starts_with("toast.")
            || option.starts_with("log_autovacuum")
            || [
                "fillfactor",
                "toast_tuple_target",
                "parallel_workers",
                "vacuum_index_cleanup",
                "vacuum_truncate",
            ]
            .contains(&option)
    };
    let mut options = inside(part, ATTRIBUTE_LIST).into_iter().flat_map(|list| {
        children(&list, ATTRIBUTE_OPTION)
            .map(|option| words(&option).into_iter().take_while(|word| word != "=").collect::<String>())
            .collect::<Vec<_>>()
    });
    if options.all(|option| gentle(&option.to_lowercase())) {
        Minor::SetGentleOptions
    } else {
        Minor::SetOptions
    }
}

fn alter_column(table: TableName, part: &SyntaxNode) -> Does {
    let column = word_in(part, COLUMN_NAME_REF).unwrap_or_default();
    let Some(option) = part.children().find(|inner| inner.kind() != COLUMN_NAME_REF) else {
        return Does::Harmless;
    };
    let minor = |minor| Does::Alter { table: table.clone(), minor };
    match option.kind() {
        SET_NOT_NULL => Does::SetNotNull { table, column },
        DROP_NOT_NULL => Does::DropNotNull { table, column },
        SET_DEFAULT => match expression(&option) {
            Some(expression) => Does::SetDefault { table, column, value: value(&expression) },
            None => minor(Minor::SetOptions),
        },
        DROP_DEFAULT => Does::DropDefault { table, column },
        SET_TYPE => Does::AlterType {
            table,
            column,
            to: declared(&option),
            using: inside(&option, USING_EXPR).as_ref().and_then(expression).map(|using| text(&using)),
        },
        SET_EXPRESSION => Does::SetExpression { table, column },
        DROP_EXPRESSION => minor(Minor::DropExpression),
        ADD_GENERATED => Does::AddIdentity { table, column },
        DROP_IDENTITY => minor(Minor::DropIdentity),
        SET_GENERATED | SET_GENERATED_OPTIONS | RESTART | SET_SEQUENCE_OPTION => minor(Minor::SetIdentity),
        SET_STATISTICS => minor(Minor::SetStatistics),
        SET_OPTIONS | RESET_OPTIONS => minor(Minor::SetColumnOptions),
        SET_STORAGE => minor(Minor::SetStorage),
        SET_COMPRESSION => minor(Minor::SetCompression),
        _ => minor(Minor::SetOptions),
    }
}

/// A column of `create table` or `add column`.
pub fn column(node: &SyntaxNode) -> NewColumn {
    let name = word_in(node, COLUMN_NAME).unwrap_or_default();
    let mut column =
        NewColumn { declared: declared(node), text: text(node), at: range(node), ..NewColumn::default() };
    if SERIAL.contains(&column.declared.as_str()) {
        column.not_null = true;
        column.default = Some(Value { text: "nextval(…)".to_owned(), steady: Steady::Volatile, at: 0..0 });
    }
    for part in node.children() {
        match part.kind() {
            NOT_NULL_CONSTRAINT => column.not_null = true,
            DEFAULT_CONSTRAINT => {
                column.default =
                    expression(&part).map(|default| Value { at: range(&part), ..value(&default) });
            }
            GENERATED_CONSTRAINT if inside(&part, GENERATED_IDENTITY).is_some() => {
                column.identity = true;
                column.not_null = true;
            }
            // Without a word it is stored before 18 and virtual since: an old server is the one that suffers.
            GENERATED_CONSTRAINT => column.generated = Some(inside(&part, VIRTUAL).is_none()),
            _ => {}
        }
        if let Some(constraint) = constraint(&part, Some(&name)) {
            column.not_null |= matches!(constraint.demands, Demand::Primary { .. });
            column.constraints.push(constraint);
        }
    }
    column.name = name;
    column
}

/// A rule for rows; `column` is the column it stands at.
pub fn constraint(node: &SyntaxNode, column: Option<&str>) -> Option<NewConstraint> {
    let own = |list: SyntaxKind| match column {
        Some(column) => vec![column.to_owned()],
        None => columns_in(node, list),
    };
    let index = || inside(node, USING_INDEX_NAME).map(|index| name(&index).name);
    let demands = match node.kind() {
        CHECK_CONSTRAINT => Demand::Check(expression(node).map_or_else(String::new, |check| text(&check))),
        FOREIGN_KEY_CONSTRAINT => {
            let mut lists =
                children(node, FOREIGN_KEY_COLUMN_LIST).map(|list| columns_in(&list, list.kind()));
            Demand::ForeignKey {
                columns: lists.next().unwrap_or_default(),
                parent: name_in(node, TABLE_NAME_REF),
                parent_columns: lists.next().unwrap_or_default(),
            }
        }
        REFERENCES_CONSTRAINT => Demand::ForeignKey {
            columns: own(FOREIGN_KEY_COLUMN_LIST),
            parent: name_in(node, TABLE_NAME_REF),
            parent_columns: word_in(node, COLUMN_NAME_REF).into_iter().collect(),
        },
        UNIQUE_CONSTRAINT => Demand::Unique { columns: own(CONSTRAINT_COLUMN_REF_LIST), index: index() },
        PRIMARY_KEY_CONSTRAINT => {
            Demand::Primary { columns: own(CONSTRAINT_COLUMN_REF_LIST), index: index() }
        }
        EXCLUDE_CONSTRAINT => Demand::Exclude,
        NOT_NULL_CONSTRAINT if column.is_none() => Demand::NotNull(word_in(node, COLUMN_NAME_REF)?),
        _ => return None,
    };
    let whole = text(node);
    let named = child(node, CONSTRAINT_NAME_CLAUSE);
    let from = named.as_ref().map_or(0, |clause| range(clause).end - range(node).start);
    Some(NewConstraint {
        name: named.and_then(|clause| word_in(&clause, CONSTRAINT_NAME)),
        demands,
        not_valid: inside(node, NOT_VALID).is_some(),
        not_enforced: inside(node, NOT_ENFORCED).is_some(),
        text: whole.get(from..).unwrap_or_default().trim().to_owned(),
        at: range(node),
    })
}

/// A table of `create table`.
pub fn table(node: &SyntaxNode) -> NewTable {
    let mut new = NewTable {
        if_not_exists: child(node, IF_NOT_EXISTS).is_some(),
        temporary: child(node, TEMP).is_some(),
        partition_of: child(node, PARTITION_OF).map(|parent| name(&parent)),
        partitioned: child(node, PARTITION_BY).is_some(),
        inherits: child(node, INHERITS)
            .map_or_else(Vec::new, |list| super::tree::names_in(&list, TABLE_NAME_REF)),
        shaped_elsewhere: matches!(node.kind(), CREATE_TABLE_AS | SELECT_INTO)
            || child(node, OF_TYPE).is_some(),
        ..NewTable::default()
    };
    for part in child(node, TABLE_ARG_LIST).iter().flat_map(|list| list.children()) {
        match part.kind() {
            COLUMN => new.columns.push(column(&part)),
            LIKE_CLAUSE => new.shaped_elsewhere = true,
            _ => new.constraints.extend(constraint(&part, None)),
        }
    }
    let keys: Vec<String> = new
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.demands {
            Demand::Primary { columns, .. } => Some(columns.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    for column in &mut new.columns {
        column.not_null |= keys.contains(&column.name);
    }
    new
}
