//! The routes of the service that merges duplicates, as a client has them that was written for it: on both databases.

use crate::api::Server;
use crate::kit::Desk;
use serde_json::{Value as Json, json};
use testkit::Place;

pub fn served(place: Place) -> Server {
    place.script2(
        include_str!("../../../../examples/e3/schema.sqlite.sql"),
        include_str!("../../../../examples/e3/schema.postgres.sql"),
    );
    place.script2(
        include_str!("../../../../examples/e3/seed.sqlite.sql"),
        include_str!("../../../../examples/e3/seed.postgres.sql"),
    );
    let url = place.url();
    let mut desk = Desk::at(place);
    desk.set("E3_DATABASE", &url);
    desk.write("sexton.toml", include_str!("../../../../examples/e3/sexton.toml"));
    Server::of(desk, "run")
}

fn post(server: &Server, path: &str) -> crate::api::Answer {
    server.curl(&["-X", "POST", "-H", &format!("Authorization: Bearer {}", server.token)], path)
}

#[test]
fn status_check_verify_clean_and_roll_back() {
    // S3-033, S3-034, S3-035, S3-036, S3-037, S3-019, W-076, W-086, A4, R4, R5, R5a, R5b
    for place in [Place::sqlite(), Place::postgres()] {
        let server = served(place);
        let before = server.desk.sexton("digest").ends(0).stdout;
        let status = server.get("/api/cleanup/status").json();
        assert!(status["running"] == true && status["started_at"].is_string(), "{status}");
        let names: Vec<&Json> =
            status["schedules"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let full =
            status["schedules"].as_array().unwrap().iter().find(|one| one["name"] == "full_cleanup").unwrap();
        assert_eq!((&full["max_applications"], &full["dry_run_first"]), (&json!(50), &json!(true)));
        assert_eq!(full["alert_threshold"], 5);
        assert_eq!(status["statistics"]["total_runs"], 0);
        assert_eq!(status["statistics"]["success_rate"], Json::Null, "X-46");

        let check = post(&server, "/api/cleanup/check").json();
        assert_eq!((&check["total"], &check["alert"]), (&json!(9), &json!(true)), "{check}");
        let verify = post(&server, "/api/cleanup/verify").json();
        assert!(verify["ok"] == false && verify["findings"].as_array().unwrap().len() > 9, "{verify}");
        let one = check["duplicates"][0]["application_id"].clone();
        let id = one.as_str().map_or_else(|| one.to_string(), str::to_owned);
        let of_one = server.send("POST", "/api/cleanup/verify", &json!({"application_id": one}), &[]).json();
        let roots = |found: &Json| {
            let all = found["findings"].as_array().unwrap();
            all.iter().filter(|finding| finding["type"] == "duplicate_root").count()
        };
        assert_eq!((roots(&of_one), roots(&verify)), (1, 9), "{of_one}");

        // Looking is the default, in whichever place it is said, and never said twice differently.
        for path in ["/api/cleanup/cleanup", "/api/cleanup/cleanup?dry_run=true"] {
            let seen = post(&server, path).json();
            assert_eq!(
                (&seen["dry_run"], &seen["applications_found"]),
                (&json!(true), &json!(9)),
                "{path} {seen}"
            );
        }
        let twice = server.send("POST", "/api/cleanup/cleanup?dry_run=true", &json!({"dry_run": false}), &[]);
        assert_eq!(twice.wrong(400), "malformed");
        assert_eq!(twice.json()["error"]["field"], "dry_run");
        assert_eq!(server.desk.sexton("digest").ends(0).stdout, before, "looking changed something");

        let alone = post(&server, &format!("/api/cleanup/cleanup?dry_run=false&application_id={id}")).json();
        assert_eq!(alone["applications_cleaned"], 1, "{alone}");
        let some = server
            .send("POST", "/api/cleanup/cleanup", &json!({"dry_run": false, "max_applications": 2}), &[])
            .json();
        assert_eq!(some["applications_cleaned"], 2, "{some}");
        let rest = post(&server, "/api/cleanup/cleanup?dry_run=false").json();
        assert_eq!(rest["applications_cleaned"], 6, "{rest}");
        assert_eq!(post(&server, "/api/cleanup/check").json()["total"], 0);

        let status = server.get("/api/cleanup/status").json();
        let cleaned = &status["statistics"];
        assert_eq!(
            (&cleaned["total_runs"], &cleaned["applications_cleaned"]),
            (&json!(3), &json!(9)),
            "{cleaned}"
        );
        assert_eq!(
            (&cleaned["folders_removed"], &cleaned["success_rate"]),
            (&json!(22), &json!(1.0)),
            "{cleaned}"
        );

        // S3-026
        let metrics = server.get("/metrics");
        assert_eq!(metrics.status, 200);
        for line in
            ["cleanup_applications_cleaned 9.0", "cleanup_folders_removed 22.0", "cleanup_success_rate 1.0"]
        {
            assert!(metrics.body.lines().any(|one| one == line), "{line} is not in\n{}", metrics.body);
        }

        let points: Vec<Json> = [&rest, &some, &alone]
            .into_iter()
            .flat_map(|done| done["rollback_ids"].as_array().unwrap().iter().rev().cloned())
            .collect();
        assert_eq!(points.len(), 9);
        for point in &points {
            let back = post(&server, &format!("/api/cleanup/rollback/{}", point.as_str().unwrap())).json();
            assert_eq!((&back["success"], &back["rollback_id"]), (&json!(true), point), "{back}");
            assert!(back["restored_rows"].as_u64().unwrap() > 0 && back["conflicts"] == json!([]), "{back}");
        }
        assert_eq!(server.desk.sexton("digest").ends(0).stdout, before, "it is not what it was");
        for unknown in ["zzzzzzzz-4", points[0].as_str().unwrap()] {
            assert_eq!(post(&server, &format!("/api/cleanup/rollback/{unknown}")).wrong(404), "not_found");
        }
    }
}

#[test]
fn what_is_critical_is_cleaned_up_by_its_name_only() {
    // W-086
    let mut server = served(Place::sqlite());
    let config = std::fs::read_to_string(server.desk.file("sexton.toml")).unwrap();
    server.desk.write("sexton.toml", &config.replacen("severity = \"HIGH\"", "severity = \"CRITICAL\"", 1));
    server.restart();
    let before = server.desk.sexton("digest").ends(0).stdout;
    for unsure in ["", "&confirm=true", "&confirm=clean"] {
        let refused = post(&server, &format!("/api/cleanup/cleanup?dry_run=false{unsure}"));
        assert_eq!(refused.wrong(409), "refused", "{unsure}");
        assert!(refused.body.contains("cleanup"), "{}", refused.body);
    }
    assert_eq!(server.desk.sexton("digest").ends(0).stdout, before);
    assert_eq!(post(&server, "/api/cleanup/cleanup").status, 200, "looking needs no name");
    let sure =
        server.send("POST", "/api/cleanup/cleanup", &json!({"dry_run": false, "confirm": "cleanup"}), &[]);
    assert_eq!(sure.json()["applications_cleaned"], 9, "{}", sure.body);
}

#[test]
fn nobody_cleans_up_without_a_token_and_no_route_is_there_unasked() {
    // W-086, X-10
    let server = served(Place::sqlite());
    for path in ["status", "check", "verify", "cleanup", "rollback/x"] {
        let method = if path == "status" { "GET" } else { "POST" };
        let answer = server.curl(&["-X", method], &format!("/api/cleanup/{path}"));
        assert_eq!(answer.wrong(401), "unauthorised", "{path}");
    }
    assert_eq!(server.send("POST", "/api/cleanup/check", &json!({"sql": "x"}), &[]).wrong(422), "usage");
    assert_eq!(
        post(&server, "/api/cleanup/check?application_id=a%22%3B%20drop%20table%20folders%3B--").status,
        200
    );
    let reader = server.desk.sexton("token create r --role read").ends(0).stdout.trim().to_owned();
    let bearer = format!("Authorization: Bearer {reader}");
    assert_eq!(server.curl(&["-X", "POST", "-H", &bearer], "/api/cleanup/cleanup").wrong(403), "forbidden");
    let other = Server::of(Desk::ready(), "admin");
    assert_eq!(other.get("/api/cleanup/status").wrong(404), "not_found");
    assert!(!other.get("/api/openapi.json").body.contains("/api/cleanup"));
}
