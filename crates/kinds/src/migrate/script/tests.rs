//! The splitter, on what people write and on what nobody would.

use super::*;
use crate::migrate::model::Script;
use crate::migrate::problem::Fault;
use proptest::prelude::*;

const POSTGRES: Language = Language::Postgres { major: Some(15) };
const SQLITE: Language = Language::Sqlite;

fn texts(text: &str, language: Language) -> Vec<String> {
    let statements = split(text, language).unwrap_or_else(|problem| panic!("{problem}\nin {text}"));
    statements.into_iter().map(|statement| statement.sql).collect()
}

fn script(text: &str, language: Language, transactions: Transactions) -> Script {
    read(Path::new("x.sql"), text, language, transactions)
}

fn on(text: &str, language: Language) -> Script {
    script(text, language, Transactions::On("-- off"))
}

fn problems(script: &Script) -> Vec<String> {
    script.problems.iter().map(|problem| format!("{problem} → {}", problem.help)).collect()
}

/// What runs together: `1 2 | 3 | 4`, with `!` before what must be outside.
fn together(script: &Script) -> String {
    let shown = |part: &crate::migrate::model::Part| {
        let names: Vec<&str> = part.statements.iter().map(|one| one.sql.as_str()).collect();
        format!("{}{}", if part.transaction { "" } else { "!" }, names.join(" "))
    };
    script.parts().iter().map(shown).collect::<Vec<_>>().join(" | ")
}

#[test]
fn comments_around_a_statement_are_left_out_and_those_inside_stay() {
    let text = "-- head\nselect 1 -- one\n; /* two */ select /* three */ 2;;; -- end";
    assert_eq!(texts(text, POSTGRES), ["select 1", "select /* three */ 2"]);
    assert_eq!(texts(" \r\n -- nothing\r\n;", SQLITE), Vec::<String>::new());
}

#[test]
fn every_statement_knows_its_line() {
    let text = "select 1;\r\n\r\n-- two\r\nselect\r\n  2; select 3;\n'a\nb'; select 4";
    let lines: Vec<u32> = split(text, POSTGRES).unwrap().iter().map(|one| one.line).collect();
    assert_eq!(lines, [1, 4, 5, 6, 7]);
}

#[test]
fn bodies_in_dollars_keep_their_semicolons() {
    let text = "create function f() returns int as $body$ begin return $$;$$; end; $body$ language plpgsql; select 1";
    assert_eq!(texts(text, POSTGRES).len(), 2);
    assert_eq!(texts("do $$ begin perform 1; end $$; do $x$;$x$", POSTGRES).len(), 2);
}

#[test]
fn bodies_in_sql_keep_their_semicolons() {
    let text = "create or replace function f(a int) returns int begin atomic
        select case when a > 1 then 2 else 3 end; select 4; end; select 5;
        create procedure p() language sql begin atomic insert into t values (1); end;
        create function \"begin\"() returns int return 1; select 6";
    assert_eq!(texts(text, POSTGRES).len(), 5);
    let rule = "create rule r as on insert to t do also (insert into a values (1); delete from b); select 1";
    assert_eq!(texts(rule, POSTGRES).len(), 2);
}

#[test]
fn triggers_of_sqlite_keep_their_statements() {
    let text = "create temp trigger if not exists \"end\" after update on t when new.a = case 1 when 1 then 2 end begin
          update t set a = case when b then ';' else 2 end where c = 'end;';
          select end_ from t; -- end;
          end;
        create table u (a);
        create trigger x delete on u begin select 1;end";
    assert_eq!(texts(text, SQLITE).len(), 3);
    // to the others `begin` in a trigger means nothing
    assert_eq!(texts("create trigger x after insert on t execute function f(); select 1", POSTGRES).len(), 2);
}

#[test]
fn what_is_not_closed_is_told_with_its_line_and_the_rest_is_not_cut() {
    for (text, line, what) in [
        ("select 1;\nselect 'a;\nselect 2;", 2, "the quote '"),
        ("select 1;\n\nselect $x$ ; $y$;", 3, "$x$"),
        ("select 1 /* ;\n/* */", 1, "comment"),
        ("create function f() returns int begin atomic select 1;\nselect 2;", 1, "body"),
    ] {
        let found = on(text, POSTGRES);
        assert_eq!(found.problems[0].line, Some(line), "{text}");
        assert!(found.problems[0].what.contains(what), "{:?}", found.problems);
        assert_eq!(found.problems[0].fault, Fault::Syntax);
    }
    let trigger = on("create trigger x delete on t begin select 1;\nselect 2;", SQLITE);
    assert!(trigger.problems[0].what.contains("the trigger"), "{:?}", trigger.problems);
}

