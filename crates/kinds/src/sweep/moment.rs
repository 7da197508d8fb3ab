//! A moment in the form in which a column holds times.
//!
//! Times without a zone are written as clocks show them in the zone of the operation, because that is how the
//! application reads them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use targets::db::{Column, EpochUnit, Family, Value};

/// The value to write.
pub fn written(at: Timestamp, column: &Column, unit: EpochUnit, zone: &TimeZone) -> Value {
    let civil = |form: &str| Value::Text(at.to_zoned(zone.clone()).strftime(form).to_string());
    match column.family {
        Family::Integer | Family::Real | Family::Numeric => Value::Int(match unit {
            EpochUnit::Milliseconds => at.as_millisecond(),
            EpochUnit::Microseconds => at.as_microsecond(),
            EpochUnit::Auto | EpochUnit::Seconds => at.as_second(),
        }),
        Family::TimestampTz => Value::Text(at.strftime("%Y-%m-%d %H:%M:%S.%6f+00:00").to_string()),
        Family::Timestamp => civil("%Y-%m-%d %H:%M:%S.%6f"),
        _ => civil("%Y-%m-%d %H:%M:%S.%3f"),
    }
}
