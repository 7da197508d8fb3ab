//! What hangs on an account, at every depth: declared references and those of the configuration.

use super::options::{Options, Policy, Relation};
use engine::{Dependants, Error, Finding, Result};
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Schema, Sql, Table, TableName};

/// One relation to the account, or to a row that hangs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hanging {
    /// The table that refers.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The columns referred to.
    pub parent_columns: Vec<String>,
    /// What happens to its rows.
    pub policy: Policy,
    /// The new values, expressions over `t`, where rows are changed.
    pub values: Vec<(String, Sql)>,
    /// What hangs on its rows, when they go too.
    pub below: Vec<Hanging>,
}

impl Hanging {
    /// The rows, over `t`, that refer to rows of `parent` which satisfy `condition`, over `t` too.
    pub fn of(&self, parent: &Table, condition: &Sql) -> Sql {
        let own = Sql::default().names("t.", self.columns.iter().map(String::as_str));
        let own = if self.columns.len() > 1 { Sql::new("(").add(&own).text(")") } else { own };
        own.text(" in (select ")
            .names("t.", self.parent_columns.iter().map(String::as_str))
            .text(" from ")
            .table(&parent.name)
            .text(" as t where ")
            .add(condition)
            .text(")")
    }
}

/// The new values of a relation's rows, where they are overwritten.
pub type Values<'a> = dyn Fn(&Table, &Relation) -> Result<Vec<(String, Sql)>> + 'a;

