//! What is known of the database at one point of a migration: what was there, and what the statements before have done.
//!
//! Without a database only what the statements themselves have said is known, and everything else is possible; so every
//! answer that may be "nobody knows" is an `Option`.

use super::Engine;
use super::stated::{Demand, Does, NewColumn, NewConstraint, NewTable, Thing};
use super::surroundings::{Check, Surroundings};
use std::collections::{BTreeMap, BTreeSet};
use targets::db::{TableKind, TableName};

/// One point of a migration.
#[derive(Debug, Clone)]
pub struct Course {
    /// Whose SQL it is.
    pub engine: Engine,
    /// Comparable: 150000 for PostgreSQL 15, 3045000 for SQLite 3.45.
    pub version: u32,
    /// Whether all tables are known, because a database was looked at.
    whole: bool,
    tables: BTreeMap<String, Known>,
    /// Tables that are certainly not there.
    gone: BTreeSet<String>,
    /// Names of which nobody knows: a `cascade` may have taken them along.
    unsure: BTreeSet<String>,
    /// Something ran of which nobody can tell what it has changed.
    blurred: bool,
    path: Vec<String>,
}

/// What is known of a table or a view.
#[derive(Debug, Clone, Default)]
struct Known {
    name: Option<TableName>,
    columns: Vec<(String, String, bool)>,
    /// Whether these are all columns.
    complete: bool,
    /// Made by a statement of this migration, so nobody else has it yet.
    fresh: bool,
    view: bool,
    checks: Vec<Check>,
    references: Vec<Reference>,
    indexes: Vec<KnownIndex>,
    constraints: Vec<String>,
    key: Vec<String>,
    triggers: Vec<String>,
}

#[derive(Debug, Clone)]
struct Reference {
    name: Option<String>,
    columns: Vec<String>,
    parent: TableName,
}

/// What is known of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownIndex {
    /// Its name.
    pub name: String,
    /// Its columns; none stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it holds only some rows.
    pub partial: bool,
    /// Whether this migration made it.
    pub fresh: bool,
}

impl Course {
    /// The point before the first statement.
    pub fn new(engine: Engine, version: u32, around: Option<&Surroundings>) -> Self {
        let mut course = Self {
            engine,
            version,
            whole: around.is_some(),
            tables: BTreeMap::new(),
            gone: BTreeSet::new(),
            unsure: BTreeSet::new(),
            blurred: false,
            path: around.map_or_else(Vec::new, |around| around.schema.search_path.clone()),
        };
        for table in around.iter().flat_map(|around| &around.schema.tables) {
            let known = Known {
                name: Some(table.name.clone()),
                columns: table
                    .columns
                    .iter()
                    .map(|column| (column.name.clone(), column.declared.clone(), column.not_null))
                    .collect(),
                complete: true,
                view: table.kind == TableKind::View,
                references: table
                    .references
                    .iter()
                    .map(|key| Reference {
                        name: Some(key.name.clone()),
                        columns: key.columns.clone(),
                        parent: key.parent.clone(),
                    })
                    .collect(),
                indexes: table
                    .indexes
                    .iter()
                    .map(|index| KnownIndex {
                        name: index.name.clone(),
                        columns: index.columns.clone(),
                        unique: index.unique,
                        partial: index.partial,
                        fresh: false,
                    })
                    .collect(),
                key: table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default(),
                constraints: table.uniques.iter().map(|key| key.name.clone()).collect(),
                triggers: table.triggers.iter().map(|trigger| trigger.name.clone()).collect(),
                ..Known::default()
            };
            course.tables.insert(course.key(&table.name), known);
        }
        for check in around.iter().flat_map(|around| &around.checks) {
            let key = course.key(&check.table);
            if let Some(known) = course.tables.get_mut(&key) {
                known.constraints.push(check.name.clone());
                known.checks.push(check.clone());
            }
        }
        course
    }

