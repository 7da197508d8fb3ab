//! Which tables are made smaller, by which cure, and what stands in the way.

use super::options::{Options, Triggers};
use super::table::{can_be_cut, lasting};
use super::task::{Cure, Moving, Task, vacuum};
use crate::upkeep::{self, Figures, Object, bytes_said};
use engine::{Finding, Planned, Planning, Result, Step, Undo};
use targets::db::{
    Bloat, Chore, Compaction, Facts, IndexUpkeep, Measuring, Part, Shift, Table, TableKind, TableName,
    TableUpkeep, Upkeep,
};

/// Bytes of a table that are made smaller in a second on a usual machine.
const USUAL: f64 = 15e6;
/// Indexes smaller than this are left alone.
const SMALL_INDEX: u64 = 1 << 20;

pub fn plan(
    options: &Options,
    upkeep: &Upkeep,
    facts: &mut dyn Facts,
    planning: &Planning,
) -> Result<Planned> {
    let failed = engine::failed_scopes(facts, &planning.request.name)?;
    let chosen = chosen(options, facts)?;
    let asked = !options.tables.is_empty();
    let wanted = Measuring {
        tables: if asked { chosen.iter().map(|table| table.name.clone()).collect() } else { Vec::new() },
        least_bytes: if asked { 0 } else { options.at_least_mb << 20 },
        indexes: false,
        ..Measuring::default()
    };
    let bloat = facts.bloat(&wanted)?;
    let mut findings = Vec::new();
    let mut parts: Vec<(u64, u64, Vec<Step>)> = Vec::new();
    for table in &chosen {
        let Some(known) = upkeep.tables.iter().find(|known| known.name == table.name) else { continue };
        let own = |part: Part| bloat.iter().find(|one| one.part == part && one.table == table.name);
        let Some(rows) = own(Part::Rows) else { continue };
        let Some(wasted) = rows.wasted_bytes else {
            findings.extend(
                rows.lacks
                    .as_ref()
                    .filter(|_| asked)
                    .map(|(why, help)| Finding::warning("unmeasured", &table.name, why, help)),
            );
            continue;
        };
        let share = rows.wasted_percent().unwrap_or(0.0);
        let little = share <= options.if_bloat_over || wasted < options.at_least_mb << 20;
        if little && !asked {
            // What is free in a table is where its next rows go.
            continue;
        }
        let Some(now) = facts.compaction(&table.name)? else { continue };
        let gain = wasted / now.page_size.max(1);
        if !can_be_cut(gain, now.pages) {
            findings.push(Finding::note(
                "reusable",
                &table.name,
                format!(
                    "{} of {} are free ({share:.0} %): new rows will use that, and it is not worth more",
                    bytes_said(wasted),
                    bytes_said(rows.bytes)
                ),
                "nothing is to be done",
            ));
            continue;
        }
        let obstacles = obstacles(options, table, known, &now, upkeep);
        let blocked = obstacles.iter().any(|finding| finding.code != "sent");
        findings.extend(obstacles);
        if blocked {
            continue;
        }
        findings.extend(large(&bloat, table, options));
        let is_failed = |name: &TableName| failed.iter().any(|failed| failed.scope == name.to_string());
        let step = step(options, rows, known, &now, is_failed(&table.name), facts)?;
        let mut steps = vec![step];
        if options.reindex {
            for index in upkeep.indexes.iter().filter(|index| index.table == table.name) {
                steps.extend(index_step(options, index, is_failed(&index.name), facts)?);
            }
        }
        parts.push((wasted, known.bytes, steps));
    }
    // What gives the most comes first.
    parts.sort_by_key(|(wasted, ..)| std::cmp::Reverse(*wasted));
    if !parts.is_empty() {
        findings.extend(upkeep::pinned(&upkeep.pins));
    }
    let bytes: u64 = parts.iter().map(|(_, bytes, _)| bytes).sum();
    Ok(Planned {
        expected_seconds: (bytes > 0).then(|| upkeep::expected(bytes, USUAL, planning.earlier)),
        steps: parts.into_iter().flat_map(|(.., steps)| steps).collect(),
        findings,
        undo: Some(Undo::NotNeeded),
        outside: true,
        ..Planned::default()
    })
}