/// Everything that hangs on the accounts.
pub fn tree(
    options: &Options,
    schema: &Schema,
    table: &Table,
    setting: &Values,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Hanging>> {
    let known = |relation: &Relation| -> Result<()> {
        let parent = relation.parent.as_ref().unwrap_or(&options.table);
        schema.find(&relation.table).and(schema.find(parent)).map(|_| ())?;
        Ok(())
    };
    options.relations.iter().try_for_each(known)?;
    below(options, schema, table, &mut vec![table.clone()], setting, findings)
}

fn below(
    options: &Options,
    schema: &Schema,
    parent: &Table,
    path: &mut Vec<Table>,
    setting: &Values,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Hanging>> {
    let top = path.len() == 1;
    let mut relations: Vec<Relation> = Vec::new();
    for (referring, key) in schema.referring(&parent.name) {
        // A clone on a partition repeats what its partitioned table declares.
        if !referring.parents.is_empty() {
            continue;
        }
        relations.push(Relation {
            table: qualified(referring),
            columns: key.columns.clone(),
            parent_columns: key.parent_columns.clone(),
            policy: options.dependants,
            ..Relation::default()
        });
    }
    for said in &options.relations {
        let named = schema.find(said.parent.as_ref().unwrap_or(&options.table))?;
        if named.name != parent.name || (said.parent.is_none() && !top) {
            continue;
        }
        let referring = schema.find(&said.table)?;
        let mut declared = false;
        for relation in relations.iter_mut().filter(|relation| relation.table == qualified(referring)) {
            if said.columns.is_empty() || said.columns == relation.columns {
                (relation.policy, relation.anonymise) = (said.policy, said.anonymise.clone());
                declared = true;
            }
        }
        if declared {
            continue;
        }
        if said.columns.is_empty() {
            return Err(Error::usage(format!("`{}` declares no reference to `{}`", said.table, parent.name))
                .help("say through which columns it refers: `columns = [\"…\"]`"));
        }
        let key = || parent.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
        let parent_columns = if said.parent_columns.is_empty() { key() } else { said.parent_columns.clone() };
        relations.push(Relation { table: qualified(referring), parent_columns, ..said.clone() });
    }
    let mut all = Vec::new();
    for relation in relations {
        let referring = schema.find(&relation.table)?;
        if relation.parent_columns.len() != relation.columns.len() {
            return Err(Error::usage(format!(
                "the relation of `{}` has no columns of `{}` to refer to",
                relation.table, parent.name
            ))
            .help("say `parent_columns = [\"…\"]`"));
        }
        for column in &relation.columns {
            referring.expect_column(column)?;
        }
        for column in &relation.parent_columns {
            parent.expect_column(column)?;
        }
        let values = match relation.policy {
            Policy::SetNull => relation.columns.iter().map(|name| (name.clone(), Sql::new("null"))).collect(),
            Policy::Anonymise => setting(referring, &relation)?,
            _ => Vec::new(),
        };
        let mut hanging = Hanging {
            table: referring.clone(),
            leaves: schema.leaves(referring).into_iter().cloned().collect(),
            columns: relation.columns,
            parent_columns: relation.parent_columns,
            policy: relation.policy,
            values,
            below: Vec::new(),
        };
        if path.iter().any(|above| above.name == referring.name) {
            if hanging.policy.removes() {
                findings.push(Finding::forbid(
                    "cycle",
                    &referring.name,
                    format!("`{}` hangs on itself: accounts would take others along", referring.name),
                    "say `policy = \"keep\"` or `\"set_null\"` for this relation",
                ));
            }
        } else if hanging.policy.removes() {
            path.push(referring.clone());
            hanging.below = below(options, schema, referring, path, setting, findings)?;
            path.pop();
        }
        check(&hanging, options.delete || path.len() > 1, findings);
        all.push(hanging);
    }
    Ok(all)
}

/// A name by which `Schema::find` finds exactly this table.
fn qualified(table: &Table) -> String {
    match &table.name.schema {
        Some(schema) => format!("{schema}.{}", table.name.name),
        None => table.name.name.clone(),
    }
}

fn check(hanging: &Hanging, parent_goes: bool, findings: &mut Vec<Finding>) {
    let name = &hanging.table.name;
    if hanging.policy == Policy::Keep && parent_goes {
        findings.push(Finding::forbid(
            "orphans",
            name,
            "its rows would stay behind without what they refer to",
            "say `policy = \"archive\"`, `\"delete\"` or `\"set_null\"` for this relation",
        ));
    }
    let bare = |column: &&String| hanging.table.column(column).is_some_and(|column| column.not_null);
    if let Some(column) = hanging.columns.iter().find(bare).filter(|_| hanging.policy == Policy::SetNull) {
        findings.push(Finding::forbid(
            "not_null",
            name,
            format!("`{column}` is NOT NULL, so the reference cannot be set to NULL"),
            "say another policy for this relation, or let the column be NULL",
        ));
    }
    if hanging.table.key.is_none() && hanging.policy.archives() {
        findings.push(Finding::forbid(
            "no_key",
            name,
            "its rows cannot be told apart, so they could not be brought back one by one",
            "give the table a primary key, or say `policy = \"delete\"`",
        ));
    }
}

/// Counts the rows of every relation at every depth, as a run handles them: a row that goes by one relation is not met by the
/// next.
pub fn count(
    tree: &[Hanging],
    parent: &Table,
    condition: &Sql,
    facts: &mut dyn Facts,
) -> Result<Vec<Dependants>> {
    in_turn(tree, parent, condition, &mut Vec::new(), facts)
}

fn in_turn(
    tree: &[Hanging],
    parent: &Table,
    condition: &Sql,
    gone: &mut Vec<(TableName, Sql)>,
    facts: &mut dyn Facts,
) -> Result<Vec<Dependants>> {
    let mut all = Vec::new();
    for hanging in tree {
        let own = hanging.of(parent, condition);
        let below = in_turn(&hanging.below, &hanging.table, &own, gone, facts)?;
        let mut here = Sql::new("(").add(&own).text(")");
        for (_, earlier) in gone.iter().filter(|(name, _)| *name == hanging.table.name) {
            here = here.text(" and (").add(earlier).text(") is not true");
        }
        let rows = facts.count(
            &Sql::new("select count(*) from ").table(&hanging.table.name).text(" as t where ").add(&here),
        )?;
        if hanging.policy.removes() {
            gone.push((hanging.table.name.clone(), own));
        }
        all.push(Dependants {
            table: hanging.table.name.to_string(),
            columns: hanging.columns.clone(),
            policy: hanging.policy.name().to_owned(),
            rows,
        });
        all.extend(below);
    }
    Ok(all)
}
