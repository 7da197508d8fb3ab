// Everything at a glance: what needs a person, how each database is, what ran and what comes next.

import * as api from "../api.js";
import { spark } from "../charts.js";
import { h, put } from "../dom.js";
import { badge, called, card, empty, figures, heading, later, link, lost, mark, meter, said, table, time } from "../parts.js";
import { bytes, count, duration, handled, isOpen, moment, of } from "../words.js";

const EVERY = 10_000;

async function known() {
  const [status, databases, runs, schedules] = await Promise.all([
    api.get("status"), api.get("databases"), api.get("runs?brief=true&limit=60"), api.get("schedules"),
  ]);
  return { status, databases, runs, schedules };
}

/** What a person should look at, the worst first. */
function alerts(all) {
  const found = [];
  // Only the last run of each operation says how things stand.
  const seen = new Set();
  for (const run of all.runs.filter((one) => !one.metadata.dry_run)) {
    for (const done of run.operations) {
      const key = `${done.database} ${done.operation}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (["failed", "interrupted", "refused"].includes(done.status)) {
        const error = done.errors[0] ?? done.warnings[0] ?? done.reason ?? "";
        found.push({ tone: done.status === "refused" ? "warn" : "bad", to: `runs/${run.run_id}`, operation: done.operation, what: `${done.operation} ${
          { failed: "failed", interrupted: "was interrupted", refused: "was refused" }[done.status]}`, why: error, at: run.metadata.started_at });
      }
    }
  }
  // What one of these runs tells is said once, not again as an alarm, nor as the failure of its schedule.
  const told = new Set(found.map((one) => one.to));
  for (const one of all.status.alerts ?? []) {
    if (found.some((run) => one.id === `failed/${run.operation}`)) continue;
    const database = all.databases.find((known) => one.id.endsWith(`/${known.name}`));
    found.push({ tone: one.level === "critical" ? "bad" : "warn", to: database ? `databases/${encodeURIComponent(database.name)}` : "findings", what: one.title, why: "", at: one.since });
  }
  for (const one of all.schedules) {
    if (one.approval_needed && one.enabled) {
      found.push({ tone: "warn", to: `schedules/${encodeURIComponent(one.name)}`, what: `${one.name} waits for an approval`, why: one.approval_needed });
    }
    if (one.last?.state === "failed" && one.enabled && !told.has(`runs/${one.last.run}`)) {
      found.push({ tone: "bad", to: `schedules/${encodeURIComponent(one.name)}`, what: `the schedule ${one.name} failed`, why: one.last.why ?? "", at: one.last.due });
    }
  }
  if (all.schedules.length && !all.status.scheduler.running) {
    found.push({ tone: "bad", to: "schedules", what: "nobody serves the schedules", why: "start `sexton serve`" });
  }
  return found.sort((a, b) => (a.tone === "bad" ? 0 : 1) - (b.tone === "bad" ? 0 : 1));
}

function attention(found) {
  if (!found.length) return h("p", { class: "calm-line" }, mark("all quiet", "good"), " No run has failed lately and nothing waits for you.");
  return h("ul", { class: "alerts" }, found.map((one) => h("li", { class: one.tone },
    link(one.to, one.what), one.why ? h("span", { class: "quiet" }, said(one.why)) : null, one.at ? h("span", { class: "quiet when" }, time(one.at)) : null)));
}

function databaseCard(database, all) {
  const own = all.runs.filter((run) => run.metadata.database.split(", ").includes(database.name) && !run.metadata.dry_run);
  const last = own[0];
  const health = later(async () => {
    const [found, sizes] = await Promise.all([
      api.get(`databases/${encodeURIComponent(database.name)}/findings`), api.get(`databases/${encodeURIComponent(database.name)}/sizes`),
    ]);
    const points = sizes.samples.map((one) => [one.at, one.bytes]);
    const rate = found.growth?.bytes_per_day;
    const worst = found.findings.filter((one) => one.level !== "note").slice(0, 2);
    return h("div", null,
      h("div", { class: "health" },
        h("p", null, found.passed ? mark("healthy", "good") : mark(`${of(found.warnings, "thing needs", "things need")} you`, "warn")),
        h("p", { class: "size" }, h("b", null, bytes(found.size_bytes)),
          rate !== null && rate !== undefined ? h("span", { class: "quiet" }, `${rate >= 0 ? "+" : ""}${bytes(rate)} a day`) : null),
        points.length > 1 ? spark(points, `Size over time, now ${bytes(found.size_bytes)}`) : null),
      worst.length ? h("ul", { class: "short" }, worst.map((one) => h("li", null, h("b", null, one.object), ": ", said(one.what)))) : null);
  }, "Examining …");
  return h("article", { class: "card database" },
    h("div", { class: "card-head" }, h("h3", null, link(`databases/${encodeURIComponent(database.name)}`, database.name)),
      h("span", { class: "quiet" }, database.engine === "sqlite" ? "SQLite" : "PostgreSQL")),
    health,
    h("p", { class: "quiet foot" }, last ? ["Last run ", link(`runs/${last.run_id}`, called(last)),
      " ", time(last.metadata.started_at), " ", badge(last.status)] : "Nothing has run here yet."));
}

function next(all) {
  const coming = all.schedules.filter((one) => one.enabled && one.next?.length)
    .sort((a, b) => (a.next[0] < b.next[0] ? -1 : 1)).slice(0, 6);
  return table([
    { title: "Schedule", cell: (one) => link(`schedules/${encodeURIComponent(one.name)}`, one.name) },
    { title: "Next", cell: (one) => time(one.next[0]) },
    { title: "At", cell: (one) => moment(one.next[0]) },
    { title: "", cell: (one) => (one.approval_needed ? mark("only shown", "warn") : null) },
  ], coming, { empty: "No schedule is coming up.", label: "Next runs" });
}

function lately(all) {
  return table([
    { title: "Run", cell: (run) => link(`runs/${run.run_id}`, called(run)) },
    { title: "When", cell: (run) => time(run.metadata.started_at) },
    { title: "Rows", end: true, cell: (run) => count(handled(run.totals)) },
    { title: "Took", end: true, cell: (run) => (isOpen(run.status) ? "" : duration(run.metadata.duration_seconds)) },
    { title: "", cell: (run) => [badge(run.status), run.metadata.dry_run ? mark("dry run", "calm") : null] },
  ], all.runs.slice(0, 8), { empty: "Nothing has run yet.", label: "Last runs" });
}

function atWork(all) {
  const open = all.runs.filter((run) => isOpen(run.status));
  if (!open.length) return null;
  return card("At work", { class: "wide" }, h("ul", { class: "plain-list" }, open.map((run) => {
    const bar = h("div", { class: "at-work" });
    api.get(`runs/${run.run_id}`).then((one) => put(bar, meter(one.progress.done, one.progress.total, `${run.run_id}: how much is done`),
      h("span", { class: "quiet" }, `${count(one.progress.done)} of ${count(one.progress.total)}`))).catch(lost);
    return h("li", null, link(`runs/${run.run_id}`, called(run)), bar);
  })));
}

function parts(all) {
  return {
    work: atWork(all), attention: attention(alerts(all)), next: next(all), lately: lately(all),
  };
}

export async function view(context) {
  const all = await known();
  const drawn = parts(all);
  const work = h("div", { class: "wide" }, drawn.work);
  const needs = h("div", null, drawn.attention);
  const coming = h("div", null, drawn.next);
  const past = h("div", null, drawn.lately);
  const timer = setInterval(async () => {
    if (document.hidden || document.activeElement?.closest("#main table, #main .alerts")) return;
    try {
      const now = parts(await known());
      put(work, now.work);
      put(needs, now.attention);
      put(coming, now.next);
      put(past, now.lately);
    } catch (error) {
      if (error.status === 401) lost(error);
    }
  }, EVERY);
  context.onLeave(() => clearInterval(timer));
  const week = all.runs.filter((run) => !run.metadata.dry_run && Date.now() - new Date(run.metadata.started_at) < 7 * 864e5);
  return {
    title: "Overview",
    nodes: [
      heading("Overview"),
      card("Needs you", { class: "wide" }, needs),
      work,
      h("div", { class: "databases" }, all.databases.length ? all.databases.map((one) => databaseCard(one, all))
        : empty("No database is configured: `sexton init DATABASE > sexton.toml` drafts a configuration.")),
      h("div", { class: "columns" },
        card("Next runs", { aside: link("schedules", "all schedules") }, coming),
        card("Last runs", { aside: link("runs", "all runs") }, past,
          figures([["runs this week", count(week.length)], ["failed", count(week.filter((run) => run.status === "failed").length)],
            ["rows handled", count(week.reduce((sum, run) => sum + handled(run.totals), 0))]]))),
    ],
  };
}
