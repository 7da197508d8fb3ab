//! The views of the source on the other side: they answer as before, or are named with the reason.

use crate::transfer_kit::{Move, found};
use engine::Status;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use targets::db::Value;

const TABLES: &str = "
create table people (id integer primary key, name text not null, mail text collate nocase, born date, active boolean not null default 1,
  joined datetime not null, seen integer, score real, cents numeric, data json);
create table orders (id integer primary key, person_id integer references people(id), placed_at text not null, total real, state text,
  parts integer, \"Odd name\" text);
create table tags (person_id integer not null, tag text not null, primary key (person_id, tag)) without rowid;
create table tree (id integer primary key, parent integer references tree(id), name text);
insert into people values
  (1, 'Ann', 'Ann@x.org', '1990-02-28', 1, '2024-01-31 10:00:00', 1700000000, 1.5, 250, '{\"a\": 1}'),
  (2, 'bob', 'bob@x.org', '1985-12-31', 0, '2024-02-29 23:59:59', 1700086400, 2.0, 199.5, null),
  (3, 'Cid', null, null, 1, '2023-06-15 00:00:00', null, null, null, null),
  (4, 'änne', 'ANN@X.ORG', '2000-01-01', 1, '2024-03-01 12:30:30', 1710000000, -3.25, 0, '[]');
insert into orders values (1, 1, '2024-02-01T10:00:00Z', 10.5, 'paid', 3, 'x'), (2, 1, '2024-02-03T11:30:00Z', 20, 'open', 0, null),
  (3, 2, '2024-03-05T12:00:00Z', 7.25, 'paid', 2, 'Y'), (4, null, '2024-03-31T23:00:00Z', 1, 'void', null, ''),
  (5, 4, '2024-04-01T00:00:00Z', null, 'paid', 5, 'z'),
  (7, 4, '2024-01-01T00:30:00+02:00', 3, 'odd', 1, 'z'), (8, 4, '2024-05-06 07:08', 3, 'odd', 1, 'z');
insert into tags values (1, 'red'), (1, 'blue'), (2, 'red'), (4, 'green');
insert into tree values (1, null, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf');
";

/// Each says the same on both sides.
const SAME: &[&str] = &[
    "select * from people",
    "select id, json_extract(data, '$.a') as a from people",
    "select id, name as who, active from people where active",
    "select p.*, o.id as order_id from people p join orders o on o.person_id = p.id",
    "select p.name, count(o.id) as n, sum(o.total) as total from people p left join orders o on o.person_id = p.id group by p.id",
    "select name, (select count(*) from orders o where o.person_id = people.id) as n from people",
    "select state, count(*), min(placed_at), max(total), avg(total), sum(parts), total(parts) from orders group by state",
    "select state, sum(state = 'paid') as paid, sum(total > 8) as dear from orders group by 1",
    "select upper(substr(name, 1, 1)) as letter, count(*) as n from people group by letter having n > 0 order by letter desc",
    "select count(*) as n, count(distinct state) as states, group_concat(state, '/') as one from orders where state = 'paid'",
    "select distinct state from orders order by state",
    "select id from people where id in (select person_id from orders where state = 'paid')",
    "select id from people where exists (select 1 from orders o where o.person_id = people.id and o.total > 9)",
    "select id from people where id not in (select person_id from orders where person_id is not null)",
    "select name from people where mail = 'ann@x.org' order by mail, id",
    "select name from people order by name",
    "select name from people order by name collate nocase desc limit 2 offset 1",
    "select id, score from people order by score desc, id",
    "select id, born from people order by born",
    "select id from people union select person_id from orders where person_id is not null",
    "select id, 'person' as what from people union all select id, 'order' from orders order by 2, 1 desc",
    "select id from people except select person_id from orders intersect select id from people where id > 1",
    "with paid as (select * from orders where state = 'paid') select person_id, total from paid where total > 8",
    "with a(x, y) as (select id, name from people), b as (select x from a where x > 1) select a.y from a join b using (x)",
    "with recursive up(id, name, depth) as (select id, name, 0 from tree where parent is null union all \
       select t.id, t.name, up.depth + 1 from tree t join up on t.parent = up.id) select name, depth from up order by depth, name",
    "with recursive n(i) as (values (1) union all select i + 1 from n where i < 5) select i, i * i as square from n",
    "select case when total >= 10 then 'large' when total is null then 'none' else 'small' end as size from orders",
    "select case state when 'paid' then 1 when 'open' then 0 end as flag, iif(parts > 2, 'many', 'few') as many from orders",
    "select coalesce(total, 0) as total, ifnull(parts, -1) as parts, nullif(state, 'void') as state from orders",
    "select total * 1.0 / parts as each, total / 2 as half, parts / 2 as whole, parts % 2 as odd from orders",
    "select cast(total as integer) as whole, cast(parts as real) as real, cast(parts as text) as said from orders",
    "select date(placed_at) as day, sum(total) as total from orders group by date(placed_at) order by day",
    "select strftime('%Y-%m', placed_at) as month, count(*) as n from orders group by month order by month",
    "select strftime('%Y', joined) as year, cast(strftime('%m', joined) as integer) as month, strftime('%w', joined) as weekday from people",
    "select id, datetime(joined, '+1 month') as later, date(joined, 'start of month', '-1 day') as before, time(joined, '+90 minutes') as t from people",
    "select id, date(joined, '+1 year') as later, datetime(joined, '-36 hours') as earlier, date(born, '-1 month') as b from people",
    "select id, unixepoch(joined) as s, strftime('%s', joined) as t, julianday(joined) as j from people",
    "select id, datetime(seen, 'unixepoch') as seen, seen + 1 as next, seen > 1700000000 as late from people",
    "select id, round(julianday('2024-06-01') - julianday(joined)) as days from people where joined < '2024-06-01'",
    "select id from orders where placed_at >= datetime('2024-03-01')",
    "select id, date(placed_at) as d, datetime(placed_at, '+1 day') as n, strftime('%s', placed_at) as s from orders",
    "select id from people where joined > datetime('now', '-200 years') and born < date('now')",
    "select 'Ann' as name, null as none, 1.5 as real, x'00ff' as bytes",
    "select name || ' <' || coalesce(mail, '-') || '>' as shown, length(name) as n, trim(name, 'A') as t, instr(name, 'n') as i from people",
    "select max(parts, 2) as most, min(total, 8.0) as least, abs(-parts) as a from orders",
    "select \"Odd name\", [Odd name] as o, `state` from orders where \"Odd name\" is not null",
    "select person_id, tag, row_number() over (partition by person_id order by tag) as n from tags",
    "select id, total, sum(total) over (order by id rows between unbounded preceding and current row) as run, \
       lag(total, 1, 0.0) over w as before, rank() over (order by state) as r from orders window w as (order by id)",
    "select id, count(*) filter (where state = 'paid') over (partition by person_id) as n, ntile(2) over (order by id) as half from orders",
    "select count(*) filter (where total > 5) as n, max(total) - min(total) as spread from orders",
    "select p.name, t.tag from people p cross join tags t where t.person_id = p.id",
    "select p.name, t.tag from people p, tags t where t.person_id = p.id and t.tag like 'R%'",
    "select a.name as child, b.name as parent from tree a left join tree b on b.id = a.parent",
    "select q.state, q.n from (select state, count(*) as n from orders group by state) as q where q.n > 1",
    "select state, n from (select state, count(*) as n from orders group by state)",
    "select rowid as r, name from people where rowid between 2 and 3",
    "select p.id, o.id from people p full join orders o on o.person_id = p.id",
    "select p.id, o.id from (people p join orders o on o.person_id = p.id)",
    "select person_id from orders natural join tags",
    "select name from people where name glob '[A-C]*' or name like '%B%'",
    "select id from people where (active = 1 or score < 0) and not (name = 'Cid')",
    "select (select max(total) from orders) as most, (select name from people order by id limit 1) as first",
    "select active, active + 1 as more, not active as off, sum(active) over () as n from people",
    "select person_id, max(placed_at) as last from orders group by person_id having count(*) >= 1 order by last desc",
    "select current_date > '2000-01-01' as d, length(current_timestamp) as n",
    "select id from orders where state in ('paid', 'open') and total between 5 and 15",
    "values (1, 'a'), (2, 'b')",
    "select typeof(id) as t, hex(x'0a') as h, replace(name, 'n', 'm') as r, likely(active) as l from people",
    "select count(*) from orders",
    "select total from (select total from orders union all select score from people) where total is not null",
];

/// What SQLite takes another way than one would think, in columns of every kind.
const ODD: &str = "
create table odd (id integer primary key, n integer, small int, b boolean, word boolean, s text, k text collate nocase, r text collate rtrim,
  price decimal(10,2), at datetime, untyped, c integer as (small * 100000) stored, gone text, due datetime default '2024-01-02', big integer default 1700000000000);
insert into odd (id, n, small, b, word, s, k, r, price, at, untyped, gone) values
  (1, 5, 30000, 1, 'true', '5', 'abc', 'A', 0.1, '2024-03-01 00:00:00', '5', 'x'),
  (2, 10, 2, 0, 'false', 'ABC', 'ABC', 'A ', 0.2, '2024-03-01 10:00:00', 5, 'y'), (3, '', null, null, null, null, null, null, null, null, null, null),
  (4, 'x', -3, 1, 1, 'abc', 'Abc', 'B', 100, '2024-02-29 23:59:59', 'a', '');
create table digits (s text, n integer);
insert into digits values ('1', 1), (' 2	', 2), ('3x', 3), ('', 4), (null, 5), ('6', null), ('7.0', 7), ('8e0', 8), ('-1e2', -100), ('.5', 0),
  ('+4', 4), ('9999999999999999999', 9), ('0x10', 16), ('1e999', 17), ('NaN', 18), ('1_0', 10), ('٣', 3), ('--1', -1), ('5.', 5);";

/// Each says the same on both sides.
const ODD_SAME: &[&str] = &[
    "select id, n, word, untyped from odd where n is not null",
    "select id from odd where s = k",
    "select id from odd where k = s",
    "select id from odd where k collate binary = 'abc' or s = 'abc' collate nocase",
    "select a.id, b.id as other from odd a join odd b on a.k = b.k",
    "select id from odd order by k collate binary, id",
    "select id from odd where small is true or b is not true",
    "select id, b is (small > 0) as same, (b = 1) = (small > 0) as also, b between 0 and 1 as any, - -small as m, -(-small) as p from odd",
    "select id from odd where at > '2024-03-01'",
    "select id from odd where at <= '2024-03-01'",
    "select id from odd where at between '2024-02-29' and '2024-03-01'",
    "select id from odd where '2024-03-01' < at",
    "select id from odd where due > '2024-01-02' or due <= '2024-01-01'",
    "select id from odd where due = '2024-01-02'",
    "select 86400 * 30 * 1000 as month, length(s) * 2147483647 as long, (b is null) + 2147483647 as n from odd",
    "select id, strftime('%Y', at) - strftime('%Y', due) as years, strftime('%s', at) - strftime('%s', due) as seconds from odd",
    "select * from (select id, null as none from odd) where coalesce(none, 0) = 0",
    "select id, small / nullif(price * 1.0, 0) as part, abs(small) as a from odd",
    "select datetime(big, 'unixepoch') as none, datetime(id, 'unixepoch') as some from odd",
    "select id, small * 1000000 as big, small + 2147483647 as more, c from odd",
    "select 2 as kind, s, id from odd order by kind, id desc",
    "select 0.1 + 0.2 = 0.3 as no, price * 3 > 0.3 as more, price + 1 as sum from odd",
    "select id, round(small / 7.0, 2) as r, round(price) as p from odd",
    "select hex(x'') as h, s glob '[a-c]*' as g, x'41' as x from odd",
    "select count(*) as n, null as none, 1 as one union all select null, null, 2 union all select null, 'x', 3",
    "with recursive up(n, path) as (select id, s from odd where id = 1 union all select n + 1, path || '/' || n from up where n < 3) \
       select * from up",
    "with up(n) as (select 1 union all select n + 1 from up where n < 3) select n from up",
    "select * from (select a.*, b.id from odd a join odd b on a.id = b.id)",
    "select sum(small) over W as s, id from odd window w as (order by id)",
    "select distinct s as word, id from odd order by odd.id desc",
    "select max(small, b, 1) as m, coalesce(b, 0) as c, iif(b, small, null) as i from odd",
    "select case when count(*) > 2 then 'many' else 'few' end as many, count(*) > 2 and max(id) > 3 as both from odd",
    "select id from odd where s = cast(5 as integer)",
    "select a.id, t.s from odd a join digits t on a.id = t.s",
    "select s, s > n as more, n < s as less, s between n and n as near, s <> n as other, n is s as same from digits",
    "select x, s from (select s, n as x from digits) where s <> \"\"",
];

/// Each is named with a reason that has this in it.
const ODD_NAMED: &[(&str, &str)] = &[
    ("select * from odd where n > 6", "no counterpart"),
    ("select id from odd order by n", "no counterpart"),
    ("select max(n) as n from odd", "no counterpart"),
    ("select id from odd where word", "no counterpart"),
    ("select id from odd where untyped = '5'", "no counterpart"),
    ("select id from odd where r = 'A'", "no counterpart"),
    ("select id from odd where strftime('%Y', at) = 2024", "no counterpart"),
    ("select id from odd where length(s) = '1'", "no counterpart"),
    ("select id from odd where abs(small) = '3'", "no counterpart"),
    ("select id from odd where at = '2024-03-01'", "no counterpart"),
    ("select id from odd where \"gone\" = 'x'", "`gone` is not carried"),
    ("select gone from odd", "`gone` is not carried"),
    ("select id from odd where s glob '[z-a]*'", "no counterpart"),
    ("select coalesce(b, 'no') as c from odd", "no counterpart"),
    ("select nullif(k, 'abc') as n from odd", "no counterpart"),
    ("select count(*) as n, 1 as k from odd group by k", "no counterpart"),
    (
        "with recursive c(x) as (select 1 union all select x + 1 from c limit 9) select x from c",
        "order or a limit",
    ),
    (DEEP, "nested too deeply"),
];

const DEEP: &str = "select (select (select (select (select (select (select (select (select (select (select (select (select (select (select \
  (select (select (select count(*) from odd group by id) from odd group by id) from odd group by id) from odd group by id) from odd group by id) \
  from odd group by id) from odd group by id) from odd group by id) from odd group by id) from odd group by id) from odd group by id) from odd \
  group by id) from odd group by id) from odd group by id) from odd group by id) from odd group by id) from odd group by id) as n from odd";

/// Each is named with a reason that has this in it.
const NAMED: &[(&str, &str)] = &[
    ("select name, max(score) from people", "which `name` is meant"),
    ("select state, person_id, count(*) from orders group by state", "which `person_id` is meant"),
    ("select value from people, json_each(people.data)", "json_each"),
    ("select mail, count(*) from people group by mail", "no counterpart"),
    ("select cents / 3 as third from people", "no counterpart"),
    ("select random() as r", "no counterpart"),
    ("select date(joined, 'localtime') as d from people", "say its zone with `zone`"),
    ("select printf('%05d', id) as p from people", "no counterpart"),
    ("select * from gone", "broken in the source"),
];

/// Documents, in a column of documents and in one of texts.
const DOCUMENTS: &str = r#"
create table docs (id integer primary key, body json, note text, broken text);
insert into docs values
  (1, '{"name": "Ann", "n": 5, "price": 1.5, "ratio": 0.25, "on": true, "tags": ["a", "b", "c"], "at": {"city": "Ulm", "odd key": "x"},
        "mixed": "5", "0": "zero", "big": 9007199254740993}', '{"k": "v", "l": [1, 2]}', '{"a": 1}'),
  (2, '{"name": "bob", "n": -7, "price": 20, "ratio": 1.5, "on": false, "tags": [], "at": {"city": null}, "mixed": 5}', '{"k": "w"}', 'no'),
  (3, '{"name": null, "price": 2.5, "tags": "none"}', null, null),
  (4, '["x", "y"]', '{}', '{}'), (5, null, '[{"k": "in"}, {"k": "out"}]', '{}'), (6, '{"name": "Ann", "n": 5}', '"text"', '{}');
create table later (id integer primary key, body text);
create table odd (id integer primary key, twins text, wide text, deep text, both json, huge json);
insert into odd values (1, '{"a": 1, "a": 2}', '{"a": 9007199254740993}', null, '{"k": 7}', '{"b": 1e-400}'),
  (2, '{"a": {"b": 1, "b": 1}}', '{"a": 1.5}', null, '{"k": "x"}', null), (3, '{}', '{"a": 9007199254740992}', null, null, null);
update odd set deep = replace(hex(zeroblob(1001)), '00', '[') || replace(hex(zeroblob(1001)), '00', ']') where id = 1;
create view as_doc as select id, body as doc from docs;
"#;

const DOCUMENTS_SAME: &[&str] = &[
    "select id, json_extract(body, '$.name') as name, body ->> 'name' as again, body ->> '$.name' as too from docs",
    "select id, json_extract(body, '$.n') + 1 as n, body ->> 'n' as m, - (body ->> 'n') as o, body ->> 'big' as big from docs",
    "select id from docs where json_extract(body, '$.name') = 'Ann' and body ->> 'n' = 5",
    "select id from docs where json_extract(body, '$.name') is null",
    "select id from docs where body ->> 'mixed' is not null and json_extract(body, '$.gone') is null",
    "select sum(json_extract(body, '$.price')) as sum, max(body ->> 'n') as most, avg(body ->> 'ratio') as avg from docs",
    "select body ->> 'ratio' as ratio, (body ->> 'ratio') / 2 as half, json_extract(body, '$.n') / 2 as whole from docs",
    "select body -> 'at' ->> 'city' as city, json_extract(body, '$.at.\"odd key\"') as odd from docs",
    "select body ->> '$.tags[0]' as first, json_extract(body, '$.tags[#-1]') as last, body -> 'tags' ->> 1 as second from docs",
    "select body ->> 0 as first, json_extract(body, '$[1]') as second, body ->> '0' as zero, body ->> '$.0' as same from docs",
    "select json_array_length(body, '$.tags') as n, json_array_length(body, '$.name') as none, json_array_length(body) as whole from docs",
    "select json_array_length(note) as n, json_array_length(note, '$.l') as l from docs",
    "select note ->> 'k' as k, note ->> '$.l[1]' as l, json_extract(note, '$[0].k') as first from docs",
    "select json_extract(body, '$.name') as name, count(*) as n from docs group by 1 order by name",
    "select id from docs where json_extract(body, '$.on')",
    "select id, body ->> 'on' as flag from docs where body ->> 'on' = 0",
    "select upper(body ->> 'name') || '!' as loud from docs where body ->> 'name' like 'a%'",
    "select id, body -> 'at' as at from docs",
    "select name, body ->> 'n' as n from (select body ->> 'name' as name, body from docs) where name is not null",
    "select body ->> 'anything' as none, json_array_length(body) as n from later where body ->> 'state' = 'open'",
    "select id from docs where body ->> 'never' <> 'yes' or body ->> 'never' in ('a', 'b')",
    "select d.doc ->> 'n' as n, (d.doc ->> 'mixed') is null as there from as_doc d",
    "select body ->> '[0]' as part, (note -> 0) ->> 'k' as k, body ->> '[#-1]' as last /* isn't */ from docs",
    "select id from docs where body ->> 'it''s' is null and /* don't */ body ->> 'on' is not null",
    "with recursive r(k, n) as (select note ->> 'k', 1 from docs union all select 'x', n + 1 from r where n < 2) select k, n from r",
];

const DOCUMENTS_NAMED: &[(&str, &str)] = &[
    ("select body ->> 'mixed' as mixed from docs", "of several kinds"),
    ("select json_extract(body, '$.tags') as tags from docs", "of several kinds"),
    ("select twins ->> 'a' as a from odd", "not all are documents"),
    ("select wide ->> 'a' as a from odd", "of several kinds"),
    ("select huge ->> 'b' as b from odd", "of several kinds"),
    ("select deep ->> 0 as first from odd", "not all are documents"),
    ("select max(body ->> 'never') as most from docs", "no counterpart"),
    ("select body ->> 'n' as n from later order by body ->> 'n'", "no counterpart"),
    ("select body ->> 'never' as n from docs where body ->> 'never' > 'a'", "no counterpart"),
    ("select json_extract(body, '$[-1]') as bad from docs", "no counterpart"),
    (
        "with recursive r(d, n) as (select body, 1 from docs union all select '{\"name\": 7}', n + 1 from r where n < 2) \
      select d ->> 'name' as name from r",
        "",
    ),
    ("select json_extract(body, '$.name', '$.n') as both from docs", "no counterpart"),
    ("select json_extract(broken, '$.a') as a from docs where id <> 2", "not all are documents"),
    ("select json_extract(body, '$') as whole from docs", "no counterpart"),
    ("select id from docs where body ->> 'name' = 5", "no counterpart"),
    ("select value from docs, json_each(docs.note)", "json_each"),
];

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Blob(bytes) => {
            format!("\\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    if text.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str::<Json>(&text)
    {
        return document.to_string();
    }
    match (text.as_str(), text.parse::<f64>()) {
        ("true", _) => "1.000000".to_owned(),
        ("false", _) => "0.000000".to_owned(),
        (_, Ok(number)) => format!("{number:.6}"),
        // a time is a time, however it is written
        (text, _) => {
            let text = text.strip_suffix("+00").or_else(|| text.strip_suffix('Z')).unwrap_or(text);
            // a day that has become a moment is its beginning
            let text = text.strip_suffix(" 00:00:00").unwrap_or(text);
            let moment = text.len() == 19 && text.as_bytes()[10] == b'T';
            if moment { text.replacen('T', " ", 1) } else { text.replace(": ", ":") }
        }
    }
}

fn names(it: &Move, view: &str) -> Vec<String> {
    let rows = it.from.rows(&format!("select name from pragma_table_xinfo('{view}') order by cid"));
    rows.iter().map(|row| row[0].as_text().unwrap_or_default().to_owned()).collect()
}

fn answers(rows: &[Vec<Value>], in_order: bool) -> Vec<String> {
    let row = |row: &Vec<Value>| row.iter().map(shown).collect::<Vec<_>>().join(" | ");
    let mut all: Vec<String> = rows.iter().map(row).collect();
    if !in_order {
        all.sort();
    }
    all
}

/// Views of both kinds: what is the same is carried and says the same, also after `later`; the others are named.
fn are_as_before(tables: &str, same: &[&str], named: &[(&str, &str)], mut options: Json, later: &str) {
    let mut script = tables.to_owned();
    for (n, query) in same.iter().enumerate() {
        script.push_str(&format!("create view same_{n} as {query};\n"));
    }
    for (n, (query, _)) in named.iter().enumerate() {
        script.push_str(&format!("create view named_{n} as {query};\n"));
    }
    let it = Move::of(&script);
    let leave: Vec<String> = (0..named.len()).map(|n| format!("named_{n}")).collect();
    let plan = it.plan(options.clone());
    let result = plan.items[0].result.as_ref().unwrap();
    let why: BTreeMap<&str, &str> = result["left"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|left| (left["name"].as_str().unwrap(), left["why"].as_str().unwrap()))
        .collect();
    for (n, (query, said)) in named.iter().enumerate() {
        let why = why.get(format!("named_{n}").as_str()).copied().unwrap_or_default();
        assert!(why.contains(said), "{query}: {why}");
    }
    let others: Vec<_> = why.iter().filter(|(name, _)| !name.starts_with("named_")).collect();
    let told: Vec<String> = others
        .iter()
        .map(|(name, why)| {
            format!("{}: {why}", same[name.trim_start_matches("same_").parse::<usize>().unwrap_or(0)])
        })
        .collect();
    assert!(told.is_empty(), "{told:#?}");
    options["leave"] = json!(leave);
    let report = it.run(options);
    let mut told = found(&report);
    told.retain(|told| !told.starts_with("forms_of_times "));
    assert_eq!((report.status, told), (Status::Completed, Vec::new()), "{report:#?}");
    it.from.script(later);
    it.to.script(later);
    let mut wrong = Vec::new();
    for (n, query) in same.iter().enumerate() {
        let view = format!("same_{n}");
        let in_order =
            query.contains("order by") && !query.contains("over (") && !query.contains(" limit 1)");
        let mut names = names(&it, &view);
        names.retain(|name| name != "gone");
        let quoted: Vec<String> = names.iter().map(|name| targets::db::quote(name)).collect();
        let list: Vec<String> = quoted.iter().map(|name| format!("{name}::text")).collect();
        let (before, after) = (
            answers(&it.from.rows(&format!("select {} from {view}", quoted.join(", "))), in_order),
            answers(&it.to.rows(&format!("select {} from {view}", list.join(", "))), in_order),
        );
        if before != after {
            let made = it.list(&format!("select pg_get_viewdef('{view}'::regclass)")).concat();
            wrong.push(format!("{query}\n{made}\n{before:#?}\n{after:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn views_answer_on_the_other_side_as_before() {
    // S4-041, W-101
    // texts that are times may be joined by others later, and SQLite has a 30th of February
    let later = "insert into orders values (6, 4, '2024-02-30 01:02:03', 3, 'odd', 1, 'z'), (9, 1, 'never', 2, 'odd', 2, ''), \
                 (10, 1, '2024-13-01', 2, 'odd', 2, ''), (11, 1, '2024-1-1', 2, 'odd', 2, ''), (12, 1, '', 2, 'odd', 2, '')";
    are_as_before(TABLES, SAME, NAMED, json!({}), later);
}

#[test]
fn what_sqlite_takes_another_way_is_the_same_or_named() {
    // S4-041, W-101
    let options = json!({"map": {"odd": {"columns": {"gone": {"drop": true}}}}});
    are_as_before(ODD, ODD_SAME, ODD_NAMED, options, "select 1");
}

#[test]
fn times_of_several_forms_are_told_where_something_reads_them() {
    // S4-041, W-101
    let it = Move::of(
        "create table t (id integer primary key, at datetime, made datetime, due datetime);
         insert into t values (1, '2024-01-02', '2024-01-02T00:00:00', '2024-01-02'), (2, '2024-01-02 10:00', '2024-01-02T10:00:00', '2024-02-03');
         create view early as select id from t where at <= '2024-01-02'; create view late as select id from t where made > '2024';
         create view soon as select id from t where made < datetime('now', '+1 day') and due < datetime('now')",
    );
    let report = it.run(json!({"leave": ["late"]}));
    let told = ["forms_of_times t.at", "forms_of_times t.made"].map(str::to_owned).to_vec();
    assert_eq!((report.status, found(&report)), (Status::Completed, told));
    let told = report.operations[0].findings.iter().find(|told| told.code == "forms_of_times").unwrap();
    assert!(
        told.what.contains("several forms") && told.what.ends_with("`early` may answer otherwise"),
        "{}",
        told.what
    );
    let told = report.operations[0].findings.iter().find(|told| told.object == "t.made").unwrap();
    assert!(told.what.contains("`datetime()`") && told.what.contains("; `soon` may"), "{}", told.what);
}

#[test]
fn members_of_documents_are_read_on_the_other_side_as_before() {
    // S4-041, W-101: what is written later is a text where numbers were, a number where texts were, or nothing
    let later = r#"insert into docs values (7, '{"price": 3, "n": 8, "name": "Cid", "tags": [1]}', '{"k": null}', '{}'), (8, '[]', '[]', '{}')"#;
    are_as_before(DOCUMENTS, DOCUMENTS_SAME, DOCUMENTS_NAMED, json!({}), later);
}

#[test]
fn views_follow_what_the_mapping_says_and_one_another() {
    // S4-055, S4-041
    let it = Move::of(
        "create table userAccounts (userId integer primary key, fullName text, secret text);
         insert into userAccounts values (1, 'Ann', 's'), (2, 'Bob', 't');
         create view allNames as select firstOf.fullName from firstOf;
         create view firstOf as select * from openAccounts where userId < 10;
         create view openAccounts as select userId, fullName, length(fullName) as nameLength from userAccounts;
         create view secrets as select secret from userAccounts;",
    );
    let options = json!({"names": "snake_case", "leave": ["secrets"],
        "map": {"userAccounts": {"columns": {"secret": {"drop": true}, "fullName": {"rename": "called"}}}}});
    let plan = it.plan(options.clone());
    let result: &Json = plan.items[0].result.as_ref().unwrap();
    assert_eq!(result["left"], json!([]));
    let made: Vec<&str> =
        result["views"].as_array().unwrap().iter().map(|view| view["target"].as_str().unwrap()).collect();
    assert_eq!(made, ["open_accounts", "first_of", "all_names"]);
    let report = it.run(options);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(
        it.list("select user_id, called, name_length from first_of order by 1"),
        ["1|Ann|3", "2|Bob|3"]
    );
    assert_eq!(it.list("select called from all_names order by 1"), ["Ann", "Bob"]);
}

#[test]
fn what_the_target_does_not_take_is_told_before_any_row_comes() {
    // S4-036: a name that PostgreSQL has for itself in this schema
    let it = Move::of(
        "create table t (id integer primary key); insert into t values (1);
         create view v as select id from t",
    );
    it.to.script("create domain v as integer");
    let report = it.run(json!({}));
    assert_eq!(report.status, Status::Failed);
    let told = format!("{:?}", report.errors);
    assert!(told.contains("view `v`") && told.contains("leave"), "{told}");
    assert_eq!(it.list("select count(*) from t"), ["0"]);
}
