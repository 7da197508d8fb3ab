// All runs, newest first, with filters that stand in the address.

import * as api from "../api.js";
import { h, id, put } from "../dom.js";
import { act, badge, called, card, heading, later, link, mark, table, time } from "../parts.js";
import { count, duration, handled, isOpen, moment } from "../words.js";

const STATES = [["", "any outcome"], ["completed", "done"], ["partial", "with findings"], ["failed", "failed"], ["refused", "refused"],
  ["stopped", "stopped"], ["open", "at work"]];
const AGES = [["", "any time"], ["1d", "last day"], ["7d", "last 7 days"], ["30d", "last 30 days"], ["90d", "last 90 days"]];

/** So many at a time. */
const PAGE = 100;

function fits(run, wanted) {
  if (wanted.state === "open" && !isOpen(run.status)) return false;
  if (wanted.state === "stopped" && !["cancelled", "timed_out", "interrupted"].includes(run.status)) return false;
  if (wanted.state && !["open", "stopped"].includes(wanted.state) && run.status !== wanted.state) return false;
  if (wanted.database && !run.metadata.database.split(", ").includes(wanted.database)) return false;
  return wanted.dry === "with" || !run.metadata.dry_run;
}

export async function view(context) {
  const [operations, databases] = await Promise.all([api.get("operations"), api.get("databases")]);
  const wanted = {
    operation: context.query.get("operation") ?? "", database: context.query.get("database") ?? "", state: context.query.get("state") ?? "",
    since: context.query.get("since") ?? "", dry: context.query.get("dry") ?? "",
  };
  const shown = h("div");
  const page = (cursor) => api.get(api.query("runs", { brief: true, limit: PAGE, cursor, operation: wanted.operation, since: wanted.since }));
  const draw = () => {
    const runs = [];
    const rows = h("div");
    const next = h("div", { class: "buttons start" });
    const add = async (cursor) => {
      const all = await page(cursor);
      runs.push(...all.filter((run) => fits(run, wanted)));
      put(rows, table([
        { title: "Run", cell: (run) => [link(`runs/${run.run_id}`, called(run)), h("span", { class: "under" }, run.run_id)] },
        { title: "When", cell: (run) => time(run.metadata.started_at, moment) },
        { title: "Database", cell: (run) => run.metadata.database },
        { title: "By", whole: true, cell: (run) => run.metadata.actor },
        { title: "Rows", end: true, cell: (run) => count(handled(run.totals)) },
        { title: "Took", end: true, cell: (run) => (isOpen(run.status) ? "" : duration(run.metadata.duration_seconds)) },
        { title: "", cell: (run) => [badge(run.status), run.metadata.dry_run ? mark("dry run", "calm") : null] },
      ], runs, { empty: all.length < PAGE ? "No run fits." : "No run of these fits; there are older ones.", label: "Runs" }));
      const last = all[all.length - 1];
      put(next, all.length === PAGE ? act("Show older ones", () => add(last.run_id), { class: "plain" }) : null);
    };
    put(shown, later(async () => { await add(null); return [rows, next]; }));
  };
  const choose = (name, title, all) => {
    const own = id("filter");
    const select = h("select", { id: own }, all.map(([value, text]) => h("option", { value, selected: value === wanted[name] }, text)));
    select.addEventListener("change", () => {
      wanted[name] = select.value;
      // The address can be kept and sent; going back leaves the list.
      history.replaceState(null, "", `#/${api.query("runs", wanted)}`);
      draw();
    });
    return h("div", { class: "field small" }, h("label", { for: own }, title), select);
  };
  draw();
  return {
    title: "Runs",
    nodes: [
      heading("Runs"),
      h("div", { class: "fields filters", role: "search", "aria-label": "Filters" },
        choose("operation", "Operation", [["", "any"], ...operations.map((one) => [one.id, one.id])]),
        choose("database", "Database", [["", "any"], ...databases.map((one) => [one.name, one.name])]),
        choose("state", "Outcome", STATES), choose("since", "When", AGES),
        choose("dry", "Dry runs", [["", "left out"], ["with", "shown too"]])),
      card("Runs", null, shown),
    ],
  };
}
