//! What `deploy/` has for those who run Sexton as a service: each file is read by what reads it there.

use crate::api::Server;
use crate::kit::Desk;
use crate::tidy::root;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// All documents of a file.
fn yaml(path: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(root().join("deploy").join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names that Sexton has for its figures.
fn metrics() -> BTreeSet<String> {
    // What has no value yet is not there: everything was done once.
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let at = "--config e0/sexton.toml";
    desk.sexton(&format!("run stats detect-stale --yes {at}")).ends(0);
    desk.sexton(&format!("backup create {at}")).ends(0);
    desk.sexton(&format!("backup verify --all {at}")).ends(0);
    desk.sexton(&format!("doctor {at}"));
    let mut printed = desk.sexton(&format!("metrics {at}")).ends(0).stdout;
    let nightly = "\n[schedule.nightly]\ncron = \"0 2 * * *\"\nrun = [\"daily\"]\n";
    let server = Server::of(Desk::ready_with(nightly), "run");
    assert_eq!(server.send("POST", "/api/v1/schedules/nightly/run", &serde_json::json!({}), &[]).status, 202);
    let began = std::time::Instant::now();
    while !printed.contains("sexton_schedule_last_ok{") {
        assert!(began.elapsed().as_secs() < 30, "the schedule never ran");
        printed.push_str(&server.get("/metrics").body);
    }
    let mut names = BTreeSet::new();
    for line in printed.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else { continue };
        let (name, kind) = rest.split_once(' ').unwrap();
        names.insert(if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    }
    assert!(names.len() > 15, "{names:?}");
    names
}

/// The names in an expression that are of ours.
fn named(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("sexton_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_of_deploy_ask_for_figures_that_there_are() {
    let metrics = metrics();
    let mut asked = Vec::new();
    for rule in yaml("prometheus/rules.yaml")[0]["groups"][0]["rules"].as_array().unwrap() {
        for key in ["alert", "expr"] {
            assert!(rule[key].is_string(), "{rule}");
        }
        assert!(
            rule["labels"]["severity"].is_string() && rule["annotations"]["summary"].is_string(),
            "{rule}"
        );
        asked.extend(named(rule["expr"].as_str().unwrap()));
    }
    let dashboard = std::fs::read_to_string(root().join("deploy/grafana/sexton.json")).unwrap();
    let dashboard: Json = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            asked.extend(named(target["expr"].as_str().unwrap()));
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<&String> = asked.iter().filter(|name| !metrics.contains(*name)).collect();
    assert!(unknown.is_empty(), "nobody has {unknown:?}");
}

#[test]
fn the_manifests_of_deploy_name_what_the_program_answers_to() {
    let all = yaml("kubernetes/sexton.yaml");
    let of = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let pod = &of("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    for (probe, path) in [("livenessProbe", "/live"), ("readinessProbe", "/ready")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
    }
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounted: BTreeSet<&str> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["name"].as_str().unwrap())
        .collect();
    let volumes: BTreeSet<&str> =
        pod["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    assert_eq!(mounted, volumes);
    // The configuration is good, and the command line is understood.
    let mut desk = Desk::empty();
    desk.set("DATABASE_PASSWORD", "x");
    desk.write("sexton.toml", of("ConfigMap")["data"]["sexton.toml"].as_str().unwrap());
    desk.sexton("config check").ends(0);
    let words: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    desk.sexton(&format!("{} --help", words.join(" "))).ends(0);
    let image = std::fs::read_to_string(root().join("deploy/container/Containerfile")).unwrap();
    assert!(image.contains("USER 10001") && pod["securityContext"]["runAsUser"] == 10001);
    let version = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let wanted =
        version.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    assert!(image.contains(&format!("rust:{wanted}-")), "the image is not built with Rust {wanted}");
}

#[test]
fn workers_of_the_manifests_are_like_the_process_that_they_stand_beside() {
    let all = yaml("kubernetes/workers.yaml");
    let pod = &all[0]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    for (probe, path) in [("livenessProbe", "/live"), ("readinessProbe", "/ready")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
    }
    let first = yaml("kubernetes/sexton.yaml");
    let beside = first.iter().find(|one| one["kind"] == "Deployment").unwrap();
    let beside = &beside["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"], beside["securityContext"]);
    assert_eq!(container["securityContext"], beside["containers"][0]["securityContext"]);
    assert_eq!(container["image"], beside["containers"][0]["image"]);
    let words: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    Desk::empty().sexton(&format!("{} --help", words.join(" "))).ends(0);
}

#[test]
fn the_units_of_deploy_are_such_that_systemd_takes() {
    for (file, instance) in
        [("sexton.service", "sexton.service"), ("sexton-worker@.service", "sexton-worker@1.service")]
    {
        let folder = tempfile::tempdir().unwrap();
        let unit = std::fs::read_to_string(root().join("deploy/systemd").join(file)).unwrap();
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/sexton ")).unwrap();
        Desk::empty().sexton(&format!("{line} --help")).ends(0);
        // It looks for the program and for the account, which are those of this machine here.
        let here = unit
            .replace("/usr/bin/sexton", env!("CARGO_BIN_EXE_sexton"))
            .replace("User=sexton\nGroup=sexton\n", "User=root\nGroup=root\n");
        let path = folder.path().join(instance);
        std::fs::write(&path, here).unwrap();
        let said = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr);
        let about = |line: &&str| line.contains(instance);
        assert!(said.status.success() && !text.lines().any(|line| about(&line)), "{text}");
    }
}

#[test]
fn the_package_of_deploy_has_the_program_its_pages_and_its_unit() {
    let folder = tempfile::tempdir().unwrap();
    let built = Command::new(root().join("deploy/debian/build"))
        .args([Path::new(env!("CARGO_BIN_EXE_sexton")), folder.path()])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let package = String::from_utf8(built.stdout).unwrap().trim().to_owned();
    let listed = Command::new("dpkg-deb").args(["--contents", &package]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for file in [
        "./usr/bin/sexton",
        "./usr/lib/systemd/system/sexton.service",
        "./usr/lib/systemd/system/sexton-worker@.service",
        "./usr/share/man/man1/sexton.1.gz",
        "./usr/share/bash-completion/completions/sexton",
        "./etc/sexton/sexton.toml",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(file)), "{file} is not in\n{listed}");
    }
    let taken = folder.path().join("taken");
    let out = Command::new("dpkg-deb").args(["--extract", &package]).arg(&taken).status().unwrap();
    assert!(out.success());
    let config = std::fs::read_to_string(taken.join("etc/sexton/sexton.toml")).unwrap();
    let desk = Desk::empty();
    desk.write("sexton.toml", &config);
    desk.sexton("config check").ends(0);
    let version = Command::new(taken.join("usr/bin/sexton")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
}
