//! Small steps through a syntax tree of PostgreSQL.

use super::super::stated::{Steady, Value, name_of, plain, type_of};
use squawk_syntax::{SyntaxKind, SyntaxNode};
use std::ops::Range;
use targets::db::TableName;

/// The first child of this sort.
pub fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// All children of this sort.
pub fn children(node: &SyntaxNode, kind: SyntaxKind) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(move |child| child.kind() == kind)
}

/// The first node of this sort at any depth.
pub fn inside(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.descendants().find(|inner| inner.kind() == kind)
}

/// Whether this word stands in the node itself.
pub fn has(node: &SyntaxNode, word: SyntaxKind) -> bool {
    node.children_with_tokens().any(|element| element.kind() == word)
}

/// The words of a node, without blanks and comments.
pub fn words(node: &SyntaxNode) -> Vec<String> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT))
        .map(|token| token.text().to_owned())
        .collect()
}

/// As it is written.
pub fn text(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_owned()
}

/// Where it stands.
pub fn range(node: &SyntaxNode) -> Range<usize> {
    let range = node.text_range();
    usize::from(range.start())..usize::from(range.end())
}

/// The first name inside a node.
pub fn name(node: &SyntaxNode) -> TableName {
    let path = node
        .descendants()
        .find(|inner| matches!(inner.kind(), SyntaxKind::PATH_REF | SyntaxKind::PATH))
        .unwrap_or_else(|| node.clone());
    name_of(&words(&path).concat(), true)
}

/// The name inside the first node of this sort.
pub fn name_in(node: &SyntaxNode, kind: SyntaxKind) -> TableName {
    inside(node, kind).map_or_else(|| TableName::bare(""), |inner| name(&inner))
}

/// The names inside all nodes of this sort.
pub fn names_in(node: &SyntaxNode, kind: SyntaxKind) -> Vec<TableName> {
    node.descendants().filter(|inner| inner.kind() == kind).map(|inner| name(&inner)).collect()
}

/// The one name that is inside the first node of this sort.
pub fn word_in(node: &SyntaxNode, kind: SyntaxKind) -> Option<String> {
    inside(node, kind).map(|inner| plain(&words(&inner).concat(), true)).filter(|word| !word.is_empty())
}

/// The columns that are listed inside the first node of this sort.
pub fn columns_in(node: &SyntaxNode, list: SyntaxKind) -> Vec<String> {
    inside(node, list).map_or_else(Vec::new, |list| {
        children(&list, SyntaxKind::COLUMN_NAME_REF)
            .map(|column| plain(&words(&column).concat(), true))
            .collect()
    })
}

/// The type that is a child of this node.
pub fn declared(node: &SyntaxNode) -> String {
    use SyntaxKind::*;
    node.children()
        .find(|child| {
            matches!(
                child.kind(),
                ARRAY_TYPE
                    | BIT_TYPE
                    | BIT_VARYING_TYPE
                    | CHARACTER_TYPE
                    | DOUBLE_TYPE
                    | INTERVAL_TYPE
                    | PATH_TYPE
                    | TIME_TYPE
                    | TIMESTAMP_TYPE
                    | VARCHAR_TYPE
            )
        })
        .map_or_else(String::new, |found| type_of(&spaced(&found)))
}

/// The words with one blank between them, without comments.
fn spaced(node: &SyntaxNode) -> String {
    let mut all = String::new();
    for word in words(node) {
        let tight = all.is_empty()
            || all.ends_with(['(', '.', '['])
            || word.starts_with(['(', ')', ',', '.', '[', ']']);
        if !tight {
            all.push(' ');
        }
        all.push_str(&word);
    }
    all
}

/// The expression that is a child of this node, with its place.
pub fn expression(node: &SyntaxNode) -> Option<SyntaxNode> {
    use SyntaxKind::*;
    node.children().find(|child| {
        matches!(
            child.kind(),
            ARRAY_EXPR
                | BETWEEN_EXPR
                | BIN_EXPR
                | CALL_EXPR
                | CASE_EXPR
                | CAST_EXPR
                | COLLATE
                | FIELD_EXPR
                | INDEX_EXPR
                | LITERAL
                | NAME_REF
                | PAREN_EXPR
                | POSTFIX_EXPR
                | PREFIX_EXPR
                | SLICE_EXPR
                | TUPLE_EXPR
        )
    })
}

/// The value of an expression, and how often it must be computed.
pub fn value(node: &SyntaxNode) -> Value {
    let calls = node.descendants().filter(|inner| inner.kind() == SyntaxKind::CALL_EXPR);
    let steady = calls.map(|call| steady_call(&call)).max_by_key(|steady| match steady {
        Steady::Null | Steady::Constant => 0,
        Steady::Unknown => 1,
        Steady::Volatile => 2,
    });
    let text = text(node);
    let null = text.trim_matches(['(', ')', ' ']).split("::").next().unwrap_or_default();
    let steady = match steady {
        Some(steady) => steady,
        None if null.eq_ignore_ascii_case("null") => Steady::Null,
        None => Steady::Constant,
    };
    Value { text, steady, at: range(node) }
}

/// Functions whose value is another one for each row.
const VOLATILE: [&str; 19] = [
    "clock_timestamp",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "lastval",
    "nextval",
    "random",
    "random_normal",
    "setval",
    "timeofday",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuid_generate_v7",
    "uuidv4",
    "uuidv7",
    "ulid_generate",
    "gen_ulid",
    "generate_ulid",
];

/// Functions whose value is one for the whole statement.
const STEADY: [&str; 52] = [
    "abs",
    "array_append",
    "array_fill",
    "array_to_string",
    "cardinality",
    "ceil",
    "coalesce",
    "concat",
    "concat_ws",
    "current_database",
    "current_schema",
    "current_setting",
    "date",
    "date_part",
    "date_trunc",
    "decode",
    "digest",
    "encode",
    "extract",
    "floor",
    "format",
    "greatest",
    "int4range",
    "int8range",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "make_date",
    "make_interval",
    "make_timestamptz",
    "md5",
    "now",
    "nullif",
    "pg_backend_pid",
    "repeat",
    "round",
    "row",
    "statement_timestamp",
    "string_to_array",
    "timezone",
    "to_char",
    "to_json",
    "to_jsonb",
    "to_timestamp",
    "transaction_timestamp",
    "upper",
];

fn steady_call(call: &SyntaxNode) -> Steady {
    let words = words(call);
    let called: Vec<&String> = words.iter().take_while(|word| *word != "(").collect();
    let called = called.last().map_or_else(String::new, |word| plain(word, true));
    if VOLATILE.contains(&called.as_str()) {
        Steady::Volatile
    } else if STEADY.contains(&called.as_str()) {
        Steady::Constant
    } else {
        Steady::Unknown
    }
}
