//! Behind a transaction pooler: every transaction may meet another session of the server.
//!
//! The pooler of these tests is as unkind as the protocol allows: it changes the session after each transaction, and it
//! refuses named statements and settings at the log-in.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use targets::db::{Class, Database, Limits, Sql, TableName, Take, UndoTable, Url, Value};
use testkit::Place;

/// A pooler before a place, in a folder of its own.
struct Pooler {
    folder: tempfile::TempDir,
    database: String,
}

impl Pooler {
    fn before(place: &Place) -> Self {
        let url = place.url();
        let (front, socket) = url.split_once("?host=").unwrap();
        let database = front.rsplit('/').next().unwrap().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let server = format!("{socket}/.s.PGSQL.5432");
        let pooler = Self { folder, database: database.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, database) = (server.clone(), database.clone());
                std::thread::spawn(move || serve(client, &server, &database));
            }
        });
        pooler
    }

    fn database(&self) -> backends::postgres::Postgres {
        let url = format!("postgres://app@/{}?host={}", self.database, self.folder.path().display());
        backends::postgres::Postgres::new("pooled", Url::parse(&url).unwrap())
    }
}

/// Speaks to one client, which has not logged in yet.
pub fn serve(mut client: impl Read + Write, server: &str, database: &str) -> Option<()> {
    let hello = read_body(&mut client)?;
    let hello = String::from_utf8_lossy(&hello).into_owned();
    assert!(!hello.contains("extra_float_digits"), "a pooler refuses settings it does not know");
    let mut servers: Vec<UnixStream> = (0..3).map(|_| log_in(server, database)).collect();
    let mut answer = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x07".to_vec();
    answer.extend(b"Z\0\0\0\x05I");
    client.write_all(&answer).ok()?;
    let mut turn = 0;
    loop {
        let mut request = Vec::new();
        loop {
            let message = read_message(&mut client)?;
            if message[0] == b'X' {
                return None;
            }
            assert!(!matches!(message[0], b'P' | b'B') || message[5] == 0, "a named statement");
            request.extend(&message);
            if matches!(message[0], b'S' | b'Q') {
                break;
            }
        }
        let count = servers.len();
        let server = &mut servers[turn % count];
        server.write_all(&request).ok()?;
        loop {
            let message = read_message(server)?;
            client.write_all(&message).ok()?;
            if message[0] == b'Z' {
                turn += usize::from(message[5] == b'I');
                break;
            }
        }
    }
}

fn log_in(server: &str, database: &str) -> UnixStream {
    let mut stream = UnixStream::connect(server).unwrap();
    let settings = format!("user\0app\0database\0{database}\0\0");
    let mut hello = (settings.len() as u32 + 8).to_be_bytes().to_vec();
    hello.extend(196_608_u32.to_be_bytes());
    hello.extend(settings.as_bytes());
    stream.write_all(&hello).unwrap();
    while read_message(&mut stream).unwrap()[0] != b'Z' {}
    stream
}

fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut tag = [0];
    stream.read_exact(&mut tag).ok()?;
    let body = read_body(stream)?;
    Some([&tag[..], &(body.len() as u32 + 4).to_be_bytes(), &body].concat())
}

