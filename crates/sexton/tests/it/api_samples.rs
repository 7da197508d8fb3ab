//! The calls that clients of the two other services make, as lines for a shell, run by a shell: only the place of the server and the
//! token are those of this machine.

use crate::api::Server;
use serde_json::{Value as Json, json};
use std::process::Command;
use testkit::Place;

/// Runs a line with curl; the answer's status and body.
fn typed(server: &Server, line: &str) -> (String, Json) {
    let status = " -sS -w '\n%{http_code}'";
    let output = Command::new("sh")
        .args(["-c", &line.replacen("curl", &format!("curl{status}"), 1)])
        .env("API", &server.at)
        .env("TOKEN", &server.token)
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap_or(Json::Null))
}

#[test]
fn the_calls_of_the_learning_platform_work_as_they_are_typed() {
    // S2-026, S2-027, S2-051, S2-052, S2-053, S2-054, S2-055, S2-056, S2-057, S2-058, S2-059, S2-060, S2-061, X-09, X-10, X-11
    for base in ["/api/v1/admin/maintenance", "/v1/admin/maintenance"] {
        let server = crate::api_maintenance::served(Place::sqlite());
        let before = server.desk.sexton("digest").ends(0).stdout;
        let type_in = |line: &str, status: &str| {
            let (got, body) = typed(&server, &line.replace("BASE", &format!("\"$API{base}")));
            assert_eq!(got, status, "{line}: {body:#}");
            body
        };
        let token = "-H \"Authorization: Bearer $TOKEN\"";
        let json_type = "-H \"Content-Type: application/json\"";
        let status = type_in(&format!("curl -X GET BASE?action=status\" {token}"), "200");
        for key in ["scheduler", "operations", "schedules", "last_runs", "metrics", "alerts"] {
            assert!(!status[key].is_null(), "A1 without {key}: {status:#}");
        }
        let report = type_in(
            &format!(
                "curl -X POST BASE\" {token} {json_type} -d '{{
                   \"action\": \"run_cleanup\", \"target\": \"orphaned_progress\",
                   \"options\": {{\"dryRun\": true, \"batchSize\": 500, \"maxExecutionTime\": 1800, \"force\": false}}}}'"
            ),
            "200",
        );
        assert!(report["operations"][0]["rows_deleted"].as_u64() > Some(0), "{report:#}");
        assert_eq!(server.desk.sexton("digest").ends(0).stdout, before, "nothing is deleted");
        assert_eq!(type_in(&format!("curl BASE/schedules\" {token}"), "200").as_array().unwrap().len(), 3);
        let custom = |minute: &str| {
            format!(
                "'{{\"name\": \"Custom Nightly\", \"description\": \"Custom cleanup\",
                   \"operations\": [\"expired_tokens\", \"cached_data\"],
                   \"schedule\": {{\"minute\": \"{minute}\", \"hour\": \"3\", \"dayOfMonth\": \"*\", \"month\": \"*\",
                     \"dayOfWeek\": \"*\", \"timezone\": \"UTC\"}},
                   \"enabled\": true, \"options\": {{\"dryRun\": false, \"batchSize\": 1000, \"maxExecutionTime\": 1800}},
                   \"notifications\": {{\"onSuccess\": true, \"onFailure\": true, \"onWarnings\": true,
                     \"recipients\": [\"admin@example.com\"], \"channels\": [\"email\"]}}}}'"
            )
        };
        let schedules = format!("BASE/schedules\" {token} {json_type}");
        let made = type_in(&format!("curl -X POST {schedules} -d {}", custom("30")), "201");
        let own = format!("BASE/schedules/{}", made["id"].as_str().unwrap());
        let read = type_in(&format!("curl {own}\" {token}"), "200");
        assert!(read["next_run"].as_str().unwrap().contains("T03:30:00"), "{read:#}");
        let changed = type_in(&format!("curl -X PUT {own}\" {token} {json_type} -d {}", custom("45")), "200");
        assert!(changed["next_run"].as_str().unwrap().contains("T03:45:00"), "{changed:#}");
        // With its id at once, or with its report.
        let begun = type_in(&format!("curl -X POST {own}/run\" {token}"), "202");
        server.wait(begun["run_id"].as_str().unwrap());
        let ran = type_in(&format!("curl -X POST {own}/run?wait=true\" {token}"), "200");
        assert_eq!(
            (&ran["status"], &ran["metadata"]["dry_run"]),
            (&json!("completed"), &json!(true)),
            "W-067"
        );
        assert!(
            type_in(&format!("curl -X POST {own}/run?wait=false\" {token}"), "202")["run_id"].is_string()
        );
        type_in(&format!("curl -X POST {own}/run?wait=soon\" {token}"), "422");
        type_in(&format!("curl -X DELETE {own}\" {token}"), "204");
        type_in(&format!("curl {own}\" {token}"), "404");
        type_in("curl BASE?action=status\"", "401");
        type_in("curl BASE?action=status\" -H \"Authorization: Bearer wrong\"", "401");
    }
}

