//! Undo from the command line.

use crate::kit::Desk;
use insta::assert_snapshot;

#[test]
fn undo_puts_back_what_the_last_run_changed() {
    // S3-032
    let desk = Desk::ready();
    let before = desk.place.dump();
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("run logs --dry-run").ends(0);
    assert_snapshot!("list", desk.sexton("undo list").ends(0).shown());
    assert_snapshot!("show", desk.sexton("undo show latest").ends(0).shown());
    assert_snapshot!("preview", desk.sexton("undo latest --dry-run").ends(0).shown());
    assert_eq!(desk.count("audit_log"), 89);
    assert_snapshot!("apply", desk.sexton("undo latest").ends(0).shown());
    assert_eq!(desk.place.dump(), before);
    assert_snapshot!("again", desk.sexton("undo apply latest").shown());
}

#[test]
fn each_way_back_has_a_word_of_its_own_and_the_old_one_is_understood() {
    //
    let desk = Desk::ready();
    let before = desk.place.dump();
    let helps = |line: &str| desk.sexton(&format!("{line} --help")).ends(0).stdout;
    assert!(helps("migrate").contains("down") && helps("undo").contains("Put back what a run changed"));
    assert!(helps("transfer").contains("rollback") && !helps("migrate").contains("rollback"));
    desk.sexton("run logs --yes").ends(0);
    let run = desk.runs()[0].clone();
    desk.sexton(&format!("--rollback {run} --yes")).ends(0);
    assert_eq!(desk.place.dump(), before);
    desk.sexton("--rollback").ends(2);
}

#[test]
fn a_row_that_is_in_the_way_is_reported_and_not_overwritten() {
    // W-078
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    desk.place.script("insert into audit_log values (400, '2026-01-01', 'mine')");
    assert_snapshot!(desk.sexton("undo latest").ends(7).shown());
    assert_eq!(desk.count("audit_log where id = 400 and action = 'mine'"), 1);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn an_undo_point_is_forgotten_only_with_consent() {
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("undo drop latest").ends(3);
    desk.sexton("undo drop latest --yes").ends(0);
    assert_eq!(desk.place.leftovers(), Vec::<String>::new());
    desk.sexton("undo show latest").ends(2);
    let trail = desk.sexton("audit --output json").ends(0).json();
    assert_eq!(trail["audit"][0]["actor"], "tester");
    assert_eq!(trail["audit"][0]["action"], "drop undo point");
    desk.sexton("undo drop --expired").ends(0);
}

#[test]
fn restored_rows_are_exempt_until_they_are_released() {
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("undo latest").ends(0);
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 400, "what was put back is not swept again");
    desk.sexton("undo release audit_log").ends(0);
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn archived_rows_come_back_from_the_store_alone() {
    let desk = Desk::ready();
    let config = crate::kit::CONFIG.replace(
        "[operation.logs]",
        "[store.cold]\nfolder = \"cold\"\n\n[operation.logs]\narchive = \"cold\"\nundo = \"archive\"",
    );
    desk.write("sexton.toml", &config);
    let before = desk.place.dump();
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    let run = desk.runs()[0].clone();
    std::fs::remove_dir_all(desk.file(".sexton")).unwrap();
    desk.sexton(&format!("restore-archive cold {run} --dry-run")).ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    desk.sexton(&format!("restore-archive cold {run}")).ends(0);
    assert_eq!(desk.place.dump(), before);
}

#[test]
fn an_archive_may_be_named_by_its_folder_without_a_configuration() {
    // W-058
    let desk = Desk::empty();
    desk.place.script(crate::kit::AUDIT);
    let before = desk.place.dump();
    let rule = "--table audit_log --age-column created_at --older-than 90d --max-percent 100";
    let said = desk.sexton(&format!("purge --database ./app.db {rule} --archive arc --yes")).ends(2);
    assert!(
        said.stderr.contains("[store.cold]") && said.stderr.contains("with a `/` in it"),
        "{}",
        said.stderr
    );
    let purge = format!("purge --database ./app.db {rule} --archive ./arc --undo archive --yes");
    // what could not be planned is in the log too
    let earlier = desk.runs();
    desk.sexton(&purge).ends(0);
    let run = desk.runs().into_iter().find(|run| !earlier.contains(run)).unwrap();
    assert_eq!((desk.count("audit_log"), desk.file("arc").is_dir()), (89, true));
    desk.sexton("undo latest --yes").ends(0);
    assert_eq!(desk.place.dump(), before);
    desk.sexton(&format!("restore-archive ./arc {run} --database ./app.db")).ends(0);
    assert_eq!(desk.place.dump(), before);
}

#[test]
fn what_cannot_be_undone_says_so() {
    let desk = Desk::ready();
    desk.sexton("run sessions").ends(0);
    assert_snapshot!(desk.sexton(&format!("undo {}", desk.runs()[0])).ends(2).shown());
    desk.sexton("undo nosuch").ends(2);
    desk.sexton("undo").ends(2);
}

#[test]
fn an_undo_can_be_forced_past_guards_that_allow_it() {
    // S2-015
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    desk.place.script("alter table audit_log drop column action");
    let refused = desk.sexton("undo latest").ends(3);
    assert!(refused.stderr.contains("--force"), "{}", refused.shown());
    desk.sexton("undo latest --force").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn the_last_run_is_meant_also_when_it_keeps_nothing() {
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("run sessions").ends(0);
    assert_snapshot!(desk.sexton("undo latest").ends(2).shown());
    assert_eq!(desk.count("audit_log"), 89, "an earlier run is not put back in its place");
    desk.sexton(&format!("undo {}", desk.runs()[0])).ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn what_was_changed_is_put_back_without_the_log_of_the_run() {
    // W-077, W-115: what it takes lies in the database itself
    for short in [true, false] {
        let desk = Desk::ready();
        let before = desk.place.dump();
        desk.sexton("run logs --yes").ends(0);
        let run = if short { desk.runs()[0][..4].to_owned() } else { "latest".to_owned() };
        std::fs::remove_dir_all(desk.file(".sexton")).unwrap();
        desk.sexton(&format!("undo {run}")).ends(0);
        assert_eq!(desk.place.dump(), before);
        let said = desk.sexton("undo nosuch").ends(2);
        assert!(said.stderr.contains("no undo point `nosuch`"), "{}", said.stderr);
    }
}
