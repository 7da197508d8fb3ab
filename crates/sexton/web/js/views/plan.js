// A plan as a person reads it before agreeing: how many rows of how many, which, what hangs on them, what could be put back.

import { h } from "../dom.js";
import { card, code, figures, findings, link, mark, more, said, severity, table, time } from "../parts.js";
import { bytes, count, dayOf, duration, of, percent, rows, words } from "../words.js";

/** The operations that would be refused; with `force`, what may be overridden does not count. */
export const refused = (plan, force = false) => plan.items.filter((item) => item.failed
  || item.findings.some((one) => one.level === "refuse" && !(force && one.forcible)));
/** Rows that the operations are about that would run. */
export function matched(plan, force = false) {
  const out = refused(plan, force);
  const all = plan.items.filter((item) => !out.includes(item)).flatMap((item) => item.steps);
  return all.reduce((sum, step) => sum + step.matched, 0);
}
/** Whether what stands in the way may be overridden. */
export const forcible = (plan) => refused(plan, true).length < refused(plan).length;
/** The worst that can go wrong in it. */
export function worst(plan) {
  const ranks = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];
  return ranks[Math.max(0, ...plan.items.map((item) => ranks.indexOf(item.operation.severity)))];
}

function kept(undo) {
  switch (undo.keep) {
    case "rows": return [`until ${dayOf(undo.until)}`, undo.bytes ? `, about ${bytes(undo.bytes)}` : ""];
    case "archive": return `in the archive ${undo.store}`;
    case "nothing": return mark("nothing can be put back", "warn");
    default: return "not needed";
  }
}

function share(step) {
  if (!step.total) return null;
  return h("span", { class: "quiet" }, ` of ${step.total_exact ? "" : "about "}${count(step.total)} (${percent((step.matched / step.total) * 100)})`);
}

/** Rows as they are now, a few of them. */
function examples(one) {
  if (!one.rows.length) return null;
  return h("div", { class: "examples" },
    h("p", { class: "quiet" }, `The first ${rows(one.rows.length)}, as they are now:`),
    h("div", { class: "table scroll", tabindex: "0", role: "region", "aria-label": "Rows for example" }, h("table", { class: "data" },
      h("thead", null, h("tr", null, one.columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, one.rows.map((row) => h("tr", null, row.map((value) => h("td", null, value === null ? h("i", { class: "quiet" }, "null") : value))))))));
}

function step(one, shown) {
  const hang = one.dependants.filter((other) => other.rows > 0);
  return h("section", { class: "step" },
    h("h3", null, one.label || one.object, " ", h("span", { class: "quiet" }, words(one.action).toLowerCase())),
    h("p", { class: "matched" }, h("b", null, count(one.matched)), one.exact ? "" : " (estimated)", share(one), " in ", code(one.object),
      one.batches > 1 ? h("span", { class: "quiet" }, `, about ${count(one.batches)} batches`) : null),
    hang.length ? table([
      { title: "What hangs on them", cell: (other) => code(other.table) },
      { title: "Through", cell: (other) => other.columns.join(", ") },
      { title: "Rows", end: true, cell: (other) => count(other.rows) },
      { title: "Happens", cell: (other) => words(other.policy).toLowerCase() },
    ], hang) : null,
    one.exempt || one.unreadable ? figures([["exempt since an undo", one.exempt ? count(one.exempt) : null], ["age cannot be read", one.unreadable ? count(one.unreadable) : null]]) : null,
    one.facts.length ? figures(one.facts) : null,
    shown ? examples(shown) : null,
    one.statements.length ? more(of(one.statements.length, "statement", "statements"), one.statements.map((statement) => h("pre", { tabindex: "0" }, statement)),
      one.way ? h("p", { class: "quiet" }, words(one.way)) : null) : null);
}

function item(one, n, plan) {
  const title = h("span", null, link(`operations/${encodeURIComponent(one.operation.name)}`, one.operation.name), " ", severity(one.operation.severity));
  const rowsIn = one.steps.reduce((sum, own) => sum + own.matched, 0);
  const shown = (place) => plan.examples?.find((example) => example.item === n && example.step === place);
  return card(title, { class: "plan-item" },
    h("p", { class: "quiet" }, one.operation.title, " · on ", link(`databases/${encodeURIComponent(one.operation.database)}`, one.operation.database)),
    one.failed ? findings([{ level: "refuse", object: "", what: one.failed.error, remedy: one.failed.help }]) : null,
    one.skipped ? h("p", null, mark("does nothing here", "calm"), " ", said(one.skipped)) : null,
    one.findings.length ? findings(one.findings) : null,
    one.failed ? null : figures([
      one.steps.length ? ["rows", count(rowsIn)] : null,
      ["can be put back", kept(one.undo)],
      ["expected to take", one.expected_seconds !== null ? duration(one.expected_seconds) : null],
      ["backup first", one.operation.backup ? "yes" : null],
      ["transactions", one.transactional ? null : "each part stands by itself"],
    ]),
    one.steps.map((own, place) => step(own, shown(place))),
    one.result ? more("What it found", h("pre", { tabindex: "0" }, JSON.stringify(one.result, null, 2))) : null);
}

/** The whole plan. */
export function shown(plan) {
  return h("div", { class: "plan" },
    h("p", { class: "quiet" }, "Measured ", time(plan.now), "; nothing was changed."),
    plan.items.map((one, n) => item(one, n, plan)));
}
