//! Stories of `compact`: the cheapest cure, what is left as it was, which column is written again, what moves and what does not.

use crate::stage::{Stage, both, codes, manners, shown};
use engine::{Plan, Report, Severity, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

/// Half of the rows are gone, all over the table; nobody else vacuums it.
pub const SERVER: &str =
    "create table t (id integer primary key, n integer, a text) with (autovacuum_enabled = false);
    create index t_a on t (a);
    insert into t select i, i % 10, 'text of the row ' || i from generate_series(1, 40000) i;
    delete from t where id % 2 = 0;";
const LITE: &str = "create table t (id integer primary key, n integer, a text); create index t_a on t (a);
    insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 40000)
    select i, i % 10, 'text of the row ' || i from c; delete from t where id > 20000;";

pub fn plan(stage: &Stage, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request("compact", options, manners(), false))
}

pub fn run(stage: &Stage, options: Json) -> (Report, Json) {
    let report = story::run(&stage.engine(), &plan(stage, options));
    let result = report.operations[0].result.clone().unwrap_or_default();
    (report, result)
}

pub fn pages(stage: &Stage, table: &str) -> i64 {
    stage.number(&format!("select pg_relation_size('{table}') / 8192"))
}

fn actions(plan: &Plan) -> Vec<String> {
    plan.items[0].steps.iter().map(|step| format!("{} {}", step.action, step.object)).collect()
}

#[test]
fn a_table_that_is_half_empty_becomes_half_as_large_and_no_value_changes() {
    // S1-073, W-050: without an exclusive lock and without an extension
    both(LITE, SERVER, |stage| {
        let before = stage.place.dump();
        let bytes = |stage: &Stage| match stage.place.is_sqlite() {
            true => stage.number("select page_count * page_size from pragma_page_count, pragma_page_size"),
            false => stage.number("select pg_table_size('t')"),
        };
        let size = bytes(stage);
        let plan = plan(stage, json!({"tables": ["t"]}));
        assert_eq!(stage.place.dump(), before, "planning changed something");
        assert!(!plan.items[0].transactional && plan.items[0].expected_seconds.is_some());
        assert_eq!(plan.items[0].operation.severity, Severity::Low);
        assert_eq!(plan.items[0].undo, engine::Undo::NotNeeded);
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let result = report.operations[0].result.clone().unwrap();
        assert_eq!(stage.place.dump(), before, "a value changed");
        assert!(bytes(stage) * 100 < size * 62, "{size} is now {}: {result}", bytes(stage));
        assert!(result["bytes_freed"].as_u64().unwrap() as i64 > size * 35 / 100, "{result}");
        assert!(result["others_waited_seconds"].as_f64().is_some(), "{result}");
        if !stage.place.is_sqlite() {
            let moved = result["rows_moved"].as_u64().unwrap();
            assert!((9_000..12_000).contains(&moved), "{result}");
            assert!(plan.matched().abs_diff(moved) < 1_500, "{} planned, {moved} moved", plan.matched());
            let step = &plan.items[0].steps[0];
            assert!(
                step.facts.iter().any(|(name, value)| name == "undo" && value.contains("no value changes"))
            );
            assert!(step.statements[1].contains("set \"n\" = t.\"n\""), "{:?}", step.statements);
            // Clean, with statistics, and nothing to do the next time.
            stage.place.wait_for_figures();
            let clean =
                "select count(*) from pg_stat_user_tables where relname = 't' and last_analyze is not null";
            assert_eq!(stage.number(clean), 1);
            assert_eq!(codes(&self::plan(stage, json!({"tables": ["t"]}))), ["reusable"]);
        }
        assert_eq!(self::plan(stage, Json::Null).items[0].steps.len(), 0);
    });
}

