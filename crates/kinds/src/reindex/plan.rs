//! Which indexes are built anew, and what is removed before.

use super::options::Options;
use crate::upkeep::{self, Figures, Object, Task, bytes_said};
use engine::{Error, FailedScope, Finding, Planned, Planning, Result, Step};
use targets::db::{Chore, Facts, IndexUpkeep, Upkeep};

/// Bytes of an index that are built in a second on a usual machine.
const USUAL: f64 = 25e6;

pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let upkeep = facts.upkeep(None)?;
    let failed = engine::failed_scopes(facts, &planning.request.name)?;
    let mut findings = Vec::new();
    let mut steps: Vec<(f64, u64, Step)> = Vec::new();
    let named = named(options, &upkeep, facts)?;
    for index in &upkeep.indexes {
        // Long values lie in a schema that only some may enter; their indexes are nobody else's concern.
        if !index.may && index.name.schema.as_deref() == Some("pg_toast") {
            continue;
        }
        let asked = options.all || named.contains(&index);
        if let Some(by) = &index.left_by {
            // Where its index is built anew anyway, that step removes it.
            findings.push(Finding::note(
                "leftover",
                &index.name,
                format!("a rebuild of `{by}` that failed left it behind"),
                match options.leftovers {
                    true => "it is removed".to_owned(),
                    false => format!("`drop index concurrently {}`", index.name.quoted()),
                },
            ));
            continue;
        }
        let left = upkeep.indexes.iter().any(|other| other.left_by.as_ref() == Some(&index.name));
        let need = need(options, index);
        let (score, why) = match (need, asked) {
            (Some(need), _) => need,
            (None, true) => (0.0, "asked for".to_owned()),
            (None, false) if left && options.leftovers => {
                steps.extend(tidy(index, facts)?.map(|step| (f64::MAX, 0, step)));
                continue;
            }
            (None, false) => continue,
        };
        let by_name = options.indexes.iter().any(|name| is(name, index));
        if let Some(reason) = reason_against(options, index, &failed, by_name) {
            findings.push(Finding { object: index.name.to_string(), ..reason });
            continue;
        }
        let chore = Chore::Reindex { index: index.name.clone(), concurrently: options.concurrently };
        let statements = facts.dialect().spell(&chore).statement.into_iter().collect();
        let task = Task {
            object: Object::Index { name: index.name.clone(), table: index.table.clone() },
            chores: vec![chore],
            before: Figures { dead: None, bytes: (index.node != 0).then_some(index.bytes) },
            why,
            failed: failed.iter().any(|failed| failed.scope == index.name.to_string()),
        };
        let about = vec![
            ("table".to_owned(), index.table.to_string()),
            (
                "size".to_owned(),
                if index.node == 0 { "not known".to_owned() } else { bytes_said(index.bytes) },
            ),
        ];
        steps.push((score, index.bytes, task.step("reindex", about, statements)?));
    }
    steps.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let bytes: u64 = steps.iter().map(|(_, bytes, _)| bytes).sum();
    findings.extend(room(&steps, options, facts)?);
    Ok(Planned {
        expected_seconds: (bytes > 0).then(|| upkeep::expected(bytes, USUAL, planning.earlier)),
        steps: steps.into_iter().map(|(_, _, step)| step).collect(),
        findings,
        outside: true,
        ..Planned::default()
    })
}

/// How badly an index needs it, and why.
fn need(options: &Options, index: &IndexUpkeep) -> Option<(f64, String)> {
    if !index.valid {
        return Some((1e9, "queries may not use it: it is not valid".to_owned()));
    }
    let share = index.bloat_percent.filter(|share| *share > options.if_bloat_over)?;
    let large = index.bytes >= options.at_least_mb << 20;
    large.then(|| {
        let wasted = index.bytes as f64 * share / 100.0;
        (wasted, format!("about {share:.0} % of it would be gone, the limit is {} %", options.if_bloat_over))
    })
}

