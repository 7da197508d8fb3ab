//! Many workers on one state: real processes that are stopped, woken, asked to end and killed in the middle of runs.

use crate::kit::Desk;
use serde_json::Value as Json;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use targets::db::Value;
use testkit::Place;

const ROWS: i64 = 300;
/// This moment, as the state has moments.
const NOW: &str = r#"select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// A desk with a database, and a state that workers can share.
struct Team {
    desk: Desk,
    state: Place,
}

/// A worker, ended when the test ends.
struct Worker {
    child: Child,
    log: PathBuf,
}

impl Team {
    /// A purge of all rows that takes some seconds; each row that goes leaves a line in `gone`.
    fn slow(place: Place) -> Self {
        Self::slow_beside(place, "")
    }

    fn slow_beside(place: Place, more: &str) -> Self {
        place.script2(
            &format!(
                "pragma journal_mode = wal;
                 create table items (id integer primary key, n integer not null);
                 create table gone (id integer not null);
                 create trigger went after delete on items begin insert into gone values (old.id); end;
                 with recursive c(i) as (select 1 union all select i + 1 from c where i < {ROWS})
                 insert into items select i, i from c;"
            ),
            &format!(
                "create table items (id int primary key, n int not null);
                 create table gone (id int not null);
                 create function went() returns trigger language plpgsql as
                   'begin insert into gone values (old.id); return old; end';
                 create trigger went after delete on items for each row execute function went();
                 insert into items select i, i from generate_series(1, {ROWS}) i;"
            ),
        );
        // A pause is kept however long the process, or the machine, has stood still; a rate would be caught up with.
        let slowly = "batch_size = 5\npause = 0.15\n";
        let config = "[operation.items]\nkind = \"purge\"\ndatabase = \"main\"\nseverity = \"LOW\"\ntable = \"items\"\nwhere = \"n >= 0\"\ntriggers = \"fire\"\n\
                      [schedule.often]\nrun = [\"items\"]\ncron = \"0 0 1 1 *\"\n";
        let url = place.url();
        let config = format!("{config}{more}");
        Self::of(place, &format!("[database.main]\nurl = \"{url}\"\n[defaults]\n{slowly}"), &config)
    }

    /// A slow purge, and looks at another database.
    fn with_looks(other: &Place) -> Self {
        other.script("create table t (id integer primary key)");
        let mut more = format!(
            "[database.other]\nurl = \"{}\"\n[operation.look]\nkind = \"check\"\ndatabase = \"other\"\n",
            other.url()
        );
        for n in 0..LOOKS {
            more += &format!("[schedule.look{n}]\nrun = [\"look\"]\ncron = \"0 0 1 1 *\"\n");
        }
        Self::slow_beside(Place::sqlite(), &more)
    }

    /// The purge is due, and the looks a little later: all of them in the past, or a worker that has just looked at its clock
    /// would find the purge only.
    fn all_due(&self) {
        self.state.script(&format!(
            "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us)
             select 'tick0001', 'often', now, '2026-01-01T00:00:00.000000Z', 'waiting', 0, 0 from ({NOW}) as n (now)
             union all
             select 'look' || i, 'look' || i, now, '2026-01-01T00:00:01.000000Z', 'waiting', 0, 0 from ({NOW}) as n (now), generate_series(0, {LOOKS} - 1) i;
             select pg_notify('sexton_ticks', '')"
        ));
    }

    /// From now on the server refuses whatever would give back what was set aside: else it would have to be seen within two seconds.
    fn gives_nothing_back(&self) {
        self.state.script(
            "create or replace function never() returns trigger language plpgsql as 'begin raise exception ''not yet''; end';
             create trigger never before update on sexton.ticks for each row
               when (old.state = 'taken' and new.state = 'waiting') execute function never()",
        );
    }

    /// From now on it does not.
    fn gives_back(&self) {
        self.state.script("drop trigger never on sexton.ticks");
    }

    fn looks(&self, state: &str) -> i64 {
        let count = format!("select count(*) from sexton.ticks where id like 'look%' and state = '{state}'");
        number(&self.state.rows(&count)[0][0])
    }

    fn of(place: Place, first: &str, more: &str) -> Self {
        let (desk, state) = (Desk::at(place), Place::postgres());
        let manners = if first.contains("[defaults]") { "" } else { "[defaults]\n" };
        let config = format!(
            "{first}{manners}max_percent = 100\nmin_free_disk_mb = 0\n[state]\nurl = \"{}\"\n{more}",
            state.url()
        );
        desk.write("sexton.toml", &config);
        desk.sexton("schedule").ends(0);
        Self { desk, state }
    }

