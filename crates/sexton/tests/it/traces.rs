//! Traces of runs, read by what receivers of OpenTelemetry read them with.

use crate::api::Server;
use crate::fuzz::python;
use crate::kit::{CONFIG, Desk};
use serde_json::{Value as Json, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use testkit::{Call, HttpSink};

const READ: &str = "import json, sys
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
body = open(sys.argv[1], 'rb').read()
request = ExportTraceServiceRequest.FromString(body)
assert request.SerializeToString() == body, 'it is not written as others write it'
print(json.dumps(MessageToDict(request)))";

/// The spans of a call, as the library of OpenTelemetry reads them.
fn spans(desk: &Desk, call: &Call) -> Vec<Json> {
    assert_eq!(
        (call.what.as_str(), call.header("content-type"), call.header("authorization")),
        ("POST /v1/traces", Some("application/x-protobuf"), Some("Bearer s3cr3t"))
    );
    let file = desk.file("trace");
    std::fs::write(&file, &call.bytes).unwrap();
    let read = python("python3").arg("-c").arg(READ).arg(&file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let request: Json = serde_json::from_slice(&read.stdout).unwrap();
    let resource = &request["resourceSpans"][0];
    assert_eq!(said(&resource["resource"], "service.name"), &json!({"stringValue": "sexton"}));
    resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn said<'a>(of: &'a Json, key: &str) -> &'a Json {
    let all = of["attributes"].as_array().unwrap();
    &all.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("no {key}: {of}"))["value"]
}

fn named<'a>(spans: &'a [Json], name: &str) -> &'a Json {
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name}: {spans:?}"))
}

fn traced() -> (Desk, HttpSink) {
    let (mut desk, sink) = (Desk::ready(), HttpSink::start());
    desk.set("OTLP_TOKEN", "s3cr3t");
    let more = "[operation.copy]\nkind = \"backup\"\n[telemetry]\nheaders = { authorization = \"Bearer ${OTLP_TOKEN}\" }\n";
    let config = format!("{CONFIG}{more}otlp = \"{}\"\n", sink.url("/"));
    desk.write("sexton.toml", &config.replace("[operation.logs]\n", "[operation.logs]\nbackup = true\n"));
    (desk, sink)
}

