//! Conversions by a program into columns of the row or rows of another table: rules for columns, failures row by row, undo.

use crate::convert::{Converting, TABLES};
use crate::stage::both;
use engine::Status;
use serde_json::{Value as Json, json};
use testkit::Story;

fn story(options: Json) -> Story {
    Story::new(kinds::catalogue(), "convert", options).given(|place| place.script2(TABLES.0, TABLES.1))
}

#[test]
fn a_program_fills_columns_row_by_row() {
    story(json!({
        "table": "articles",
        "where": "slug is null and title is not null and id < 6",
        "input": ["title", "price"],
        "columns": {"slug": ".title | ascii_downcase | gsub(\" \"; \"-\")", "cents": ".price | tonumber * 100 | floor"},
    }))
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_changed, 3);
        let rows = place.rows("select slug, cast(cents as text) from articles order by id");
        assert_eq!(rows[0], ["hello-world".into(), "150".into()]);
        assert_eq!(rows[1][0], "kept".into());
    })
    .tell();
}

#[test]
fn wrong_types_nulls_and_errors_fail_their_row_alone() {
    both(TABLES.0, TABLES.1, |stage| {
        stage.place.script("update articles set price = 'much' where id = 3");
        let options = json!({
            "table": "articles",
            "where": "cents is null",
            "jq": "if .id == 5 then error(\"no\") elif .id == 6 then empty else . end",
            "columns": {"cents": "if .id == 7 then \"text\" elif .id == 1 then 1.5 else .price | tonumber end"},
        });
        let report = stage.convert(options);
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_changed, done.rows_failed),
            (Status::Partial, 2, 4),
            "{report:#?}"
        );
        assert_eq!(done.rows_skipped, 1);
        let result = done.result.as_ref().unwrap();
        let rows: Vec<&str> =
            result["failures"].as_array().unwrap().iter().map(|one| one["row"].as_str().unwrap()).collect();
        assert_eq!(rows, ["id 1", "id 3", "id 5", "id 7"]);
        assert!(result["failures"][0]["reason"].as_str().unwrap().contains("whole number"), "{result}");
        assert_eq!(stage.list("select id from articles where cents is not null order by id"), ["2", "4"]);
    });
}

#[test]
fn a_row_that_the_database_refuses_fails_alone() {
    let (sqlite, postgres) = (
        TABLES.0.replace("slug text", "slug text unique"),
        TABLES.1.replace("slug text", "slug text unique"),
    );
    both(&sqlite, &postgres, |stage| {
        let options = json!({
            "table": "articles",
            "where": "slug is null",
            "columns": {"slug": "if .id == 3 or .id == 6 then \"kept\" else \"s\\(.id)\" end"},
        });
        let report = stage.convert(options);
        let done = &report.operations[0];
        assert_eq!((done.rows_changed, done.rows_failed), (4, 2), "{report:#?}");
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.list("select id from articles where slug is not null"), ["2"]);
    });
}

