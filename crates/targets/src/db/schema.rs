//! What a database says about its tables: plain facts, the same shape for every database.

use super::{Error, Result, quote};
use serde::{Deserialize, Serialize};

/// The name of a table, with its schema where the database has schemas.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// None on SQLite.
    pub schema: Option<String>,
    /// As the catalogue spells it.
    pub name: String,
}

impl TableName {
    /// A name without a schema.
    pub fn bare(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }

    /// A name in a schema.
    pub fn within(schema: &str, name: &str) -> Self {
        Self { schema: Some(schema.to_owned()), name: name.to_owned() }
    }

    /// Quoted for a statement.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }
}

/// For messages: without quotes, without the schema `public`.
impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.schema.as_deref() {
            None | Some("public") => f.write_str(&self.name),
            Some(schema) => write!(f, "{schema}.{}", self.name),
        }
    }
}

/// What sort of table it is, as far as a purge must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// Holds rows of its own.
    Ordinary,
    /// Holds no rows; its partitions do.
    Partitioned,
    /// SQLite: the key is the physical order.
    WithoutRowid,
    /// SQLite virtual table, PostgreSQL foreign table: cannot be walked or undone exactly.
    Foreign,
    /// A view or materialized view.
    View,
}

/// Families of types that code must tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Integers.
    Integer,
    /// Binary floats.
    Real,
    /// Exact decimals.
    Numeric,
    /// Text of any length.
    Text,
    /// Bytes.
    Blob,
    /// Booleans.
    Bool,
    /// A day.
    Date,
    /// A moment without a zone.
    Timestamp,
    /// A moment.
    TimestampTz,
    /// JSON.
    Json,
    /// UUID.
    Uuid,
    /// SQLite column whose declared type says nothing certain (also dates: they are text or numbers there).
    Any,
    /// Everything else.
    Other,
}

/// Whether the database computes the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generated {
    /// An ordinary column.
    No,
    /// Computed and stored.
    Stored,
    /// Computed when read.
    Virtual,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// As the catalogue spells it.
    pub name: String,
    /// The type as declared: `character varying(20)`, `TIMESTAMP`, …
    pub declared: String,
    /// What sort of type that is.
    pub family: Family,
    /// NOT NULL, declared or by the primary key.
    pub not_null: bool,
    /// The default expression.
    pub default: Option<String>,
    /// Whether the database computes it.
    pub generated: Generated,
    /// PostgreSQL identity column (`always` or `by default`), SQLite integer primary key with autoincrement.
    pub identity: bool,
}

/// A key: primary, or unique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The name of the constraint or index.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<String>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns in order; none stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it has a WHERE.
    pub partial: bool,
    /// The WHERE, in SQL over the bare columns; none where there is none, or it cannot be read.
    #[serde(default)]
    pub only: Option<String>,
    /// Whether the database uses it (PostgreSQL: `indisvalid`).
    pub valid: bool,
    /// Whether its entries are in order (a b-tree), so that many values are looked up in one passage.
    #[serde(default)]
    pub sorted: bool,
}

/// What happens to a child when its parent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Checked at the end.
    NoAction,
    /// Refused at once.
    Restrict,
    /// The child goes too.
    Cascade,
    /// The reference becomes NULL.
    SetNull,
    /// The reference becomes the default.
    SetDefault,
}

/// A declared reference from this table to a parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The name of the constraint (SQLite: made from the columns).
    pub name: String,
    /// Its number among the references of its table, as the database counts them.
    #[serde(default)]
    pub number: i64,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: TableName,
    /// The columns referred to, as many as `columns`.
    pub parent_columns: Vec<String>,
    /// What happens when the parent goes.
    pub on_delete: Action,
    /// Whether every row is known to satisfy it (PostgreSQL: validated; SQLite: never known).
    pub validated: bool,
    /// Whether what it declares happens to every row, and its effects are counted (see `Dialect::taken_along`): it is
    /// validated, none of its triggers is off, and no rule or row security of the referring table gets in between.
    #[serde(default)]
    pub acts_on_all: bool,
    /// Whether the database checks every row that is written, also where older ones break it (SQLite: each connection decides).
    #[serde(default)]
    pub checks_writes: bool,
}

/// What a purge of the parent does to the rows of a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link<'a> {
    /// The referring table.
    pub child: &'a TableName,
    /// The reference.
    pub key: &'a ForeignKey,
    /// Its rows go, else the reference becomes NULL.
    pub goes: bool,
}

/// A trigger that a user made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Fires on insert.
    pub on_insert: bool,
    /// Fires on update.
    pub on_update: bool,
    /// Fires on delete.
    pub on_delete: bool,
    /// Whether it fires at present.
    pub enabled: bool,
}

/// What the user we are connected as may do with the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Read them.
    pub select: bool,
    /// Add some.
    pub insert: bool,
    /// Change them, at least in one column.
    pub update: bool,
    /// Delete them.
    pub delete: bool,
    /// All that an owner may: empty the table, drop its partitions.
    pub owner: bool,
}

