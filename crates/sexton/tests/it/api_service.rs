//! The API as a service: over TLS, within limits, page by page, sent twice, watched by Prometheus and by whoever restarts it.

use crate::api::{Answer, Server};
use crate::kit::Desk;
use serde_json::json;
use std::process::Command;
use testkit::Place;

#[test]
fn a_call_that_is_sent_again_begins_nothing() {
    let server = Server::of(Desk::ready(), "run");
    let send = |key: &str, body: serde_json::Value| {
        server.send("POST", "/api/v1/runs", &body, &["-H", &format!("Idempotency-Key: {key}")])
    };
    let logs = json!({"operations": ["logs"], "confirm": true});
    let first = send("a b/c", logs.clone());
    assert_eq!(first.status, 202, "{}", first.body);
    let id = first.json()["run_id"].as_str().unwrap().to_owned();
    let again = send("a b/c", logs.clone());
    assert_eq!((again.status, again.json()["run_id"].as_str()), (202, Some(id.as_str())));
    server.wait(&id);
    assert_eq!(send("a b/c", logs.clone()).json()["run_id"], id.as_str());
    assert_eq!(server.desk.runs().len(), 1, "it ran more than once");
    assert_eq!(send("a b/c", json!({"operations": ["logs"], "dry_run": true})).wrong(422), "key_reused");
    assert_ne!(send("another", logs.clone()).json()["run_id"], id.as_str());
    assert_eq!(send(&"x".repeat(300), logs).wrong(400), "malformed");
}

#[test]
fn a_call_that_is_sent_several_times_at_once_begins_one_run() {
    for state in [None, Some(Place::postgres())] {
        let more = state.as_ref().map(|place| format!("[state]\nurl = \"{}\"\n", place.url()));
        let server = Server::of(Desk::ready_with(&more.unwrap_or_default()), "run");
        for round in 0..5 {
            let key = format!("Idempotency-Key: once-{round}");
            let body = json!({"operations": ["sessions"], "dry_run": true});
            let ids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
                let send = || {
                    let begun = server.send("POST", "/api/v1/runs", &body, &["-H", &key]);
                    assert_eq!(begun.status, 202, "{}", begun.body);
                    begun.json()["run_id"].as_str().unwrap().to_owned()
                };
                let sent: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
                sent.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(ids.len(), 1);
            server.wait(ids.first().unwrap());
        }
        // The same of a confirmation without a key: one of them is the run, and the others are told so.
        let shown = server.send("POST", "/api/v1/plans", &json!({"operations": ["logs"]}), &[]).json();
        let sure = json!({"plan": shown["plan_id"], "confirm": true});
        let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
            let send = || {
                let answer = server.send("POST", "/api/v1/runs", &sure, &[]);
                (answer.status, answer.body)
            };
            let sent: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let begun: Vec<_> = answers.iter().filter(|(status, _)| *status == 202).collect();
        assert_eq!(begun.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|(status, _)| *status == 409).count(), 5, "{answers:?}");
        let begun: serde_json::Value = serde_json::from_str(&begun[0].1).unwrap();
        assert_eq!(server.wait(begun["run_id"].as_str().unwrap())["totals"]["deleted"], 311);
        let lines = server.desk.sexton("audit --limit 1000 --output json").ends(0).json();
        let begun =
            lines["audit"].as_array().unwrap().iter().filter(|line| line["action"] == "dry run").count();
        assert_eq!(begun, 5, "{lines:#}");
    }
}

#[test]
fn lists_come_page_by_page() {
    // W-128
    let server = Server::of(Desk::ready(), "run");
    for _ in 0..5 {
        server.desk.sexton("run logs --dry-run").ends(0);
    }
    let mut path = "/api/v1/runs?limit=2&operation=logs".to_owned();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let page = server.get(&path);
        assert_eq!(page.status, 200, "{}", page.body);
        pages += 1;
        let runs = page.json();
        seen.extend(runs.as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()));
        let Some((_, link)) = page.headers.split_once("link: <") else { break };
        path = link.split_once('>').unwrap().0.to_owned();
    }
    let mut all = server.desk.runs();
    assert_eq!((seen.len(), pages), (5, 3), "{seen:?}");
    all.sort();
    seen.sort();
    assert_eq!(seen, all);
    assert_eq!(server.get("/api/v1/runs?cursor=nosuch").wrong(422), "usage");
}

