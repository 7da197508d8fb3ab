//! Statements of PostgreSQL, from the tree of the published parser.

use super::super::stated::{Control, Does, Minor, Mistake, NewIndex, RowDeed, Stated, Thing, name_of, plain};
use super::postgres_table::{alter, table};
use super::tree::{
    child, children, expression, has, inside, name, name_in, names_in, range, text, word_in, words,
};
use squawk_syntax::SyntaxKind::*;
use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxNode};
use targets::db::TableName;

/// What a statement does, or why it cannot be read.
pub fn read(sql: &str) -> Result<Vec<Stated>, Vec<Mistake>> {
    let parsed = SourceFile::parse(sql);
    let errors = parsed.errors();
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| Mistake {
                what: error.message().to_owned(),
                at: usize::from(error.range().start())..usize::from(error.range().end()),
            })
            .collect());
    }
    Ok(parsed.tree().stmts().flat_map(|statement| statement_of(statement.syntax())).collect())
}

fn statement_of(node: &SyntaxNode) -> Vec<Stated> {
    let mut all = match node.kind() {
        ALTER_TABLE if child(node, TABLE_RELATION_NAME).is_some() => alter(node),
        ALTER_TABLE => one(node, Does::Outside("alter table all in tablespace")),
        _ => one(node, does(node)),
    };
    if matches!(node.kind(), SELECT | INSERT | UPDATE | DELETE | MERGE) {
        // Statements that write may hide in a `with`.
        let hidden =
            node.descendants().skip(1).filter(|inner| matches!(inner.kind(), INSERT | UPDATE | DELETE));
        all.extend(hidden.flat_map(|inner| one(&inner, does(&inner))));
    }
    all
}

fn one(node: &SyntaxNode, does: Does) -> Vec<Stated> {
    vec![Stated { does, at: range(node) }]
}

