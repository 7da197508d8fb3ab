//! A disk that is full, where the file is that is moved: nothing is lost, nothing stays behind that was not told, the application
//! stays where it is.

use crate::kit::{Desk, on_its_own_file_system};
use std::process::Command;
use testkit::Place;

/// Moves the file on a file system with so many kB left, keeps the file as it is then; makes room, takes it back, keeps the file again.
const SCRIPT: &str = r#"
    cp app.db small/app.db && mkdir at_end after
    dd if=/dev/zero of=small/fill bs=1k count=$(( $(df -k --output=avail small | tail -1) - FREE )) 2> /dev/null
    "$SEXTON" transfer run --online --yes --quiet --min-free-disk-mb 0 --source small/app.db --switch file=pointer > said 2>&1
    echo $? > code
    cp small/app.db* at_end && rm small/fill
    "$SEXTON" transfer rollback --yes --quiet --source small/app.db > back 2>&1 || exit 1
    cp small/app.db* after"#;

struct Full {
    desk: Desk,
    to: Place,
    said: String,
    code: String,
}

impl Full {
    fn with(free: u32) -> Self {
        let (mut desk, to) = (Desk::empty(), Place::postgres());
        desk.place.script(
            "pragma journal_mode = wal; create table t (id integer primary key, v text);
             insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000) select i, 'value ' || i from c",
        );
        desk.set("DATABASE_URL", &to.url());
        desk.set("SEXTON", env!("CARGO_BIN_EXE_sexton"));
        desk.set("FREE", &free.to_string());
        desk.set("PATH", "/usr/bin:/bin");
        std::fs::create_dir(desk.file("small")).unwrap();
        desk.write("pointer", "app.db\n");
        let program = desk.command("");
        let mut script = Command::new("sh");
        script.args(["-c", SCRIPT]).current_dir(desk.path()).env_clear();
        script.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = on_its_own_file_system(&script, "size=2m");
        let read = |name: &str| std::fs::read_to_string(desk.file(name)).unwrap_or_default();
        let (said, code) = (read("said"), read("code").trim().to_owned());
        assert!(
            done.status.success(),
            "{free} kB: {said} {} {}",
            read("back"),
            String::from_utf8_lossy(&done.stderr)
        );
        Self { desk, to, said, code }
    }

    /// How far the move had come, by the file itself.
    fn state(&self, kept: &str) -> String {
        let file = Place::elsewhere(&self.desk.file(kept).join("app.db").display().to_string());
        file.rows("select state from sexton_transfers")[0][0].as_text().unwrap_or_default().to_owned()
    }

    /// What of ours is in the file, as it was kept then; it is whole.
    fn ours(&self, kept: &str) -> Vec<String> {
        let file = Place::elsewhere(&self.desk.file(kept).join("app.db").display().to_string());
        assert_eq!(file.rows("pragma integrity_check")[0][0].as_text(), Some("ok"), "{kept}");
        assert_eq!(file.rows("select count(*) from t")[0][0].as_int(), Some(20_000), "{kept}");
        let rows = file.rows("select name from sqlite_schema where name like 'sexton%'");
        rows.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect()
    }
}

#[test]
fn a_full_disk_under_the_file_ends_the_move_where_it_began() {
    // S4-036, W-104
    let (mut before, mut on_the_way, mut moved) = (0, 0, 0);
    for free in [4, 24, 36, 48, 60, 72, 400] {
        let it = Full::with(free);
        let (said, place) = (&it.said, format!("{free} kB: {}", it.said));
        let left = it.ours("at_end");
        let tables = it.to.rows("select 1 from pg_tables where tablename = 't'").len();
        if it.code == "0" {
            assert!(left.iter().any(|name| name.starts_with("sexton_moved")), "{place}");
            assert_eq!(tables, 1, "{place}");
            moved += 1;
        } else {
            assert_eq!(it.code, "1", "{place}");
            let is_told =
                said.contains("the disk is full") || said.contains("look at the disk and its free space");
            assert!(is_told && said.contains("small/app.db"), "{place}");
            match left.is_empty() {
                true => before += 1,
                // nothing can be written, so nothing can be taken away either: that is said, with what does it
                false => {
                    assert!(
                        said.contains("could not be taken back") && said.contains("sexton transfer rollback"),
                        "{place}"
                    );
                    on_the_way += 1;
                }
            }
            // once the application may have been there, its tables stay as they were
            let sent = left.contains(&"sexton_transfers".to_owned()) && it.state("at_end") == "switching";
            assert_eq!(tables, usize::from(sent), "{place}");
        }
        assert_eq!(it.ours("after"), Vec::<String>::new(), "{place}");
        assert_eq!(std::fs::read_to_string(it.desk.file("pointer")).unwrap(), "app.db\n", "{place}");
    }
    assert!(
        before > 0 && on_the_way > 0 && moved > 0,
        "{before} before, {on_the_way} on the way, {moved} moved"
    );
}
