//! What an online transfer decides beforehand, and what stands in its way.

use super::super::design::Design;
use super::super::existing::Demands;
use super::super::options::{Action, Options};
use super::super::sequences::Counter;
use super::super::source::{Source, SourceTable};
use super::super::task::Carry;
use super::ask::Source as Asked;
use super::{Numbers, Online, ROWID, capture, entry, switch};
use engine::{Finding, Result};
use std::time::Duration;
use targets::db::{Bounds, Facts, Inspection, Section};

/// All that the steps need to know.
pub fn online(
    options: &Options,
    target: &str,
    source: &Source,
    design: &Design,
    demands: &Demands,
    carries: &[Carry],
    reader: &mut dyn Facts,
) -> Result<Online> {
    let tables: Vec<(usize, &Carry, &SourceTable)> = carries
        .iter()
        .enumerate()
        .filter_map(|(n, carry)| {
            let from = source.tables.iter().find(|one| one.name() == carry.table)?;
            Some((n, carry, from))
        })
        .collect();
    let changes = capture::changes();
    let of_design = |carry: &Carry| design.tables.iter().find(|table| table.name == carry.name);
    let numbers = tables.iter().flat_map(|(_, carry, from)| {
        let columns = of_design(carry).map(|table| table.columns.as_slice()).unwrap_or_default();
        let counts = from.written.as_ref().is_some_and(|written| written.autoincrement);
        columns
            .iter()
            .filter_map(|column| {
                let is_its =
                    |counter: &&Counter| counter.table == carry.name && counter.column == column.name;
                let counter = demands.sequences.iter().map(|(counter, _)| counter).find(is_its);
                (column.identity || counter.is_some()).then(|| Numbers {
                    source: carry.table.clone(),
                    table: carry.name.clone(),
                    column: column.name.clone(),
                    shared: counter.filter(|counter| !counter.is_own).map(|counter| counter.sequence.clone()),
                    counts,
                })
            })
            .collect::<Vec<_>>()
    });
    Ok(Online {
        source: options.source.clone(),
        target: target.to_owned(),
        carries: carries.to_vec(),
        are_new: !options.existing,
        traceless: tables
            .iter()
            .filter(|(_, carry, from)| capture::loses_traces(carry, from))
            .map(|(n, ..)| *n)
            .collect(),
        schema: capture::schema(&mut Asked::Moment(reader))?,
        capture: tables
            .iter()
            .flat_map(|(n, carry, from)| capture::triggers(*n, carry, from, &changes))
            .collect(),
        // also those that are not carried: whoever writes there would not notice that the application is elsewhere
        refuse: (source.tables.iter().enumerate())
            .flat_map(|(n, table)| capture::refusals(n, table.name(), target))
            .collect(),
        restore: demands.restore.clone(),
        numbers: numbers.collect(),
        has_password: false,
        switch: options.switch.clone(),
        limit: options.limit(),
        one_way: options.one_way,
        notes: None,
        go_back_on: options.go_back_on(),
    })
}

/// What stands in its way.
pub fn findings(options: &Options, carries: &[Carry], reader: &mut dyn Facts) -> Result<Vec<Finding>> {
    const QUICKLY: Bounds =
        Bounds { total: Duration::from_secs(1), part: Duration::from_millis(300), most: 1 };
    let name = &options.source;
    let mut found = Vec::new();
    if let Ok(Inspection { file: Section::Known(file), .. }) = reader.inspect(&QUICKLY)
        && file.journal_mode != "wal"
    {
        found.push(Finding::forbid(
            "source_locked",
            name,
            format!("its journal mode is `{}`: while it is copied nobody could write it", file.journal_mode),
            "let it write beside readers: `pragma journal_mode = wal`; or leave out `online` and stop the application",
        ));
    }
    for carry in carries.iter().filter(|carry| carry.key.is_empty()) {
        found.push(Finding::forbid(
            "no_key",
            &carry.table,
            "nothing tells its rows apart, so their changes cannot be followed",
            "give it a primary key, or leave it out with `drop = true` in `map`",
        ));
    }
    let by_number = |carry: &&Carry| carry.columns.iter().any(|column| column.target == ROWID);
    let runs = options.action == Action::Run;
    for carry in carries.iter().filter(by_number).filter(|carry| runs && !options.lets_go(&carry.table)) {
        let table = &carry.table;
        found.push(Finding::forbid(
            "no_way_back",
            table,
            "nothing but a number of SQLite tells its rows apart: once the application writes into the target, what it changes there cannot be carried back",
            format!("give it a primary key, or say that this may be: `--without-way-back {table}` (`without_way_back = [\"{table}\"]`)"),
        ));
    }
    if let Some(there) = entry::read(reader)? {
        let error = capture::under_way(&there);
        found.push(Finding::forbid("under_way", name, error.to_string(), error.help.unwrap_or_default()));
    }
    match &options.switch {
        None => found.push(Finding::note(
            "no_switch",
            name,
            "nothing sends the application to the target: from the cut-over on it cannot write until somebody does",
            "say how: `switch = { file = \".env\", variable = \"DATABASE_URL\" }`, or `switch = { command = […] }`",
        )),
        Some(how) => {
            if let Err(error) = switch::check(how) {
                let help = error.help.clone().unwrap_or_default();
                found.push(Finding::forbid("switch", name, super::super::sum::chain(&error), help));
            }
        }
    }
    Ok(found)
}

/// The column by which rows are told apart that have no key of their own.
pub fn tell_apart(carries: &[Carry]) -> (Vec<String>, Vec<String>) {
    let without = carries.iter().filter(|carry| carry.columns.iter().any(|column| column.target == ROWID));
    let (mut add, mut index) = (Vec::new(), Vec::new());
    for carry in without {
        let (table, column) = (carry.name.quoted(), targets::db::quote(ROWID));
        add.push(format!("alter table {table} drop column if exists {column}, add column {column} bigint"));
        index.push(format!("create unique index on {table} ({column})"));
    }
    (add, index)
}