    /// The next migration begins. What the ones before made is in use by then, unless none of them is in yet.
    pub fn next_migration(&mut self) {
        if !self.whole {
            for known in self.tables.values_mut() {
                known.fresh = false;
                known.indexes.iter_mut().for_each(|index| index.fresh = false);
            }
        }
    }

    fn key(&self, name: &TableName) -> String {
        let schema = name.schema.as_deref().filter(|schema| {
            !["public", "main"].contains(schema) && self.path.first().is_none_or(|first| first != schema)
        });
        let key = schema.map_or_else(|| name.name.clone(), |schema| format!("{schema}.{}", name.name));
        if self.engine == Engine::Sqlite { key.to_lowercase() } else { key }
    }

    fn known(&self, name: &TableName) -> Option<&Known> {
        self.tables.get(&self.key(name)).or_else(|| {
            // An unqualified name may lie further down the path.
            let schemas = if name.schema.is_none() { self.path.as_slice() } else { &[] };
            schemas
                .iter()
                .find_map(|schema| self.tables.get(&self.key(&TableName::within(schema, &name.name))))
        })
    }

    fn known_mut(&mut self, name: &TableName) -> &mut Known {
        let key = self.key(name);
        self.tables.entry(key).or_default()
    }

    /// Whether a table was made by this migration, so that nobody waits for it.
    pub fn is_new(&self, table: &TableName) -> bool {
        self.known(table).is_some_and(|known| known.fresh)
    }

    /// Whether there is a table or view of this name; none when nobody knows.
    pub fn there(&self, table: &TableName) -> Option<bool> {
        if self.blurred || self.unsure.contains(&self.key(table)) {
            return None;
        }
        match self.known(table) {
            Some(known) if known.name.is_some() => Some(true),
            _ if self.gone.contains(&self.key(table)) => Some(false),
            // Other schemas than those that were read may exist, temporary tables among them.
            _ if self.whole && table.schema.is_none() => Some(false),
            _ => None,
        }
    }

    /// Whether there certainly is a table or view of this name.
    pub fn is_there(&self, table: &TableName) -> bool {
        self.there(table) == Some(true)
    }

    /// Whether it is a view.
    pub fn is_view(&self, table: &TableName) -> bool {
        self.known(table).is_some_and(|known| known.view)
    }

    /// Whether a table has this column; none when nobody knows.
    pub fn column_there(&self, table: &TableName, column: &str) -> Option<bool> {
        let known = self.known(table).filter(|_| !self.blurred)?;
        if known.columns.iter().any(|(name, ..)| self.same(name, column)) {
            return Some(true);
        }
        known.complete.then_some(false)
    }