/// The tables that hold rows: those that were named, or all.
fn chosen(options: &Options, facts: &mut dyn Facts) -> Result<Vec<Table>> {
    let schema = facts.schema()?;
    let mut all: Vec<Table> = Vec::new();
    if options.tables.is_empty() {
        all.extend(schema.tables.iter().filter(|table| table.kind == TableKind::Ordinary).cloned());
        return Ok(all);
    }
    for name in &options.tables {
        for leaf in schema.leaves(schema.find(name)?) {
            if leaf.kind == TableKind::Ordinary && !all.iter().any(|known| known.name == leaf.name) {
                all.push(leaf.clone());
            }
        }
    }
    Ok(all)
}

fn step(
    options: &Options,
    rows: &Bloat,
    known: &TableUpkeep,
    now: &Compaction,
    failed: bool,
    facts: &mut dyn Facts,
) -> Result<Step> {
    let wasted = rows.wasted_bytes.unwrap_or(0);
    let share = rows.wasted_percent().unwrap_or(0.0);
    let fresh = (rows.bytes - wasted).div_ceil(now.page_size.max(1));
    let empty = now.empty_pages * now.page_size;
    // Whether cutting off is enough to get below the limit again.
    let left = 100.0 * (1.0 - fresh as f64 / now.pages.saturating_sub(now.empty_pages).max(1) as f64);
    let enough = can_be_cut(now.empty_pages, now.pages)
        && (left <= options.if_bloat_over
            || !can_be_cut(now.pages - now.empty_pages - fresh.min(now.pages - now.empty_pages), now.pages));
    let cure = if enough { Cure::CutOff } else { Cure::Move };
    let gain = if enough { empty } else { wasted };
    let live = rows.live_rows.unwrap_or(0);
    let moving = live as f64 * (1.0 - fresh as f64 / now.pages.saturating_sub(now.empty_pages).max(1) as f64);
    let moved = if enough { 0 } else { moving.max(0.0) as u64 };
    let per_row = (rows.bytes - wasted) as f64 / live.max(1) as f64;
    let why = match cure {
        Cure::CutOff => format!("{} at the end are empty: a vacuum cuts them off", bytes_said(empty)),
        Cure::Move => format!("{share:.0} % of it is free ({}), and rows lie at its end", bytes_said(wasted)),
    };
    let mut about = vec![
        ("size".to_owned(), format!("{}, indexes {}", bytes_said(rows.bytes), bytes_said(known.index_bytes))),
        ("cure".to_owned(), match cure {
            Cure::CutOff => "vacuum, nobody waits for longer than a moment".to_owned(),
            Cure::Move => "rows move from the end into free space in short transactions, beside those who read and write".to_owned(),
        }),
        ("gain".to_owned(), format!("about {}", bytes_said(gain))),
        ("extra disk".to_owned(), match cure {
            Cure::CutOff => "none".to_owned(),
            Cure::Move => format!("none for the table; about {} of write-ahead log pass through", bytes_said((2.5 * moved as f64 * per_row) as u64)),
        }),
        ("undo".to_owned(), "nothing to undo: no value changes".to_owned()),
    ];
    if cure == Cure::Move {
        about.extend(alternatives(rows, known, now));
    }
    let column = now.column.clone().unwrap_or_default();
    let mut statements: Vec<String> =
        facts.dialect().spell(&vacuum(&known.name, false)).statement.into_iter().collect();
    if cure == Cure::Move {
        let shift =
            Shift { column: &column, from: now.pages.saturating_sub(1), to: now.pages, skip_locked: false };
        let silently = facts.dialect().silence().filter(|_| silent(options, now)).map(|sql| sql.shown());
        statements.extend(silently);
        statements.extend(facts.dialect().shift(&known.name, &shift).map(|sql| sql.shown()));
        statements.extend(facts.dialect().spell(&vacuum(&known.name, true)).statement);
    }
    let task = Task {
        upkeep: upkeep::Task {
            object: Object::Table { name: known.name.clone() },
            chores: vec![vacuum(&known.name, cure == Cure::Move)],
            before: Figures { dead: None, bytes: Some(known.bytes) },
            why,
            failed,
        },
        moving: Some(Moving { cure, column, silently: silent(options, now), pages: now.pages }),
    };
    let action = match cure {
        Cure::CutOff => "cut_off",
        Cure::Move => "compact",
    };
    let step = task.upkeep.step(action, about, statements)?;
    let task = serde_json::to_value(&task)
        .map_err(|error| engine::Error::system("a step cannot be written down").because(error))?;
    Ok(Step { task, matched: moved, ..step })
}

