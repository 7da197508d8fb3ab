//! Who refers to merged rows, and which of those rows would be in each other's way: from the catalogue and the
//! configuration (W-084).

use super::options::{Declared, FieldRule, OnClash, Options, Policy};
use super::task::{Clash, Field, Node, Reference};
use crate::orphans::why_broken;
use crate::sweep::create_index;
use engine::{Error, Finding, Result};
use targets::db::{Family, ForeignKey, Schema, Sql, Table};

/// Every table of `on_clash` must be one that refers to merged rows, at whatever distance; else the rule would do nothing, and
/// nobody would know.
pub fn check_rules(schema: &Schema, table: &Table, options: &Options) -> Result<()> {
    let mut known: Vec<&Table> = vec![table];
    let mut at = 0;
    while let Some(parent) = known.get(at).copied() {
        at += 1;
        let names = std::iter::once(&parent.name).chain(&parent.parents);
        let mut found: Vec<&Table> =
            names.flat_map(|name| schema.referring(name)).map(|(child, _)| child).collect();
        for declared in &options.references {
            if schema.find(declared.parent.as_ref().unwrap_or(&options.table))?.name == parent.name {
                found.push(schema.find(&declared.table)?);
            }
        }
        for child in found {
            if known.iter().all(|other| other.name != child.name) {
                known.push(child);
            }
        }
    }
    for rule in &options.on_clash {
        let named = schema.find(&rule.table)?;
        let refers = known.iter().skip(1).any(|child| child.name == named.name);
        if !refers {
            return Err(Error::usage(format!(
                "`on_clash` names `{}`, which refers to no merged row",
                rule.table
            ))
            .help("name a table that refers to one, or declare the reference under `references`"));
        }
    }
    Ok(())
}

/// The node of a table; `path` holds those above.
pub fn node(
    schema: &Schema,
    table: &Table,
    options: &Options,
    path: &mut Vec<Table>,
    findings: &mut Vec<Finding>,
) -> Result<Node> {
    let Some(key) = &table.key else {
        return Err(Error::usage(format!("rows of `{}` cannot be told apart", table.name))
            .help("give the table a primary key"));
    };
    let mut node = bare(schema, table);
    let mut found = referring(schema, table, options, findings)?;
    // A reference by fewer columns says the same as one by more, and is pointed anew first.
    found.sort_by_key(|(_, columns, _)| columns.len());
    let mut known: Vec<(Table, Vec<String>)> = Vec::new();
    path.push(table.clone());
    for (child, columns, parents) in found {
        let covered = known.iter().any(|(other, narrower)| {
            other.name == child.name && narrower.iter().all(|column| columns.contains(column))
        });
        if covered {
            continue;
        }
        known.push((child.clone(), columns.clone()));
        let mut to = Vec::new();
        for parent in &parents {
            table.expect_column(parent)?;
            let place = node.values.iter().position(|value| value == parent);
            to.push(place.unwrap_or_else(|| {
                node.values.push(parent.clone());
                node.values.len() - 1
            }));
        }
        let reference = reference(schema, table, &child, columns, to, options, path, findings)?;
        node.references.push(reference);
    }
    path.pop();
    debug_assert!(node.key == key.columns.len());
    Ok(node)
}

fn bare(schema: &Schema, table: &Table) -> Node {
    let key = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
    Node {
        leaves: schema.leaves(table).into_iter().cloned().collect(),
        key: key.len(),
        values: key,
        references: Vec::new(),
        table: table.clone(),
    }
}

type Found = (Table, Vec<String>, Vec<String>);

fn referring(
    schema: &Schema,
    table: &Table,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    let mut names = vec![&table.name];
    names.extend(&table.parents);
    for name in names {
        for (child, key) in schema.referring(name) {
            if let Some(why) = why_broken(child, key, schema) {
                findings.push(Finding::warning(
                    "broken_reference",
                    &child.name,
                    format!(
                        "its key ({}) refers to nothing, and is not followed: {why}",
                        key.columns.join(", ")
                    ),
                    "mend or drop the key",
                ));
            } else if !is_clone(schema, child, key) {
                found.push((child.clone(), key.columns.clone(), key.parent_columns.clone()));
            }
        }
    }
    if let (Some(tree), Some(key)) = (&options.tree, &table.key)
        && schema.find(&options.table)?.name == table.name
        && !found
            .iter()
            .any(|(child, columns, _)| child.name == table.name && *columns == [tree.parent.clone()])
    {
        found.push((table.clone(), vec![tree.parent.clone()], key.columns.clone()));
    }
    for declared in &options.references {
        let meant = declared.parent.as_ref().unwrap_or(&options.table);
        if schema.find(meant)?.name != table.name {
            continue;
        }
        let (child, columns, parents) = undeclared(schema, table, declared)?;
        if !found.iter().any(|(other, known, _)| other.name == child.name && *known == columns) {
            found.push((child, columns, parents));
        }
    }
    Ok(found)
}

