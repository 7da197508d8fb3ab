//! On a terminal the program asks, draws and explains.

use crate::kit::{CONFIG, Desk};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs the program on a terminal of its own (`script` makes one) with these answers; what was on the screen, and the
/// exit code.
fn at_the_terminal(desk: &Desk, line: &str, answers: &str) -> (String, i32) {
    let program = desk.command(line);
    let mut command = Command::new("script");
    let mut spelled = String::new();
    for word in std::iter::once(program.get_program()).chain(program.get_args()) {
        spelled.push_str(&format!("'{}' ", word.to_str().unwrap()));
    }
    command.args(["-qec", spelled.trim(), "/dev/null"]).current_dir(desk.path()).env_clear();
    for (name, value) in program.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    command.env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    let mut answers = answers.lines();
    loop {
        let read = screen.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..read]);
        let shown = String::from_utf8_lossy(&seen[..]);
        if shown.ends_with("[y/N] ") || shown.ends_with("run it: ") {
            let answer = answers.next().expect("one answer for each question");
            writeln!(keyboard, "{answer}").unwrap();
        }
    }
    drop(keyboard);
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (String::from_utf8_lossy(&seen).into_owned(), code)
}

#[test]
fn a_medium_operation_is_shown_and_asked_about() {
    // S2-048, S1-038
    let desk = Desk::ready();
    let (screen, code) = at_the_terminal(&desk, "run logs --no-color", "n");
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("311 of 400 rows"), "{screen}");
    assert!(screen.contains("cut-off"), "{screen}");
    assert_eq!(desk.count("audit_log"), 400);
    let (screen, code) = at_the_terminal(&desk, "run logs", "y");
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("sexton undo "), "{screen}");
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_critical_operation_wants_its_name_typed() {
    // S2-048
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        &CONFIG.replace("[operation.logs]", "[operation.logs]\nseverity = \"CRITICAL\""),
    );
    for wrong in ["y", "yes", "log"] {
        let (screen, code) = at_the_terminal(&desk, "run logs", wrong);
        assert_eq!(code, 3, "{screen}");
    }
    assert_eq!(desk.count("audit_log"), 400);
    let (screen, code) = at_the_terminal(&desk, "run logs", "logs");
    assert_eq!(code, 0, "{screen}");
}

#[test]
fn a_low_operation_and_one_with_nothing_to_do_ask_nothing() {
    // S2-048
    let desk = Desk::ready();
    let (screen, code) = at_the_terminal(&desk, "run sessions", "");
    assert_eq!(code, 0, "{screen}");
    let (screen, code) = at_the_terminal(&desk, "run logs --older-than '5 years'", "");
    assert_eq!(code, 0, "{screen}");
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let mut desk = Desk::ready();
    let (screen, _) = at_the_terminal(&desk, "plan logs", "");
    assert!(screen.contains("\u{1b}["), "{screen}");
    let (screen, _) = at_the_terminal(&desk, "plan logs --no-color", "");
    assert!(!screen.contains("\u{1b}[1m"), "{screen}");
    desk.set("NO_COLOR", "1");
    let (screen, _) = at_the_terminal(&desk, "plan logs", "");
    assert!(!screen.contains("\u{1b}[1m"), "{screen}");
}

#[test]
fn a_transfer_shows_a_bar_for_each_table_and_what_each_came_to() {
    // S4-046
    let (desk, to) = (Desk::empty(), testkit::Place::postgres());
    desk.place.script(
        "create table orders (id integer primary key, code text); create table notes (id integer primary key, m text); \
         insert into orders with recursive c(i) as (select 1 union all select i + 1 from c where i < 4000) select i, 'c' || i from c; \
         insert into notes select id, code from orders where id <= 1500",
    );
    let line = format!("transfer run --yes --source app.db --database '{}' --batch-size 500", to.url());
    let (screen, code) = at_the_terminal(&desk, &line.replace('\'', ""), "");
    assert_eq!(code, 0, "{screen}");
    for text in
        ["orders: 4 000 rows, ", "notes: 1 500 rows, ", "rows/s", "of 4 000 rows", "both sides the same"]
    {
        assert!(screen.contains(text), "`{text}` is not in {screen}");
    }
}

/// The figures `DONE of ALL rows, N rows/s` of a table on the screen, and the seconds that were left, in their order.
fn figures(screen: &str) -> (Vec<u64>, Vec<f64>) {
    let number = |text: &str| text.replace(' ', "").parse::<u64>().ok();
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for part in screen.split(" of 6 000 rows, ").collect::<Vec<_>>().windows(2) {
        let before = part[0].rsplit(", ").next().unwrap_or_default();
        done.extend(number(before));
        let rest = part[1].split(['\r', '\u{1b}', '\n']).next().unwrap_or_default();
        let seconds = rest.strip_suffix(" s left").and_then(|rest| rest.rsplit(", ").next());
        left.extend(seconds.and_then(|seconds| seconds.trim().parse::<f64>().ok()));
    }
    (done, left)
}

#[test]
fn a_transfer_tells_the_time_left_and_counts_on_after_a_stop() {
    // S4-046
    testkit::once_in_three(|| {
        let (desk, to) = (Desk::empty(), testkit::Place::postgres());
        desk.place.script(
            "create table orders (id integer primary key, code text);
             insert into orders with recursive c(i) as (select 1 union all select i + 1 from c where i < 6000) select i, 'c' || i from c",
        );
        let line = format!(
            "transfer run --yes --source app.db --database {} --batch-size 250 --rows-per-second 1500 --max-rows 3000",
            to.url()
        );
        let (screen, code) = at_the_terminal(&desk, &line, "");
        assert_ne!(code, 0, "{screen}");
        let (done, left) = figures(&screen);
        assert_eq!((done.first(), done.last()), (Some(&250), Some(&3_000)), "{screen}");
        // 1500 rows a second, of which 3000 are left at the end
        let told = left.len() > 2 && left.last() < left.first() && (1.0..=4.0).contains(left.last().unwrap());
        let first = format!("{left:?}\n{screen}");
        let (screen, code) = at_the_terminal(&desk, "resume latest --max-rows 6000", "");
        assert_eq!(code, 0, "{screen}");
        let (done, left) = figures(&screen);
        assert_eq!((done.first(), done.last()), (Some(&3_250), Some(&6_000)), "{screen}");
        assert!(screen.contains("orders: 6 000 rows, "), "{screen}");
        // by the speed of now, not by what was there before
        let resumed = left.iter().all(|seconds| (0.0..=3.0).contains(seconds)) && !left.is_empty();
        if told && resumed { Ok(()) } else { Err(format!("{first}\n{left:?}\n{screen}")) }
    });
}
