//! Columns such as `updated_at` that the target keeps by itself: a trigger for each, where a person asks for it.
//!
//! They come last, so that nothing of the transfer fires them, and stay: they belong to the application from then on.

use super::design::{Design, NewColumn, NewTable};
use super::options::Options;
use super::script::body;
use super::translate::expression::string;
use engine::Finding;
use targets::db::{TableName, quote};

/// The functions and triggers, and what cannot be.
pub fn statements(options: &Options, design: &Design) -> (Vec<String>, Vec<Finding>) {
    let (mut made, mut findings) = (Vec::new(), Vec::new());
    for wanted in &options.stamps {
        let mut any = false;
        for table in &design.tables {
            let named = |column: &&NewColumn| {
                column.name.eq_ignore_ascii_case(wanted) || column.source.eq_ignore_ascii_case(wanted)
            };
            let Some(column) = table.columns.iter().find(named) else { continue };
            any = true;
            match now(&column.spelled, options.zone.as_deref().unwrap_or("UTC")) {
                Some(now) => made.extend(one(table, &column.name, &now)),
                None => findings.push(Finding::forbid(
                    "stamp",
                    format!("{}.{}", table.source, column.source),
                    format!("it becomes {}, which holds no time that the target could set", column.spelled),
                    "clean its values so that all of them are times, or insist with `cast = \"timestamptz\"` in `map`",
                )),
            }
        }
        if !any {
            findings.push(Finding::forbid(
                "stamp",
                wanted,
                "no table has a column of this name, which `stamps` names",
                "look at the spelling",
            ));
        }
    }
    (made, findings)
}

/// The present time as a value of this type.
fn now(spelled: &str, zone: &str) -> Option<String> {
    let spelled = spelled.to_ascii_lowercase();
    let there = format!("(now() at time zone {})", string(zone));
    match spelled.as_str() {
        _ if spelled.starts_with("timestamptz") || spelled.ends_with("with time zone") => {
            Some("now()".to_owned())
        }
        _ if spelled.starts_with("timestamp") => Some(there),
        "date" => Some(format!("{there}::date")),
        _ => None,
    }
}

/// A row that is updated without a time of its own gets the present one.
fn one(table: &NewTable, column: &str, now: &str) -> [String; 2] {
    let name = format!("set_{}_{column}", table.name.name);
    // what is too long the server would cut, and two might become one
    let name = if name.len() > 63 { format!("set_{:016x}", short(&name)) } else { name };
    let function = TableName { schema: table.name.schema.clone(), name: name.clone() }.quoted();
    let stamp = quote(column);
    [
        format!(
            "create or replace function {function}() returns trigger language plpgsql as {}",
            body(&format!(" begin new.{stamp} := {now}; return new; end "))
        ),
        format!(
            "create trigger {} before update on {} for each row when (new.{stamp} is not distinct from old.{stamp}) \
             execute procedure {function}()",
            quote(&name),
            table.name.quoted()
        ),
    ]
}

fn short(name: &str) -> u64 {
    let mut mix = super::canon::Mix::default();
    mix.bytes(name.as_bytes());
    mix.sum() as u64
}
