//! The page as people have it: a real browser, driven with keys and clicks, against the real program.
//!
//! With `SEXTON_TEST_PICTURES=FOLDER` it keeps pictures of what it has seen.

use crate::api::Server;
use crate::browser::Browser;
use crate::kit::{AUDIT, CONFIG, Desk};
use serde_json::json;

const MORE_ROWS: &str =
    "create table account (id integer primary key, name text not null, last_seen text not null);
insert into account (name, last_seen)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
select 'account ' || i, datetime('now', '-' || (i * 10) || ' days', '+1 hour') from n;";

const MORE_CONFIG: &str = r#"
[operation.old-accounts]
kind = "purge"
title = "Delete accounts that nobody has used for half a year"
severity = "CRITICAL"
table = "account"
age_column = "last_seen"
older_than = "180 days"

[operation.schema]
kind = "migrate"
title = "Bring the schema to the version that the application expects"
directory = "migrations"

[operation.copy]
kind = "backup"

[schedule.nightly]
description = "Old accounts go, every night"
cron = "30 2 * * *"
zone = "Europe/Paris"
run = ["old-accounts"]

[schedule.early]
description = "Expired sessions go"
cron = "15 4 * * *"
run = ["sessions"]
"#;

/// Everything the page can show, at least once.
pub fn served() -> Server {
    served_at(None)
}

/// The same at a moment.
fn served_at(now: Option<jiff::Timestamp>) -> Server {
    let mut desk = Desk::empty();
    if let Some(now) = now {
        desk.set("SEXTON_NOW", &now.to_string());
    }
    desk.place.script(AUDIT);
    desk.place.script(MORE_ROWS);
    desk.write("sexton.toml", &format!("{CONFIG}{MORE_CONFIG}"));
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write("migrations/0001_note.sql", "-- sexton:up\nalter table account add column note text;\n");
    desk.write(
        "migrations/0002_seen.sql",
        "-- sexton:up\ncreate index account_seen on account (last_seen);\n",
    );
    Server::of(desk, "admin")
}

/// A browser that is signed in.
pub fn signed_in(server: &Server) -> Browser {
    let mut browser = Browser::open();
    browser.size(1280, 900);
    browser.go(&format!("{}/", server.at));
    browser.until("document.querySelector('input[type=password]') === document.activeElement");
    browser.type_text(&server.token);
    browser.press("Enter");
    browser.until("document.querySelector('h1')?.innerText === 'Overview'");
    browser
}

impl Browser {
    pub fn place(&mut self, path: &str, heading: &str) {
        self.value(&format!("location.hash = '#/{path}'"));
        self.until(&format!("document.querySelector('main h1')?.innerText.includes({})", json!(heading)));
        self.until("!document.querySelector('[aria-busy=true]')");
    }