fn does(node: &SyntaxNode) -> Does {
    let cascade = child(node, CASCADE).is_some();
    let if_exists = child(node, IF_EXISTS).is_some();
    let drop = |thing, kind, table| Does::DropThing {
        thing,
        names: names_in(node, kind),
        table,
        if_exists,
        cascade,
    };
    match node.kind() {
        CREATE_TABLE | CREATE_TABLE_AS | CREATE_FOREIGN_TABLE => {
            Does::CreateTable { table: name_in(node, TABLE_NAME), new: table(node) }
        }
        SELECT_INTO => Does::CreateTable {
            table: inside(node, INTO_CLAUSE).map_or_else(|| TableName::bare(""), |into| name(&into)),
            new: table(node),
        },
        CREATE_INDEX => Does::CreateIndex { table: name_in(node, TABLE_RELATION_NAME), index: index(node) },
        DROP_INDEX => Does::DropIndex {
            names: names_in(node, INDEX_REF),
            concurrently: has(node, CONCURRENTLY_KW),
            if_exists,
        },
        ALTER_INDEX => match inside(node, INDEX_RENAME_TO) {
            Some(to) => Does::RenameIndex { name: name_in(node, INDEX_REF), to: name_in(&to, INDEX).name },
            None => Does::Harmless,
        },
        REINDEX => reindex(node),
        DROP_TABLE => Does::DropTable { tables: names_in(node, TABLE_NAME_REF), if_exists, cascade },
        TRUNCATE => Does::Truncate { tables: names_in(node, TABLE_RELATION_NAME), cascade },
        DROP_VIEW => drop(Thing::View, VIEW_REF, None),
        DROP_MATERIALIZED_VIEW => drop(Thing::MaterializedView, VIEW_REF, None),
        DROP_SEQUENCE => drop(Thing::Sequence, SEQUENCE_REF, None),
        DROP_TYPE => drop(Thing::Type, TYPE_NAME_REF, None),
        DROP_DOMAIN => drop(Thing::Domain, DOMAIN_REF, None),
        DROP_SCHEMA => drop(Thing::Schema, SCHEMA_REF, None),
        DROP_EXTENSION => drop(Thing::Extension, EXTENSION_REF, None),
        DROP_FUNCTION | DROP_PROCEDURE | DROP_ROUTINE | DROP_AGGREGATE => {
            drop(Thing::Function, PATH_REF, None)
        }
        DROP_TRIGGER => drop(Thing::Trigger, TRIGGER_REF, Some(name_in(node, ON_RELATION))),
        DROP_RULE => drop(Thing::Rule, RULE_REF, Some(name_in(node, ON_RELATION))),
        DROP_POLICY => drop(Thing::Policy, POLICY_REF, Some(name_in(node, ON_TABLE))),
        DROP_DATABASE => drop(Thing::Database, DATABASE_REF, None),
        DROP_OWNED => drop(Thing::Other, ROLE_REF, None),
        CREATE_VIEW => {
            Does::CreateView { name: name_in(node, VIEW), replaces: child(node, OR_REPLACE).is_some() }
        }
        CREATE_MATERIALIZED_VIEW => Does::CreateMaterializedView {
            name: name_in(node, VIEW),
            with_data: child(node, WITH_NO_DATA).is_none(),
        },
        REFRESH => Does::Refresh {
            view: name_in(node, VIEW_REF),
            concurrently: has(node, CONCURRENTLY_KW),
            with_data: child(node, WITH_NO_DATA).is_none(),
        },
        ALTER_TYPE => alter_type(node),
        CREATE_TRIGGER => Does::CreateTrigger {
            table: name_in(node, ON_RELATION),
            name: word_in(node, TRIGGER).unwrap_or_default(),
            again: false,
        },
        CREATE_RULE => Does::CreateOn { table: name_in(node, RELATION_NAME_REF), thing: Thing::Rule },
        CREATE_POLICY | ALTER_POLICY => {
            Does::CreateOn { table: name_in(node, ON_TABLE), thing: Thing::Policy }
        }
        ALTER_TRIGGER => Does::CreateOn { table: name_in(node, ON_RELATION), thing: Thing::Trigger },
        CREATE_STATISTICS => Does::CreateStatistics { table: name_in(node, FROM_TABLE) },
        ALTER_DOMAIN
            if inside(node, ADD_CONSTRAINT).is_some() && inside(node, NOT_VALID).is_none()
                || inside(node, SET_NOT_NULL).is_some()
                || inside(node, VALIDATE_CONSTRAINT).is_some() =>
        {
            Does::DomainConstraint { domain: name_in(node, DOMAIN_REF) }
        }
        ALTER_VIEW | ALTER_MATERIALIZED_VIEW => alter_view(node),
        ALTER_SCHEMA if has_word(node, "rename") => {
            Does::RenameThing { thing: Thing::Schema, name: name_in(node, SCHEMA_REF) }
        }
        CREATE_FUNCTION | CREATE_PROCEDURE => Does::CreateThing {
            thing: Thing::Function,
            name: name(node),
            replaces: child(node, OR_REPLACE).is_some(),
        },
        CREATE_TYPE => {
            Does::CreateThing { thing: Thing::Type, name: name_in(node, TYPE_NAME), replaces: false }
        }
        CREATE_SEQUENCE => Does::CreateThing { thing: Thing::Sequence, name: name(node), replaces: false },
        COMMENT_ON => Does::Comment { table: commented(node) },
        VACUUM => Does::Vacuum { table: some(names_in(node, TABLE_RELATION_NAME)), full: is_full(node) },
        CLUSTER | REPACK => Does::Cluster { table: some(names_in(node, TABLE_NAME_REF)) },
        ANALYZE => Does::Analyze { table: some(names_in(node, TABLE_RELATION_NAME)) },
        INSERT => rows(node, name_in(node, RELATION_NAME_REF), RowDeed::Insert),
        UPDATE => rows(node, own_relation(node), RowDeed::Update),
        DELETE => rows(node, own_relation(node), RowDeed::Delete),
        MERGE => rows(node, name_in(node, RELATION_NAME), RowDeed::Update),
        COPY => match inside(node, COPY_TABLE) {
            Some(table) if has_word(node, "from") => rows(node, name(&table), RowDeed::Insert),
            _ => Does::Harmless,
        },
        LOCK => Does::Lock {
            tables: names_in(node, RELATION_NAME),
            mode: inside(node, LOCK_MODE_CLAUSE).map_or_else(
                || "access exclusive".to_owned(),
                |mode| {
                    let words = words(&mode);
                    words[1..words.len().saturating_sub(1).max(1)].join(" ").to_lowercase()
                },
            ),
        },
        BEGIN => Does::Control(Control::Begin),
        COMMIT_TRANSACTION | COMMIT_PREPARED | PREPARE_TRANSACTION => Does::Control(Control::Commit),
        ROLLBACK_TRANSACTION | ROLLBACK_PREPARED => Does::Control(Control::Rollback),
        SAVEPOINT_CREATE | RELEASE_SAVEPOINT | ROLLBACK_TO_SAVEPOINT => Does::Control(Control::Savepoint),
        SET => set(node),
        DO => Does::Block,
        REVOKE => Does::Revoke,
        CREATE_DATABASE => Does::Outside("create database"),
        CREATE_TABLESPACE => Does::Outside("create tablespace"),
        DROP_TABLESPACE => Does::Outside("drop tablespace"),
        ALTER_SYSTEM => Does::Outside("alter system"),
        CREATE_SUBSCRIPTION => Does::Outside("create subscription"),
        _ => Does::Harmless,
    }
}