/// A clone on a partition repeats what its partitioned table declares.
fn is_clone(schema: &Schema, child: &Table, key: &ForeignKey) -> bool {
    child.parents.iter().filter_map(|name| schema.table(name)).any(|parent| {
        parent.references.iter().any(|other| other.columns == key.columns && other.parent == key.parent)
    })
}

fn undeclared(schema: &Schema, table: &Table, declared: &Declared) -> Result<Found> {
    let child = schema.find(&declared.table)?;
    for column in &declared.columns {
        child.expect_column(column)?;
    }
    let parents = match (&declared.parent_columns, &table.key) {
        (columns, _) if !columns.is_empty() => columns.clone(),
        (_, Some(key)) => key.columns.clone(),
        (_, None) => Vec::new(),
    };
    if declared.columns.is_empty() || parents.len() != declared.columns.len() {
        return Err(Error::usage(format!(
            "the reference of `{}` does not say which of its columns refer to which of `{}`",
            declared.table, table.name
        ))
        .help("say `columns = [\"…\"]` and, where it is not the key, `parent_columns = [\"…\"]`"));
    }
    Ok((child.clone(), declared.columns.clone(), parents))
}

#[expect(clippy::too_many_arguments, reason = "the way down through the references")]
fn reference(
    schema: &Schema,
    table: &Table,
    child: &Table,
    columns: Vec<String>,
    to: Vec<usize>,
    options: &Options,
    path: &mut Vec<Table>,
    findings: &mut Vec<Finding>,
) -> Result<Reference> {
    let own = child.name == table.name;
    let told = |finding: &Finding| finding.code == "no_key" && finding.object == child.name.to_string();
    if child.key.is_none() && !findings.iter().any(told) {
        findings.push(Finding::forbid(
            "no_key",
            &child.name,
            "its rows cannot be told apart, so pointing them to another row could not be undone",
            // SQLite lets the columns of a primary key be NULL, and then it tells no rows apart.
            match child.uniques.is_empty() {
                true => "give the table a primary key",
                false => "give the table a primary key whose columns are NOT NULL",
            },
        ));
    }
    for index in child.indexes.iter().filter(|index| index.unique && is_unforeseen(index, &columns)) {
        findings.push(Finding::warning(
            "unforeseen_key",
            &child.name,
            format!(
                "the unique index `{}` has an expression: whether rows get in each other's way is not known",
                index.name
            ),
            "where they do, nothing is changed and the error names the index",
        ));
    }
    let indexed = is_indexed(child, &columns);
    if !indexed {
        findings.push(Finding::warning(
            "missing_index",
            &child.name,
            format!("no index begins with ({}): the whole table is read for every batch", columns.join(", ")),
            create_index(child, &columns.iter().map(String::as_str).collect::<Vec<_>>()),
        ));
    }
    // Rows of the tree itself that would be in each other's way are the same by the tree's own rule.
    let clashes = if own || child.key.is_none() { Vec::new() } else { clashes(child, &columns, options)? };
    let folds = |clash: &Clash| clash.policy == Policy::Fold || clash.if_same == Policy::Fold;
    let deeper = clashes.iter().any(folds);
    let node = if deeper && path.iter().any(|above| above.name == child.name) {
        findings.push(Finding::forbid(
            "cycle",
            &child.name,
            format!("rows of `{}` would be folded, and `{}` hangs on it in turn", child.name, table.name),
            "say `rename` or `keep` for it in `on_clash`",
        ));
        bare(schema, child)
    } else if deeper && child.key.is_some() {
        node(schema, child, options, path, findings)?
    } else {
        bare(schema, child)
    };
    Ok(Reference { node, columns, to, own, indexed, clashes })
}

/// A unique key whose clashes cannot be found out beforehand.
fn is_unforeseen(index: &targets::db::Index, columns: &[String]) -> bool {
    index.columns.iter().flatten().any(|column| columns.contains(column))
        && (index.columns.iter().any(Option::is_none) || (index.partial && index.only.is_none()))
}

/// Whether an index leads to the rows by these columns.
fn is_indexed(table: &Table, columns: &[String]) -> bool {
    let begins = |index: &targets::db::Index| {
        index.columns.len() >= columns.len()
            && index.columns[..columns.len()]
                .iter()
                .all(|column| column.as_ref().is_some_and(|column| columns.contains(column)))
    };
    table.indexes.iter().any(|index| index.valid && !index.partial && begins(index))
        || table.key.as_ref().is_some_and(|key| key.columns.starts_with(columns))
}

