//! File stores: what the contract says holds for a folder and for a bucket, and each keeps its own promises.

use crate::s3_server::{S3Server, keys};
use backends::bucket::{Bucket, BucketOptions, Credentials};
use backends::local_files::LocalFiles;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use targets::db::{Class, Error};
use targets::files::{Files, failed};
use tempfile::TempDir;

/// Runs the same story on a folder, on a bucket, and on a bucket under a prefix.
fn on_every_store(story: impl Fn(&dyn Files)) {
    let folder = tempfile::tempdir().unwrap();
    story(&LocalFiles::new("folder", folder.path()));
    let server = S3Server::start();
    story(&server.bucket("s3://bucket"));
    let server = S3Server::start();
    fs::create_dir(server.folder.path().join("bucket/other")).unwrap();
    fs::write(server.folder.path().join("bucket/other/file"), "not ours").unwrap();
    story(&server.bucket("s3://bucket/our/prefix/"));
}

fn write(store: &dyn Files, name: &str, bytes: &[u8]) {
    let mut file = store.create(name).unwrap();
    file.write_all(bytes).unwrap();
    file.finish().unwrap();
}

fn read(store: &dyn Files, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.open(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn names(store: &dyn Files, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().into_iter().map(|file| file.name).collect()
}

fn refusal<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it was let through"),
        Err(error) => {
            assert!(error.help.is_some(), "no help with: {error}");
            error
        }
    }
}

/// Bytes that differ at every place a mistake could swap.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

#[test]
fn a_file_appears_whole_when_it_is_finished_and_not_before() {
    on_every_store(|store| {
        let mut file = store.create("a/b.txt").unwrap();
        file.write_all(b"hello ").unwrap();
        file.flush().unwrap();
        assert!(store.open("a/b.txt").is_err());
        assert_eq!(names(store, ""), [""; 0]);
        file.write_all(b"world").unwrap();
        file.finish().unwrap();
        assert_eq!(read(store, "a/b.txt"), b"hello world");

        let mut again = store.create("a/b.txt").unwrap();
        again.write_all(b"bye").unwrap();
        assert_eq!(read(store, "a/b.txt"), b"hello world");
        again.finish().unwrap();
        assert_eq!(read(store, "a/b.txt"), b"bye");
    });
}

#[test]
fn a_file_that_is_dropped_unfinished_leaves_nothing_and_spoils_nothing() {
    on_every_store(|store| {
        write(store, "kept", b"old");
        for name in ["kept", "new"] {
            let mut file = store.create(name).unwrap();
            file.write_all(b"half").unwrap();
            drop(file);
        }
        assert_eq!(read(store, "kept"), b"old");
        assert_eq!(names(store, ""), ["kept"]);
    });
}

#[test]
fn an_empty_file_is_a_file() {
    on_every_store(|store| {
        write(store, "empty", b"");
        assert_eq!(read(store, "empty"), b"");
        assert_eq!(store.list("").unwrap()[0].bytes, 0);
    });
}

// S1-078
#[test]
fn a_large_file_comes_back_to_the_bit() {
    on_every_store(|store| {
        let bytes = noise(35 * 1024 * 1024 + 17);
        let mut file = store.create("large.bin").unwrap();
        for piece in bytes.chunks(1_000_003) {
            file.write_all(piece).unwrap();
        }
        file.finish().unwrap();
        assert_eq!(store.list("large").unwrap()[0].bytes, bytes.len() as u64);
        assert!(read(store, "large.bin") == bytes, "other bytes came back");
    });
}

#[test]
fn a_file_of_exactly_one_part_comes_back_to_the_bit() {
    on_every_store(|store| {
        let bytes = noise(16 << 20);
        write(store, "part", &bytes);
        assert!(read(store, "part") == bytes, "other bytes came back");
    });
}

