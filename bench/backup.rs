//! What a backup costs: the part of it that a plain copy or a bare `pg_dump` does too against that, and the whole of it; and what a
//! writer notices.

use crate::Flags;
use crate::stage::{Kind, Stage};
use crate::table::{Ratio, Table};

/// Without compression, as `pg_dump --compress=0`.
const PLAIN: &str = r#"{"compression": 0}"#;

pub fn measure(flags: &Flags, stage: &Stage, table: &mut Table) {
    let url = stage.copy(&stage.seed_name(flags.rows), "round");
    let folder = flags.folder.join("aside");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let place = folder.display().to_string();
    let aside = folder.join("copy").display().to_string();
    let sqlite = stage.kind == Kind::Sqlite;
    let (bare, same, whole) = match stage.kind {
        Kind::Sqlite => (
            "copy_file",
            "consistent copy under a writer, synced ÷ plain copy of the idle file, synced",
            "backup under a writer, whole (compressed, checked, counted) ÷ the same plain copy",
        ),
        Kind::Postgres => (
            "dump",
            "backup without compression (checked, counted) ÷ bare `pg_dump` without compression",
            "backup, whole (compressed, checked, counted) ÷ the same bare `pg_dump`",
        ),
    };
    // What the whole costs besides is told, and has no bar of its own.
    let mut same = Ratio::at_most(same, if sqlite { 1.6 } else { 1.05 });
    let mut whole = Ratio::at_most(whole, f64::INFINITY);
    // What people run today, with what it compresses by.
    let mut usual =
        Ratio::at_most("backup, whole, as by default ÷ bare `pg_dump --format=custom` as by default", 1.05);
    let mut p99 = Ratio::at_most("p99 of a foreground writer during the whole backup ÷ idle", 2.0);
    let mut peer = Ratio::at_most("p99 of it during the peer alone ÷ idle", f64::INFINITY);
    let seconds = if flags.smoke { 0.1 } else { 5.0 };
    for _ in 0..flags.rounds {
        let base = stage.run(bare, &url, &aside);
        let idle = stage.writer(&url, || std::thread::sleep(std::time::Duration::from_secs_f64(seconds)));
        let (mut alike, mut ours) = (None, None);
        let beside = stage.writer(&url, || drop(stage.run(bare, &url, &aside)));
        let busy = match stage.kind {
            Kind::Sqlite => {
                stage.writer(&url, || alike = Some(stage.run("pages", &url, &place)));
                stage.writer(&url, || ours = Some(stage.run("backup", &url, "{}")))
            }
            Kind::Postgres => {
                alike = Some(stage.run("backup", &url, PLAIN));
                ours = Some(stage.run("backup", &url, "{}"));
                stage.writer(&url, || drop(stage.run("backup", &url, "{}")))
            }
        };
        eprintln!(
            "  backup: base {base:?}, alike {alike:?}, ours {ours:?}, idle {idle:?}, beside {beside:?}, busy {busy:?}"
        );
        let (Some(alike), Some(ours)) = (alike, ours) else { continue };
        let bytes = [alike.rows, ours.rows, base.rows];
        assert!(bytes.iter().all(|bytes| *bytes > 0), "{bytes:?}");
        table.peak(ours.peak_kb);
        same.add(&alike, &base);
        whole.add(&ours, &base);
        if !sqlite {
            usual.add(&ours, &stage.run("dump_as_usual", &url, &aside));
        }
        p99.add_bare(busy.p99_ms, idle.p99_ms);
        peer.add_bare(beside.p99_ms, idle.p99_ms);
    }
    let _ = std::fs::remove_dir_all(folder);
    stage.remove("round");
    let all = [Some(same), Some(whole), Some(usual).filter(|_| !sqlite), Some(p99), Some(peer)];
    for ratio in all.into_iter().flatten() {
        table.add(ratio);
    }
}
