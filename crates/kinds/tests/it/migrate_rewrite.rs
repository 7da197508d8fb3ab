//! The safe form of statements: the linter finds nothing in it that it was made for, and it takes the same end.

use crate::migrate_lint_kit::{bare, linted, source};
use kinds::migrate::lint::{Engine, Source, Step, Terms, lint, rewrite};
use testkit::Place;

const SETUP: &str = "
    create table parent (id bigint primary key, code text);
    create table t (id bigint, a integer not null, b text, parent_id bigint, constraint t_pkey primary key (id));
    create table \"Odd Name\" (id bigint primary key, \"order\" integer);
    create table keyless (id bigint, a integer);
    create index t_b on t (b);
    create index t_a on t (a);
    insert into parent select n, n::text from generate_series(1, 50) n;
    insert into t select n, n, n::text, n from generate_series(1, 50) n;
    insert into \"Odd Name\" select n, n from generate_series(1, 50) n;
    insert into keyless select n, n from generate_series(1, 50) n;";

/// Statements that have a safe form, and some that need none.
const STATEMENTS: &[&str] = &[
    "create index t_parent on t (parent_id)",
    "create unique index t_u on t (b, parent_id) where a > 0",
    "CREATE INDEX IF NOT EXISTS t_parent ON t USING btree (parent_id)",
    "create index on t (parent_id)",
    "drop index t_b",
    "drop index t_b, t_a",
    "reindex index t_b",
    "alter table t add constraint t_parent foreign key (parent_id) references parent (id) on delete cascade",
    "alter table t add foreign key (parent_id) references parent",
    "alter table t add check (a > 0)",
    "alter table t add constraint c check (a > 0 and b <> 'none')",
    "alter table t add constraint t_u unique (b)",
    "alter table t add unique (b, a)",
    "alter table t add constraint t_u unique (b) include (a) deferrable initially deferred",
    "alter table keyless add primary key (id)",
    "alter table keyless add constraint k primary key (id, a)",
    "alter table t alter column b set not null",
    "alter table \"Odd Name\" alter column \"order\" set not null",
    "alter table \"Odd Name\" add constraint \"Some Check\" check (\"order\" > 0)",
    "alter table t add column c text unique",
    "alter table t add column c timestamptz not null default clock_timestamp()",
    "alter table t add column if not exists c double precision default random() * 0 check (c >= 0)",
    "alter table t add column c bigint default 1 references parent (id)",
    "alter table t add column c integer, alter column b set not null, add constraint k check (a > 0), alter column a set default 3",
    "alter table keyless add column c bigserial",
    "alter table t add column d integer; create index t_d on t (d); alter table t add constraint k check (d > 0); update t set d = 1 where d is null",
    "delete from t where a > 40",
    "update t set b = 'y' where b is null",
    "alter table t add column harmless integer",
    "create table new (id bigint primary key, t_id bigint references t); create index new_t on new (t_id)",
];

fn text(step: &Step) -> String {
    step.statements.iter().map(|statement| format!("{statement};\n")).collect()
}

fn sources(steps: &[Step]) -> Vec<Source> {
    let one = |step: &Step| {
        if step.transaction {
            source(Engine::Postgres, &text(step))
        } else {
            bare(Engine::Postgres, &text(step))
        }
    };
    steps.iter().map(one).collect()
}

#[test]
fn nothing_is_left_of_what_a_safe_form_was_made_for() {
    let terms = Terms::new(Engine::Postgres);
    for sql in STATEMENTS {
        let before = source(Engine::Postgres, SETUP);
        // The tables are known, and are in use by now.
        let original = lint(&[before.clone(), source(Engine::Postgres, sql)], &terms, None).unwrap();
        let own = before.script.statements.len();
        let promised: Vec<&str> = original
            .statements
            .iter()
            .skip(own)
            .flat_map(|judged| &judged.findings)
            .filter(|finding| !finding.rewrite.is_empty())
            .map(|finding| finding.code)
            .collect();
        let steps = rewrite(&source(Engine::Postgres, sql), &terms, None);
        let mut all = vec![before];
        all.extend(sources(&steps));
        let after = lint(&all, &terms, None).unwrap();
        for judged in after.statements.iter().skip(own) {
            for finding in &judged.findings {
                assert!(
                    !promised.contains(&finding.code),
                    "{sql}\n  still {} in {}",
                    finding.code,
                    judged.statement
                );
                let broken = ["syntax", "outside-transaction", "validate-in-transaction", "work-under-lock"];
                assert!(
                    !broken.contains(&finding.code),
                    "{sql}\n  {}: {} in {}",
                    finding.code,
                    finding.text,
                    judged.statement
                );
            }
        }
    }
}

#[test]
fn a_safe_form_takes_the_same_end_as_its_statement() {
    for sql in STATEMENTS {
        let plain = Place::postgres();
        plain.script(SETUP);
        plain.script(sql);
        let safe = Place::postgres();
        safe.script(SETUP);
        let mut facts = safe.database().read().unwrap();
        let around = kinds::migrate::lint::Surroundings::of(facts.as_mut()).unwrap();
        drop(facts);
        let terms = Terms::new(Engine::Postgres);
        for step in rewrite(&source(Engine::Postgres, sql), &terms, Some(&around)) {
            if step.transaction {
                let whole = format!("begin;\n{}commit;", text(&step));
                safe.try_script(&whole).unwrap_or_else(|error| panic!("{sql}\n{whole}\n{error}"));
            } else {
                for statement in &step.statements {
                    safe.try_script(statement).unwrap_or_else(|error| panic!("{sql}\n{statement}\n{error}"));
                }
            }
        }
        assert_eq!(shape(&safe), shape(&plain), "{sql}");
    }
}

/// Columns, keys, checks, indexes and rows, names of checks aside.
fn shape(place: &Place) -> Vec<String> {
    let asked = [
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
           coalesce(pg_get_expr(d.adbin, d.adrelid), '')
         from pg_class c join pg_attribute a on a.attrelid = c.oid
           left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
         order by 1, 2",
        "select conrelid::regclass::text, pg_get_constraintdef(oid), convalidated::text, '', ''
         from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2",
        "select replace(indexdef, 'if not exists ', ''), '', '', '', '' from pg_indexes where schemaname = 'public' order by 1",
        "select (select count(*) from t)::text, (select count(*) from t where b is null)::text,
           (select count(*) from keyless)::text, '', ''",
    ];
    let text =
        |row: Vec<targets::db::Value>| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    asked.iter().flat_map(|sql| place.rows(sql).into_iter().map(text).collect::<Vec<_>>()).collect()
}

#[test]
fn what_has_no_safe_form_stays_as_it_is() {
    for sql in [
        "alter table t alter column a type bigint",
        "update t set a = a + 1",
        "update t set a = 1 from p where t.b is null",
        "delete from t using p where p.id = t.id",
        "alter table t add column a int not null",
        "alter table t add constraint c exclude using gist (r with &&)",
        "create index concurrently i on t (a)",
        "this is no sql",
    ] {
        let steps = rewrite(&bare(Engine::Postgres, sql), &Terms::new(Engine::Postgres), None);
        assert_eq!(steps.len(), 1, "{sql}");
        assert_eq!(steps[0].statements, [sql]);
    }
    let lite = "create index i on t (a)";
    assert_eq!(
        rewrite(&source(Engine::Sqlite, lite), &Terms::new(Engine::Sqlite), None)[0].statements,
        [lite]
    );
    assert!(linted(Engine::Sqlite, lite).findings().all(|(_, finding)| finding.rewrite.is_empty()));
}
