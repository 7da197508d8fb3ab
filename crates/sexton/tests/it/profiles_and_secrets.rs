//! Profiles lay other values over the file; secrets come from outside and go nowhere.

use crate::kit::{CONFIG, Desk, Said};

#[test]
fn a_profile_replaces_only_what_it_says() {
    // S2-094
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        &format!("{CONFIG}\n[profile.staging.operation.logs]\nolder_than = \"10 days\"\n"),
    );
    let matched = |line: &str| desk.sexton(line).ends(0).json()["items"][0]["steps"][0]["matched"].clone();
    assert_eq!(matched("plan logs --output json"), 311);
    assert_eq!(matched("plan logs --output json --profile staging"), 391);
}

#[test]
fn a_profile_that_is_not_chosen_is_checked_too() {
    let desk = Desk::ready();
    desk.write("sexton.toml", &format!("{CONFIG}\n[profile.staging.operation.logs]\noldr = 1\n"));
    let said = desk.sexton("plan logs").ends(2);
    assert!(said.stderr.contains("profile.staging.operation.logs.oldr"), "{}", said.stderr);
}

#[test]
fn an_unknown_profile_names_the_nearest() {
    let desk = Desk::ready();
    desk.write("sexton.toml", &format!("{CONFIG}\n[profile.staging.defaults]\npause = 1\n"));
    insta::assert_snapshot!(desk.sexton("plan logs --profile stagign").ends(2).shown());
}

#[test]
fn the_environment_wins_over_the_env_file() {
    // S4-052
    let mut desk = Desk::ready();
    desk.write("sexton.toml", &CONFIG.replace("app.db", "${APP_DATABASE}"));
    desk.sexton("plan logs").ends(2);
    desk.write(".env", "# where it is\nexport APP_DATABASE='app.db'\n");
    desk.sexton("plan logs").ends(0);
    desk.set("APP_DATABASE", "nowhere.db");
    let said = desk.sexton("plan logs").ends(2);
    assert!(said.stderr.contains("nowhere.db"), "{}", said.stderr);
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let desk = Desk::ready();
    desk.write("place", "app.db\n");
    desk.write("sexton.toml", &CONFIG.replace("app.db", "${file:place}"));
    desk.sexton("plan logs").ends(0);
    desk.write("sexton.toml", &CONFIG.replace("app.db", "${file:nowhere}"));
    insta::assert_snapshot!(desk.sexton("plan logs").ends(2).shown());
}

#[test]
fn a_password_may_hold_any_character() {
    let mut desk = Desk::ready();
    desk.set("PASSWORD", "p@ss/w:rd#%");
    desk.write("sexton.toml", &CONFIG.replace("app.db", "postgres://joe:${PASSWORD}@127.0.0.1:1/app"));
    let said = desk.sexton("plan logs");
    // It gets as far as the server, which is not there: the URL was understood.
    assert_ne!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("127.0.0.1"), "{}", said.stderr);
}

#[test]
fn a_password_is_in_no_output_at_all() {
    // W-108
    const PASSWORD: &str = "Tr0ub4dor-and-3";
    let mut desk = Desk::ready();
    desk.set("PASSWORD", PASSWORD);
    let secrets = format!(
        "{CONFIG}\n[database.far]\nurl = \"postgres://joe:{PASSWORD}@127.0.0.1:1/app?x=1&password={PASSWORD}\"\n\
         [database.farther]\nurl = \"postgres://joe:${{PASSWORD}}@127.0.0.1:1/app\"\n\
         [store.bucket]\nurl = \"s3://bucket/x\"\nendpoint = \"http://127.0.0.1:1\"\naccess_key = \"AK-{PASSWORD}\"\n\
         secret_key = \"{PASSWORD}\"\n"
    )
    .replace("[operation.logs]", "[operation.logs]\ndatabase = \"main\"")
    .replace("[operation.sessions]", "[operation.sessions]\ndatabase = \"main\"")
        + "[operation.far]\nkind = \"purge\"\ndatabase = \"far\"\ntable = \"x\"\nwhere = \"true\"\n";
    desk.write("sexton.toml", &secrets);
    desk.write("bad.toml", &secrets.replace("postgres://joe:T", "postgre://joe:T").replace("s3://", "s4://"));
    desk.write("worse.toml", &format!("{secrets}\n[broken"));
    let url = format!("postgres://joe:{PASSWORD}@127.0.0.1:1/app");
    // Those that try to reach a server that is not there take their time: all at once.
    let far = [
        "plan --all -v".to_owned(),
        "plan far --output json".to_owned(),
        "run --all --yes".to_owned(),
        "run far --yes --output json".to_owned(),
        "undo list".to_owned(),
        format!("purge --database {url} --table x --where true"),
        format!("purge --database {url} --table x --where true --output json"),
        format!("plan logs --database {url}"),
        format!("init {url}"),
    ];
    let near = [
        "config check -v",
        "config check --output json",
        "config check --config bad.toml",
        "config check --config bad.toml --output json",
        "config check --config worse.toml",
        "run logs --yes --events",
        "plan sessions --archive bucket --output json",
        "undo latest --dry-run --output json",
        "runs list --output json",
        "runs show latest",
        "audit --output json",
        "report",
    ];
    let mut all: Vec<(String, Said)> =
        near.iter().map(|line| ((*line).to_owned(), desk.sexton(line))).collect();
    std::thread::scope(|scope| {
        let at_work: Vec<_> = far.iter().map(|line| (line, scope.spawn(|| desk.sexton(line)))).collect();
        all.extend(at_work.into_iter().map(|(line, thread)| (line.clone(), thread.join().unwrap())));
    });
    let mut outputs = String::new();
    for (line, said) in &all {
        outputs.push_str(&format!("{}\n{}\n", said.stdout, said.stderr));
        for (place, text) in [("stdout", &said.stdout), ("stderr", &said.stderr)] {
            assert!(!text.contains(PASSWORD), "`sexton {}` shows it on {place}", line.replace(PASSWORD, "…"));
        }
    }
    assert!(outputs.contains("127.0.0.1"), "the far databases were tried");
    for entry in std::fs::read_dir(desk.file(".sexton")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()),
            "the state holds it"
        );
    }
}
