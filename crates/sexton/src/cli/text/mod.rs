//! Plans and reports for people.

mod outcome;

pub use outcome::{counts_of, outcome, run};

use super::about_files::{folders_and_files, is_about_files};
use super::console::{Console, Style};
use super::numbers::{bytes, count, day, duration, of, rows};
use super::sizes;
use super::table::Table;
use engine::{Finding, Item, Level, Plan, Step, Undo};

const INDENT: &str = "       ";
/// Nobody waits for less, in seconds.
const FELT: f64 = 2.0;

/// The one line of an operation's plan.
pub fn headline(plan: &Plan, item: &Item) -> String {
    let about = &item.operation;
    let place = format!("{} on {}", about.name, about.database);
    if let Some(reason) = &item.skipped {
        return format!("{place}: skipped, {reason}");
    }
    if let Some(why) = &item.failed {
        return format!("{place}: cannot be planned, {}", why.error);
    }
    if !about.verifies.is_empty() {
        return format!("{place}: looks after {}", about.verifies.join(", "));
    }
    if item.steps.is_empty() && item.findings.iter().any(|finding| finding.level == Level::Refuse) {
        return format!("{place}: nothing can be done");
    }
    if item.steps.is_empty() {
        return match item.result {
            Some(_) => format!("{place}: only looks"),
            None => format!("{place}: nothing to do"),
        };
    }
    if let [Step { action, facts, .. }] = item.steps.as_slice()
        && action == "backup"
    {
        let told = |name: &str| facts.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let expected =
            item.expected_seconds.map(|seconds| format!(", expected to take {}", duration(seconds)));
        return format!(
            "{place}: into {}, kept {}{}",
            told("into"),
            told("kept"),
            expected.unwrap_or_default()
        );
    }
    if about.kind == "migrate" {
        return format!("{place}: {}", migrations(item));
    }
    if about.kind == "transfer" {
        let tables = item.steps.iter().filter(|step| step.action == "load").count() as u64;
        return format!("{place}: {} of {}", rows(item.matched()), of(tables, "table", "tables"));
    }
    if ["export", "import"].contains(&about.kind.as_str()) {
        return format!("{place}: {}", written(item, plan));
    }
    if let Some(chores) = chores(item, plan) {
        return format!("{place}: {chores}");
    }
    let mut parts = vec![counted(item)];
    let exempt: u64 = item.steps.iter().map(|step| step.exempt).sum();
    if exempt > 0 {
        parts.push(format!("{} stay since an undo", count(exempt)));
    }
    if item.matched() > 0 {
        parts.push(format!(
            "about {}",
            of(item.steps.iter().map(|step| step.batches).sum(), "batch", "batches")
        ));
        if !item.steps.iter().all(|step| is_about_files(&step.action)) {
            parts.push(dependants(item));
        }
        parts.extend(kept(&item.undo, plan));
        if let Some(seconds) = item.expected_seconds {
            parts.push(format!("expected to take {}", duration(seconds)));
        }
    }
    format!("{place}: {}", parts.join(", "))
}

/// Rows on their way out to files, or in from them.
fn written(item: &Item, plan: &Plan) -> String {
    let tables: Vec<&Step> =
        item.steps.iter().filter(|step| step.facts.iter().any(|(name, _)| name == "file")).collect();
    let about = if tables.iter().all(|step| step.exact) { "" } else { "about " };
    let place = item.steps.last().map_or("", |step| step.object.as_str());
    let mut parts =
        vec![format!("{about}{} of {}", rows(item.matched()), of(tables.len() as u64, "table", "tables"))];
    if item.operation.kind == "export" {
        parts.push(format!("into {}", place.rsplit_once('/').map_or(place, |(folder, _)| folder)));
    }
    parts.extend(kept(&item.undo, plan));
    parts.join(", ")
}

/// What happens to which migrations.
fn migrations(item: &Item) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (action, verb) in [
        ("revert", "take out"),
        ("apply", "bring in"),
        ("baseline", "mark as in"),
        ("adopt", "take over"),
        ("accept", "accept as changed"),
    ] {
        let ids: Vec<&str> =
            item.steps.iter().filter(|step| step.action == action).map(|step| step.label.as_str()).collect();
        match ids.as_slice() {
            [] => {}
            [one] => parts.push(format!("{verb} {one}")),
            [first, .., last] => {
                parts.push(format!("{verb} {} migrations, {first} to {last}", count(ids.len() as u64)))
            }
        }
    }
    parts.join(", ")
}