#[test]
fn whoever_calls_too_often_waits() {
    let server = Server::of(Desk::ready_with("\n[api]\ncalls_per_minute = 20\n"), "read");
    // On a slow machine more are let through meanwhile.
    let mut answers: Vec<Answer> = Vec::new();
    while answers.len() < 300 && answers.last().is_none_or(|last| last.status != 429) {
        answers.push(server.get("/api/v1/operations"));
    }
    assert!(answers.iter().take(15).all(|answer| answer.status == 200));
    let refused = answers.last().unwrap();
    assert_eq!(refused.wrong(429), "too_many");
    assert!(refused.headers.contains("retry-after: "), "{}", refused.headers);
    // Others have limits of their own, and whether the process lives is nobody's limit.
    let other = server.desk.sexton("token create other --role read").ends(0).stdout.trim().to_owned();
    let bearer = format!("Authorization: Bearer {other}");
    assert_eq!(server.curl(&["-H", &bearer], "/api/v1/operations").status, 200);
    assert_eq!(server.curl(&[], "/live").status, 200);
    // Secrets cannot be tried out for long, and whoever has one is not kept out by that.
    let mut tried: Vec<u16> = Vec::new();
    while tried.len() < 300 && tried.last() != Some(&429) {
        let wrong = format!("Authorization: Bearer sexton_{}", tried.len());
        tried.push(server.curl(&["-H", &wrong], "/api/v1/operations").status);
    }
    assert!(tried[0] == 401 && tried.contains(&429), "{tried:?}");
    assert_eq!(server.curl(&["-H", &bearer], "/api/v1/operations").status, 200);
}

