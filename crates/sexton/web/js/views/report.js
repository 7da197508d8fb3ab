// What a run came to: figures, findings, what failed and what to do next.

import { bars } from "../charts.js";
import { h } from "../dom.js";
import { badge, card, code, figures, findings, link, mark, more, said, severity, table } from "../parts.js";
import { bytes, count, counts, duration, handled } from "../words.js";

/** Seconds of each batch, from the events. */
function pace(events, item) {
  const batches = events.filter((event) => event.event === "advanced" && event.item === item);
  if (batches.length < 3) return null;
  // No more bars than a screen has room for: neighbours together, the slowest counts.
  const each = Math.ceil(batches.length / 120);
  const all = [];
  for (let n = 0; n < batches.length; n += each) {
    const part = batches.slice(n, n + each);
    const last = part[part.length - 1];
    all.push({ name: count(last.batch), value: Math.max(...part.map((one) => one.seconds)), about: `batch ${last.batch}, ${count(handled(last.counts))} rows` });
  }
  return more("How long each batch took", bars(all, { label: "Seconds of each batch", format: duration, height: 140 }));
}

function operation(done, n, report, events) {
  const errors = report.errors.filter((error) => error.operation === done.operation);
  const told = done.findings.filter((one) => one.level !== "note" || done.findings.length < 8);
  // Whoever went past a guard sees that it was one.
  const passed = done.status === "refused" ? told : told.map((one) => (one.level === "refuse" ? { ...one, level: "overridden" } : one));
  const rate = done.duration_seconds > 0 && handled(done) > 0 ? handled(done) / done.duration_seconds : null;
  return card(h("span", null, link(`operations/${encodeURIComponent(done.operation)}`, done.operation), " ", badge(done.status), " ", severity(done.severity)), { class: "operation" },
    h("p", { class: "quiet" }, done.title, " · ", done.kind, " on ", link(`databases/${encodeURIComponent(done.database)}`, done.database)),
    done.reason ? h("p", null, said(done.reason)) : null,
    errors.length ? findings(errors.map((error) => ({ level: "error", object: error.target ?? "", what: error.message, remedy: "" }))) : null,
    figures([
      [done.dry_run ? "would be" : "rows", counts(done) || (done.rows_matched ? "none" : null)],
      ["planned", done.rows_matched ? count(done.rows_matched) : null],
      ["took", duration(done.duration_seconds)],
      ["expected", done.expected_seconds ? duration(done.expected_seconds) : null],
      ["batches", done.batches ? count(done.batches) : null],
      ["rate", rate ? `${count(rate)} rows/s` : null],
      ["tried again", done.retries ? count(done.retries) : null],
      ["held back", done.paused_seconds ? duration(done.paused_seconds) : null],
      ["bytes freed", done.bytes_freed ? bytes(done.bytes_freed) : null],
      ["backup", done.backup_path ? code(done.backup_path) : null],
    ]),
    passed.length ? findings(passed) : null,
    done.targets.length > 1 ? table([
      { title: "Part", cell: (target) => target.label },
      { title: "Object", cell: (target) => code(target.object) },
      { title: "Planned", end: true, cell: (target) => count(target.rows_matched) },
      { title: "Came to", cell: (target) => counts(target) || "nothing" },
    ], done.targets) : null,
    pace(events, n),
    done.result ? more("The result", h("pre", { tabindex: "0" }, JSON.stringify(done.result, null, 2))) : null);
}

/** All of it. */
export function shown(report, events) {
  return h("div", null,
    report.recommendations.length ? card("Advice", null, h("ul", null, report.recommendations.map((text) => h("li", null, said(text))))) : null,
    report.backup ? card("Backup", null, figures([
      ["where", code(report.backup.path)], ["size", bytes(report.backup.size_bytes)],
      ["proof", report.backup.verified ? mark("verified", "good") : report.backup.checked ? mark("checked", "info") : mark("none", "warn")]])) : null,
    report.operations.map((done, n) => operation(done, n, report, events)));
}
