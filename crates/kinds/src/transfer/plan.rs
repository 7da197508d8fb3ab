//! From both databases to a plan: what there is, what becomes of it, what stands in the way.

use super::arriving::Asking;
use super::carried::{self, Unfinished};
use super::convert::{Misfit, Rule};
use super::design::{self, NewTable};
use super::existing;
use super::look::{self, Looked, Size};
use super::machines::Machines;
use super::made;
use super::online::entry::{self, State};
use super::online::{Online, ROWID, prepare, rehearse};
use super::options::{Action, ColumnMap, Empty, Options, Policy, Proof, zone};
use super::profile::Profile;
use super::released;
use super::source::{self, Source, SourceTable};
use super::sum::{self, Sum};
use super::task::{Carried, Carry};
use super::{
    ask, compare, demands, extensions, forms, members, refusals, schema_file, seeded, stamps, steps, types,
};
use engine::{Error, Finding, Planned, Planning, Result, Undo};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use targets::db::{Facts, Sql, Table, TableName};

/// The kinds of misfits that a policy may be said for.
pub const KINDS: [Misfit; 13] = [
    Misfit::Unreadable,
    Misfit::Ambiguous,
    Misfit::Empty,
    Misfit::OutOfRange,
    Misfit::TooFine,
    Misfit::TooLong,
    Misfit::ZeroCharacter,
    Misfit::BrokenText,
    Misfit::NoSuchTime,
    Misfit::Null,
    Misfit::Reference,
    Misfit::Check,
    Misfit::Duplicate,
];

/// Makes the plan.
pub fn plan(options: &Options, target: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    if target.dialect().name() != "postgresql" {
        let why = "a transfer goes into PostgreSQL; a SQLite file is copied with `sexton backup`";
        return Ok(Planned { skipped: Some(why.to_owned()), ..Planned::default() });
    }
    let database = planning.stores.database(&options.source)?;
    if database.dialect().name() != "sqlite" {
        return Err(Error::usage(format!("`{}` is no SQLite file", options.source))
            .help("a transfer reads a SQLite file: name one with `source`"));
    }
    if options.action == Action::Rehearse {
        return rehearse::plan(options, target, planning);
    }
    if matches!(options.action, Action::Rollback | Action::Settle) {
        return back(options, database.read()?.as_mut(), target);
    }
    if let (Some(file), Action::Run) = (&options.schema_file, options.action) {
        return schema_file::plan(options, file, target, planning);
    }
    let began = planning.clock.tick();
    let existing = options.existing || options.action == Action::Verify;
    let mut sessions = database.together(if existing { 1 } else { look::AT_ONCE })?;
    let source = source::read(first(&mut sessions)?)?;
    known_names(options, &source)?;
    let machines = Machines::of(planning.stores.programs().ok().filter(|_| options.has_programs()));
    let looked = match existing {
        true => Looked { sizes: counts(&source, first(&mut sessions)?)?, ..Looked::default() },
        false => look::at_all(&source, &mut sessions, planning.looks)?,
    };
    let (mut design, demands, mut findings) = match existing {
        true => existing::design(&source, options, first(&mut sessions)?, target)?,
        false => {
            let mut design = design::design(&source, &looked.profiles, options)?;
            // what it met in documents, and had to know
            while members::ask(&source, &looked.profiles, first(&mut sessions)?)? {
                design = design::design(&source, &looked.profiles, options)?;
            }
            let mut findings = refusals::of_target(target, options, &design)?;
            findings.extend(extensions::of_target(&design, target)?);
            let demands = demands::of_new(options, &source, &design, first(&mut sessions)?)?;
            (design, demands, findings)
        }
    };
    findings.extend(refusals::of_keys(&source, options, first(&mut sessions)?)?);
    if existing && options.action != Action::Verify {
        let (left, told) = refusals::of_others(&source, options);
        design.left.extend(left);
        findings.extend(told);
        findings.extend(refusals::of_encoding(target, options)?);
        findings.extend(refusals::of_owner(target, &design, &demands.release)?);
        findings.extend(seeded::findings(&design, options, target)?);
    }
    let asking = Asking {
        options,
        source: &source,
        looked: &looked,
        design: &design,
        demands: &demands,
        machines: &machines,
        are_there: existing,
        again: options.action == Action::Verify,
        tell: planning.looks,
    };
    let (carries, told) = asking.all(&mut sessions, target)?;
    let looked_for = planning.clock.tick().duration_since(began);
    if options.action == Action::Verify {
        let (sum, planned, findings) =
            verify(options, carries, &machines, first(&mut sessions)?, target, findings)?;
        let took = planning.clock.tick().duration_since(began) - looked_for;
        let phases = [("look", looked_for), ("compare", took)];
        let phases = phases.map(|(name, took)| (name.to_owned(), took.as_secs_f64()));
        let result = Some(sum.told(Some(&planned), &phases));
        return Ok(Planned { findings, result, ..Planned::default() });
    }
    findings.extend(told);
    let sizes = &looked.sizes;
    let reader = first(&mut sessions)?;
    findings.extend(design.left.iter().map(refusals::of_left));
    findings.extend(refusals::of_own(&source, options));
    findings.extend(forms::findings(&source, &design, &looked.profiles));
    findings.extend(stamps::statements(options, &design).1);
    let used = refusals::use_of(reader);
    let online = match options.runs_online() {
        true => {
            findings.extend(refusals::of_collations(&source, options));
            findings.extend(prepare::findings(options, &carries, reader)?);
            let into = &planning.request.database;
            let online = prepare::online(options, into, &source, &design, &demands, &carries, reader)?;
            let url = planning.stores.place(into);
            let has_password = url.is_ok_and(|url| url.expose() != url.to_string());
            Some(Online { has_password, ..online })
        }
        false => {
            findings.extend(used.iter().flat_map(|used| refusals::of_source(used, &options.source)));
            None
        }
    };
    // of an online transfer whatever changes is followed
    let looked_at = if options.runs_online() { None } else { reader.moment()? };
    let steps = match existing {
        true => steps::into_existing(options, &design, &demands, (carries, looked_at), sizes, online)?,
        false => steps::into_new(options, &design, (carries, looked_at), sizes, online)?,
    };
    let mut result = steps::told(options, &design, &steps, sizes);
    result[sum::LOOKED] = json!(looked_for.as_secs_f64());
    result["target_version"] = json!(target.server()?.version);
    result["source_file"] = json!(used);
    let undo = Some(Undo::Nothing);
    Ok(Planned { steps, findings, undo, result: Some(result), outside: true, ..Planned::default() })
}