#[test]
fn a_run_is_a_trace_of_its_plan_guard_backup_batches_and_verification() {
    // S3-046
    let (desk, sink) = traced();
    let ran = desk.sexton("run logs --yes --batch-size 50").ends(0);
    let correlation =
        desk.sexton("runs list --output json").ends(0).json()["runs"][0]["correlation_id"].clone();
    let calls = sink.take();
    assert_eq!(calls.len(), 1, "{}", ran.shown());
    let spans = spans(&desk, &calls[0]);
    let root = named(&spans, "run logs");
    assert!(root.get("parentSpanId").is_none() && root["status"]["code"] == "STATUS_CODE_OK", "{root}");
    assert_eq!(said(root, "sexton.correlation_id"), &json!({ "stringValue": correlation }));
    assert_eq!(said(root, "sexton.rows"), &json!({"intValue": "311"}));
    assert_eq!(said(root, "sexton.dry_run"), &json!({"boolValue": false}));
    let operation = named(&spans, "logs");
    assert_eq!(operation["parentSpanId"], root["spanId"]);
    assert_eq!(said(operation, "db.system.name"), &json!({"stringValue": "sqlite"}));
    assert_eq!(named(&spans, "plan")["parentSpanId"], root["spanId"]);
    for phase in ["lock", "guard", "backup", "batches", "verify"] {
        assert_eq!(named(&spans, phase)["parentSpanId"], operation["spanId"], "{phase}");
    }
    let batches = named(&spans, "batches");
    let each: Vec<&Json> = spans.iter().filter(|span| span["parentSpanId"] == batches["spanId"]).collect();
    let rows = |span: &Json| said(span, "sexton.rows")["intValue"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((each.len(), each.iter().map(|span| rows(span)).sum::<u64>()), (7, 311));
    // Each lies in what it is a part of, and all are of one trace.
    let at = |span: &Json, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    for span in &spans {
        let (from, to) = (at(span, "startTimeUnixNano"), at(span, "endTimeUnixNano"));
        assert!(from <= to && span["traceId"] == root["traceId"], "{span}");
        if let Some(parent) = spans.iter().find(|one| one["spanId"] == span["parentSpanId"]) {
            // A batch is measured by itself, so it may seem to begin a little before.
            let slack = 50_000_000;
            assert!(
                at(parent, "startTimeUnixNano") <= from + slack && to <= at(parent, "endTimeUnixNano"),
                "{span} {parent}"
            );
        }
    }
    let ids: std::collections::BTreeSet<&str> =
        spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len(), "an id twice");

    // What fails says why, what was looked at only says so, and an undo is a run as well.
    desk.sexton("undo latest --yes").ends(0);
    desk.place
        .script("create trigger no before delete on session begin select raise(abort, 'not these'); end;");
    desk.sexton("run sessions --yes --force").ends(1);
    let calls = sink.take();
    let traces: Vec<Vec<Json>> = calls.iter().map(|call| self::spans(&desk, call)).collect();
    assert_eq!(traces.len(), 2);
    assert_eq!(named(&traces[0], "batches")["traceId"], traces[0][0]["traceId"]);
    let failed = named(&traces[1], "run sessions");
    assert!(
        failed["status"]["code"] == "STATUS_CODE_ERROR"
            && failed["status"]["message"].as_str().unwrap().contains("not these"),
        "{failed}"
    );
    assert!(traces[1].iter().any(|span| span["events"][0]["name"] == "failed"), "{:?}", traces[1]);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn a_run_that_is_gone_on_with_is_one_trace_and_a_long_one_stays_small() {
    let (desk, sink) = traced();
    let stopped = "run logs --yes --batch-size 1 --max-rows 250";
    desk.sexton(stopped).ends(4);
    let first = spans(&desk, &sink.take()[0]);
    let batches = named(&first, "batches");
    let each: Vec<&Json> = first.iter().filter(|span| span["parentSpanId"] == batches["spanId"]).collect();
    assert!(each.len() <= 100 && each[0]["name"] == "batches 1 to 3", "{} {:?}", each.len(), each[0]);
    assert!(first.iter().any(|span| span["events"][0]["name"] == "stopped"), "{first:?}");
    desk.sexton("resume latest --yes --max-rows 1000").ends(0);
    let second = spans(&desk, &sink.take()[0]);
    let (one, other) = (named(&first, "run logs"), named(&second, "run logs"));
    assert!(one["traceId"] == other["traceId"] && one["spanId"] != other["spanId"], "{one} {other}");
    let rows = |spans: &[Json]| {
        let own = spans.iter().filter(|span| span["name"].as_str().unwrap().starts_with("batch "));
        own.count()
    };
    assert_eq!(rows(&second), 61);
}

#[test]
fn a_receiver_that_is_away_or_hangs_fails_no_run_and_slows_none() {
    let (mut desk, sink) = traced();
    sink.answers(500);
    let ran = desk.sexton("run sessions --yes").ends(0);
    assert!(ran.stderr.contains("traces are not taken") && !ran.stderr.contains("s3cr3t"), "{}", ran.shown());
    // It takes the connection and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("otlp = \"http://{}\"", deaf.local_addr().unwrap());
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    let own = format!("otlp = \"{}\"", sink.url("/"));
    desk.write("sexton.toml", &config.replace(&own, &at));
    testkit::quickly(Duration::from_secs(8), || desk.sexton("run sessions --yes").ends(0));
    // Nobody is there.
    desk.write("sexton.toml", &config.replace(&own, "otlp = \"http://127.0.0.1:1\""));
    desk.sexton("run sessions --yes").ends(0);
    for (wrong, told) in
        [("otlp = \"collector:4318\"", "no address on the web"), ("otlp = \"${NOSUCH}\"", "NOSUCH")]
    {
        desk.write("sexton.toml", &config.replace(&own, wrong));
        assert!(desk.sexton("config check").ends(2).stderr.contains(told), "{wrong}");
    }
    // Runs over the API are traced like any other.
    sink.answers(200);
    sink.take();
    desk.set("RUST_LOG", "warn");
    desk.write("sexton.toml", &config);
    let server = Server::of(desk, "run");
    let begun = server.send("POST", "/api/v1/runs", &json!({"operations": ["sessions"]}), &[]).json();
    server.wait(begun["run_id"].as_str().unwrap());
    let began = Instant::now();
    let calls = loop {
        let calls = sink.take();
        if !calls.is_empty() {
            break calls;
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    };
    let spans = spans(&server.desk, &calls[0]);
    assert_eq!(said(named(&spans, "run sessions"), "sexton.trigger"), &json!({"stringValue": "api"}));
}
