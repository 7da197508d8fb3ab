//! What is written into the histories of other tools, read back as those tools read it: by their own queries, and by their rule
//! for what is still to be run.

use crate::migrate_kit::{Yard, both};
use serde_json::json;
use targets::db::{Row, Value};

/// Two migrations with their ways back, as the files of a convention.
type Files = &'static [(&'static str, &'static str)];

/// A tool: whose rules, its files, its own query, and what it takes to be in.
struct Tool {
    convention: &'static str,
    files: Files,
    query: &'static str,
    reads: fn(&[Row]) -> Vec<String>,
    /// As the tool calls the two.
    versions: [&'static str; 2],
}

/// A truth as 1 or 0, however it came.
fn text(value: &Value) -> String {
    let said = match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        value => value.as_text().map_or_else(|| value.to_string(), str::to_owned),
    };
    match said.as_str() {
        "t" => "1".to_owned(),
        "f" => "0".to_owned(),
        _ => said,
    }
}

fn number(value: &Value) -> i64 {
    text(value).parse().unwrap()
}

/// How many bytes, also where they came as text.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Blob(bytes) => bytes.len(),
        value => (text(value).trim_start_matches("\\x").len()) / 2,
    }
}

/// Every row counts.
fn each(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| text(&row[0])).collect()
}

fn tools() -> Vec<Tool> {
    vec![
        Tool {
            convention: "dbmate",
            files: &[
                (
                    "20260101000000_one.sql",
                    "-- migrate:up\ncreate table one (id int);\n-- migrate:down\ndrop table one;\n",
                ),
                (
                    "20260102000000_two.sql",
                    "-- migrate:up\ncreate table two (id int);\n-- migrate:down\ndrop table two;\n",
                ),
            ],
            query: "select version from schema_migrations order by version desc",
            reads: each,
            versions: ["20260101000000", "20260102000000"],
        },
        Tool {
            convention: "golang-migrate",
            files: &[
                ("1_one.up.sql", "create table one (id int);"),
                ("1_one.down.sql", "drop table one;"),
                ("2_two.up.sql", "create table two (id int);"),
                ("2_two.down.sql", "drop table two;"),
            ],
            // One row; everything up to it is in, and nothing runs while it is dirty.
            query: "select version, dirty from schema_migrations limit 1",
            reads: |rows| {
                assert!(rows.len() < 2 && rows.iter().all(|row| text(&row[1]) == "0"), "{rows:?}");
                let last: u32 = rows.first().map_or(0, |row| text(&row[0]).parse().unwrap());
                (1..=last).map(|version| version.to_string()).collect()
            },
            versions: ["1", "2"],
        },
        Tool {
            convention: "goose",
            files: &[
                (
                    "00001_one.sql",
                    "-- +goose Up\ncreate table one (id int);\n-- +goose Down\ndrop table one;\n",
                ),
                (
                    "00002_two.sql",
                    "-- +goose Up\ncreate table two (id int);\n-- +goose Down\ndrop table two;\n",
                ),
            ],
            // The newest row of a version decides; version 0 is that of the table itself.
            query: "select version_id, is_applied from goose_db_version order by id desc",
            reads: |rows| {
                let mut seen: Vec<String> = Vec::new();
                let mut applied = Vec::new();
                for row in rows {
                    let version = text(&row[0]);
                    if !seen.contains(&version) && text(&row[1]) == "1" && version != "0" {
                        applied.push(version.clone());
                    }
                    seen.push(version);
                }
                assert!(seen.contains(&"0".to_owned()), "{rows:?}");
                applied
            },
            versions: ["1", "2"],
        },
        Tool {
            convention: "flyway",
            files: &[
                ("V1__one.sql", "create table one (id int);"),
                ("U1__one.sql", "drop table one;"),
                ("V2__two.sql", "create table two (id int);"),
                ("U2__two.sql", "drop table two;"),
            ],
            // Rows in the order of their ranks; an undone version is out until it succeeds again.
            query: "select version, type, success, description, script, checksum, installed_rank from flyway_schema_history order by installed_rank",
            reads: |rows| {
                let mut applied: Vec<String> = Vec::new();
                for (n, row) in rows.iter().enumerate() {
                    assert_eq!((text(&row[2]), text(&row[6])), ("1".into(), (n + 1).to_string()), "{row:?}");
                    let version = text(&row[0]);
                    match text(&row[1]).as_str() {
                        "SQL" => {
                            assert!(text(&row[4]).starts_with('V'), "{row:?}");
                            number(&row[5]);
                            applied.push(version);
                        }
                        "UNDO_SQL" => applied.retain(|known| *known != version),
                        other => panic!("{other}"),
                    }
                }
                applied
            },
            versions: ["1", "2"],
        },
        Tool {
            convention: "sqlx",
            files: &[
                ("20260101000000_one.up.sql", "create table one (id int);"),
                ("20260101000000_one.down.sql", "drop table one;"),
                ("20260102000000_two.up.sql", "create table two (id int);"),
                ("20260102000000_two.down.sql", "drop table two;"),
            ],
            // A row without success stops it; the checksum must be that of the file.
            query: "select version, checksum, success, execution_time from _sqlx_migrations order by version",
            reads: |rows| {
                for row in rows {
                    assert_eq!(bytes(&row[1]), 48, "{row:?}");
                    assert!(text(&row[2]) == "1" && number(&row[3]) >= 0, "{row:?}");
                }
                each(rows)
            },
            versions: ["20260101000000", "20260102000000"],
        },
        Tool {
            convention: "diesel",
            files: &[
                ("2026-01-01-000000_one/up.sql", "create table one (id int);"),
                ("2026-01-01-000000_one/down.sql", "drop table one;"),
                ("2026-01-02-000000_two/up.sql", "create table two (id int);"),
                ("2026-01-02-000000_two/down.sql", "drop table two;"),
            ],
            query: "select version from __diesel_schema_migrations order by version desc",
            reads: each,
            versions: ["20260101000000", "20260102000000"],
        },
        Tool {
            convention: "refinery",
            files: &[
                ("V1__one.sql", "create table one (id int);"),
                ("V2__two.sql", "create table two (id int);"),
            ],
            // The time must be RFC 3339 and the checksum a number, or reading the table fails.
            query: "select version, name, applied_on, checksum from refinery_schema_history order by version asc",
            reads: |rows| {
                for row in rows {
                    text(&row[2]).parse::<jiff::Timestamp>().unwrap();
                    text(&row[3]).parse::<u64>().unwrap();
                    assert!(["one", "two"].contains(&text(&row[1]).as_str()), "{row:?}");
                }
                each(rows)
            },
            versions: ["1", "2"],
        },
    ]
}

