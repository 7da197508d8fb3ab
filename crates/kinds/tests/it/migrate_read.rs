//! Directories of migrations as nine tools write them, good and broken; no database is asked.

use kinds::migrate::directory::{Convention, Directory, Reading};
use kinds::migrate::history::Shape;
use kinds::migrate::model::{Migration, Script};
use kinds::migrate::problem::Problems;
use kinds::migrate::script::{self, Language, Transactions, syntax};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use testkit::Place;

const POSTGRES: Language = Language::Postgres { major: Some(15) };

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/migrate").join(name)
}

fn read(name: &str, language: Language) -> Directory {
    let outcome = Directory::read(&fixture(name), &Reading::new(language));
    outcome.unwrap_or_else(|problems| panic!("{name}: {problems}"))
}

fn told(problems: &Problems) -> Vec<String> {
    problems.0.iter().map(|problem| format!("{problem} → {}", problem.help)).collect()
}

fn broken(name: &str, convention: Convention) -> Vec<String> {
    match Directory::read(&fixture(name), &Reading::new(POSTGRES).by(convention)) {
        Ok(directory) => panic!("{name} was read: {directory:#?}"),
        Err(problems) => told(&problems),
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn ids(directory: &Directory) -> Vec<&str> {
    directory.migrations.iter().map(|migration| migration.id.as_str()).collect()
}

fn sqls(script: &Script) -> Vec<&str> {
    script.statements.iter().map(|statement| statement.sql.as_str()).collect()
}

fn the<'a>(directory: &'a Directory, id: &str) -> &'a Migration {
    directory.migrations.iter().find(|one| one.id == id).unwrap_or_else(|| panic!("{:?}", ids(directory)))
}

#[test]
fn our_own_files_say_all_that_a_migration_can() {
    let directory = read("native", Language::Sqlite);
    assert_eq!(directory.convention, Convention::Native);
    assert_eq!(
        directory.why,
        "`0001_people.sql` has a line `-- sexton:description people and where they live`"
    );
    assert_eq!(ids(&directory), ["0001_people", "0002_pets", "tidy_names"]);
    let people = the(&directory, "0001_people");
    assert_eq!((people.number, people.version.as_str()), (Some(1), "0001"));
    assert_eq!(people.description, "people and where they live");
    assert_eq!((people.up.statements.len(), people.down.is_none()), (2, true));
    assert!(people.up.transaction && people.expected_seconds == Some(5.0) && !people.backup);
    let pets = the(&directory, "0002_pets");
    assert_eq!(pets.description, "pets");
    assert_eq!(pets.depends_on, ["0001_people"]);
    assert_eq!(pets.assert_before, ["select count(*) = 0 from people where name = ''"]);
    assert!(pets.backup);
    assert_eq!(sqls(pets.down.as_ref().unwrap()), ["drop table pets"]);
    assert_eq!(pets.down.as_ref().unwrap().statements[0].line, 9);
    let names = the(&directory, "tidy_names");
    assert_eq!((names.number, names.expected_seconds), (None, Some(150.0)));
    assert_eq!((names.depends_on.len(), names.conflicts.as_slice()), (2, ["nobody".to_owned()].as_slice()));
    assert!(!names.up.transaction && names.down.as_ref().unwrap().transaction);
    assert_eq!(names.assert_after.len(), 2);
    assert_eq!(sqls(&names.up), ["update people set name = trim(name)"]);
}

#[test]
fn every_fault_of_our_own_files_is_told_at_once_with_its_line() {
    // S2-039, W-010
    let told = broken("native-broken", Convention::Native);
    let wanted = [
        "`0001_typing.sql`, line 1: `-- sexton:depnds` is no line of a migration → the lines are up, down",
        "`0002_before.sql`, line 2: statements stand before `-- sexton:up`",
        "`0003_twice.sql`, line 5: `-- sexton:up` stands there twice",
        "`0004_when.sql`, line 1: `-- sexton:expected` is `soon` → write it like `30 s`",
        "`0005.sql`: it has no description → name it like `0001_add_users.sql`",
        "`99999999999999999999_large.sql`: the number `99999999999999999999` is too large",
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told}");
    }
}

