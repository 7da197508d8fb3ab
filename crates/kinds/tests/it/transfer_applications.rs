//! What files of applications have in them that no book on SQL has: collations and clocks of the application, names without end, times
//! that count from another year, rows found by their number.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Report, Status};
use serde_json::{Value as Json, json};
use targets::db::Value;

fn done(it: &Move, options: Json) -> Report {
    let report = it.run(options);
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    report
}

#[test]
fn a_collation_of_the_application_is_named_and_its_rows_arrive() {
    // S4-040, S4-041
    let script =
        "create table words (word text not null primary key collate nocase, n integer not null) without rowid;
         create table decks (id integer primary key, name text not null collate nocase, unique (name));
         create index decks_by_name on decks (name, id);
         insert into words values ('b', 1), ('A', 2), ('Ö', 3), ('a b', 4), ('Z', 5), ('c', 6), ('ä', 7);
         insert into decks values (1, 'Default'), (2, 'french');
         pragma writable_schema = on;
         update sqlite_schema set sql = replace(sql, 'nocase', 'unicase') where type = 'table';";
    let it = Move::of(script);
    // several batches, each of which begins behind the one before
    let report = it.run(json!({}));
    let left = ["decks_by_name", "sqlite_autoindex_decks_1 of decks", "words_nocase_key"];
    let mut told = found(&report);
    told.sort();
    assert_eq!(told, left.map(|name| format!("not_carried {name}")), "{report:#?}");
    assert_eq!(
        it.list("select string_agg(word || n, ',' order by n) from words"),
        ["b1,A2,Ö3,a b4,Z5,c6,ä7"]
    );
    assert_eq!(it.list("select name from decks order by id"), ["Default", "french"]);
    let again = it.run(json!({"action": "verify", "leave": left}));
    assert_eq!(again.status, Status::Completed, "{again:#?}");
    // nobody else can write into such a file
    let online = Move::of(script);
    let refused = forbidden(&online.plan(json!({"online": true})));
    let told: Vec<&String> = refused.iter().filter(|one| one.starts_with("collation ")).collect();
    assert_eq!(told, ["collation decks", "collation words"], "{refused:?}");
    // what would have to compare by it says so
    let asked = json!({"action": "verify", "queries": {"order": {"source": "select name from decks where name > 'a'"}}});
    let why = it.refusal(asked);
    assert!(why.contains("collation `unicase`, which only the application has"), "{why}");
}

#[test]
fn a_comparison_finds_what_the_run_has_shortened_and_has_nothing_against_triggers() {
    // S4-017, S4-041
    let (table, column) = ("Long".repeat(20), "aVeryLongNameOfAColumn".repeat(4));
    let script = format!(
        "create table \"{table}\" (id integer primary key, \"{column}\" text, at datetime);
         insert into \"{table}\" values (1, 'x', null);
         create trigger touched after insert on \"{table}\" begin \
           update \"{table}\" set at = datetime('now') where id = new.id; end;"
    );
    for names in ["keep", "snake_case"] {
        let it = Move::of(&script);
        done(&it, json!({"names": names}));
        done(&it, json!({"action": "verify", "names": names}));
        it.to.script(
            "do $$ begin execute (select format('update %s set %I = %L', c.oid::regclass, a.attname, 'y') from pg_class c \
             join pg_attribute a on a.attrelid = c.oid where c.relkind = 'r' and c.relname ilike 'long%' and a.attname ilike 'a%very%'); end $$"
        );
        assert_eq!(it.run(json!({"action": "verify", "names": names})).status, Status::Partial, "{names}");
    }
}

#[test]
fn numbers_that_may_count_from_2001_stay_numbers() {
    // S4-011, S4-040
    let it = Move::of(
        "create table notes (id integer primary key, made timestamp, seen timestamp, read timestamp);
         insert into notes values (1, 510000000, 1700000000, 510000000), (2, 571510798, null, 571510798);",
    );
    let options = json!({"map": {"notes": {"columns": {"read": {"epoch": "seconds"}}}}});
    let plan = it.plan(options.clone());
    let columns = &plan.items[0].result.as_ref().unwrap()["tables"][0]["columns"];
    let why = columns[1]["reasons"].to_string();
    assert!(why.contains("since 2001") && why.contains("epoch"), "{why}");
    done(&it, options);
    let types = ["made", "seen", "read"].map(|column| it.typ("notes", column));
    assert_eq!(types, ["bigint", "timestamp with time zone", "timestamp with time zone"]);
    assert_eq!(
        it.list("select made, extract(year from read)::int from notes order by id"),
        ["510000000|1986", "571510798|1988"]
    );
}

#[test]
fn a_primary_key_with_nulls_becomes_a_unique_key_and_the_plan_says_so() {
    // S4-020, S4-041
    let it = Move::of(
        "create table uses (author text, code integer, what text, primary key (author, code));
         insert into uses values ('a', 1, 'x'), ('a', null, 'y'), ('a', null, 'z');",
    );
    let plan = it.plan(json!({}));
    let reasons = &plan.items[0].result.as_ref().unwrap()["tables"][0]["reasons"];
    assert_eq!(reasons, &json!({"uses_pkey": "a primary key in SQLite, but some of its values are NULL"}));
    done(&it, json!({}));
    assert!(it.to.try_script("insert into uses values ('a', 1, 'twice')").is_err());
    it.to.script("insert into uses values ('a', null, 'w')");
}

