//! What the page tells of how things stand and how they went: alerts, findings, growth, runs by their filters, charts; and that whoever
//! may only look is offered nothing else.

use crate::api::Server;
use crate::browser::Browser;
use crate::kit::Desk;
use crate::page::signed_in;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use testkit::HttpSink;

/// So many days of a past.
const DAYS: i64 = 6;

/// A database that has grown and was swept, day by day; one thing is wrong with it, one operation fails, and its disk is too full.
fn with_a_past(sink: &HttpSink) -> Server {
    let mut desk = Desk::empty();
    desk.place.script(
        "create table audit_log (id integer primary key, created_at text not null, action text not null);
         create index audit_created on audit_log (created_at);
         create table account (id integer primary key);
         create table note (id integer primary key, account integer references account (id));
         create index note_account on note (account);
         insert into note values (1, 7);",
    );
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"app.db\"\n[defaults]\nmax_percent = 100\nmin_free_disk_mb = 0\n\
             [operation.logs]\nkind = \"purge\"\ntitle = \"Delete old audit rows\"\nseverity = \"LOW\"\n\
             table = \"audit_log\"\nwhere = \"action = 'old'\"\n\
             [operation.broken]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"nosuch\"\nwhere = \"id > 0\"\n\
             [schedule.nightly]\nrun = [\"broken\"]\ncron = \"0 2 * * *\"\n\
             [notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n[alerts]\ndisk_percent = 0.01\nevery = \"1 s\"\n",
            sink.url("/")
        ),
    );
    let now = Timestamp::now();
    // Each run lies in a day of its own, however slowly it begins: not in the last minute before any midnight on earth.
    let is_late = now.as_second() % 900 >= 840;
    let now = if is_late { now - SignedDuration::from_secs(60) } else { now };
    for day in (1..=DAYS).rev() {
        desk.set("SEXTON_NOW", &(now - SignedDuration::from_hours(24 * day)).to_string());
        desk.place.script(&format!(
            "insert into audit_log (created_at, action)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {0})
             select '2026-01-01', case when i % 10 = 0 then 'old' else 'a row that stays, day by day by day' end from n;",
            1000 + 700 * (DAYS - day)
        ));
        // Another clock than the machine's has to be allowed.
        desk.sexton("run logs --force").ends(0);
        desk.sexton("doctor");
    }
    desk.set("SEXTON_NOW", &now.to_string());
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("schedule run nightly");
    Server::of(desk, "admin")
}

/// Pictures in both colours and widths.
fn pictures(browser: &mut Browser, name: &str) {
    for scheme in ["light", "dark"] {
        browser.colours(scheme);
        for (width, height) in [(1280, 900), (360, 740)] {
            browser.size(width, height);
            browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
            let wide = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= u64::from(width), "{name} is {wide} wide on {width}");
            browser.picture(&format!("{name}-{scheme}-{width}"));
        }
    }
    browser.colours("light");
    browser.size(1280, 900);
}

/// The names of the runs that are listed.
const LISTED: &str =
    "[...document.querySelectorAll('main tbody th')].map((one) => one.querySelector('a').innerText).join()";

