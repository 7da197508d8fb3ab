//! Rows that refer to doomed ones: every policy, at every depth, and the way back.

use crate::stage::{Stage, both, codes, purge};
use engine::Status;
use serde_json::json;
use testkit::Place;

/// Four parents, two of them old; children of both; grandchildren of some.
fn family(on_delete: &str) -> String {
    format!(
        "create table parents (id integer primary key, old integer not null);
         create table children (id integer primary key, parent integer references parents (id) {on_delete}, note text);
         create index children_parent on children (parent);
         create table toys (id integer primary key, child integer not null references children (id) {on_delete});
         create index toys_child on toys (child);
         insert into parents values (1, 1), (2, 1), (3, 0), (4, 0);
         insert into children values (11, 1, 'a'), (12, 1, 'b'), (13, 2, 'c'), (14, 3, 'd'), (15, null, 'e');
         insert into toys values (111, 11), (112, 11), (113, 13), (114, 14);"
    )
}

#[test]
fn rows_with_dependants_are_refused_with_their_number() {
    // W-034
    for on_delete in ["", "on delete cascade", "on delete set null"] {
        both(&family(on_delete), &family(on_delete), |stage| {
            let before = stage.place.dump();
            let plan = stage.plan(json!({"table": "parents", "where": "old = 1"}));
            let found = plan.items[0].findings.iter().find(|finding| finding.code == "dependants").unwrap();
            assert!(found.what.contains("3 rows") && found.what.contains("children"), "{found:?}");
            assert!(!found.forcible && found.remedy.contains("cascade"));
            let report = stage.run(json!({"table": "parents", "where": "old = 1"}));
            assert_eq!(report.status, Status::Refused);
            assert_eq!(report.operations[0].errors.len(), 1, "{report:#?}");
            assert_eq!(stage.place.dump(), before);
            assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        });
    }
}

#[test]
fn a_cascade_takes_children_and_grandchildren_along_and_undo_brings_all_back() {
    // W-034, W-079
    for declared in ["", "on delete cascade"] {
        purge(json!({"table": "parents", "where": "old = 1", "dependants": "cascade"}))
            .given(move |place| place.script(&family(declared)))
            .after(|place, report| {
                let done = &report.operations[0];
                assert_eq!((done.rows_deleted, done.rows_dependent), (2, 6), "{report:#?}");
                assert_eq!(place.rows("select 1 from children").len(), 2);
                assert_eq!(place.rows("select 1 from toys").len(), 1);
            })
            .without_faults()
            .tell();
    }
}

#[test]
fn a_cascade_survives_a_death_at_every_point() {
    // S2-047, S3-052, S3-063, W-077
    purge(json!({"table": "parents", "where": "old = 1", "relations": [
        {"table": "children", "policy": "cascade"}, {"table": "toys", "policy": "cascade"}]}))
    .given(|place| place.script(&family("")))
    .meanwhile(|place| place.script("insert into parents values (9, 0); delete from parents where id = 9"))
    .tell();
}

#[test]
fn a_dry_run_promises_the_dependants_too() {
    // W-112, S1-045, S1-046
    both(&family(""), &family(""), |stage| {
        let options = json!({"table": "parents", "where": "old = 1", "dependants": "cascade"});
        let before = stage.place.dump();
        let engine = stage.engine();
        let mut request = stage.request(options.clone(), |_| {});
        request.dry_run = true;
        let dry = testkit::story::run(&engine, &testkit::story::plan(&engine, &request));
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        let real = stage.run(options);
        let (dry, real) = (&dry.operations[0], &real.operations[0]);
        assert!(dry.dry_run && !real.dry_run && dry.undo_id.is_none());
        assert_eq!(
            (dry.rows_deleted, dry.rows_dependent, dry.rows_matched, &dry.targets),
            (real.rows_deleted, real.rows_dependent, real.rows_matched, &real.targets)
        );
    });
}

