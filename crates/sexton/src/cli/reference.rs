//! Completion scripts, the manual page, and the reference in Markdown: all made from the same descriptions as the program.

use super::arguments;
use super::console::Console;
use super::contract;
use crate::config::{Schema, manners_schema, operation_schema, schema_of_file};
use crate::exit::{Exit, MEANINGS};
use crate::trouble::Trouble;
use clap::{ArgMatches, Command};
use engine::Kind;
use serde_json::Value as Json;
use std::fmt::Write;

/// `sexton completions SHELL`.
pub fn completions(
    matches: &ArgMatches,
    catalogue: &[&'static dyn Kind],
    console: &Console,
) -> Result<Exit, Trouble> {
    let shell = matches.get_one::<String>("shell").and_then(|name| name.parse::<clap_complete::Shell>().ok());
    let mut script = Vec::new();
    if let Some(shell) = shell {
        clap_complete::generate(shell, &mut arguments::command(catalogue), "sexton", &mut script);
    }
    console.data(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// `sexton man`.
pub fn man(catalogue: &[&'static dyn Kind], console: &Console) -> Result<Exit, Trouble> {
    let mut page = Vec::new();
    clap_mangen::Man::new(arguments::command(catalogue))
        .render(&mut page)
        .map_err(|error| Trouble::system("the manual page cannot be made", error))?;
    console.data(&String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}

/// `sexton reference PAGE`.
pub fn page(
    matches: &ArgMatches,
    catalogue: &[&'static dyn Kind],
    console: &Console,
) -> Result<Exit, Trouble> {
    let page = matches.get_one::<String>("page").map_or("", String::as_str);
    match page {
        "cli" => console.data(&cli(catalogue)),
        "config" => console.data(&config(catalogue)),
        "documents" => console.document(&contract::schemas()),
        _ => console.data(&json()),
    }
    Ok(Exit::Done)
}

fn cli(catalogue: &[&'static dyn Kind]) -> String {
    let mut text = "# Command line\n\nMade by `sexton reference cli`; do not edit.\n".to_owned();
    let mut command = arguments::command(catalogue).term_width(100);
    command.build();
    commands(&command, &mut text);
    text.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in MEANINGS {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text
}

fn commands(command: &Command, text: &mut String) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = sub.get_bin_name().unwrap_or(sub.get_name()).to_owned();
        let about = sub.get_long_about().or(sub.get_about()).map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n## `{name}`\n\n{about}\n");
        let usage = sub.clone().render_usage().to_string();
        let _ = write!(text, "\n```\n{}\n```\n", usage.trim_start_matches("Usage: "));
        let own: Vec<_> = sub
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help")
            .collect();
        if !own.is_empty() {
            text.push_str("\n| argument | meaning |\n|---|---|\n");
        }
        for arg in own {
            let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            let spelled = match (arg.get_long(), value) {
                (Some(long), Some(value)) if arg.get_action().takes_values() => format!("--{long} {value}"),
                (Some(long), _) => format!("--{long}"),
                (None, value) => value.unwrap_or_else(|| arg.get_id().to_string()),
            };
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "| `{spelled}` | {} |", cell(&help));
        }
        if let Some(after) = sub.get_after_help() {
            let _ = write!(text, "\n```\n{after}\n```\n");
        }
        commands(sub, text);
    }
}

fn config(catalogue: &[&'static dyn Kind]) -> String {
    let mut text =
        "# Configuration\n\nMade by `sexton reference config`; do not edit. An example with every setting: \
                    `sexton config example`.\n"
            .to_owned();
    let whole = schema_of_file(catalogue);
    let schema = Schema::of(&whole);
    text.push_str("\n## Top level\n");
    keys(schema, &mut text, &|_| true);
    for (name, title) in [
        ("database", "`[database.NAME]`"),
        ("fleet", "`[fleet.NAME]`"),
        ("store", "`[store.NAME]`"),
        ("group", "`[group.NAME]`"),
        ("state", "`[state]`"),
        ("undo", "`[undo]`"),
        ("backup", "`[backup]`"),
        ("log", "`[log]`"),
        ("notify", "`[notify.NAME]`"),
        ("notifications", "`[notifications]`"),
        ("alerts", "`[alerts]`"),
        ("api", "`[api]`"),
        ("pool", "`[pool]`"),
    ] {
        let Some(section) = schema.property(name) else { continue };
        let _ = write!(text, "\n## {title}\n\n{}\n", one_line(section.about));
        let section = section.schema.values().unwrap_or(section.schema);
        keys(section, &mut text, &|_| true);
    }
    let manners = manners_schema();
    let manner_names: Vec<&str> =
        Schema::of(&manners).properties().iter().map(|property| property.name).collect();
    text.push_str("\n## Limits and manners\n\nIn `[defaults]`, in every operation, and as flags.\n");
    keys(Schema::of(&manners), &mut text, &|_| true);
    text.push_str("\nOnly in `[defaults]`:\n");
    if let Some(defaults) = schema.property("defaults") {
        keys(defaults.schema, &mut text, &|name| !manner_names.contains(&name));
    }
    text.push_str("\n## `[operation.NAME]`\n\nWhat every operation has, besides limits and manners:\n");
    for (n, kind) in catalogue.iter().enumerate() {
        let all = operation_schema(*kind);
        let own = kind.schema().to_value();
        let options = Schema::of(&own);
        if n == 0 {
            let common = |name: &str| options.property(name).is_none() && !manner_names.contains(&name);
            keys(Schema::of(&all), &mut text, &common);
        }
        let _ = write!(
            text,
            "\n### `kind = \"{}\"`\n\n{}.\n\n{}\n",
            kind.name(),
            kind.title(),
            one_line(kind.about())
        );
        keys(options, &mut text, &|_| true);
        tables_inside(options, &mut text);
    }
    text
}

/// The keys of lists of tables, which have no flags of their own.
fn tables_inside(schema: Schema<'_>, text: &mut String) {
    for property in schema.properties() {
        let Some(of_items) = property.schema.items().filter(|items| items.is("object")) else { continue };
        let _ = write!(text, "\nEach of `{}`:\n", property.name);
        let outer: Vec<&str> = schema.properties().iter().map(|property| property.name).collect();
        let same = of_items.properties().iter().filter(|property| outer.contains(&property.name)).count();
        if same > 5 {
            text.push_str("\nThe same keys as above, but for these lists.\n");
        } else {
            keys(of_items, text, &|_| true);
        }
    }
}

fn keys(schema: Schema<'_>, text: &mut String, wanted: &dyn Fn(&str) -> bool) {
    text.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for property in schema.properties().iter().filter(|property| wanted(property.name)) {
        let default = property.shown_default().map_or_else(String::new, |default| format!("`{default}`"));
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} |",
            property.name,
            cell(&property.schema.wanted()),
            cell(&one_line(property.about)),
        );
    }
}

fn json() -> String {
    let mut text = "# JSON documents\n\nMade by `sexton reference json`; do not edit. Keys are added, never renamed or removed, \
                    within one `schema_version`. Times are UTC, ISO 8601 with `Z`; sizes are bytes; durations are seconds.\n\n\
                    The JSON Schemas themselves: `sexton reference documents`.\n"
        .to_owned();
    let all = contract::schemas();
    for (name, schema) in all.as_object().into_iter().flatten() {
        let about = schema.get("description").and_then(Json::as_str).unwrap_or_default();
        let _ = write!(text, "\n## {name}\n\n{}\n", one_line(about));
        let root = Schema::of(schema);
        if !root.properties().is_empty() {
            fields(root, &mut text);
        }
        for (name, inner) in schema.get("$defs").and_then(Json::as_object).into_iter().flatten() {
            let about = inner.get("description").and_then(Json::as_str).unwrap_or_default();
            let inner = Schema::within(inner, schema);
            if !inner.properties().is_empty() {
                let _ = write!(text, "\n### {name}\n\n{}\n", one_line(about));
                fields(inner, &mut text);
            } else if !inner.choices().is_empty() {
                let _ = write!(text, "\n### {name}\n\n{} One of {}.\n", one_line(about), inner.wanted());
            }
        }
    }
    text
}

fn fields(schema: Schema<'_>, text: &mut String) {
    text.push_str("\n| field | value | meaning |\n|---|---|---|\n");
    for property in schema.properties() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            property.name,
            cell(&property.schema.wanted()),
            cell(&one_line(property.about)),
        );
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
