//! Databases that another tool looks after: its state is read, so that the gate need not take a second backup.
//!
//! Only the answer of the tool's own command is read. A state that cannot be read, or a newest backup that failed or is too
//! old, is no backup; nothing is taken in its place, because whoever uses such a tool has reasons not to be dumped.

use crate::age::Age;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;
use targets::files::failed;

/// How long the tool may think.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// A database that another tool looks after.
#[derive(Debug, Clone, PartialEq)]
pub struct External {
    /// Which.
    pub database: String,
    /// By which tool.
    pub tool: Tool,
    /// The command that tells its state, without a shell.
    pub command: String,
    /// How old the newest base backup may be.
    pub max_age: Age,
}

/// Tools whose answers are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// `pgbackrest --stanza=NAME info --output=json`
    Pgbackrest,
    /// `wal-g backup-list --detail --json`
    WalG,
    /// `barman --format json list-backups NAME`
    Barman,
    /// `litestream ltx -level all DATABASE`; before version 0.5 `litestream snapshots DATABASE`
    Litestream,
}

/// The newest backup of such a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outside {
    pub label: String,
    pub at: Timestamp,
    pub bytes: u64,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Pgbackrest => "pgBackRest",
            Tool::WalG => "WAL-G",
            Tool::Barman => "barman",
            Tool::Litestream => "Litestream",
        }
    }

    /// The newest good backup in the tool's answer.
    fn newest(self, answer: &str) -> Result<Option<Outside>> {
        let json = || -> Result<Json> {
            serde_json::from_str(answer).map_err(|error| {
                Error::system(format!("the answer of {} is no JSON", self.name()))
                    .help("look at `command` of `[[backup.external]]`: it must ask for JSON")
                    .because(error)
            })
        };
        let all: Vec<Outside> = match self {
            Tool::Pgbackrest => {
                let backups = json()?;
                list(&backups)
                    .iter()
                    .flat_map(|stanza| list(&stanza["backup"]))
                    .filter_map(pgbackrest)
                    .collect()
            }
            Tool::WalG => list(&json()?).iter().filter_map(wal_g).collect(),
            Tool::Barman => {
                let servers = json()?;
                let servers = servers.as_object().into_iter().flat_map(|servers| servers.values());
                servers.flat_map(list).filter_map(barman).collect()
            }
            Tool::Litestream => answer.lines().filter_map(litestream).collect(),
        };
        Ok(all.into_iter().max_by_key(|backup| backup.at))
    }
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn pgbackrest(backup: &Json) -> Option<Outside> {
    let good = backup["error"] != Json::Bool(true);
    let at = Timestamp::from_second(backup["timestamp"]["stop"].as_i64()?).ok()?;
    let bytes = backup["info"]["size"].as_u64().unwrap_or(0);
    good.then(|| Outside { label: text(&backup["label"]), at, bytes })
}

fn wal_g(backup: &Json) -> Option<Outside> {
    let at = ["finish_time", "time", "modified"].iter().find_map(|key| backup[key].as_str()?.parse().ok())?;
    let bytes = backup["compressed_size"].as_u64().unwrap_or(0);
    Some(Outside { label: text(&backup["backup_name"]), at, bytes })
}

fn barman(backup: &Json) -> Option<Outside> {
    let stamp = &backup["end_time_timestamp"];
    let seconds = stamp.as_i64().or_else(|| stamp.as_str()?.parse().ok())?;
    let at = Timestamp::from_second(seconds).ok()?;
    let bytes = backup["size_bytes"].as_u64().unwrap_or(0);
    let good = backup["status"].as_str().is_none_or(|status| status == "DONE");
    good.then(|| Outside { label: text(&backup["backup_id"]), at, bytes })
}

/// `level  min_txid  max_txid  size  created`, or before version 0.5 `replica  generation  index  size  created`: one line each
/// below a heading.
fn litestream(line: &str) -> Option<Outside> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.last()?.parse().ok()?;
    let bytes = words.iter().rev().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0);
    Some(Outside { label: words.iter().take(3).copied().collect::<Vec<_>>().join("/"), at, bytes })
}

