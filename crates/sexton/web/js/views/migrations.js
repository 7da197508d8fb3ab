// Migrations: which are in, which are pending, and what those would do to whoever uses the database.

import * as api from "../api.js";
import { h } from "../dom.js";
import { badge, card, code, figures, findings, heading, later, link, mark, more, table, time, trouble } from "../parts.js";
import { bytes, count, duration, of, words } from "../words.js";

const TONES = { low: "good", medium: "warn", high: "bad" };
const risk = (level) => (level ? mark(`${level} risk`, TONES[level] ?? "calm") : null);

function state(one) {
  return [badge(one.state), one.checksum_ok === false ? mark("changed since", "bad") : null, one.missing ? mark("file is gone", "bad") : null,
    one.out_of_order ? mark("late", "warn") : null];
}

/** `about 3 s (1 s to 2 min)`. */
function takes(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (typeof seconds === "number") return `about ${duration(seconds)}`;
  const [low, high] = [duration(seconds.low), duration(seconds.high)];
  return low === high ? `about ${low}` : `about ${duration(seconds.expected)} (${low} to ${high})`;
}

/** One statement: what it locks, who waits and for how long, what is wrong with it and how it is written better. */
function statement(one) {
  const rewrites = one.findings.flatMap((found) => found.rewrite ?? []);
  return h("section", { class: "step" },
    h("h4", null, code(`${one.file.split("/").pop()}:${one.line}`), " ", risk(one.risk)),
    h("pre", { tabindex: "0" }, one.statement),
    one.reason ? h("p", null, words(one.reason)) : null,
    figures([["locks", one.table ? code(one.table) : null], ["who waits", one.blocks], ["takes", takes(one.seconds)],
      ["rows there", one.rows === null ? null : count(one.rows)], ["size", one.bytes === null ? null : bytes(one.bytes)],
      ["written anew", one.rewrites ? "the whole table" : null], ["reads", one.scans ? "all rows" : null]]),
    one.findings.length ? findings(one.findings.map((found) => ({ level: found.level, object: found.code, what: found.text, remedy: found.help }))) : null,
    rewrites.length ? more("The form in which nobody waits", rewrites.map((step) => h("pre", { tabindex: "0" }, typeof step === "string" ? step : step.sql ?? JSON.stringify(step, null, 2)))) : null);
}

/** What the linter says of what is not in yet: the worst first. */
function impact(linted) {
  const ranks = ["high", "medium", "low"];
  const told = linted.statements.filter((one) => one.findings.length || one.risk !== "low").sort((a, b) => ranks.indexOf(a.risk) - ranks.indexOf(b.risk));
  const calm = linted.statements.length - told.length;
  return h("div", null,
    figures([["all together", risk(linted.risk)], ["takes", takes(linted.seconds)], ["errors", linted.errors ? count(linted.errors) : null],
      ["warnings", linted.warnings ? count(linted.warnings) : null], ["allowed by a comment", linted.ignored ? count(linted.ignored) : null]]),
    told.map(statement),
    calm ? h("p", { class: "calm-line" }, mark("low risk", "good"), ` ${of(calm, "statement", "statements")} that hardly anybody notices.`) : null);
}

function operation(one) {
  const title = h("span", null, link(`operations/${encodeURIComponent(one.operation)}`, one.operation), " ",
    one.status ? (one.status.migration_needed ? mark(`${of(one.status.pending.length, "is", "are")} pending`, "warn") : mark("up to date", "good")) : null);
  if (one.failed) return card(title, null, trouble(new Error(one.failed)));
  const said = one.status;
  const newest = said.migrations.toReversed();
  return card(title, null,
    h("p", { class: "quiet" }, one.title, " · on ", link(`databases/${encodeURIComponent(one.database)}`, one.database)),
    figures([["current", String(said.current ?? "none")], ["target", String(said.target ?? "none")], ["pending", count(said.pending.length)],
      ["history in", code(said.history)], ["written for", said.convention ? words(said.convention).toLowerCase() : null]]),
    said.problems.length ? findings(said.problems.map((problem) => ({ level: "error", object: "", what: problem.what, remedy: problem.help }))) : null,
    said.migration_needed ? h("section", { class: "impact" }, h("h3", null, "What the pending ones would do"),
      later(async () => impact(await api.get(`migrations/${encodeURIComponent(one.operation)}/impact`)), "Judging …")) : null,
    table([
      { title: "Migration", cell: (each) => [code(each.id), each.description ? h("span", { class: "under" }, each.description) : null] },
      { title: "State", cell: state },
      { title: "Since", cell: (each) => (each.applied_at ? time(each.applied_at) : "–") },
      { title: "Took", end: true, cell: (each) => (each.applied_at && each.duration_ms !== null ? duration(each.duration_ms / 1000) : takes(each.estimate?.seconds) ?? "–") },
      { title: "Risk", cell: (each) => risk(each.estimate?.risk) ?? "–" },
      { title: "Way back", cell: (each) => (each.reversible ? "yes" : "no") },
    ], newest, { empty: "The directory has no migrations.", label: "Migrations" }),
    said.other_histories.length ? more("Other histories", h("p", null, said.other_histories.join(", "), " look like the history of another tool, and do not count.")) : null);
}

export async function view() {
  const all = await api.get("migrations");
  return {
    title: "Migrations",
    nodes: [heading("Migrations"), all.length ? all.map(operation)
      : h("p", { class: "empty" }, "No operation migrates: add one of the kind migrate to the configuration.")],
  };
}
