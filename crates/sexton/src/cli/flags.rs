//! Flags made from schemas: every scalar option of a kind, and every manner, can be said on the command line.
//!
//! What was said goes through the same schema as the file, so a flag accepts exactly what the key accepts.

use crate::config::{Node, Override, Property, Schema, Value, manners_schema};
use crate::trouble::Trouble;
use clap::{Arg, ArgAction, ArgMatches};
use engine::Kind;

/// Flags that belong to commands; an option of this name has no flag and is set with `--set`.
const TAKEN: [&str; 26] = [
    "config",
    "profile",
    "output",
    "events",
    "yes",
    "quiet",
    "no-color",
    "database",
    "verbose",
    "help",
    "version",
    "operation",
    "group",
    "all",
    "max-parallel",
    "dry-run",
    "plan",
    "save",
    "force",
    "set",
    "limit",
    "since",
    "schedule",
    "scan",
    "scan-rows",
    "scan-only",
];

/// One flag made from a schema.
struct Flag {
    key: String,
    name: String,
    shape: Shape,
    about: String,
    choices: Vec<String>,
    heading: String,
    /// It names a file store.
    store: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Switch,
    List,
    /// A table, or a list of tables: TOML on the command line.
    Table,
    ListOfTables,
    /// Texts, or tables: what begins with `{` is a table.
    ListOfEither,
}

/// Scalar options of all kinds and all manners, for `run` and `plan`.
pub fn of_operations(catalogue: &[&'static dyn Kind]) -> Vec<Arg> {
    let mut flags = of_manners();
    for kind in catalogue {
        for flag in of_options(*kind) {
            let scalar = matches!(flag.shape, Shape::Text | Shape::Number | Shape::Switch);
            if scalar && !flags.iter().any(|known| known.key == flag.key) {
                flags.push(flag);
            }
        }
    }
    flags.iter().map(argument).collect()
}

/// All options of a kind and all manners, for its subcommand.
pub fn of_kind(kind: &dyn Kind) -> Vec<Arg> {
    of_options(kind).iter().chain(&of_manners()).map(argument).collect()
}

/// All manners, for `resume`.
pub fn of_limits() -> Vec<Arg> {
    of_manners().iter().map(argument).collect()
}

/// What was said, in the order of the flags. Only arguments made here are looked at.
pub fn overrides(matches: &ArgMatches, catalogue: &[&'static dyn Kind]) -> Result<Vec<Override>, Trouble> {
    let mut all: Vec<Override> = Vec::new();
    let flags = of_manners().into_iter().chain(catalogue.iter().flat_map(|kind| of_options(*kind)));
    for flag in flags {
        let given = matches.try_get_many::<String>(&flag.id()).ok().flatten();
        let Some(texts) = given.filter(|_| !all.iter().any(|known| known.key == flag.key)) else { continue };
        let texts: Vec<String> = texts.cloned().collect();
        all.push(Override {
            value: value_of(&flag, &texts)?,
            flag: format!("--{}", flag.name),
            key: flag.key,
        });
    }
    for text in matches.try_get_many::<String>("set").ok().flatten().into_iter().flatten() {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Trouble::usage(
                format!("`--set {text}` has no `=`"),
                "write `--set key=value`, such as `--set older_than=\"14 days\"`",
            ));
        };
        let key = key.trim();
        all.push(Override {
            key: key.to_owned(),
            flag: format!("--set {key}"),
            value: Node::parse_value(key, value.trim()),
        });
    }
    Ok(all)
}

/// `--set`, for commands that take overrides.
pub fn set() -> Arg {
    Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .help("Set any option by its key, such as `--set older_than=14d` or `--set logs.batch_size=500`")
        .long_help(
            "Set any option by its key in the configuration. With the name of an operation before it, only for that \
             one: `--set logs.batch_size=500`. The value is read as TOML, else as text.",
        )
}

impl Flag {
    fn id(&self) -> String {
        id_of(&self.key)
    }
}

/// The name of the argument of an option.
pub fn id_of(key: &str) -> String {
    format!("option:{key}")
}

fn of_manners() -> Vec<Flag> {
    let schema = manners_schema();
    flags_of(Schema::of(&schema), "Limits and manners")
}

