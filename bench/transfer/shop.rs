//! A shop of six tables with something of everything: uuids and documents in texts, times, decimals, truth values, bytes, NULLs, text
//! keys, composite keys, references, indexes. Made by SQL alone, the same every time.

use std::path::Path;
use targets::db::Url;

/// How many of a hundred rows are in each table: users, products, orders, order_items, events, messages.
const SHARES: [u64; 6] = [5, 2, 10, 25, 50, 8];

/// How many rows there are in all.
pub fn rows(about: u64) -> u64 {
    SHARES.iter().map(|share| of(about, *share)).sum()
}

fn of(about: u64, share: u64) -> u64 {
    (about * share / 100).max(10)
}

const TABLES: &str = "
create table users (id integer primary key autoincrement, uuid text not null unique, email varchar(255) not null unique,
  full_name text not null, is_active boolean not null default 1, is_staff boolean not null default 0, created_at datetime not null,
  last_login datetime, settings json, balance real not null default 0.0);
create table products (id integer primary key autoincrement, sku text not null unique, title text not null, description text,
  price decimal(10,2) not null, weight real, released date, tags json, thumbnail blob);
create table orders (id text primary key not null, user_id integer not null references users(id), status varchar(20) not null default 'new',
  total decimal(12,2) not null, paid boolean not null default 0, note text, created_at datetime not null, shipped_at datetime);
create table order_items (order_id text not null references orders(id) on delete cascade, line_no integer not null,
  product_id integer not null references products(id), quantity integer not null, unit_price real not null, discount real,
  primary key (order_id, line_no));
create table events (id integer primary key autoincrement, user_id integer references users(id), kind varchar(32) not null,
  session_id text, payload json, ts_ms bigint not null, created_at datetime not null, duration real);
create table messages (id integer primary key autoincrement, order_id text references orders(id), author_id integer not null references users(id),
  body text not null, attachment blob, is_read boolean not null default 0, sent_at datetime not null);";

const INDEXES: &str = "
create index idx_users_created on users(created_at);
create index idx_orders_user on orders(user_id, created_at);
create index idx_orders_status on orders(status);
create index idx_items_product on order_items(product_id);
create index idx_events_user_ts on events(user_id, ts_ms);
create index idx_events_kind on events(kind);
create index idx_messages_order on messages(order_id);";

/// A number from the row's, spread over 32 bits.
fn mixed(row: &str, salt: u64) -> String {
    format!("((({row}) * 2654435761 + {salt}) % 4294967296)")
}

fn uuid(row: &str, salt: u64) -> String {
    format!(
        "printf('%08x-%04x-4%03x-8%03x-%012x', {}, ({row}) % 65536, ({row}) * 7 % 4096, ({row}) * 13 % 4096, {row})",
        mixed(row, salt)
    )
}

fn time(row: &str, salt: u64, form: &str) -> String {
    format!("strftime('{form}', 1546300800 + {} % 157680000, 'unixepoch')", mixed(row, salt))
}

const TEXT: &str = "'lorem ipsum dolor sit amet größe naïve façade 東京 данные émigré cliché order customer refund please delivery \
    parcel invoice address thanks urgent broken 🚚 quote'' double\" back\\slash consectetur adipiscing elit sed do eiusmod tempor'";

fn words(row: &str, salt: u64, most: u64) -> String {
    format!("substr({TEXT}, 1 + {} % 60, 10 + {} % {most})", mixed(row, salt), mixed(row, salt + 7))
}

/// Makes the file.
pub fn make(path: &Path, about: u64) {
    let [users, products, orders, items, events, messages] = SHARES.map(|share| of(about, share));
    let full = "%Y-%m-%d %H:%M:%f";
    let short = "%Y-%m-%d %H:%M:%S";
    let i = "i";
    let insert = |into: &str, rows: u64, values: &[String]| {
        format!(
            "insert into {into} with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows}) select {} from c;",
            values.join(", ")
        )
    };
    let s = |text: &str| text.to_owned();
    let order = |row: &str| uuid(row, 5);
    let one_of = |row: &str, salt: u64, many: u64| format!("1 + {} % {many}", mixed(row, salt));
    let script = [
        s("pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -200000; begin;"),
        s(TABLES),
        insert(
            "users",
            users,
            &[
                s(i),
                uuid(i, 1),
                s("'user' || i || '@example.org'"),
                s("'Zoë Müller ' || i"),
                s("i % 10 <> 0"),
                s("i % 100 = 0"),
                time(i, 2, full),
                format!("case when i % 10 < 7 then {} end", time(i, 3, short)),
                s("case when i % 5 <> 0 then json_object('theme', 'dark', 'lang', 'de', 'n', i % 1000) end"),
                format!("round({} / 429496.0, 2)", mixed(i, 4)),
            ],
        ),
        insert(
            "products",
            products,
            &[
                s(i),
                s("printf('SKU-%08d', i)"),
                words(i, 5, 30),
                format!("case when i % 10 <> 0 then {} end", words(i, 6, 160)),
                format!("round({} / 8589934.0, 2)", mixed(i, 7)),
                format!("case when i % 5 <> 0 then {} / 143165576.5 end", mixed(i, 8)),
                time(i, 9, "%Y-%m-%d"),
                s("json_array('a', i, 'größe')"),
                s("case when i % 2 = 0 then zeroblob(100 + i % 1900) end"),
            ],
        ),
        insert(
            "orders",
            orders,
            &[
                order(i),
                one_of(i, 10, users),
                s("substr('new  paid done ', 1 + i % 3 * 5, 4)"),
                format!("round({} / 429496.0, 2)", mixed(i, 11)),
                s("i % 3 = 0"),
                format!("case when i % 4 = 0 then {} end", words(i, 12, 60)),
                time(i, 13, full),
                format!("case when i % 2 = 0 then {} end", time(i, 14, short)),
            ],
        ),
        insert(
            "order_items",
            items,
            &[
                order(&format!("(1 + i % {orders})")),
                format!("1 + i / {orders}"),
                one_of(i, 15, products),
                s("1 + i % 9"),
                format!("round({} / 8589934.0, 2)", mixed(i, 16)),
                s("case when i % 5 = 0 then 0.1 end"),
            ],
        ),
        insert(
            "events",
            events,
            &[
                s(i),
                format!("case when i % 20 <> 0 then {} end", one_of(i, 17, users)),
                s("substr('page_view   click       add_to_cart checkout    ', 1 + i % 4 * 12, 11)"),
                format!("case when i % 8 <> 0 then {} end", uuid(i, 18)),
                s("case when i % 2 = 0 then json_object('path', '/p/' || i, 'ms', i % 977) end"),
                format!("1546300800000 + {} % 157680000000 * 36", mixed(i, 19)),
                time(i, 20, full),
                format!("case when i % 3 = 0 then {} / 1431655.0 end", mixed(i, 21)),
            ],
        ),
        insert(
            "messages",
            messages,
            &[
                s(i),
                format!("case when i % 10 <> 0 then {} end", order(&format!("(1 + i % {orders})"))),
                one_of(i, 22, users),
                words(i, 23, 180),
                s("case when i % 20 = 0 then zeroblob(200 + i % 3000) end"),
                s("i % 2"),
                time(i, 24, full),
            ],
        ),
        s(INDEXES),
        s("commit;"),
    ];
    let url = Url::Sqlite { path: path.to_owned() };
    backends::testing::script(&url, &script.join("\n")).unwrap_or_else(|why| panic!("{why}"));
}