fn has_word(node: &SyntaxNode, word: &str) -> bool {
    words(node).iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn some(names: Vec<TableName>) -> Option<TableName> {
    names.into_iter().next()
}

/// The relation that is the statement's own, not one of its `with`.
fn own_relation(node: &SyntaxNode) -> TableName {
    child(node, RELATION_NAME).map_or_else(|| TableName::bare(""), |relation| name(&relation))
}

fn rows(node: &SyntaxNode, table: TableName, deed: RowDeed) -> Does {
    let condition = child(node, WHERE_CLAUSE).as_ref().and_then(expression).map(|condition| text(&condition));
    let condition = condition.or_else(|| child(node, WHERE_CURRENT_OF).map(|at| text(&at)));
    Does::Rows { table, deed, condition, new_table_only: false }
}

fn index(node: &SyntaxNode) -> NewIndex {
    let columns = child(node, PARTITION_ITEM_LIST).map_or_else(Vec::new, |list| {
        children(&list, PARTITION_ITEM)
            .map(|item| {
                let column = child(&item, NAME_REF)?;
                Some(plain(&words(&column).concat(), true))
            })
            .collect()
    });
    NewIndex {
        name: child(node, INDEX).map(|index| name(&index).name),
        columns,
        unique: has(node, UNIQUE_KW),
        concurrently: has(node, CONCURRENTLY_KW),
        if_not_exists: child(node, IF_NOT_EXISTS).is_some(),
        method: child(node, USING_METHOD)
            .and_then(|method| words(&method).pop())
            .map(|word| word.to_lowercase()),
        condition: child(node, WHERE_CLAUSE).as_ref().and_then(expression).map(|condition| text(&condition)),
        only: child(node, TABLE_RELATION_NAME).is_some_and(|table| has(&table, ONLY_KW)),
    }
}

fn reindex(node: &SyntaxNode) -> Does {
    let targets = [
        (REINDEX_TARGET_INDEX, "index"),
        (REINDEX_TARGET_TABLE, "table"),
        (REINDEX_TARGET_SCHEMA, "schema"),
        (REINDEX_TARGET_DATABASE, "database"),
        (REINDEX_TARGET_SYSTEM, "system"),
    ];
    let found = targets.iter().find_map(|(kind, word)| child(node, *kind).map(|target| (target, *word)));
    let concurrently = has_word(node, "concurrently");
    match found {
        Some((target, word)) => {
            let name = inside(&target, PATH_REF).map(|path| name(&path));
            Does::Reindex { target: word, name, concurrently }
        }
        None => Does::Reindex { target: "database", name: None, concurrently },
    }
}

fn alter_type(node: &SyntaxNode) -> Does {
    let name = name_in(node, TYPE_NAME_REF);
    match inside(node, ADD_VALUE) {
        Some(added) => {
            let value = child(&added, LITERAL).map_or_else(String::new, |literal| text(&literal));
            Does::AddEnumValue { name, value }
        }
        None if has_word(node, "rename") || has_word(node, "schema") => {
            Does::RenameThing { thing: Thing::Type, name }
        }
        None => Does::Harmless,
    }
}

fn alter_view(node: &SyntaxNode) -> Does {
    let name = name_in(node, VIEW_REF);
    let thing = if node.kind() == ALTER_VIEW { Thing::View } else { Thing::MaterializedView };
    if has_word(node, "rename") || inside(node, SET_SCHEMA).is_some() {
        return Does::RenameThing { thing, name };
    }
    Does::Alter { table: name, minor: Minor::SetOptions }
}

fn commented(node: &SyntaxNode) -> Option<TableName> {
    if let Some(table) = child(node, OBJECT_TABLE) {
        return Some(name(&table));
    }
    let column = child(node, OBJECT_COLUMN)?;
    let path = words(&column)[1..].concat();
    let (table, _) = path.rsplit_once('.')?;
    Some(name_of(table, true))
}

fn is_full(node: &SyntaxNode) -> bool {
    let option = |option: SyntaxNode| {
        let words = words(&option);
        words.first().is_some_and(|word| word.eq_ignore_ascii_case("full"))
            && !words
                .get(1)
                .is_some_and(|value| ["false", "off", "0"].contains(&value.to_lowercase().as_str()))
    };
    has(node, FULL_KW)
        || child(node, VACUUM_OPTION_LIST).is_some_and(|list| children(&list, VACUUM_OPTION).any(option))
}

fn set(node: &SyntaxNode) -> Does {
    let words = words(node);
    let mut rest = words.iter().skip(1).filter(|word| *word != ";").peekable();
    let mut local = false;
    while let Some(scope) = rest.next_if(|word| ["local", "session"].contains(&word.to_lowercase().as_str()))
    {
        local |= scope.eq_ignore_ascii_case("local");
    }
    let name = rest.next().map_or_else(String::new, |word| plain(word, true));
    let value: Vec<&str> =
        rest.map(String::as_str).skip_while(|word| *word == "=" || word.eq_ignore_ascii_case("to")).collect();
    Does::Set { name, value: value.concat().trim_matches('\'').to_owned(), local }
}
