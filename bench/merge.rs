//! A merge of persons who are there four times, with three tables that refer to them, against the statements that an
//! experienced hand would write: the same survivor, the same sums, the same link table, but no undo.

use crate::on_copy;
use crate::stage::Stage;
use crate::table::{Ratio, Table};

/// Rows of a group of duplicates.
const COPIES: u64 = 4;

pub fn merge(rows: u64, rounds: usize, stage: &Stage, table: &mut Table) {
    let seed = format!("people_{rows}");
    stage.seed_with(&seed, &making(rows));
    let gone = rows - rows / COPIES;
    let mut with = Ratio::at_most("merge with undo rows ÷ statements by hand, without undo", 2.5);
    let mut without = Ratio::at_most("merge without undo ÷ the same", 2.5);
    for _ in 0..rounds {
        let base = on_copy(stage, &seed, "statement", BY_HAND);
        assert_eq!(base.rows, gone, "by hand");
        for (ratio, undo) in [(&mut without, "none"), (&mut with, "rows")] {
            let ours = on_copy(stage, &seed, "merge", &options(undo));
            assert_eq!(ours.rows, gone, "the merge, undo {undo}");
            table.peak(ours.peak_kb);
            ratio.add(&ours, &base);
        }
    }
    table.add(with);
    table.add(without);
    stage.remove(&seed);
}

fn options(undo: &str) -> String {
    serde_json::json!({
        "table": "people", "by": [{ "expression": "lower(t.email)" }], "survivor": ["most_dependants", "lowest_key"],
        "fields": { "visits": "sum" }, "undo": undo,
    })
    .to_string()
}

/// Understood by both databases.
fn making(rows: u64) -> String {
    format!(
        "create table people (id bigint not null primary key, email text not null, name text not null, visits bigint not null);
         create table orders (id bigint not null primary key, person_id bigint not null references people (id), total bigint);
         create table calls (id bigint not null primary key, person_id bigint not null references people (id), said text);
         create table tags (person_id bigint not null references people (id), tag text not null, primary key (person_id, tag));
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into people select i, case when i % 2 = 0 then 'USER' else 'user' end || (i % {groups}) || '@example.org',
           'name of ' || i, i % 7 from n;
         insert into orders select id * 2, id, id % 100 from people;
         insert into orders select id * 2 + 1, id, id % 50 from people where id % 3 = 0;
         insert into calls select id, id, 'call ' || id from people;
         insert into tags select id, 'common' from people;
         insert into tags select id, 'tag ' || (id % 5) from people where id % 2 = 0;
         create index orders_person on orders (person_id);
         create index calls_person on calls (person_id);
         create index people_email on people (lower(email));
         analyze;",
        groups = rows / COPIES
    )
}

// Only the statement that begins with `delete` is counted.
const BY_HAND: &str = "begin;;
create temporary table map as
select o, n
from (
  select id as o, first_value(id) over stays as n, row_number() over stays as nth
  from (
    select p.id, lower(p.email) as email, coalesce(o.many, 0) + coalesce(c.many, 0) + coalesce(t.many, 0) as many
    from people as p
    left join (select person_id, count(*) as many from orders group by person_id) as o on o.person_id = p.id
    left join (select person_id, count(*) as many from calls group by person_id) as c on c.person_id = p.id
    left join (select person_id, count(*) as many from tags group by person_id) as t on t.person_id = p.id
  ) as counted
  window stays as (partition by email order by many desc, id)
) as ranked
where nth > 1;;
create unique index map_o on map (o);;
analyze map;;
update orders set person_id = map.n from map where map.o = orders.person_id;;
update calls set person_id = map.n from map where map.o = calls.person_id;;
with one as (select 1) insert into tags (person_id, tag)
select distinct map.n, tags.tag from tags join map on map.o = tags.person_id where true on conflict do nothing;;
with one as (select 1) delete from tags where person_id in (select o from map);;
update people set visits = people.visits + gained.visits
from (select map.n, sum(p.visits) as visits from map join people as p on p.id = map.o group by map.n) as gained
where gained.n = people.id;;
delete from people where id in (select o from map);;
commit";