#[test]
fn defaults_say_what_the_clock_says() {
    // S4-041
    let script = "create table t (id integer primary key, made text default (datetime('now', 'localtime')),
           at datetime default (datetime('now', 'localtime')), day date default (date('now', 'localtime')),
           seconds integer not null default (cast(strftime('%s', 'now') as integer)), later text default (date('now', '+7 days')),
           millis integer default (strftime('%s', 'now') * 1000), until datetime default (datetime('now', '+1 day')),
           half real default (julianday('now')));
         insert into t values (1, '2024-07-01 12:00:00', '2024-07-01 12:00:00', '2024-07-01', 1, '2024-07-08', 1000, '2024-07-02 12:00:00', 2.5);
         create trigger touched after update of half on t begin update t set made = datetime('now', 'localtime'), \
           at = datetime('now', 'localtime') where rowid = new.rowid; end;";
    let it = Move::of(script);
    let plan = it.plan(json!({}));
    let left = plan.items[0].result.as_ref().unwrap()["left"].as_array().unwrap().clone();
    let told: Vec<(&str, &str)> =
        left.iter().map(|left| (left["name"].as_str().unwrap(), left["why"].as_str().unwrap())).collect();
    let why = "`localtime` is the clock of the application's machine: say its zone with `zone`";
    assert_eq!(told, ["t.made", "t.at", "t.day", "touched"].map(|name| (name, why)));
    // what `datetime('now')` writes is in UTC, and this column is read in the zone: nothing is certain there
    done(&it, json!({"zone": "Asia/Kolkata", "leave": ["t.until"]}));
    assert_eq!(it.list("select (at = '2024-07-01 12:00:00+05:30')::text from t"), ["true"]);
    it.to.script("insert into t (id) values (2); update t set half = 3 where id = 1;");
    let near = |column: &str, now: &str| format!("abs(extract(epoch from {column} - {now})) < 60");
    let local = "now() at time zone 'Asia/Kolkata'";
    let asked = [
        near("made::timestamp", &format!("({local})")),
        near("at", "now()"),
        format!("day = ({local})::date"),
        "abs(seconds - extract(epoch from now())) < 60".to_owned(),
        "later::date = (now() at time zone 'utc')::date + 7".to_owned(),
        "abs(millis / 1000 - extract(epoch from now())) < 60 and millis % 1000 = 0".to_owned(),
        "abs(half - 2440587.5 - extract(epoch from now()) / 86400) < 0.001".to_owned(),
    ];
    for what in asked {
        assert_eq!(it.list(&format!("select ({what})::text from t where id = 2")), ["true"], "{what}");
    }
    let touched = format!(
        "select ({} and {})::text from t where id = 1",
        near("made::timestamp", &format!("({local})")),
        near("at", "now()")
    );
    assert_eq!(it.list(&touched), ["true"]);
    // what was small until now outgrows it with the next row
    assert_eq!(["id", "seconds", "millis"].map(|column| it.typ("t", column)), ["bigint"; 3]);
}

#[test]
fn rows_that_a_trigger_finds_by_their_number_are_found_by_their_key() {
    // S4-041
    let it = Move::of(
        "create table parts (kind text not null, no integer not null, name text, touched integer not null default 0, primary key (kind, no));
         create table bare (name text, touched integer);
         insert into parts (kind, no, name) values ('a', 1, 'x'), ('a', 2, 'x'), ('b', 1, 'y');
         create trigger made after insert on parts begin update parts set touched = 1 where rowid = new.rowid; end;
         create trigger changed after update of name, no on parts begin update parts set touched = touched + 10 where new.rowid = parts.rowid; end;
         create trigger late after update of touched on parts begin update parts set name = 'q' where rowid = old.rowid; end;
         create trigger idle after insert on bare begin update bare set touched = 1 where rowid = new.rowid; end;
         create view twins as select a.no, b.name from parts a join parts b on a.rowid = b.rowid;",
    );
    let left = ["late", "idle"];
    let plan = it.plan(json!({}));
    let told = plan.items[0].result.as_ref().unwrap()["left"].as_array().unwrap().clone();
    assert_eq!(told.iter().map(|left| left["name"].as_str().unwrap()).collect::<Vec<_>>(), left);
    done(&it, json!({"leave": left}));
    it.from.script("drop trigger late");
    let writes = "insert into parts (kind, no, name) values ('c', 7, 'z'); update parts set no = 9 where kind = 'b'; \
                  update parts set name = 'w' where kind = 'a' and no = 2;";
    it.from.script(writes);
    it.to.script(writes);
    let rows = "select kind, no, name, touched from parts order by 1, 2";
    let plain = |row: &Vec<Value>| {
        let each = row.iter().map(|value| value.as_text().map_or_else(|| value.to_string(), str::to_owned));
        each.collect::<Vec<_>>().join("|")
    };
    let before: Vec<String> = it.from.rows(rows).iter().map(plain).collect();
    assert_eq!(it.list(rows), before);
    assert_eq!(it.list("select count(*) from twins"), ["4"]);
}

