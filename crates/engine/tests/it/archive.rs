//! Archives in a real folder: what goes in comes out to the bit, and whatever is changed is found.

use backends::local_files::LocalFiles;
use engine::archive::{
    ArchivedColumn, Format, Header, Manifest, SCHEMA_VERSION, Writer, Written, file_name, inspect, read,
    verify,
};
use proptest::prelude::*;
use std::fs;
use std::io::{Read as _, Write as _};
use targets::db::{Class, Family, Result, Row, TableName, Value};
use targets::files::Files;
use tempfile::TempDir;

const FORMATS: [Format; 2] = [Format::JsonLines, Format::Parquet];

struct Store {
    folder: TempDir,
    files: LocalFiles,
}

fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let files = LocalFiles::new("archive", folder.path());
    Store { folder, files }
}

impl Store {
    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn write(&self, format: Format, batch: u64, header: Header, rows: &[Row]) -> Written {
        let name = file_name(format, "logs", &header.table, "7f3", batch);
        let mut writer = Writer::begin(&self.files, &name, format, header).unwrap();
        rows.iter().for_each(|row| writer.row(row.clone()).unwrap());
        writer.finish().unwrap()
    }

    fn read(&self, name: &str) -> Result<(Header, Vec<Row>)> {
        let mut rows = Vec::new();
        let header = read(&self.files, name, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok((header, rows))
    }

    /// The message of the error that reading ends with.
    fn complaint(&self, name: &str) -> String {
        let error = self.read(name).expect_err("a damaged archive was read");
        assert_eq!(error.class, Class::System);
        assert!(error.help.is_some(), "no help with: {error}");
        error.to_string()
    }
}

fn header(names: &[&str]) -> Header {
    let column = |name: &&str| ArchivedColumn {
        name: (*name).to_owned(),
        declared: "text".to_owned(),
        family: Family::Text,
    };
    Header {
        schema_version: SCHEMA_VERSION,
        run: "7f3".to_owned(),
        operation: "logs".to_owned(),
        database: "main".to_owned(),
        engine: "sqlite".to_owned(),
        table: TableName::bare("log"),
        columns: names.iter().map(column).collect(),
        batch: 1,
        created_at: "2026-11-20T03:00:00Z".to_owned(),
    }
}

fn plain_rows(count: i64) -> Vec<Row> {
    (0..count).map(|n| vec![Value::Int(n), Value::Text(format!("line {n}")), Value::Null]).collect()
}

/// `Value` compares floats as numbers; here every bit counts.
fn bits(rows: &[Row]) -> String {
    let bits = |value: &Value| match value {
        Value::Real(number) => format!("Real({:016x})", number.to_bits()),
        value => format!("{value:?}"),
    };
    rows.iter().map(|row| row.iter().map(bits).collect::<Vec<_>>().join(",") + "\n").collect()
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Real(f64::from_bits(bits))),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), Just(1.0)]
            .prop_map(Value::Real),
        any::<String>().prop_map(Value::Text),
        prop_oneof![Just("{\"$blob\":\"AA==\"}"), Just("null"), Just("a\0b\u{2028}")].prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::Blob),
        any::<Vec<u8>>().prop_map(Value::BrokenText),
        (any::<u32>(), any::<Vec<u8>>()).prop_map(|(type_id, bytes)| Value::Raw { type_id, bytes }),
    ]
}

/// Values of one sort (as most columns hold) or of all.
fn any_column(rows: usize) -> impl Strategy<Value = Vec<Value>> {
    let some = |strategy: BoxedStrategy<Value>| {
        prop::collection::vec(prop_oneof![1 => Just(Value::Null), 4 => strategy], rows)
    };
    prop_oneof![
        some(any::<i64>().prop_map(Value::Int).boxed()),
        some(any::<u64>().prop_map(|bits| Value::Real(f64::from_bits(bits))).boxed()),
        some(any::<bool>().prop_map(Value::Bool).boxed()),
        some(any::<String>().prop_map(Value::Text).boxed()),
        some(any::<Vec<u8>>().prop_map(Value::Blob).boxed()),
        some(Just(Value::Null).boxed()),
        some(any_value().boxed()),
    ]
}

fn any_family() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![
        Family::Integer,
        Family::Real,
        Family::Bool,
        Family::Blob,
        Family::Json,
        Family::Any,
    ])
}