#[test]
fn lines_for_a_client_are_refused_with_help() {
    let found = on("\\connect other\nselect 1;\ncopy t (a) from stdin;\n1;\n\\N\n\\.\nselect 2;", POSTGRES);
    let told = problems(&found);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("line 1: `\\connect` is a line that only psql"), "{told:?}");
    assert!(told[1].contains("line 3: `copy … from stdin`") && told[1].contains("--inserts"), "{told:?}");
    assert_eq!(found.statements.len(), 3);
    let shell = on("create table t (a);\n.import x t\nselect 1;", SQLITE);
    assert!(problems(&shell)[0].contains("`.import` is a line that only the sqlite3 shell"));
    // what newer dumps begin and end with
    assert!(on("\\restrict abc\nselect 1;\n\\unrestrict abc\n", POSTGRES).problems.is_empty());
    assert!(on("copy t to '/x'; copy t from '/x' with (format csv)", POSTGRES).problems.is_empty());
}

#[test]
fn what_the_database_refuses_in_a_transaction_stands_alone() {
    // W-005
    let text = "a1; a2; create index concurrently i on t (a); a3; vacuum t";
    let found = on(text, POSTGRES);
    assert!(!found.transaction && found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(together(&found), "a1 a2 | !create index concurrently i on t (a) | a3 | !vacuum t");
    for alone in [
        "create unique index concurrently if not exists i on t (a)",
        "drop index concurrently i",
        "reindex (verbose) table concurrently t",
        "reindex database d",
        "alter table p detach partition q concurrently",
        "alter system set work_mem = '1MB'",
        "create database d",
    ] {
        assert!(on(alone, POSTGRES).statements[0].outside.is_some(), "{alone}");
    }
    for inside in
        ["refresh materialized view concurrently v", "reindex table t", "create index i on t (concurrently)"]
    {
        assert!(on(inside, POSTGRES).transaction, "{inside}");
    }
    let pragma =
        on("pragma foreign_keys = off; b1; b2; pragma foreign_keys(on); pragma user_version = 3", SQLITE);
    assert_eq!(
        together(&pragma),
        "!pragma foreign_keys = off | b1 b2 | !pragma foreign_keys(on) | pragma user_version = 3"
    );
}

#[test]
fn a_new_value_of_an_enum_is_alone_where_it_must_be() {
    let old = Language::Postgres { major: Some(11) };
    let add = "alter type mood add value if not exists 'ok' after 'sad'";
    assert!(on(add, old).statements[0].outside.as_deref().unwrap().contains("before PostgreSQL 12"));
    assert!(on(add, POSTGRES).transaction);
    let used = on(&format!("{add}; insert into t values ('ok')"), POSTGRES);
    assert!(used.statements[0].outside.as_deref().unwrap().contains("cannot be used"));
    assert!(!used.transaction);
    let made = on(&format!("create type mood as enum ('sad'); {add}; insert into t values ('ok')"), POSTGRES);
    assert!(made.transaction, "the type is as new as the value");
}

#[test]
fn begin_and_commit_become_blocks_or_are_refused() {
    let whole = on("begin; a1; a2; commit;", POSTGRES);
    assert!(whole.transaction && whole.problems.is_empty());
    assert_eq!(together(&whole), "a1 a2");
    let rebuild = "pragma foreign_keys = off; begin transaction; a1; a2; commit; pragma foreign_keys = on";
    let written = script(rebuild, SQLITE, Transactions::Off);
    assert!(written.problems.is_empty(), "{:?}", written.problems);
    assert_eq!(together(&written), "!pragma foreign_keys = off | a1 a2 | !pragma foreign_keys = on");
    let refused = on(rebuild, SQLITE);
    assert!(problems(&refused)[0].contains("leave `begin` and `commit` out, or write `-- off`"));
    let lone = script("a1; a2; begin; a3; end; a4", POSTGRES, Transactions::Off);
    assert_eq!(together(&lone), "a1 | a2 | a3 | a4");
    for (wrong, what) in [
        ("a1; commit; a2", "`commit` ends a transaction that it did not begin"),
        ("begin; a1", "`begin` has no `commit`"),
        ("begin; begin; commit", "already open"),
        ("a1; rollback", "`rollback` would take back"),
        ("begin; create index concurrently i on t (a); commit", "create index concurrently"),
    ] {
        let told = problems(&script(wrong, POSTGRES, Transactions::AsWritten));
        assert!(told.iter().any(|told| told.contains(what)), "{wrong}: {told:?}");
    }
    assert!(on("savepoint x; a1; rollback to savepoint x; release x", POSTGRES).problems.is_empty());
}

#[test]
fn what_is_no_step_of_a_transaction_must_be_meant_on_sqlite() {
    // microsoft/dcp#224
    for wrong in ["create table t (a); vacuum", "attach 'x.db' as x; select 1", "detach x"] {
        let told = problems(&on(wrong, SQLITE));
        assert!(told[0].contains("put it in a file of its own, with `-- off`"), "{wrong}: {told:?}");
        assert!(script(wrong, SQLITE, Transactions::Off).problems.is_empty(), "{wrong}");
    }
}

#[test]
fn a_statement_that_is_no_sql_is_told_with_its_number_and_line() {
    // S2-039
    for language in [SQLITE, POSTGRES] {
        let text = "create table a (x int);\ncreate table b (x int);\n\ncreate table c (\n  x int\n  y int,,\n);\nselect 1;\nselect 2;";
        let faults = syntax::faults(&on(text, language), language);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].what.starts_with("statement 3 of 5 is no SQL: "), "{faults:?}");
        let line = faults[0].line.unwrap();
        assert!((4..=7).contains(&line), "{language:?}: {line}");
    }
    assert!(syntax::fault("select from where", SQLITE).is_some());
    assert!(syntax::fault("create table t (a int) strict", SQLITE).is_none());
}

