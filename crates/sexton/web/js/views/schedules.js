// Schedules: what waits for an approval, what comes next, what came of the last times.

import * as api from "../api.js";
import { h, id, put, say } from "../dom.js";
import { ask } from "../dialog.js";
import { act, badge, card, code, figures, heading, link, mark, more, table, time } from "../parts.js";
import { ago, count, moment, words } from "../words.js";
import { form } from "./schedule_form.js";

const path = (name, what = "") => `schedules/${encodeURIComponent(name)}${what ? `/${what}` : ""}`;
const when = (one) => one.cron ?? (one.every ? `every ${one.every}` : one.after?.length ? `after ${one.after.join(", ")}` : "by hand");
const runs = (one) => one.run.map((name, n) => [n ? ", " : "", link(`operations/${encodeURIComponent(name)}`, name)]);

/** One that waits: why, what it was seen to do, and the two answers. */
function waiting(one, context) {
  const own = id("limit");
  const limit = h("input", { id: own, type: "number", min: 1, step: 1, placeholder: "no limit", inputmode: "numeric" });
  const shown = one.last?.run;
  const answer = context.may("admin") ? h("div", { class: "answer" },
    h("div", { class: "field small" }, h("label", { for: own }, "Rows at most, each time"), limit),
    h("div", { class: "buttons" },
      act("Approve …", async () => {
        const most = limit.value ? Number(limit.value) : null;
        const sure = await ask({
          title: `Approve ${one.name}?`, action: "Approve", type: one.name,
          body: [h("p", null, "From now on it runs ", runs(one).flat().map((part) => (part instanceof Node ? h("b", null, part.textContent) : part)),
            " by itself", most ? `, as long as no run takes more than ${count(most)} rows` : "", "."),
          h("p", { class: "quiet" }, "The approval is for the operations as they are now: a change of them ends it.")],
        });
        if (!sure) return;
        await api.post(path(one.name, "approve"), { max_rows: most });
        say(`${one.name} is approved.`);
        await context.again();
      }, { class: "main" }),
      act("Refuse …", async () => {
        const sure = await ask({
          title: `Refuse ${one.name}?`, action: "Refuse and switch off", danger: true,
          body: [h("p", null, "It is switched off, and neither runs nor shows what it would do until somebody switches it on again.")],
        });
        if (!sure) return;
        await api.post(path(one.name, "refuse"));
        say(`${one.name} is refused and switched off.`);
        await context.again();
      }, { class: "plain" }))) : h("p", { class: "quiet" }, "Who may approve it needs a token with the role admin.");
  return h("li", null,
    h("h3", null, link(path(one.name), one.name)),
    h("p", null, words(one.approval_needed)),
    h("p", { class: "quiet" }, "Runs ", runs(one), ", ", code(when(one)), shown ? [". What it would do was shown ", link(`runs/${shown}`, time(one.last.due))] : null, "."),
    answer);
}

function last(one) {
  if (!one.last) return "never";
  const text = time(one.last.due);
  return [one.last.run ? link(`runs/${one.last.run}`, text) : text, " ", badge(one.last.state)];
}

function standing(one) {
  if (!one.enabled) return mark("off", "calm");
  if (one.approval_needed) return mark("only shown", "warn");
  return mark("on", "good");
}

async function list(context) {
  const [all, status] = await Promise.all([api.get("schedules"), api.get("status")]);
  const pending = all.filter((one) => one.enabled && one.approval_needed);
  return {
    title: "Schedules",
    nodes: [
      heading("Schedules", status.scheduler.running ? mark("served", "good") : mark("nobody serves them", "bad"),
        context.may("admin") ? h("a", { class: "button", href: "#/schedules?new" }, "Add a schedule …") : null),
      pending.length ? card("Waiting for an approval", { class: "pending" }, h("ul", { class: "plain-list" }, pending.map((one) => waiting(one, context)))) : null,
      card("All schedules", null, table([
        { title: "Schedule", cell: (one) => [link(path(one.name), one.name), one.description ? h("span", { class: "under" }, one.description) : null] },
        { title: "Runs", cell: (one) => runs(one) },
        { title: "When", cell: (one) => [code(when(one)), one.zone && one.zone !== "UTC" ? h("span", { class: "under" }, one.zone) : null] },
        { title: "Next", cell: (one) => (one.next?.length ? [time(one.next[0]), h("span", { class: "under" }, moment(one.next[0]))] : "–") },
        { title: "Last", cell: last },
        { title: "", cell: standing },
      ], all, { empty: "There is no schedule: add one here, or a table [schedule.NAME] to the configuration.", label: "Schedules" })),
    ],
  };
}

