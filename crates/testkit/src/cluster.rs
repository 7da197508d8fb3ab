//! One throw-away PostgreSQL server, shared by all test processes of this user on this machine.
//!
//! nextest runs every test in a process of its own, so the server must outlive them: the first process starts it, every
//! process holds a shared lock on the file `users`, and a detached supervisor stops the server and removes its folder
//! when nobody has held that lock for some seconds. All of it happens under one exclusive lock, so no process can meet
//! a server that is about to stop. The server listens on a socket only and keeps nothing safe from a power cut.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use targets::db::Url;

/// The variable that names the folder of another server's programs, to test with other versions (`.ci/versions`).
const PROGRAMS: &str = "SEXTON_TEST_POSTGRES";

/// The superuser of the server.
pub(crate) const ADMIN: &str = "postgres";
/// The role that owns the databases of the tests, as the role of an application would.
pub(crate) const APP: &str = "app";

/// Of the roles that are named after the way in which they log in: `scram`, `md5` and `clear`.
pub const PASSWORD: &str = "pä55 w%rd";
const WHO_IS_LET_IN: &str =
    "local all scram scram-sha-256\nlocal all md5 md5\nlocal all clear password\nlocal all all trust\n";

/// Goes up when a server is set up differently, so that two states of the source do not share one.
const SETUP: u32 = 2;

/// Seconds without a user after which the server stops.
const IDLE_SECONDS: u32 = 20;

/// The running server.
pub(crate) struct Cluster {
    socket: PathBuf,
    /// Held for as long as this process lives.
    _users: File,
}

