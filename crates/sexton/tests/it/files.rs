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
    let looked = desk.sexton(&format!("run cleanup-files --yes {config}")).ends(0);
    assert!(
        looked.shown().contains("3 folders and 4 files (691.8 kB) would go; nothing was changed"),
        "{}",
        looked.shown()
    );
    let acting = desk.sexton(&format!("plan cleanup-files --set dry_run=false {config}")).ends(0);
    assert!(acting.stdout.contains("not known before its first run"), "W-114: {}", acting.stdout);
    let preview = desk.sexton(&format!("{act} --dry-run --output json")).ends(0).json();
    assert_eq!(preview["cleanup-files"]["rows_deleted"], 7);
    assert!(desk.file("e0/collaterals/planner-301").is_dir());

    let wet = desk.sexton(&act).ends(0);
    // S0-058
    assert!(wet.shown().contains("3 folders and 4 files in 4 batches, 691.8 kB"), "{}", wet.shown());
    assert!(!desk.file("e0/collaterals/planner-301").exists());
    assert!(desk.file("e0/collaterals/planner-2/variables/input.pkl").is_file(), "W-019");
    let told = desk.sexton(&format!("undo show latest {config}")).ends(0);
    assert!(
        told.stdout.contains("the file planner-5/images/chart-old.b64 in collaterals, 65.5 kB"),
        "{}",
        told.stdout
    );
    let back = desk.sexton(&format!("undo latest --yes {config}")).ends(0);
    assert!(back.shown().contains("7 files and folders put back in 1 batch"), "{}", back.shown());
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
        "3 folders and 4 files in collaterals",
        "planner-303 (192.1 kB)",
        "`planner-30/variables/table.pkl`",
        "`lost+found`",
    ] {
        assert!(plan.contains(wanted), "no {wanted} in\n{plan}");
    }
}

#[test]
fn the_learning_platform_loses_uploads_without_a_row_and_old_temporary_files() {
    // S2-010
    let mut desk = Desk::empty();
    desk.sexton("example e2 e2").ends(0);
    desk.set("E2_DATABASE", "app.db");
    desk.sexton("config check --config e2/sexton.toml").ends(0);
    let run = |more: &str| {
        let line = format!("run temporary_files --yes --config e2/sexton.toml --output json {more}");
        desk.sexton(&line).ends(0).json()["temporary_files"].clone()
    };
    std::fs::create_dir(desk.file("e2/uploads/tmp/now")).unwrap();
    std::fs::write(desk.file("e2/uploads/tmp/now/young.part"), "1").unwrap();
    let wanted = serde_json::json!({
        "orphaned_files": ["users/105/essay.pdf", "users/113/photo.png"],
        "temporary_files": ["tmp/2026/upload-2.part", "tmp/upload-1.part"],
    });
    assert_eq!(run("--dry-run")["orphans"], wanted);
    assert!(desk.file("e2/uploads/tmp/upload-1.part").is_file());
    assert_eq!(run("")["orphans"], wanted);
    for gone in ["users/105/essay.pdf", "users/113/photo.png", "tmp/2026/upload-2.part", "tmp/upload-1.part"]
    {
        assert!(!desk.file(&format!("e2/uploads/{gone}")).exists(), "{gone} is still there");
    }
    for stays in ["users/105/photo.png", "users/112/photo.png", "tmp/now/young.part"] {
        assert!(desk.file(&format!("e2/uploads/{stays}")).is_file(), "{stays} is gone");
    }
    desk.sexton("undo latest --yes --config e2/sexton.toml").ends(0);
    assert!(desk.file("e2/uploads/users/105/essay.pdf").is_file());
}

#[test]
fn the_log_says_how_many_folders_files_and_bytes() {
    // S0-058: the figures of the report, for what would be freed and for what was
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let config = std::fs::read_to_string(desk.file("e0/sexton.toml")).unwrap();
    desk.write("e0/logged.toml", &format!("{config}\n[log]\nlevel = \"info\"\n"));
    let line = |more: &str, word: &str| {
        let said = desk.sexton(&format!("run cleanup-files --yes --config e0/logged.toml {more}"));
        let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains("folders=")).collect();
        assert_eq!(lines.len(), 1, "{}", said.stderr);
        assert!(lines[0].contains("folders=3 files=4 bytes=691813"), "{}", lines[0]);
        assert!(lines[0].contains(word), "{}", lines[0]);
    };
    line("", "would be freed");
    line("--set dry_run=false --dry-run", "would be freed");
    line("--set dry_run=false", ": freed");
}

#[test]
fn a_base_that_is_not_there_is_a_warning_or_a_refusal() {
    // W-125, S0-049
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let run = |more: &str| desk.sexton(&format!("run remove-files --yes --config e0/sexton.toml {more}"));
    let missing = run("--set base=nowhere").ends(0);
    assert!(missing.shown().contains("there is no folder `nowhere`"), "{}", missing.shown());
    assert!(missing.shown().contains("nothing to do"), "{}", missing.shown());
    let refused = run("--set base=nowhere --set must_exist=true").ends(3);
    assert!(refused.shown().contains("look whether the disk is mounted"), "{}", refused.shown());
    let outside = run("--set base=../elsewhere").ends(2);
    assert!(outside.shown().contains("`.` or `..`"), "{}", outside.shown());
    std::fs::rename(desk.file("e0/collaterals"), desk.file("e0/unmounted")).unwrap();
    std::fs::create_dir(desk.file("e0/collaterals")).unwrap();
    let empty = run("").ends(0);
    assert!(empty.shown().contains("it is empty, but rows hold"), "{}", empty.shown());
    assert!(
        empty.shown().contains("`planner-1/images/chart.b64`"),
        "each column names its own: {}",
        empty.shown()
    );
}
