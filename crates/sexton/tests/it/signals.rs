//! Signals: the first stops at the next batch, the second at once. Neither loses anything.

use crate::kit::Desk;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

fn started(desk: &Desk, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn wait_for(event: &str, stdout: &mut impl BufRead) {
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 {
        if line.contains(&format!("\"event\":\"{event}\"")) {
            return;
        }
        line.clear();
    }
    panic!("no {event}");
}

fn send(child: &Child, signal: &str) {
    let status = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_stops_at_the_next_batch_and_the_run_is_resumed() {
    // S2-082
    for signal in ["-INT", "-TERM"] {
        let desk = Desk::ready();
        let (mut child, mut stdout) = started(&desk, "run logs --yes --events --batch-size 10 --pause 0.5");
        wait_for("advanced", &mut stdout);
        send(&child, signal);
        std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(4), "{signal}");
        let left = desk.count("audit_log");
        assert!((90..400).contains(&left), "{left}");
        desk.sexton("resume latest --pause 0").ends(0);
        assert_eq!(desk.count("audit_log"), 89);
        desk.sexton("undo latest").ends(0);
        assert_eq!(desk.count("audit_log"), 400);
    }
}

#[test]
fn another_process_can_ask_a_run_to_stop() {
    // S2-082
    let desk = Desk::ready();
    let (mut child, mut stdout) = started(&desk, "run logs --yes --events --batch-size 10 --pause 1");
    wait_for("advanced", &mut stdout);
    desk.sexton("stop latest").ends(0);
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_second_signal_ends_at_once_and_nothing_is_lost() {
    let desk = Desk::ready();
    let (mut child, mut stdout) = started(&desk, "run logs --yes --events --batch-size 10 --pause 30");
    wait_for("advanced", &mut stdout);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    send(&child, "-INT");
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("once more"), "{said}");
    send(&child, "-INT");
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    let status = child.wait().unwrap();
    if status.code().is_none() {
        assert!(said.contains("sexton resume"), "{said}");
    }
    // Whatever was committed has its undo rows.
    assert!(desk.count("audit_log") < 400);
    desk.sexton("undo latest").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}
