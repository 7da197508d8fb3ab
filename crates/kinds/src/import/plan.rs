//! What an import would do, and every reason against it, before anything changes.

use super::options::{Options, Way};
use super::rows::row_of;
use super::{MANIFEST, TableReader, Task};
use crate::export::{Exported, Manifest, reread};
use engine::undo::parents_first;
use engine::words::name;
use engine::{Class, Error, Finding, Planned, Planning, Result, Severity, Step, Undo};
use targets::db::{Facts, Generated, Schema, Sql, Table, TableName};
use targets::files::Files;

/// A file and the table that its rows go into.
struct Wanted<'a> {
    table: &'a Table,
    file: String,
    /// What was exported, where there is a manifest.
    exported: Option<&'a Exported>,
}

pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let store = planning.stores.store(&options.store)?;
    let schema = facts.schema()?;
    let mut planned = Planned {
        undo: Some(match options.undo {
            Way::Rows => Undo::Rows { until: planning.kept_until()?, bytes: None },
            Way::None => Undo::Nothing,
        }),
        severity: Some(Severity::Medium),
        ..Planned::default()
    };
    let manifest = match options.files.is_empty() {
        true => Some(manifest(options, store.as_ref())?),
        false => None,
    };
    let wanted = wanted(options, manifest.as_ref(), &schema, &mut planned.findings)?;
    let names: Vec<TableName> = wanted.iter().map(|one| one.table.name.clone()).collect();
    let order = parents_first(&names, &schema);
    circles(&order, &wanted, &mut planned.findings);
    let engine = manifest.as_ref().map(|manifest| manifest.from.engine.as_str());
    let mut bytes = 0;
    for n in order {
        let one = &wanted[n];
        let found = &mut planned.findings;
        let before = found.len();
        table_is_ready(options, one.table, facts, found)?;
        let Some(columns) = columns(one, store.as_ref(), found)? else { continue };
        columns_fit(options, one.table, &columns, found);
        let mut task = Task {
            store: options.store.clone(),
            file: one.file.clone(),
            table: one.table.clone(),
            columns,
            rows: one.exported.map_or(0, |exported| exported.file.rows),
            ours: one.exported.is_some(),
            together: one
                .table
                .references
                .iter()
                .any(|key| key.checks_writes && key.parent == one.table.name),
            digest: one
                .exported
                .filter(|exported| !options.add && is_alike(exported, one.table, engine, facts))
                .map(|exported| exported.digest.clone()),
        };
        let mut counted = false;
        if found.len() == before || found[before..].iter().all(|finding| finding.forcible) {
            match whole(&mut task, one, store.as_ref()) {
                Ok(size) => (bytes, counted) = (bytes + size, true),
                Err(error) if error.class == Class::Data => found.push(Finding::forbid(
                    "broken_file",
                    store.place(&one.file),
                    said(&error),
                    error.help.clone().unwrap_or_else(|| "export the table again".to_owned()),
                )),
                Err(error) => return Err(error),
            }
        }
        planned.steps.push(step(&task, counted, store.as_ref())?);
    }
    if let Some(Undo::Rows { bytes: known, .. }) = &mut planned.undo {
        *known = Some(bytes);
    }
    Ok(planned)
}

fn manifest(options: &Options, store: &dyn Files) -> Result<Manifest> {
    let place = options.place(MANIFEST);
    Manifest::read(store, &place)?.ok_or_else(|| {
        Error::usage(format!("there is no export in `{}`: `{}` is missing", store.label(), store.place(&place)))
            .help("an export that was cut off has none: export again; files of other programs are named by their tables: `--files TABLE=FILE`")
    })
}