/// The newest backup, if it is good and young enough; else an error that says what is wrong.
pub(super) fn newest(external: &External, now: Timestamp) -> Result<Outside> {
    let tool = external.tool.name();
    let answer = ask(external)?;
    let complain = |what: String| {
        Err(Error::data(what)
            .help(format!("see what {tool} says: `{}`; then let it make a backup", external.command)))
    };
    let Some(backup) = external.tool.newest(&answer)? else {
        return complain(format!("{tool} has no good backup of `{}`", external.database));
    };
    if backup.at < external.max_age.before(now)? {
        return complain(format!(
            "the newest backup of `{}` by {tool} is of {}, older than {}",
            external.database, backup.at, external.max_age.0
        ));
    }
    Ok(backup)
}

fn ask(external: &External) -> Result<String> {
    let doing = format!("cannot ask {}: `{}`", external.tool.name(), external.command);
    let mut words = external.command.split_whitespace();
    let Some(program) = words.next() else { return Err(Error::usage(doing)) };
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&doing, error))?;
    let mut out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut answer = String::new();
        let read = out.as_mut().map(|out| out.read_to_string(&mut answer));
        read.transpose().map(|_| answer)
    });
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| failed(&doing, error))? {
            break status;
        }
        if waited > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::transient(format!("{doing}: no answer for a minute")));
        }
        std::thread::sleep(STEP);
        waited += STEP;
    };
    if !status.success() {
        return Err(
            Error::system(format!("{doing}: {status}")).help("run the command by hand and see what it says")
        );
    }
    match reader.join() {
        Ok(answer) => answer.map_err(|error| failed(&doing, error)),
        Err(_) => Err(Error::system(doing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_all_tools_are_understood() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (tool, answer, label, when, bytes) in [
            (
                Tool::Pgbackrest,
                r#"[{"name":"main","status":{"code":0},"backup":[
                    {"label":"20261119-020002F","error":false,"timestamp":{"start":1,"stop":1795053600},"info":{"size":5}},
                    {"label":"20261120-020002F","error":true,"timestamp":{"start":1,"stop":1795140000},"info":{"size":6}}]}]"#,
                "20261119-020002F",
                "2026-11-19T02:00:00Z",
                5,
            ),
            (
                Tool::WalG,
                r#"[{"backup_name":"base_1","finish_time":"2026-11-18T02:10:00Z","compressed_size":7},
                    {"backup_name":"base_2","finish_time":"2026-11-19T02:10:00Z","compressed_size":8}]"#,
                "base_2",
                "2026-11-19T02:10:00Z",
                8,
            ),
            (
                Tool::Barman,
                r#"{"main":[{"backup_id":"20261119T020000","status":"DONE","end_time_timestamp":"1795053600","size_bytes":9},
                    {"backup_id":"20261120T020000","status":"FAILED","end_time_timestamp":"1795140000"}]}"#,
                "20261119T020000",
                "2026-11-19T02:00:00Z",
                9,
            ),
            (
                Tool::Litestream,
                "replica  generation        index  size   created\ns3       b16ddcf5c697540f  0      4093   2026-11-19T02:00:00Z\n",
                "s3/b16ddcf5c697540f/0",
                "2026-11-19T02:00:00Z",
                4093,
            ),
            (
                Tool::Litestream,
                "level  min_txid          max_txid          size  created\n9      0000000000000001  0000000000000007  567   2026-11-19T02:00:00Z\n",
                "9/0000000000000001/0000000000000007",
                "2026-11-19T02:00:00Z",
                567,
            ),
        ] {
            let found = tool.newest(answer).unwrap().unwrap();
            assert_eq!(found, Outside { label: label.to_owned(), at: at(when), bytes }, "{tool:?}");
        }
        assert!(Tool::Barman.newest("nothing").is_err());
        assert_eq!(Tool::Pgbackrest.newest("[]").unwrap(), None);
    }
}