#[test]
fn a_refusal_names_only_ways_that_can_be_gone_and_each_of_them_can() {
    // S4-025, S4-040
    let script = "create table people (id integer primary key);
         create table members (person integer not null references people(id), \"the group\" text, primary key (person));
         create table friends (id integer primary key, person integer references people(id), hash text);
         insert into people values (1); insert into members values (1, 'a'), (2, 'b'); insert into friends values (1, 3, 'x'), (2, 1, cast(x'ff00' as text));";
    let it = Move::of(script);
    let helps = |options: Json| -> Vec<String> {
        let plan = it.plan(options);
        let refused = |one: &&engine::Finding| one.level == engine::Level::Refuse;
        plan.items[0]
            .findings
            .iter()
            .filter(refused)
            .map(|one| format!("{}: {}; {}", one.object, one.what, one.remedy))
            .collect()
    };
    let told = helps(json!({}));
    assert_eq!(told.len(), 3, "{told:#?}");
    let of = |place: &str| told.iter().find(|one| one.starts_with(place)).cloned().unwrap_or_default();
    let members = of("members.person");
    assert!(
        members
            .contains("{ reference = \"quarantine\" }`, for one column alone in `map.TABLE.columns.COLUMN`"),
        "{members}"
    );
    assert!(
        !members.contains("`null`") && !members.contains("`truncate`") && !members.contains("`default`"),
        "{members}"
    );
    let friends = of("friends.person");
    assert!(friends.contains("or `null`") && !friends.contains("`default`"), "{friends}");
    let hash = of("friends.hash");
    assert!(
        hash.contains("`null`, `truncate`, `default` where `map` says one")
            && hash.contains("`cast = \"bytea\"`"),
        "{hash}"
    );
    let told = helps(json!({"dirty": {"reference": "null", "broken_text": "null"}}));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("the policy `null` cannot be followed here"), "{told:#?}");
    let options = json!({"map": {
        "members": {"columns": {"person": {"dirty": {"reference": "quarantine"}}}},
        "friends": {"columns": {"person": {"dirty": {"reference": "null"}}, "hash": {"cast": "bytea"}}}}});
    assert_eq!(it.run(options).status, Status::Partial);
    assert_eq!(it.list("select id, person, hash from friends order by 1"), ["1|null|\\x78", "2|1|\\xff00"]);
    assert_eq!(it.list("select person from members"), ["1"]);
}

#[test]
fn a_text_that_its_check_knows_as_a_document_becomes_one() {
    // S4-010, S4-041
    let it = Move::of(
        "create table settings (id integer primary key, data text not null check ((JSON_VALID(\"data\") OR \"data\" IS NULL)),
           note text check (note <> ''), more text default '{}' check (json_valid(more)));
         insert into settings values (1, '{\"a\": [1, 2]}', 'x', '[]'), (2, '3', null, null);",
    );
    let plan = it.plan(json!({}));
    let columns = &plan.items[0].result.as_ref().unwrap()["tables"][0]["columns"];
    assert_eq!(columns[1]["reasons"], json!(["its check lets nothing but documents in"]));
    done(&it, json!({}));
    assert_eq!(["data", "note", "more"].map(|column| it.typ("settings", column)), ["jsonb", "text", "jsonb"]);
    it.to.script("insert into settings (data) values ('{\"a\": [5]}')");
    assert_eq!(
        it.list("select data #>> '{a,0}', more from settings order by id"),
        ["1|[]", "null|null", "5|{}"]
    );
    assert!(it.to.try_script("update settings set data = 'no'").is_err());
}

#[test]
fn triggers_that_only_fill_a_search_table_are_left_with_it() {
    // S4-041
    let it = Move::of(
        "create table notes (id integer primary key, text text, n integer not null default 0);
         create virtual table found using fts5(text, content = 'notes', content_rowid = 'id');
         insert into notes values (1, 'a', 0);
         create trigger notes_i after insert on notes begin insert into found (rowid, text) values (new.id, new.text); end;
         create trigger notes_d after delete on notes begin insert into found (found, rowid, text) values ('delete', old.id, old.text); end;
         create trigger notes_u after update on notes begin insert into found (rowid, text) values (new.id, new.text); \
           update notes set n = n + 1 where id = new.id; end;",
    );
    let plan = it.plan(json!({}));
    let left = plan.items[0].result.as_ref().unwrap()["left"].as_array().unwrap().clone();
    let told: Vec<(&str, bool)> = left
        .iter()
        .map(|left| {
            (
                left["name"].as_str().unwrap(),
                left["why"].as_str().unwrap().contains("it only keeps `found` filled"),
            )
        })
        .collect();
    assert_eq!(told, [("notes_i", true), ("notes_d", true), ("notes_u", false), ("found", false)]);
    let report = it.run(json!({"leave": ["found"]}));
    assert_eq!(found(&report), ["not_carried notes_u"], "{report:#?}");
}