#[test]
fn references_are_set_to_null_and_set_back() {
    // W-034
    purge(json!({"table": "parents", "where": "old = 1", "dependants": "set_null"}))
        .given(|place| place.script(&family("").replace("child integer not null", "child integer")))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_dependent, 3);
            assert_eq!(place.rows("select 1 from children where parent is null").len(), 4);
            assert_eq!(place.rows("select 1 from toys").len(), 4);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_reference_that_cannot_be_null_is_not_set_to_null() {
    let script = family("")
        .replace("parent integer references", "parent integer not null references")
        .replace(", (15, null, 'e')", "");
    both(&script, &script, |stage| {
        let plan = stage.plan(json!({"table": "parents", "where": "old = 1", "dependants": "set_null"}));
        assert!(codes(&plan).contains(&"not_null"), "{:?}", codes(&plan));
    });
}

#[test]
fn policies_differ_by_relation() {
    // one table refers twice, one key is composite, one relation is not declared at all
    let script = "
        create table orders (tenant integer, id integer, old integer, code text unique, primary key (tenant, id));
        create table items (id integer primary key, tenant integer, order_id integer, replaced_by integer,
          foreign key (tenant, order_id) references orders (tenant, id),
          foreign key (tenant, replaced_by) references orders (tenant, id));
        create index items_order on items (tenant, order_id);
        create index items_replaced on items (tenant, replaced_by);
        create table notes (id integer primary key, order_code text);
        create index notes_code on notes (order_code);
        insert into orders values (1, 1, 1, 'a'), (1, 2, 0, 'b'), (2, 1, 1, 'c'), (2, 2, 1, 'd'), (3, 1, 0, 'e');
        insert into items values (1, 1, 1, null), (2, 1, 2, 1), (3, 2, 1, 2), (4, 2, 2, 1), (5, 3, 1, null), (6, null, 1, 1);
        insert into notes values (1, 'a'), (2, 'a'), (3, 'b'), (4, null), (5, 'gone already');";
    purge(json!({"table": "orders", "where": "old = 1", "relations": [
        {"table": "items", "columns": ["tenant", "order_id"], "policy": "cascade"},
        {"table": "items", "columns": ["tenant", "replaced_by"], "policy": "set_null"},
        {"table": "notes", "columns": ["order_code"], "parent_columns": ["code"], "policy": "cascade"},
    ]}))
    .given(move |place| place.script(script))
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_deleted, 3);
        assert_eq!(place.rows("select 1 from items").len(), 3);
        assert_eq!(
            place.rows("select 1 from items where id = 2 and tenant is null and replaced_by is null").len(),
            1
        );
        assert_eq!(place.rows("select 1 from notes").len(), 3);
    })
    .without_faults()
    .tell();
    both(script, script, |stage| {
        let found = stage.plan(json!({"table": "orders", "where": "old = 1", "relations": [
            {"table": "notes", "columns": ["order_code"], "parent_columns": ["code"]}]}));
        let hanging: Vec<_> = found.items[0].steps[0]
            .dependants
            .iter()
            .map(|d| (d.table.as_str(), d.columns.len(), d.rows))
            .collect();
        assert_eq!(hanging, [("items", 2, 3), ("items", 2, 3), ("notes", 1, 2)]);
        let refusal = stage.refusal(json!({"table": "orders", "where": "old = 1", "relations": [
            {"table": "notes", "columns": ["order_cod"], "parent_columns": ["code"]}]}));
        assert!(refusal.contains("order_cod"), "{refusal}");
        let refusal = stage.refusal(json!({"table": "orders", "where": "old = 1", "relations": [
            {"table": "nots", "columns": ["order_code"], "parent_columns": ["code"]}]}));
        assert!(refusal.contains("nots") && refusal.contains("notes"), "{refusal}");
    });
}

