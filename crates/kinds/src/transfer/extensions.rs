//! A function that the target's defaults call, and that servers before 13 have in an extension only.

use super::design::{Design, NewColumn, NewTable};
use engine::{Error, Finding, Result};
use targets::db::{Facts, Value};

const FUNCTION: &str = "gen_random_uuid()";
const EXTENSION: &str = "pgcrypto";
/// The first version that has it built in.
const BUILT_IN: u32 = 130_000;

/// What the target lacks for these tables, if anything.
pub fn of_target(design: &Design, target: &mut dyn Facts) -> Result<Option<Finding>> {
    let server = target.server()?;
    if server.version_number >= BUILT_IN {
        return Ok(None);
    }
    let sql = format!("select to_regprocedure('{FUNCTION}') is not null");
    let has_it = target.value(&targets::db::Sql::new(&sql))? == Value::Bool(true);
    Ok(lacking(server.version_number, has_it, design))
}

/// The same of a server of this version, which may have it by the extension.
fn lacking(version: u32, has_it: bool, design: &Design) -> Option<Finding> {
    let calls = |column: &&NewColumn| column.default.as_ref().is_some_and(|text| text.contains(FUNCTION));
    let place = |table: &NewTable| {
        table.columns.iter().find(calls).map(|column| format!("{}.{}", table.name, column.name))
    };
    let first = design.tables.iter().find_map(place).filter(|_| version < BUILT_IN && !has_it)?;
    Some(Finding::forbid(
        "extension",
        first,
        format!(
            "its default calls `{FUNCTION}`, which this server, PostgreSQL {}, has not",
            version / 10_000
        ),
        format!(
            "let someone who may run `create extension {EXTENSION}` in the target, or take PostgreSQL 13 or newer"
        ),
    ))
}

/// A script that calls it on such a server.
pub fn named(error: Error) -> Error {
    let is_it = error.code.as_deref() == Some("42883") && error.to_string().contains(FUNCTION);
    match is_it {
        true => error.help(format!(
            "PostgreSQL has it from 13 on: begin the script with `create extension if not exists {EXTENSION};`"
        )),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::convert::Rule;
    use targets::db::TableName;

    fn ids(default: Option<&str>) -> Design {
        let column = NewColumn {
            source: "id".to_owned(),
            name: "id".to_owned(),
            spelled: "text".to_owned(),
            rule: Rule::Text(None),
            not_null: true,
            default: default.map(str::to_owned),
            identity: false,
            generated: None,
            mixed: false,
            days: false,
            members: None,
            reasons: Vec::new(),
        };
        let table = NewTable {
            source: "t".to_owned(),
            name: TableName::within("public", "t"),
            reason: None,
            columns: vec![column],
            checks: Vec::new(),
            indexes: Vec::new(),
            references: Vec::new(),
            sequence: None,
            key: Vec::new(),
        };
        Design { tables: vec![table], ..Design::default() }
    }

    #[test]
    fn an_older_server_is_told_the_extension_that_it_needs() {
        // W-126
        let design = ids(Some("replace(gen_random_uuid()::text, '-', '')"));
        let found = lacking(120_022, false, &design).unwrap();
        assert_eq!((found.code.as_str(), found.object.as_str()), ("extension", "t.id"));
        assert!(found.what.contains("PostgreSQL 12") && found.remedy.contains("create extension pgcrypto"));
        assert!(lacking(120_022, true, &design).is_none(), "the extension is there");
        for version in [130_000, 150_018, 170_002] {
            assert!(lacking(version, false, &design).is_none(), "{version}");
        }
        assert!(lacking(120_022, false, &ids(Some("now()"))).is_none());
        assert!(lacking(120_022, false, &ids(None)).is_none());
    }

    #[test]
    fn a_script_that_an_older_server_does_not_understand_is_told_what_to_begin_with() {
        // W-126: as PostgreSQL 12 says it
        let said = Error::usage("function gen_random_uuid() does not exist").code("42883");
        assert!(named(said).help.unwrap().contains("create extension if not exists pgcrypto"));
        let other = Error::usage("function gen_random() does not exist").code("42883");
        assert!(named(other).help.is_none());
    }
}