#[test]
fn the_calls_of_the_service_that_merges_work_as_they_are_typed() {
    // S3-033, S3-034, S3-035, S3-036, S3-037, X-13, A4, R4, R5, R5a, R5b
    let server = crate::api_cleanup::served(Place::sqlite());
    let type_in = |line: &str, status: &str| {
        let line = line.replace("BASE", "\"$API/api/cleanup");
        let (got, body) = typed(&server, &format!("{line} -H \"Authorization: Bearer $TOKEN\""));
        assert_eq!(got, status, "{line}: {body:#}");
        body
    };
    let has = |document: &Json, keys: &[&str]| {
        for key in keys {
            assert!(document.get(key).is_some(), "without {key}: {document:#}");
        }
    };
    let status = type_in("curl BASE/status\"", "200");
    has(&status, &["running", "started_at", "schedules", "statistics"]);
    has(
        &status["schedules"][0],
        &[
            "name",
            "enabled",
            "next_run",
            "last_run",
            "last_status",
            "alert_threshold",
            "max_applications",
            "dry_run_first",
        ],
    );
    let check = type_in("curl -X POST BASE/check\"", "200");
    has(&check, &["duplicates", "total", "threshold", "alert"]);
    has(&check["duplicates"][0], &["application_id", "count"]);
    let id = check["duplicates"][0]["application_id"].clone();
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    has(&type_in("curl -X POST BASE/verify\"", "200"), &["ok", "scope", "findings"]);
    let one = type_in(&format!("curl -X POST BASE/verify?application_id={id}\""), "200");
    has(&one["findings"][0], &["type", "application_id", "ids"]);
    let dry = type_in("curl -X POST BASE/cleanup?dry_run=true\"", "200");
    let done = type_in("curl -X POST BASE/cleanup?dry_run=false\"", "200");
    for report in [&dry, &done] {
        has(
            report,
            &[
                "dry_run",
                "applications_found",
                "applications_cleaned",
                "applications_failed",
                "folders_merged",
                "folders_moved",
                "folders_removed",
                "documents_moved",
                "documents_renamed",
                "results",
                "rollback_ids",
                "duration_seconds",
            ],
        );
    }
    has(
        &done["results"][0],
        &[
            "application_id",
            "kept_folder_id",
            "merged",
            "removed",
            "moved_documents",
            "rollback_id",
            "status",
            "errors",
        ],
    );
    assert_eq!((&dry["applications_found"], &done["applications_cleaned"]), (&json!(9), &json!(9)));
    let statistics = &type_in("curl BASE/status\"", "200")["statistics"];
    has(
        statistics,
        &[
            "total_runs",
            "successful_runs",
            "applications_cleaned",
            "folders_removed",
            "failed_runs",
            "last_run_at",
            "success_rate",
        ],
    );
    let point = done["rollback_ids"][0].as_str().unwrap();
    let back = type_in(&format!("curl -X POST BASE/rollback/{point}\""), "200");
    has(&back, &["success", "rollback_id", "restored_rows", "conflicts"]);
    type_in(&format!("curl -X POST BASE/rollback/{point}\""), "404");
}
