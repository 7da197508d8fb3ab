//! The least that anybody has to do: each table is scanned once and sent as a binary COPY, two tables at once, with types and statements
//! known beforehand from the plan of a transfer; then the same keys, indexes, references and statistics. Nothing is looked at, checked,
//! remembered or compared.

use serde_json::Value as Json;
use std::fmt::Write as _;
use std::sync::Mutex;
use targets::db::{Cell, Command, Database, Limits, Load, Result, Seen, Sql, TableName, civil};

/// `plan source target`.
pub fn run(plan: &str, source: &str, target: &str) {
    let text = std::fs::read_to_string(plan).unwrap_or_else(|error| panic!("{error}"));
    let plan: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let item = &plan["items"][0];
    let (source, target) = (testkit::database_at(source), testkit::database_at(target));
    all(item, source.as_ref(), target.as_ref()).unwrap_or_else(|error| panic!("{error:?}"));
}

fn limits() -> Limits {
    let (lock, statement) = (std::time::Duration::from_secs(5), std::time::Duration::ZERO);
    Limits { lock, statement, ..Limits::default() }
}

fn all(item: &Json, source: &dyn Database, target: &dyn Database) -> Result<()> {
    let of = |action: &str| -> Vec<String> {
        let steps = item["steps"].as_array().into_iter().flatten().filter(|step| step["action"] == action);
        let statements = steps.flat_map(|step| step["statements"].as_array().cloned().unwrap_or_default());
        statements.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let mut session = target.open()?;
    let mut apply = |statements: &[String]| -> Result<()> {
        let mut tx = session.begin(&limits())?;
        for statement in statements {
            tx.execute(&Sql::raw(statement))?;
        }
        tx.commit()
    };
    apply(&of("make"))?;
    let mut tables: Vec<Json> = item["result"]["tables"].as_array().cloned().unwrap_or_default();
    tables.sort_by_key(|table| table["rows"].as_u64());
    let tables = Mutex::new(tables);
    let next = || tables.lock().ok().and_then(|mut tables| tables.pop());
    let work = || -> Result<()> {
        while let Some(table) = next() {
            copy(&table, source, target)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| panic!("a stream died")))
    })?;
    let (built, keys): (Vec<String>, Vec<String>) =
        of("index").into_iter().partition(|statement| statement.starts_with("create "));
    let mut builder = target.open()?;
    builder.perform(&Command::Statements { sql: built, at_once: 2, limits: limits() })?;
    apply(&keys)?;
    apply(&of("declare"))?;
    builder.perform(&Command::Statements { sql: of("validate"), at_once: 2, limits: limits() })?;
    apply(&of("finish"))?;
    builder.perform(&Command::Statements { sql: of("analyze"), at_once: 2, limits: limits() }).map(drop)
}

fn copy(table: &Json, source: &dyn Database, target: &dyn Database) -> Result<()> {
    let name = |text: &Json| text.as_str().unwrap_or_default().to_owned();
    let columns = table["columns"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<String> = columns.iter().map(|column| name(&column["type"])).collect();
    let from: Vec<String> = columns.iter().map(|column| name(&column["source"])).collect();
    let into: Vec<String> = columns.iter().map(|column| name(&column["target"])).collect();
    let sql = Sql::new("select ")
        .names("", from.iter().map(String::as_str))
        .text(" from ")
        .name(&name(&table["source"]));
    let mut facts = source.read()?;
    let mut session = target.open()?;
    let mut tx = session.begin(&limits())?;
    let to = TableName { schema: Some("public".to_owned()), name: name(&table["source"]) };
    let mut loader = tx.load(&Load { table: &to, columns: &into })?;
    let mut written = vec![String::new(); kinds.len()];
    facts.scan(&sql, &mut |row| {
        // decimals travel as texts
        for ((value, kind), text) in row.iter().zip(&kinds).zip(&mut written) {
            if let (Seen::Real(number), true) = (value, kind.starts_with("numeric")) {
                text.clear();
                let _ = write!(text, "{number}");
            }
        }
        let cells = row.iter().zip(&kinds).zip(&written);
        let cells: Vec<Cell> = cells.map(|((value, kind), text)| cell(*value, kind, text)).collect();
        loader.row(&cells)
    })?;
    loader.finish()?;
    tx.commit()
}

fn cell<'a>(value: Seen<'a>, kind: &str, written: &'a str) -> Cell<'a> {
    match (value, kind.as_bytes().first()) {
        (Seen::Int(number), Some(b'b')) if kind == "boolean" => Cell::Bool(number != 0),
        (Seen::Int(number), _) => Cell::Int(number),
        (Seen::Real(_), Some(b'n')) => Cell::Text(written),
        (Seen::Real(number), _) => Cell::Real(number),
        (Seen::Text(text), Some(b'u')) if kind == "uuid" => uuid(text),
        (Seen::Text(text), Some(b't')) if kind.starts_with("timestamp") => {
            civil::read(text.as_bytes()).map_or(Cell::Null, |told| Cell::Moment(told.micros))
        }
        (Seen::Text(text), Some(b'd')) if kind == "date" => civil::read(text.as_bytes())
            .map_or(Cell::Null, |told| Cell::Day((told.micros / 86_400_000_000) as i32)),
        (Seen::Text(text), _) => Cell::Text(text),
        (Seen::Blob(bytes), _) => Cell::Bytes(bytes),
        _ => Cell::Null,
    }
}

fn uuid(text: &str) -> Cell<'_> {
    let mut bytes = [0; 16];
    let digits = text.bytes().filter_map(|byte| (byte as char).to_digit(16));
    for (n, digit) in digits.take(32).enumerate() {
        bytes[n / 2] = bytes[n / 2] << 4 | digit as u8;
    }
    Cell::Uuid(bytes)
}