/// A piece of a statement that holds semicolons where they end nothing.
fn piece(language: Language) -> BoxedStrategy<String> {
    let body = "[a-z;' \"\\-\n]{0,12}";
    let common = prop_oneof![
        "[a-z_]{1,8}",
        "[0-9]{1,4}",
        Just("(a, b)".to_owned()),
        body.prop_map(|text: String| format!("'{}'", text.replace('\'', "''"))),
        body.prop_map(|text: String| format!("\"{}\"", text.replace('"', "\"\""))),
        "[a-z; ']{0,9}".prop_map(|text| format!("--{text}\n")),
        "[a-z; '\n]{0,9}".prop_map(|text| format!("/*{text}*/")),
    ];
    if language == SQLITE {
        return prop_oneof![
            common,
            "[a-z;']{0,9}".prop_map(|text| format!("[{text}]")),
            "[a-z;']{0,9}".prop_map(|text| format!("`{text}`")),
        ]
        .boxed();
    }
    prop_oneof![
        common,
        ("[a-z_]{0,4}", body).prop_map(|(tag, text)| format!("${tag}$ {text} ${tag}$")),
        "[a-z;]{0,5}".prop_map(|text| format!("E'{text}\\';'")),
        "[a-z; ']{0,6}".prop_map(|text| format!("/* {text} /* ; */ {text} */")),
        Just("$1".to_owned()),
    ]
    .boxed()
}

fn statements(language: Language) -> impl Strategy<Value = Vec<String>> {
    let statement = (
        prop_oneof![Just("select"), Just("insert"), Just("x")],
        prop::collection::vec(piece(language), 0..6),
    )
        .prop_map(|(first, rest)| format!("{first} {} z", rest.join(" ")));
    prop::collection::vec(statement, 0..6)
}

proptest! {
    #[test]
    fn statements_of_postgresql_come_back_as_they_were_joined(all in statements(POSTGRES), end in "(;|; -- x|\n;\n)?") {
        prop_assert_eq!(texts(&(all.join(";\n") + &end), POSTGRES), all);
    }

    #[test]
    fn statements_of_sqlite_come_back_as_they_were_joined(all in statements(SQLITE), end in "(;|; -- x|\n;\n)?") {
        prop_assert_eq!(texts(&(all.join(" ; ") + &end), SQLITE), all);
    }

    #[test]
    fn no_text_makes_the_splitter_panic_or_lose_its_way(text in "[a-z$';\"\\\\/*\n\\-`\\[\\]().éB ]{0,80}") {
        for language in [SQLITE, POSTGRES] {
            let found = on(&text, language);
            for statement in &found.statements {
                prop_assert!(text.contains(&statement.sql));
                prop_assert!(statement.line as usize <= text.lines().count().max(1));
                let _ = syntax::fault(&statement.sql, language);
            }
        }
    }
}