#[test]
fn files_of_dbmate() {
    let directory = read("dbmate", Language::Sqlite);
    assert_eq!(directory.convention, Convention::Dbmate);
    assert_eq!(directory.why, "`20240102030405_create_fruits.sql` has a line `-- migrate:up`");
    assert_eq!(directory.ignored, [PathBuf::from("README.md")]);
    let fruits = &directory.migrations[0];
    assert_eq!((fruits.version.as_str(), fruits.description.as_str()), ("20240102030405", "create fruits"));
    assert_eq!(fruits.up.statements.len(), 2);
    assert_eq!(sqls(fruits.down.as_ref().unwrap()), ["drop table fruits"]);
    let index = &directory.migrations[1];
    assert!(!index.up.transaction && index.up.problems.is_empty(), "{:?}", index.up.problems);
    assert_eq!(index.up.statements[1].outside.as_deref(), Some("`vacuum` cannot run in a transaction"));
    // a way back without a statement would leave everything as it is
    assert!(directory.migrations[2].down.is_none());
    let told = broken("dbmate-broken", Convention::Dbmate);
    assert!(
        told[0].contains("20240102030405_no_mark.sql`, line 1: a statement stands before `-- migrate:up`")
    );
    assert!(told[1].contains("line 1: `-- migrate:down` comes before the way up"), "{told:#?}");
    assert!(told[2].contains("line 1: a statement stands before `-- migrate:up`"), "{told:#?}");
    assert!(told[3].contains("line 1: `-- migrate:sideways` is no mark"), "{told:#?}");
}

#[test]
fn files_of_golang_migrate() {
    let reading = Reading::new(POSTGRES).by(Convention::GolangMigrate);
    let directory = Directory::read(&fixture("golang-migrate"), &reading).unwrap();
    assert_eq!(directory.why, "it was asked for");
    assert_eq!(ids(&directory), ["000001_tools", "000002_index", "000010_last"]);
    let tools = &directory.migrations[0];
    assert_eq!((tools.version.as_str(), tools.up.statements.len()), ("1", 2));
    assert!(tools.up.transaction, "`begin` and `commit` are taken for what they say");
    assert!(
        !directory.migrations[1].up.transaction
            && !directory.migrations[1].down.as_ref().unwrap().transaction
    );
    assert!(directory.migrations[2].down.is_none());
    let told = broken("golang-migrate-broken", Convention::GolangMigrate);
    assert!(
        told[0].contains("`000001_gone.down.sql`: `000001_gone` has a way down and no way up"),
        "{told:#?}"
    );
    assert_eq!(told.len(), 1, "what cannot run is told when it is to run");
}

