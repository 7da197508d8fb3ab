//! Example E3, run as its users run it, on both databases.

use crate::kit::Desk;
use testkit::Place;

/// The example on both databases, each at a desk of its own.
fn on_both(test: impl Fn(&Desk)) {
    for place in [Place::sqlite(), Place::postgres()] {
        place.script2(
            include_str!("../../../../examples/e3/schema.sqlite.sql"),
            include_str!("../../../../examples/e3/schema.postgres.sql"),
        );
        place.script2(
            include_str!("../../../../examples/e3/seed.sqlite.sql"),
            include_str!("../../../../examples/e3/seed.postgres.sql"),
        );
        let url = place.url();
        let mut desk = Desk::at(place);
        desk.set("E3_DATABASE", &url);
        desk.write("sexton.toml", include_str!("../../../../examples/e3/sexton.toml"));
        test(&desk);
    }
}

#[test]
fn check_clean_verify_and_put_back() {
    // S3-003, S3-011, S3-013, S3-027, S3-028, S3-029, S3-031, S3-032, S3-062, R4, R5a, R5b
    on_both(|desk| {
        let before = desk.sexton("digest").ends(0).stdout;
        let check = desk.sexton("run check --output json").ends(5).json();
        assert_eq!(check["check"]["total"], 9);
        assert_eq!(check["check"]["alert"], true);
        assert_eq!(check["check"]["duplicates"][0]["count"], 3);
        let verified = desk.sexton("run verify --output json").ends(5).json();
        assert_eq!(verified["verify"]["ok"], false);
        let dry = desk.sexton("run cleanup --dry-run --output json").ends(0).json();
        assert_eq!(desk.sexton("digest").ends(0).stdout, before, "looking changed something");

        let report = desk.sexton("run cleanup --yes --output json").ends(0).json();
        let figures = [
            "applications_found",
            "applications_cleaned",
            "folders_merged",
            "folders_moved",
            "folders_removed",
            "documents_moved",
            "documents_renamed",
        ];
        for figure in figures.iter().filter(|figure| **figure != "applications_cleaned") {
            assert_eq!(dry["cleanup"][figure], report["cleanup"][figure], "{figure}");
        }
        assert_eq!(report["cleanup"]["applications_cleaned"], 9);
        assert_eq!(report["cleanup"]["folders_removed"], 22);
        desk.sexton("run check").ends(0);
        let verified = desk.sexton("run verify --output json").ends(5).json();
        let left = verified["verify"]["findings"].as_array().unwrap();
        assert!(left.iter().all(|one| one["type"] == "constraint_missing"), "{left:?}");

        let id = report["cleanup"]["results"][0]["rollback_id"].as_str().unwrap().to_owned();
        let listed = desk.sexton("undo list").ends(0).stdout;
        assert!(listed.contains(&id) && listed.contains("cleanup: 2"), "{listed}");
        desk.sexton(&format!("undo apply {id}")).ends(0);
        desk.sexton(&format!("undo apply {id}")).ends(2);
        desk.sexton("undo apply zzzz-4").ends(2);
        let check = desk.sexton("run check --output json").ends(0).json();
        assert_eq!(
            (
                &check["check"]["total"],
                &check["check"]["duplicates"][0]["application_id"].to_string().trim_matches('"')
            ),
            (&1.into(), &"2")
        );
        let run = id.split('-').next().unwrap();
        desk.sexton(&format!("undo apply {run}")).ends(0);
        assert_eq!(desk.sexton("digest").ends(0).stdout, before, "the undo did not give back what was there");
        desk.sexton("undo release").ends(0);
        desk.sexton("undo drop --all --yes").ends(0);
    });
}

#[test]
fn the_statistics_are_those_of_the_run_log() {
    // S3-025, S3-030, R5, W-076, W-114, X-46
    on_both(|desk| {
        let none = desk.sexton("status cleanup --output json").ends(0).json();
        assert_eq!((&none["running"], &none["statistics"]["total_runs"]), (&false.into(), &0.into()));
        assert_eq!(none["statistics"]["success_rate"], serde_json::Value::Null);
        desk.sexton("run cleanup --dry-run").ends(0);
        desk.sexton("run cleanup --yes --set cleanup.max_scopes=4").ends(0);
        desk.sexton("run cleanup --yes").ends(0);
        let two = &desk.sexton("status cleanup --output json").ends(0).json()["statistics"];
        assert_eq!(
            (&two["total_runs"], &two["successful_runs"], &two["failed_runs"]),
            (&2.into(), &2.into(), &0.into())
        );
        assert_eq!((&two["applications_cleaned"], &two["folders_removed"]), (&9.into(), &22.into()));
        assert_eq!(two["success_rate"], 1.0);
        let said = desk.sexton("status").ends(0).stdout;
        assert!(said.contains("22 folders removed") && said.contains("never"), "{said}");
        desk.sexton("status clean").ends(2);
        // what is measured does not add up
        desk.sexton("run check").ends(0);
        desk.sexton("run check").ends(0);
        let looked = &desk.sexton("status check --output json").ends(0).json()["statistics"];
        assert_eq!((&looked["total_runs"], &looked["threshold"]), (&2.into(), &5.into()));
    });
}

#[test]
fn the_limit_of_a_run_leaves_the_rest_to_the_next() {
    // S3-019, S3-020
    on_both(|desk| {
        desk.sexton("run cleanup --yes --set cleanup.max_scopes=4").ends(0);
        let rest = desk.sexton("run cleanup --yes --output json").ends(0).json();
        assert_eq!(rest["cleanup"]["applications_cleaned"], 5);
    });
}
