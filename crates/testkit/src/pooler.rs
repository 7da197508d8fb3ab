//! A transaction pooler before a place: PgBouncer, as it is found in front of real servers.
//!
//! Every transaction may meet another session of the server. It lives as long as its value.

use crate::cluster::{Account, told};
use crate::place::Place;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const PORT: u16 = 6432;

/// A running pooler.
pub struct Pooler {
    folder: tempfile::TempDir,
    database: String,
    process: Child,
}

impl Pooler {
    /// Starts one. Panics with a `help:` line where PgBouncer is missing.
    pub fn before(place: &Place) -> Self {
        Self::start(place).unwrap_or_else(|why| {
            panic!("no pooler for the tests: {why}\nhelp: install it, for example with `apt-get install pgbouncer`")
        })
    }

    /// Where the place is, through the pooler.
    pub fn url(&self) -> String {
        format!("postgres://app@/{}?host={}&port={PORT}", self.database, self.folder.path().display())
    }

    fn start(place: &Place) -> Result<Self, String> {
        let url = place.url();
        let (front, socket) = url.split_once("?host=").ok_or("the place is no PostgreSQL database")?;
        let database = front.rsplit('/').next().unwrap_or_default().to_owned();
        let folder = tempfile::tempdir().map_err(told("no temporary folder"))?;
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={socket} user=app\n\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nserver_round_robin = 1\n",
            folder.path().display()
        );
        std::fs::write(&settings, text).map_err(told("cannot write its settings"))?;
        let account = Account::to_run_as()?;
        account.own(folder.path())?;
        account.own(&settings)?;
        let program = ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/usr/local/bin/pgbouncer"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or("pgbouncer");
        let process = account
            .command(Path::new(program))
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(told("cannot run pgbouncer"))?;
        let pooler = Self { folder, database, process };
        let door = pooler.folder.path().join(format!(".s.PGSQL.{PORT}"));
        for _ in 0..500 {
            if std::os::unix::net::UnixStream::connect(&door).is_ok() {
                return Ok(pooler);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("it does not answer within ten seconds".to_owned())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
