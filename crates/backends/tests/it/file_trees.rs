//! Walking, moving and removing in file stores: the same in a folder and in a bucket, and never through a link.

use crate::s3_server::{S3Server, keys};
use backends::bucket::{Bucket, BucketOptions};
use backends::local_files::LocalFiles;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use targets::files::{About, Files, Moved, Sort};

fn on_every_store(story: impl Fn(&dyn Files)) {
    let folder = tempfile::tempdir().unwrap();
    story(&LocalFiles::new("folder", folder.path()));
    let server = S3Server::start();
    story(&server.bucket("s3://bucket"));
    let server = S3Server::start();
    fs::create_dir_all(server.folder.path().join("bucket/other")).unwrap();
    fs::write(server.folder.path().join("bucket/other/file"), "not ours").unwrap();
    story(&server.bucket("s3://bucket/our/prefix/"));
}

fn write(store: &dyn Files, name: &str, text: &str) {
    let mut file = store.create(name).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

fn read(store: &dyn Files, name: &str) -> String {
    let mut text = String::new();
    store.open(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Everything below a folder, but for `passed` and what is in it.
fn walked(store: &dyn Files, folder: &str, passed: &str) -> BTreeMap<String, About> {
    let mut all = BTreeMap::new();
    store
        .walk(folder, &mut |name, about| {
            if name == passed {
                return Ok(false);
            }
            assert!(all.insert(name.to_owned(), about.unwrap()).is_none(), "{name} came twice");
            Ok(true)
        })
        .unwrap();
    all
}

fn names(store: &dyn Files, folder: &str, passed: &str) -> Vec<String> {
    walked(store, folder, passed).into_keys().collect()
}

#[test]
fn a_walk_comes_across_every_file_and_folder_and_passes_what_it_is_told_to() {
    on_every_store(|store| {
        for name in ["a/b/1", "a/b/2", "a/b.c", "a-b/3", "4", "a/b/c/d/5"] {
            write(store, name, name);
        }
        let all =
            ["4", "a", "a-b", "a-b/3", "a/b", "a/b.c", "a/b/1", "a/b/2", "a/b/c", "a/b/c/d", "a/b/c/d/5"];
        assert_eq!(names(store, "", ""), all);
        assert_eq!(names(store, "a/b", ""), ["a/b/1", "a/b/2", "a/b/c", "a/b/c/d", "a/b/c/d/5"]);
        assert_eq!(names(store, "", "a/b"), ["4", "a", "a-b", "a-b/3", "a/b.c"]);
        let about = walked(store, "", "")["a/b.c"];
        assert_eq!((about.sort, about.bytes), (Sort::File, 5));
        assert_eq!(store.look("a/b.c").unwrap(), Some(about));
        assert_eq!(store.look("a/b").unwrap().map(|about| about.sort), Some(Sort::Folder));
        assert_eq!(store.look("a/x").unwrap(), None);
        assert!(!store.walk("nowhere", &mut |_, _| Ok(true)).unwrap());
    });
}

#[test]
fn a_move_takes_a_file_or_a_whole_folder_and_overwrites_nothing() {
    on_every_store(|store| {
        for name in ["a/1", "a/b/2", "c"] {
            write(store, name, name);
        }
        assert_eq!(store.move_to("c", "deep/er/c").unwrap(), Moved::Done);
        assert_eq!(read(store, "deep/er/c"), "c");
        assert_eq!(store.move_to("c", "elsewhere").unwrap(), Moved::Missing);
        write(store, "c", "another");
        assert_eq!(store.move_to("c", "deep/er/c").unwrap(), Moved::Taken);
        assert_eq!((read(store, "c"), read(store, "deep/er/c")), ("another".into(), "c".into()));
        assert_eq!(store.move_to("a", "q/a").unwrap(), Moved::Done);
        assert_eq!(names(store, "q", ""), ["q/a", "q/a/1", "q/a/b", "q/a/b/2"]);
        assert_eq!(store.look("a").unwrap(), None);
        store.settle(&["a", "q/a"]).unwrap();
        for bad in ["../x", "/x", ""] {
            assert!(store.move_to("c", bad).is_err() && store.move_to(bad, "d").is_err());
        }
    });
}

#[test]
fn a_tree_goes_with_the_folders_above_it_that_it_leaves_empty() {
    on_every_store(|store| {
        for name in ["q/one/x/1", "q/one/2", "q/two/3", "kept"] {
            write(store, name, name);
        }
        assert!(store.remove_tree("q/one").unwrap());
        assert!(!store.remove_tree("q/one").unwrap());
        assert_eq!(names(store, "", ""), ["kept", "q", "q/two", "q/two/3"]);
        assert!(store.remove_tree("q/two").unwrap());
        assert_eq!(names(store, "", ""), ["kept"]);
    });
}

#[test]
fn an_interrupted_move_of_a_folder_in_a_bucket_is_gone_on_with() {
    let server = S3Server::start();
    let store = server.bucket("s3://bucket");
    for name in ["a/1", "a/2", "q/a/1"] {
        write(&store, name, &name[name.len() - 1..]);
    }
    assert_eq!(store.move_to("a", "q/a").unwrap(), Moved::Done);
    assert_eq!(names(&store, "", ""), ["q", "q/a", "q/a/1", "q/a/2"]);
    write(&store, "a/1", "other");
    assert_eq!(store.move_to("a", "q/a").unwrap(), Moved::Taken);
    assert_eq!((read(&store, "a/1"), read(&store, "q/a/1")), ("other".into(), "1".into()));
}

// W-023
#[test]
fn links_are_told_never_followed_and_removed_as_links() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("inner")).unwrap();
    fs::write(outside.path().join("inner/secret"), "secret").unwrap();
    let store = LocalFiles::new("folder", folder.path());
    write(&store, "a/1", "one");
    symlink(outside.path(), folder.path().join("a/out")).unwrap();
    symlink(outside.path().join("inner/secret"), folder.path().join("a/file")).unwrap();
    symlink("../a", folder.path().join("a/round")).unwrap();
    let all = walked(&store, "", "");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "a/1", "a/file", "a/out", "a/round"]);
    assert!(
        ["a/file", "a/out", "a/round"]
            .iter()
            .all(|name| (all[*name].sort, all[*name].bytes) == (Sort::Link, 0))
    );
    assert!(store.look("a/out/inner").is_err());
    assert!(store.walk("a/out", &mut |_, _| Ok(true)).is_err());
    for (from, to) in [("a/out/inner/secret", "x"), ("a/1", "a/out/1"), ("a/file", "x"), ("a/out", "x")] {
        assert!(store.move_to(from, to).is_err(), "{from} was moved to {to}");
    }
    assert!(store.remove_tree("a/out/inner").is_err());
    assert!(store.remove_tree("a").unwrap());
    assert_eq!(fs::read_to_string(outside.path().join("inner/secret")).unwrap(), "secret");
    assert_eq!(names(&store, "", ""), [""; 0]);
}

