//! What a statement does, in our words: the linter's own picture of SQL, the same for both databases.
//!
//! Only the two `read_` modules know a parser; everything behind this file knows only what stands here. It says what is
//! written, not what it costs or whether it is wise.

use std::ops::Range;
use targets::db::TableName;

/// One thing that a statement does: an `alter table` may do several.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// What.
    pub does: Does,
    /// Where it stands in the statement, in bytes.
    pub at: Range<usize>,
}

/// A column as it is declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewColumn {
    /// Its name, without quotes.
    pub name: String,
    /// Its type in lower case with single spaces; empty where none is given.
    pub declared: String,
    /// NOT NULL, or part of a primary key that is declared with it.
    pub not_null: bool,
    /// Its default.
    pub default: Option<Value>,
    /// Computed: stored, or (false) when read.
    pub generated: Option<bool>,
    /// An identity column.
    pub identity: bool,
    /// What is declared with it.
    pub constraints: Vec<NewConstraint>,
    /// The whole declaration.
    pub text: String,
    /// Where it stands.
    pub at: Range<usize>,
}

/// An expression that fills rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// As it is written.
    pub text: String,
    /// How often it must be computed.
    pub steady: Steady,
    /// Where the word `default` and it stand in the statement; empty where that is not known.
    pub at: Range<usize>,
}

/// How often the value of an expression changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steady {
    /// NULL.
    Null,
    /// A constant, or something that is the same during a statement.
    Constant,
    /// Something that is another one for each row.
    Volatile,
    /// A function that we do not know.
    Unknown,
}

/// A rule for rows.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConstraint {
    /// Its name, if it is given one.
    pub name: Option<String>,
    /// What it demands.
    pub demands: Demand,
    /// Rows that are there are not looked at.
    pub not_valid: bool,
    /// Nobody looks at it at all.
    pub not_enforced: bool,
    /// As it is written, without its name.
    pub text: String,
    /// Where it stands in the statement, with its name; empty where that is not known.
    pub at: Range<usize>,
}

/// What a rule for rows demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// An expression, without its parentheses.
    Check(String),
    /// That a parent exists.
    ForeignKey {
        /// The referring columns.
        columns: Vec<String>,
        /// The table referred to.
        parent: TableName,
        /// The columns referred to; empty for its key.
        parent_columns: Vec<String>,
    },
    /// That no two rows are alike.
    Unique {
        /// In which columns; empty where an index says it.
        columns: Vec<String>,
        /// The index that is made a constraint.
        index: Option<String>,
    },
    /// The same, as the table's key.
    Primary {
        /// In which columns; empty where an index says it.
        columns: Vec<String>,
        /// The index that is made a constraint.
        index: Option<String>,
    },
    /// That no two rows exclude each other.
    Exclude,
    /// That there is a value.
    NotNull(String),
}

/// An index as it is declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewIndex {
    /// Its name, if it is given one.
    pub name: Option<String>,
    /// Its columns; none stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it is unique.
    pub unique: bool,
    /// Built beside the work of others.
    pub concurrently: bool,
    /// Left alone when something of its name is there.
    pub if_not_exists: bool,
    /// How it is built: `btree`, `gin`, …
    pub method: Option<String>,
    /// What its rows satisfy.
    pub condition: Option<String>,
    /// Whether only `on only` this table, not on its partitions.
    pub only: bool,
}

/// A table as it is declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewTable {
    /// Its columns.
    pub columns: Vec<NewColumn>,
    /// Rules for several columns.
    pub constraints: Vec<NewConstraint>,
    /// Left alone when something of its name is there.
    pub if_not_exists: bool,
    /// Seen by this session only.
    pub temporary: bool,
    /// The table it is a partition of.
    pub partition_of: Option<TableName>,
    /// Split into partitions itself.
    pub partitioned: bool,
    /// Tables that it inherits from.
    pub inherits: Vec<TableName>,
    /// Made from a query (or shaped like another table): columns are not known.
    pub shaped_elsewhere: bool,
    /// SQLite: types are enforced.
    pub strict: bool,
}

/// What sort of thing is dropped, renamed or made, where no more needs to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Thing {
    View,
    MaterializedView,
    Sequence,
    Type,
    Domain,
    Function,
    Schema,
    Database,
    Extension,
    Trigger,
    Rule,
    Policy,
    Other,
}