/// The files and their tables.
fn wanted<'a>(
    options: &Options,
    manifest: Option<&'a Manifest>,
    schema: &'a Schema,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Wanted<'a>>> {
    let mut all = Vec::new();
    for (table, file) in &options.files {
        all.push(Wanted { table: schema.find(table)?, file: options.place(file), exported: None });
    }
    let Some(manifest) = manifest else { return Ok(all) };
    let known = |name: &String| {
        manifest.tables.iter().find(|one| one.table.to_string() == *name || one.table.name == *name)
    };
    let chosen: Vec<&Exported> = match options.tables.is_empty() {
        true => manifest.tables.iter().collect(),
        false => options
            .tables
            .iter()
            .map(|name| {
                known(name).ok_or_else(|| {
                    let all: Vec<String> = manifest.tables.iter().map(|one| one.table.to_string()).collect();
                    Error::usage(format!("there is no table `{name}` in the export"))
                        .help(format!("there are {}", all.join(", ")))
                })
            })
            .collect::<Result<_>>()?,
    };
    for exported in chosen {
        let found = schema.table(&exported.table).map(Ok).unwrap_or_else(|| {
            let full = schema.find(&exported.table.to_string());
            full.or_else(|_| schema.find(&exported.table.name))
        });
        match found {
            // their names are relative to where the manifest is, wherever that was when they were written
            Ok(table) => {
                let file = exported.file.name.rsplit('/').next().unwrap_or_default();
                all.push(Wanted { table, file: options.place(file), exported: Some(exported) });
            }
            Err(_) => findings.push(Finding::forbid(
                "table_missing",
                &exported.table,
                "there is no such table here",
                "make the tables first, as the application does, or leave it out with `--tables`",
            )),
        }
    }
    Ok(all)
}

/// Tables that refer to each other in a circle, where the database looks at once.
fn circles(order: &[usize], wanted: &[Wanted], findings: &mut Vec<Finding>) {
    for (place, n) in order.iter().enumerate() {
        let later: Vec<&TableName> = order[place + 1..].iter().map(|n| &wanted[*n].table.name).collect();
        let table = wanted[*n].table;
        for key in table.references.iter().filter(|key| key.checks_writes) {
            if later.contains(&&key.parent) {
                findings.push(Finding::forbid(
                    "circle",
                    &table.name,
                    format!(
                        "it refers to `{}` and the other way round, so neither can be filled first",
                        key.parent
                    ),
                    format!("drop the reference `{}` for the time of the import", key.name),
                ));
            }
        }
    }
}

fn table_is_ready(
    options: &Options,
    table: &Table,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let some = Sql::new("select count(*) from (select 1 from ").table(&table.name).text(" limit 1) as t");
    if !options.add && facts.count(&some)? > 0 {
        findings.push(Finding::forbid(
            "table_not_empty",
            &table.name,
            "it has rows already",
            "empty it, leave it out with `--tables`, or add to it with `--add` (`add = true`)",
        ));
    }
    if options.undo == Way::Rows && table.key.is_none() {
        findings.push(Finding::forbid(
            "no_key",
            &table.name,
            "its rows cannot be told apart, so an undo could not take them away again",
            "give it a primary key, or do without: `--undo none` (`undo = \"none\"`)",
        ));
    }
    if table.triggers.iter().any(|trigger| trigger.on_insert && trigger.enabled) {
        findings.push(Finding::warning(
            "triggers",
            &table.name,
            "it has triggers, which will run for every row",
            "switch them off for the time of the import where they would do twice what they did before",
        ));
    }
    if !table.rights.insert {
        findings.push(Finding::forbid(
            "right",
            &table.name,
            "this user may not add rows to it",
            format!("let its owner run `grant insert on {} to …`", table.name.quoted()),
        ));
    }
    Ok(())
}

