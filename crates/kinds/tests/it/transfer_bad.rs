//! Sources that cannot be read and targets that cannot be filled: each is told before anything is done, and nothing is claimed.

use crate::stage::{manners, shown};
use crate::transfer_kit::{Move, forbidden};
use engine::{Class, Plan, Report, Status, Stop, What};
use serde_json::{Value as Json, json};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use testkit::{Place, Workshop, story};

const ROWS: &str = "create table small (id integer primary key); create table t (id integer primary key, s text);
    insert into small values (1);
    insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000) select i, printf('%0100d', i) from c";

/// Why it cannot be planned, and what kind of error that is.
fn refused(it: &Move) -> (String, Class) {
    let request = story::request("transfer", it.options(json!({})), manners(), false);
    match it.engine().plan(&request) {
        Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].steps),
        Err(failure) => (shown(&failure), failure.class()),
    }
}

fn nothing_was_made(it: &Move) {
    assert_eq!(it.list("select relname from pg_class where relname in ('small', 't', 'carried')"), [""; 0]);
}

/// Writes into the file of the source, past SQLite.
fn overwrite(it: &Move, at: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(it.from.url()).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn an_encrypted_file_is_told() {
    let it = Move::of(ROWS);
    // what a file is like of which every page is encrypted, the first one too
    let noise: Vec<u8> = (0..16_384_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(it.from.url(), noise).unwrap();
    let (text, class) = refused(&it);
    assert!(text.contains("not a database"), "{text}");
    assert_eq!(class, Class::System, "{text}");
    nothing_was_made(&it);
}

#[test]
fn a_page_that_is_damaged_in_the_middle_of_a_file_is_told_with_its_table() {
    let it = Move::of(ROWS);
    let pages = std::fs::metadata(it.from.url()).unwrap().len() / 4096;
    assert!(pages > 20, "{pages}");
    overwrite(&it, pages / 2 * 4096, &[0xff; 4096]);
    let (text, class) = refused(&it);
    assert!(text.contains("looking at `t`") && text.contains("malformed"), "{text}");
    assert_eq!(class, Class::System, "{text}");
    nothing_was_made(&it);
}

#[test]
fn a_source_that_somebody_holds_alone_is_told() {
    let it = Move::of(ROWS);
    let mut holder = it.from.connect();
    holder.script("begin exclusive").unwrap();
    let (text, class) = refused(&it);
    assert!(text.contains("locked"), "{text}");
    assert_eq!(class, Class::Transient, "{text}");
    nothing_was_made(&it);
    holder.script("rollback").unwrap();
    assert_eq!(forbidden(&it.plan(json!({}))), [""; 0]);
}

/// The plan of somebody who owns nothing.
fn stranger(it: &Move, rights: &str, options: Json) -> Plan {
    it.to.admin_script(
        "do $$ begin
           if not exists (select from pg_roles where rolname = 'sexton_stranger') then create role sexton_stranger login; end if;
         exception when duplicate_object or unique_violation then null; end $$",
    );
    // what the engine keeps of its own needs a schema of its own
    it.to.admin_script(
        "do $$ begin execute format('grant create on database %I to sexton_stranger', current_database()); end $$",
    );
    it.to.admin_script(rights);
    let url = it.to.url().replacen("app", "sexton_stranger", 1);
    let engine = it.workshop.also_at(testkit::database_at(&url));
    story::plan(&engine, &story::request("transfer", it.options(options), manners(), false))
}

#[test]
fn whoever_may_not_make_or_change_tables_is_told_before_anything_is_done() {
    // S4-024
    let it = Move::of(ROWS);
    let plan = stranger(&it, "revoke create on schema public from public, sexton_stranger", json!({}));
    assert_eq!(forbidden(&plan), ["permission public"]);
    assert!(format!("{:?}", plan.items[0].findings).contains("grant create on schema"));
    nothing_was_made(&it);
    let it = Move::of(
        "create table t (id integer primary key, above integer); insert into t values (1, 2), (2, null)",
    );
    it.to.script("create table t (id bigint primary key, above bigint references t)");
    let rights = "grant select, insert on t to sexton_stranger";
    let plan = stranger(&it, rights, json!({"existing": true}));
    assert_eq!(forbidden(&plan), ["permission t"]);
    assert!(
        format!("{:?}", plan.items[0].findings).contains("connect as `app`"),
        "{:?}",
        plan.items[0].findings
    );
}

#[test]
fn a_target_of_another_encoding_is_refused() {
    let it = Move::of(ROWS);
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("sexton_{}_{}", encoding.to_lowercase(), std::process::id());
        it.to.admin_script_outside(&format!("drop database if exists {name}"));
        it.to.admin_script_outside(&format!(
            "create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C' owner app"
        ));
        let own = it.to.url();
        let url = own.replacen(own.split('?').next().unwrap().rsplit('/').next().unwrap(), &name, 1);
        let workshop = Workshop::over(&url, kinds::catalogue());
        let plan = story::plan(
            &workshop.engine(),
            &story::request("transfer", it.options(json!({})), manners(), false),
        );
        assert_eq!(forbidden(&plan), ["encoding public"], "{encoding}");
        assert!(format!("{:?}", plan.items[0].findings).contains(&format!("encoded in {encoding}")));
        drop(workshop);
        it.to.admin_script_outside(&format!("drop database {name}"));
    }
}

/// What is done to the file while it is copied: the middle of its pages is overwritten. What it said when it failed, of which class.
fn damaged_while_copied(it: &Move, options: Json) -> (Report, Vec<String>, Vec<Class>) {
    let plan = it.plan_with(options, |manners| manners.batch_size = Some(20));
    let pages = std::fs::metadata(it.from.url()).unwrap().len() / 4096;
    let (mut done, mut said, mut classes) = (false, Vec::new(), Vec::new());
    let report = it
        .engine()
        .run(&plan, &Stop::default(), &mut |event| match &event.what {
            What::Advanced { detail: Some(detail), .. } if detail["loaded"] == "t" && !done => {
                done = true;
                for page in pages / 2..pages - 1 {
                    overwrite(it, page * 4096, &[0xff; 4096]);
                }
            }
            What::Failed { class, error, .. } => {
                said.push(error.clone());
                classes.push(*class);
            }
            _ => {}
        })
        .unwrap();
    assert!(done, "it was never damaged");
    (report, said, classes)
}

/// More of them, so that nobody has read all pages when the first rows are in.
fn many() -> Move {
    let it = Move::of(ROWS);
    it.from.script("insert into t with recursive c(i) as (select 2001 union all select i + 1 from c where i < 40000) select i, printf('%0200d', i) from c");
    it
}

#[test]
fn a_page_that_is_damaged_while_it_is_copied_ends_the_copy_and_names_the_table() {
    // W-099
    let it = many();
    let whole = std::fs::read(it.from.url()).unwrap();
    let (report, said, classes) = damaged_while_copied(&it, json!({}));
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    assert_eq!(classes, [Class::System], "{said:?}");
    assert!(said[0].contains("`t`") && said[0].contains("malformed"), "{said:?}");
    assert!(refused(&it).0.contains("damaged"));
    // once the file is restored nobody takes what is there for the whole, and it goes on
    std::fs::write(it.from.url(), whole).unwrap();
    let again = it.plan(json!({}));
    assert_eq!(forbidden(&again), ["target_not_empty public"]);
    assert!(format!("{:?}", again.items[0].findings).contains("sexton transfer rollback"));
    let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from t"), ["40000"]);
    assert_eq!(it.run(json!({"action": "verify"})).status, Status::Completed);
}

#[test]
fn a_page_that_is_damaged_while_the_application_writes_takes_it_back_without_a_trace() {
    // S4-036
    let it = many();
    it.from.script("pragma journal_mode = wal");
    let (report, said, classes) = damaged_while_copied(&it, json!({"online": true}));
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    assert_eq!(classes, [Class::System], "{said:?}");
    assert!(said[0].contains("`t`") && said[0].contains("malformed"), "{said:?}");
    assert!(it.from.rows("select name from sqlite_schema where name like 'sexton%'").is_empty());
    nothing_was_made(&it);
}

/// What the server tells its superuser.
fn admin(it: &Move, sql: &str) -> String {
    let rows = Place::elsewhere(&it.to.admin_url()).rows(sql);
    rows[0][0].as_text().unwrap().to_owned()
}

#[test]
fn a_target_whose_disk_is_full_is_told_and_goes_on_when_there_is_room() {
    // S4-016, W-096: the kernel says so itself, for the file of one table
    let it = Move::of(ROWS);
    it.to
        .script("create table small (id bigint primary key); create table t (id bigint primary key, s text)");
    let (folder, file) = (admin(&it, "show data_directory"), admin(&it, "select pg_relation_filepath('t')"));
    let file = std::path::Path::new(&folder).join(file);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let plan = it.plan(json!({"existing": true}));
    assert_eq!(forbidden(&plan), [""; 0]);
    let mut failures = Vec::new();
    let report = it
        .engine()
        .run(&plan, &Stop::default(), &mut |event| {
            if let What::Failed { class, error, help, .. } = &event.what {
                failures.push((*class, error.clone(), help.clone().unwrap_or_default()));
            }
        })
        .unwrap();
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    let (class, error, help) = &failures[0];
    assert_eq!(*class, Class::System, "{error}");
    assert!(error.contains("No space left on device") && error.contains('t'), "{error}");
    assert!(help.contains("disk is full"), "{help}");
    // there is room again
    std::fs::remove_file(&file).unwrap();
    std::fs::File::create(&file).unwrap();
    let owner = std::fs::metadata(&folder).unwrap();
    std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from t"), ["2000"]);
    assert_eq!(it.run(json!({"action": "verify"})).status, Status::Completed);
}

#[test]
fn a_target_without_room_for_sorting_is_told_and_goes_on_when_there_is_some() {
    // S4-016, W-096, W-127
    let it = many();
    it.from.script("create index by_s on t (s)");
    let name = it.list("select current_database()").concat();
    it.to.admin_script(&format!(
        "alter database \"{name}\" set temp_file_limit = '64kB'; alter database \"{name}\" set maintenance_work_mem = '1MB'; \
         alter database \"{name}\" set max_parallel_maintenance_workers = 0"
    ));
    let plan = it.plan(json!({}));
    let report = it.engine().run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    let errors = format!("{:?}", report.operations[0].errors);
    assert!(errors.contains("temp_file_limit") && errors.contains(" index "), "{errors}");
    it.to.admin_script(&format!("alter database \"{name}\" reset temp_file_limit"));
    let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from pg_indexes where indexname = 'by_s'"), ["1"]);
    assert_eq!(it.run(json!({"action": "verify"})).status, Status::Completed);
}