/// What a database does for its own upkeep, where that is what the steps are.
fn chores(item: &Item, plan: &Plan) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for step in &item.steps {
        step.task.get("chores")?;
    }
    for (action, verb, one, several) in [
        ("vacuum", "vacuum", "", ""),
        ("vacuum_full", "write anew, keeping everybody out,", "", ""),
        ("give_back", "give free pages back", "", ""),
        ("cut_off", "cut the empty end off", "", ""),
        ("compact", "move the last rows into free space of", "", ""),
        ("reindex", "build anew", "index", "indexes"),
        ("tidy", "remove what rebuilds left of", "index", "indexes"),
        ("drop_index", "drop", "index", "indexes"),
        ("refresh", "fill anew", "view", "views"),
        ("analyze", "analyse", "table", "tables"),
        ("shorten_log", "cut off the write-ahead log", "", ""),
    ] {
        let objects: Vec<&str> =
            item.steps.iter().filter(|step| step.action == action).map(|step| step.object.as_str()).collect();
        match objects.as_slice() {
            [] => {}
            _ if action == "give_back" || action == "shorten_log" => parts.push(verb.to_owned()),
            [object] => parts.push(format!("{verb} {object}")),
            several_of => {
                let (one, several) = if one.is_empty() { ("table", "tables") } else { (one, several) };
                parts.push(format!("{verb} {}", of(several_of.len() as u64, one, several)));
            }
        }
    }
    parts.extend(kept(&item.undo, plan));
    if let Some(seconds) = item.expected_seconds {
        parts.push(format!("expected to take {}", duration(seconds)));
    }
    Some(parts.join(", "))
}

fn counted(item: &Item) -> String {
    let about = if item.steps.iter().all(|step| step.exact) { "" } else { "about " };
    let matched = count(item.matched());
    // Several steps may be about one table.
    let mut tables: Vec<&Step> = Vec::new();
    for step in &item.steps {
        if !tables.iter().any(|known| known.object == step.object) {
            tables.push(step);
        }
    }
    let total: Option<u64> = tables.iter().map(|step| step.total).sum();
    let of_total = match total {
        Some(total) => {
            let about = if tables.iter().all(|step| step.total_exact) { "" } else { "about " };
            format!(" of {about}{}", count(total))
        }
        None => String::new(),
    };
    let files = item.steps.iter().all(|step| is_about_files(&step.action));
    let noun = if item.matched() == 1 && of_total.is_empty() { "row" } else { "rows" };
    let counted = match files {
        true => folders_and_files(item.matched(), item.result.as_ref()),
        false => format!("{about}{matched}{of_total} {noun}"),
    };
    let places = match tables.as_slice() {
        [one] => format!("in {}", one.object),
        [first, ..] if files && tables.iter().all(|step| step.object == first.object) => {
            format!("in {}", first.object)
        }
        several => format!("in {} tables", several.len()),
    };
    format!("{counted} {places}")
}

fn dependants(item: &Item) -> String {
    let rows: u64 = item.steps.iter().flat_map(|step| &step.dependants).map(|hanging| hanging.rows).sum();
    match rows {
        0 => "no dependants".to_owned(),
        rows => of(rows, "dependant", "dependants"),
    }
}

fn kept(undo: &Undo, plan: &Plan) -> Option<String> {
    Some(match undo {
        Undo::Rows { until, bytes: Some(size) } => {
            format!("undo kept until {} ({})", day(*until, plan.now), bytes(*size))
        }
        Undo::Rows { until, bytes: None } => format!("undo kept until {}", day(*until, plan.now)),
        Undo::Archive { store } => format!("undo from the archive in {store}"),
        Undo::Nothing => "cannot be undone".to_owned(),
        Undo::NotNeeded => return None,
    })
}

/// The whole plan: headline, targets, facts, ways, findings; statements when asked for.
pub fn plan(plan: &Plan, console: &Console, detailed: bool) -> String {
    let mut lines = Vec::new();
    for (n, item) in plan.items.iter().enumerate() {
        if n > 0 && detailed {
            lines.push(String::new());
        }
        lines.push(format!("{}   {}", console.paint(Style::Strong, "plan"), headline(plan, item)));
        if detailed && !item.steps.is_empty() {
            if item.operation.kind != "migrate" && chores(item, plan).is_none() {
                lines.extend(targets(item));
            }
            for step in &item.steps {
                // What a migration does is its statements.
                let shows = console.verbose
                    || (plan.request.dry_run && item.operation.kind == "migrate")
                    || chores(item, plan).is_some();
                lines.extend(details(step, item.steps.len() > 1, shows, console));
            }
            lines.push(format!("{INDENT}severity   {}", severity(item)));
            lines.push(format!("{INDENT}expected   {}", expected(item)));
            let backup = if item.operation.backup { "a fresh one is needed first" } else { "none is needed" };
            lines.push(format!("{INDENT}backup     {backup}"));
        }
        for finding in &item.findings {
            // Without details, what refuses is told with the outcome, and so is what an operation that only looks has found; the plan of
            // a transfer that is only asked for has no outcome.
            let is_all = detailed || item.operation.kind == "transfer" && plan.request.dry_run;
            if is_all || (finding.level == Level::Warning && !item.steps.is_empty()) {
                lines.extend(finding_lines(finding, plan.request.force, console));
            }
        }
        // Where nothing is done, the result is all there is to tell; of files the steps tell what is worth it.
        let files = !item.steps.is_empty() && item.steps.iter().all(|step| is_about_files(&step.action));
        // The tables of a transfer are a page of their own.
        let told = item.operation.kind == "transfer";
        let shows = !told && ((detailed && !files) || item.steps.is_empty());
        if let Some(result) = item.result.as_ref().filter(|_| shows) {
            let sizes = sizes::of(result);
            lines.extend(
                sizes.iter().flat_map(|(table, _)| table.iter().map(|line| format!("{INDENT}{line}"))),
            );
            let rest = sizes.as_ref().map_or(result, |(_, rest)| rest);
            let text = serde_json::to_string_pretty(&shortened(rest)).unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("{INDENT}{line}")));
        }
    }
    lines.join("\n")
}