/// Why it is not touched although it is needed or asked for.
fn reason_against(
    options: &Options,
    index: &IndexUpkeep,
    failed: &[FailedScope],
    by_name: bool,
) -> Option<Finding> {
    let quoted = index.name.quoted();
    if let Some(busy) = index.busy.as_ref().filter(|busy| busy.builds) {
        return Some(Finding::note(
            "busy",
            &index.name,
            format!("process {} works on its table ({})", busy.pid, busy.work),
            "it is left alone; run again when that is over",
        ));
    }
    if !index.may {
        return Some(Finding::warning(
            "permission",
            &index.name,
            "this user may not build it anew: it is left out",
            format!("run it as the owner of {}", index.table.quoted()),
        ));
    }
    if index.exclusion && options.concurrently {
        return Some(Finding::warning(
            "exclusion",
            &index.name,
            "the index of an exclusion constraint cannot be built beside those who write",
            format!(
                "in a quiet hour: `reindex index {quoted}`, or this operation with `concurrently = false`"
            ),
        ));
    }
    let known = failed.iter().find(|failed| failed.scope == index.name.to_string())?;
    (known.failures >= options.give_up_after && !by_name).then(|| {
        Finding::warning(
            "given_up",
            &index.name,
            format!("left alone after {} failures in a row, the last: {}", known.failures, known.error),
            format!("when that is mended: `sexton reindex --indexes {}`", index.name.name),
        )
    })
}

/// Only what was left behind is removed.
fn tidy(index: &IndexUpkeep, facts: &dyn Facts) -> Result<Option<Step>> {
    if !index.may {
        return Ok(None);
    }
    let shown = Chore::DropIndex { index: index.name.clone() };
    if facts.dialect().spell(&shown).statement.is_none() {
        return Ok(None);
    }
    let task = Task {
        object: Object::Index { name: index.name.clone(), table: index.table.clone() },
        chores: Vec::new(),
        before: Figures::default(),
        why: "a rebuild that failed left an index behind".to_owned(),
        failed: false,
    };
    task.step("tidy", vec![("table".to_owned(), index.table.to_string())], Vec::new()).map(Some)
}

/// The indexes that were named, by themselves or by their table.
fn named<'a>(options: &Options, upkeep: &'a Upkeep, facts: &mut dyn Facts) -> Result<Vec<&'a IndexUpkeep>> {
    let mut all: Vec<&IndexUpkeep> = Vec::new();
    for name in &options.indexes {
        let found: Vec<&IndexUpkeep> = upkeep.indexes.iter().filter(|index| is(name, index)).collect();
        if found.is_empty() {
            let some: Vec<String> =
                upkeep.indexes.iter().take(5).map(|index| index.name.name.clone()).collect();
            return Err(Error::usage(format!("there is no index `{name}`")).help(format!(
                "an index that is made of parts is named by its parts; some there are: {}",
                some.join(", ")
            )));
        }
        all.extend(found);
    }
    if !options.tables.is_empty() {
        let schema = facts.schema()?;
        for name in &options.tables {
            let leaves = schema.leaves(schema.find(name)?);
            all.extend(
                upkeep.indexes.iter().filter(|index| leaves.iter().any(|leaf| leaf.name == index.table)),
            );
        }
    }
    Ok(all)
}

fn is(name: &str, index: &IndexUpkeep) -> bool {
    index.name.name == name || index.name.to_string() == name || index.name.quoted() == name
}

/// An index that is built beside the old one is there twice for a while, and is sorted on disk.
fn room(steps: &[(f64, u64, Step)], options: &Options, facts: &mut dyn Facts) -> Result<Option<Finding>> {
    let largest = steps.iter().map(|(_, bytes, _)| *bytes).max().unwrap_or(0);
    let needed = if options.concurrently { 2 * largest } else { largest };
    let free = facts.pulse()?.free_disk_bytes;
    Ok(free.filter(|free| *free < needed).map(|free| {
        Finding::refuse(
            "disk",
            "reindex",
            format!(
                "the largest index needs {} for a while, and {} are free",
                bytes_said(needed),
                bytes_said(free)
            ),
            "free space on the database's disk, or leave out the largest index",
        )
    }))
}