/// What takes an online transfer back, or ends the time in which it can be.
fn back(options: &Options, source: &mut dyn Facts, target: &mut dyn Facts) -> Result<Planned> {
    let nothing = |why: String| Ok(Planned { skipped: Some(why), ..Planned::default() });
    let Some(own) = entry::read(source)? else {
        if options.action == Action::Rollback
            && let Some(unfinished) = carried::unfinished(Some(&options.source), target)?.into_iter().next()
        {
            return unfinished_back(options, &unfinished, target);
        }
        return nothing(format!(
            "no transfer of `{}` has ended early, and no online transfer is under way or was done",
            options.source
        ));
    };
    let steps = match options.action {
        Action::Settle if own.state == State::Switched => steps::settle(&own)?,
        Action::Settle => {
            return Err(Error::usage(format!("the transfer of `{}` is not over", options.source))
                .help("go on with `sexton resume`, or take it back with `sexton transfer rollback`"));
        }
        _ if own.state == State::Settled => {
            return Err(Error::usage(format!("the way back from `{}` was given up", own.online.target))
                .help("carry what was written there by hand, then send the application back"));
        }
        _ if own.online.one_way && matches!(own.state, State::Switching | State::Switched) => {
            return Err(Error::usage(format!("the transfer to `{}` was `one_way`", own.online.target))
                .help("carry what was written there by hand, then send the application back"));
        }
        _ => steps::back(&own)?,
    };
    let result = json!({ "source": options.source, "tables": [], "left": [], "back": own.run, "action": options.action });
    let undo = Some(Undo::Nothing);
    Ok(Planned { steps, undo, result: Some(result), ..Planned::default() })
}