    /// A time has come, as whoever looks at the clock would note it.
    fn due(&self, id: &str, schedule: &str) {
        self.state.script(&format!(
            "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us)
             select '{id}', '{schedule}', now, now, 'waiting', 0, 0 from ({NOW}) as n (now);
             select pg_notify('sexton_ticks', '')"
        ));
    }

    /// State and term of a time.
    fn tick(&self, id: &str) -> (String, i64) {
        let rows = self.state.rows(&format!("select state, term from sexton.ticks where id = '{id}'"));
        (rows[0][0].as_text().unwrap().to_owned(), number(&rows[0][1]))
    }

    fn gone(&self) -> i64 {
        number(&self.desk.place.rows("select count(*) from gone")[0][0])
    }

    fn worker(&self, name: &str, more: &str) -> Worker {
        let log = self.desk.file(&format!("{name}.log"));
        let to = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.desk.command(&format!("worker {more}"));
        Worker { child: command.stdout(Stdio::null()).stderr(to).spawn().unwrap(), log }
    }

    fn runs(&self) -> Vec<Json> {
        // Not through what is shown in snapshots: a thousand runs are long.
        let output = self.desk.command("runs list --limit 2000 --output json").output().unwrap();
        let runs: Json = serde_json::from_slice(&output.stdout).unwrap();
        runs["runs"].as_array().unwrap().clone()
    }

    /// Everything happened once, and can be put back. On a busy machine more workers than one may have lost it.
    fn all_once(&self, least: i64) {
        let (state, term) = self.tick("tick0001");
        assert!(state == "done" && term >= least, "{state}, term {term}");
        let once = number(&self.desk.place.rows("select count(distinct id) from gone")[0][0]);
        assert_eq!((self.gone(), once), (ROWS, ROWS));
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:#?}");
        assert_eq!((&runs[0]["totals"]["deleted"], &runs[0]["status"]), (&ROWS.into(), &"completed".into()));
        self.desk.sexton(&format!("undo {}", runs[0]["run_id"].as_str().unwrap())).ends(0);
        let back = self.desk.place.rows("select count(*), count(distinct id), sum(n) from items");
        let back: Vec<i64> = back[0].iter().map(number).collect();
        assert_eq!(back, [ROWS, ROWS, ROWS * (ROWS + 1) / 2]);
    }
}

impl Worker {
    fn signal(&self, name: &str) {
        // SAFETY of the process: the id is that of our own child, which was not waited for.
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Stops it, with every thread: those that were not told yet go on for a moment, and may begin something meanwhile.
    fn stop(&self) {
        self.signal("STOP");
        let stands = |thread: std::fs::DirEntry| {
            // A thread that ended meanwhile stands as well. The name of the program, in brackets, may hold anything.
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        };
        let threads = format!("/proc/{}/task", self.child.id());
        wait_for("it stands still", || {
            std::fs::read_dir(&threads).unwrap().all(|thread| stands(thread.unwrap()))
        });
    }

    fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end; its exit code.
    fn end(mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Worker {
    /// A failed test shows what it told.
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.told());
        }
    }
}

fn number(value: &Value) -> i64 {
    value.as_text().map_or_else(|| value.as_int().unwrap_or(-1), |text| text.parse().unwrap_or(-1))
}

pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(90), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops a process where it has no transaction open: a file that is being written can be taken over by nobody.
fn stop_between_batches(team: &Team, worker: &Worker) {
    wait_for("it stands between two batches", || {
        worker.stop();
        // Not for long: what holds it stands still.
        let free = "pragma busy_timeout = 100; begin immediate; rollback";
        let free = !team.desk.place.is_sqlite() || team.desk.place.try_script(free).is_ok();
        if !free {
            worker.signal("CONT");
        }
        free
    });
}

