// What can be put back, what that would do, and which rows could not be put back as things are now.

import * as api from "../api.js";
import { h } from "../dom.js";
import { ask } from "../dialog.js";
import { act, badge, card, code, empty, figures, findings, heading, link, mark, more, table, time } from "../parts.js";
import { bytes, count, moment, of, rows } from "../words.js";
import * as plans from "./plan.js";

const runOf = (point) => point.id.split(".")[0].split("-")[0];
const tablesOf = (point) => [...new Set(point.tables.map((one) => nameOf(one.source)))].join(", ");
const nameOf = (table) => (typeof table === "string" ? table : table.schema ? `${table.schema}.${table.name}` : table.name);
const CHANGES = { delete: "deleted rows of", update: "changed rows of", insert: "rows added to" };

async function list() {
  const all = await api.get("undo-points");
  return {
    title: "Undo",
    nodes: [
      heading("Undo"),
      h("p", { class: "lead" }, "What runs have changed is remembered inside the database itself, and can be put back row by row until its time is over."),
      all.unreachable.length ? findings(all.unreachable.map((one) => ({ level: "warning", object: one.database, what: one.error }))) : null,
      card("Undo points", null, table([
        { title: "Run", cell: ({ point }) => link(`undo/${runOf(point)}`, point.id) },
        { title: "Operation", cell: ({ point }) => point.operation },
        { title: "Database", cell: ({ database }) => link(`databases/${encodeURIComponent(database)}`, database) },
        { title: "Made", cell: ({ point }) => time(point.created_at) },
        { title: "By", whole: true, cell: ({ point }) => point.actor },
        { title: "Remembers", cell: ({ point }) => tablesOf(point) },
        { title: "Kept until", cell: ({ point }) => (point.expires_at ? time(point.expires_at, moment) : "for ever") },
        { title: "", cell: ({ point }) => badge(point.state) },
      ], all.undo_points, { empty: "There is nothing to put back.", label: "Undo points" })),
    ],
  };
}

function conflicts(point) {
  if (!point.conflicts.length) return h("p", null, mark("no conflict", "good"), " Every row has its place still.");
  return h("div", null,
    h("p", null, mark(`${point.more_conflicts ? "more than " : ""}${of(point.conflicts.length, "conflict", "conflicts")}`, "warn"),
      " These rows stay as they are now; nothing is overwritten. Make room for them, and try again later."),
    table([
      { title: "Table", cell: (one) => code(one.table) },
      { title: "Row", cell: (one) => code(one.key) },
      { title: "Why not", cell: (one) => one.reason },
    ], point.conflicts, { label: "Conflicts" }));
}

function part(entry) {
  const { point } = entry;
  return card(h("span", null, point.operation, " ", badge(point.state)), null,
    figures([["database", link(`databases/${encodeURIComponent(entry.database)}`, entry.database)], ["made", time(point.created_at)], ["by", point.actor],
      ["kept until", point.expires_at ? time(point.expires_at, moment) : "for ever"]]),
    h("ul", { class: "remembers" }, point.tables.map((one) => h("li", null, CHANGES[one.change], " ", code(nameOf(one.source)))),
      entry.indexes.map((one) => h("li", null, "the index ", code(one.name))),
      entry.files.length ? h("li", null, of(entry.files.length, "file", "files"), ", ", bytes(entry.files.reduce((sum, file) => sum + file.bytes, 0))) : null),
    conflicts(entry));
}

async function one(context, run) {
  const shown = await api.get(`runs/${encodeURIComponent(run)}/undo`);
  const number = plans.matched(shown.plan);
  const clash = shown.points.reduce((sum, entry) => sum + entry.conflicts.length, 0);
  const all = shown.points.every((entry) => !entry.more_conflicts);
  // As things are now; with more conflicts than are told it is only known that some stay behind.
  const back = number && clash ? (all ? `${count(number - clash)} of ${rows(number)}` : `what can be of ${rows(number)}`) : rows(number);
  const skipped = shown.plan.items.filter((item) => item.skipped);
  const nothing = skipped.length === shown.plan.items.length;
  const go = act(number ? `Put back ${back} …` : "Put it back …", async () => {
    const sure = await ask({
      title: "Put it back?", action: number ? `Put back ${back}` : "Put it back",
      body: [h("p", null, clash ? `${all ? "" : "More than "}${count(clash)} of them cannot go back as things are now, and are told in the report. The others do.` : "Every row goes back as it was."),
        h("p", { class: "quiet" }, "Rows that are put back are exempt from being swept again.")],
    });
    if (!sure) return;
    const begun = await api.post(`runs/${encodeURIComponent(run)}/undo`);
    context.go(`runs/${begun.run_id}`);
  }, { class: "main" });
  return {
    title: `Put back ${run}`,
    nodes: [
      heading("Put back", code(run)),
      h("p", { class: "lead" }, "What the run ", link(`runs/${run}`, run), " changed, and what becomes of it."),
      nothing ? h("p", null, mark("nothing to do", "calm"), " ", skipped.map((item) => item.skipped).join("; ")) : null,
      !nothing && context.may("run") ? h("div", { class: "buttons start" }, go) : null,
      shown.points.length ? shown.points.map(part) : empty("It lies in an archive; its rows are read back from there."),
      more("The plan of the undo", plans.shown(shown.plan)),
    ],
  };
}

export const view = (context) => (context.rest.length ? one(context, context.rest[0]) : list());