/// Whether triggers have to be kept from firing.
fn silent(options: &Options, now: &Compaction) -> bool {
    options.triggers == Triggers::Silence && !now.fires.is_empty()
}

/// What else would do it, and what it costs.
fn alternatives(rows: &Bloat, known: &TableUpkeep, now: &Compaction) -> Vec<(String, String)> {
    let fresh = rows.bytes - rows.wasted_bytes.unwrap_or(0) + known.index_bytes;
    let mut all = Vec::new();
    if now.rewrites_beside {
        let statement = format!("repack (concurrently) {}", known.name.quoted());
        all.push((
            "or".to_owned(),
            format!("`{statement}`: quicker, needs {} more disk meanwhile", bytes_said(fresh)),
        ));
    }
    if let Some(version) = &now.repack {
        all.push((
            "or".to_owned(),
            format!(
                "`pg_repack --table={}` (extension {version}): quicker, needs {} more disk meanwhile and keeps everybody out at its begin and end",
                known.name,
                bytes_said(fresh)
            ),
        ));
    }
    all
}

/// What stands in the way, each with its remedy. Only `sent` is no more than a warning.
fn obstacles(
    options: &Options,
    table: &Table,
    known: &TableUpkeep,
    now: &Compaction,
    upkeep: &Upkeep,
) -> Vec<Finding> {
    let (name, quoted) = (&table.name, table.name.quoted());
    let left_out = |code: &str, what: String, remedy: String| Finding::warning(code, name, what, remedy);
    let mut all = Vec::new();
    if let Some(method) = &now.unusual {
        all.push(left_out(
            "method",
            format!("its rows are kept by `{method}`, which knows no places to move them to: it is left out"),
            "that method has its own way to give space back".to_owned(),
        ));
    }
    if !known.may || !now.may_update {
        all.push(left_out(
            "permission",
            "this user may not vacuum it and change its rows, so it may not move them either: it is left out"
                .to_owned(),
            format!("run it as the owner of {quoted}"),
        ));
    } else if now.column.is_none() {
        all.push(left_out(
            "column",
            "none of its columns can be given the value that it has: it is left out".to_owned(),
            format!("in a quiet hour: `vacuum (full) {quoted}`"),
        ));
    }
    if now.hidden {
        all.push(left_out(
            "row_security",
            "row security hides rows of it from this user, and those would stay: it is left out".to_owned(),
            "run it as its owner, or as a role with bypassrls".to_owned(),
        ));
    }
    if let Some(busy) = known.busy.as_ref() {
        all.push(left_out(
            "busy",
            format!("process {} works on it ({}): it is left out", busy.pid, busy.work),
            "run again when that is over".to_owned(),
        ));
    }
    if !now.sent_to.is_empty() && !now.identified {
        all.push(left_out(
            "identity",
            format!("it is published ({}) without an identity for its rows, so the database refuses changes of them: it is left out", now.sent_to.join(", ")),
            format!("give it a primary key, or `alter table {quoted} replica identity full`"),
        ));
    }
    if let Some(constraint) = now.unproved.first() {
        all.push(left_out(
            "unproved",
            format!("constraint `{constraint}` was never proved, and a row that breaks it cannot be written again: it is left out"),
            format!("`alter table {quoted} validate constraint {}`", targets::db::quote(constraint)),
        ));
    }
    if let Some(pin) = lasting(&upkeep.pins) {
        all.push(left_out(
            "pinned",
            format!("{} `{}` may still look at everything that would move, so that nothing could be cut off: it is left out", pin.kind.said(), pin.name),
            format!("when nobody needs it any more: `{}`", pin.release),
        ));
    }
    all.extend(firing(options, table, now));
    if all.is_empty() && !now.sent_to.is_empty() {
        all.push(left_out(
            "sent",
            format!("every row that moves is sent to the subscribers of {}", now.sent_to.join(", ")),
            "look whether they keep up: the run pauses while they lag (`max_replica_lag`)".to_owned(),
        ));
    }
    all
}