#[test]
fn a_worker_that_sleeps_is_followed_by_another_and_does_nothing_more_when_it_wakes_up() {
    // W-069, S3-052
    testkit::both(|place| {
        let place = if place.is_sqlite() { Place::sqlite() } else { Place::postgres() };
        let team = Team::slow(place);
        let first = team.worker("first", "--workers 1 --lease 1");
        team.due("tick0001", "often");
        wait_for("it began", || team.gone() >= 20);
        stop_between_batches(&team, &first);
        let before = team.gone();
        assert!(before < ROWS, "it was done before it could be stopped");
        let second = team.worker("second", "--workers 1 --lease 60");
        wait_for("another one goes on", || team.gone() >= before + 20);
        assert!(team.gone() < ROWS, "it was done before the first could be woken");
        first.signal("CONT");
        wait_for("it is done", || team.tick("tick0001").0 == "done");
        wait_for("the first knows", || first.told().contains("another worker has taken over"));
        team.all_once(2);
        // It works on: only this run is not its own any more.
        assert_eq!(second.end(), 0);
        team.due("tick0002", "often");
        wait_for("it takes the next", || team.tick("tick0002").0 == "done");
        assert_eq!(first.end(), 0);
    });
}

#[test]
fn a_worker_that_falls_asleep_while_it_writes_to_the_timetable_holds_up_nobody() {
    // W-069: what it has locked there is free again after some seconds, and nothing fails that had to wait for it.
    let team = Team::slow(Place::postgres());
    team.state.script(
        "create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return new; end';
         create trigger slowly before update on sexton.ticks for each row
           when (old.state = 'claimed' and new.state = 'claimed') execute function slowly()",
    );
    let first = team.worker("first", "--workers 1 --lease 1");
    team.due("tick0001", "often");
    wait_for("it began", || team.gone() >= 20);
    wait_for("it is asleep while it prolongs its lease", || {
        first.stop();
        let open =
            "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle'
                    and pid <> pg_backend_pid() and query like 'update %ticks%'";
        let writes = number(&team.state.rows(open)[0][0]) > 0;
        if !writes {
            first.signal("CONT");
            std::thread::sleep(Duration::from_millis(7));
        }
        writes
    });
    let (before, asleep) = (team.gone(), Instant::now());
    let second = team.worker("second", "--workers 1 --lease 60");
    wait_for("another one goes on", || team.gone() >= before + 20);
    assert!(asleep.elapsed() < Duration::from_secs(60), "{:?}", asleep.elapsed());
    first.signal("CONT");
    wait_for("it is done", || team.tick("tick0001").0 == "done");
    wait_for("the first knows", || first.told().contains("another worker has taken over"));
    team.all_once(2);
    assert_eq!((first.end(), second.end()), (0, 0));
}

#[test]
fn a_worker_that_is_asked_to_end_gives_its_run_to_another_at_once() {
    // S3-018
    testkit::both(|place| {
        let place = if place.is_sqlite() { Place::sqlite() } else { Place::postgres() };
        let team = Team::slow(place);
        let first = team.worker("first", "--workers 1");
        team.due("tick0001", "often");
        wait_for("it began", || team.gone() >= 20);
        let second = team.worker("second", "--workers 1");
        wait_for("the other one listens", || second.told().contains("looked after"));
        let before = Instant::now();
        assert_eq!(first.end(), 0);
        let left = team.gone();
        assert!(left < ROWS, "it was done before it could be stopped");
        wait_for("another one goes on", || team.gone() > left);
        assert!(before.elapsed() < Duration::from_secs(13), "at once: {:?}", before.elapsed());
        wait_for("it is done", || team.tick("tick0001").0 == "done");
        team.all_once(2);
        assert_eq!(second.end(), 0);
    });
}

#[test]
fn a_worker_that_is_killed_is_followed_by_another_from_the_checkpoint() {
    // W-069, W-077
    testkit::both(|place| {
        let place = if place.is_sqlite() { Place::sqlite() } else { Place::postgres() };
        let team = Team::slow(place);
        let mut first = team.worker("first", "--workers 1 --lease 1");
        team.due("tick0001", "often");
        wait_for("it began", || team.gone() >= 20);
        let second = team.worker("second", "--workers 1 --lease 60");
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        assert!(team.gone() < ROWS, "it was done before it could be killed");
        wait_for("it is done", || team.tick("tick0001").0 == "done");
        team.all_once(2);
        assert_eq!(second.end(), 0);
    });
}

/// So many looks are due beside a slow purge.
const LOOKS: i64 = 6;