#[test]
fn each_table_gets_the_cheapest_cure() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table fresh (id int, a text); insert into fresh select i, md5(i::text) from generate_series(1, 20000) i;
         create table tail (id int, a text) with (autovacuum_enabled = false); insert into tail select i, md5(i::text) from generate_series(1, 20000) i;
         delete from tail where id > 5000;
         create table mixed (id int, a text) with (autovacuum_enabled = false); insert into mixed select i, md5(i::text) from generate_series(1, 20000) i;
         delete from mixed where id % 3 > 0",
    );
    let low = json!({"at_least_mb": 0});
    let plan = plan(&stage, low.clone());
    // Before 14 nobody can read a range of pages, so the end is not looked at.
    let end_is_seen = stage.place.version() >= 14;
    let tail = if end_is_seen { "cut_off tail" } else { "compact tail" };
    assert_eq!(actions(&plan), [tail, "compact mixed"].map(str::to_owned), "what gives most comes first");
    let why = &plan.items[0].steps[0].facts[0].1;
    assert_eq!(why.contains("at the end are empty"), end_is_seen, "{why}");
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(pages(&stage, "tail") < 45 && pages(&stage, "mixed") < 65, "{report:#?}");
    assert_eq!(actions(&self::plan(&stage, low)), Vec::<String>::new());
    // Above neither limit: for new rows.
    assert_eq!(
        actions(&self::plan(&stage, json!({"at_least_mb": 0, "if_bloat_over": 95}))),
        Vec::<String>::new()
    );
}

#[test]
fn triggers_are_never_touched_silently() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage.place.script(
        "create function touch() returns trigger language plpgsql as $$ begin new.n := 99; return new; end $$;
         create trigger touch before update on t for each row execute function touch()",
    );
    let before = stage.place.dump();
    let refused = plan(&stage, json!({"tables": ["t"]}));
    assert_eq!((codes(&refused), actions(&refused).len()), (vec!["trigger"], 0));
    assert!(refused.items[0].findings[0].remedy.contains("silence"), "{refused:?}");
    // This user may not.
    let unable = plan(&stage, json!({"tables": ["t"], "triggers": "silence"}));
    assert_eq!((codes(&unable), actions(&unable).len()), (vec!["trigger"], 0));
    let admin = stage.workshop.also_at(stage.place.admin_database());
    let request =
        story::request("compact", json!({"tables": ["t"], "triggers": "silence"}), manners(), false);
    let silent = story::plan(&admin, &request);
    let statements = &silent.items[0].steps[0].statements;
    assert!(statements.iter().any(|one| one.contains("session_replication_role")), "{statements:?}");
    let report = story::run(&admin, &silent);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.place.dump(), before, "the trigger fired");
    assert!(pages(&stage, "t") < 190);
    // What fires all the same is never silenced.
    stage.place.script("alter table t enable always trigger touch; insert into t select i, 1, 'more of the text ' || i from generate_series(50001, 90000) i; delete from t where id % 4 > 0");
    let always = story::plan(&admin, &request);
    assert_eq!((codes(&always), actions(&always).len()), (vec!["trigger"], 0));
    assert!(always.items[0].findings[0].what.contains("also when"), "{always:?}");
    // A trigger on another column than the one that is written does not fire.
    stage.place.script("drop trigger touch on t; create trigger touch before update of n on t for each row execute function touch()");
    let other = story::plan(&admin, &story::request("compact", json!({"tables": ["t"]}), manners(), false));
    assert!(other.items[0].steps[0].statements.iter().any(|one| one.contains("set \"id\"")), "{other:?}");
    let before = stage.place.dump();
    let report = story::run(&admin, &other);
    assert_eq!((report.status, stage.place.dump() == before), (Status::Completed, true), "{report:#?}");
}

