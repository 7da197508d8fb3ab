//! `sexton doctor [PLACE]`: one page of what is wrong, as text, JSON or HTML. Without a place, all databases.
//!
//! It plans the kind `doctor` and shows what was found; nothing is run. A few figures are kept in the state, so that the next
//! look can tell how fast things go; where that cannot be done, the look is worth the same.

mod chart;
mod html;
mod text;

use super::act::Act;
use super::flags;
use super::numbers::minute;
use crate::choice;
use crate::config::Config;
use crate::exit::Exit;
use crate::told;
use crate::trouble::Trouble;
use crate::wiring;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::{Kind, Plan, SCHEMA_VERSION, Status};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// So many of the last runs are looked at.
const LAST: u64 = 200;

/// What one database came to.
struct Page {
    /// As it is called.
    name: String,
    /// The result of the kind.
    found: Json,
}

/// The command.
pub fn command(kind: &'static dyn Kind) -> Command {
    Command::new(kind.name())
        .about(kind.title())
        .long_about(format!("{}.\n\n{}\n\nNeeds no configuration.", kind.title(), kind.about()))
        .after_help(
            "Examples:\n  sexton doctor postgres://app@localhost/app\n  sexton doctor app.db --output html > doctor.html\n  \
             sexton doctor --compare            all databases of the configuration, and what is new",
        )
        .arg(
            Arg::new("place")
                .value_name("URL|PATH|NAME")
                .help("The database [default: that of --database, else all of the configuration]"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FORM")
                .default_value("text")
                .value_parser(PossibleValuesParser::new(["text", "json", "html"]))
                .help("text, one JSON document, or one HTML page that needs nothing else")
                .help_heading("Everywhere"),
        )
        .arg(
            Arg::new("compare")
                .long("compare")
                .action(ArgAction::SetTrue)
                .help("Tell what is new since the last look, and what is gone"),
        )
        .arg(
            Arg::new("no-sample")
                .long("no-sample")
                .action(ArgAction::SetTrue)
                .help("Keep nothing of this look for later ones"),
        )
        .arg(flags::set().help_heading("What to run"))
        .args(flags::of_kind(kind))
}

/// The place as the other commands would have it after `--database`.
pub fn place(matches: &ArgMatches, config: &Config) -> Option<String> {
    let typed = matches.get_one::<String>("place")?;
    let known = config.databases.iter().any(|database| database.name == *typed);
    let plain = known || wiring::is_place(typed) || !std::path::Path::new(typed).exists();
    Some(if plain { typed.clone() } else { format!("./{typed}") })
}

/// `sexton doctor`.
pub fn doctor(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    named: Option<&str>,
    actor: &str,
) -> Result<Exit, Trouble> {
    let said = flags::overrides(matches, &[kind])?;
    let names = match named {
        Some(named) => vec![choice::the_database(Some(named), act.config)?],
        None => act.engine.database_names(),
    };
    if names.is_empty() {
        return Err(Trouble::usage(
            "no database was named",
            "name one: `sexton doctor app.db`, or `sexton doctor postgres://user@host/database`",
        ));
    }
    let now = act.engine.clock().now();
    let mut pages = Vec::new();
    let mut failed = None;
    for name in &names {
        let operation = choice::one_off(kind, name);
        let request = choice::request(act.config, &[choice::Chosen::named(&operation)], &said, None, actor)?;
        match act.engine.plan(&request) {
            Ok(plan) => {
                if !matches.get_flag("no-sample") {
                    keep(act, &plan);
                }
                let mut found =
                    plan.items.into_iter().next().and_then(|item| item.result).unwrap_or(Json::Null);
                add(&mut found, failures(act, name));
                pages.push(Page { name: name.clone(), found });
            }
            Err(failure) if names.len() == 1 => return Err(failure.into()),
            Err(failure) => {
                let trouble = Trouble::from(failure);
                act.console.note_error(&format!("{name}: {}", trouble.causes.join(": ")));
                if let Some(help) = &trouble.help {
                    act.console.note_help(help);
                }
                failed.get_or_insert(trouble.exit);
            }
        }
    }
    let compare = matches.get_flag("compare");
    match matches.get_one::<String>("output").map_or("text", String::as_str) {
        "html" => act.console.data(&html::page(&pages, now)),
        "json" => act.console.document(&document(&pages, now)),
        _ => act.console.data(&text::pages(&pages, compare, now, act.console)),
    }
    let passed = pages.iter().all(|page| page.found["passed"] == true);
    Ok(match failed {
        Some(exit) => exit,
        None if passed => Exit::Done,
        None => Exit::Findings,
    })
}

/// Operations on a database whose last run failed, with where its log is (S3-057).
fn failures(act: &Act, database: &str) -> Vec<Json> {
    // Without a state there were no runs; what is wrong with it is told by the commands that need it.
    let Ok(reports) = act.engine.reports(LAST, None, None) else { return Vec::new() };
    let mut seen: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for report in reports.iter().filter(|report| !report.is_open()) {
        for done in report.operations.iter().filter(|done| done.database == database) {
            if seen.contains(&done.operation.as_str()) {
                continue;
            }
            seen.push(&done.operation);
            if done.status != Status::Failed {
                continue;
            }
            let why = done.errors.first().map_or("no reason was told", String::as_str);
            let log = act.config.log_folder.as_ref().map(|folder| folder.join(engine::LOG_FILE));
            let log = log.map(|path| format!("; its log: {}", path.display())).unwrap_or_default();
            found.push(json!({
                "code": "run_failed", "level": "warning", "harm": 2, "object": done.operation,
                "what": format!("failed when it last ran, {} UTC: {why}", minute(report.metadata.started_at)),
                "remedy": format!("sexton runs show {}{log}", act.short_id(&report.run_id)),
            }));
        }
    }
    found
}

/// More findings for a page.
fn add(found: &mut Json, more: Vec<Json>) {
    if more.is_empty() {
        return;
    }
    found["passed"] = false.into();
    found["warnings"] = (found["warnings"].as_u64().unwrap_or(0) + more.len() as u64).into();
    if let Some(findings) = found["findings"].as_array_mut() {
        findings.splice(0..0, more);
    }
}

fn keep(act: &Act, plan: &Plan) {
    if let Err(failure) = act.engine.keep_samples(plan) {
        act.console.note(&format!("nothing was kept for later looks: {failure}"));
    }
}

fn document(pages: &[Page], now: Timestamp) -> Json {
    let databases: Vec<Json> = pages.iter().map(|page| told::looked(&page.name, &page.found)).collect();
    let passed = pages.iter().all(|page| page.found["passed"] == true);
    json!({ "schema_version": SCHEMA_VERSION, "success": true, "at": now, "passed": passed, "databases": databases })
}

/// The findings of one sort, as far as a page has room: the first ones, and how many more there are.
fn grouped(findings: &Json, most: usize) -> Vec<(Vec<&Json>, usize)> {
    let mut groups: Vec<(Vec<&Json>, usize)> = Vec::new();
    for finding in findings.as_array().into_iter().flatten() {
        let same = |group: &&mut (Vec<&Json>, usize)| {
            let first = group.0[0];
            first["code"] == finding["code"] && first["level"] == finding["level"]
        };
        match groups.iter_mut().find(same) {
            Some(group) if group.0.len() < most => group.0.push(finding),
            Some(group) => group.1 += 1,
            None => groups.push((vec![finding], 0)),
        }
    }
    groups
}

fn words<'a>(value: &'a Json, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What sort of finding a code stands for.
fn sort_of(code: &str) -> String {
    let mut text = code.replace('_', " ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// What a database is, in one line: `PostgreSQL 15.4 on db.example as app, 12.3 GB, 214 tables, 611 indexes`.
fn about(found: &Json) -> String {
    use super::numbers::{bytes, of};
    let database = &found["database"];
    let engine = if database["is_sqlite"] == true { "SQLite" } else { "PostgreSQL" };
    let mut text = format!("{engine} {}", words(database, "version"));
    for (before, key) in [(" on ", "host"), (" as ", "user")] {
        if !words(database, key).is_empty() {
            text += &format!("{before}{}", words(database, key));
        }
    }
    if database["read_only"] == true && engine == "PostgreSQL" {
        text += ", a standby";
    }
    text += &format!(", {}", bytes(found["size_bytes"].as_u64().unwrap_or(0)));
    for (key, one, many) in [("tables", "table", "tables"), ("indexes", "index", "indexes")] {
        if let Some(number) = found["figures"][key].as_u64() {
            text += &format!(", {}", of(number, one, many));
        }
    }
    text
}

/// The figures worth a word each.
fn figures(found: &Json) -> Vec<(&'static str, String)> {
    use super::numbers::{bytes, count};
    let own = &found["figures"];
    let mut all = Vec::new();
    if let Some(connections) = own["connections"].as_u64() {
        let limit =
            own["connection_limit"].as_u64().map_or(String::new(), |limit| format!(" of {}", count(limit)));
        all.push(("connections", format!("{}{limit}", count(connections))));
    }
    for (name, key) in [
        ("pages from the cache", "cache_hit_percent"),
        ("reads by index", "index_efficiency_percent"),
        ("transaction ids used", "xid_used_percent"),
        ("free pages", "free_page_percent"),
        ("disk used", "disk_used_percent"),
    ] {
        if let Some(share) = own[key].as_f64() {
            all.push((name, format!("{share} %")));
        }
    }
    if let Some(log) = own["wal_bytes"].as_u64().filter(|bytes| *bytes > 0) {
        all.push(("write-ahead log", bytes(log)));
    }
    if let Some(rate) = found["growth"]["bytes_per_day"].as_f64() {
        let sign = if rate < 0.0 { "−" } else { "" };
        all.push(("growth a day", format!("{sign}{}", bytes(rate.abs() as u64))));
    }
    all
}