/// The columns that the file has: as its manifest says, else those of its first row. None where it cannot be looked at.
fn columns(one: &Wanted, store: &dyn Files, findings: &mut Vec<Finding>) -> Result<Option<Vec<String>>> {
    if store.look(&one.file)?.is_none() {
        findings.push(Finding::forbid(
            "file_missing",
            store.place(&one.file),
            format!("the file of `{}` is not there", one.table.name),
            "bring it back, or leave the table out with `--tables`",
        ));
        return Ok(None);
    }
    if let Some(exported) = one.exported {
        return Ok(Some(exported.columns.iter().map(|column| column.name.clone()).collect()));
    }
    match TableReader::open(store, &one.file)?.next_row() {
        Ok(Some((_, object))) => Ok(Some(object.keys().cloned().collect())),
        Ok(None) => Ok(Some(one.table.stored().map(|column| column.name.clone()).collect())),
        Err(error) if error.class == Class::Data => {
            let help = error.help.unwrap_or_default();
            findings.push(Finding::forbid("broken_file", store.place(&one.file), error.what, help));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn columns_fit(options: &Options, table: &Table, columns: &[String], findings: &mut Vec<Finding>) {
    for column in columns {
        let why = match table.column(column) {
            None => "the file has a column that the table has not",
            Some(known) if known.generated != Generated::No => {
                "the file has values for a column that the database computes"
            }
            Some(_) => continue,
        };
        findings.push(Finding::forbid(
            "column_missing",
            format!("{}.{column}", table.name),
            why,
            "bring the table to the state that it was exported in, or take the column out of the file",
        ));
    }
    let key = table.key.as_ref().filter(|_| options.undo == Way::Rows);
    let key = key.map(|key| key.columns.as_slice()).unwrap_or_default();
    for column in table.stored().filter(|column| !columns.contains(&column.name)) {
        let needed = column.not_null && column.default.is_none() && !column.identity;
        if needed || key.contains(&column.name) {
            findings.push(Finding::forbid(
                "value_missing",
                format!("{}.{}", table.name, column.name),
                "the file has no values for a column that needs one",
                "give the column a default, or add it to the file",
            ));
        }
    }
}

/// Reads the file to its end; its bytes. Sets how many rows it has.
fn whole(task: &mut Task, one: &Wanted, store: &dyn Files) -> Result<u64> {
    let mut reader = TableReader::open(store, &task.file)?;
    let about = reader.about().to_owned();
    let mut bad: Option<(u64, String)> = None;
    let read = reread(&mut reader, one.exported.map(|exported| &exported.file), &mut |line, object| {
        row_of(object, task).map(drop).map_err(|why| {
            bad.get_or_insert((line, why));
            Error::data("a row is broken")
        })
    });
    if let Some((line, why)) = bad {
        return Err(reader.wrong(line, &why));
    }
    task.rows = read?;
    if let Some(exported) = one.exported
        && exported.file.rows != task.rows
    {
        return Err(Error::data(format!(
            "{about} has {} rows, its manifest says {}",
            task.rows, exported.file.rows
        ))
        .help("bring the right file back"));
    }
    Ok(reader.sum().0)
}

/// An error with what caused it.
fn said(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{}: {cause}", error.what),
        None => error.what.clone(),
    }
}

/// Whether the rows come out of this table in the form in which they were exported, so that both can be compared.
fn is_alike(exported: &Exported, table: &Table, engine: Option<&str>, facts: &mut dyn Facts) -> bool {
    engine == Some(facts.dialect().name())
        && exported.columns.iter().all(|was| {
            table.column(&was.name).is_some_and(|is| is.declared == was.declared && is.family == was.family)
        })
}

fn step(task: &Task, counted: bool, store: &dyn Files) -> Result<Step> {
    Ok(Step {
        id: task.table.name.to_string(),
        label: task.table.name.to_string(),
        action: "import".to_owned(),
        object: task.table.name.to_string(),
        matched: task.rows,
        exact: counted,
        batches: task.rows.div_ceil(1_000),
        way: match task.together {
            true => "all rows in one transaction, because they refer to each other".to_owned(),
            false => format!("batch by batch from {}", name(&store.place(&task.file))),
        },
        facts: vec![("file".to_owned(), store.place(&task.file))],
        task: serde_json::to_value(task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
        ..Step::default()
    })
}