fn pending(tool: &Tool, yard: &Yard) -> Vec<&'static str> {
    let applied = (tool.reads)(&yard.place.rows(tool.query));
    assert!(applied.iter().all(|known| tool.versions.contains(&known.as_str())), "{applied:?}");
    tool.versions.iter().copied().filter(|version| !applied.iter().any(|known| known == version)).collect()
}

#[test]
fn each_tool_finds_in_its_table_what_was_done_and_nothing_else() {
    //
    for tool in tools() {
        both(|yard| {
            let convention = tool.convention;
            yard.write(tool.files);
            let options = |more: serde_json::Value| {
                let mut options = json!({"convention": convention});
                options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                options
            };
            yard.done(options(json!({"count": 1})));
            assert_eq!(pending(&tool, yard), tool.versions[1..], "{convention}");
            yard.done(options(json!({})));
            assert_eq!(pending(&tool, yard), Vec::<&str>::new(), "{convention}");
            // refinery knows no way back
            if convention != "refinery" {
                yard.done(options(json!({"action": "down"})));
                assert_eq!(pending(&tool, yard), tool.versions[1..], "{convention}");
                yard.done(options(json!({})));
                assert_eq!(pending(&tool, yard), Vec::<&str>::new(), "{convention}: in again");
            }
        });
    }
}
