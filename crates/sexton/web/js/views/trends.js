// Charts: how databases grow, how many rows were swept, how long operations take.

import * as api from "../api.js";
import { bars, figuresOf } from "../charts.js";
import { h, id, put } from "../dom.js";
import { card, empty, heading, later, link } from "../parts.js";
import { count, dayOf, duration, handled, isOpen, moment } from "../words.js";
import { growth } from "./database.js";

const DAY = 864e5;
const DAYS = 30;

/** Rows handled on each of the last days. */
function swept(runs) {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const all = [];
  for (let n = DAYS - 1; n >= 0; n -= 1) {
    const from = today.getTime() - n * DAY;
    const own = runs.filter((run) => { const at = new Date(run.metadata.started_at).getTime(); return at >= from && at < from + DAY; });
    all.push({ name: dayOf(from), about: `${dayOf(from)}, ${own.length} runs`, value: own.reduce((sum, run) => sum + (run.totals.deleted ?? 0) + (run.totals.archived ?? 0), 0) });
  }
  if (all.every((one) => one.value === 0)) return empty(`No rows were deleted or archived in the last ${DAYS} days.`);
  return h("div", null, bars(all, { label: `Rows deleted or archived on each of the last ${DAYS} days`, format: count }),
    figuresOf(all.filter((one) => one.value).toReversed().map((one) => [one.name, count(one.value)]), ["Day", "Rows"]));
}

/** How long the last runs of an operation took, the oldest first. */
function durations(runs, name) {
  const tones = { failed: "bad", partial: "warn", cancelled: "warn", timed_out: "warn" };
  const own = runs.flatMap((run) => run.operations.filter((done) => done.operation === name && !isOpen(done.status)).map((done) => ({ run, done }))).slice(0, 60).reverse();
  if (own.length < 2) return empty("It takes two runs to compare.");
  const all = own.map(({ run, done }) => ({ name: dayOf(run.metadata.started_at), value: done.duration_seconds, tone: tones[done.status],
    about: `${moment(run.metadata.started_at)}, ${count(handled(done))} rows, ${done.status}` }));
  return h("div", null, bars(all, { label: `How long the last runs of ${name} took`, format: duration }),
    figuresOf(own.toReversed().map(({ run, done }) => [moment(run.metadata.started_at), count(handled(done)), duration(done.duration_seconds), done.status]), ["When", "Rows", "Took", "Outcome"]));
}

export async function view() {
  const [databases, runs] = await Promise.all([api.get("databases"), api.get("runs?brief=true&limit=1000&since=90d")]);
  const real = runs.filter((run) => !run.metadata.dry_run);
  const times = new Map();
  for (const run of real) for (const done of run.operations) times.set(done.operation, (times.get(done.operation) ?? 0) + 1);
  const names = [...times.keys()].filter((name) => !name.startsWith("undo ")).sort((a, b) => times.get(b) - times.get(a));
  const chart = h("div");
  const own = id("of");
  const select = h("select", { id: own, onchange: () => put(chart, durations(real, select.value)) }, names.map((name) => h("option", { value: name }, name)));
  if (names.length) put(chart, durations(real, names[0]));
  return {
    title: "Trends",
    nodes: [
      heading("Trends"),
      h("div", { class: "columns" },
        card("Rows swept, day by day", null, swept(real)),
        card("How long it takes", null, names.length ? [h("div", { class: "field small" }, h("label", { for: own }, "Operation"), select), chart] : empty("Nothing has run yet."))),
      h("div", { class: "columns" }, databases.map((one) => card(h("span", null, "Growth of ", link(`databases/${encodeURIComponent(one.name)}`, one.name)), null,
        later(async () => growth(await api.get(`databases/${encodeURIComponent(one.name)}/sizes`)))))),
    ],
  };
}