#[test]
fn it_answers_over_tls_and_nothing_else() {
    let desk = Desk::ready_with("\n[api]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\n");
    let certify = |folder: &std::path::Path, name: &str| {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-keyout", "tls.key", "-out", "tls.pem"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    certify(desk.path(), "first");
    let trusted = desk.file("tls.pem").display().to_string();
    let server = Server::of(desk, "read");
    assert!(server.at.starts_with("https://127.0.0.1:"), "{}", server.at);
    let bearer = format!("Authorization: Bearer {}", server.token);
    assert_eq!(server.curl(&["--cacert", &trusted, "-H", &bearer], "/api/v1/operations").status, 200);
    let untrusted = Command::new("curl").args(["-s", &format!("{}/live", server.at)]).output().unwrap();
    assert!(!untrusted.status.success(), "it was not TLS");
    let plain = server.at.replace("https://", "http://");
    let answer = Command::new("curl").args(["-s", &format!("{plain}/live")]).output().unwrap();
    assert!(!answer.status.success(), "it answers without TLS");

    // Files that are not there, that are something else, that do not belong together.
    let desk = Desk::ready_with("\n[api]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n");
    let files = |certificate: &str, key: &str| {
        for (from, to) in [(certificate, "a.pem"), (key, "a.key")] {
            let _ = std::fs::remove_file(desk.file(to));
            let _ = std::fs::copy(server.desk.file(from), desk.file(to));
        }
        let said = desk.sexton("serve --listen 127.0.0.1:0").ends(1);
        assert!(said.stderr.contains("help: `[api]` names two PEM files"), "{}", said.stderr);
        said.stderr
    };
    std::fs::copy(server.desk.file("tls.key"), server.desk.file("first.key")).unwrap();
    std::fs::copy(server.desk.file("tls.pem"), server.desk.file("first.pem")).unwrap();
    certify(server.desk.path(), "second");
    server.desk.write("words", "no key at all\n");
    for (certificate, key, blamed) in [
        ("nowhere", "tls.key", "a.pem"),
        ("tls.pem", "nowhere", "a.key"),
        ("words", "tls.key", "a.pem"),
        ("tls.pem", "words", "a.key"),
        // A certificate where the key should be.
        ("tls.pem", "tls.pem", "a.key"),
    ] {
        let said = files(certificate, key);
        assert!(said.contains(&format!("{blamed}` cannot be used for TLS")), "{certificate} {key}: {said}");
    }
    // The key of another one.
    let strange = files("tls.pem", "first.key");
    assert!(strange.contains("a.key") && strange.contains("a.pem"), "{strange}");
    let desk = Desk::ready_with("\n[api]\ncertificate = \"only.pem\"\n");
    let said = desk.sexton("config check").ends(2);
    assert!(said.stderr.contains("belong together"), "{}", said.stderr);
}

#[test]
fn health_tells_whether_the_databases_answer() {
    // S4-049
    let server = Server::of(Desk::ready(), "read");
    let well = server.curl(&[], "/health");
    assert_eq!((well.status, well.json()), (200, json!({"status": "ok", "databases": {"up": 1, "down": 0}})));
    let desk = Desk::ready();
    let said = crate::kit::CONFIG.replace("kind = \"purge\"", "kind = \"purge\"\ndatabase = \"main\"");
    desk.write(
        "sexton.toml",
        &format!("{said}\n[database.gone]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n"),
    );
    let server = Server::of(desk, "read");
    let ill = server.curl(&[], "/health");
    assert_eq!((ill.status, ill.json()["databases"].clone()), (503, json!({"up": 1, "down": 1})));
    assert_eq!(server.curl(&[], "/live").status, 200);
    assert_eq!(server.curl(&[], "/ready").status, 200);
}

#[test]
fn prometheus_reads_what_runs_came_to() {
    let server = Server::of(Desk::ready(), "run");
    assert_eq!(server.curl(&[], "/metrics").wrong(401), "unauthorised");
    let run = |body: serde_json::Value| {
        let id =
            server.send("POST", "/api/v1/runs", &body, &[]).json()["run_id"].as_str().unwrap().to_owned();
        server.wait(&id)
    };
    let figure = |name: &str| {
        let page = server.get("/metrics");
        assert_eq!(page.status, 200);
        let line = page.body.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
    };
    assert_eq!(figure("sexton_runs_total{operation=\"logs\""), None);
    assert_eq!(figure("sexton_runs_at_work"), Some(0.0));
    assert_eq!(figure("sexton_workers"), Some(1.0));
    for state in ["waiting", "taken", "claimed"] {
        assert_eq!(figure(&format!("sexton_ticks{{state=\"{state}\"}}")), Some(0.0));
    }
    assert_eq!(figure("sexton_ticks_oldest_seconds"), Some(0.0));
    let done = run(json!({"operations": ["logs"], "confirm": true}));
    let deleted = done["totals"]["deleted"].as_f64().unwrap();
    assert!(deleted > 0.0);
    let runs = "sexton_runs_total{operation=\"logs\",status=\"completed\"}";
    let rows = "sexton_rows_total{operation=\"logs\",action=\"deleted\"}";
    assert_eq!((figure(runs), figure(rows)), (Some(1.0), Some(deleted)));
    // A dry run counts for nothing, and what was counted is not counted again.
    run(json!({"operations": ["logs"], "dry_run": true}));
    assert_eq!((figure(runs), figure(rows)), (Some(1.0), Some(deleted)));
    run(json!({"operations": ["logs"], "confirm": true}));
    assert_eq!(figure(runs), Some(2.0));
    // What holds nothing is what the file says itself.
    server.desk.sexton("doctor main");
    let free = server
        .desk
        .place
        .rows("select freelist_count * page_size from pragma_freelist_count, pragma_page_size");
    let free = free[0][0].as_int().unwrap() as f64;
    assert!(free > 0.0);
    assert_eq!(figure("sexton_database_wasted_bytes{database=\"main\"}"), Some(free));
    // The same without a server, for a collector of text files.
    let printed = server.desk.sexton("metrics").ends(0).stdout;
    assert!(printed.contains(&format!("{runs} 2.0")) && printed.ends_with("# EOF\n"), "{printed}");
    let open = Server::of(Desk::ready_with("\n[api]\nopen_metrics = true\n"), "read");
    assert_eq!(open.curl(&[], "/metrics").status, 200);
}

#[test]
fn what_stands_wrong_about_the_api_is_found_with_its_line() {
    let desk = Desk::at(Place::sqlite());
    for (text, said) in [
        ("[api.cleanup]\ncheck = \"a\"\nverify = \"b\"\ncleanup = \"c\"\n", "there is no operation `a`"),
        ("[api]\nmaintenance_alias = \"/api/x\"\n", "cannot be a second path"),
        ("[api]\nmaintenance_alias = \"v1\"\n", "cannot be a second path"),
        ("[api]\nmaintenance_alias = \"/live\"\n", "cannot be a second path"),
        ("[api]\nmaintenance_alias = \"/app.css\"\n", "cannot be a second path"),
        (
            "[operation.a]\nkind = \"purge\"\ntable = \"t\"\nwhere = \"id > 0\"\n[api.cleanup]\ncheck = \"a\"\nverify = \"a\"\ncleanup = \"a\"\n",
            "`a` does not only look",
        ),
        (
            "[operation.a]\nkind = \"purge\"\ntable = \"t\"\nwhere = \"id > 0\"\n[api.cleanup]\ncheck = \"a\"\nverify = \"a\"\ncleanup = \"a\"\n",
            "`a` is no merge",
        ),
        ("[api]\ncalls_per_minute = 0\n", "calls_per_minute"),
        ("[api]\nport = 1\n", "port"),
    ] {
        desk.write("sexton.toml", text);
        let checked = desk.sexton("config check").ends(2);
        assert!(
            checked.stderr.contains(said) && checked.stderr.contains("sexton.toml"),
            "{text}: {}",
            checked.stderr
        );
    }
}