impl Cluster {
    /// The server; starts it if need be. Panics with a `help:` line where PostgreSQL is missing.
    pub fn running() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            Cluster::join_or_start().unwrap_or_else(|why| {
                panic!("no PostgreSQL server for the tests: {why}\nhelp: install it, for example with `apt-get install postgresql`")
            })
        })
    }

    /// The URL of a database on it.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@/{database}?host={}", self.socket.display())
    }

    /// Runs a script as the superuser.
    pub fn administer(&self, sql: &str) -> Result<(), String> {
        let url = Url::parse(&self.url(ADMIN, "postgres")).map_err(|error| error.to_string())?;
        backends::testing::script(&url, sql)
    }

    fn join_or_start() -> Result<Self, String> {
        let base = base_folder()?;
        let gate = File::create(base.join("gate")).map_err(told("cannot make the gate"))?;
        gate.lock().map_err(told("cannot lock the gate"))?;
        let newest = std::fs::read_to_string(base.join("current")).unwrap_or_default();
        if let Ok(cluster) = Self::join(&base.join(newest.trim())) {
            return Ok(cluster);
        }
        remove_the_dead(&base);
        let cluster = Self::start(&base)?;
        let name = cluster.socket.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::fs::write(base.join("current"), name).map_err(told("cannot name the server"))?;
        Ok(cluster)
    }

    /// Joins the users of a server that answers.
    fn join(folder: &Path) -> Result<Self, String> {
        UnixStream::connect(folder.join(".s.PGSQL.5432")).map_err(told("no answer"))?;
        let users = File::open(folder.join("users")).map_err(told("no users"))?;
        users.lock_shared().map_err(told("cannot lock"))?;
        Ok(Self { socket: folder.to_owned(), _users: users })
    }

    fn start(base: &Path) -> Result<Self, String> {
        let binaries = binaries()?;
        let account = Account::to_run_as()?;
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let folder = base.join(format!("{:x}-{:x}", stamp.as_secs(), std::process::id()));
        std::fs::create_dir(&folder).map_err(told("cannot make a folder"))?;
        File::create(folder.join("users")).map_err(told("cannot make `users`"))?;
        account.own(&folder)?;
        let data = folder.join("data");
        let mut initdb = account.command(&binaries.join("initdb"));
        initdb.args([
            "--username",
            ADMIN,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        let made = initdb.arg(&data).output().map_err(told("cannot run initdb"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        std::fs::write(data.join("pg_hba.conf"), WHO_IS_LET_IN).map_err(told("cannot write pg_hba.conf"))?;
        let log = File::create(folder.join("log")).map_err(told("cannot make the log"))?;
        let mut server = account.command(&binaries.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&folder);
        for setting in [
            "listen_addresses=",
            "max_connections=200",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "shared_buffers=64MB",
            "max_wal_size=1GB",
            "max_locks_per_transaction=256",
            "autovacuum=off",
            "timezone=Europe/Berlin",
            "datestyle=German",
            "log_min_messages=fatal",
        ] {
            server.args(["-c", setting]);
        }
        // A group of its own, so that Ctrl-C in the terminal ends the tests and not the server under them.
        let server = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(told("cannot run postgres"))?;
        supervise(base, &folder, server.id())?;
        let cluster = wait_for(&folder)?;
        cluster.administer(&format!(
            "set password_encryption = 'scram-sha-256';
             create role {APP} login;
             create role scram login password '{PASSWORD}';
             create role clear login password '{PASSWORD}';
             set password_encryption = 'md5';
             create role md5 login password '{PASSWORD}'"
        ))?;
        Ok(cluster)
    }
}

/// Waits until the server lets a superuser in.
fn wait_for(folder: &Path) -> Result<Cluster, String> {
    let begun = Instant::now();
    loop {
        let answer =
            Cluster::join(folder).and_then(|cluster| cluster.administer("select 1").map(|()| cluster));
        match answer {
            Ok(cluster) => return Ok(cluster),
            Err(why) if begun.elapsed() > Duration::from_secs(30) => {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("the server does not answer: {why}\n{log}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Starts the shell that outlives the tests. It looks under the gate's lock, as every process that joins does.
fn supervise(base: &Path, folder: &Path, server: u32) -> Result<(), String> {
    const LOOP: &str = r#"
        base=$1 folder=$2 server=$3 patience=$4 idle=0
        trap '' HUP INT
        while kill -0 "$server" 2>/dev/null; do
            sleep 1
            if flock --nonblock --exclusive "$folder/users" true; then idle=$((idle + 1)); else idle=0; fi
            if [ "$idle" -ge "$patience" ]; then
                exec 9<"$base/gate"
                flock --exclusive 9
                if flock --nonblock --exclusive "$folder/users" true; then
                    kill -QUIT "$server"
                    while kill -0 "$server" 2>/dev/null; do sleep 0.1; done
                    rm -rf "$folder"
                    exit
                fi
                exec 9<&-
                idle=0
            fi
        done
        rm -rf "$folder"
    "#;
    Command::new("flock").arg("--version").output().map_err(told("cannot run flock, of util-linux"))?;
    Command::new("sh")
        .args(["-c", LOOP, "sexton-testkit"])
        .args([base, folder])
        .args([server.to_string(), IDLE_SECONDS.to_string()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
        .map_err(told("cannot run sh"))
}

/// Removes what servers left behind that no longer answer and that nobody uses. Runs under the gate's lock.
fn remove_the_dead(base: &Path) {
    for folder in std::fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(users) = File::open(folder.join("users")) else { continue };
        if users.try_lock().is_ok() && UnixStream::connect(folder.join(".s.PGSQL.5432")).is_err() {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// The folder that holds the servers of this user, those of chosen programs apart; refuses one that somebody else has put
/// there.
fn base_folder() -> Result<PathBuf, String> {
    // SAFETY: takes nothing, cannot fail.
    let uid = unsafe { libc::geteuid() };
    let chosen = chosen().map_or_else(String::new, |folder| {
        let mut name = std::hash::DefaultHasher::new();
        folder.hash(&mut name);
        format!("-{:x}", name.finish())
    });
    let base = std::env::temp_dir().join(format!("sexton-testkit-{uid}-{SETUP}{chosen}"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&base)
        .map_err(told("cannot make a folder"))?;
    let known = std::fs::symlink_metadata(&base).map_err(told("cannot look at the folder"))?;
    if !known.is_dir() || known.uid() != uid {
        return Err(format!("`{}` belongs to somebody else", base.display()));
    }
    Ok(base)
}

/// The folder of the server's programs that the tests are told to use: [`PROGRAMS`].
fn chosen() -> Option<PathBuf> {
    std::env::var_os(PROGRAMS).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The server programs that were chosen, else the newest on this machine.
pub(crate) fn binaries() -> Result<PathBuf, String> {
    if let Some(folder) = chosen() {
        let there = ["initdb", "postgres"].iter().all(|program| folder.join(program).exists());
        return if there {
            Ok(folder)
        } else {
            Err(format!("no `initdb` and `postgres` in {}", folder.display()))
        };
    }
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    let mut look = |folder: PathBuf| {
        let mut version = String::new();
        let asked = Command::new(folder.join("postgres")).arg("--version").stdout(Stdio::piped()).spawn();
        if let Ok(mut asked) = asked
            && folder.join("initdb").exists()
            && asked.stdout.take().is_some_and(|mut out| out.read_to_string(&mut version).is_ok())
            && asked.wait().is_ok()
        {
            let digits: String = version
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            found.push((digits.parse().unwrap_or(0), folder));
        }
    };
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        look(entry.path().join("bin"));
    }
    if let Ok(told) = Command::new("pg_config").arg("--bindir").output() {
        look(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    }
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        look(folder);
    }
    found
        .into_iter()
        .max()
        .map(|(_, folder)| folder)
        .ok_or_else(|| "no `initdb` and `postgres` found".to_owned())
}

/// As whom the server runs: it refuses to run as root.
pub(crate) struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    pub fn to_run_as() -> Result<Self, String> {
        // SAFETY: takes nothing, cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            return Ok(Self { other: None });
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(told("cannot read the users"))?;
        let find = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let other = find("postgres").or_else(|| find("nobody"));
        other
            .map(|other| Self { other: Some(other) })
            .ok_or_else(|| "no user `postgres` or `nobody`".to_owned())
    }

    /// Gives a folder to the account.
    pub fn own(&self, folder: &Path) -> Result<(), String> {
        match self.other {
            Some((uid, gid)) => std::os::unix::fs::chown(folder, Some(uid), Some(gid))
                .map_err(told("cannot give the folder away")),
            None => Ok(()),
        }
    }

    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env_remove("PGDATA").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid);
        }
        command
    }
}

pub(crate) fn told<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
