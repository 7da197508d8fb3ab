//! Behind PgBouncer itself, in transaction mode.

use std::process::{Child, Command, Stdio};
use targets::db::{Class, Database, Dumping, Sql, Url};
use testkit::Place;

struct PgBouncer {
    folder: tempfile::TempDir,
    process: Child,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts it before a place and waits until it answers.
fn before(place: &Place) -> (PgBouncer, backends::postgres::Postgres) {
    use std::os::unix::fs::PermissionsExt;
    let url = place.url();
    let (front, query) = url.split_once("?host=").unwrap();
    let database = front.rsplit('/').next().unwrap();
    let (socket, port) = query.split_once("&port=").unwrap_or((query, "5432"));
    let folder = tempfile::tempdir().unwrap();
    // As root it wants to be somebody else.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let place = folder.path().display();
    let ini = folder.path().join("pgbouncer.ini");
    std::fs::write(
        &ini,
        format!(
            "[databases]\n{database} = host={socket} port={port} user=app\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {place}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("pgbouncer");
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "postgres"]);
    }
    let process = command
        .arg(&ini)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("help: apt-get install pgbouncer");
    let url = format!("postgres://app@/{database}?host={place}&port=6432");
    let pooled = backends::postgres::Postgres::new("pooled", Url::parse(&url).unwrap());
    let began = std::time::Instant::now();
    while let Err(error) = pooled.read() {
        assert!(began.elapsed().as_secs() < 20, "{error:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    (PgBouncer { folder, process }, pooled)
}

#[test]
fn facts_are_read_through_pgbouncer_and_a_dump_through_it_is_refused() {
    // issue 5: pg_dump sets search_path and more outside of any transaction, for whoever comes next
    let place = Place::postgres();
    place.script("create table t (id int primary key); insert into t select generate_series(1, 7)");
    let (bouncer, pooled) = before(&place);
    let table = targets::db::TableName::bare("t");
    let rows = pooled.read().unwrap().count(&Sql::new("select count(*) from ").table(&table)).unwrap();
    assert_eq!(rows, 7);
    let how = Dumping { scratch: bouncer.folder.path().to_owned(), ..Dumping::default() };
    let refused = pooled.copies().dump(&how, &mut |_, _| panic!("nothing may be dumped")).unwrap_err();
    assert_eq!(refused.class, Class::Usage);
    assert!(refused.what.contains("pooler"), "{refused:?}");
    assert!(refused.help.is_some_and(|help| help.contains("server itself")));
}