#[test]
fn a_worker_that_is_killed_holds_up_nothing_that_it_has_set_aside() {
    // W-069
    let other = Place::sqlite();
    let team = Team::with_looks(&other);
    let mut first = team.worker("first", "--workers 1 --lease 600");
    wait_for("it is there", || first.told().contains("looked after"));
    team.gives_nothing_back();
    team.all_due();
    wait_for("it has set the looks aside", || team.looks("taken") == LOOKS);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let killed = Instant::now();
    crate::kit::sessions_end(&team.state);
    team.gives_back();
    assert_eq!((team.tick("tick0001").0.as_str(), team.looks("taken")), ("claimed", LOOKS));
    let second = team.worker("second", "--workers 1 --lease 60");
    wait_for("another one does them", || team.looks("done") == LOOKS);
    assert!(killed.elapsed() < Duration::from_secs(120), "{:?}", killed.elapsed());
    assert_eq!(team.tick("tick0001"), ("claimed".to_owned(), 1), "its lease is not over");
    // Each once; the purge may or may not have come so far that its run is in the log.
    let runs = number(&team.state.rows("select count(*) from sexton.runs")[0][0]);
    assert!((LOOKS..=LOOKS + 1).contains(&runs), "{runs} runs");
    assert_eq!(second.end(), 0);
}

#[test]
fn a_worker_gives_back_what_it_has_set_aside_when_it_ends_and_when_a_run_takes_long() {
    let other = Place::sqlite();
    let team = Team::with_looks(&other);
    let first = team.worker("first", "--workers 1 --lease 60");
    wait_for("it is there", || first.told().contains("looked after"));
    team.gives_nothing_back();
    team.all_due();
    wait_for("it has set the looks aside", || team.looks("taken") == LOOKS);
    team.gives_back();
    assert_eq!(first.end(), 0);
    assert_eq!((team.tick("tick0001").0.as_str(), team.looks("waiting")), ("waiting", LOOKS));
    team.state.script("update sexton.ticks set start = '2026-01-01T00:00:00.000000Z' where id = 'tick0001'");
    team.gives_nothing_back();
    let second = team.worker("second", "--workers 1 --lease 60");
    wait_for("it has set them aside as well", || team.looks("taken") == LOOKS);
    team.gives_back();
    wait_for("its run takes long", || team.looks("waiting") == LOOKS);
    assert_eq!(team.tick("tick0001").0, "claimed");
    assert!(team.gone() < ROWS, "it was done before");
    let third = team.worker("third", "--workers 2");
    wait_for("another one does them meanwhile", || team.looks("done") == LOOKS);
    wait_for("all is done", || team.tick("tick0001").0 == "done");
    for worker in [second, third] {
        assert_eq!(worker.end(), 0);
    }
    assert_eq!(team.gone(), ROWS);
}

/// So many schedules are due in the same second.
const MANY: i64 = 1000;
/// On so many databases.
const PLACES: i64 = 40;
/// Each takes so many rows.
const EACH: i64 = 3;

