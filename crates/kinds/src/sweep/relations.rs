//! Who refers to the doomed rows, at every depth, and what happens to them.
//!
//! Children are handled explicitly, in order, with undo: nothing is left to a silent cascade (see `along` for one that is not
//! silent).

use super::policy::{Policy, Relation};
use engine::{Dependants, Error, Finding, Result};
use serde::{Deserialize, Serialize};
use targets::db::{Action, Dialect, Facts, ForeignKey, Index, Key, Schema, Sql, Table, Value, quote};

/// One relation to the doomed rows of its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// The table that refers; its rows may lie in several leaves.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The columns of the parent they refer to.
    pub parent_columns: Vec<String>,
    /// What happens to its rows.
    pub policy: Policy,
    /// The database itself would delete or change its rows, silently.
    #[serde(default)]
    pub acts_by_itself: bool,
    /// The key that declares it, if one does.
    #[serde(default)]
    pub key: Option<ForeignKey>,
    /// The relations to its own rows, when they go too.
    pub children: Vec<Child>,
}

/// What the configuration says about rows that hang on others.
pub struct Hanging<'a> {
    /// Unless a relation says otherwise.
    pub dependants: Policy,
    /// Single relations, and undeclared ones.
    pub relations: &'a [Relation],
}

/// All relations to `table`, declared ones and those of the configuration. `path` holds the tables above.
pub fn children(
    schema: &Schema,
    table: &Table,
    hanging: &Hanging,
    path: &mut Vec<Table>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Child>> {
    let mut all: Vec<Child> = Vec::new();
    let mut names = vec![table.name.clone()];
    names.extend(table.parents.iter().cloned());
    for name in &names {
        for (referring, key) in schema.referring(name) {
            // A clone on a partition repeats what its partitioned table declares.
            if referring.parents.iter().any(|parent| {
                schema.table(parent).is_some_and(|parent| {
                    parent
                        .references
                        .iter()
                        .any(|other| other.columns == key.columns && other.parent == key.parent)
                })
            }) {
                continue;
            }
            all.push(Child {
                table: referring.clone(),
                leaves: Vec::new(),
                columns: key.columns.clone(),
                parent_columns: key.parent_columns.clone(),
                policy: hanging.dependants,
                acts_by_itself: !matches!(key.on_delete, Action::NoAction | Action::Restrict),
                key: Some(key.clone()),
                children: Vec::new(),
            });
        }
    }
    configured(schema, table, path.is_empty(), hanging, &mut all)?;
    path.push(table.clone());
    for child in &mut all {
        child.leaves = schema.leaves(&child.table).into_iter().cloned().collect();
        let again = path.iter().any(|above| above.name == child.table.name);
        if again && child.table.name != table.name {
            findings.push(Finding::forbid(
                "cycle",
                &child.table.name,
                format!("`{}` refers to `{}`, which hangs on it in turn", child.table.name, table.name),
                "purge one of the two with `set_null`, or take the relation out of the circle first",
            ));
        } else if !again && child.policy.removes() {
            child.children = children(schema, &child.table.clone(), hanging, path, findings)?;
        }
        check(child, table, findings);
    }
    path.pop();
    Ok(all)
}

/// Relations of the configuration: they set the policy of declared ones, wherever those are met, or add undeclared ones
/// to the table they name. `is_target` says that this is the target's own table.
fn configured(
    schema: &Schema,
    table: &Table,
    is_target: bool,
    hanging: &Hanging,
    all: &mut Vec<Child>,
) -> Result<()> {
    for relation in hanging.relations {
        let referring = schema.find(&relation.table)?;
        let here = match &relation.parent {
            Some(parent) => schema.find(parent)?.name == table.name,
            None => true,
        };
        let mut known = false;
        for child in all.iter_mut().filter(|child| here && child.table.name == referring.name) {
            if relation.columns.is_empty() || relation.columns == child.columns {
                child.policy = relation.policy;
                known = true;
            }
        }
        if known {
            continue;
        }
        if relation.columns.is_empty() {
            if referring.references.is_empty() {
                return Err(Error::usage(format!("`{}` declares no reference", relation.table))
                    .help("say through which columns it refers: `columns = [\"…\"]`"));
            }
            continue;
        }
        // A declared one is met at its own parent; taken for an undeclared one here, it would hit the wrong rows.
        let declared = referring.references.iter().any(|key| key.columns == relation.columns);
        let meant = if relation.parent.is_some() { here } else { is_target && !declared };
        if !meant {
            continue;
        }
        let parent_columns = match (&relation.parent_columns, &table.key) {
            (columns, _) if !columns.is_empty() => columns.clone(),
            (_, Some(key)) => key.columns.clone(),
            (_, None) => Vec::new(),
        };
        if parent_columns.len() != relation.columns.len() {
            return Err(Error::usage(format!(
                "the relation of `{}` has no columns of `{}` to refer to",
                relation.table, table.name
            ))
            .help("say `parent_columns = [\"…\"]`"));
        }
        for column in &relation.columns {
            referring.expect_column(column)?;
        }
        for column in &parent_columns {
            table.expect_column(column)?;
        }
        all.push(Child {
            table: referring.clone(),
            leaves: Vec::new(),
            columns: relation.columns.clone(),
            parent_columns,
            policy: relation.policy,
            acts_by_itself: false,
            key: None,
            children: Vec::new(),
        });
    }
    Ok(())
}

fn check(child: &Child, parent: &Table, findings: &mut Vec<Finding>) {
    if child.is_self(parent) && child.policy.removes() && parent.key.is_none() {
        findings.push(Finding::forbid(
            "no_key",
            &child.table.name,
            "it refers to itself, and its rows cannot be told apart",
            "give the table a primary key",
        ));
    }
    if child.policy == Policy::SetNull {
        if let Some(column) =
            child.columns.iter().find(|name| child.table.column(name).is_some_and(|c| c.not_null))
        {
            findings.push(Finding::forbid(
                "not_null",
                &child.table.name,
                format!("`{column}` is NOT NULL, so the reference cannot be set to NULL"),
                "use `cascade` for this relation, or let the column be NULL",
            ));
        }
        if child.table.key.is_none() {
            findings.push(Finding::forbid(
                "no_key",
                &child.table.name,
                "its rows cannot be told apart, so a change of them could not be undone",
                "give the table a primary key, or use `cascade`",
            ));
        }
    }
    if !child.has_index() {
        findings.push(Finding::warning(
            "missing_index",
            &child.table.name,
            format!(
                "no index begins with ({}): the whole table is read for every batch",
                child.columns.join(", ")
            ),
            create_index(&child.table, &child.columns.iter().map(String::as_str).collect::<Vec<_>>()),
        ));
    }
}

/// The statement that makes a missing index, on either database.
pub fn create_index(table: &Table, columns: &[&str]) -> String {
    let name = format!("{}_{}_idx", table.name.name, columns.join("_"));
    let columns: Vec<String> = columns.iter().map(|column| quote(column)).collect();
    format!("create index {} on {} ({})", quote(&name), table.name.quoted(), columns.join(", "))
}

impl Child {
    /// Whether it refers to its own table.
    pub fn is_self(&self, parent: &Table) -> bool {
        self.table.name == parent.name
    }

    /// Whether an index leads from the parent to its rows.
    pub fn has_index(&self) -> bool {
        self.table.indexes.iter().any(|index| {
            index.valid
                && !index.partial
                && self.columns.len() <= index.columns.len()
                && index.columns[..self.columns.len()]
                    .iter()
                    .all(|column| column.as_ref().is_some_and(|column| self.columns.contains(column)))
        }) || self.table.key.as_ref().is_some_and(|key| key.columns.first() == self.columns.first())
    }

    /// What its columns become with `set_null`.
    pub fn nulls(&self) -> Vec<(String, Value)> {
        self.columns.iter().map(|column| (column.clone(), Value::Null)).collect()
    }

    /// `(child columns) in (select parent columns from …)`, the child under the alias `alias`.
    pub fn refers_to(&self, alias: &str, parents: &Sql) -> Sql {
        let prefix = format!("{alias}.");
        let own = Sql::default().names(&prefix, self.columns.iter().map(String::as_str));
        let own = if self.columns.len() > 1 { Sql::new("(").add(&own).text(")") } else { own };
        own.text(" in (").add(parents).text(")")
    }

    /// The same for the rows of one leaf, over `t`: through its index on a single column, where it has a sorted one of the
    /// type that `parent` has too.
    pub fn refers_from(&self, leaf: &Table, parent: &Table, parents: &Sql, dialect: &dyn Dialect) -> Sql {
        let ([column], [referred]) = (self.columns.as_slice(), self.parent_columns.as_slice()) else {
            return self.refers_to("t", parents);
        };
        let declared = |table: &Table, name: &str| table.column(name).map(|column| column.declared.clone());
        let begins =
            |index: &Index| index.columns.first().is_some_and(|first| first.as_ref() == Some(column));
        let indexed =
            leaf.indexes.iter().any(|index| index.valid && index.sorted && !index.partial && begins(index));
        if indexed && declared(leaf, column).is_some() && declared(leaf, column) == declared(parent, referred)
        {
            return dialect.probed(&Sql::new("t.").name(column), parents);
        }
        self.refers_to("t", parents)
    }

    /// The condition, over `t`, that a row of the parent has no row of this relation other than itself.
    pub fn is_absent(&self, parent: &Table) -> Sql {
        let absent = Sql::new("not exists (select 1 from ")
            .table(&self.table.name)
            .text(" as c where ")
            .add(&self.joined("c", "t"));
        match &parent.key {
            Some(key) if self.is_self(parent) => {
                absent.text(" and ").add(&key_of(key, "c.")).text(" <> ").add(&key_of(key, "t.")).text(")")
            }
            _ => absent.text(")"),
        }
    }

    pub(super) fn joined(&self, child: &str, parent: &str) -> Sql {
        let same: Vec<Sql> = self
            .columns
            .iter()
            .zip(&self.parent_columns)
            .map(|(column, referred)| {
                Sql::new(&format!("{child}.")).name(column).text(&format!(" = {parent}.")).name(referred)
            })
            .collect();
        Sql::join(&same, " and ")
    }
}

/// The relations of a table to itself that take rows along.
pub fn own_removing<'a>(table: &Table, children: &'a [Child]) -> Vec<&'a Child> {
    children.iter().filter(|child| child.is_self(table) && child.policy.removes()).collect()
}

