//! Backups in a bucket.

use crate::s3_server::S3Server;
use backends::bucket::Bucket;
use engine::backup::Proof;
use engine::{Manners, Status, Stop};
use serde_json::json;
use std::sync::Arc;
use testkit::{Workshop, both, story};

#[test]
fn a_backup_in_a_bucket_is_taken_checked_and_restored() {
    // S1-078
    both(|place| {
        place.script2(
            "create table t (id integer primary key, x text); insert into t values (1, 'one'), (2, 'two')",
            "create table t (id int primary key, x text); insert into t values (1, 'one'), (2, 'two')",
        );
        let server = S3Server::start();
        let bucket = Bucket::new("store", "s3://bucket/copies", server.options()).unwrap();
        let workshop = Workshop::new(place, kinds::catalogue()).keeping(Arc::new(bucket));
        let engine = workshop.also_at(place.admin_database());
        let manners = Manners { min_free_disk_mb: 0, ..Manners::default() };
        let request = story::request("backup", json!({}), manners, false);
        let report = engine.run(&engine.plan(&request).unwrap(), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let taken = report.backup.unwrap();
        let name = taken.path.split_once('/').unwrap().1;
        let object = std::fs::read(server.folder.path().join("bucket/copies").join(name)).unwrap();
        assert_eq!(object.len() as u64, taken.size_bytes);
        let backup = engine.find_backup("latest", Some("test")).unwrap();
        assert_eq!(engine.check_backup(backup.clone(), Proof::Quick).unwrap().failure, None);
        assert_eq!(engine.drill(&backup, "tester").unwrap().rows, 2);
    });
}