impl Thing {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Thing::View => "view",
            Thing::MaterializedView => "materialized view",
            Thing::Sequence => "sequence",
            Thing::Type => "type",
            Thing::Domain => "domain",
            Thing::Function => "function",
            Thing::Schema => "schema",
            Thing::Database => "database",
            Thing::Extension => "extension",
            Thing::Trigger => "trigger",
            Thing::Rule => "rule",
            Thing::Policy => "policy",
            Thing::Other => "object",
        }
    }
}

/// A part of `alter table` that needs no more than its name: which lock it takes is all there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // they are the words of the statement
pub enum Minor {
    SetStatistics,
    SetColumnOptions,
    SetStorage,
    SetCompression,
    DropIdentity,
    SetIdentity,
    DropExpression,
    AlterConstraint,
    Rule,
    RowSecurity,
    Owner,
    ClusterOn,
    SetGentleOptions,
    SetOptions,
    ReplicaIdentity,
    OfType,
}

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowDeed {
    /// Rows come.
    Insert,
    /// Rows change.
    Update,
    /// Rows go.
    Delete,
}

/// How a transaction is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // they are the words of the statement
pub enum Control {
    Begin,
    Commit,
    Rollback,
    Savepoint,
}

/// What a statement, or a part of one, does.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // `table` is the table and `name` the name; what is not obvious has its line
pub enum Does {
    CreateTable {
        table: TableName,
        new: NewTable,
    },
    /// Our own mark before a `create table`: the table is made anew with another definition, and keeps what is in it.
    Rebuild {
        table: TableName,
        new: NewTable,
    },
    AddColumn {
        table: TableName,
        column: NewColumn,
        if_not_exists: bool,
    },
    DropColumn {
        table: TableName,
        column: String,
        if_exists: bool,
        cascade: bool,
    },
    RenameColumn {
        table: TableName,
        column: String,
        to: String,
    },
    RenameTable {
        table: TableName,
        to: String,
    },
    RenameConstraint {
        table: TableName,
    },
    SetSchema {
        table: TableName,
        to: String,
    },
    /// `using` is the expression of the new values.
    AlterType {
        table: TableName,
        column: String,
        to: String,
        using: Option<String>,
    },
    SetNotNull {
        table: TableName,
        column: String,
    },
    DropNotNull {
        table: TableName,
        column: String,
    },
    SetDefault {
        table: TableName,
        column: String,
        value: Value,
    },
    DropDefault {
        table: TableName,
        column: String,
    },
    /// A stored column gets another expression: all rows are computed anew.
    SetExpression {
        table: TableName,
        column: String,
    },
    AddIdentity {
        table: TableName,
        column: String,
    },
    AddConstraint {
        table: TableName,
        constraint: NewConstraint,
    },
    ValidateConstraint {
        table: TableName,
        name: String,
    },
    DropConstraint {
        table: TableName,
        name: String,
        if_exists: bool,
    },
    /// `set tablespace`, `set logged`, `set unlogged`, `set access method`: the words.
    MoveTable {
        table: TableName,
        how: &'static str,
    },
    Trigger {
        table: TableName,
        enabled: bool,
    },
    Alter {
        table: TableName,
        minor: Minor,
    },
    /// `leaves`: `no inherit`.
    Inherit {
        table: TableName,
        parent: TableName,
        leaves: bool,
    },
    AttachPartition {
        table: TableName,
        partition: TableName,
        default: bool,
    },
    DetachPartition {
        table: TableName,
        partition: TableName,
        concurrently: bool,
    },
    CreateIndex {
        table: TableName,
        index: NewIndex,
    },
    DropIndex {
        names: Vec<TableName>,
        concurrently: bool,
        if_exists: bool,
    },
    RenameIndex {
        name: TableName,
        to: String,
    },
    /// `target` is `index`, `table`, `schema`, `database` or `system`.
    Reindex {
        target: &'static str,
        name: Option<TableName>,
        concurrently: bool,
    },
    DropTable {
        tables: Vec<TableName>,
        if_exists: bool,
        cascade: bool,
    },
    Truncate {
        tables: Vec<TableName>,
        cascade: bool,
    },
    DropThing {
        thing: Thing,
        names: Vec<TableName>,
        table: Option<TableName>,
        if_exists: bool,
        cascade: bool,
    },
    CreateView {
        name: TableName,
        replaces: bool,
    },
    CreateMaterializedView {
        name: TableName,
        with_data: bool,
    },
    Refresh {
        view: TableName,
        concurrently: bool,
        with_data: bool,
    },
    AddEnumValue {
        name: TableName,
        value: String,
    },
    /// A trigger of a table; `again`: it changes the very rows that fire it, unguarded.
    CreateTrigger {
        table: TableName,
        name: String,
        again: bool,
    },
    /// A rule, a policy.
    CreateOn {
        table: TableName,
        thing: Thing,
    },
    CreateStatistics {
        table: TableName,
    },
    /// `replaces`: a view, function, … of this name is replaced.
    CreateThing {
        thing: Thing,
        name: TableName,
        replaces: bool,
    },
    DomainConstraint {
        domain: TableName,
    },
    RenameThing {
        thing: Thing,
        name: TableName,
    },
    Comment {
        table: Option<TableName>,
    },
    /// `vacuum`, with `full`; `cluster`; none stands for all tables.
    Vacuum {
        table: Option<TableName>,
        full: bool,
    },
    Cluster {
        table: Option<TableName>,
    },
    Analyze {
        table: Option<TableName>,
    },
    Rows {
        table: TableName,
        deed: RowDeed,
        condition: Option<String>,
        new_table_only: bool,
    },
    Lock {
        tables: Vec<TableName>,
        mode: String,
    },
    Control(Control),
    Set {
        name: String,
        value: String,
        local: bool,
    },
    Pragma {
        name: String,
        value: Option<String>,
    },
    Attach,
    Revoke,
    /// The words that say what may not be in a transaction: `create database`, `alter system`.
    Outside(&'static str),
    Block,
    /// Reads, or does something of which a migration need not be afraid.
    Harmless,
}

/// Types of PostgreSQL that are an integer with a sequence.
pub const SERIAL: [&str; 6] = ["smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"];

/// A place in a statement where it cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// What the grammar says.
    pub what: String,
    /// Where, in bytes.
    pub at: Range<usize>,
}

