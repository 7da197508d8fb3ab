//! What a backup costs, against a plain copy of the idle file and against bare `pg_dump`; and what a writer notices of it.

use crate::Flags;
use crate::stage::{Kind, Stage};
use crate::table::{Ratio, Table};

pub fn measure(flags: &Flags, stage: &Stage, table: &mut Table) {
    let url = stage.copy(&stage.seed_name(flags.rows), "round");
    let aside = flags.folder.join("aside").display().to_string();
    let (bare, title, bar) = match stage.kind {
        Kind::Sqlite => ("copy_file", "backup under a writer ÷ plain copy of the idle file", 1.6),
        Kind::Postgres => ("dump", "backup ÷ bare `pg_dump` with the same options", 1.05),
    };
    let mut ratio = Ratio::at_most(title, bar);
    let mut p99 = Ratio::at_most("p99 of a foreground writer during the backup ÷ idle", 2.0);
    let seconds = if flags.smoke { 0.1 } else { 5.0 };
    for _ in 0..flags.rounds {
        let base = stage.run(bare, &url, &aside);
        let idle = stage.writer(&url, || std::thread::sleep(std::time::Duration::from_secs_f64(seconds)));
        let mut ours = None;
        let busy = match stage.kind {
            Kind::Sqlite => stage.writer(&url, || ours = Some(stage.run("backup", &url, "{}"))),
            Kind::Postgres => {
                ours = Some(stage.run("backup", &url, "{}"));
                stage.writer(&url, || drop(stage.run("backup", &url, "{}")))
            }
        };
        eprintln!("  backup: base {base:?}, ours {ours:?}, idle {idle:?}, busy {busy:?}");
        let Some(ours) = ours else { continue };
        assert!(ours.rows > 0 && base.rows > 0, "{} and {} bytes", ours.rows, base.rows);
        table.peak(ours.peak_kb);
        ratio.add(&ours, &base);
        p99.add_bare(busy.p99_ms, idle.p99_ms);
    }
    let _ = std::fs::remove_file(aside);
    stage.remove("round");
    table.add(ratio);
    table.add(p99);
}