fn of_options(kind: &dyn Kind) -> Vec<Flag> {
    let schema = kind.schema().to_value();
    flags_of(Schema::of(&schema), &format!("Options of {}", kind.name()))
}

fn flags_of(schema: Schema<'_>, heading: &str) -> Vec<Flag> {
    schema
        .properties()
        .into_iter()
        .filter_map(|property| {
            let name = property.name.replace('_', "-");
            (!TAKEN.contains(&name.as_str())).then(|| Flag {
                key: property.name.to_owned(),
                shape: shape_of(property.schema),
                about: about(&property),
                choices: property.schema.choices().into_iter().map(str::to_owned).collect(),
                heading: heading.to_owned(),
                store: property.format == Some("store"),
                name,
            })
        })
        .collect()
}

fn shape_of(schema: Schema<'_>) -> Shape {
    if let Some(items) = schema.items() {
        return match items.is("object") {
            true => Shape::ListOfTables,
            false if items.may_be("object") => Shape::ListOfEither,
            false => Shape::List,
        };
    }
    if schema.is("object") {
        return Shape::Table;
    }
    if schema.is("integer") || schema.is("number") {
        return Shape::Number;
    }
    if schema.is("boolean") { Shape::Switch } else { Shape::Text }
}

/// The help text: that of the schema in one line, with the default.
fn about(property: &Property<'_>) -> String {
    let text = property.about.split_whitespace().collect::<Vec<_>>().join(" ");
    match property.shown_default() {
        Some(default) => format!("{text} [default: {default}]"),
        None => text,
    }
}

fn argument(flag: &Flag) -> Arg {
    let value_name = match flag.shape {
        Shape::Number => "N",
        Shape::Table => "KEY=VALUE",
        Shape::ListOfTables => "TABLE",
        _ => "VALUE",
    };
    let about = match flag.shape {
        Shape::ListOfTables => {
            format!("{} May be given several times, each as `{{ key = \"value\" }}`", flag.about)
        }
        Shape::List | Shape::Table | Shape::ListOfEither => {
            format!("{} May be given several times", flag.about)
        }
        _ => flag.about.clone(),
    };
    let arg = Arg::new(flag.id())
        .long(flag.name.clone())
        .value_name(value_name)
        .help(about)
        .help_heading(flag.heading.clone())
        .allow_hyphen_values(flag.shape == Shape::Number);
    let arg = match flag.choices.is_empty() {
        true => arg,
        false => arg.value_parser(clap::builder::PossibleValuesParser::new(flag.choices.clone())),
    };
    match flag.shape {
        Shape::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Shape::List | Shape::Table | Shape::ListOfTables | Shape::ListOfEither => {
            arg.action(ArgAction::Append)
        }
        Shape::Text | Shape::Number => arg,
    }
}

fn value_of(flag: &Flag, texts: &[String]) -> Result<Node, Trouble> {
    let node = |value| Node { path: flag.key.clone(), name_span: 0..0, span: 0..0, value };
    let text = texts.last().cloned().unwrap_or_default();
    Ok(match flag.shape {
        Shape::Text if flag.store => node(Value::Text(crate::wiring::absolute_store(&text))),
        Shape::Text => node(Value::Text(text)),
        Shape::Number | Shape::Switch => Node::parse_value(&flag.key, &text),
        Shape::List => node(Value::List(
            texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(|text| node(Value::Text(text.trim().to_owned())))
                .collect(),
        )),
        Shape::ListOfEither => {
            let one = |text: &String| match text.trim().starts_with('{') {
                true => vec![Node::parse_value(&flag.key, text.trim())],
                false => text.split(',').map(|text| node(Value::Text(text.trim().to_owned()))).collect(),
            };
            node(Value::List(texts.iter().flat_map(one).collect()))
        }
        Shape::ListOfTables => {
            node(Value::List(texts.iter().map(|text| Node::parse_value(&flag.key, text)).collect()))
        }
        Shape::Table => {
            let mut entries = Vec::new();
            for text in texts {
                let Some((key, value)) = text.split_once('=') else {
                    return Err(Trouble::usage(
                        format!("`--{} {text}` has no `=`", flag.name),
                        format!("write `--{} column=value`", flag.name),
                    ));
                };
                entries.push((key.trim().to_owned(), Node::parse_value(&flag.key, value.trim())));
            }
            node(Value::Table(entries))
        }
    })
}