    fn same(&self, a: &str, b: &str) -> bool {
        if self.engine == Engine::Sqlite { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    /// The names of a table's columns, where all are known.
    pub fn columns(&self, table: &TableName) -> Option<Vec<String>> {
        let known = self.known(table).filter(|known| known.complete)?;
        Some(known.columns.iter().map(|(name, ..)| name.clone()).collect())
    }

    /// The type of a column.
    pub fn declared(&self, table: &TableName, column: &str) -> Option<String> {
        let known = self.known(table)?;
        known
            .columns
            .iter()
            .find(|(name, ..)| self.same(name, column))
            .map(|(_, declared, _)| declared.clone())
    }

    /// Whether a column certainly is NOT NULL.
    pub fn is_not_null(&self, table: &TableName, column: &str) -> bool {
        self.known(table).is_some_and(|known| {
            known.columns.iter().any(|(name, _, not_null)| self.same(name, column) && *not_null)
        })
    }

    /// Whether a check that was validated proves that a column has no NULL.
    pub fn proves_not_null(&self, table: &TableName, column: &str) -> bool {
        self.known(table).is_some_and(|known| {
            known.checks.iter().any(|check| check.valid && proves(&check.expression, column))
        })
    }

    /// Either of the two.
    pub fn is_or_proves_not_null(&self, table: &TableName, column: &str) -> bool {
        self.is_not_null(table, column) || self.proves_not_null(table, column)
    }

    /// A check on a column being there that is not validated yet: its name.
    pub fn waiting_check(&self, table: &TableName, column: &str) -> Option<String> {
        let known = self.known(table)?;
        known
            .checks
            .iter()
            .find(|check| !check.valid && proves(&check.expression, column))
            .map(|check| check.name.clone())
    }

    /// Whether a table has a check that was validated, such as may prove the bounds of a partition.
    pub fn has_check(&self, table: &TableName) -> bool {
        self.is_new(table)
            || self.known(table).is_some_and(|known| known.checks.iter().any(|check| check.valid))
    }

    /// The table that a foreign key of this name refers to.
    pub fn parent_of(&self, table: &TableName, constraint: &str) -> Option<TableName> {
        let known = self.known(table)?;
        known
            .references
            .iter()
            .find(|key| key.name.as_deref() == Some(constraint))
            .map(|key| key.parent.clone())
    }

    /// The tables that a table refers to.
    pub fn parents(&self, table: &TableName) -> Vec<TableName> {
        let references = self.known(table).map_or(&[][..], |known| &known.references);
        references.iter().map(|key| key.parent.clone()).filter(|parent| parent != table).collect()
    }

    /// The tables that refer to a table, with the columns by which they do.
    pub fn referring(&self, parent: &TableName) -> Vec<TableName> {
        let key = self.key(parent);
        let refers =
            |known: &&Known| known.references.iter().any(|reference| self.key(&reference.parent) == key);
        self.tables.values().filter(refers).filter_map(|known| known.name.clone()).collect()
    }

    /// Whether a table has a constraint of this name; none when nobody knows.
    pub fn constraint_there(&self, table: &TableName, name: &str) -> Option<bool> {
        let known = self.known(table).filter(|_| !self.blurred)?;
        let found = known.constraints.iter().any(|known| self.same(known, name))
            || known.references.iter().any(|key| key.name.as_deref().is_some_and(|own| self.same(own, name)));
        // The names of NOT NULL and exclusion constraints are not read.
        found.then_some(true)
    }

    /// Whether a column is part of the primary key, or of a reference to another table.
    pub fn holds_together(&self, table: &TableName, column: &str) -> bool {
        self.known(table).is_some_and(|known| {
            let references = known.references.iter().flat_map(|key| &key.columns);
            known.key.iter().chain(references).any(|own| self.same(own, column))
        })
    }

    /// The indexes of a table that are known.
    pub fn indexes(&self, table: &TableName) -> &[KnownIndex] {
        self.known(table).map_or(&[], |known| &known.indexes)
    }

    /// The names of the triggers of a table.
    pub fn triggers(&self, table: &TableName) -> &[String] {
        self.known(table).map_or(&[], |known| &known.triggers)
    }

    /// The table that an index of this name is on.
    pub fn table_of_index(&self, index: &TableName) -> Option<TableName> {
        self.found_index(index).and_then(|(known, _)| known.name.clone())
    }

    /// The columns of an index, where none is an expression.
    pub fn columns_of_index(&self, index: &TableName) -> Option<Vec<String>> {
        self.found_index(index)?.1.columns.iter().cloned().collect()
    }

    /// Whether there is an index of this name; none when nobody knows.
    pub fn index_there(&self, index: &TableName) -> Option<bool> {
        if self.blurred {
            return None;
        }
        match self.found_index(index) {
            Some(_) => Some(true),
            None => (self.whole && index.schema.is_none()).then_some(false),
        }
    }

    fn found_index(&self, wanted: &TableName) -> Option<(&Known, &KnownIndex)> {
        self.tables.values().find_map(|known| {
            let index = known.indexes.iter().find(|index| self.same(&index.name, &wanted.name))?;
            Some((known, index))
        })
    }

    /// The tables with a column of this type.
    pub fn using_type(&self, declared: &TableName) -> Vec<TableName> {
        let uses = |known: &&Known| {
            known.columns.iter().any(|(_, own, _)| own.rsplit('.').next() == Some(declared.name.as_str()))
        };
        self.tables.values().filter(uses).filter_map(|known| known.name.clone()).collect()
    }

    /// The next statement has run.
    pub fn apply(&mut self, does: &Does) {
        match does {
            Does::Block | Does::DropThing { thing: Thing::Schema | Thing::Extension | Thing::Other, .. } => {
                self.blurred = true;
            }
            Does::DropTable { cascade: true, .. }
            | Does::DropColumn { cascade: true, .. }
            | Does::DropThing { cascade: true, .. } => {
                let views = self.tables.iter().filter(|(_, known)| known.view).map(|(key, _)| key.clone());
                self.unsure.extend(views);
            }
            _ => {}
        }
        match does {
            Does::CreateTable { table, new } => self.create(table, new),
            Does::CreateView { name, .. } | Does::CreateMaterializedView { name, .. } => {
                let fresh = !self.is_there(name);
                self.gone.remove(&self.key(name));
                self.unsure.remove(&self.key(name));
                let known = self.known_mut(name);
                *known = Known { name: Some(name.clone()), view: true, fresh, ..Known::default() };
            }
            Does::Rebuild { table, new } => {
                let known = self.known_mut(table);
                known.columns.clear();
                known.references.clear();
                known.checks.clear();
                known.complete = !new.shaped_elsewhere;
                // Its indexes are made again, but for those that its keys make.
                known.indexes.retain(|index| !index.name.starts_with("sqlite_autoindex"));
                new.columns.iter().for_each(|column| self.add_column(table, column));
                new.constraints.iter().for_each(|constraint| self.add_constraint(table, constraint));
            }
            Does::AddColumn { table, column, .. } => {
                self.add_column(table, column);
            }
            Does::DropColumn { table, column, .. } => {
                let same = |a: &str| a.eq_ignore_ascii_case(column);
                let known = self.known_mut(table);
                known.columns.retain(|(name, ..)| !same(name));
                known.indexes.retain(|index| !index.columns.iter().flatten().any(|name| same(name)));
                known.references.retain(|key| !key.columns.iter().any(|name| same(name)));
                // Which of them named the column is not always known.
                known.constraints.clear();
            }
            Does::RenameColumn { table, column, to } => {
                for (name, ..) in &mut self.known_mut(table).columns {
                    if name == column {
                        to.clone_into(name);
                    }
                }
            }
            Does::RenameTable { table, to } => {
                let key = self.key(table);
                let name = TableName { schema: table.schema.clone(), name: to.clone() };
                if let Some(mut known) = self.tables.remove(&key) {
                    known.name = Some(name.clone());
                    self.tables.insert(self.key(&name), known);
                }
                self.gone.remove(&self.key(&name));
                self.gone.insert(key);
            }
            Does::AlterType { table, column, to, .. } => self.each_column(table, column, |(_, own, _)| {
                to.clone_into(own);
            }),
            Does::SetNotNull { table, column } => {
                self.each_column(table, column, |(.., not_null)| *not_null = true)
            }
            Does::DropNotNull { table, column } => {
                self.each_column(table, column, |(.., not_null)| *not_null = false)
            }
            Does::AddConstraint { table, constraint } => self.add_constraint(table, constraint),
            Does::ValidateConstraint { table, name } => {
                for check in self.known_mut(table).checks.iter_mut().filter(|check| check.name == *name) {
                    check.valid = true;
                }
            }
            Does::DropConstraint { table, name, .. } => {
                let known = self.known_mut(table);
                known.checks.retain(|check| check.name != *name);
                known.constraints.retain(|own| own != name);
                known.references.retain(|key| key.name.as_deref() != Some(name));
                known.indexes.retain(|index| index.name != *name);
            }
            Does::CreateIndex { table, index } => {
                let made = KnownIndex {
                    name: index.name.clone().unwrap_or_default(),
                    columns: index.columns.clone(),
                    unique: index.unique,
                    partial: index.condition.is_some(),
                    fresh: true,
                };
                let known = self.known_mut(table);
                known.name.get_or_insert_with(|| table.clone());
                known.indexes.push(made);
            }
            Does::DropIndex { names, .. } => {
                for known in self.tables.values_mut() {
                    known.indexes.retain(|index| !names.iter().any(|name| name.name == index.name));
                }
            }
            Does::DropTable { tables, .. } => self.drop_all(tables),
            Does::DropThing { thing: Thing::View | Thing::MaterializedView, names, .. } => {
                self.drop_all(names)
            }
            Does::CreateTrigger { table, name, .. } => self.known_mut(table).triggers.push(name.clone()),
            _ => {}
        }
    }

    fn each_column(&mut self, table: &TableName, column: &str, change: impl Fn(&mut (String, String, bool))) {
        let known = self.known_mut(table);
        known.columns.iter_mut().filter(|(name, ..)| name == column).for_each(change);
    }

    fn drop_all(&mut self, names: &[TableName]) {
        for name in names {
            let key = self.key(name);
            self.tables.remove(&key);
            self.gone.insert(key);
        }
    }

    fn create(&mut self, table: &TableName, new: &NewTable) {
        if new.if_not_exists && self.is_there(table) {
            return;
        }
        self.gone.remove(&self.key(table));
        let shaped_elsewhere = new.shaped_elsewhere || new.partition_of.is_some() || !new.inherits.is_empty();
        *self.known_mut(table) =
            Known { name: Some(table.clone()), complete: !shaped_elsewhere, fresh: true, ..Known::default() };
        for column in &new.columns {
            self.add_column(table, column);
        }
        for constraint in &new.constraints {
            self.add_constraint(table, constraint);
        }
    }

    fn add_column(&mut self, table: &TableName, column: &NewColumn) {
        let known = self.known_mut(table);
        known.columns.push((column.name.clone(), column.declared.clone(), column.not_null));
        for constraint in &column.constraints {
            self.add_constraint(table, constraint);
        }
    }

    fn add_constraint(&mut self, table: &TableName, constraint: &NewConstraint) {
        let name = constraint.name.clone();
        let known = self.known_mut(table);
        known.constraints.extend(name.clone());
        match &constraint.demands {
            Demand::Check(expression) => known.checks.push(Check {
                table: table.clone(),
                name: name.unwrap_or_default(),
                expression: expression.clone(),
                valid: !constraint.not_valid && !constraint.not_enforced,
            }),
            Demand::ForeignKey { columns, parent, .. } => {
                known.references.push(Reference { name, columns: columns.clone(), parent: parent.clone() });
            }
            Demand::Unique { columns, index: None } | Demand::Primary { columns, index: None } => {
                let usual = match constraint.demands {
                    Demand::Primary { .. } => format!("{}_pkey", table.name),
                    _ => format!("{}_{}_key", table.name, columns.join("_")),
                };
                known.indexes.push(KnownIndex {
                    name: name.unwrap_or(usual),
                    columns: columns.iter().cloned().map(Some).collect(),
                    unique: true,
                    partial: false,
                    fresh: true,
                });
                if let Demand::Primary { columns, .. } = &constraint.demands {
                    known.key.clone_from(columns);
                    for (own, _, not_null) in &mut known.columns {
                        *not_null |= columns.contains(own);
                    }
                }
            }
            Demand::NotNull(column) => {
                for (own, _, not_null) in &mut known.columns {
                    *not_null |= own == column;
                }
            }
            _ => {}
        }
    }
}

/// Whether one part of a conjunction says that this column is not null.
fn proves(expression: &str, column: &str) -> bool {
    let bare: String = expression.to_lowercase().chars().filter(|c| !['(', ')', '"'].contains(c)).collect();
    let wanted = format!("{} is not null", column.to_lowercase());
    bare.split(" and ").any(|part| part.split_whitespace().collect::<Vec<_>>().join(" ") == wanted)
}