#[test]
fn a_thousand_times_of_one_second_are_each_run_once_whoever_is_killed() {
    // W-069: four workers, one of which is killed every other second and started again
    let places: Vec<Place> = (0..PLACES).map(|_| Place::sqlite()).collect();
    let mut first = String::new();
    let mut more = String::new();
    for (n, place) in places.iter().enumerate() {
        place.script(&format!(
            "pragma journal_mode = wal;
             create table items (id integer primary key, k integer not null);
             create index items_k on items (k);
             create table gone (id integer not null, k integer not null);
             create trigger went after delete on items begin insert into gone values (old.id, old.k); end;
             with recursive c(i) as (select 0 union all select i + 1 from c where i < {EACH} * {MANY} - 1)
             insert into items select i, i % {MANY} from c where i % {MANY} % {PLACES} = {n};"
        ));
        first += &format!("[database.d{n}]\nurl = \"{}\"\n", place.url());
        more += &format!(
            "[operation.o{n}]\nkind = \"purge\"\nseverity = \"LOW\"\ndatabase = \"d{n}\"\ntable = \"items\"\nwhere = \"k < 0\"\n\
             undo = \"none\"\nbatch_size = 1\ntriggers = \"fire\"\n"
        );
    }
    let team = Team::of(Place::sqlite(), &first, &more);
    // As if they had been added one by one, and approved.
    team.state.script(&format!(
        r#"insert into sexton.schedules (name, body, version, approval, looked, changed_by)
           select 's' || to_char(i, 'FM0000'),
                  '{{"run": ["o' || i % {PLACES} || '"], "cron": "0 0 1 1 *", "options": {{"where": "k = ' || i || '"}}}}',
                  1, '{{"by": "anna", "at": "2026-11-01"}}', now, 'anna'
           from generate_series(0, {MANY} - 1) i, ({NOW}) as n (now)"#
    ));
    let mut workers: Vec<Worker> =
        (0..4).map(|n| team.worker(&format!("w{n}"), "--workers 2 --lease 2")).collect();
    team.state.script(&format!(
        "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us)
         select 't' || to_char(i, 'FM0000'), 's' || to_char(i, 'FM0000'), now, now, 'waiting', 0, 0
         from generate_series(0, {MANY} - 1) i, ({NOW}) as n (now);
         select pg_notify('sexton_ticks', '')"
    ));
    let began = Instant::now();
    let open = || number(&team.state.rows("select count(*) from sexton.ticks where ended is null")[0][0]);
    let mut kills = 0;
    while open() > 0 {
        assert!(began.elapsed() < Duration::from_secs(500), "{} are left", open());
        std::thread::sleep(Duration::from_secs(2));
        let n = kills % 4;
        workers[n].child.kill().unwrap();
        workers[n] = team.worker(&format!("w{n}"), "--workers 2 --lease 2");
        kills += 1;
    }
    let ended = team.state.rows("select state, count(*) from sexton.ticks group by state");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((ended[0][0].as_text(), number(&ended[0][1])), (Some("done"), MANY));
    let taken_over = number(&team.state.rows("select count(*) from sexton.ticks where term > 1")[0][0]);
    assert!(kills > 3 && taken_over > 0, "{kills} kills, {taken_over} taken over");
    for worker in workers {
        worker.end();
    }
    let mut gone = 0;
    for place in &places {
        let rows = place.rows("select count(*), count(distinct id) from gone");
        assert_eq!(number(&rows[0][0]), number(&rows[0][1]), "a row went twice");
        gone += number(&rows[0][0]);
    }
    assert_eq!(gone, MANY * EACH);
    // One run for each, and each tells of its own rows.
    let runs =
        team.state.rows("select count(*), count(distinct run) from sexton.ticks where run is not null");
    assert_eq!((number(&runs[0][0]), number(&runs[0][1])), (MANY, MANY));
    let told = number(&team.state.rows("select count(*) from sexton.runs where dry_run = 0")[0][0]);
    assert_eq!(told, MANY);
    let deleted: i64 = team.runs().iter().filter_map(|run| run["totals"]["deleted"].as_i64()).sum();
    assert_eq!(deleted, MANY * EACH);
}

#[test]
fn idle_workers_wait_to_be_called() {
    let team = Team::slow(Place::sqlite());
    let worker = team.worker("first", "--workers 4");
    wait_for("it is there", || worker.told().contains("looked after"));
    let asked = || {
        // The server counts at the end of a session, and of those that go on once they had nothing to do for ten seconds.
        number(
            &team.state.rows("select xact_commit from pg_stat_database where datname = current_database()")
                [0][0],
        )
    };
    std::thread::sleep(Duration::from_secs(12));
    let before = asked();
    std::thread::sleep(Duration::from_secs(5));
    let transactions = asked() - before;
    // Four that look twice a second need some two hundred.
    assert!(transactions < 40, "{transactions} transactions in five seconds of nothing to do");
    let called = Instant::now();
    team.due("tick0001", "often");
    wait_for("it comes", || team.tick("tick0001").0 == "claimed");
    // By themselves they look every 15 seconds, and did so a moment ago.
    assert!(called.elapsed() < Duration::from_secs(10), "{:?}", called.elapsed());
    assert_eq!(worker.end(), 0);
}

#[test]
fn a_worker_answers_whether_it_is_well_and_nothing_else() {
    let team = Team::slow(Place::sqlite());
    let worker = team.worker("first", "--listen 127.0.0.1:0");
    wait_for("it listens", || worker.told().contains("/live"));
    let told = worker.told();
    let at = told.split("answer at http://").nth(1).unwrap().split_whitespace().next().unwrap();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(at).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let answers: Vec<u16> = ["/live", "/ready", "/health", "/metrics", "/api/v1/runs", "/"]
        .iter()
        .map(|path| get(path))
        .collect();
    assert_eq!(answers, [200, 200, 200, 401, 404, 404]);
    assert_eq!(worker.end(), 0);
}

#[test]
fn workers_need_a_state_that_they_can_share() {
    let desk = Desk::ready();
    let said = desk.sexton("worker").ends(2);
    assert!(said.stderr.contains("help: put the state into a PostgreSQL database"), "{}", said.stderr);
    desk.sexton("worker --lease 0").ends(2);
}