fn read_body(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

#[test]
fn a_pooler_is_noticed_and_values_stay_exact() {
    let place = Place::postgres();
    place.script(
        "create type mood as enum ('ok');
         create table t (x float8, m mood, tz timestamptz); insert into t values (0.1, 'ok', '2026-08-22 14:00+00')",
    );
    let pooler = Pooler::before(&place);
    let mut facts = pooler.database().read().unwrap();
    assert!(facts.server().unwrap().pooled);
    for _ in 0..5 {
        let row = facts
            .rows(&Sql::new("select x + 0.2, m, tz::text, current_setting('lock_timeout') from t"))
            .unwrap();
        assert_eq!(row[0][0], Value::Real(0.30000000000000004));
        assert_eq!(row[0][2], Value::from("2026-08-22 14:00:00+00"));
        assert_eq!(row[0][3], Value::from("5s"));
        assert!(facts.rows(&Sql::new("delete from t")).is_err());
    }
    assert_eq!(facts.schema().unwrap().tables.len(), 1);
}

#[test]
fn the_right_to_maintain_is_a_lease_that_both_ways_respect() {
    let place = Place::postgres();
    let pooler = Pooler::before(&place);
    let mut pooled = pooler.database().open().unwrap();
    let mut other = pooler.database().open().unwrap();
    let mut direct = place.database().open().unwrap();

    assert!(pooled.try_lock("through the pooler").unwrap());
    assert!(pooled.try_lock("through the pooler").unwrap(), "it has it already");
    assert!(!other.try_lock("other").unwrap());
    assert!(!direct.try_lock("direct").unwrap());
    assert_eq!(direct.lock_holder().unwrap().as_deref(), Some("through the pooler"));
    pooled.unlock().unwrap();
    assert_eq!(place.leftovers(), [""; 0]);

    assert!(direct.try_lock("direct").unwrap());
    assert!(!pooled.try_lock("through the pooler").unwrap());
    assert!(pooled.lock_holder().unwrap().unwrap().contains("direct"));
    direct.unlock().unwrap();
    assert!(other.try_lock("other").unwrap());
    drop(other);
    assert!(pooled.try_lock("through the pooler").unwrap(), "it goes with its session");
}

#[test]
fn a_batch_fails_when_the_lease_was_lost() {
    let place = Place::postgres();
    let pooler = Pooler::before(&place);
    let mut slow = pooler.database().open().unwrap();
    let mut quick = pooler.database().open().unwrap();
    assert!(slow.try_lock("slow").unwrap());
    drop(slow.begin(&Limits::default()).unwrap());
    place.script("update sexton.lease set until = now() - interval '1 second'");
    assert!(quick.try_lock("quick").unwrap());
    let error = slow.begin(&Limits::default()).err().unwrap();
    assert_eq!(error.class, Class::Transient, "{error:?}");
    assert!(!slow.try_lock("slow").unwrap());
    drop(quick.begin(&Limits::default()).unwrap());
}

#[test]
fn chosen_rows_need_no_session() {
    let place = Place::postgres();
    place.script("create table t (id int primary key); insert into t values (1), (2), (3)");
    let pooler = Pooler::before(&place);
    let mut session = pooler.database().open().unwrap();
    let schema = session.schema().unwrap();
    let table = schema.find("t").unwrap();
    let scratch = UndoTable {
        name: TableName::bare("sexton_chosen_1"),
        temporary: true,
        columns: vec!["id".into()],
        after: Vec::new(),
    };
    for id in 1_i64..=3 {
        let take = Take {
            table,
            condition: Sql::new("t.id = ").bind(id),
            window: None,
            limit: None,
            skip_locked: true,
            into: Some(&scratch),
            values: Vec::new(),
            batch: id,
            below: Vec::new(),
        };
        let choose = session.dialect().choose(&take);
        let delete = Sql::new("delete from t as t where ").add(&session.dialect().chosen(table, &scratch));
        let mut tx = session.begin(&Limits::default()).unwrap();
        for statement in &choose {
            tx.execute(statement).unwrap();
        }
        assert_eq!(tx.execute(&delete).unwrap(), 1);
        tx.commit().unwrap();
    }
    assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 0);
}

#[test]
fn nobody_listens_there_and_a_lease_can_be_taken_from_one_who_sleeps() {
    let place = Place::postgres();
    place.script("create table t (id integer primary key)");
    let pooler = Pooler::before(&place);
    assert!(pooler.database().listen("sexton_test").unwrap().is_none());
    let (mut first, mut second) = (pooler.database().open().unwrap(), pooler.database().open().unwrap());
    assert!(first.try_lock("run abc (process 1)").unwrap());
    assert!(!second.end_right("run xyz ").unwrap());
    assert!(!second.try_lock("run abc (process 2, attempt 2)").unwrap());
    assert!(second.end_right("run abc ").unwrap());
    assert!(second.try_lock("run abc (process 2, attempt 2)").unwrap());
    // The one who wakes up may not begin a batch any more.
    let lost = first.begin(&Limits::default()).err().unwrap();
    assert_eq!(lost.class, Class::Transient);
    second.unlock().unwrap();
}
