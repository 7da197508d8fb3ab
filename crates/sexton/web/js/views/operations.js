// What can be run: operations and groups, how each last went.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { badge, card, heading, link, mark, severity, table, time } from "../parts.js";
import { count, duration, handled } from "../words.js";

/** The last real run of each operation. */
function lastRuns(runs) {
  const last = new Map();
  for (const run of runs.filter((one) => !one.metadata.dry_run)) {
    for (const done of run.operations) if (!last.has(done.operation)) last.set(done.operation, { run, done });
  }
  return last;
}

export async function view() {
  const [all, runs] = await Promise.all([api.get("operations"), api.get("runs?brief=true&limit=300")]);
  const last = lastRuns(runs);
  const groups = [...new Set(all.flatMap((one) => one.groups))];
  const shown = h("div");
  const draw = (text) => {
    const fits = (one) => `${one.id} ${one.kind} ${one.description} ${one.database}`.toLowerCase().includes(text.toLowerCase());
    put(shown, table([
      { title: "Operation", cell: (one) => [link(`operations/${encodeURIComponent(one.id)}`, one.id), h("span", { class: "under" }, one.description)] },
      { title: "Kind", cell: (one) => one.kind },
      { title: "Database", cell: (one) => link(`databases/${encodeURIComponent(one.database)}`, one.database) },
      { title: "Severity", cell: (one) => severity(one.severity) },
      { title: "Last run", cell: (one) => (last.has(one.id) ? link(`runs/${last.get(one.id).run.run_id}`, time(last.get(one.id).run.metadata.started_at)) : "never") },
      { title: "Rows", end: true, cell: (one) => (last.has(one.id) ? count(handled(last.get(one.id).done)) : "") },
      { title: "Took", end: true, cell: (one) => (last.has(one.id) ? duration(last.get(one.id).done.duration_seconds) : "") },
      { title: "", cell: (one) => (last.has(one.id) ? badge(last.get(one.id).done.status) : null) },
    ], all.filter(fits), { empty: all.length ? "No operation fits." : "No operation is configured.", label: "Operations" }));
  };
  draw("");
  const find = h("input", { type: "search", placeholder: "Find", "aria-label": "Find operations", oninput: (event) => draw(event.target.value) });
  return {
    title: "Operations",
    nodes: [
      heading("Operations", find),
      groups.length ? card("Groups", null, h("ul", { class: "chips" }, groups.map((group) => {
        const own = all.filter((one) => one.groups.includes(group));
        return h("li", null, link(`operations/${encodeURIComponent(group)}`, group), h("span", { class: "quiet" }, own.map((one) => one.id).join(", ")));
      }))) : null,
      card("All operations", { aside: mark(count(all.length), "calm") }, shown),
    ],
  };
}
