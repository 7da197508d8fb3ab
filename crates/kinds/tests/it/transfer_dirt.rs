//! The ten dirty rows of the example E4, under each policy: which rows arrive, which are kept aside, which values are changed.

use crate::transfer_e4::{e4, options};
use crate::transfer_kit::{Move, forbidden, found};
use engine::{Report, Status};
use serde_json::{Value as Json, json};

const DIRTY: &str = include_str!("../../../../examples/e4/dirty.sqlite.sql");

/// What is found before anything is copied, by kind and place: one row each, and two checks of a column.
const ALL: [&str; 10] = [
    "dirty_broken_text agents.name",
    "dirty_check agents.agent_type",
    "dirty_check agents.status",
    "dirty_check tasks.priority",
    "dirty_reference tasks.assigned_agent_id",
    "dirty_too_long agents.model_provider",
    "dirty_too_long tasks.title",
    "dirty_unreadable agents.capabilities",
    "dirty_unreadable agents.created_at",
    "dirty_zero_character agents.system_prompt",
];

fn dirty() -> Move {
    let it = e4();
    it.from.script(DIRTY);
    it
}

/// The options of the example, and this.
fn with(policy: &str, kinds: Json) -> Json {
    let mut asked = options();
    asked["policy"] = json!(policy);
    asked["dirty"] = kinds;
    asked
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

/// The dirty rows that have arrived, as `old id: what was dirty in it`.
fn arrived(it: &Move) -> Vec<String> {
    it.list(
        "select old_id || ': ' || coalesce(case old_id
           when 'bad-type' then agent_type when 'bad-status' then status when 'bad-json' then capabilities::text
           when 'bad-time' then to_char(created_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')
           when 'zero' then system_prompt when 'latin' then name
           when 'provider' then left(model_provider, 3) || length(model_provider) end, 'null')
         from agents join sexton.ids on new_id = agents.id and source_table = 'agents' where old_id !~ '^(agent|6f1e)'
         union all
         select old_id || ': ' || coalesce(case old_id when 'long' then left(title, 3) || length(title) when 'priority' then priority
           when 'dangling' then (select name from agents where id = assigned_agent_id) end, 'null')
         from tasks join sexton.ids on new_id = tasks.id and source_table = 'tasks' where old_id !~ '^task' order by 1",
    )
}

/// What is said of rows that are kept aside.
const TYPE: &str = "agents rowid 4 agent_type: does not satisfy a condition of the table";
const STATUS: &str = "agents rowid 5 status: does not satisfy a condition of the table";
const DOCUMENT: &str = "agents rowid 6 capabilities: cannot be read as the column's type";
const TIME: &str = "agents rowid 7 created_at: cannot be read as the column's type";
const ZERO: &str = "agents rowid 8 system_prompt: holds a zero character";
const LATIN: &str = "agents rowid 9 name: is a text that is not UTF-8";
const PROVIDER: &str = "agents rowid 10 model_provider: is longer than the column";
const TITLE: &str = "tasks rowid 4 title: is longer than the column";
const NOBODY: &str = "tasks rowid 5 assigned_agent_id: refers to a row that is not there";
const PRIORITY: &str = "tasks rowid 6 priority: does not satisfy a condition of the table";

/// The rows that are kept aside, as `table key column: reason`.
fn aside(it: &Move) -> Vec<String> {
    if it.list("select count(*) from pg_class where relname = 'unloaded'") == ["0"] {
        return Vec::new();
    }
    it.list("select source_table || ' ' || source_key || ' ' || source_column || ': ' || reason from sexton.unloaded order by 1")
}

/// Runs it, and what holds under every policy: clean rows arrive, no row is lost, both sides are the same, now and when they are compared again.
fn ran(it: &Move, asked: Json) -> Report {
    let report = it.run(asked.clone());
    assert_eq!(report.status, Status::Partial, "{:?}", report.operations[0].errors);
    assert_eq!(
        it.list("select name from agents where name in ('Ada', 'Bob', 'Cy') order by 1"),
        ["Ada", "Bob", "Cy"]
    );
    assert_eq!(
        it.list("select count(*) from tasks where title like '%report' or title like 'Nobody%'"),
        ["3"]
    );
    let rows = it.list("select (select count(*) from agents) + (select count(*) from tasks)").concat();
    assert_eq!(rows.parse::<usize>().unwrap() + aside(it).len(), 16, "every row is somewhere");
    assert_eq!(report.operations[0].rows_failed, aside(it).len() as u64);
    let mut again = asked;
    again["action"] = json!("verify");
    for report in [&report, &it.run(again)] {
        assert!(
            !found(report).iter().any(|one| one.starts_with("differs")),
            "{:#?}",
            report.operations[0].findings
        );
    }
    report
}

#[test]
fn under_stop_nothing_is_copied_and_each_of_the_ten_is_named() {
    // S4-021, S4-022, S4-023, S4-024, S4-025, W-101, W-102, X-44
    let it = dirty();
    let plan = it.plan(with("stop", json!({})));
    assert_eq!(sorted(forbidden(&plan)), ALL);
    let told = format!("{:#?}", plan.items[0].findings);
    for sample in [
        "'intern' (rowid 4)",
        "'asleep' (rowid 5)",
        "'{bad' (rowid 6)",
        "'0000-00-00' (rowid 7)",
        "x'63e9' (rowid 9)",
        "'agent-99' (rowid 5)",
    ] {
        assert!(told.contains(sample), "{sample}: {told}");
    }
    assert_eq!(it.run(with("stop", json!({}))).status, Status::Refused);
    assert_eq!(it.list("select (select count(*) from agents) + (select count(*) from tasks)"), ["0"]);
}

#[test]
fn under_quarantine_the_ten_rows_are_kept_aside_whole() {
    // S4-021, S4-022, S4-023, S4-024, S4-025, W-101, W-102
    let it = dirty();
    let report = ran(&it, with("quarantine", json!({})));
    assert_eq!(arrived(&it), [""; 0]);
    assert_eq!(aside(&it), [PROVIDER, TYPE, STATUS, DOCUMENT, TIME, ZERO, LATIN, TITLE, NOBODY, PRIORITY]);
    let row = it.list("select row_data from sexton.unloaded where source_key = 'rowid 9'").concat();
    assert!(row.contains("63e9") && row.contains("chief_of_staff"), "{row}");
    // before it, and afterwards
    let kept = ["quarantine agents", "quarantine agents", "quarantine tasks", "quarantine tasks"];
    assert_eq!(sorted(found(&report)), [&ALL[..], &kept[..]].concat());
}

#[test]
fn under_null_what_may_be_null_becomes_it() {
    // W-101, W-102
    // a column that must have a value has no NULL to become
    let it = dirty();
    let plan = it.plan(with("null", json!({})));
    assert_eq!(
        sorted(forbidden(&plan)),
        ["dirty_broken_text agents.name", "dirty_check agents.agent_type", "dirty_too_long tasks.title"]
    );
    let mut asked = with("null", json!({"broken_text": "quarantine"}));
    asked["map"]["agents"]["columns"]["agent_type"] = json!({"dirty": {"check": "quarantine"}});
    asked["map"]["tasks"]["columns"]["title"] = json!({"dirty": {"too_long": "quarantine"}});
    ran(&it, asked);
    assert_eq!(
        arrived(&it),
        [
            "bad-json: null",
            "bad-status: null",
            "bad-time: null",
            "dangling: null",
            "priority: null",
            "provider: null",
            "zero: null"
        ]
    );
    assert_eq!(aside(&it), [TYPE, LATIN, TITLE]);
}

#[test]
fn under_truncate_what_is_too_long_is_cut_and_what_cannot_be_is_left_out() {
    // S4-025, W-101
    let it = dirty();
    let plan = it.plan(with("truncate", json!({})));
    assert_eq!(
        sorted(forbidden(&plan)),
        [
            "dirty_check agents.agent_type",
            "dirty_check agents.status",
            "dirty_check tasks.priority",
            "dirty_reference tasks.assigned_agent_id",
            "dirty_unreadable agents.capabilities",
            "dirty_unreadable agents.created_at",
        ],
        "of these nothing can be cut"
    );
    let kinds = json!({"check": "quarantine", "unreadable": "quarantine", "reference": "quarantine"});
    ran(&it, with("truncate", kinds));
    assert_eq!(arrived(&it), ["latin: c\u{fffd}", "long: ttt500", "provider: ppp100", "zero: ab"]);
    assert_eq!(aside(&it), [TYPE, STATUS, DOCUMENT, TIME, NOBODY, PRIORITY]);
}

#[test]
fn under_default_the_values_become_what_the_mapping_says() {
    // W-101
    let it = dirty();
    let mut asked = with("default", json!({"check": "quarantine", "reference": "quarantine"}));
    let columns = [
        ("agents", "name", json!("nameless")),
        ("agents", "created_at", json!("1970-01-01T00:00:00Z")),
        ("agents", "system_prompt", json!("none")),
        ("agents", "model_provider", json!("openrouter")),
        ("tasks", "title", json!("untitled")),
    ];
    // what has no default in the mapping stops
    assert_eq!(
        sorted(forbidden(&it.plan(asked.clone()))),
        [
            "dirty_broken_text agents.name",
            "dirty_too_long agents.model_provider",
            "dirty_too_long tasks.title",
            "dirty_unreadable agents.created_at",
            "dirty_zero_character agents.system_prompt",
        ]
    );
    for (table, column, default) in columns {
        asked["map"][table]["columns"][column] = json!({"default": default});
    }
    ran(&it, asked);
    assert_eq!(
        arrived(&it),
        [
            "bad-json: []",
            "bad-time: 1970-01-01 00:00",
            "latin: nameless",
            "long: unt8",
            "provider: ope10",
            "zero: none"
        ]
    );
    assert_eq!(aside(&it), [TYPE, STATUS, NOBODY, PRIORITY]);
}

#[test]
fn under_a_map_of_values_all_ten_arrive() {
    // S4-021, S4-022, S4-023, S4-024, S4-025, W-101, W-102
    let it = dirty();
    let mut asked = with("stop", json!({"broken_text": "truncate"}));
    let maps = [
        ("agents", "agent_type", json!({"intern": "chief_of_staff"})),
        ("agents", "status", json!({"asleep": "offline"})),
        ("agents", "capabilities", json!({"{bad": "[\"bad\"]"})),
        ("agents", "created_at", json!({"0000-00-00": null})),
        ("agents", "system_prompt", json!({"a\u{0}b": "a b"})),
        ("agents", "model_provider", json!({"p".repeat(101): "pp"})),
        ("tasks", "title", json!({"t".repeat(501): "tt"})),
        ("tasks", "priority", json!({"huge": "urgent"})),
        ("tasks", "assigned_agent_id", json!({"agent-99": "agent-1"})),
    ];
    for (table, column, values) in maps {
        asked["map"][table]["columns"][column]["values"] = values;
    }
    let plan = it.plan(asked.clone());
    assert_eq!(forbidden(&plan), [""; 0], "{:#?}", plan.items[0].findings);
    ran(&it, asked);
    assert_eq!(
        arrived(&it),
        [
            "bad-json: [\"bad\"]",
            "bad-status: offline",
            "bad-time: null",
            "bad-type: chief_of_staff",
            "dangling: Ada",
            "latin: c\u{fffd}",
            "long: tt2",
            "priority: urgent",
            "provider: pp2",
            "zero: a b",
        ]
    );
    assert_eq!(aside(&it), [""; 0]);
}