#[test]
fn files_of_goose() {
    let directory = read("goose", Language::Sqlite);
    assert_eq!(directory.convention, Convention::Goose);
    assert_eq!(directory.why, "`00001_users.sql` has a line `-- +goose Up`");
    let trigger = &directory.migrations[1];
    assert_eq!(trigger.version, "2");
    assert_eq!(trigger.up.statements.len(), 2);
    assert!(trigger.up.statements[0].sql.ends_with("end"), "{:?}", trigger.up.statements);
    assert_eq!(sqls(trigger.down.as_ref().unwrap()), ["drop trigger users_changed"]);
    assert!(!directory.migrations[2].up.transaction && directory.migrations[2].up.problems.is_empty());
    let code = &directory.migrations[3];
    assert_eq!(code.id, "00004_in_code");
    assert!(code.up.problems[0].what.contains("only goose can run"));
    let told = broken("goose-broken", Convention::Goose);
    assert!(
        told[0].contains("line 2: `-- +goose StatementBegin` has no `-- +goose StatementEnd`"),
        "{told:#?}"
    );
    assert!(told[1].contains("line 1: a statement stands before `-- +goose Up`"), "{told:#?}");
    assert!(told[2].contains("line 1: `-- +goose Upp` is no mark"), "{told:#?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn files_of_flyway() {
    let directory = read("flyway", POSTGRES);
    assert_eq!(directory.convention, Convention::Flyway);
    assert_eq!(
        ids(&directory),
        ["V1__create_books", "V1_9__add isbn", "V1.10__later", "V2__alone", "R__titles"]
    );
    let isbn = &directory.migrations[1];
    assert_eq!((isbn.version.as_str(), isbn.number, isbn.description.as_str()), ("1.9", None, "add isbn"));
    assert_eq!(sqls(directory.migrations[2].down.as_ref().unwrap()), ["alter table books drop column pages"]);
    assert!(!directory.migrations[3].up.transaction);
    assert!(directory.migrations[4].repeatable);
    assert_eq!(directory.ignored, [PathBuf::from("B2__all_of_it.sql")]);
    let told = broken("flyway-broken", Convention::Flyway);
    assert!(told[0].contains("`U7__nothing.sql`: it takes back version 7, which is not there"), "{told:#?}");
    let alone =
        folder(&[("V3__x.sql", b"select 1"), ("V1__x.sql", b"select\n ${a};"), ("B1__b.sql", b"select 1")]);
    let directory = Directory::read(alone.path(), &Reading::new(POSTGRES)).unwrap();
    assert_eq!(
        directory.migrations[0].up.problems[0].to_string(),
        "`V1__x.sql`, line 2: `${a}` is a placeholder of Flyway"
    );
    let squashed = folder(&[("V3__x.sql", b"select 1"), ("B2__b.sql", b"select 1")]);
    let directory = Directory::read(squashed.path(), &Reading::new(POSTGRES)).unwrap();
    assert_eq!(ids(&directory), ["B2__b", "V3__x"], "the baseline stands for what is gone");
}

#[test]
fn flyway_is_not_asked_for_values_where_it_replaces_none() {
    let files: [(&str, &[u8]); 2] =
        [("V1__a.sql", b"select '${a}';"), ("V1__a.sql.conf", b"placeholderReplacement = false\n")];
    let folder = folder(&files);
    let directory = Directory::read(folder.path(), &Reading::new(POSTGRES)).unwrap();
    assert_eq!(directory.migrations[0].up.problems, []);
    assert_eq!(directory.why, "`V1__a.sql.conf` is there");
}

#[test]
fn a_convention_that_fits_no_file_is_an_error() {
    let told = broken("dbmate", Convention::Flyway);
    assert!(
        told[0].contains("is named as flyway names its files → say `convention = \"dbmate\"`"),
        "{told:?}"
    );
    let told = broken("structure", Convention::Goose);
    assert!(
        told[0].ends_with("is named as goose names its files → say `convention = \"structure\"`"),
        "{told:?}"
    );
}

#[test]
fn a_dump_of_rails_from_sqlite_leaves_out_what_sqlite_makes_itself() {
    let text = b"CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);
CREATE TABLE IF NOT EXISTS \"a\" (\"id\" integer PRIMARY KEY AUTOINCREMENT NOT NULL);
CREATE TABLE sqlite_sequence(name,seq);
INSERT INTO \"schema_migrations\" (version) VALUES
('20240101090000');
";
    let folder = folder(&[("structure.sql", text)]);
    let directory = Directory::read(folder.path(), &Reading::new(Language::Sqlite)).unwrap();
    let place = Place::sqlite();
    for statement in &directory.migrations[0].up.statements {
        place.script(&statement.sql);
    }
    assert_eq!(place.rows("select version from schema_migrations").len(), 1);
}

#[test]
fn files_of_sqlx() {
    let directory = read("sqlx", Language::Sqlite);
    assert_eq!(directory.why, "`20240102000000_alone.sql` is there");
    assert_eq!(directory.migrations[0].version, "20240101000000");
    assert!(directory.migrations[0].down.is_none() && directory.migrations[0].up.transaction);
    assert!(!directory.migrations[1].up.transaction && directory.migrations[1].up.problems.is_empty());
    let reading = Reading::new(Language::Sqlite).by(Convention::Sqlx);
    let directory = Directory::read(&fixture("sqlx-reversible"), &reading).unwrap();
    assert_eq!(ids(&directory), ["20240101000000_stones"]);
    assert!(directory.migrations[0].down.is_some());
    // by `sha384sum`
    assert_eq!(
        directory.migrations[0].foreign_checksum.as_deref(),
        Some(
            "d325312cd105af15da0ef54b8f04086afb16ac5c7de4dc498545e1b0bb96591a5b8ff5b7d06af470f3722341eb6b30f9"
        )
    );
}

#[test]
fn folders_of_diesel() {
    let directory = read("diesel", POSTGRES);
    assert_eq!(directory.convention, Convention::Diesel);
    let versions: Vec<&str> = directory.migrations.iter().map(|one| one.version.as_str()).collect();
    assert_eq!(versions, ["00000000000000", "20240131120000", "20240201120000"]);
    assert_eq!(directory.migrations[1].description, "create boats");
    assert!(directory.migrations[1].up.transaction && !directory.migrations[2].up.transaction);
    let told = broken("diesel-broken", Convention::Diesel);
    assert!(told[0].contains("`2024-01-31-120000_half` has a way down and no way up"), "{told:#?}");
}

#[test]
fn broken_folders_of_sqlx_refinery_and_rails_are_told() {
    // W-003
    for (name, convention, wanted) in [
        ("sqlx-broken", Convention::Sqlx, "`20240101000000_gone` has a way down and no way up"),
        (
            "refinery-broken",
            Convention::Refinery,
            "`V99999999999999999999__far.sql`: the number `99999999999999999999` is too large",
        ),
        ("structure-broken", Convention::Structure, "`structure.sql`, line 3: it is not UTF-8"),
    ] {
        let told = broken(name, convention);
        assert!(told.len() == 1 && told[0].contains(wanted) && told[0].contains(" → "), "{told:#?}");
    }
}

#[test]
fn where_a_tool_compares_text_so_do_we() {
    // dbmate sorts the names of its files, Diesel its versions, and neither looks at them as numbers.
    let up = b"-- migrate:up\nselect 1;".as_slice();
    let dbmate = folder(&[("2_b.sql", up), ("10_c.sql", up), ("1_a.sql", up)]);
    let read = |path: &Path, convention| {
        Directory::read(path, &Reading::new(Language::Sqlite).by(convention)).unwrap()
    };
    assert_eq!(ids(&read(dbmate.path(), Convention::Dbmate)), ["10_c", "1_a", "2_b"]);
    let diesel =
        folder(&[("2_b/up.sql", b"select 1"), ("10_c/up.sql", b"select 1"), ("1_a/up.sql", b"select 1")]);
    assert_eq!(ids(&read(diesel.path(), Convention::Diesel)), ["1_a", "10_c", "2_b"]);
    let sqlx = folder(&[("2_b.sql", b"select 1"), ("10_c.sql", b"select 1"), ("1_a.sql", b"select 1")]);
    assert_eq!(ids(&read(sqlx.path(), Convention::Sqlx)), ["1_a", "2_b", "10_c"]);
}

#[test]
fn files_of_refinery() {
    let directory = read("refinery", Language::Sqlite);
    assert_eq!(directory.convention, Convention::Refinery);
    assert_eq!(directory.why, "`U3__late.sql` has no V of its version");
    assert_eq!(ids(&directory), ["V1__initial", "V2__brands", "U3__late", "V4__in_code"]);
    assert!(directory.migrations[3].up.problems[0].what.contains("only refinery can run"));
    assert!(directory.migrations[2].down.is_none());
}

#[test]
fn a_dump_of_rails_is_cut_where_psql_cuts_it() {
    let directory = read("structure", POSTGRES);
    assert_eq!(directory.convention, Convention::Structure);
    let dump = &directory.migrations[0];
    assert!(dump.up.problems.is_empty(), "{:?}", dump.up.problems);
    assert_eq!((dump.id.as_str(), dump.version.as_str()), ("structure", "20240301090000"));
    let starts: Vec<&str> =
        dump.up.statements.iter().map(|one| one.sql.split(['\n', '(']).next().unwrap()).collect();
    assert_eq!(starts.len(), 13, "{starts:#?}");
    assert_eq!(starts[4], "CREATE FUNCTION public.touch");
    assert_eq!(starts[5], "CREATE FUNCTION public.twice");
    assert_eq!(starts[8], "CREATE RULE keep AS");
    // the file itself may be named, too
    let file = fixture("structure").join("structure.sql");
    assert_eq!(Directory::read(&file, &Reading::new(POSTGRES)).unwrap().migrations.len(), 1);
}

#[test]
fn what_two_tools_may_have_written_is_asked_for() {
    let ambiguous = |name: &str| {
        let problems = Directory::read(&fixture(name), &Reading::new(POSTGRES)).unwrap_err();
        told(&problems).join("\n")
    };
    assert_eq!(
        ambiguous("golang-migrate"),
        "`000001_tools.down.sql` is there: that may be golang-migrate or sqlx → say `convention = \"golang-migrate\"` or `convention = \"sqlx\"`"
    );
    let plain = folder(&[("0001_a.sql", b"select 1")]);
    let problems = Directory::read(plain.path(), &Reading::new(POSTGRES)).unwrap_err();
    assert!(told(&problems)[0].ends_with("ours begin with a line `-- sexton:up`"), "{problems}");
    let versioned = folder(&[("V1__a.sql", b"select 1")]);
    let reading = Reading::new(POSTGRES);
    let problems = Directory::read(versioned.path(), &reading).unwrap_err();
    assert!(told(&problems)[0].contains("that may be flyway or refinery"), "{problems}");
    // the history in the database decides
    let reading = Reading { histories: vec![Shape::Versions, Shape::Refinery], ..reading };
    let directory = Directory::read(versioned.path(), &reading).unwrap();
    assert_eq!(directory.convention, Convention::Refinery);
    assert_eq!(directory.why, "`V1__a.sql` is there, and the database has the history of refinery");
    let mixed = folder(&[("1_a.sql", b"-- migrate:up\n"), ("2_b.sql", b"-- +goose Up\n")]);
    let problems = Directory::read(mixed.path(), &Reading::new(POSTGRES)).unwrap_err();
    let shown = told(&problems).join("");
    assert!(
        shown.contains("`1_a.sql` has a line `-- migrate:up`, but `2_b.sql` has a line `-- +goose Up`"),
        "{shown}"
    );
    let none = folder(&[("notes.sql", b"select 1")]);
    let problems = Directory::read(none.path(), &Reading::new(POSTGRES)).unwrap_err();
    assert!(told(&problems)[0].contains("is named like a migration → name them like"), "{problems}");
    let empty = folder(&[("README.md", b"")]);
    assert_eq!(Directory::read(empty.path(), &Reading::new(POSTGRES)).unwrap().migrations, []);
}

#[test]
fn line_ends_and_marks_of_editors_change_no_checksum() {
    // W-007
    let text = "-- sexton:up\ncreate table t (\n  a int\n);\nselect 1;\n-- sexton:down\ndrop table t;\n";
    let crlf = format!("\u{feff}{}", text.replace('\n', "  \r\n"));
    let edited = text.replace("a int", "a bigint");
    let noted = format!("-- a note\n{}", text.replace("select 1;", "-- another\nselect 1;\n\n"));
    let sum = |text: &str| {
        let folder = folder(&[("0001_t.sql", text.as_bytes())]);
        let directory = Directory::read(folder.path(), &Reading::new(POSTGRES)).unwrap();
        directory.migrations[0].checksum.clone()
    };
    assert_eq!(sum(text), sum(&crlf));
    assert_eq!(sum(text), sum(&noted));
    assert_ne!(sum(text), sum(&edited));
}

#[test]
fn checksums_of_other_tools_are_computed_as_they_do() {
    let text = b"create table t (a int);\r\ninsert into t values ('\xc3\xa9');\n";
    let folder = folder(&[("V1__a_name.sql", text)]);
    let read = |convention| {
        let reading = Reading::new(POSTGRES).by(convention);
        Directory::read(folder.path(), &reading).unwrap().migrations[0].foreign_checksum.clone().unwrap()
    };
    // by zlib's crc32 over the two lines without their ends
    assert_eq!(read(Convention::Flyway), "2052108989");
    let mut known = DefaultHasher::new();
    ("a_name", 1_i32, std::str::from_utf8(text).unwrap()).hash(&mut known);
    assert_eq!(read(Convention::Refinery), known.finish().to_string());
}

#[test]
fn bad_files_are_told_with_their_name() {
    let bad = folder(&[
        ("0001_a.sql", b"-- sexton:up\nselect 1;\nselect '\xff';\n"),
        ("0002_b.sql", b""),
        ("0003_c.sql", b"-- sexton:up\n"),
    ]);
    let problems = Directory::read(bad.path(), &Reading::new(POSTGRES)).unwrap_err();
    assert_eq!(told(&problems), ["`0001_a.sql`, line 3: it is not UTF-8 → save it as UTF-8"]);
    std::fs::remove_file(bad.path().join("0001_a.sql")).unwrap();
    let directory = Directory::read(bad.path(), &Reading::new(POSTGRES)).unwrap();
    assert!(directory.migrations.iter().all(|one| one.up.statements.is_empty()));
    let gone = Directory::read(&bad.path().join("nowhere"), &Reading::new(POSTGRES)).unwrap_err();
    assert!(gone.to_string().contains("nowhere` cannot be read: "), "{gone}");
    // a link that leads nowhere is as unreadable to the superuser as a forbidden folder is to others
    std::os::unix::fs::symlink("nowhere", bad.path().join("0004_d.sql")).unwrap();
    let link = Directory::read(bad.path(), &Reading::new(POSTGRES)).unwrap_err();
    assert!(link.to_string().contains("0004_d.sql` cannot be read: "), "{link}");
}

#[test]
fn a_thousand_files_are_read_at_once() {
    // 20 ms when built for release; the bound only notices what grows with the square of the files
    let files: Vec<(String, String)> = (1..=1000)
        .map(|n| {
            let text =
                format!("-- sexton:up\ncreate table t{n} (a integer);\n-- sexton:down\ndrop table t{n};\n");
            (format!("{n:04}_t.sql"), text)
        })
        .collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let folder = folder(&files);
    let start = std::time::Instant::now();
    let directory = Directory::read(folder.path(), &Reading::new(POSTGRES)).unwrap();
    assert_eq!(directory.migrations.len(), 1000);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

/// The `pg_dump` of the newest server that is installed.
/// The newest there is: none dumps a server that is newer than itself.
fn pg_dump() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("bin/pg_dump"));
    let major = |path: &PathBuf| {
        let said = std::process::Command::new(path).arg("--version").output().ok()?;
        let said = String::from_utf8(said.stdout).ok()?;
        said.split(' ').nth(2)?.split(['.', '\n']).next()?.parse::<u32>().ok()
    };
    let all = installed.chain([PathBuf::from("pg_dump")]);
    all.max_by_key(major).unwrap_or_else(|| PathBuf::from("pg_dump"))
}