impl Default for Rights {
    /// Every right, as in a database that knows none.
    fn default() -> Self {
        Self { select: true, insert: true, update: true, delete: true, owner: true }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// What sort of table it is.
    pub kind: TableKind,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// What tells rows apart: the primary key, else a unique key whose columns are all NOT NULL.
    pub key: Option<Key>,
    /// All unique keys without WHERE and without expressions, the primary key among them.
    pub uniques: Vec<Key>,
    /// All indexes.
    pub indexes: Vec<Index>,
    /// References to parents.
    pub references: Vec<ForeignKey>,
    /// SQLite: references to a table, or to a primary key, that is not there. Nothing may be asked of their parent.
    #[serde(default)]
    pub lost_references: Vec<ForeignKey>,
    /// Triggers made by users.
    pub triggers: Vec<Trigger>,
    /// PostgreSQL: rewrite rules, which take the place of a statement or add to it.
    #[serde(default)]
    pub rules: Vec<Trigger>,
    /// What we may do with its rows.
    #[serde(default)]
    pub rights: Rights,
    /// The tables this one is a partition of or inherits from.
    pub parents: Vec<TableName>,
    /// Partitions of it, or tables that inherit from it, one level down.
    pub children: Vec<TableName>,
    /// SQLite: the name under which the rowid can be reached, when there is one.
    pub rowid: Option<String>,
    /// What the statistics say; none when never counted.
    pub rows_estimate: Option<u64>,
    /// Size with indexes, when the database tells cheaply.
    pub bytes: Option<u64>,
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that hold data of their own: all but the generated ones.
    pub fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.generated == Generated::No)
    }

    /// The column of this name, or an error that names the nearest one.
    pub fn expect_column(&self, name: &str) -> Result<&Column> {
        self.column(name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::usage(format!("table `{}` has no column `{name}`", self.name))
                .help(format!("its columns are {}", names.join(", ")))
        })
    }
}

/// All tables of a database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// In the order of their names.
    pub tables: Vec<Table>,
    /// Where unqualified names are looked up, first one first; empty on SQLite.
    pub search_path: Vec<String>,
}

impl Schema {
    /// The table of exactly this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The table a person means by `name` or `schema.name`. The whole text is tried as a bare name first, since
    /// names may hold dots.
    pub fn find(&self, name: &str) -> Result<&Table> {
        let bare = |wanted: &str| {
            if self.search_path.is_empty() {
                return self.tables.iter().find(|table| table.name.name == wanted).or_else(|| {
                    self.tables.iter().find(|table| table.name.name.eq_ignore_ascii_case(wanted))
                });
            }
            self.search_path.iter().find_map(|schema| self.table(&TableName::within(schema, wanted)))
        };
        let qualified = || {
            let (schema, table) = name.split_once('.')?;
            self.table(&TableName::within(schema, table))
        };
        // As a statement or a message spells it: `"schema"."table"`, or only one of the two in quotes.
        let quoted = || match unquoted(name)?.as_slice() {
            [table] => bare(table),
            [schema, table] => self.table(&TableName::within(schema, table)),
            _ => None,
        };
        bare(name).or_else(qualified).or_else(quoted).ok_or_else(|| {
            // Who leaves out the schema is nearest to the name alone.
            let mut tables: Vec<&Table> = self.tables.iter().collect();
            tables.sort_by_key(|known| {
                distance(&known.name.to_string(), name).min(distance(&known.name.name, name))
            });
            let names: Vec<String> = tables.iter().take(3).map(|known| known.name.to_string()).collect();
            let error = Error::usage(format!("there is no table `{name}`"));
            if names.is_empty() {
                error.help("the database has no tables that this user can see")
            } else {
                error.help(format!("the nearest names are {}", names.join(", ")))
            }
        })
    }

    /// Every declared reference to `parent`, with the table that holds it. Clones that PostgreSQL makes for
    /// partitions are not listed again.
    pub fn referring(&self, parent: &TableName) -> Vec<(&Table, &ForeignKey)> {
        self.tables
            .iter()
            .flat_map(|table| table.references.iter().map(move |key| (table, key)))
            .filter(|(_, key)| key.parent == *parent)
            .collect()
    }

    /// The tables in which rows of `table` really lie: itself, or its partitions and heirs at every depth.
    pub fn leaves<'a>(&'a self, table: &'a Table) -> Vec<&'a Table> {
        let mut leaves = Vec::new();
        if table.kind != TableKind::Partitioned {
            leaves.push(table);
        }
        for child in table.children.iter().filter_map(|name| self.table(name)) {
            leaves.extend(self.leaves(child));
        }
        leaves
    }
}

/// The parts of a name of which at least one is in double quotes; none where quotes do not match.
fn unquoted(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    while !rest.is_empty() || parts.is_empty() {
        let mut part = String::new();
        rest = match rest.strip_prefix('"') {
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                part.push_str(&rest[..end]);
                &rest[end..]
            }
            Some(mut inner) => loop {
                let end = inner.find('"')?;
                part.push_str(&inner[..end]);
                inner = &inner[end + 1..];
                match inner.strip_prefix('"') {
                    Some(more) => {
                        part.push('"');
                        inner = more;
                    }
                    None => break inner,
                }
            },
        };
        parts.push(part);
        rest = match rest.strip_prefix('.') {
            Some(more) if !more.is_empty() => more,
            Some(_) => return None,
            None if rest.is_empty() => break,
            None => return None,
        };
    }
    name.contains('"').then_some(parts)
}

/// Edit distance without case, for "the nearest name".
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let kept = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = kept.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn names_are_read_as_statements_write_them() {
        let parts = |name: &str| unquoted(name).map(|parts| parts.join("|"));
        assert_eq!(parts(r#""public"."t""#).as_deref(), Some("public|t"));
        assert_eq!(parts(r#"public."a.b""#).as_deref(), Some("public|a.b"));
        assert_eq!(parts(r#""a ""b""""#).as_deref(), Some(r#"a "b""#));
        for wrong in ["public.t", "\"t", "\"a\"b", "\"a\".", ""] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