fn any_archive() -> impl Strategy<Value = (Header, Vec<Row>)> {
    let names = prop::collection::btree_set(any::<String>(), 0..5);
    (names, 0_usize..20).prop_flat_map(|(names, count)| {
        let columns: Vec<_> = names.iter().map(|_| any_column(count)).collect();
        let families = prop::collection::vec(any_family(), names.len());
        (Just(names), columns, families).prop_map(move |(names, columns, families)| {
            let mut header = header(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for (column, family) in header.columns.iter_mut().zip(families) {
                column.family = family;
            }
            let rows = (0..count).map(|n| columns.iter().map(|column| column[n].clone()).collect()).collect();
            (header, rows)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // S1-079
    #[test]
    fn any_rows_come_back_to_the_bit((header, rows) in any_archive()) {
        let store = store();
        for format in FORMATS {
            let written = store.write(format, 1, header.clone(), &rows);
            prop_assert_eq!(written.rows, rows.len() as u64);
            verify(&store.files, &written.name, &written).unwrap();
            let (read_header, read_rows) = store.read(&written.name).unwrap();
            prop_assert_eq!(&read_header, &header);
            prop_assert_eq!(bits(&read_rows), bits(&rows));
        }
    }
}

// W-058
#[test]
fn a_flipped_bit_in_any_byte_is_found_by_reading_alone() {
    let store = store();
    for format in FORMATS {
        let written = store.write(format, 1, header(&["id", "text", "none"]), &plain_rows(30));
        let whole = store.bytes(&written.name);
        for at in 0..whole.len() {
            for bit in [at % 8, (at + 3) % 8] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1_u8 << bit;
                store.put(&written.name, &bytes);
                let complaint = store.complaint(&written.name);
                assert!(complaint.contains(&written.name), "{complaint}");
            }
        }
    }
}

// W-058
#[test]
fn a_file_cut_off_anywhere_is_found_by_reading_alone() {
    let store = store();
    for format in FORMATS {
        let written = store.write(format, 1, header(&["id", "text", "none"]), &plain_rows(30));
        let whole = store.bytes(&written.name);
        for length in 0..whole.len() {
            store.put(&written.name, &whole[..length]);
            let complaint = store.complaint(&written.name);
            assert!(complaint.contains(&written.name), "{complaint}");
        }
    }
}

// S1-079
#[test]
fn a_json_archive_is_one_header_line_and_one_object_per_row() {
    let store = store();
    let written = store.write(Format::JsonLines, 1, header(&["id", "text", "none"]), &plain_rows(3));
    assert_eq!(written.name, "logs/log/7f3-000001.jsonl.zst");
    let text = String::from_utf8(zstd::decode_all(&store.bytes(&written.name)[..]).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 3);
    assert!(lines[0].starts_with(r#"{"sexton_archive":1,"run":"7f3","operation":"logs""#), "{}", lines[0]);
    assert_eq!(lines[3], r#"{"id":2,"text":"line 2","none":null}"#);
}

#[test]
fn a_missing_a_moved_and_a_changed_line_are_named() {
    let store = store();
    let written = store.write(Format::JsonLines, 1, header(&["id", "text", "none"]), &plain_rows(5));
    let whole = store.bytes(&written.name);
    let seal = whole[whole.len() - 48..].to_vec();
    let text = String::from_utf8(zstd::decode_all(&whole[..]).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let forge = |lines: &[&str]| {
        let mut bytes = zstd::encode_all((lines.join("\n") + "\n").as_bytes(), 3).unwrap();
        bytes.extend(&seal);
        store.put(&written.name, &bytes);
        store.complaint(&written.name)
    };

    let missing = forge(&[lines[0], lines[1], lines[2], lines[4], lines[5]]);
    assert!(missing.contains("it ends with line 5, but 6 lines were written"), "{missing}");
    let moved = forge(&[lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]]);
    assert!(moved.contains("its 6 lines are not the ones"), "{moved}");
    let mut changed = lines.clone();
    changed[3] = r#"{"id":2,"txt":"line 2","none":null}"#;
    let changed = forge(&changed);
    assert!(changed.contains("line 4: `txt` where column `text` is expected"), "{changed}");
    let mut narrow = lines.clone();
    narrow[3] = r#"{"id":2}"#;
    let narrow = forge(&narrow);
    assert!(narrow.contains("line 4: 1 values for 3 columns"), "{narrow}");
    let headless = forge(&lines[1..]);
    assert!(headless.contains("line 1 is no header"), "{headless}");
}

#[test]
fn a_cut_json_archive_names_the_line_it_ends_in() {
    let store = store();
    // Random text does not compress, so half of the file is about half of the rows.
    let rows: Vec<Row> = (0..4000_u64)
        .map(|n| {
            vec![Value::Text(format!(
                "{:032x}",
                u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            ))]
        })
        .collect();
    let written = store.write(Format::JsonLines, 1, header(&["text"]), &rows);
    let whole = store.bytes(&written.name);
    store.put(&written.name, &whole[..whole.len() * 3 / 4]);
    let complaint = store.complaint(&written.name);
    let line = complaint.split("cut off in line ").nth(1).and_then(|rest| rest.parse::<u64>().ok());
    assert!(line.is_some_and(|line| (2..4001).contains(&line)), "{complaint}");
}

#[test]
fn a_repeated_batch_overwrites_its_file() {
    let store = store();
    for format in FORMATS {
        let first = store.write(format, 7, header(&["a", "b", "c"]), &plain_rows(3));
        let again = store.write(format, 7, header(&["a", "b", "c"]), &plain_rows(2));
        assert_eq!(first.name, again.name);
        assert_eq!(store.read(&again.name).unwrap().1.len(), 2);
        assert_eq!(inspect(&store.files, &again.name).unwrap().1, again);
    }
    assert_eq!(store.files.list("").unwrap().len(), 2);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_behind() {
    let store = store();
    for format in FORMATS {
        let mut writer = Writer::begin(&store.files, "x/y", format, header(&["a"])).unwrap();
        writer.row(vec![Value::Int(1)]).unwrap();
        drop(writer);
    }
    assert_eq!(fs::read_dir(store.folder.path().join("x")).unwrap().count(), 0);
}

#[test]
fn a_row_of_the_wrong_width_is_refused() {
    let store = store();
    let mut writer = Writer::begin(&store.files, "x", Format::Parquet, header(&["a"])).unwrap();
    let error = writer.row(vec![Value::Int(1), Value::Int(2)]).unwrap_err();
    assert!(error.to_string().contains("2 values for 1 columns"), "{error}");
}

#[test]
fn an_error_of_the_reader_ends_reading_and_comes_back() {
    let store = store();
    for format in FORMATS {
        let written = store.write(format, 1, header(&["id", "text", "none"]), &plain_rows(5));
        let mut seen = 0;
        let error = read(&store.files, &written.name, &mut |_| {
            seen += 1;
            if seen == 3 { Err(targets::db::Error::data("row 3 is in the way")) } else { Ok(()) }
        });
        assert_eq!(error.unwrap_err().what, "row 3 is in the way");
        assert_eq!(seen, 3);
    }
}

#[test]
fn an_archive_of_a_newer_version_and_a_foreign_file_are_refused() {
    let store = store();
    for format in FORMATS {
        let mut newer = header(&["a"]);
        newer.schema_version = SCHEMA_VERSION + 1;
        let written = store.write(format, 1, newer, &[]);
        let error = store.read(&written.name).unwrap_err();
        assert_eq!(error.class, Class::Usage);
        assert!(error.to_string().contains("format version 2"), "{error}");
    }
    store.put("foreign", b"hello");
    assert!(store.complaint("foreign").contains("begins neither like zstd nor like Parquet"));
    store.put("empty", b"");
    assert!(store.complaint("empty").contains("`empty`"));
}

// W-058
#[test]
fn the_manifest_counts_the_rows_and_finds_what_was_changed() {
    let store = store();
    let mut manifest = Manifest::new("logs", &TableName::bare("log"), "7f3");
    for (batch, format) in (1..).zip([Format::JsonLines, Format::Parquet, Format::JsonLines]) {
        manifest.add(store.write(format, batch, header(&["id", "text", "none"]), &plain_rows(10)));
    }
    manifest.write(&store.files).unwrap();
    assert_eq!(manifest.name(), "logs/log/7f3.manifest.json");

    let stored = Manifest::read(&store.files, &manifest.name()).unwrap();
    assert_eq!(stored, manifest);
    assert_eq!(stored.verify(&store.files).unwrap(), 30);
    let mut lines = 0;
    for entry in stored.files() {
        lines += store.read(&entry.written.name).unwrap().1.len();
    }
    assert_eq!(lines as u64, manifest.rows());

    let complaint = |manifest: &Manifest| manifest.verify(&store.files).unwrap_err().to_string();

    // Another valid archive in place of the right one.
    let right = store.bytes(&manifest.files()[0].written.name);
    store.write(Format::JsonLines, 1, header(&["id", "text", "none"]), &plain_rows(9));
    assert!(
        complaint(&manifest).contains("7f3-000001.jsonl.zst` in `archive` holds 9 rows, written were 10")
    );
    let mut other = plain_rows(10);
    other[4][1] = Value::from("forged");
    store.write(Format::JsonLines, 1, header(&["id", "text", "none"]), &other);
    assert!(complaint(&manifest).contains("has sha256"));
    store.put(&manifest.files()[0].written.name, &right);
    manifest.verify(&store.files).unwrap();

    // A changed manifest.
    let json = String::from_utf8(store.bytes(&manifest.name())).unwrap();
    let forged = |from: &str, to: &str| {
        assert!(json.contains(from), "{json}");
        store.put(&manifest.name(), json.replacen(from, to, 1).as_bytes());
        complaint(&Manifest::read(&store.files, &manifest.name()).unwrap())
    };
    assert!(forged("7f3-000002.parquet", "7f3-000009.parquet").contains("entry 2"));
    assert!(forged("\"rows\": 10", "\"rows\": 11").contains("entry 1"));
    assert!(forged("\"rows\": 30", "\"rows\": 20").contains("missing"));
    let mut cut: serde_json::Value = serde_json::from_str(&json).unwrap();
    cut["files"].as_array_mut().unwrap().pop();
    store.put(&manifest.name(), cut.to_string().as_bytes());
    assert!(complaint(&Manifest::read(&store.files, &manifest.name()).unwrap()).contains("after number 2"));

    // A missing file.
    store.files.remove(&manifest.files()[2].written.name).unwrap();
    assert!(complaint(&manifest).contains("there is no file `logs/log/7f3-000003.jsonl.zst`"));
}

#[test]
fn a_repeated_batch_takes_its_old_place_in_the_manifest() {
    let store = store();
    let mut manifest = Manifest::new("logs", &TableName::bare("log"), "7f3");
    for batch in 1..=3 {
        manifest.add(store.write(Format::JsonLines, batch, header(&["a", "b", "c"]), &plain_rows(10)));
    }
    let before = manifest.seal().to_owned();
    manifest.add(store.write(Format::JsonLines, 2, header(&["a", "b", "c"]), &plain_rows(4)));
    assert_ne!(manifest.seal(), before);
    assert_eq!(manifest.files().len(), 3);
    assert_eq!(manifest.verify(&store.files).unwrap(), 24);
}

#[test]
fn a_json_archive_is_streamed_and_not_gathered() {
    // The file grows on disk while rows are written, and the first row is there before the file is read.
    let store = store();
    let mut writer = Writer::begin(&store.files, "big", Format::JsonLines, header(&["blob"])).unwrap();
    let mut noise = fs::File::open("/dev/urandom").unwrap();
    let mut blob = vec![0; 1 << 20];
    for _ in 0..4 {
        noise.read_exact(&mut blob).unwrap();
        writer.row(vec![Value::Blob(blob.clone())]).unwrap();
    }
    let part = fs::read_dir(store.folder.path()).unwrap().next().unwrap().unwrap();
    assert!(part.metadata().unwrap().len() > 3 << 20, "the rows are kept in memory");
    let written = writer.finish().unwrap();

    let mut bytes = store.bytes(&written.name);
    bytes.truncate(bytes.len() / 2);
    fs::File::create(store.folder.path().join("half")).unwrap().write_all(&bytes).unwrap();
    let mut rows = 0;
    let read = read(&store.files, "half", &mut |_| {
        rows += 1;
        Ok(())
    });
    assert!(read.is_err() && rows >= 1, "rows before the damage were not delivered");
}