#[test]
fn listing_goes_by_the_beginning_of_the_name_in_the_order_of_names() {
    on_every_store(|store| {
        let before = now_us();
        for name in ["logs/b/2", "logs/a", "logs-old/x", "logs/b/10", "z", "logs/b.c"] {
            write(store, name, name.as_bytes());
        }
        assert_eq!(names(store, ""), ["logs-old/x", "logs/a", "logs/b.c", "logs/b/10", "logs/b/2", "z"]);
        assert_eq!(names(store, "logs/b"), ["logs/b.c", "logs/b/10", "logs/b/2"]);
        assert_eq!(names(store, "logs/b/"), ["logs/b/10", "logs/b/2"]);
        assert_eq!(names(store, "logs"), ["logs-old/x", "logs/a", "logs/b.c", "logs/b/10", "logs/b/2"]);
        assert_eq!(names(store, "nothing/here"), [""; 0]);
        assert_eq!(names(store, "../"), [""; 0]);
        let file = &store.list("logs/b/10").unwrap()[0];
        assert_eq!(file.bytes, 9);
        // Buckets tell whole seconds.
        assert!((before - 2_000_000..now_us() + 2_000_000).contains(&file.modified_us), "{file:?}");
    });
}

#[test]
fn removing_tells_whether_there_was_something() {
    on_every_store(|store| {
        write(store, "a/b", b"x");
        assert!(store.remove("a/b").unwrap());
        assert!(!store.remove("a/b").unwrap());
        assert!(!store.remove("never/was").unwrap());
        assert_eq!(names(store, ""), [""; 0]);
    });
}

#[test]
fn what_is_not_there_is_an_error_of_the_system_that_names_file_and_store() {
    on_every_store(|store| {
        let error = refusal(store.open("not/there"));
        assert_eq!(error.class, Class::System);
        assert_eq!(error.to_string(), format!("there is no file `not/there` in `{}`", store.label()));
    });
}

// W-042
#[test]
fn names_that_could_leave_the_store_are_refused_everywhere() {
    on_every_store(|store| {
        for name in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0", "a\nb"] {
            assert_eq!(refusal(store.create(name)).class, Class::Usage, "{name:?}");
            assert_eq!(refusal(store.open(name)).class, Class::Usage, "{name:?}");
            assert_eq!(refusal(store.remove(name)).class, Class::Usage, "{name:?}");
        }
    });
}

#[test]
fn any_other_name_is_just_a_name() {
    on_every_store(|store| {
        let odd =
            ["a b", "ü/漢字", "100%41=x", "q?x=1&y#z", "'\"`$(x)\\", "+plus+", "..a", "a..b", "~", "[x]{y}"];
        for name in odd {
            write(store, name, name.as_bytes());
        }
        for name in odd {
            assert_eq!(read(store, name), name.as_bytes(), "{name}");
        }
        let mut sorted: Vec<&str> = odd.to_vec();
        sorted.sort_unstable();
        assert_eq!(names(store, ""), sorted);
        for name in odd {
            assert!(store.remove(name).unwrap(), "{name}");
        }
        assert_eq!(names(store, ""), [""; 0]);
    });
}

#[test]
fn stores_may_be_used_by_several_threads_at_once() {
    on_every_store(|store| {
        std::thread::scope(|threads| {
            for thread in 0..4 {
                threads.spawn(move || {
                    for n in 0..10 {
                        let name = format!("{thread}/{n}");
                        write(store, &name, name.as_bytes());
                        assert_eq!(read(store, &name), name.as_bytes());
                    }
                });
            }
        });
        assert_eq!(store.list("").unwrap().len(), 40);
    });
}

#[test]
fn the_first_file_creates_a_missing_folder_and_reading_does_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let store = LocalFiles::new("folder", &folder);
    assert_eq!(names(&store, ""), [""; 0]);
    assert!(store.open("x").is_err());
    assert!(!store.remove("x").unwrap());
    assert!(!folder.exists());
    write(&store, "x", b"1");
    assert_eq!(read(&store, "x"), b"1");
    assert_eq!(mode(&folder), 0o700);
}