#[test]
fn rules_of_every_sort_of_table_hold() {
    // Generated and identity columns, references both ways, partitions, large values, domains, deferred and unique keys.
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table parent (id int primary key, a text) with (autovacuum_enabled = false);
         create table t (id int generated always as identity primary key, up int, code text unique deferrable initially deferred,
           big text, twice int generated always as (up * 2) stored, gone int, parent int not null references parent (id)) with (autovacuum_enabled = false);
         alter table t alter big set storage external;
         alter table t add foreign key (up) references t (id);
         insert into parent select i, md5(i::text) from generate_series(1, 3000) i;
         insert into t (up, code, big, gone, parent)
         select null, 'c' || i, case when i % 50 = 0 then repeat('b', 5000) end, i, 1 + i % 1000 from generate_series(1, 9000) i;
         update t set up = 1 where id % 3 = 1 and id > 1;
         alter table t drop column gone; alter table t add column late int default 7;
         delete from t where id % 3 = 0; delete from parent where id % 2 = 0 and id > 1000;
         create table p (id int, k int, a text) partition by list (k);
         create table p1 partition of p for values in (1) with (autovacuum_enabled = false);
         create table p2 partition of p for values in (2) with (autovacuum_enabled = false);
         insert into p select i, 1 + i % 2, md5(i::text) from generate_series(1, 12000) i; delete from p where id % 5 < 2",
    );
    let before = stage.place.dump();
    let (report, result) = run(&stage, json!({"tables": ["t", "parent", "p"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.place.dump(), before, "a value changed");
    assert!(result["rows_moved"].as_u64().unwrap() > 2_000, "{result}");
    for (table, most) in [("t", 90), ("parent", 20), ("p1", 38), ("p2", 38)] {
        assert!(pages(&stage, table) <= most, "{table} has {} pages: {result}", pages(&stage, table));
    }
    // Every rule still holds.
    assert!(stage.place.try_script("insert into t (parent) values (4000)").is_err());
    assert!(stage.place.try_script("insert into t (parent, code) values (1, 'c1')").is_err());
    assert!(stage.place.try_script("delete from parent where id = 2").is_err());
}

#[test]
fn what_cannot_be_moved_is_left_out_with_the_reason() {
    let stage = Stage::new(Place::postgres());
    let table = |name: &str, more: &str| {
        format!(
            "create table {name} (id int, a text) with (autovacuum_enabled = false);
             insert into {name} select i, md5(i::text) from generate_series(1, 5000) i; delete from {name} where id % 2 = 0; {more};"
        )
    };
    let all = [
        (
            "unproved",
            table("unproved", "alter table unproved add constraint short check (length(a) < 5) not valid"),
        ),
        ("identity", table("identity", "create publication news for table identity")),
        ("permission", table("permission", "")),
        (
            "row_security",
            table(
                "row_security",
                "alter table row_security enable row level security; alter table row_security force row level security; create policy few on row_security using (id < 100)",
            ),
        ),
    ];
    for (_, script) in &all {
        stage.place.admin_script(script);
    }
    let user = stage.place.rows("select current_user::text")[0][0].as_text().unwrap().to_owned();
    for (name, _) in all.iter().filter(|(name, _)| *name != "permission") {
        stage.place.admin_script(&format!("alter table {name} owner to \"{user}\""));
    }
    stage.place.admin_script(&format!("grant select on permission to \"{user}\""));
    for (code, _) in &all {
        let plan = plan(&stage, json!({"tables": [code]}));
        // Who sees only some of the rows cannot even measure it.
        let wanted = if *code == "row_security" { "unmeasured" } else { code };
        assert_eq!((codes(&plan), actions(&plan).len()), (vec![wanted], 0), "{code}: {plan:#?}");
    }
    stage.place.admin_script("alter table identity replica identity full");
    let sent = plan(&stage, json!({"tables": ["identity"]}));
    assert_eq!((codes(&sent), actions(&sent)), (vec!["sent"], vec!["compact identity".to_owned()]));
    assert!(sent.items[0].findings[0].what.contains("news"), "{sent:?}");
    let (report, _) = run(&stage, json!({"tables": ["identity"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
}

#[test]
fn options_without_sense_are_refused_with_what_is_usual() {
    let stage = Stage::new(Place::sqlite());
    for (options, wanted) in [
        (json!({"if_bloat_over": 100}), "20 is usual"),
        (json!({"tabels": []}), "sexton help compact"),
        (json!({"triggers": "fire"}), "sexton help compact"),
    ] {
        let request = story::request("compact", options, manners(), false);
        let said = match stage.engine().plan(&request) {
            Ok(plan) => format!("{:?}", plan.items[0].failed.as_ref().expect("it was planned")),
            Err(failure) => shown(&failure),
        };
        assert!(said.contains(wanted), "{said}");
    }
}