fn clashes(child: &Table, columns: &[String], options: &Options) -> Result<Vec<Clash>> {
    let mut rules: Vec<&OnClash> = Vec::new();
    for rule in &options.on_clash {
        if child.name.to_string() == rule.table || child.name.name == rule.table {
            rules.push(rule);
        }
    }
    let mut clashes: Vec<Clash> = Vec::new();
    let whole = child.uniques.iter().map(|unique| (unique.columns.clone(), None));
    for (unique, only) in whole.chain(partial_uniques(child)) {
        let through: Vec<usize> = (0..columns.len()).filter(|n| unique.contains(&columns[*n])).collect();
        let beside: Vec<String> = unique.iter().filter(|column| !columns.contains(column)).cloned().collect();
        let known = clashes.iter().any(|other| {
            other.through == through
                && same_set(&other.beside, &beside)
                && (other.only.is_none() || other.only == only)
        });
        if through.is_empty() || known {
            continue;
        }
        let rule = rules
            .iter()
            .find(|rule| same_set(&rule.columns, &beside))
            .or_else(|| rules.iter().find(|rule| rule.columns.is_empty()));
        clashes.push(match rule {
            Some(rule) => Clash { only, ..clash(child, rule, through, beside, true)? },
            None => Clash {
                policy: if is_link(child, &unique) { Policy::Fold } else { Policy::Refuse },
                if_same: Policy::Keep,
                through,
                beside,
                only,
                same: Vec::new(),
                rename: None,
                longest: None,
                fields: Vec::new(),
            },
        });
    }
    for rule in rules.iter().filter(|rule| !rule.columns.is_empty()) {
        if !clashes.iter().any(|clash| same_set(&clash.beside, &rule.columns)) {
            clashes.push(clash(child, rule, (0..columns.len()).collect(), rule.columns.clone(), false)?);
        }
    }
    Ok(clashes)
}

/// Unique keys that are about some rows only, with a query for the keys of these.
fn partial_uniques(child: &Table) -> impl Iterator<Item = (Vec<String>, Option<Sql>)> + '_ {
    let key = child.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
    child.indexes.iter().filter(|index| index.unique && index.valid && !key.is_empty()).filter_map(
        move |index| {
            let columns: Vec<String> = index.columns.iter().cloned().collect::<Option<_>>()?;
            let only = Sql::new("select ")
                .names("", key.iter().map(String::as_str))
                .text(" from ")
                .table(&child.name)
                .text(" where (")
                .add(&Sql::raw(index.only.as_deref()?))
                .text("\n)");
            Some((columns, Some(only)))
        },
    )
}

fn clash(
    child: &Table,
    rule: &OnClash,
    through: Vec<usize>,
    beside: Vec<String>,
    is_unique: bool,
) -> Result<Clash> {
    for column in beside.iter().chain(&rule.same).chain(rule.fields.keys()).chain(&rule.rename) {
        child.expect_column(column)?;
    }
    if rule.fields.values().any(|field| *field == FieldRule::Newest) {
        return Err(Error::usage("`newest` is not known in `on_clash`")
            .help("use `first_non_empty`, `sum`, `min`, `max` or `longest`"));
    }
    let if_same = rule.if_same.unwrap_or(Policy::Keep);
    // What a unique key forbids cannot be kept.
    let renames = rule.rename.as_ref().is_some_and(|name| beside.contains(name));
    let kept = |policy: Policy| match policy {
        // Another name helps only where the key is about names.
        Policy::Rename if is_unique && !renames => Policy::Refuse,
        Policy::Keep if is_unique && renames => Policy::Rename,
        Policy::Keep if is_unique => Policy::Refuse,
        policy => policy,
    };
    let longest = rule.rename.as_ref().and_then(|name| child.column(name)).and_then(|column| {
        let digits: String = column.declared.chars().filter(char::is_ascii_digit).collect();
        (column.family == Family::Text || column.family == Family::Any).then(|| digits.parse().ok())?
    });
    Ok(Clash {
        through,
        beside,
        same: rule.same.clone(),
        only: None,
        policy: kept(rule.policy),
        if_same: kept(if_same),
        rename: rule.rename.clone(),
        longest,
        fields: fields_of(&rule.fields),
    })
}

/// The fields in a fixed order.
pub fn fields_of(fields: &std::collections::BTreeMap<String, FieldRule>) -> Vec<Field> {
    fields.iter().map(|(column, rule)| Field { column: column.clone(), rule: *rule }).collect()
}

/// Rows that hold nothing but what the unique key says are lost by nobody.
fn is_link(table: &Table, unique: &[String]) -> bool {
    let key = table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
    table.stored().all(|column| unique.contains(&column.name) || key.contains(&column.name))
}

fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|column| b.contains(column))
}