#[test]
fn a_move_within_a_folder_keeps_times_to_the_nanosecond() {
    // W-025
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFiles::new("folder", folder.path());
    write(&store, "a/1", "one");
    let before = fs::metadata(folder.path().join("a/1")).unwrap();
    store.move_to("a/1", "q/w/1").unwrap();
    store.move_to("q/w/1", "a/1").unwrap();
    let after = fs::metadata(folder.path().join("a/1")).unwrap();
    assert_eq!(
        (before.mtime(), before.mtime_nsec(), before.ino()),
        (after.mtime(), after.mtime_nsec(), after.ino())
    );
}

#[test]
fn names_that_cannot_be_spoken_of_are_told_as_something_else() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
    fs::write(folder.path().join("line\nend"), "").unwrap();
    let store = LocalFiles::new("folder", folder.path());
    let all = walked(&store, "", "");
    assert_eq!(all.len(), 2);
    assert!(all.values().all(|about| about.sort == Sort::Other));
}

#[test]
fn the_names_of_one_file_are_known_to_be_one() {
    // W-026
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFiles::new("folder", folder.path());
    write(&store, "a", "one");
    write(&store, "b", "two");
    fs::hard_link(folder.path().join("a"), folder.path().join("c")).unwrap();
    let all = walked(&store, "", "");
    assert!(all["a"].shared.is_some() && all["a"].shared == all["c"].shared && all["b"].shared.is_none());
}

#[test]
fn a_store_says_what_stands_before_its_names() {
    // W-018
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, folder.path().join("alias")).unwrap();
    let store = LocalFiles::new("folder", folder.path().join("alias"));
    write(&store, "a/1", "one");
    let roots = store.roots();
    assert!(roots.contains(&real.display().to_string()), "{roots:?}");
    assert!(roots.contains(&folder.path().join("alias").display().to_string()), "{roots:?}");
    assert_eq!(store.locate(&format!("{}/a/../a/1", real.display())), Some("a/1".into()));
    assert_eq!(store.locate("/etc/passwd"), None);
    let server = S3Server::start();
    assert_eq!(server.bucket("s3://bucket/some/prefix/").roots(), ["s3://bucket/some/prefix"]);
}

