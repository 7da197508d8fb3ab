// One database: what it is, what is wrong with it, how it grows, what runs on it.

import * as api from "../api.js";
import { figuresOf, line } from "../charts.js";
import { h } from "../dom.js";
import { badge, called, card, code, empty, figures, heading, later, link, mark, severity, table, time } from "../parts.js";
import { bytes, count, duration, handled, moment, percent } from "../words.js";
import { shown } from "./findings.js";

const FIGURES = [["cache_hit_percent", "pages from the cache"], ["index_efficiency_percent", "reads by index"], ["xid_used_percent", "transaction ids used"],
  ["free_page_percent", "free pages"], ["disk_used_percent", "disk used"]];

function about(found) {
  const own = found.figures;
  const rate = found.growth?.bytes_per_day;
  return figures([
    ["engine", `${found.database.is_sqlite ? "SQLite" : "PostgreSQL"} ${found.database.version ?? ""}`],
    ["host", found.database.host], ["size", bytes(found.size_bytes)],
    ["growth a day", rate === null || rate === undefined ? null : bytes(rate)],
    ["tables", own.tables === null ? null : count(own.tables)], ["indexes", own.indexes === null ? null : count(own.indexes)],
    ["connections", own.connections === null || own.connections === undefined ? null : `${count(own.connections)}${own.connection_limit ? ` of ${count(own.connection_limit)}` : ""}`],
    ...FIGURES.map(([key, name]) => [name, own[key] === null || own[key] === undefined ? null : percent(own[key])]),
  ]);
}

function largest(found) {
  const most = Math.max(...found.largest_tables.map((one) => one.total_bytes ?? 0), 1);
  return table([
    { title: "Table", cell: (one) => code(one.name) },
    { title: "Rows", end: true, cell: (one) => (one.rows === null || one.rows === undefined ? "–" : `${one.rows_exact === false ? "≈ " : ""}${count(one.rows)}`) },
    { title: "Indexes", end: true, cell: (one) => bytes(one.index_bytes) },
    { title: "All", end: true, cell: (one) => bytes(one.total_bytes) },
    { title: "Share", cell: (one) => h("progress", { class: "meter thin", max: most, value: one.total_bytes ?? 0, "aria-hidden": "true", tabindex: "-1" }) },
  ], found.largest_tables.slice(0, 12), { label: "Largest tables" });
}

/** Its size so far. */
export function growth(sizes) {
  const points = sizes.samples.map((one) => [one.at, one.bytes]);
  if (points.length < 2) return empty("Each look leaves a sample, at most one an hour: come back tomorrow for a line.");
  return h("div", null, line(points, { label: `Size of ${sizes.database} over time`, format: bytes }),
    figuresOf(sizes.samples.toReversed().slice(0, 100).map((one) => [moment(one.at), bytes(one.bytes)]), ["When", "Size"]));
}

export async function view(context) {
  const name = context.rest[0];
  const key = `databases/${encodeURIComponent(name)}`;
  const [all, operations, runs, sizes] = await Promise.all([api.get("databases"), api.get("operations"), api.get("runs?brief=true&limit=200"), api.get(`${key}/sizes`)]);
  const known = all.find((one) => one.name === name);
  // One look for all parts of the page; who tries again looks again.
  let looked = null;
  const look = () => {
    looked ??= api.get(`${key}/findings`).catch((error) => { looked = null; throw error; });
    return looked;
  };
  // What is wrong with the look is told once, where the findings are.
  const or = (part, otherwise) => later(async () => {
    try {
      return part(await look());
    } catch (error) {
      if (error.status === 401) throw error;
      return otherwise;
    }
  }, "Examining …");
  const own = operations.filter((one) => one.database === name);
  const past = runs.filter((run) => run.metadata.database.split(", ").includes(name) && !run.metadata.dry_run).slice(0, 10);
  return {
    title: name,
    nodes: [
      heading(name, mark(known?.engine === "sqlite" ? "SQLite" : "PostgreSQL", "info")),
      or(about, null),
      card("Findings", { aside: link("findings", "all databases") }, later(async () => shown(await look()), "Examining …")),
      h("div", { class: "columns" },
        card("Growth", null, growth(sizes)),
        card("Largest tables", null, or(largest, empty("Not known now.")))),
      h("div", { class: "columns" },
        card("Operations", null, table([
          { title: "Operation", cell: (one) => link(`operations/${encodeURIComponent(one.id)}`, one.id) },
          { title: "Kind", cell: (one) => one.kind },
          { title: "", cell: (one) => severity(one.severity) },
        ], own, { empty: "No operation works on it.", label: "Operations" })),
        card("Last runs", { aside: link(`runs?database=${encodeURIComponent(name)}`, "all") }, table([
          { title: "Run", cell: (run) => link(`runs/${run.run_id}`, called(run)) },
          { title: "When", cell: (run) => time(run.metadata.started_at) },
          { title: "Rows", end: true, cell: (run) => count(handled(run.totals)) },
          { title: "Took", end: true, cell: (run) => duration(run.metadata.duration_seconds) },
          { title: "", cell: (run) => badge(run.status) },
        ], past, { empty: "Nothing has run here yet.", label: "Last runs" }))),
    ],
  };
}
