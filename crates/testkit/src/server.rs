//! A PostgreSQL server of one's own that keeps data as safely as a real one does, for measuring.
//!
//! Settings are the server's defaults but for those asked for; it listens on a socket only, unless TLS is asked for. It
//! stops when dropped, and by itself when the process that started it dies; its folder is the caller's to remove.

use crate::cluster::{ADMIN, Account, binaries, told};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use targets::db::Url;

/// The running server.
pub struct Server {
    folder: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    /// Makes a cluster in this folder, or takes the one that is there, and starts it with these settings.
    pub fn start(folder: &Path, settings: &[&str]) -> Result<Self, String> {
        Self::start_at(folder, 5432, settings)
    }

    /// The same on a port of this machine too, with TLS and these files. On the port it asks everybody for a password, by
    /// SCRAM.
    pub fn start_with_tls(folder: &Path, certificate: &Path, key: &Path) -> Result<Self, String> {
        let account = Account::to_run_as()?;
        std::fs::create_dir_all(folder).map_err(told("cannot make a folder"))?;
        for (file, name) in [(certificate, "server.pem"), (key, "server.key.pem")] {
            let copy = folder.join(name);
            std::fs::copy(file, &copy).map_err(told("cannot copy a certificate"))?;
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600))
                .map_err(told("cannot protect a key"))?;
            account.own(&copy)?;
        }
        let who = folder.join("pg_hba.conf");
        std::fs::write(&who, "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            .map_err(told("cannot write pg_hba.conf"))?;
        let path = |name: &str, file: &str| format!("{name}={}", folder.join(file).display());
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            path("ssl_cert_file", "server.pem"),
            path("ssl_key_file", "server.key.pem"),
            path("hba_file", "pg_hba.conf"),
        ];
        Self::make(folder)?;
        let mut tries = 0;
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(told("no port is free"))?;
            let port = listener.local_addr().map_err(told("no port is free"))?.port();
            drop(listener);
            // Somebody else may take it before the server does.
            match Self::start_at(folder, port, &settings.each_ref().map(String::as_str)) {
                Err(why) if tries < 5 && why.contains("Address already in use") => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// A server and a standby that follows it, each in a folder of its own: `given` is asked to fill the first one. The standby
    /// begins as a copy of the first one's folder, taken while that stands still, which needs no program of its own.
    pub fn with_standby(
        folders: (&Path, &Path),
        settings: &[&str],
        given: impl FnOnce(&Self),
    ) -> Result<(Self, Self), String> {
        let first = Self::start(folders.0, settings)?;
        given(&first);
        drop(first);
        let account = Account::to_run_as()?;
        std::fs::create_dir_all(folders.1).map_err(told("cannot make a folder"))?;
        account.own(folders.1)?;
        let data = folders.1.join("data");
        let mut copy = account.command(Path::new("cp"));
        let copied =
            copy.arg("-a").arg(folders.0.join("data")).arg(&data).output().map_err(told("cannot run cp"))?;
        if !copied.status.success() {
            return Err(format!("cp failed: {}", String::from_utf8_lossy(&copied.stderr)));
        }
        let signal = data.join("standby.signal");
        std::fs::write(&signal, "").map_err(told("cannot make a standby"))?;
        account.own(&signal)?;
        let first = Self::start(folders.0, settings)?;
        let follow =
            format!("primary_conninfo=host={} port={} user={ADMIN}", first.folder.display(), first.port);
        let second = Self::start(folders.1, &[settings, &[&follow]].concat())?;
        Ok((first, second))
    }

    /// The port, where it listens on one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A cluster in this folder, where there is none.
    fn make(folder: &Path) -> Result<(), String> {
        let account = Account::to_run_as()?;
        std::fs::create_dir_all(folder).map_err(told("cannot make a folder"))?;
        account.own(folder)?;
        let data = folder.join("data");
        if data.join("PG_VERSION").exists() {
            return Ok(());
        }
        let mut initdb = account.command(&binaries()?.join("initdb"));
        initdb.args(["--username", ADMIN, "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"]);
        let made = initdb.arg(&data).output().map_err(told("cannot run initdb"))?;
        match made.status.success() {
            true => Ok(()),
            false => Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr))),
        }
    }

    fn start_at(folder: &Path, port: u16, settings: &[&str]) -> Result<Self, String> {
        Self::make(folder)?;
        let (binaries, account) = (binaries()?, Account::to_run_as()?);
        let data = folder.join("data");
        let log = std::fs::File::create(folder.join("log")).map_err(told("cannot make the log"))?;
        let mut command = account.command(&binaries.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(folder).args([
            "-c",
            "listen_addresses=",
            "-p",
            &port.to_string(),
        ]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        // SAFETY: prctl is safe between fork and exec and touches no memory.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT);
                Ok(())
            });
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(told("cannot run postgres"))?;
        let mut server = Self { folder: folder.to_owned(), port, process };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    /// The URL of a database on it, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ADMIN}@/{database}?host={}&port={}", self.folder.display(), self.port)
    }

    /// Its main process, the parent of all others.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let url = Url::parse(&self.url("postgres")).map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while let Err(why) = backends::testing::script(&url, "select 1") {
            if begun.elapsed() > Duration::from_secs(60)
                || self.process.try_wait().is_ok_and(|end| end.is_some())
            {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("the server does not answer: {why}\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the process is our child and has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.process.id() as libc::pid_t, libc::SIGINT) };
        let _ = self.process.wait();
    }
}
