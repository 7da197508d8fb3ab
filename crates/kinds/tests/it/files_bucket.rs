//! `files` over a bucket: the same as over a folder, but for the times of what was moved.

use crate::files_kit::*;
use crate::s3_server::S3Server;
use crate::stage::Stage;
use engine::Status;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use targets::files::Files;
use testkit::Place;

struct InBucket(Arc<S3Server>);

impl engine::Stores for InBucket {
    fn store(&self, _name: &str) -> engine::Result<Arc<dyn Files>> {
        Ok(Arc::new(self.0.bucket("s3://bucket/app")))
    }
}

/// Names and sizes of all objects but Sexton's own.
fn objects(store: &dyn Files) -> BTreeMap<String, u64> {
    let files = store.list("").unwrap().into_iter();
    files.filter(|file| !file.name.starts_with(".sexton")).map(|file| (file.name, file.bytes)).collect()
}

#[test]
fn orphans_of_a_bucket_go_and_come_back() {
    //
    for place in [Place::sqlite(), Place::postgres()] {
        let server = Arc::new(S3Server::start());
        let folder: &Path = &server.folder.path().join("bucket/app");
        stock(folder);
        let stage = Stage::new(place).storing(Arc::new(InBucket(Arc::clone(&server))));
        stage.place.script2(SQLITE, POSTGRES);
        stage.place.script(ROWS);
        stage.place.script(
            "insert into planners (planner_id, variable_file_paths) values ('planner-3', '[\"s3://bucket/app/planner-1/x.json\"]')",
        );
        let store = server.bucket("s3://bucket/app");
        let before = objects(&store);
        let plan = stage.plan_files(options(json!({})));
        let wanted = [
            "planner-1/images/lost.b64",
            "planner-1/variables/lost.pkl",
            "planner-2/variables/gone.pkl",
            "planner-9",
        ];
        assert_eq!(all_found(&plan), wanted);
        assert_eq!(objects(&store), before);
        let report = stage.run_planned(&plan);
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 4), "{report:#?}");
        assert_eq!(objects(&store).len(), before.len() - 5, "planner-9 is two objects");
        assert_eq!(report.operations[0].result.as_ref().unwrap()["cleanup"]["total_space_freed"], 1_374);
        let undone = stage.undo(&report.run_id);
        assert_eq!(
            (undone.status, undone.operations[0].rows_restored),
            (Status::Completed, 4),
            "{undone:#?}"
        );
        assert_eq!(objects(&store), before);
        testkit::story::forget(&stage.engine());
        assert!(store.list(".sexton-quarantine").unwrap().is_empty());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    }
}