/// A tree of folders: 1 is above 2 and 3, 2 above 4 and 5, 4 above 6.
const TREE: &str = "
    create table folders (id integer primary key, above integer references folders (id), old integer not null);
    create index folders_above on folders (above);
    insert into folders values (1, null, 0), (2, 1, 1), (3, 1, 0), (4, 2, 1), (5, 2, 0), (6, 4, 1), (7, 7, 1), (8, null, 1);";

#[test]
fn a_table_that_refers_to_itself_is_purged_from_the_leaves_up() {
    // 6 goes first, then 4; 2 stays because 5 stays; 7 refers to itself and so to nothing that stays
    purge(json!({"table": "folders", "where": "old = 1 and id <> 2"}))
        .given(|place| place.script(TREE))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 4, "{report:#?}");
            assert_eq!(place.rows("select 1 from folders where id in (1, 2, 3, 5)").len(), 4);
        })
        .manners(|manners| manners.batch_size = Some(1))
        .without_faults()
        .tell();
    both(TREE, TREE, |stage| {
        let plan = stage.plan(json!({"table": "folders", "where": "old = 1"}));
        assert!(codes(&plan).contains(&"dependants"), "5 stays and refers to 2");
    });
}

#[test]
fn a_cascade_in_one_table_takes_the_whole_tree_as_the_plan_says() {
    // W-112
    purge(json!({"table": "folders", "where": "old = 1", "dependants": "cascade"}))
        .given(|place| place.script(TREE))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 6, "{report:#?}");
            assert_eq!(place.rows("select 1 from folders").len(), 2);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_tree_can_also_be_cut_off() {
    purge(json!({"table": "folders", "where": "old = 1", "dependants": "set_null"}))
        .given(|place| place.script(TREE))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 5, "{report:#?}");
            assert_eq!(place.rows("select 1 from folders where id = 5 and above is null").len(), 1);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_large_tree_comes_back_whole_although_it_does_not_fit_into_one_batch() {
    // Children lie before their parents, so that each would come back before the row it refers to.
    for policy in ["restrict", "cascade"] {
        purge(json!({"table": "folders", "where": "old = 1", "dependants": policy}))
            .given(move |place| {
                place.script(
                    "create table folders (id integer primary key, above integer references folders (id), old integer not null);
                     create index folders_above on folders (above);",
                );
                place.script2(
                    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 12000)
                     insert into folders select 12001 - i, case when i > 9 then 12001 - i / 10 end, 1 from n;",
                    "insert into folders select 12001 - i, case when i > 9 then 12001 - i / 10 end, 1 from generate_series(1, 12000) i order by i desc;",
                );
            })
            .after(|place, report| {
                assert_eq!(report.operations[0].rows_deleted, 12_000);
                assert_eq!(place.rows("select 1 from folders").len(), 0);
            })
            .manners(|manners| manners.batch_size = Some(2_000))
            .without_faults()
            .tell();
    }
}

#[test]
fn a_circle_of_tables_is_refused() {
    both(
        "create table a (id integer primary key, b integer references b (id));
         create table b (id integer primary key, a integer references a (id));
         insert into a values (1, null); insert into b values (1, 1); update a set b = 1;",
        "create table a (id int primary key, b int); create table b (id int primary key, a int references a (id));
         alter table a add foreign key (b) references b (id);
         insert into a values (1, null); insert into b values (1, 1); update a set b = 1;",
        |stage| {
            let report = stage.run(json!({"table": "a", "where": "id = 1", "dependants": "cascade"}));
            assert_eq!(report.status, Status::Refused);
            assert!(report.operations[0].findings.iter().any(|finding| finding.code == "cycle"));
            let report = stage.run(json!({"table": "a", "where": "id = 1", "dependants": "set_null"}));
            assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 1), "{report:#?}");
            stage.undo(&report.run_id);
            assert_eq!(stage.number("select count(*) from a where b = 1"), 1);
            assert_eq!(stage.number("select count(*) from b where a = 1"), 1);
        },
    );
}