/// Where a table refers to itself with `cascade`: the condition, over `t`, that a row is one of those that `first` means
/// or lies below one. `first` gets a select from `t` that ends in `where` and adds its condition. None elsewhere.
pub fn tree(table: &Table, children: &[Child], first: &dyn Fn(Sql) -> Sql) -> Option<Sql> {
    let own = own_removing(table, children);
    let key = table.key.as_ref().filter(|_| !own.is_empty())?;
    let mut columns = key.columns.clone();
    for column in own.iter().flat_map(|child| &child.parent_columns) {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    let nth = |name: &String| columns.iter().position(|column| column == name).unwrap_or_default();
    let below: Vec<Sql> = own
        .iter()
        .map(|child| {
            let pairs = child.columns.iter().zip(&child.parent_columns);
            let same: Vec<Sql> = pairs
                .map(|(column, above)| Sql::new("c.").name(column).text(&format!(" = d.v{}", nth(above))))
                .collect();
            Sql::new("(").add(&Sql::join(&same, " and ")).text(")")
        })
        .collect();
    let names = |many: usize| (0..many).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ");
    let listed = |prefix: &str| Sql::default().names(prefix, columns.iter().map(String::as_str));
    let from = Sql::new("select ").add(&listed("t.")).text(" from ").table(&table.name).text(" as t where ");
    Some(
        key_of(key, "t.")
            .text(&format!(" in (with recursive d ({}) as (", names(columns.len())))
            .add(&first(from))
            .text(" union select ")
            .add(&listed("c."))
            .text(" from ")
            .table(&table.name)
            .text(" as c join d on ")
            .add(&Sql::join(&below, " or "))
            .text(&format!(") select {} from d)", names(key.columns.len()))),
    )
}

/// The key under an alias, as one operand.
pub(super) fn key_of(key: &Key, prefix: &str) -> Sql {
    let columns = Sql::default().names(prefix, key.columns.iter().map(String::as_str));
    if key.columns.len() > 1 { Sql::new("(").add(&columns).text(")") } else { columns }
}

/// Counts the rows of every relation at every depth, and the most that can hang on one row where `each` asks for that
/// (else all of them). `doomed` is a query for the doomed parents, `select * from …`, and `many` how many those are.
pub fn count(
    children: &[Child],
    parent: &Table,
    (doomed, many): (&Sql, u64),
    each: bool,
    facts: &mut dyn Facts,
    depth: usize,
) -> Result<(Vec<Dependants>, u64)> {
    let mut all = Vec::new();
    let mut most_each = 0_u64;
    for child in children {
        let parents = Sql::new("select ")
            .names("", child.parent_columns.iter().map(String::as_str))
            .text(" from (")
            .add(doomed)
            .text(&format!(") as p{depth}"));
        // Few children ask for their parents one by one; few parents are collected and ask for their children.
        let few = child.table.rows_estimate.is_some_and(|rows| rows / 4 <= many);
        let by_key = parent.key.as_ref().is_some_and(|key| key.columns == child.parent_columns);
        let mut condition = if few && by_key && !child.is_self(parent) {
            let alias = format!("p{depth}");
            let from = Sql::new("exists (select 1 from (").add(doomed).text(&format!(") as {alias} where "));
            from.add(&child.joined("t", &alias)).text(")")
        } else {
            child.refers_to("t", &parents)
        };
        // Leaf by leaf is how doomed rows of the target's own table make way for each other, where nothing else is done
        // to them; and rows of a tree go in one statement. Elsewhere even a doomed row stands in the way.
        let makes_way = match child.policy {
            Policy::Restrict => depth == 0 && own_removing(parent, children).is_empty(),
            _ => true,
        };
        if let Some(key) = parent.key.as_ref().filter(|_| child.is_self(parent) && makes_way) {
            condition = condition
                .text(" and ")
                .add(&key_of(key, "t."))
                .text(" not in (select ")
                .names("", key.columns.iter().map(String::as_str))
                .text(" from (")
                .add(doomed)
                .text(&format!(") as q{depth})"));
        }
        let condition = match tree(&child.table, &child.children, &|from| from.add(&condition)) {
            Some(tree) => tree,
            None => condition,
        };
        let rows = Sql::new("select t.* from ").table(&child.table.name).text(" as t where ").add(&condition);
        let (number, most) = match each {
            false => {
                let count = Sql::new("select count(*) from (").add(&rows).text(&format!(") as n{depth}"));
                let number = facts.count(&count)?;
                (number, number)
            }
            true => {
                let columns = child.columns.iter().map(String::as_str);
                let groups = Sql::new("select cast(coalesce(sum(n), 0) as bigint), coalesce(max(n), 0) from (select count(*) as n from (")
                    .add(&rows)
                    .text(&format!(") as r{depth} group by "))
                    .names("", columns)
                    .text(&format!(") as n{depth}"));
                let row = facts.rows(&groups)?.into_iter().next().unwrap_or_default();
                let figure = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
                (figure(0), figure(1))
            }
        };
        all.push(Dependants {
            table: child.table.name.to_string(),
            columns: child.columns.clone(),
            policy: child.policy.name().to_owned(),
            rows: number,
        });
        let mut below_each = 0;
        if number > 0 && !child.children.is_empty() {
            let (below, most) =
                count(&child.children, &child.table, (&rows, number), each, facts, depth + 1)?;
            all.extend(below);
            below_each = most;
        }
        most_each = most_each.saturating_add(most.saturating_mul(below_each.saturating_add(1)));
    }
    Ok((all, most_each))
}
