//! The file store of E0 at the command line: what is shown, what is done, what comes back.

use crate::kit::Desk;

#[test]
fn the_example_only_reports_until_it_is_told_to_act() {
    // S0-041, S0-052, S0-058, S0-098
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let config = "--config e0/sexton.toml";
    let dry = desk.sexton(&format!("run cleanup-files --yes --output json {config}")).ends(0).json();
    let dry = &dry["cleanup-files"];
    assert_eq!(dry["rows_deleted"], 0);
    assert_eq!(dry["cleanup"]["removed_directories"].as_array().unwrap().len(), 3);
    assert!(desk.file("e0/collaterals/planner-301").is_dir());
    let act = format!("run cleanup-files --set dry_run=false --yes {config}");
    let preview = desk.sexton(&format!("{act} --dry-run --output json")).ends(0).json();
    assert_eq!(preview["cleanup-files"]["rows_deleted"], 7);
    assert!(desk.file("e0/collaterals/planner-301").is_dir());

    let wet = desk.sexton(&act).ends(0);
    assert!(wet.shown().contains("7 files and folders in 4 batches, 691.8 kB"), "{}", wet.shown());
    assert!(!desk.file("e0/collaterals/planner-301").exists());
    assert!(desk.file("e0/collaterals/planner-2/variables/input.pkl").is_file(), "W-019");
    let told = desk.sexton(&format!("undo show latest {config}")).ends(0);
    assert!(
        told.stdout.contains("the file planner-5/images/chart-old.b64 in collaterals, 65.5 kB"),
        "{}",
        told.stdout
    );
    desk.sexton(&format!("undo latest --yes {config}")).ends(0);
    assert!(desk.file("e0/collaterals/planner-301/images/deep/chart.b64").is_file());
    desk.sexton(&format!("undo release {config}")).ends(0);
    let again = desk.sexton(&format!("{act} --output json")).ends(0).json();
    for key in ["orphans", "cleanup", "missing_files"] {
        assert_eq!(again["cleanup-files"][key], dry[key], "S0-055: `{key}` differs from the report");
    }
}

#[test]
fn the_plan_of_files_names_classes_sizes_and_the_largest() {
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let plan = desk.sexton("plan cleanup-files --config e0/sexton.toml").ends(0).shown().to_owned();
    for wanted in [
        "7 files and folders in collaterals",
        "planner-303 (192.1 kB)",
        "`planner-30/variables/table.pkl`",
        "`lost+found`",
    ] {
        assert!(plan.contains(wanted), "no {wanted} in\n{plan}");
    }
}

#[test]
fn the_learning_platform_names_its_uploads() {
    // S2-010
    let mut desk = Desk::empty();
    desk.sexton("example e2 e2").ends(0);
    desk.set("E2_DATABASE", "app.db");
    desk.sexton("config check --config e2/sexton.toml").ends(0);
}
