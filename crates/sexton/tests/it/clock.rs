//! The whole machine has a wrong clock, so that Sexton, SQLite and the file system's names for the time agree with each other.

use crate::kit::Desk;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Moves every clock of a process on by `CLOCK_SHIFT` seconds.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t shift(void) { const char *text = getenv("CLOCK_SHIFT"); return text ? (time_t)atoll(text) : 0; }

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, at);
    if (clock == CLOCK_REALTIME) at->tv_sec += shift();
    return done;
}

int gettimeofday(struct timeval *at, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int done = real(at, zone);
    at->tv_sec += shift();
    return done;
}

time_t time(time_t *at) {
    struct timeval now;
    gettimeofday(&now, 0);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"#;

const TEN_YEARS: i64 = 3_650 * 86_400;

struct Shim {
    _folder: TempDir,
    library: PathBuf,
}

impl Shim {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
        std::fs::write(&source, SHIM).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler, which the bundled SQLite needs as well");
        assert!(built.success());
        Self { _folder: folder, library }
    }

    /// Runs the program at a desk whose clock is so many seconds ahead; what it said and how it ended.
    fn ahead(&self, desk: &Desk, seconds: i64, line: &str) -> (String, i32) {
        let mut command = desk.command(line);
        command.env("LD_PRELOAD", &self.library).env("CLOCK_SHIFT", seconds.to_string());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (said.into_owned(), output.status.code().unwrap_or(-1))
    }
}

#[test]
fn a_machine_whose_clock_is_ten_years_ahead_purges_nothing_and_forgets_nothing() {
    // W-124, X-40
    let (shim, desk) = (Shim::build(), Desk::ready());
    desk.sexton("run logs --yes").ends(0);
    let left = desk.count("audit_log");
    assert_eq!(
        desk.sexton("undo list --output json").json()["undo_points"].as_array().map(Vec::len),
        Some(1)
    );

    // a refused run is in the log too, and is no reason to believe the clock the next time
    for _ in 0..2 {
        let (said, code) = shim.ahead(&desk, TEN_YEARS, "run logs --yes");
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("3 650 days old") && said.contains("--force"), "{said}");
    }
    let (said, code) = shim.ahead(&desk, TEN_YEARS, "plan logs");
    assert!(code == 0 && said.contains("3 650 days old"), "{said}");
    let (said, code) = shim.ahead(&desk, TEN_YEARS, "undo drop --expired --yes");
    assert_eq!(code, 3, "{said}");
    assert_eq!(desk.count("audit_log"), left);

    // a person may allow it, but what expired by that clock stays nevertheless
    let (said, code) = shim.ahead(&desk, TEN_YEARS, "run logs --yes --force");
    assert_eq!((code, desk.count("audit_log")), (0, 0), "{said}");
    let points = desk.sexton("undo list --output json").json();
    assert_eq!(points["undo_points"].as_array().map(Vec::len), Some(2), "{points}");

    // the clock is mended: what was done can be put back, with a warning
    let said = desk.sexton("undo latest --yes").ends(0);
    assert!(said.shown().contains("in the future"), "{}", said.shown());
    assert_eq!(desk.count("audit_log"), left);
    let old = "insert into audit_log (created_at, action) values ('2001-01-01 00:00:00', 'x')";
    desk.place.script(old);
    let said = desk.sexton("run logs --yes").ends(3);
    assert!(said.stderr.contains("in the future") && said.stderr.contains("--force"), "{}", said.stderr);
    desk.sexton("run logs --yes --force").ends(0);
    desk.place.script(old);
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.count("audit_log"), left);
}

#[test]
fn a_file_that_nobody_wrote_for_ten_years_is_a_reason_to_doubt_the_clock_of_a_first_run() {
    // W-124
    let (shim, desk) = (Shim::build(), Desk::ready());
    let (said, code) = shim.ahead(&desk, TEN_YEARS, "run logs --yes");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("newest change of the file"), "{said}");
    assert_eq!(desk.count("audit_log"), 400);
}
