//! `sexton transfer`: what it shows, what it refuses, how it ends, and that it goes on after a death.

use crate::kit::Desk;
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::Place;

const SHOP: &str = "create table users (id integer primary key autoincrement, email text not null unique, born date, settings json);
    create table orders (id integer primary key, user_id integer not null references users, total decimal(10,2), at datetime);
    create index by_user on orders (user_id);
    create view big as select *, random() as chance from orders where total > 10;
    create view owed as select u.email, sum(o.total) as total from users u join orders o on o.user_id = u.id group by u.email;
    create trigger paid after update of total on orders begin update users set settings = '[]' where id = new.user_id; end;
    insert into users (email, born, settings) values ('ann@x.org', '1980-01-02', '{}'), ('bob@x.org', '', null);
    insert into orders values (1, 1, 12.5, '2024-01-02 03:04:05'), (2, 2, 0, null), (3, 1, 7, null);";

/// A desk with a file, and the URL of an empty database.
fn desk() -> (Desk, Place) {
    let (desk, to) = (Desk::empty(), Place::postgres());
    desk.place.script(SHOP);
    (desk, to)
}

fn texts(to: &Place, sql: &str) -> Vec<String> {
    to.rows(sql)
        .iter()
        .map(|row| {
            row.iter()
                .map(|value| value.as_text().map_or_else(|| value.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

#[test]
fn a_plan_shows_the_tables_and_the_reasons_and_changes_nothing() {
    // S4-001
    let (desk, to) = desk();
    let before = desk.place.dump();
    let sexton = |line: &str| desk.sexton(&format!("{line} --source app.db --database '{}'", to.url()));
    let plan = sexton("transfer plan --sql schema.sql").ends(0);
    for text in [
        "users",
        "orders",
        "users.born becomes text",
        "5 rows of 2 tables",
        "view `big` is not carried",
        "views that are made as well: owed",
        "triggers that are made as well: paid",
    ] {
        assert!(plan.stdout.contains(text), "{text} is not in {}", plan.shown());
    }
    let sql = std::fs::read_to_string(desk.file("schema.sql")).unwrap();
    assert!(sql.contains("create table") && sql.contains("numeric(10, 2)"), "{sql}");
    let other = Place::postgres();
    other.script(&sql);
    assert_eq!(texts(&other, "select count(*) from pg_indexes where indexname = 'by_user'"), ["1"]);
    assert_eq!(texts(&other, "select count(*) from owed"), ["0"]);
    let shown = sexton("transfer plan --sql -").ends(0);
    assert_eq!(shown.stdout.trim(), sql.trim());
    let json = sexton("transfer plan --output json").ends(0).json();
    assert_eq!(json["items"][0]["result"]["tables"].as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!(to.dump(), Place::postgres().dump(), "planning made something");
    assert_eq!(desk.place.dump(), before);
}

#[test]
fn a_run_ends_with_what_did_not_arrive_and_a_comparison_with_what_differs() {
    // S4-001, S4-018, W-099, W-108
    let (desk, to) = desk();
    let sexton = |line: &str| desk.sexton(&format!("{line} --source app.db --database '{}'", to.url()));
    // Nobody is there to be asked.
    sexton("transfer run").ends(3);
    let done = sexton("transfer run --yes").ends(5);
    assert!(done.stdout.contains("5 rows copied in 2 tables, both sides the same"), "{}", done.shown());
    assert!(done.stderr.contains("big") || done.stdout.contains("big"), "{}", done.shown());
    assert_eq!(texts(&to, "select count(*) from orders"), ["3"]);
    assert_eq!(
        texts(&to, "select email, total::text from owed order by 1"),
        ["ann@x.org|19.50", "bob@x.org|0.00"]
    );
    sexton("transfer verify").ends(0);
    to.script("update users set email = 'eve@x.org' where id = 2");
    let differs = sexton("transfer verify").ends(5);
    let all = format!("{}{}", differs.stdout, differs.stderr);
    assert!(all.contains("`email` is 'bob@x.org' there and 'eve@x.org' here"), "{}", differs.shown());
    let again = sexton("transfer run --yes").ends(3);
    let all = format!("{}{}", again.stdout, again.stderr);
    assert!(all.contains("into_schema"), "{}", again.shown());
    let fresh = sexton("transfer run --yes --into-schema fresh --leave big").ends(0);
    assert!(fresh.stdout.contains("both sides the same"), "{}", fresh.shown());
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let (desk, to) = desk();
    let url = to.url();
    desk.sexton("transfer").ends(2);
    let missing = desk.sexton(&format!("transfer plan --database '{url}'")).ends(2);
    assert!(missing.stderr.contains("`source` is missing"), "{}", missing.shown());
    let none = desk.sexton(&format!("transfer plan --source none.db --database '{url}'"));
    assert!(none.code != 0 && none.stderr.contains("none.db"), "{}", none.shown());
    let wrong = desk.sexton("transfer plan --source app.db --database app.db");
    assert!(
        wrong.stdout.contains("goes into PostgreSQL") || wrong.stderr.contains("goes into PostgreSQL"),
        "{}",
        wrong.shown()
    );
    let zone = desk.sexton(&format!("transfer plan --source app.db --database '{url}' --zone Nowhere"));
    assert!(zone.code == 2 && zone.stderr.contains("Nowhere"), "{}", zone.shown());
}

#[test]
fn the_example_moves_as_its_readme_says() {
    // S4-001, S4-005, S4-008, S4-040, S4-041, W-108
    let (mut desk, to) = (Desk::empty(), Place::postgres());
    to.script(include_str!("../../../../examples/e4/schema.postgres.sql"));
    desk.set("DATABASE_URL", &to.url());
    desk.sexton("example e4 e4").ends(0);
    let sexton = |line: &str| desk.sexton(&format!("{line} --config e4/sexton.toml"));
    let plan = sexton("transfer plan").ends(0);
    assert!(plan.stdout.contains("agents") && plan.stdout.contains("tasks"), "{}", plan.shown());
    let done = sexton("transfer run --yes").ends(0);
    assert!(done.stdout.contains("6 rows copied in 2 tables, both sides the same"), "{}", done.shown());
    sexton("transfer verify").ends(0);
    let report = sexton("runs list --output json").ends(0);
    assert!(!report.stdout.contains(&to.url()) || !to.url().contains(':'), "{}", report.shown());
}

#[test]
fn the_target_is_that_of_the_environment_where_nothing_else_says_it() {
    // S4-005, W-108
    let (mut desk, to) = (Desk::empty(), Place::postgres());
    desk.place.script(
        "create table users (id integer primary key, email text); insert into users values (1, 'ann@x.org')",
    );
    let nothing = desk.sexton("transfer plan --source app.db").ends(2);
    assert!(
        nothing.stderr.contains("no target was named") && nothing.stderr.contains("DATABASE_URL"),
        "{}",
        nothing.shown()
    );
    // an application that was not moved yet
    desk.set("DATABASE_URL", "sqlite:///app.db");
    desk.sexton("transfer plan --source app.db").ends(2);
    // the role needs no password here: it must not be seen all the same
    let url = to.url().replacen("app@", "app:s3cret-of-the-application@", 1).replacen(
        "postgres://",
        "postgresql://",
        1,
    );
    desk.set("DATABASE_URL", &url);
    let plan = desk.sexton("transfer plan --source app.db").ends(0);
    assert!(
        plan.stdout.contains("1 row in all") && plan.stdout.contains("into PostgreSQL 1"),
        "{}",
        plan.shown()
    );
    let stopped = desk.sexton("transfer run --source app.db --yes --max-rows 0");
    let done = match stopped.code {
        0 => stopped,
        _ => desk.sexton("resume latest --max-rows 100").ends(0),
    };
    assert!(done.stdout.contains("both sides the same"), "{}", done.shown());
    assert_eq!(texts(&to, "select email from users"), ["ann@x.org"]);
    let verified = desk.sexton("transfer verify --source app.db").ends(0);
    let listed = desk.sexton("runs show latest --output json").ends(0);
    for said in [&plan, &done, &verified, &listed] {
        assert!(!said.shown().contains("s3cret"), "{}", said.shown());
    }
    // whoever says another one means it, and a configuration with one goes before the environment
    let other = Place::postgres();
    desk.sexton(&format!("transfer run --source app.db --yes --database '{}'", other.url())).ends(0);
    let third = Place::postgres();
    desk.write("sexton.toml", &format!("[database.new]\nurl = \"{}\"\n", third.url()));
    desk.sexton("transfer run --source app.db --yes").ends(0);
    for place in [&other, &third] {
        assert_eq!(texts(place, "select count(*) from users"), ["1"]);
    }
}

#[test]
fn times_are_the_same_whatever_the_zone_of_the_machine_and_of_the_server() {
    // W-095
    for (machine, server) in
        [("UTC", "UTC"), ("America/New_York", "Asia/Kolkata"), ("Pacific/Auckland", "America/St_Johns")]
    {
        let (mut desk, to) = (Desk::empty(), Place::postgres());
        desk.place.script(
            "create table t (id integer primary key, at datetime, made timestamp default current_timestamp, day date);
             insert into t values (1, '2025-01-02T03:04:05', '2025-07-02 03:04:05', '2025-01-02'),
               (2, '2025-01-02 03:04:05+02:00', '2025-01-02T03:04:05Z', null), (3, null, null, '1999-12-31')",
        );
        let name = texts(&to, "select current_database()").concat();
        to.script(&format!("alter database \"{name}\" set timezone = '{server}'"));
        desk.set("TZ", machine);
        desk.set("DATABASE_URL", &to.url());
        for (schema, zone, expected) in [
            (
                "plain",
                "",
                [
                    "1|1735787045|1751425445|2025-01-02",
                    "2|1735779845|1735787045|null",
                    "3|null|null|1999-12-31",
                ],
            ),
            (
                "berlin",
                "--zone Europe/Berlin",
                [
                    "1|1735783445|1751418245|2025-01-02",
                    "2|1735779845|1735787045|null",
                    "3|null|null|1999-12-31",
                ],
            ),
        ] {
            desk.sexton(&format!("transfer run --yes --source app.db --into-schema {schema} {zone}")).ends(0);
            let sql = format!(
                "select id, extract(epoch from at)::bigint, extract(epoch from made)::bigint, day from {schema}.t order by id"
            );
            assert_eq!(texts(&to, &sql), expected, "{machine}, {server}, {schema}");
        }
    }
}

#[test]
fn whoever_has_the_file_open_is_told_before_it_is_copied() {
    // S4-058
    let (desk, to) = (Desk::ready(), Place::postgres());
    desk.place.script("pragma journal_mode = wal");
    let plan = || {
        let line = format!("transfer plan --output json --source app.db --database '{}'", to.url());
        let plan = desk.sexton(&line).ends(0).json();
        let findings = plan["items"][0]["findings"].as_array().unwrap().clone();
        let found = findings.into_iter().find(|found| found["code"] == "source_in_use");
        (found, plan["items"][0]["result"]["source_file"].clone())
    };
    assert_eq!(plan().0, None);
    // another process, as an application would be
    let mut other = desk
        .command("run logs --yes --batch-size 1 --pause 0.2 --min-free-disk-mb 0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let (found, file) = loop {
        let (found, file) = plan();
        if found.is_some() || began.elapsed() > Duration::from_secs(30) || other.try_wait().unwrap().is_some()
        {
            break (found, file);
        }
    };
    let name = format!("sexton ({})", other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    let found = found.unwrap();
    assert_eq!(
        found["what"],
        format!("{name} has it open: what is written after the copy has begun is not carried")
    );
    assert_eq!(file["open_in"], serde_json::json!([name]), "{file}");
    assert!(file["journal_mode"] == "wal" && file["wal_bytes"].is_u64(), "{file}");
}

/// Tables with rows enough to be killed in.
const MANY: &str = "pragma journal_mode = wal;
    create table orders (id integer primary key autoincrement, code text not null unique, at datetime not null);
    create table items (order_id integer not null references orders, no integer not null, price decimal(10,2), note text, primary key (order_id, no));
    create table log (id integer primary key, order_id integer references orders, m text);
    create index log_of_order on log (order_id);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 12000)
      insert into orders (code, at) select 'c' || i, datetime(1700000000 + i, 'unixepoch') from c;
    insert into items select id, n.no, (id % 100) + 0.25, hex(randomblob(12)) from orders, (select 1 as no union all select 2 union all select 3) as n;
    insert into log (order_id, m) select id, 'made' from orders;";

/// What the application does in one transaction: an order with its three items and its line in the log.
const ORDER: &str = "begin immediate; insert into orders (code, at) values (hex(randomblob(9)), datetime('now'));
    insert into items select (select max(id) from orders), n.no, 1.5, 'late' from (select 1 as no union all select 2 union all select 3) as n;
    insert into log (order_id, m) select max(id), 'made' from orders;
    update orders set at = datetime('now') where id = abs(random()) % 12000; commit;";

/// Kills the process of a command after so many milliseconds, unless it ended before.
fn kill_after(desk: &Desk, line: &str, milliseconds: u64) {
    let mut run = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(milliseconds) && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = run.kill();
    run.wait().unwrap();
}

/// Transfers, killed again and again at other moments, then let to its end.
fn killed_transfers(desk: &Desk, rounds: u64, check: &dyn Fn(&Place, &str)) {
    let line = |to: &Place| {
        format!("transfer run --yes --quiet --source app.db --database '{}' --batch-size 700", to.url())
    };
    let whole = {
        let to = Place::postgres();
        let began = Instant::now();
        desk.sexton(&line(&to)).ends(0);
        began.elapsed().as_millis() as u64
    };
    let mut moment = 7_u64;
    for round in 0..rounds {
        let to = Place::postgres();
        let mut next = || {
            moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            40 + (moment >> 33) % whole.max(100)
        };
        kill_after(desk, &line(&to), next());
        crate::kit::sessions_end(&to);
        for _ in 0..round % 3 {
            kill_after(desk, "resume latest --quiet", next() / 2);
            crate::kit::sessions_end(&to);
        }
        let resumed = desk.sexton("resume latest");
        if to.rows("select 1 from pg_tables where tablename = 'orders'").is_empty() {
            // it was killed before the run was noted
            desk.sexton(&line(&to)).ends(0);
        } else {
            // 2: the run had ended
            assert!([0, 2].contains(&resumed.code), "round {round}: {}", resumed.shown());
        }
        assert_eq!(
            texts(
                &to,
                "select count(*) from pg_constraint where contype in ('p', 'f', 'u') and convalidated and connamespace = 'public'::regnamespace"
            ),
            ["6"],
            "round {round}"
        );
        assert_eq!(
            texts(&to, "select count(*) from pg_class where relname = 'carried'"),
            ["0"],
            "round {round}"
        );
        check(&to, &format!("round {round}"));
    }
}

#[test]
fn a_killed_transfer_goes_on_and_both_sides_are_the_same() {
    // S4-016, S4-040, W-096
    let desk = Desk::empty();
    desk.place.script(MANY);
    let before = desk.sexton("digest --database app.db").ends(0).stdout;
    killed_transfers(&desk, 8, &|to, round| {
        let verified = desk.sexton(&format!("transfer verify --source app.db --database '{}'", to.url()));
        assert_eq!(verified.code, 0, "{round}: {}", verified.shown());
    });
    assert_eq!(desk.sexton("digest --database app.db").ends(0).stdout, before, "the source was written");
}

#[test]
fn a_killed_transfer_of_a_file_in_use_is_of_one_moment() {
    // S4-040, W-096, W-097
    let desk = Desk::empty();
    desk.place.script(MANY);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = testkit::Over(&stop);
        let writer = scope.spawn(|| {
            let mut application = desk.place.connect();
            let mut orders = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // the transfer never locks the file against its application
                application.script(ORDER).unwrap();
                orders += 1;
                std::thread::sleep(Duration::from_millis(15));
            }
            orders
        });
        killed_transfers(&desk, 6, &|to, round| {
            let torn = "select count(*) from orders o where (select count(*) from items i where i.order_id = o.id) <> 3
                or (select count(*) from log l where l.order_id = o.id) <> 1";
            assert_eq!(texts(to, torn), ["0"], "{round}");
            assert_eq!(texts(to, "select count(*) >= 12000 from orders"), ["t"], "{round}");
        });
        drop(ending);
        assert!(writer.join().unwrap() > 20);
    });
}

#[test]
fn progress_is_told_table_by_table() {
    // S4-046
    let desk = Desk::empty();
    desk.place.script(MANY);
    let to = Place::postgres();
    let run = desk.sexton(&format!(
        "transfer run --yes --events --source app.db --database '{}' --batch-size 5000",
        to.url()
    ));
    assert_eq!(run.code, 0, "{}", run.shown());
    let events: Vec<serde_json::Value> =
        run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (table, rows) in [("orders", 12_000), ("items", 36_000), ("log", 12_000)] {
        let of_table = events.iter().filter(|event| event["detail"]["loaded"] == table);
        let (batches, sum) = of_table.fold((0, 0), |(batches, sum), event| {
            assert!(
                event["detail"]["bytes"].as_u64().unwrap() > 0 || event["detail"]["rows"] == 0,
                "{event}"
            );
            (batches + 1, sum + event["detail"]["rows"].as_u64().unwrap())
        });
        assert!(batches > 2, "{table}: {batches} batches");
        assert_eq!(sum, rows, "{table}");
    }
}

#[test]
fn a_plan_says_what_refuses_it_and_one_remedy_once() {
    // W-091, W-092
    let (desk, to) = desk();
    to.script(
        "create table users (id int primary key, email varchar(2), born date, settings json);
         create table orders (id int primary key, user_id int, total numeric, at varchar(3)); insert into users values (7)",
    );
    let sexton =
        |line: &str| desk.sexton(&format!("{line} --source app.db --existing --database '{}'", to.url()));
    let plan = sexton("transfer plan").ends(3);
    for text in [
        "refused  public: tables have rows already: users (1)",
        "--replace",
        "users.email: 2 values are longer",
    ] {
        assert!(plan.stdout.contains(text), "{text} is not in {}", plan.shown());
    }
    assert!(!plan.stdout.contains("indexes"), "none is made: {}", plan.shown());
    let run = sexton("transfer run --policy stop").ends(3);
    assert!(run.stderr.contains("users.email") && run.stderr.contains("orders.at"), "{}", run.shown());
    assert_eq!(run.stderr.matches("dirty = { too_long").count(), 1, "{}", run.shown());
}
