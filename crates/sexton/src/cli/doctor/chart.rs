//! Charts as inline SVG: bars of sizes, a line of growth. Colours come from the page, so that they fit light and dark.

use super::super::numbers::bytes;
use super::html::escaped;
use std::fmt::Write;

/// Bars, each with its name and size, scaled to the largest.
pub fn bars(rows: &[(String, u64, u64)]) -> String {
    let most = rows.iter().map(|(_, own, indexes)| own + indexes).max().unwrap_or(0).max(1) as f64;
    let mut html = String::from("<table class=\"bars\">");
    for (name, own, indexes) in rows {
        let width = |size: u64| size as f64 / most * 100.0;
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td><svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 100 10\" \
             preserveAspectRatio=\"none\"><rect class=\"rows\" width=\"{:.2}\" height=\"10\"/><rect class=\"indexes\" \
             x=\"{:.2}\" width=\"{:.2}\" height=\"10\"/></svg></td><td class=\"figure\">{}</td></tr>",
            escaped(name),
            escaped(&format!("{} of rows, {} of indexes", bytes(*own), bytes(*indexes))),
            width(*own),
            width(*own),
            width(*indexes),
            bytes(own + indexes),
        );
    }
    html + "</table>"
}

/// A line through points of time (in seconds) and size, with both ends told.
pub fn line(points: &[(i64, u64)], from: &str, to: &str) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let span = (last.0 - first.0).max(1) as f64;
    let sizes = || points.iter().map(|(_, size)| *size);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    // A change of a thousandth should not look like a mountain.
    let room = ((most - least) as f64).max(most as f64 * 0.05).max(1.0);
    let place = |(at, size): &(i64, u64)| {
        let x = (at - first.0) as f64 / span * 596.0 + 2.0;
        let y = 108.0 - (size - least) as f64 / room * 96.0;
        format!("{x:.1},{y:.1}")
    };
    let path: Vec<String> = points.iter().map(place).collect();
    format!(
        "<figure><svg class=\"line\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 600 112\" preserveAspectRatio=\"none\">\
         <polygon points=\"2,112 {} 598,112\"/><polyline points=\"{}\"/></svg>\
         <figcaption><span>{}: {}</span><span>{}: {}</span></figcaption></figure>",
        escaped(&format!("size from {} to {}", bytes(first.1), bytes(last.1))),
        path.join(" "),
        path.join(" "),
        escaped(from),
        bytes(first.1),
        escaped(to),
        bytes(last.1),
    )
}