/// A result with the ends of its long lists only: documents have them whole.
fn shortened(result: &serde_json::Value) -> serde_json::Value {
    const MOST: usize = 5;
    use serde_json::Value as Json;
    match result {
        Json::Array(list) if list.len() > MOST => {
            let mut short: Vec<Json> = list[list.len() - MOST..].iter().map(shortened).collect();
            short.insert(0, format!("… {} more", list.len() - MOST).into());
            Json::Array(short)
        }
        Json::Array(list) => list.iter().map(shortened).collect(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), shortened(value))).collect(),
        other => other.clone(),
    }
}

fn expected(item: &Item) -> String {
    match item.expected_seconds {
        Some(seconds) => duration(seconds),
        None => "not known before its first run".to_owned(),
    }
}

fn severity(item: &Item) -> String {
    let name = serde_json::to_value(item.operation.severity).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

fn targets(item: &Item) -> Vec<String> {
    if item.steps.len() < 2 {
        return Vec::new();
    }
    let mut table = Table::new(["target", "table", "action", "rows", "of", "batches"], &[3, 4, 5]);
    for step in &item.steps {
        let mark = |exact: bool| if exact { "" } else { "~" };
        table.row([
            step.label.clone(),
            step.object.clone(),
            step.action.clone(),
            format!("{}{}", mark(step.exact), count(step.matched)),
            step.total
                .map_or_else(String::new, |total| format!("{}{}", mark(step.total_exact), count(total))),
            count(step.batches),
        ]);
    }
    table.lines(INDENT.len())
}

/// What a person checks about one step.
fn details(step: &Step, named: bool, shows: bool, console: &Console) -> Vec<String> {
    let mut lines = Vec::new();
    if named {
        lines.push(format!("{INDENT}{}", console.paint(Style::Strong, &step.label)));
    }
    let mut facts: Vec<(String, String)> = step.facts.clone();
    for hanging in step.dependants.iter().filter(|hanging| hanging.rows > 0) {
        let columns = match hanging.columns.as_slice() {
            [] => String::new(),
            columns => format!(" ({})", columns.join(", ")),
        };
        let text = format!("{} in {}{columns}: {}", rows(hanging.rows), hanging.table, hanging.policy);
        facts.push(("dependants".to_owned(), text));
    }
    // A kind that does not go by age says itself what cannot be read.
    if step.unreadable > 0 && step.facts.iter().all(|(name, _)| name != "unreadable") {
        facts.push((
            "unreadable".to_owned(),
            format!("{} whose age cannot be read stay", rows(step.unreadable)),
        ));
    }
    if step.exempt > 0 {
        let what =
            if is_about_files(&step.action) { of(step.exempt, "one", "ones") } else { rows(step.exempt) };
        facts.push(("exempt".to_owned(), format!("{what} restored by an undo stay")));
    }
    if (step.matched > 0 || !step.exact) && !step.way.is_empty() {
        facts.push(("way".to_owned(), step.way.clone()));
    }
    for (name, text) in &facts {
        for (n, part) in wrapped(text).iter().enumerate() {
            let name = if n == 0 { name.as_str() } else { "" };
            lines.push(format!("{INDENT}{name:<10} {part}"));
        }
    }
    if shows {
        for statement in &step.statements {
            lines.extend(
                statement.lines().map(|line| format!("{INDENT}  {}", console.paint(Style::Faint, line))),
            );
        }
    }
    lines
}

/// Text in lines that fit beside the names of facts.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 90;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word.to_owned());
            continue;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines
}

fn finding_lines(finding: &Finding, force: bool, console: &Console) -> Vec<String> {
    let (word, style) = match finding.level {
        Level::Note => ("note", Style::Faint),
        Level::Warning => ("warning", Style::Warn),
        Level::Refuse if force && finding.forcible => ("forced", Style::Warn),
        Level::Refuse => ("refused", Style::Bad),
    };
    let mut lines = vec![format!(
        "{INDENT}{}  {}: {}",
        console.paint(style, &format!("{word:<7}")),
        harmless(&finding.object),
        harmless(&finding.what)
    )];
    if !finding.remedy.is_empty() {
        lines.push(format!("{INDENT}         help: {}", harmless(&finding.remedy)));
    }
    lines
}

/// Without what would move the cursor or colour the screen: names of files and values of rows come from strangers.
fn harmless(text: &str) -> String {
    let spell = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().collect(),
        c => c.to_string(),
    };
    text.chars().map(spell).collect()
}
