//! What counts as a reference: every form in which an application may name a file.

use crate::files_kit::*;
use crate::stage::{Stage, codes};
use serde_json::{Value as Json, json};
use std::os::unix::fs::symlink;

/// One table with one column, and a store of a few files.
fn one_column(
    declared: (&str, &str),
    values: &[&str],
    form: &str,
    files: &[&str],
    test: impl Fn(&Stage, Json),
) {
    let create =
        |declared: &str| format!("create table rows (id bigint primary key, folder text, x {declared});");
    crate::stage::both(&create(declared.0), &create(declared.1), |stage| {
        let store = stage.workshop.store();
        for name in files {
            file(&store, name, 5);
        }
        settle(&store);
        for (n, value) in values.iter().enumerate() {
            let value = value.replace("STORE", &store.display().to_string()).replace('\'', "''");
            stage.place.script(&format!("insert into rows values ({n}, 'deep', '{value}')"));
        }
        test(
            stage,
            json!({"store": "store", "references": [{"table": "rows", "column": "x", "form": form, "within": "folder"}]}),
        );
    });
}

const TEXT: (&str, &str) = ("text", "text");

#[test]
fn the_same_file_is_met_as_relative_absolute_escaped_and_through_detours() {
    // W-018
    let names = [
        "a/1.png",
        "a/2.png",
        "a/3 ü.png",
        "a/4.png",
        "deep/5.png",
        "a/6.png",
        "a/7.png",
        "a/8.png",
        "a/lost.png",
    ];
    let said = [
        "a/1.png",
        "STORE/a/2.png",
        "a/3%20%C3%BC.png",
        "STORE/../store/./a//4.png/",
        "5.png",
        "file://STORE/a/6.png",
        "https://cdn.example.org/files/a/7.png?size=2#top",
        "a\\8.png",
    ];
    one_column(TEXT, &said, "auto", &names, |stage, mut options| {
        options["prefixes"] = json!(["https://cdn.example.org/files/"]);
        let plan = stage.plan_files(options);
        assert_eq!(all_found(&plan), ["a/lost.png"]);
        assert_eq!(result(&plan)["missing_count"], 0, "{:?}", result(&plan));
    });
}

#[test]
fn a_file_that_is_named_through_a_link_is_not_a_finding_and_links_are_never_followed() {
    // W-018, W-023
    one_column(
        TEXT,
        &["STORE-link/a/1.png", "alias/2.png", "a/3-link.png"],
        "path",
        &["a/1.png", "real/2.png", "a/3.png", "a/lost.png"],
        |stage, options| {
            let store = stage.workshop.store();
            let outside = stage.workshop.folder().join("outside");
            file(&outside, "secret.png", 9);
            symlink(&store, stage.workshop.folder().join("store-link")).unwrap();
            symlink(store.join("real"), store.join("alias")).unwrap();
            symlink("3.png", store.join("a/3-link.png")).unwrap();
            symlink(&outside, store.join("out")).unwrap();
            settle(&store);
            let plan = stage.plan_files(options.clone());
            assert_eq!(all_found(&plan), ["a/lost.png"], "{:#?}", plan.items[0].findings);
            let unknown = result(&plan)["unknown"].to_string();
            for link in ["alias", "a/3-link.png", "out"] {
                assert!(unknown.contains(link), "{link} is not told: {unknown}");
            }
            assert_eq!(result(&plan)["statistics"]["total_size"], 20, "sizes followed a link");
            let report = stage.run_planned(&plan);
            assert_eq!(report.operations[0].rows_deleted, 1);
            assert!(outside.join("secret.png").is_file());
        },
    );
}

#[test]
fn what_leads_out_of_the_store_means_nothing_here() {
    // W-018, W-023
    let said = [
        "../a/1.png",
        "a/../../a/1.png",
        "/etc/passwd",
        "https://elsewhere.example/a/1.png",
        "STORE/../a/1.png",
        "a/2.png",
    ];
    one_column(TEXT, &said, "path", &["a/1.png", "a/2.png"], |stage, mut options| {
        options["references"][0]["within"] = Json::Null;
        let plan = stage.plan_files(options);
        assert_eq!(all_found(&plan), ["a/1.png"]);
        assert!(codes(&plan).contains(&"elsewhere"));
    });
}

#[test]
fn json_is_searched_at_any_depth() {
    // W-019
    let said = [
        r#"{"x": {"y": [["a/1.png"], {"z": "a/2.png"}]}, "n": 7, "none": null}"#,
        r#"["a/3.png"]"#,
        r#""a/4.png""#,
        r#"{"twice": "[\"a/5.png\"]", "a/6.png": true}"#,
    ];
    let names = ["a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/5.png", "a/6.png", "a/lost.png"];
    for declared in [("json", "jsonb"), TEXT] {
        one_column(declared, &said, "auto", &names, |stage, options| {
            assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
        });
    }
}