#[test]
fn the_page_tells_how_things_stand_and_how_they_went() {
    // S2-072, W-128
    let sink = HttpSink::start();
    let server = with_a_past(&sink);
    crate::notify::wait_for("the disk is an alarm", || {
        server.get("/api/v1/status").body.contains("disk/main")
    });
    let mut browser = signed_in(&server);
    browser.until("!document.querySelector('[aria-busy=true]')");

    // The overview: what needs a person, each thing once; the health and growth of each database; what ran and what comes.
    browser.reads("the disk of main is");
    browser.reads("broken failed");
    let needs = browser.value("[...document.querySelectorAll('.alerts li a')].map((one) => one.innerText)");
    let of_broken = |line: &&serde_json::Value| {
        let line = line.as_str().unwrap();
        line.contains("broken") || line.contains("nightly")
    };
    assert_eq!(needs.as_array().unwrap().iter().filter(of_broken).count(), 1, "{needs}");
    browser.reads("2 things need you");
    browser.reads("a day");
    let spark =
        browser.value("document.querySelector('svg.spark path.line').getAttribute('d').split('L').length");
    assert!(spark.as_i64().unwrap() >= DAYS, "{spark}");
    pictures(&mut browser, "past-overview");

    // The findings, with what to do.
    browser.place("findings", "Findings");
    browser.reads("note");
    assert!(browser.value("document.querySelectorAll('.findings .warn .remedy').length").as_i64() == Some(2));
    pictures(&mut browser, "past-findings");

    // Charts, each with its figures as a table.
    browser.place("trends", "Trends");
    browser.until("document.querySelectorAll('.chart svg[role=img]').length === 3");
    browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    let shown = browser.value(
        "[...document.querySelectorAll('.card')].map((card) => ({
           label: card.querySelector('svg title')?.textContent ?? '',
           bars: [...card.querySelectorAll('rect.bar')].filter((one) => one.getAttribute('height') > 0).length,
           points: card.querySelector('path.line')?.getAttribute('d').split('L').length ?? 0,
           rows: [...card.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText)) }))",
    );
    let chart = |label: &str| {
        let found =
            shown.as_array().unwrap().iter().find(|one| one["label"].as_str().unwrap().contains(label));
        found.unwrap_or_else(|| panic!("no chart of {label}: {shown}"))
    };
    let swept = chart("Rows deleted or archived");
    assert_eq!(
        (&swept["bars"], swept["rows"].as_array().unwrap().len()),
        (&json!(DAYS), DAYS as usize),
        "{swept}"
    );
    assert_eq!(swept["rows"][0][1], "450", "the last day first: {swept}");
    let took = chart("How long the last runs of logs took");
    assert_eq!((&took["bars"], &took["rows"][0][1]), (&json!(DAYS), &json!("450")), "{took}");
    let grown = chart("Size of main over time");
    assert!(grown["points"].as_i64().unwrap() >= DAYS, "{grown}");
    assert_eq!(grown["points"], json!(grown["rows"].as_array().unwrap().len()), "{grown}");
    pictures(&mut browser, "past-trends");
    browser.place("databases/main", "main");
    browser.until("document.querySelector('.chart path.line')");
    pictures(&mut browser, "past-database");

    // Runs by their filters, which stand in the address.
    browser.place("runs", "Runs");
    let all = [&["broken"][..], &["logs"; DAYS as usize]].concat().join(",");
    browser.until(&format!("{LISTED} === '{all}'"));
    let choose = |browser: &mut Browser, label: &str, value: &str| {
        browser.value(&format!(
            "(() => {{ const one = [...document.querySelectorAll('.filters label')].find((one) => one.innerText === '{label}').control; \
             one.value = '{value}'; one.dispatchEvent(new Event('change')); }})()"
        ));
    };
    choose(&mut browser, "Outcome", "failed");
    browser.until(&format!("{LISTED} === 'broken'"));
    choose(&mut browser, "Outcome", "");
    choose(&mut browser, "Operation", "logs");
    browser.until(&format!("{LISTED} === '{}'", ["logs"; DAYS as usize].join(",")));
    choose(&mut browser, "Dry runs", "with");
    choose(&mut browser, "When", "1d");
    browser.until(&format!("{LISTED} === 'logs'"));
    browser.reads("dry run");
    let address = browser.value("location.hash");
    assert_eq!(address, "#/runs?operation=logs&since=1d&dry=with");
    browser.value("location.reload()");
    browser.until(&format!("{LISTED} === 'logs'"));
    browser.is_content(&server);
}