async function one(context, name) {
  const known = await api.get(path(name));
  const times = known.next.length ? (await api.get(api.query("due", { cron: known.cron, zone: known.zone, clock_change: known.clock_change }))).next : [];
  const body = h("div");
  const does = (text, what, props) => act(text, async () => { await what(); await context.again(); }, props);
  const actions = h("div", { class: "buttons start" },
    context.may("run") ? act("Run it now …", async () => {
      const sure = await ask({
        title: `Run ${name} now?`, action: "Run it now",
        body: [h("p", null, known.approval_needed ? "It is not approved, so it only shows what it would do." : "It runs as at its next time, outside of its turn.")],
      });
      if (!sure) return;
      await api.post(path(name, "run"));
      say(`${name} is begun within a second by whoever serves the schedules.`);
      setTimeout(() => context.again(), 2500);
    }, { class: "main" }) : null,
    context.may("admin") ? (known.enabled
      ? does("Switch off", () => api.post(path(name, "disable")), { class: "plain" })
      : does("Switch on", () => api.post(path(name, "enable")), { class: "plain" })) : null,
    context.may("admin") && known.approval && !known.approval_needed
      ? does("Take the approval back", () => api.post(path(name, "withdraw")), { class: "plain" }) : null,
    context.may("admin") && known.origin === "added" ? h("a", { class: "button", href: `#/${path(name)}?change` }, "Change …") : null,
    context.may("admin") ? h("a", { class: "button", href: `#/schedules?new&like=${encodeURIComponent(name)}` }, "Add one like it …") : null,
    context.may("admin") && known.origin === "added" ? act("Delete …", async () => {
      const sure = await ask({
        title: `Delete ${name}?`, action: "Delete the schedule", danger: true,
        body: [h("p", null, "It is due no more. What its runs did stays as it is, and they stay in the log.")],
      });
      if (!sure) return;
      await api.remove(path(name), known.version);
      say(`${name} is deleted.`);
      context.go("schedules");
    }, { class: "plain" }) : null);
  put(body, actions);
  const { name: _, origin, version, next, last: __, approval, approval_needed: ___, ticks, ...says } = known;
  return {
    title: name,
    nodes: [
      heading(name, standing(known)),
      known.description ? h("p", { class: "lead" }, known.description) : null,
      figures([["runs", runs(known)], ["when", code(when(known))], ["zone", known.zone], ["stands in", origin === "config" ? "the configuration, and is changed there" : "the state, added"],
        ["approved", approval ? [`by ${approval.by} `, time(approval.at), approval.max_rows ? `, at most ${count(approval.max_rows)} rows` : ""] : null]]),
      known.approval_needed && known.enabled ? card("Waiting for an approval", { class: "pending" }, h("ul", { class: "plain-list" }, waiting(known, context))) : null,
      body,
      h("div", { class: "columns" },
        card("Next times", null, next.length ? table([
          { title: known.zone, cell: (time) => time.local },
          { title: "UTC", cell: (time) => time.utc },
          { title: "", cell: (time) => ago(time.at) },
        ], times, { label: "Next times" }) : h("p", { class: "empty" }, known.enabled ? "It has no times of its own." : "It is switched off.")),
        card("Last times", null, table([
          { title: "Due", cell: (tick) => time(tick.due, moment) },
          { title: "Run", cell: (tick) => (tick.run ? link(`runs/${tick.run}`, tick.run) : "–") },
          { title: "", cell: (tick) => [badge(tick.state), tick.why ? h("span", { class: "under" }, tick.why) : null] },
        ], ticks ?? [], { empty: "It was never due.", label: "Last times" }))),
      more("As it is written", h("pre", { tabindex: "0" }, JSON.stringify(says, null, 2))),
    ],
  };
}

export function view(context) {
  const [name] = context.rest;
  if (context.query.has("new")) return form(context, null, context.query.get("like"));
  if (!name) return list(context);
  return context.query.has("change") ? form(context, name) : one(context, name);
}