#[test]
fn rules_for_columns_are_declared() {
    // S4-055: cast, JSON in a text, a default for NULL and for nothing, ids by ids
    let sqlite = "create table old (id integer primary key, n text, caps text, owner text, yes text,
                    n2 integer, caps2 json, owner2 text, owner3 text, yes2 integer);
                  create table ids (old_id text, new_id text);
                  insert into ids values ('a', 'uuid-a');
                  insert into old (id, n, caps, owner, yes) values
                    (1, '12', '[\"x\"]', 'a', 'yes'), (2, '', '', null, '0'), (3, null, null, '', 'true'),
                    (4, '1', 'no json', 'a', 'f'), (5, '1', '[]', 'b', 'f'), (6, '1.5', '[]', 'a', 'f');";
    let postgres = sqlite.replace("json,", "jsonb,").replace("yes2 integer", "yes2 boolean");
    let options = |default: Json| {
        json!({
            "table": "old",
            "columns": {
                "n2": {"from": "n", "as": "integer", "default": default},
                "caps2": {"from": "caps", "json": true, "default": []},
                "owner2": {"from": "owner", "lookup": {"table": "ids", "from": "old_id", "to": "new_id"}},
                "owner3": {"from": "owner", "default": "nobody", "map": {"a": "A"}},
                "yes2": {"from": "yes", "as": "boolean"},
            },
        })
    };
    both(sqlite, &postgres, |stage| {
        let report = stage.convert(options(json!(0)));
        let done = &report.operations[0];
        assert_eq!((done.rows_changed, done.rows_failed), (3, 3), "{report:#?}");
        let shown = "select n2 || '|' || cast(caps2 as text) || '|' || coalesce(owner2, '-') || '|' || owner3 || '|' || \
                     case when cast(yes2 as integer) = 1 then 'T' else 'F' end from old where n2 is not null order by id";
        assert_eq!(stage.list(shown), ["12|[\"x\"]|uuid-a|A|T", "0|[]|-|nobody|F", "0|[]|-|nobody|T"]);
        let told = done.result.as_ref().unwrap()["failures"].to_string();
        assert!(told.contains("nothing is said for b") || told.contains("nothing was found for b"), "{told}");
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        stage.convert(options(json!(7)));
        assert_eq!(stage.number("select n2 from old where id = 2"), 7);
    });
}

/// S4: agents and what they can do.
const AGENTS: (&str, &str) = (
    "create table agents (id text primary key, capabilities text);
     create table agent_capabilities (agent_id text not null references agents, capability_name text not null,
       confidence_score numeric default 0.5, primary key (agent_id, capability_name));
     insert into agents values ('a', '[\"plan\",\"write\"]'), ('b', '[]'), ('c', 'none'), ('d', '[\"read\"]'), ('e', '[1]');
     insert into agent_capabilities values ('d', 'read', 0.9);",
    "create table agents (id text primary key, capabilities text);
     create table agent_capabilities (id uuid primary key default md5(random()::text)::uuid, agent_id text not null references agents,
       capability_name varchar(100) not null, confidence_score numeric(3,2) default 0.5, unique (agent_id, capability_name));
     insert into agents values ('a', '[\"plan\",\"write\"]'), ('b', '[]'), ('c', 'none'), ('d', '[\"read\"]'), ('e', '[1]');
     insert into agent_capabilities (agent_id, capability_name, confidence_score) values ('d', 'read', 0.9);",
);

fn capabilities() -> Json {
    json!({
        "table": "agents",
        "where": "capabilities <> 'none'",
        "jq": ". as $agent | .capabilities | fromjson | .[] | {agent: $agent.id, name: .}",
        "into": "table",
        "into_table": "agent_capabilities",
        "per_value": true,
        "columns": {"agent_id": ".agent", "capability_name": ".name"},
    })
}

#[test]
fn a_list_becomes_one_row_for_each_of_its_entries() {
    // S4-031
    both(AGENTS.0, AGENTS.1, |stage| {
        let report = stage.convert(capabilities());
        let done = &report.operations[0];
        assert_eq!((done.rows_changed, done.rows_failed, done.rows_skipped), (2, 1, 1), "{report:#?}");
        let shown = "select agent_id || ' ' || capability_name from agent_capabilities order by 1";
        assert_eq!(stage.list(shown), ["a plan", "a write", "d read"]);
        let again = stage.convert(capabilities());
        assert_eq!(again.operations[0].rows_changed, 0, "{again:#?}");
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.list(shown), ["d read"]);
        assert_eq!(stage.convert(capabilities()).operations[0].rows_changed, 2);
    });
}

#[test]
fn rows_for_another_table_come_and_go_whatever_dies() {
    let mut options = capabilities();
    options["where"] = "id in ('a', 'd')".into();
    Story::new(kinds::catalogue(), "convert", options)
        .given(|place| place.script2(AGENTS.0, AGENTS.1))
        .after(|place, _| assert_eq!(place.rows("select agent_id from agent_capabilities").len(), 3))
        .tell();
}
