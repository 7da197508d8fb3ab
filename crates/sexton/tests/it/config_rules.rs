//! What the configuration promises when it is right: paths, order, zones, an example with everything.

use crate::kit::{CONFIG, Desk};

#[test]
fn a_good_configuration_says_so() {
    let said = Desk::ready().sexton("config check").ends(0);
    assert_eq!(said.stdout, "sexton.toml is good: 1 database, 2 operations, 1 group\n");
}

#[test]
fn without_a_configuration_the_way_to_one_is_told() {
    let desk = Desk::empty();
    for line in [
        "config check",
        "run --all",
        "plan logs",
        "run --plan nowhere.json",
        "--config nowhere.toml plan --all",
    ] {
        let said = desk.sexton(line).ends(2);
        assert!(said.stderr.contains("help: ") || line.contains("--plan"), "{line}: {}", said.stderr);
    }
}

#[test]
fn the_file_is_found_by_flag_then_variable_then_folder() {
    let mut desk = Desk::ready();
    desk.write("one.toml", &CONFIG.replace("90 days", "10 days"));
    desk.write("two.toml", &CONFIG.replace("90 days", "20 days"));
    let matched =
        |desk: &Desk, line: &str| desk.sexton(line).ends(0).json()["items"][0]["steps"][0]["matched"].clone();
    assert_eq!(matched(&desk, "plan logs --output json"), 311);
    desk.set("SEXTON_CONFIG", "one.toml");
    assert_eq!(matched(&desk, "plan logs --output json"), 391);
    assert_eq!(matched(&desk, "plan logs --output json --config two.toml"), 381);
}

#[test]
fn paths_begin_at_the_folder_of_the_file() {
    let desk = Desk::ready();
    std::fs::create_dir(desk.file("deep")).unwrap();
    desk.write("deep/sexton.toml", &CONFIG.replace("app.db", "../app.db"));
    desk.sexton("run logs --yes --config deep/sexton.toml").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    assert!(desk.file("deep/.sexton/state.db").exists());
}

#[test]
fn the_state_can_be_anywhere() {
    let desk = Desk::ready_with("[state]\nfolder = \"memory/here\"\n[log]\nfolder = \".\"");
    desk.sexton("run sessions").ends(0);
    assert!(desk.file("memory/here/state.db").exists());
    assert!(desk.file("runs.jsonl").exists());
    assert!(!desk.file(".sexton").exists());
}

#[test]
fn the_zone_of_a_database_is_that_of_its_operations() {
    let desk = Desk::ready();
    desk.write("sexton.toml", &CONFIG.replace("url = \"app.db\"", "url = \"app.db\"\nzone = \"Asia/Tokyo\""));
    let plan = desk.sexton("plan logs --output json").ends(0).json();
    assert_eq!(plan["items"][0]["operation"]["options"]["zone"], "Asia/Tokyo");
    let plan = desk.sexton("plan logs --zone UTC --output json").ends(0).json();
    assert_eq!(plan["items"][0]["operation"]["options"]["zone"], "UTC");
}

#[test]
fn an_application_gets_a_row_for_each_run() {
    let desk = Desk::ready();
    desk.place.script("create table job (id integer primary key, name text, state text, began text)");
    let more = "[run_log.jobs]\ntable = \"job\"\ncolumns = { name = { text = \"sexton\" }, state = \"status\", began = \"started_at\" }";
    desk.write("sexton.toml", &format!("{CONFIG}\n{more}\n"));
    desk.sexton("run sessions").ends(0);
    assert_eq!(desk.count("job where name = 'sexton' and state = 'success' and began is not null"), 1);
}

#[test]
fn an_operation_that_needs_a_failed_one_is_skipped() {
    // W-116
    let desk = Desk::ready();
    let text = CONFIG.replace("title = \"Delete expired sessions\"", "needs = [\"logs\"]");
    desk.write("sexton.toml", &text);
    desk.place
        .script("create trigger no before delete on audit_log begin select raise(abort, 'not today'); end");
    let report = desk.sexton("run logs sessions --yes --triggers fire --output report").ends(1).json();
    assert_eq!(report["operations"][0]["status"], "failed");
    assert_eq!(report["operations"][1]["status"], "skipped");
    assert_eq!(desk.count("session"), 50);
}

#[test]
fn a_failure_stops_the_run_only_where_the_configuration_says_so() {
    // S0-069, W-116
    let desk = Desk::ready();
    desk.place
        .script("create trigger no before delete on audit_log begin select raise(abort, 'not today'); end");
    desk.write("stop.toml", &CONFIG.replace("[defaults]", "[defaults]\non_error = \"stop\""));
    desk.sexton("run logs sessions --yes --triggers fire --config stop.toml").ends(1);
    assert_eq!(desk.count("session"), 50);
    desk.sexton("run logs sessions --yes --triggers fire").ends(1);
    assert_eq!(desk.count("session"), 25);
}

#[test]
fn the_example_is_a_good_configuration_with_and_without_its_comments() {
    let mut desk = Desk::empty();
    for name in ["DB_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "BACKUP_IDENTITY"].into_iter().chain([
        "SMTP_PASSWORD",
        "SLACK_URL",
        "TELEGRAM_TOKEN",
        "WEBHOOK_SECRET",
        "OTLP_TOKEN",
        "HEARTBEAT_URL",
    ]) {
        desk.set(name, "x");
    }
    let example = desk.sexton("config example").ends(0).stdout;
    desk.write("sexton.toml", &example);
    desk.sexton("config check").ends(0);
    desk.sexton("config check --profile staging").ends(0);
    desk.write("sexton.toml", &uncommented(&example));
    desk.sexton("config check").ends(0);
}

#[test]
fn the_example_has_every_key_there_is() {
    let desk = Desk::empty();
    let example = uncommented(&desk.sexton("config example").ends(0).stdout);
    let schema = desk.sexton("config schema").ends(0).json();
    let mut keys = Vec::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 60, "{}", keys.len());
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| {
            let forms = [format!("{key} ="), format!("[{key}]"), format!("[{key}."), format!(".{key}]")];
            !forms.iter().any(|form| example.contains(form.as_str()))
        })
        .collect();
    assert!(missing.is_empty(), "not in sexton.example.toml: {missing:?}");
}

fn uncommented(example: &str) -> String {
    let setting = |line: &str| {
        let rest = line.strip_prefix('#')?;
        let key = rest.split_once(" = ")?.0;
        key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then(|| rest.to_owned())
    };
    example.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(entries) => {
            for (name, inner) in entries {
                if let (true, Some(properties)) = (name == "properties", inner.as_object()) {
                    keys.extend(
                        properties.keys().filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>(),
                    );
                }
                collect_keys(inner, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

#[test]
fn no_option_of_a_kind_is_called_like_something_else() {
    // One flat table holds common keys, manners and options; a clash would make one of them unreachable.
    let schema = Desk::empty().sexton("config schema").ends(0).json();
    let common = ["kind", "database", "title", "severity", "backup", "needs", "expected"];
    let manners: Vec<String> =
        schema["properties"]["defaults"]["properties"].as_object().unwrap().keys().cloned().collect();
    for kind in schema["properties"]["operation"]["additionalProperties"]["oneOf"].as_array().unwrap() {
        let keys: Vec<&String> = kind["properties"].as_object().unwrap().keys().collect();
        for name in common.iter().map(|name| (*name).to_owned()).chain(manners.iter().cloned()) {
            assert!(keys.iter().filter(|key| ***key == name).count() <= 1, "{name}");
        }
        assert!(keys.len() > common.len() + manners.len() - 1, "options are part of the schema");
    }
}