#[test]
fn arrays_of_the_database_are_searched() {
    let names = ["a/1.png", "a/2, b.png", "a/lost.png"];
    for (declared, said) in [
        (("text", "text[]"), r#"{"a/1.png","a/2, b.png"}"#),
        (("text", "text[][]"), r#"{{"a/1.png"},{"a/2, b.png"}}"#),
    ] {
        one_column(declared, &[said], "auto", &names, |stage, mut options| {
            if stage.place.is_sqlite() {
                stage.place.script(r#"update rows set x = '["a/1.png", ["a/2, b.png"]]'"#);
                options["references"][0]["form"] = "json".into();
            }
            assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
        });
    }
}

#[test]
fn paths_inside_a_text_are_met() {
    let said = "See ![a](a/1.png), <img src=\"/uploads/a/2.png?w=3\">, and a/3.png.";
    let names = ["a/1.png", "a/2.png", "a/3.png", "a/lost.png"];
    one_column(TEXT, &[said], "text", &names, |stage, mut options| {
        options["prefixes"] = json!(["/uploads"]);
        assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
    });
}

#[test]
fn files_that_are_named_after_a_checksum_are_met_whatever_their_folders() {
    let said = ["DEADBEEF01", "sha256:deadbeef02", "deadbeef03"];
    let names = ["de/ad/beef01.bin", "x/deadbeef02", "x/y/deadbeef03.tar.gz", "x/deadbeef04"];
    one_column(TEXT, &said, "hash", &names, |stage, options| {
        assert_eq!(all_found(&stage.plan_files(options)), ["x/deadbeef04"]);
    });
    one_column(("blob", "bytea"), &[], "hash", &names, |stage, options| {
        stage.place.script2(
            "insert into rows values (9, '', x'deadbeef01'), (8, '', x'deadbeef02'), (7, '', x'deadbeef03')",
            r"insert into rows values (9, '', '\xdeadbeef01'), (8, '', '\xdeadbeef02'), (7, '', '\xdeadbeef03')",
        );
        assert_eq!(all_found(&stage.plan_files(options)), ["x/deadbeef04"]);
    });
}

#[test]
fn files_can_be_named_by_their_last_part() {
    one_column(TEXT, &["1.png"], "name", &["a/b/1.png", "a/lost.png"], |stage, options| {
        assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
    });
}

#[test]
fn a_row_that_refers_to_a_folder_keeps_what_is_in_it() {
    one_column(TEXT, &["a/album"], "path", &["a/album/deep/1.png", "a/lost.png"], |stage, options| {
        assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
    });
}

#[test]
fn rows_whose_file_is_missing_are_told() {
    // W-024
    both(|stage| {
        std::fs::remove_file(stage.workshop.store().join("planner-1/variables/a.pkl")).unwrap();
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(result(&plan)["missing_files"], json!(["planner-1/variables/a.pkl"]));
        let finding = plan.items[0].findings.iter().find(|finding| finding.code == "missing_files").unwrap();
        assert!(finding.object.ends_with("planners.variable_file_paths"), "{finding:?}");
    });
}

#[test]
fn a_column_that_does_not_exist_is_an_error_and_not_an_empty_set() {
    both(|stage| {
        let mut options = options(json!({}));
        options["references"][0]["column"] = "variable_paths".into();
        let engine = stage.engine();
        let request = testkit::story::request("files", options, crate::stage::manners(), false);
        let error = crate::stage::shown(&engine.plan(&request).unwrap_err());
        assert!(error.contains("variable_paths") && error.contains("help:"), "{error}");
    });
}

#[test]
fn a_list_that_is_no_json_still_keeps_what_it_names() {
    // Python's way of writing a list, half a document, one that is too deep, a name given twice
    let deep = format!("{}\"a/3.png\"{}", "[".repeat(300), "]".repeat(300));
    let said = [
        "['a/1.png', None]",
        r#"{"x": "a/2.png", "y"#,
        deep.as_str(),
        r#"{"x": "a/4.png", "x": "a/5.png"}"#,
        "(7,a/6.png)",
    ];
    let names = ["a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/5.png", "a/6.png", "a/lost.png"];
    one_column(TEXT, &said, "auto", &names, |stage, options| {
        assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
    });
}

#[test]
fn what_was_said_to_be_json_and_is_not_forbids_every_removal() {
    // W-021
    for said in ["a/1.png", "null,{\"x\": \"a/1.png\"}", "{'x': 'a/1.png'}"] {
        one_column(TEXT, &[said, "[\"a/2.png\"]"], "json", &["a/2.png", "a/lost.png"], |stage, options| {
            let plan = stage.plan_files(options);
            assert!(codes(&plan).contains(&"broken_references"), "{said}: {:?}", codes(&plan));
        });
    }
    one_column(TEXT, &["", "7", "[\"a/1.png\"]"], "json", &["a/1.png"], |stage, options| {
        assert!(!codes(&stage.plan_files(options)).contains(&"broken_references"));
    });
}

#[test]
fn bytes_in_a_column_of_texts_are_read_as_a_text_or_forbid_every_removal() {
    one_column(TEXT, &["a/1.png"], "auto", &["a/1.png", "a/2.png", "a/lost.png"], |stage, options| {
        if stage.place.is_sqlite() {
            stage.place.script("insert into rows values (8, '', cast('a/2.png' as blob))");
            assert_eq!(all_found(&stage.plan_files(options.clone())), ["a/lost.png"]);
            // JSON in SQLite's own binary form
            stage.place.script("insert into rows values (9, '', jsonb('[\"a/lost.png\"]'))");
            assert!(codes(&stage.plan_files(options)).contains(&"broken_references"));
        }
    });
}

#[test]
fn an_array_whose_numbers_begin_elsewhere_is_searched_too() {
    one_column(("text", "text[]"), &[], "auto", &["a/1.png", "a/lost.png"], |stage, options| {
        stage.place.script2(
            "insert into rows values (1, '', '[\"a/1.png\"]')",
            "insert into rows values (1, '', '[3:4]={a/1.png,NULL}')",
        );
        assert_eq!(all_found(&stage.plan_files(options)), ["a/lost.png"]);
    });
}
