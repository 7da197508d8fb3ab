//! Values as JSON, without loss: what JSON has is plain, what it lacks is an object with one key that begins with `$`.
//!
//! A plain object cannot occur, because JSON documents are text here; so the two cannot be mixed up. A float always has
//! a point or an exponent and an integer never has.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::ser::{Serialize, SerializeMap, Serializer};
use targets::db::Value;

/// A value on its way to JSON.
pub struct AsJson<'a>(pub &'a Value);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Real(number) => match odd(*number) {
                Some(name) => tagged(serializer, "$real", &name),
                None => serializer.serialize_f64(*number),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::Blob(bytes) => tagged(serializer, "$blob", &STANDARD.encode(bytes)),
            Value::BrokenText(bytes) => tagged(serializer, "$text", &STANDARD.encode(bytes)),
            Value::Raw { type_id, bytes } => tagged(serializer, "$raw", &(*type_id, STANDARD.encode(bytes))),
        }
    }
}

/// The value that this JSON stands for, or what is wrong with it.
pub fn from_json(json: serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(flag) => Ok(Value::Bool(flag)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Value::Int(whole)),
            (None, Some(real)) if number.is_f64() => Ok(Value::Real(real)),
            _ => Err(format!("{number} is no integer of 64 bits")),
        },
        Json::String(text) => Ok(Value::Text(text)),
        Json::Array(_) => Err("a list is no value".to_owned()),
        Json::Object(object) => {
            let mut pairs = object.into_iter();
            match (pairs.next(), pairs.next()) {
                (Some((key, inside)), None) => from_tagged(&key, inside),
                _ => Err("an object with one key is expected".to_owned()),
            }
        }
    }
}

fn from_tagged(key: &str, inside: serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| format!("`{key}`: {error}"));
    match (key, inside) {
        ("$real", Json::String(name)) => from_odd(&name).map(Value::Real),
        ("$blob", Json::String(text)) => bytes(&text).map(Value::Blob),
        ("$text", Json::String(text)) => bytes(&text).map(Value::BrokenText),
        ("$raw", Json::Array(pair)) => match pair.as_slice() {
            [Json::Number(type_id), Json::String(text)] => {
                let type_id = type_id.as_u64().and_then(|number| u32::try_from(number).ok());
                let type_id = type_id.ok_or("`$raw`: the type is no number of 32 bits")?;
                Ok(Value::Raw { type_id, bytes: bytes(text)? })
            }
            _ => Err("`$raw`: a type and bytes are expected".to_owned()),
        },
        (key, _) => Err(format!("`{key}` is no mark of ours")),
    }
}

fn tagged<S: Serializer>(
    serializer: S,
    key: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// The name of a float that JSON cannot hold; none for all others.
fn odd(number: f64) -> Option<String> {
    let bits = number.to_bits();
    match number {
        _ if bits == f64::NAN.to_bits() => Some("NaN".to_owned()),
        _ if number.is_nan() => Some(format!("NaN:{bits:016x}")),
        f64::INFINITY => Some("inf".to_owned()),
        f64::NEG_INFINITY => Some("-inf".to_owned()),
        // JSON has a -0.0, but many readers make 0 of it.
        _ if bits == (-0.0_f64).to_bits() => Some("-0.0".to_owned()),
        _ => None,
    }
}

fn from_odd(name: &str) -> Result<f64, String> {
    match name {
        "NaN" => Ok(f64::NAN),
        "inf" => Ok(f64::INFINITY),
        "-inf" => Ok(f64::NEG_INFINITY),
        "-0.0" => Ok(-0.0),
        _ => name
            .strip_prefix("NaN:")
            .and_then(|bits| u64::from_str_radix(bits, 16).ok())
            .map(f64::from_bits)
            .filter(|number| number.is_nan())
            .ok_or_else(|| format!("`$real`: `{name}` is no float")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: Value) -> String {
        serde_json::to_string(&AsJson(&value)).unwrap()
    }

    #[test]
    fn values_look_in_json_as_the_format_says() {
        assert_eq!(json(Value::Null), "null");
        assert_eq!(json(Value::Bool(true)), "true");
        assert_eq!(json(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(json(Value::Real(1.0)), "1.0");
        assert_eq!(json(Value::Real(f64::NAN)), r#"{"$real":"NaN"}"#);
        assert_eq!(json(Value::Real(-0.0)), r#"{"$real":"-0.0"}"#);
        assert_eq!(json(Value::Text("a\u{0}\"".into())), r#""a\u0000\"""#);
        assert_eq!(json(Value::Blob(vec![0, 255])), r#"{"$blob":"AP8="}"#);
        assert_eq!(json(Value::BrokenText(vec![0xff])), r#"{"$text":"/w=="}"#);
        assert_eq!(json(Value::Raw { type_id: 600, bytes: vec![1] }), r#"{"$raw":[600,"AQ=="]}"#);
    }

    #[test]
    fn floats_come_back_to_the_bit() {
        let hard = [
            0.1 + 0.2,
            5e-324,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(0x000f_ffff_ffff_ffff),
            1e22,
            9007199254740993.0,
        ];
        for number in hard.into_iter().chain([f64::from_bits(0xfff0_dead_beef_0001), f64::INFINITY]) {
            let back = from_json(serde_json::from_str(&json(Value::Real(number))).unwrap()).unwrap();
            assert_eq!(back.as_real().unwrap().to_bits(), number.to_bits(), "{number:?}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        for bad in [
            "18446744073709551615",
            "[]",
            "{}",
            r#"{"a":1}"#,
            r#"{"$blob":"?"}"#,
            r#"{"$blob":"","$real":""}"#,
            r#"{"$real":"NaN:3ff0000000000000"}"#,
            r#"{"$raw":[4294967296,""]}"#,
        ] {
            assert!(from_json(serde_json::from_str(bad).unwrap()).is_err(), "{bad} was taken");
        }
    }
}