#[test]
fn whoever_may_only_look_is_offered_nothing_else() {
    // W-066
    let desk = Desk::ready_with("[schedule.nightly]\nrun = [\"logs\"]\ncron = \"0 2 * * *\"\n");
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    let grave = "title = \"Delete old audit rows\"\nseverity = \"HIGH\"\nmax_percent = 20";
    let config = config.replace("title = \"Delete old audit rows\"", grave).replace("undo = \"none\"", "");
    desk.write("sexton.toml", &config);
    desk.sexton("run sessions").ends(0);
    let mut server = Server::of(desk, "read");
    let run = server.get("/api/v1/runs").json()[0]["run_id"].as_str().unwrap().to_owned();
    let mut browser = signed_in(&server);
    let offered = |browser: &mut Browser| {
        let texts = browser.value(
            "[...document.querySelectorAll('main button, main a.button')].map((one) => one.innerText).join()",
        );
        texts.as_str().unwrap().to_owned()
    };
    for (path, heading) in [
        ("operations/logs", "logs"),
        (&format!("runs/{run}"), "sessions"),
        (&format!("undo/{run}"), "Put back"),
        ("schedules", "Schedules"),
        ("schedules/nightly", "nightly"),
    ] {
        browser.place(path, heading);
        assert_eq!(offered(&mut browser), "", "{path}");
    }
    browser.is_content(&server);
    // Who may run may not override a guard, and is told who may.
    server.token = server.desk.sexton("token create runner --role run").ends(0).stdout.trim().to_owned();
    let mut browser = signed_in(&server);
    browser.place("operations/logs", "logs");
    browser.click("button", "Preview");
    browser.reads("it would be refused");
    browser.reads("Whoever has the role admin may plan it all the same");
    assert!(!offered(&mut browser).contains("Plan it all the same"));
    server.token = server.desk.sexton("token create boss --role admin").ends(0).stdout.trim().to_owned();
    let mut browser = signed_in(&server);
    browser.place("operations/logs", "logs");
    browser.click("button", "Preview");
    browser.click("button", "Plan it all the same …");
    browser.reads("Override the guard?");
    browser.type_text("logs");
    browser.press("Enter");
    browser.click("button", "Run on 311 rows …");
    browser.reads("Type logs to go on");
    browser.type_text("logs");
    browser.press("Enter");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'done'");
    assert_eq!(server.desk.count("audit_log"), 89);
    browser.is_content(&server);
}

#[test]
fn migrations_tell_their_impact_and_backups_their_drills() {
    let server = crate::page::served();
    server.desk.sexton("run copy --yes").ends(0);
    server.desk.sexton("backup drill").ends(0);
    let mut browser = signed_in(&server);
    browser.place("migrations", "Migrations");
    for told in [
        "2 are pending",
        "What the pending ones would do",
        "create index account_seen on account (last_seen)",
        "Writers of account (40 rows, 4 kB) wait for a moment",
        "nobody else can write to the file while all of account gets an index",
        "low risk",
    ] {
        browser.reads(told);
    }
    server.desk.sexton("run schema --yes").ends(0);
    browser.place("backups", "Backups");
    browser.reads("restored and counted");
    browser.reads("held");
    let drill = browser.value(
        "[...[...document.querySelectorAll('.card')].find((card) => card.querySelector('h2')?.innerText === 'Drills')
           .querySelectorAll('thead th')].map((one) => one.innerText).join()",
    );
    assert!(drill.as_str().unwrap().contains("Restored in"), "{drill}");
    browser.place("migrations", "Migrations");
    browser.reads("up to date");
    assert!(!browser.text().contains("pending ones"), "{}", browser.text());
    browser.is_content(&server);
}

#[test]
fn narrow_screens_have_a_menu_and_a_session_that_is_over_is_told() {
    let server = Server::of(Desk::ready(), "run");
    let mut browser = signed_in(&server);
    browser.size(360, 740);
    let hidden = "getComputedStyle(document.querySelector('nav')).display === 'none'";
    browser.until(hidden);
    browser.click("button", "Menu");
    browser.until(&format!(
        "!({hidden}) && document.querySelector('.menu').getAttribute('aria-expanded') === 'true'"
    ));
    browser.click("nav a", "Runs");
    browser.until(&format!("document.querySelector('main h1')?.innerText === 'Runs' && {hidden}"));
    browser.is_content(&server);
    // Its token is taken back: whatever is asked for next is refused, and the page says why.
    let list = server.desk.sexton("token list --output json").ends(0).json();
    server.desk.sexton(&format!("token revoke {}", list["tokens"][0]["id"].as_str().unwrap())).ends(0);
    browser.value("location.hash = '#/operations'");
    browser.until("document.querySelector('input[type=password]') === document.activeElement");
    browser.reads("The session is over: sign in again.");
    assert!(!browser.text().contains("Delete old audit rows"));
}
