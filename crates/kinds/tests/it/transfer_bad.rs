//! Sources that cannot be read and targets that cannot be filled: each is told before anything is done, and nothing is claimed.

use crate::stage::{manners, shown};
use crate::transfer_kit::{Move, forbidden};
use engine::{Class, Plan};
use serde_json::{Value as Json, json};
use std::io::{Seek, SeekFrom, Write};
use testkit::{Workshop, story};

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