#[test]
fn children_reached_on_two_ways_go_once() {
    let script = "
        create table a (id integer primary key);
        create table b (id integer primary key, a integer references a (id));
        create table c (id integer primary key, a integer references a (id));
        create table d (id integer primary key, b integer references b (id), c integer references c (id));
        create index b_a on b (a); create index c_a on c (a); create index d_b on d (b); create index d_c on d (c);
        insert into a values (1), (2); insert into b values (1, 1), (2, 2); insert into c values (1, 1), (2, 2);
        insert into d values (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2), (5, null, null);";
    purge(json!({"table": "a", "where": "id = 1", "dependants": "cascade"}))
        .given(move |place| place.script(script))
        .after(|place, report| {
            assert_eq!((report.operations[0].rows_deleted, report.operations[0].rows_dependent), (1, 5));
            assert_eq!(place.rows("select 1 from d").len(), 2);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_child_without_an_index_is_warned_about() {
    // S3-051
    let script = family("").replace("create index children_parent on children (parent);", "");
    both(&script, &script, |stage| {
        let plan = stage.plan(json!({"table": "parents", "where": "old = 1", "dependants": "cascade"}));
        // S3-058: the index is named as a statement
        let found = plan.items[0].findings.iter().find(|finding| finding.code == "missing_index").unwrap();
        assert!(found.remedy.starts_with("create index ") && found.object.contains("children"), "{found:?}");
        let report = stage.run(json!({"table": "parents", "where": "old = 1", "dependants": "cascade"}));
        assert_eq!(report.status, Status::Completed);
        assert!(report.recommendations.iter().any(|advice| advice.starts_with("create index ")));
    });
}

#[test]
fn a_parent_with_more_children_than_fit_into_a_batch_is_done_in_several() {
    both(
        "create table p (id integer primary key); create table c (id integer primary key, p integer references p (id));
         create index c_p on c (p); insert into p values (1), (2);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) insert into c select i, 1 + i % 2 from n;",
        "create table p (id int primary key); create table c (id int primary key, p int references p (id));
         create index c_p on c (p); insert into p values (1), (2);
         insert into c select i, 1 + i % 2 from generate_series(1, 500) i;",
        |stage| {
            let before = stage.place.dump();
            let report = stage.run_with(
                json!({"table": "p", "where": "id > 0", "dependants": "cascade"}),
                |manners| manners.batch_size = Some(5),
            );
            let done = &report.operations[0];
            assert_eq!((done.rows_deleted, done.rows_dependent), (2, 500));
            assert!(done.batches > 5, "500 children in portions of 50: {}", done.batches);
            stage.undo(&report.run_id);
            assert_eq!(stage.place.dump(), before);
        },
    );
}

#[test]
fn a_key_that_is_null_hides_no_dependants() {
    // W-014: in SQLite a primary key of text may be NULL, and `not in` with a NULL among the values finds nothing
    let stage = Stage::new(Place::sqlite());
    stage.place.script(
        "create table t (id text primary key, above text references t (id), old integer);
         insert into t values (null, null, 1), ('a', null, 1), ('b', 'a', 0);",
    );
    let plan = stage.plan(json!({"table": "t", "where": "old = 1"}));
    assert!(codes(&plan).contains(&"dependants"), "b stays and refers to a: {:?}", codes(&plan));
}

#[test]
fn a_row_that_appears_below_a_doomed_one_after_the_plan_is_not_taken_along() {
    // W-034, W-123: whatever the foreign key would do by itself
    for on_delete in ["on delete cascade", "on delete set null", ""] {
        both(&family(on_delete), &family(on_delete), |stage| {
            stage.place.script("delete from toys; delete from children");
            let engine = stage.engine();
            let plan = testkit::story::plan(
                &engine,
                &stage.request(json!({"table": "parents", "where": "old = 1"}), |_| {}),
            );
            stage.place.script("insert into children values (20, 1, 'late')");
            let report = testkit::story::run(&engine, &plan);
            assert_eq!(report.operations[0].rows_deleted, 1, "{report:#?}");
            assert_eq!(stage.number("select count(*) from children where parent = 1"), 1);
        });
    }
}

#[test]
fn a_relation_is_applied_to_the_table_it_refers_to_and_to_no_other() {
    // toys refer to children; ids of parents and children overlap, and so do the numbers in `logs`
    let script = "
        create table parents (id integer primary key, old integer not null);
        create table children (id integer primary key, parent integer references parents (id));
        create index children_parent on children (parent);
        create table toys (id integer primary key, child integer references children (id));
        create index toys_child on toys (child);
        create table logs (id integer primary key, about integer);
        create index logs_about on logs (about);
        create table marks (id integer primary key, about integer);
        create index marks_about on marks (about);
        insert into parents values (1, 1), (2, 0), (3, 0);
        insert into children values (2, 1), (1, 2), (3, 3);
        insert into toys values (1, 1), (2, 2), (3, 3);
        insert into logs values (1, 1), (2, 2), (3, 3);
        insert into marks values (1, 1), (2, 2), (3, 3);";
    both(script, script, |stage| {
        let report = stage.run(json!({"table": "parents", "where": "old = 1", "relations": [
            {"table": "children", "policy": "cascade"},
            {"table": "toys", "columns": ["child"], "policy": "cascade"},
            {"table": "logs", "columns": ["about"], "policy": "cascade"},
            {"table": "marks", "parent": "children", "columns": ["about"], "policy": "cascade"},
        ]}));
        assert_eq!(report.operations[0].rows_deleted, 1, "{report:#?}");
        assert_eq!(stage.list("select id from children order by id"), ["1", "3"]);
        assert_eq!(stage.list("select id from toys order by id"), ["1", "3"]);
        assert_eq!(stage.list("select id from logs order by id"), ["2", "3"], "they refer to parents");
        assert_eq!(stage.list("select id from marks order by id"), ["1", "3"], "they refer to children");
        let refusal =
            stage.refusal(json!({"table": "parents", "where": "old = 1", "relations": [{"table": "logs"}]}));
        assert!(refusal.contains("declares no reference") && refusal.contains("columns"), "{refusal}");
    });
}

#[test]
fn trees_below_a_doomed_parent_go_whole_or_not_at_all() {
    // found by `identity`: only one level of a tree in a child table was handled
    let script = "
        create table shops (id integer primary key, old integer not null);
        create table boxes (id integer primary key, shop integer references shops (id), inside integer references boxes (id));
        create index boxes_shop on boxes (shop); create index boxes_inside on boxes (inside);
        insert into shops values (1, 1), (2, 0);
        insert into boxes values (1, 1, null), (2, null, 1), (3, null, 2), (4, null, 3), (5, 2, null), (6, 1, 5);";
    purge(json!({"table": "shops", "where": "old = 1", "dependants": "cascade"}))
        .given(move |place| place.script(script))
        .after(|place, report| {
            assert_eq!(
                (report.operations[0].rows_deleted, report.operations[0].rows_dependent),
                (1, 5),
                "{report:#?}"
            );
            assert_eq!(place.rows("select 1 from boxes where id = 5").len(), 1);
        })
        .without_faults()
        .tell();
    both(script, script, |stage| {
        let plan = stage.plan(json!({"table": "shops", "where": "old = 1", "relations": [
            {"table": "boxes", "columns": ["shop"], "policy": "cascade"}, {"table": "boxes", "columns": ["inside"], "policy": "restrict"}]}));
        assert!(codes(&plan).contains(&"dependants"), "{:?}", codes(&plan));
    });
}

#[test]
fn two_references_of_a_table_to_itself_are_both_followed() {
    // found by `identity`
    let script = "
        create table t (id integer primary key, a integer references t (id), b integer references t (id), old integer not null);
        create index t_a on t (a); create index t_b on t (b);
        insert into t values (1, null, null, 1), (2, 1, null, 0), (3, null, 2, 0), (4, 3, null, 0), (5, null, null, 0);";
    purge(json!({"table": "t", "where": "old = 1", "dependants": "cascade"}))
        .given(move |place| place.script(script))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 4, "{report:#?}");
            assert_eq!(place.rows("select 1 from t").len(), 1);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_ring_of_rows_is_left_and_told() {
    let script = "
        create table t (id integer primary key, next integer references t (id), old integer not null);
        create index t_next on t (next);
        insert into t values (1, 2, 1), (2, 3, 1), (3, 1, 1), (4, null, 1);";
    both(script, script, |stage| {
        let report = stage.run(json!({"table": "t", "where": "old = 1"}));
        assert_eq!(report.totals.deleted, 1);
        let found = report.operations[0].findings.iter().find(|finding| finding.code == "rows_held").unwrap();
        assert!(found.what.contains("3 rows") && found.remedy.contains("cascade"), "{found:?}");
        assert_eq!(
            stage.run(json!({"table": "t", "where": "old = 1", "dependants": "cascade"})).totals.deleted,
            3
        );
    });
}

#[test]
fn rows_that_refer_to_each_other_in_a_ring_are_not_promised() {
    // W-112: what a dry run shows is what the run does
    let script = "create table t (id integer primary key, other integer references t (id), old integer not null);
        create index t_other on t (other);
        insert into t values (1, null, 1), (2, null, 1), (3, null, 1), (4, null, 1), (5, 5, 1), (6, null, 0), (7, null, 1);
        update t set other = 2 where id = 1; update t set other = 3 where id = 2; update t set other = 2 where id = 3;
        update t set other = 7 where id = 3; update t set other = 2 where id = 7;";
    purge(json!({"table": "t", "where": "old = 1"}))
        .given(move |place| place.script(script))
        .after(|place, report| {
            // 2, 3 and 7 are a ring; 1 hangs on it and goes, 4 is alone, 5 refers to itself
            assert_eq!(report.operations[0].rows_matched, 3, "{report:#?}");
            assert_eq!(report.operations[0].rows_deleted, 3);
            assert_eq!(place.rows("select 1 from t where id in (2, 3, 7)").len(), 3);
            assert!(report.operations[0].findings.iter().any(|finding| finding.code == "ring"));
        })
        .tell();
    both(script, script, |stage| {
        let plan = stage.plan(json!({"table": "t", "where": "old = 1"}));
        assert!(plan.items[0].steps[0].exact && plan.items[0].steps[0].matched == 3);
        // what hangs on a ring is counted with it
        stage.place.script("create table c (t integer references t (id)); create index c_t on c (t); insert into c values (2), (4)");
        let plan = stage.plan(
            json!({"table": "t", "where": "old = 1", "relations": [{"table": "c", "policy": "cascade"}]}),
        );
        assert!(!plan.items[0].steps[0].exact, "{plan:#?}");
        // with set_null or cascade there is no ring that holds
        for policy in ["set_null", "cascade"] {
            let plan = stage.plan(json!({"table": "t", "where": "old = 1", "dependants": policy}));
            assert_eq!(plan.items[0].steps[0].matched, 6, "{policy}");
        }
    });
}

#[test]
fn where_rings_cannot_be_looked_for_the_count_is_an_estimate_and_says_why() {
    // W-112
    let stage = Stage::new(Place::sqlite());
    stage.place.script(
        "create table t (id integer primary key, other integer references t (id)); create index t_other on t (other);
         insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 100100)
         select i, i - 1 from n where i > 0;",
    );
    let plan = stage.plan(json!({"table": "t", "where": "1 = 1"}));
    assert!(!plan.items[0].steps[0].exact);
    let note = plan.items[0].findings.iter().find(|finding| finding.code == "ring").unwrap();
    assert!(note.what.contains("estimate") && !note.remedy.is_empty(), "{note:?}");
}