const RICH: &str = r#"
    create type mood as enum ('so; so', 'fine');
    create table letters (id bigint generated always as identity primary key, body text default 'it''s; $$ fine',
        "odd;name" mood, changed timestamp, tags text[] default array[';', E'\\;']);
    create table answers (id bigint primary key, letter bigint references letters (id) on delete cascade,
        check (id > 0 or id < 0));
    create function touch() returns trigger language plpgsql as $body$
        begin new.changed := now(); /* ; */ perform $q$ ; $q$; return new; end $body$;
    create trigger letters_touch before update on letters for each row execute function touch();
    create function twice(n integer) returns integer language sql
        begin atomic; select case when n > 0 then case when n > 9 then 9 else n * 2 end else 0 end; end;
    create procedure two() language sql begin atomic; insert into answers (id) values (1); delete from answers; end;
    create rule keep as on delete to letters do instead (insert into answers (id) values (7); update answers set id = 8);
    create view shown as select body || ';' as body from letters;
    comment on table letters is 'one; two -- three /* four';
    insert into letters (body, "odd;name") values (E'a;\nb', 'so; so'), ('-- no comment', 'fine');
"#;

#[test]
fn a_real_dump_runs_statement_by_statement() {
    let (from, to) = (Place::postgres(), Place::postgres());
    // Before 14 bodies of functions are texts.
    let bodies = |line: &&str| {
        from.version() >= 14 || !line.contains("begin atomic") && !line.contains("twice(n integer)")
    };
    from.script(&RICH.lines().filter(bodies).collect::<Vec<_>>().join("\n"));
    let dump = |more: &[&str]| {
        let mut command = std::process::Command::new(pg_dump());
        let outcome = command.args(more).arg(from.admin_url()).output().unwrap();
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
        String::from_utf8(outcome.stdout).unwrap()
    };
    let text = dump(&["--inserts", "--no-owner", "--no-privileges"]);
    let folder = folder(&[("structure.sql", text.as_bytes())]);
    let directory = Directory::read(folder.path(), &Reading::new(POSTGRES)).unwrap();
    let up = &directory.migrations[0].up;
    assert_eq!(up.problems, []);
    assert_eq!(syntax::faults(up, POSTGRES), [], "the second opinion knows all that a dump holds");
    let mut application = to.connect();
    for statement in &up.statements {
        let line = text.lines().nth(statement.line as usize - 1).unwrap();
        assert!(statement.sql.starts_with(line.trim_end_matches(';')), "line {}: {line}", statement.line);
        application.script(&statement.sql).unwrap_or_else(|error| panic!("{error}\nin {}", statement.sql));
    }
    // tables are listed in the order in which they were made
    let sorted = |place: &Place| {
        let mut lines: Vec<String> = place.dump().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&from), sorted(&to));
    // one that holds its rows for psql is refused, each table with its line
    let text = dump(&["--no-owner"]);
    let script = script::read(Path::new("x.sql"), &text, POSTGRES, Transactions::AsWritten);
    assert_eq!(script.problems.len(), text.matches(" FROM stdin;").count(), "{:?}", script.problems);
    let (data, _) = text.lines().enumerate().filter(|(_, line)| *line == "\\.").last().unwrap();
    let after = script.statements.iter().filter(|one| one.line as usize > data);
    assert!(after.map(|one| &one.sql).any(|sql| sql.starts_with("ALTER TABLE")), "it goes on after the data");
}