/// What takes a plain transfer back that ended early: its tables go, or are empty again as they were.
fn unfinished_back(options: &Options, own: &Unfinished, target: &mut dyn Facts) -> Result<Planned> {
    let schema = target.schema()?;
    let ours: Vec<&Table> =
        schema.tables.iter().filter(|table| own.tables.contains(&table.name.quoted())).collect();
    let list: Vec<String> = ours.iter().map(|table| table.name.quoted()).collect();
    let is_ours = |name: &TableName| ours.iter().any(|table| table.name == *name);
    let is_referred = schema
        .tables
        .iter()
        .filter(|table| !is_ours(&table.name))
        .any(|table| table.references.iter().any(|reference| is_ours(&reference.parent)));
    let mut statements = Vec::new();
    if !list.is_empty() {
        match (own.are_new, is_referred) {
            (true, _) => {
                let (views, functions) = made::away(&own.run, target)?;
                statements.extend(views);
                statements.push(format!("drop table if exists {}", list.join(", ")));
                statements.extend(functions);
            }
            (false, false) => statements.push(format!("truncate {}", list.join(", "))),
            // truncate would want the tables that refer to these, too
            (false, true) => {
                statements.extend(children_first(ours).iter().map(|name| format!("delete from {name}")));
            }
        }
        let (away, back) = released::as_they_were(&own.run, target)?;
        statements.extend(away);
        statements.extend(seeded::restore(&own.run, target)?);
        statements.extend(back);
    }
    let mut result = json!({ "source": options.source, "tables": [], "left": [], "back": own.run, "action": options.action });
    result["unfinished"] = json!(list);
    let steps = vec![steps::take_back(own, options.into(), statements)?];
    let undo = Some(Undo::Nothing);
    Ok(Planned { steps, undo, result: Some(result), ..Planned::default() })
}

/// The names of the tables, so that none goes before those that refer to it.
fn children_first(mut tables: Vec<&Table>) -> Vec<String> {
    let mut names = Vec::new();
    while !tables.is_empty() {
        let free = tables.iter().position(|table| {
            !tables.iter().any(|other| {
                other.name != table.name
                    && other.references.iter().any(|reference| reference.parent == table.name)
            })
        });
        names.push(tables.remove(free.unwrap_or(0)).name.quoted());
    }
    names
}

/// The mapping names only tables that are there.
fn known_names(options: &Options, source: &Source) -> Result<()> {
    options.known_ids()?;
    for name in options.map.keys() {
        if !source.tables.iter().any(|table| table.name().eq_ignore_ascii_case(name)) {
            let names: Vec<&str> = source.tables.iter().map(SourceTable::name).collect();
            return Err(Error::usage(format!("the source has no table `{name}`, which `map` names"))
                .help(format!("its tables are {}", names.join(", "))));
        }
    }
    Ok(())
}

/// How many rows there are.
fn counts(source: &Source, reader: &mut dyn Facts) -> Result<HashMap<String, Size>> {
    let mut sizes = HashMap::new();
    for table in &source.tables {
        let rows = reader.count(&Sql::new("select count(*) from ").name(table.name()))?;
        sizes.insert(table.name().to_owned(), Size { rows, bytes: 0 });
    }
    Ok(sizes)
}

/// Compares what arrived before.
fn verify(
    options: &Options,
    carries: Vec<Carry>,
    machines: &Machines,
    reader: &mut dyn Facts,
    target: &mut dyn Facts,
    mut findings: Vec<Finding>,
) -> Result<(Sum, serde_json::Value, Vec<Finding>)> {
    let (mut tables, mut details) = (Vec::new(), Vec::new());
    for carry in carries {
        let compared = match options.verify {
            Proof::Counts => compare::counts(&carry, compare::rows_due(&carry, machines, reader)?, target)?,
            _ => compare::rows(&carry, machines, reader, target)?,
        };
        tables
            .push(json!({ "source": carry.table, "target": carry.name.to_string(), "rows": compared.rows }));
        details
            .push(json!({ "compared": carry.table, "target": carry.name.to_string(), "outcome": compared }));
    }
    let zone = zone(options.zone.as_deref())?;
    for (name, query) in &options.queries {
        details.push(json!({ "asked": name, "answer": ask::source(name, query, &zone, reader)? }));
    }
    let planned = json!({ "source": options.source, "tables": tables, "left": [] });
    let mut sum = Sum::of(&details, Some(&planned));
    sum.ask(options, target)?;
    findings.extend(sum.findings());
    Ok((sum, planned, findings))
}

