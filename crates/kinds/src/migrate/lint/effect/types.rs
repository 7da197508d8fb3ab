//! When PostgreSQL keeps the rows as they are although a column gets another type.

use super::{Sure, Work};

/// What a change of type costs; none when the rows stay as they are. `from` is none when it is not known.
pub fn change(from: Option<&str>, to: &str, using: bool) -> Option<(Work, Sure)> {
    let to = Type::of(to);
    let Some(from) = from.map(Type::of) else {
        // Text of any length takes over what any text was; who wants that seldom comes from elsewhere.
        return Some((Work::Rewrite, Sure::Perhaps));
    };
    if using {
        return Some((Work::Rewrite, if from == to { Sure::Perhaps } else { Sure::Certain }));
    }
    if from == to || from.widens_to(&to) {
        return None;
    }
    let zones = [("timestamp", "timestamptz"), ("timestamptz", "timestamp")];
    if zones.contains(&(from.name.as_str(), to.name.as_str())) && from.size == to.size {
        // In a session whose zone is UTC both are the same number.
        return Some((Work::Rewrite, Sure::Perhaps));
    }
    Some((Work::Rewrite, if from.known() && to.known() { Sure::Certain } else { Sure::Perhaps }))
}

#[derive(Debug, PartialEq)]
struct Type {
    name: String,
    size: Vec<u32>,
    array: bool,
}

impl Type {
    fn of(declared: &str) -> Self {
        let lower = declared.trim().to_lowercase();
        let array = lower.ends_with(']');
        let lower = lower.split('[').next().unwrap_or_default().to_owned();
        let (before, rest) = lower.split_once('(').unwrap_or((&lower, ""));
        let (inner, after) = rest.split_once(')').unwrap_or(("", ""));
        let size = inner.split(',').filter_map(|part| part.trim().parse().ok()).collect();
        let words = format!("{before} {after}");
        let words: Vec<&str> = words.split_whitespace().collect();
        let name = match words.join(" ").as_str() {
            "character varying" | "varchar" => "varchar",
            "character" | "char" | "bpchar" => "char",
            "int" | "int4" | "integer" | "serial" => "integer",
            "int8" | "bigint" | "bigserial" => "bigint",
            "int2" | "smallint" | "smallserial" => "smallint",
            "decimal" | "numeric" => "numeric",
            "float8" | "double precision" | "float" => "double precision",
            "float4" | "real" => "real",
            "bool" | "boolean" => "boolean",
            "timestamp with time zone" | "timestamptz" => "timestamptz",
            "timestamp without time zone" | "timestamp" => "timestamp",
            "time with time zone" | "timetz" => "timetz",
            "time without time zone" | "time" => "time",
            "bit varying" | "varbit" => "varbit",
            other => other,
        }
        .to_owned();
        Self { name, size, array }
    }

    fn known(&self) -> bool {
        const KNOWN: [&str; 24] = [
            "varchar",
            "char",
            "text",
            "integer",
            "bigint",
            "smallint",
            "numeric",
            "double precision",
            "real",
            "boolean",
            "timestamptz",
            "timestamp",
            "date",
            "time",
            "timetz",
            "interval",
            "varbit",
            "bit",
            "uuid",
            "json",
            "jsonb",
            "bytea",
            "inet",
            "cidr",
        ];
        KNOWN.contains(&self.name.as_str())
    }

    /// Every value of this type is, byte for byte, one of the other.
    fn widens_to(&self, to: &Type) -> bool {
        if self.array || to.array {
            return false;
        }
        let grows = match (self.size.as_slice(), to.size.as_slice()) {
            (_, []) => true,
            ([], _) => false,
            ([from], [to]) => from <= to,
            ([from, scale], [to, same]) => from <= to && scale == same,
            _ => false,
        };
        match (self.name.as_str(), to.name.as_str()) {
            ("varchar", "varchar") | ("varbit", "varbit") | ("numeric", "numeric") => grows,
            ("timestamp", "timestamp")
            | ("timestamptz", "timestamptz")
            | ("time", "time")
            | ("timetz", "timetz") => grows,
            ("varchar" | "text", "text") | ("cidr", "inet") => true,
            ("text", "varchar") => to.size.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_byte_for_byte_is_not_rewritten() {
        for (from, to) in [
            ("character varying(20)", "varchar(40)"),
            ("character varying(20)", "text"),
            ("text", "varchar"),
            ("numeric(10,2)", "decimal(12, 2)"),
            ("numeric(10,2)", "numeric"),
            ("timestamp(3) without time zone", "timestamp"),
            ("cidr", "inet"),
            ("int4", "integer"),
        ] {
            assert_eq!(change(Some(from), to, false), None, "{from} to {to}");
        }
        for (from, to) in [
            ("integer", "bigint"),
            ("varchar(40)", "varchar(20)"),
            ("text", "varchar(20)"),
            ("numeric(10,2)", "numeric(12,3)"),
            ("character(5)", "text"),
            ("text", "jsonb"),
        ] {
            assert_eq!(change(Some(from), to, false), Some((Work::Rewrite, Sure::Certain)), "{from} to {to}");
        }
        for (from, to) in [(None, "text"), (Some("timestamp"), "timestamptz"), (Some("mood"), "text")] {
            assert_eq!(change(from, to, false), Some((Work::Rewrite, Sure::Perhaps)), "{from:?} to {to}");
        }
    }
}