    /// Nothing was asked of others, and nothing was complained about.
    pub fn is_content(&mut self, server: &Server) {
        // Who asks who is signed in is told that nobody is, and the browser tells of that.
        self.complaints.retain(|what| !what.contains("401"));
        let own = format!("{}/", server.at);
        let foreign = |asked: &&String| {
            !asked.starts_with(&own) && !asked.starts_with("about:") && !asked.starts_with("data:")
        };
        assert_eq!(self.asked.iter().filter(foreign).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(self.complaints, Vec::<String>::new());
    }
}

#[test]
fn a_run_is_previewed_agreed_to_watched_and_put_back_but_for_rows_in_conflict() {
    // S2-060
    let server = served();
    let mut browser = Browser::open();
    browser.size(1280, 900);
    browser.go(&format!("{}/", server.at));
    browser.until("document.querySelector('input[type=password]') === document.activeElement");
    browser.picture("sign-in");
    browser.type_text("sexton_nonsense_0000");
    browser.press("Enter");
    browser.reads("This token does not hold");
    browser.picture("sign-in-wrong");
    // The browser itself tells of each answer that is no success; that one was wanted.
    assert!(browser.complaints.iter().all(|what| what.contains("401")), "{:?}", browser.complaints);
    browser.complaints.clear();
    browser.value("document.querySelector('input[type=password]').value = ''");
    browser.type_text(&server.token);
    browser.press("Enter");
    browser.reads("Needs you");
    browser.reads("nightly waits for an approval");
    assert!(browser.value("document.cookie") == "", "a script can read the session");
    browser.until("!document.querySelector('[aria-busy=true]')");
    browser.picture("overview-fresh");

    browser.click("nav a", "Operations");
    browser.reads("Delete old audit rows");
    browser.click("main a", "logs");
    browser.reads("What it would do");
    browser.click("summary", "Limits for this time");
    for (label, value) in [("Rows a batch", "5"), ("Rows a second", "30")] {
        browser.value(&format!(
            "[...document.querySelectorAll('label')].find((one) => one.innerText === '{label}').control.focus()"
        ));
        browser.type_text(value);
    }
    browser.click("button", "Preview");
    browser.reads("The first 5 rows, as they are now");
    let plan = browser.text();
    assert!(plan.contains("311 of 400 (77.8 %)") && plan.contains("Run on 311 rows …"), "{plan}");
    assert_eq!(server.desk.count("audit_log"), 400);
    browser.picture("plan");
    browser.click("button", "Run on 311 rows …");
    browser.reads("Run logs?");
    browser.picture("ask");
    browser.press("Escape");
    browser.until("!document.querySelector('dialog')");
    assert_eq!(server.get("/api/v1/runs").json(), json!([]));
    browser.click("button", "Run on 311 rows …");
    browser.click("dialog button", "Run on 311 rows");
    browser.reads("rows/s");
    browser.reads("about ");
    browser.picture("at-work");
    let shown = browser.value("document.querySelector('progress.meter').value").as_f64().unwrap();
    assert!(shown > 0.0 && shown < 1.0, "{shown}");
    browser.click("button", "Stop");
    browser.reads("Go on with it");
    let left = server.desk.count("audit_log");
    assert!(left > 89 && left < 400, "{left}");
    browser.picture("stopped");
    browser.click("button", "Go on with it");
    browser.click("dialog button", "Go on");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'done'");
    assert_eq!(server.desk.count("audit_log"), 89);
    browser.reads("311 deleted");
    browser.picture("report");

    // Somebody takes the place of one of the rows meanwhile.
    server
        .desk
        .place
        .script("insert into audit_log (id, created_at, action) values (395, '2026-01-01', 'other');");
    browser.click("a", "Put it back …");
    browser.reads("1 conflict");
    browser.reads("a row with this key is there again");
    browser.picture("undo");
    browser.click("button", "Put back 310 of 311 rows …");
    browser.reads("1 of them cannot go back as things are now");
    browser.click("dialog button", "Put back 310 of 311 rows");
    browser.until("document.querySelector('.view-head .badge')?.innerText.includes('findings')");
    browser.reads("1 row could not be put back");
    browser.picture("undo-report");
    assert_eq!(server.desk.count("audit_log"), 400);
    assert_eq!(server.desk.count("audit_log where action = 'other'"), 1);

    browser.click("button", "Sign out");
    browser.until("document.querySelector('input[type=password]')");
    browser.value("location.hash = '#/runs'");
    browser.reads("keeps the databases here healthy");
    browser.is_content(&server);
}

#[test]
fn what_can_go_very_wrong_needs_a_name_typed_and_a_schedule_needs_an_approval() {
    // W-067
    let server = served();
    let mut browser = signed_in(&server);
    browser.place("operations/old-accounts", "old-accounts");
    browser.click("button", "Preview");
    browser.click("button", "Run on 22 rows …");
    browser.reads("Type old-accounts to go on");
    browser.picture("ask-name");
    browser.type_text("old-account");
    browser.press("Enter");
    browser.until("document.querySelector('dialog button[type=submit]').disabled");
    assert_eq!(server.desk.count("account"), 40);
    browser.type_text("s");
    browser.press("Enter");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'done'");
    assert_eq!(server.desk.count("account"), 18);

    browser.place("schedules", "Schedules");
    browser.picture("schedules");
    browser.value("document.querySelector('.pending input[type=number]').focus()");
    browser.type_text("1000");
    browser.click("button", "Approve …");
    browser.reads("as long as no run takes more than 1 000 rows");
    browser.type_text("nightly");
    browser.press("Enter");
    browser.until("!document.querySelector('.pending')");
    let approved = server.get("/api/v1/schedules/nightly").json();
    assert_eq!(
        (&approved["approval_needed"], &approved["approval"]["max_rows"]),
        (&json!(null), &json!(1000)),
        "{approved}"
    );
    browser.place("schedules/nightly", "nightly");
    browser.reads("at most 1 000 rows");
    browser.picture("schedule");
    browser.click("button", "Take the approval back");
    browser.reads("Waiting for an approval");
    browser.click("button", "Refuse …");
    browser.click("dialog button", "Refuse and switch off");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'off'");
    assert_eq!(server.get("/api/v1/schedules/nightly").json()["enabled"], false);
    browser.is_content(&server);
}

#[test]
fn a_schedule_is_made_approved_and_fires_and_is_changed_and_deleted() {
    // S2-018, S2-026, S2-057, S2-058, W-067
    // The next minute begins soon, by the clock of the server.
    let minute = jiff::Timestamp::now().as_second() / 60 * 60;
    let now = jiff::Timestamp::from_second(minute + 35).unwrap();
    let server = served_at(Some(now));
    let mut browser = signed_in(&server);
    browser.place("schedules", "Schedules");
    browser.click("a.button", "Add a schedule");
    browser.reads("A new schedule");
    let field = |label: &str| {
        format!(
            "[...document.querySelectorAll('label')].find((one) => one.innerText.startsWith('{label}')).control"
        )
    };
    let fill = |browser: &mut Browser, label: &str, text: &str| {
        browser.value(&format!("{0}.focus(), {0}.select()", field(label)));
        browser.type_text(text);
    };
    fill(&mut browser, "Name", "minutely");
    fill(&mut browser, "Description", "Old audit rows go");
    let choose = |browser: &mut Browser, label: &str, value: &str| {
        browser.value(&format!(
            "{0}.value = '{value}', {0}.dispatchEvent(new Event('change', {{ bubbles: true }}))",
            field(label)
        ));
    };
    choose(&mut browser, "Runs, in this order", "sessions");
    choose(&mut browser, "Runs, in this order", "logs");
    browser.click("button", "↑");
    browser.until(
        "[...document.querySelectorAll('.picked b')].map((one) => one.innerText).join() === 'logs,sessions'",
    );
    // What is typed is read at once: a line that is none, then one that is.
    fill(&mut browser, "Cron line", "0 25 * * *");
    browser.reads("is no cron line");
    assert_eq!(browser.value(&format!("{}.getAttribute('aria-invalid')", field("Cron line"))), "true");
    browser.picture("schedule-new-wrong");
    fill(&mut browser, "Zone", "Mars/Olympus");
    browser.reads("Mars/Olympus");
    fill(&mut browser, "Zone", "Asia/Kolkata");
    fill(&mut browser, "Cron line", "30 2 * * *");
    browser.until("document.querySelectorAll('.due tbody tr').length === 5");
    browser.until("[...document.querySelectorAll('.due tbody tr')].every((row) => row.cells[0].innerText.includes('02:30') && row.cells[1].innerText.includes('21:00'))");
    browser.click("button", "the first Sunday of a month");
    browser.until("[...document.querySelectorAll('.due tbody tr')].every((row) => row.cells[0].innerText.startsWith('Sun') && row.cells[0].innerText.includes('04:00'))");
    browser.picture("schedule-new");
    fill(&mut browser, "Cron line", "* * * * *");
    browser.until("document.querySelectorAll('.due tbody tr').length === 5");
    browser.click("button", "Add the schedule");
    browser.reads("Waiting for an approval");
    assert_eq!(server.desk.count("audit_log"), 400);
    let made = server.get("/api/v1/schedules/minutely").json();
    assert_eq!(
        (&made["run"], &made["zone"], &made["cron"], &made["version"]),
        (&json!(["logs", "sessions"]), &json!("Asia/Kolkata"), &json!("* * * * *"), &json!(1)),
        "{made}"
    );
    browser.click("button", "Approve …");
    browser.type_text("minutely");
    browser.press("Enter");
    browser.until("!document.querySelector('.pending')");
    let began = std::time::Instant::now();
    while server.desk.count("audit_log") != 89 {
        assert!(began.elapsed() < std::time::Duration::from_secs(90), "it never ran");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    // It is over a moment after its rows are gone.
    while server.get("/api/v1/schedules/minutely").json()["last"]["state"] != "done" {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "it never ended");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    browser.place("schedules", "Schedules");
    browser.place("schedules/minutely", "minutely");
    browser.until("[...document.querySelectorAll('td .badge')].some((one) => one.innerText === 'done')");
    browser.picture("schedule-fired");

    // A change ends the approval; who looked before somebody else changed it is told.
    browser.click("a.button", "Change …");
    browser.reads("Change minutely");
    browser.until(&format!("{}.value === '* * * * *'", field("Cron line")));
    server.send("POST", "/api/v1/schedules/minutely/disable", &json!({}), &[]);
    fill(&mut browser, "Cron line", "15 3 * * sun");
    browser.click("button", "Keep the changes");
    browser.reads("changed meanwhile");
    browser.complaints.retain(|what| !what.contains("412") && !what.contains("422"));
    browser.click("button", "Try again");
    browser.until(&format!("{}.value === '* * * * *'", field("Cron line")));
    fill(&mut browser, "Cron line", "15 3 * * sun");
    fill(&mut browser, "Rows a run, at most", "1000");
    browser.click("summary", "When times are missed");
    choose(&mut browser, "While it is still at work", "queue");
    browser.picture("schedule-change");
    browser.click("button", "Keep the changes");
    browser.until("document.querySelector('main h1')?.innerText === 'minutely'");
    let changed = server.get("/api/v1/schedules/minutely").json();
    assert_eq!(
        (&changed["cron"], &changed["overlap"], &changed["options"], &changed["approval"]),
        (&json!("15 3 * * sun"), &json!("queue"), &json!({"max_rows": 1000}), &json!(null)),
        "{changed}"
    );
    assert_eq!(changed["description"], "Old audit rows go");
    browser.click("button", "Delete …");
    browser.reads("Delete minutely?");
    browser.click("dialog button", "Delete the schedule");
    browser.until("document.querySelector('main h1')?.innerText === 'Schedules'");
    assert_eq!(server.get("/api/v1/schedules/minutely").wrong(404), "not_found");
    // What stands in the configuration is changed there, and can be copied.
    browser.place("schedules/nightly", "nightly");
    assert!(!browser.text().contains("Change …") && !browser.text().contains("Delete …"));
    browser.click("a.button", "Add one like it …");
    browser.reads("A new schedule");
    browser.until(&format!("{}.value === '30 2 * * *'", field("Cron line")));
    fill(&mut browser, "Name", "early");
    browser.click("button", "Add the schedule");
    browser.reads("stands in the configuration");
    browser.complaints.retain(|what| !what.contains("409") && !what.contains("412"));
    browser.is_content(&server);
}

#[test]
fn whoever_has_only_a_keyboard_can_do_it_all() {
    let server = served();
    let mut browser = Browser::open();
    browser.size(1280, 900);
    browser.go(&format!("{}/", server.at));
    browser.until("document.querySelector('input[type=password]') === document.activeElement");
    browser.type_text(&server.token);
    browser.tab_to("Sign in");
    browser.press("Space");
    browser.reads("Needs you");
    browser.until("!document.querySelector('[aria-busy=true]')");
    // The first stop leads past the places.
    browser.go(&format!("{}/", server.at));
    browser.reads("Needs you");
    browser.press("Tab");
    assert_eq!(browser.value("document.activeElement.innerText"), "Skip to the content");
    browser.press("Enter");
    assert_eq!(browser.value("document.activeElement.tagName"), "H1");
    browser.value("document.querySelector('#skip').focus()");
    browser.tab_to("Operations");
    browser.press("Enter");
    browser.until(
        "document.activeElement?.innerText === 'Operations' && document.activeElement.tagName === 'H1'",
    );
    browser.tab_to("logs");
    browser.press("Enter");
    browser.until("document.activeElement?.innerText === 'logs' && document.activeElement.tagName === 'H1'");
    browser.tab_to("Preview");
    let ring = browser.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid", "nobody sees where one is");
    browser.press("Enter");
    browser.reads("Run on 311 rows …");
    browser.tab_to("Run on 311 rows …");
    browser.press("Enter");
    browser.until("document.querySelector('dialog[open]')");
    // The focus stays in the question.
    for _ in 0..4 {
        assert_eq!(browser.value("document.activeElement === document.body || document.activeElement.closest('dialog') !== null"), true);
        browser.press("Tab");
    }
    browser.tab_to("Run on 311 rows");
    browser.press("Enter");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'done'");
    assert_eq!(server.desk.count("audit_log"), 89);
    browser.tab_to("Put it back …");
    browser.press("Enter");
    browser.reads("Every row has its place still");
    browser.tab_to("Put back 311 rows …");
    browser.press("Enter");
    browser.until("document.querySelector('dialog[open]')");
    browser.tab_to("Put back 311 rows");
    browser.press("Enter");
    browser.until("document.querySelector('.view-head .badge')?.innerText === 'done'");
    assert_eq!(server.desk.count("audit_log"), 400);
    browser.is_content(&server);
}

/// Texts that are too pale for their ground, and edges of fields that cannot be seen (WCAG 2.2 AA: 1.4.3, 1.4.11).
const PALE: &str = r#"(() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = text; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3])).concat(1);
  const ground = (node) => {
    const layers = [];
    for (let one = node; one; one = one.parentElement) {
      const own = rgba(getComputedStyle(one).backgroundColor);
      if (own[3] > 0) layers.push(own);
      if (own[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), rgba(getComputedStyle(document.documentElement).backgroundColor));
  };
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const found = [];
  let looked = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const own = text.parentElement;
    if (!text.data.trim() || !own.getClientRects().length || own.closest("script, noscript, title, .hidden, option")) continue;
    if (own.closest("button:disabled")) continue;
    const style = getComputedStyle(own);
    const below = ground(own);
    const svg = own.closest("svg");
    const ink = over(rgba(svg ? style.fill : style.color), below);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const is = ratio(ink, below);
    looked += 1;
    if (is < (large ? 3 : 4.5)) found.push(`${is.toFixed(2)} ${text.data.trim().slice(0, 40)} (${own.tagName} ${own.className})`);
  }
  for (const field of document.querySelectorAll("input, select, button:not(:disabled), .button")) {
    if (!field.getClientRects().length) continue;
    const style = getComputedStyle(field);
    const is = ratio(over(rgba(style.borderTopColor), ground(field.parentElement)), ground(field.parentElement));
    if (is < 3) found.push(`${is.toFixed(2)} edge of ${field.tagName} ${field.className} ${field.innerText}`);
  }
  return { looked, found };
})()"#;