#[test]
fn a_folder_whose_parent_is_missing_is_an_error_with_the_command_that_helps() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("not mounted/store");
    let store = LocalFiles::new("folder", &folder);
    for error in [refusal(store.create("x")), refusal(store.list("")), refusal(store.open("x"))] {
        assert_eq!(error.class, Class::System);
        assert!(error.help.unwrap().starts_with("mkdir -p '"));
    }
    assert!(!parent.path().join("not mounted").exists());
}

#[test]
fn files_and_folders_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    write(&LocalFiles::new("folder", folder.path()), "a/b/c", b"x");
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&folder.path().join("a/b/c")), 0o600);
}

#[test]
fn symbolic_links_are_never_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
    symlink(outside.path().join("not yet"), folder.path().join("dangling")).unwrap();
    let store = LocalFiles::new("folder", folder.path());
    for name in ["out/secret", "file", "dangling", "out", "out/new"] {
        for error in [refusal(store.create(name)), refusal(store.open(name)), refusal(store.remove(name))] {
            assert!(error.to_string().contains("is a symbolic link"), "{name}: {error}");
        }
    }
    assert_eq!(names(&store, ""), [""; 0]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_link_in_the_place_of_the_part_being_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "whole").unwrap();
    symlink(outside.path().join("victim"), folder.path().join(".x.sexton-part")).unwrap();
    assert!(LocalFiles::new("folder", folder.path()).create("x").is_err());
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "whole");
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    let store = LocalFiles::new("folder", folder.path());
    for name in ["folder", "pipe"] {
        refusal(store.open(name));
        refusal(store.create(name));
        refusal(store.remove(name));
    }
    assert!(refusal(store.create("file/below")).to_string().contains("is not a folder"));
    assert_eq!(names(&store, ""), ["file"]);
}

#[test]
fn what_a_killed_process_left_is_not_listed_and_the_next_writer_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".x.sexton-part"), "left over, and longer than what comes").unwrap();
    let store = LocalFiles::new("folder", folder.path());
    assert_eq!(names(&store, ""), [""; 0]);
    write(&store, "x", b"new");
    assert_eq!(read(&store, "x"), b"new");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn two_writers_of_one_file_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFiles::new("folder", folder.path());
    let mut first = store.create("x").unwrap();
    first.write_all(b"first").unwrap();
    assert_eq!(refusal(store.create("x")).class, Class::Transient);
    first.finish().unwrap();
    assert_eq!(read(&store, "x"), b"first");
    write(&store, "x", b"second");
    assert_eq!(read(&store, "x"), b"second");
}

#[test]
fn a_reader_of_a_replaced_file_goes_on_reading_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFiles::new("folder", folder.path());
    write(&store, "x", &noise(100_000));
    let mut reader = store.open("x").unwrap();
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes).unwrap();
    write(&store, "x", b"new");
    reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes == noise(100_000), "two files were mixed");
}

#[test]
fn a_file_of_a_bucket_replaced_while_it_is_read_is_an_error_and_no_mixture() {
    let server = S3Server::start();
    let store = server.bucket("s3://bucket");
    write(&store, "x", &noise(12 << 20));
    let mut reader = store.open("x").unwrap();
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes).unwrap();
    let mut other = noise(12 << 20);
    other.reverse();
    write(&store, "x", &other);
    let error = failed("cannot restore", reader.read_to_end(&mut bytes).unwrap_err());
    assert_eq!(error.class, Class::Transient);
    assert_eq!(error.to_string(), "cannot restore: `x` in `bucket` was replaced while it was read");
}

#[test]
fn an_upload_that_is_dropped_takes_its_parts_back() {
    let server = S3Server::start();
    let store = server.bucket("s3://bucket");
    let mut file = store.create("large").unwrap();
    file.write_all(&noise(20 << 20)).unwrap();
    assert!(bytes_below(server.folder.path()) >= 16 << 20, "no part was sent before the end");
    drop(file);
    assert!(bytes_below(server.folder.path()) < 1 << 10, "parts were left");
}