/// Triggers and rules would do something although nothing changes.
fn firing(options: &Options, table: &Table, now: &Compaction) -> Option<Finding> {
    let finding = |what: String, remedy: &str| Some(Finding::warning("trigger", &table.name, what, remedy));
    if now.fires.is_empty() {
        return None;
    }
    let listed = now.fires.join(", ");
    match options.triggers {
        Triggers::Refuse => finding(
            format!(
                "{listed} would fire for every row that moves, although no value changes: it is left out"
            ),
            "keep them from firing with `triggers = \"silence\"`",
        ),
        Triggers::Silence if !now.may_silence => finding(
            format!(
                "{listed} would fire for every row that moves, and this user may not silence them: it is left out"
            ),
            "PostgreSQL 15 and newer: `grant set on parameter session_replication_role to` this user; before: a superuser",
        ),
        Triggers::Silence if !now.fires_silenced.is_empty() => finding(
            format!("{} fire also when they are silenced: it is left out", now.fires_silenced.join(", ")),
            "in a quiet hour: `alter table … enable trigger` (without `always` or `replica`), or `vacuum full`",
        ),
        Triggers::Silence => None,
    }
}

/// Large values lie in a table of their own, where nothing moves.
fn large(bloat: &[Bloat], table: &Table, options: &Options) -> Option<Finding> {
    let large = bloat.iter().find(|one| one.part == Part::Large && one.table == table.name)?;
    let wasted = large.wasted_bytes.filter(|wasted| *wasted >= options.at_least_mb << 20)?;
    (large.wasted_percent()? > options.if_bloat_over).then(|| {
        Finding::note(
            "large_values",
            &table.name,
            format!("{} of the table that holds its large values are free as well: only an empty end of it is cut off", bytes_said(wasted)),
            format!("the rest needs a copy: pg_repack, or in a quiet hour `vacuum (full) {}`", table.name.quoted()),
        )
    })
}

/// An index is looked at again when its table is done, and left alone where it is not worth it.
fn index_step(
    options: &Options,
    index: &IndexUpkeep,
    failed: bool,
    facts: &mut dyn Facts,
) -> Result<Option<Step>> {
    let usable = index.valid && index.may && !index.exclusion && index.left_by.is_none();
    if !usable || index.method != "btree" || index.bytes < SMALL_INDEX {
        return Ok(None);
    }
    let chore = Chore::Reindex { index: index.name.clone(), concurrently: true };
    let statements = facts.dialect().spell(&chore).statement.into_iter().collect();
    let task = upkeep::Task {
        object: Object::Index { name: index.name.clone(), table: index.table.clone() },
        chores: vec![chore],
        before: Figures { dead: None, bytes: Some(index.bytes) },
        why: format!("where more than {} % of it is wasted after that", options.if_index_bloat_over),
        failed,
    };
    task.step("reindex", vec![("size".to_owned(), bytes_said(index.bytes))], statements).map(Some)
}