/// What somebody who does not see the page would miss.
const UNNAMED: &str = r#"(() => {
  const found = [];
  const named = (one) => (one.innerText || one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.title || "").trim();
  for (const one of document.querySelectorAll("a, button, input, select, summary, progress:not([aria-hidden])")) {
    if (one.getClientRects().length && !named(one)) found.push(one.outerHTML.slice(0, 120));
  }
  for (const one of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role=img])")) found.push(one.outerHTML.slice(0, 120));
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  let last = 0;
  for (const one of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(one.tagName[1]);
    if (level > last + 1) found.push(`h${last} then ${one.outerHTML.slice(0, 80)}`);
    last = level;
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) found.push("an id twice");
  return found;
})()"#;

#[test]
fn every_place_is_readable_in_light_and_dark_on_wide_and_narrow_screens() {
    let server = served();
    let run = server
        .send(
            "POST",
            "/api/v1/runs",
            &json!({"operations": ["logs"], "confirm": true, "options": {"batch_size": 20}}),
            &[],
        )
        .json();
    let run = run["run_id"].as_str().unwrap().to_owned();
    server.wait(&run);
    server.desk.sexton("run copy --yes").ends(0);
    server.desk.sexton("backup drill").ends(0);
    server.desk.sexton("run sessions --yes").ends(0);
    server
        .desk
        .place
        .script("insert into audit_log (id, created_at, action) values (395, '2026-01-01', 'other');");
    let mut browser = signed_in(&server);
    let places = [
        ("".to_owned(), "Overview", "overview"),
        ("operations".to_owned(), "Operations", "operations"),
        ("operations/old-accounts".to_owned(), "old-accounts", "operation"),
        ("runs".to_owned(), "Runs", "runs"),
        (format!("runs/{run}"), "logs", "run"),
        ("schedules".to_owned(), "Schedules", "schedules-list"),
        ("schedules/nightly".to_owned(), "nightly", "schedule-one"),
        ("schedules?new&like=nightly".to_owned(), "A new schedule", "schedule-form"),
        ("findings".to_owned(), "Findings", "findings"),
        ("databases/main".to_owned(), "main", "database"),
        ("undo".to_owned(), "Undo", "undo-points"),
        (format!("undo/{run}"), "Put back", "undo-one"),
        ("backups".to_owned(), "Backups", "backups"),
        ("migrations".to_owned(), "Migrations", "migrations"),
        ("trends".to_owned(), "Trends", "trends"),
        ("audit".to_owned(), "Audit trail", "audit"),
        ("nosuch".to_owned(), "no such place", "nosuch"),
    ];
    let mut wrong = Vec::new();
    for (path, heading, name) in &places {
        browser.size(1280, 900);
        browser.place(path, heading);
        if *name == "operation" {
            browser.click("button", "Preview");
            browser.reads("Run on 22 rows …");
        }
        if *name == "run" {
            browser.click("summary", "What happened, in order");
            browser.until("document.querySelectorAll('.log li').length > 3");
        }
        browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
        for unnamed in browser.value(UNNAMED).as_array().unwrap() {
            wrong.push(format!("{name}: {unnamed}"));
        }
        for scheme in ["light", "dark"] {
            browser.colours(scheme);
            for (width, height) in [(1280, 900), (360, 740)] {
                browser.size(width, height);
                // Charts are drawn anew for their width.
                browser
                    .value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
                let wide = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
                if wide > u64::from(width) {
                    let culprit = browser.value("[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table, pre')).map((one) => one.outerHTML.slice(0, 90)).slice(0, 3)");
                    wrong.push(format!("{name} is {wide} wide on {width}: {culprit}"));
                }
                let pale = browser.value(PALE);
                assert!(pale["looked"].as_u64().unwrap() > 8, "{name}: {pale}");
                for found in pale["found"].as_array().unwrap() {
                    wrong.push(format!("{name}, {scheme}, {width}: {found}"));
                }
                browser.picture(&format!("{name}-{scheme}-{width}"));
            }
        }
        browser.colours("light");
    }
    // The choice of a person goes before that of the system.
    browser.size(1280, 900);
    browser.value("const one = document.querySelector('select[aria-label=Colours]'); one.value = 'dark'; one.dispatchEvent(new Event('change'))");
    assert_eq!(browser.value("getComputedStyle(document.documentElement).colorScheme"), "dark");
    browser.go(&format!("{}/#/runs", server.at));
    browser.until("getComputedStyle(document.documentElement).colorScheme === 'dark'");
    wrong.sort();
    wrong.dedup();
    assert_eq!(wrong, Vec::<String>::new());
    browser.is_content(&server);
}