#[test]
fn a_listing_longer_than_a_page_is_whole() {
    let server = S3Server::start();
    for n in 0..1203 {
        fs::write(server.folder.path().join(format!("bucket/{n:04}")), "x").unwrap();
    }
    let listed = names(&server.bucket("s3://bucket"), "");
    assert_eq!(listed.len(), 1203);
    assert!(listed.is_sorted());
}

#[test]
fn a_wrong_secret_and_a_missing_bucket_are_told_apart_and_nothing_secret_is_said() {
    let server = S3Server::start();
    let wrong = BucketOptions { credentials: keys("wrong and secret"), ..server.options() };
    assert!(!format!("{wrong:?}").contains("wrong and secret"));
    let wrong = Bucket::new("bucket", "s3://bucket", wrong).unwrap();
    for error in [refusal(wrong.list("")), refusal(wrong.open("x")), refusal(wrong.remove("x"))] {
        assert_eq!(error.class, Class::System);
        assert!(error.help.as_deref().unwrap().contains("check key, secret and region"), "{error:?}");
        assert!(!format!("{error:?}").contains("wrong and secret"));
    }
    let mut file = wrong.create("x").unwrap();
    file.write_all(b"x").unwrap();
    assert_eq!(refusal(file.finish()).class, Class::System);

    let nobody = BucketOptions { credentials: Credentials::Anonymous, ..server.options() };
    let nobody = Bucket::new("bucket", "s3://bucket", nobody).unwrap();
    assert_eq!(refusal(nobody.list("")).class, Class::System);

    let missing = refusal(server.bucket("s3://elsewhere").list(""));
    assert!(missing.help.unwrap().contains("bucket `elsewhere` does not exist"));
}

#[test]
fn a_service_that_does_not_answer_is_worth_another_try() {
    let options = S3Server::start().options();
    let store = Bucket::new("bucket", "s3://bucket", options).unwrap();
    assert_eq!(refusal(store.list("")).class, Class::Transient);
    assert_eq!(refusal(store.remove("x")).class, Class::Transient);
    let mut file = store.create("x").unwrap();
    let error = file.write_all(&noise(16 << 20)).unwrap_err();
    assert_eq!(failed("cannot archive", error).class, Class::Transient);
}

#[test]
fn wrong_addresses_of_buckets_are_refused_with_an_example() {
    let plain =
        |endpoint: &str| BucketOptions { endpoint: Some(endpoint.into()), ..BucketOptions::default() };
    for url in
        ["bucket", "s3://", "http://bucket", "s3:///x", "s3://a b", "s3://bucket/../x", "s3://k:s@bucket"]
    {
        assert_eq!(refusal(Bucket::new("b", url, BucketOptions::default())).class, Class::Usage, "{url}");
    }
    for endpoint in ["localhost:9000", "ftp://x", "https://", "https://key:secret@x", "https://x?y"] {
        let error = refusal(Bucket::new("b", "s3://bucket", plain(endpoint)));
        assert!(!error.to_string().contains("secret"));
    }
    let open = refusal(Bucket::new("b", "s3://bucket", plain("http://x")));
    assert!(open.help.unwrap().contains("allow_http"));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

fn bytes_below(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => bytes_below(&entry.path()),
            false => entry.metadata().unwrap().size(),
        })
        .sum()
}

#[test]
fn a_store_may_itself_be_reached_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let links: TempDir = tempfile::tempdir().unwrap();
    let link = links.path().join("store");
    symlink(folder.path(), &link).unwrap();
    write(&LocalFiles::new("folder", &link), "a/x", b"1");
    assert_eq!(fs::read(folder.path().join("a/x")).unwrap(), b"1");
}