/// Enough folders and files that threads share the work: many small folders, a deep one and a flat one.
fn forest() -> (tempfile::TempDir, LocalFiles) {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..100 {
        fs::create_dir_all(folder.path().join(format!("many/{n}/deeper"))).unwrap();
        fs::write(folder.path().join(format!("many/{n}/deeper/file")), "12345").unwrap();
    }
    fs::create_dir_all(folder.path().join("deep").join(["x/"; 60].concat())).unwrap();
    fs::create_dir_all(folder.path().join("flat")).unwrap();
    for n in 0..1_500 {
        fs::write(folder.path().join(format!("flat/{n}")), "1").unwrap();
    }
    symlink("/", folder.path().join("many/7/root")).unwrap();
    let store = LocalFiles::new("folder", folder.path());
    (folder, store)
}

#[test]
fn a_large_tree_is_walked_whole_and_each_folder_comes_before_what_is_in_it() {
    let (_folder, store) = forest();
    let mut seen = BTreeMap::new();
    store
        .walk("", &mut |name, about| {
            if let Some((above, _)) = name.rsplit_once('/') {
                assert!(seen.contains_key(above), "{name} came before its folder");
            }
            assert!(seen.insert(name.to_owned(), about.unwrap()).is_none(), "{name} came twice");
            Ok(true)
        })
        .unwrap();
    let count = |sort: Sort| seen.values().filter(|about| about.sort == sort).count();
    assert_eq!((count(Sort::File), count(Sort::Folder), count(Sort::Link)), (1_600, 1 + 200 + 61 + 1, 1));
    assert_eq!(seen.values().map(|about| about.bytes).sum::<u64>(), 1_500 + 100 * 5);
    assert_eq!(seen, walked(&store, "", ""), "another walk sees something else");
    assert_eq!(names(&store, "many", "many/3").len(), 200 - 2 + 100 - 1 + 1);
}

#[test]
fn a_walk_ends_with_the_error_or_the_panic_of_the_one_who_is_told() {
    let (_folder, store) = forest();
    let mut told = 0;
    let stopped = store.walk("", &mut |_, _| {
        told += 1;
        if told == 1_200 { Err(targets::db::Error::data("enough")) } else { Ok(true) }
    });
    assert_eq!(stopped.unwrap_err().what, "enough");
    let walk = std::panic::AssertUnwindSafe(|| {
        store.walk("", &mut |name, _| if name == "flat/1499" { panic!("told") } else { Ok(true) })
    });
    assert!(std::panic::catch_unwind(walk).is_err());
}

#[test]
fn a_tree_that_shrinks_while_it_is_walked_is_walked_to_its_end() {
    let (folder, store) = forest();
    let mut told = 0;
    let mut missed = Vec::new();
    let walked = store.walk("", &mut |name, about| {
        told += 1;
        if told == 100 {
            for n in 0..100 {
                fs::remove_dir_all(folder.path().join(format!("many/{n}"))).unwrap();
            }
        }
        missed.extend(about.err().map(|error| format!("{name}: {error}")));
        Ok(true)
    });
    assert!(walked.unwrap() && told > 1_500);
    assert_eq!(missed, Vec::<String>::new(), "what vanishes is no error");
}

/// The least that a service takes as a part that is not the last.
const FIVE: usize = 5 << 20;

#[test]
fn an_object_too_large_for_one_request_is_copied_in_parts() {
    let server = S3Server::start();
    let options = || BucketOptions { largest_copy: FIVE as u64, ..server.options() };
    let store = Bucket::new("bucket", "s3://bucket/a b", options()).unwrap();
    let text: String = (0..2 * FIVE + 7).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    for size in [FIVE, FIVE + 1, 2 * FIVE, 2 * FIVE + 7] {
        write(&store, "large ü+%41.bin", &text[..size]);
        assert_eq!(store.move_to("large ü+%41.bin", "moved/there").unwrap(), Moved::Done, "{size}");
        assert!(read(&store, "moved/there") == text[..size], "{size}");
        assert_eq!(store.look("large ü+%41.bin").unwrap(), None);
        assert!(store.remove("moved/there").unwrap());
    }
    write(&store, "large", &text);
    let wrong = BucketOptions { credentials: keys("another secret"), ..options() };
    let stranger = Bucket::new("bucket", "s3://bucket/a b", wrong).unwrap();
    assert!(stranger.move_to("large", "moved").is_err());
    assert!(read(&store, "large") == text);
}