/// The parts of a name as statements write it: `a."B"`; what is not in quotes becomes lower case if `folds`.
pub fn name_of(text: &str, folds: bool) -> TableName {
    let mut parts = parts_of(text, folds);
    let name = parts.pop().unwrap_or_default();
    TableName { schema: parts.pop(), name }
}

/// One name, without its quotes.
pub fn plain(text: &str, folds: bool) -> String {
    parts_of(text, folds).pop().unwrap_or_default()
}

fn parts_of(text: &str, folds: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '.' => parts.push(std::mem::take(&mut part)),
            '"' | '`' | '[' => {
                let end = if letter == '[' { ']' } else { letter };
                while let Some(inner) = letters.next() {
                    if inner == end {
                        if end != ']' && letters.peek() == Some(&end) {
                            letters.next();
                        } else {
                            break;
                        }
                    }
                    part.push(inner);
                }
            }
            blank if blank.is_whitespace() => {}
            plain if folds => part.extend(plain.to_lowercase()),
            plain => part.push(plain),
        }
    }
    parts.push(part);
    parts
}

/// A type in lower case with single spaces, as the catalogue of PostgreSQL mostly spells it.
pub fn type_of(text: &str) -> String {
    let mut all = String::new();
    for word in text.to_lowercase().split_whitespace() {
        if !(all.is_empty() || all.ends_with('(') || word.starts_with(['(', ')', ',', '['])) {
            all.push(' ');
        }
        all.push_str(word);
    }
    all.replace(" (", "(").replace("pg_catalog.", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_quotes_and_keep_what_is_in_them() {
        assert_eq!(name_of(r#"Shop."Order ""x""""#, true), TableName::within("shop", r#"Order "x""#));
        assert_eq!(name_of("[a b]", false), TableName::bare("a b"));
        assert_eq!(name_of("`T`", true), TableName::bare("T"));
        assert_eq!(type_of("VARCHAR  ( 20 )"), "varchar(20)");
        assert_eq!(type_of("double   PRECISION"), "double precision");
    }
}