/// A table on its way, as far as nobody has looked at its rows.
pub fn carry(options: &Options, from: &SourceTable, table: &NewTable) -> Carry {
    let columns = table.columns.iter().map(|column| {
        let own = options.column(from.name(), &column.source);
        let policies: BTreeMap<Misfit, Policy> = KINDS
            .iter()
            .map(|kind| (*kind, options.policy(own, *kind)))
            .filter(|(_, policy)| *policy != Policy::Stop)
            .collect();
        Carried {
            source: column.source.clone(),
            target: column.name.clone(),
            spelled: column.spelled.clone(),
            rule: column.rule.clone(),
            not_null: column.not_null,
            computed: column.generated.is_some(),
            jq: own.and_then(|own| own.jq.clone()),
            values: own.map(values).unwrap_or_default(),
            default: own
                .and_then(|own| own.default.as_ref())
                .map(|value| held(&column.rule, types::text(value))),
            null: own.and_then(|own| own.null).unwrap_or(Empty::Keep),
            empty: own.and_then(|own| own.empty),
            policies,
        }
    });
    let mut columns: Vec<Carried> = columns.collect();
    let place = |name: &String| columns.iter().position(|column| column.target == *name);
    let mut key = table.key.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default();
    if let Some(rowid) = from.by_rowid().filter(|_| key.is_empty() && options.runs_online()) {
        key.push(columns.len());
        columns.push(rowid_column(rowid));
    }
    Carry {
        database: options.source.clone(),
        table: from.name().to_owned(),
        name: table.name.clone(),
        order: match from.by_rowid() {
            Some(rowid) => vec![rowid.to_owned()],
            None => from.primary.clone(),
        },
        by_bytes: from.by_rowid().is_none()
            && from.primary.iter().any(|name| from.own_collation(name).is_some()),
        key,
        columns,
        broken: Vec::new(),
        refused: Vec::new(),
        twice: Vec::new(),
    }
}

/// What a column holds of its default.
fn held(rule: &Rule, text: String) -> String {
    match (rule, text.parse::<f32>()) {
        (Rule::Single, Ok(number)) => f64::from(number).to_string(),
        _ => text,
    }
}

/// What values of a column become others, and which.
pub fn values(own: &ColumnMap) -> BTreeMap<String, Option<String>> {
    let value = |value: &serde_json::Value| (!value.is_null()).then(|| types::text(value));
    own.values.iter().map(|(from, to)| (from.clone(), value(to))).collect()
}

/// The number of a row, carried as a column of its own as long as the transfer lasts.
pub fn rowid_column(rowid: &str) -> Carried {
    Carried {
        source: rowid.to_owned(),
        target: ROWID.to_owned(),
        spelled: "bigint".to_owned(),
        rule: Rule::Whole(i64::MIN, i64::MAX),
        not_null: false,
        computed: false,
        jq: None,
        values: BTreeMap::new(),
        default: None,
        null: Empty::Keep,
        empty: None,
        policies: BTreeMap::new(),
    }
}

/// The first session.
pub fn first(sessions: &mut [Box<dyn Facts>]) -> Result<&mut dyn Facts> {
    let first = sessions.first_mut().ok_or_else(|| Error::system("the source gave no session"))?;
    Ok(first.as_mut())
}

/// Whether what was seen proves that every value fits.
pub fn proven(options: &Options, from: &SourceTable, carry: &Carry, seen: &[Profile]) -> bool {
    let none = Profile::default();
    carry.columns.iter().all(|column| {
        let n = from.table.columns.iter().position(|one| one.name == column.source);
        let profile = n.and_then(|n| seen.get(n)).unwrap_or(&none);
        let as_it_is = options.column(from.name(), &column.source).is_none() && options.zone.is_none();
        let clean = matches!(column.rule, Rule::Bytes) || profile.zeros + profile.broken == 0;
        // a type that the values were looked at for; texts that became another type for a reference were not
        let sure = !matches!(column.rule, Rule::Text(_)) || profile.blobs == 0;
        as_it_is && clean && sure && (!column.not_null || profile.nulls == 0)
    })
}