#[test]
fn a_script_of_sqlite_runs_statement_by_statement() {
    let text = r#"PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE "odd;name" ([a;b] integer primary key, `c;d` text default 'it''s; fine', changed text);
INSERT INTO "odd;name" VALUES(1,'a;
b',NULL);
CREATE TABLE log (what text check (what <> ';')); -- ;
CREATE TRIGGER touched AFTER UPDATE ON "odd;name" WHEN new.changed IS old.changed
BEGIN
  INSERT INTO log SELECT CASE WHEN new."c;d" = 'end;' THEN 'end' ELSE 'x' END;
  UPDATE "odd;name" SET changed = CASE WHEN 1 THEN 'now' END WHERE "a;b" = new."a;b"; /* end; */
END;
CREATE VIEW shown AS SELECT ';' AS semi FROM log;
CREATE INDEX part ON log (what) WHERE what <> 'a;';
COMMIT;
"#;
    let (whole, single) = (Place::sqlite(), Place::sqlite());
    whole.script(text);
    let script = script::read(Path::new("x.sql"), text, Language::Sqlite, Transactions::Off);
    assert_eq!((script.problems.len(), script.statements.len(), script.parts().len()), (0, 7, 2));
    assert_eq!(syntax::faults(&script, Language::Sqlite), []);
    for statement in &script.statements {
        single.script(&statement.sql);
    }
    assert_eq!(whole.dump(), single.dump());
}
