// Adding a schedule, and changing one that was added. What it says is checked where it is kept; when it would be due is shown while it
// is typed.

import * as api from "../api.js";
import { h, id, put, say } from "../dom.js";
import { act, card, code, empty, heading, more, said, trouble } from "../parts.js";

const USUAL = [
  ["every hour", "0 * * * *"], ["every night at 02:00", "0 2 * * *"], ["Sundays at 03:00", "0 3 * * sun"],
  ["the first Sunday of a month", "0 4 * * sun#1"], ["the last day of a month", "0 3 L * *"],
];
/** Between the last key and the question when it would be due. */
const QUIET = 250;
/** What a definition is told with and does not say itself. */
const TOLD = ["name", "origin", "version", "next", "last", "ticks", "approval", "approval_needed"];
/** Limits of its runs that have a field of their own. */
const LIMITS = [["batch_size", "Rows a batch"], ["max_rows", "Rows a run, at most"], ["max_seconds", "Seconds a run, at most"]];

function field(label, control, hint, wide) {
  const own = control.id || id("field");
  control.id = own;
  const about = hint ? id("hint") : null;
  if (about) control.setAttribute("aria-describedby", about);
  return h("div", { class: wide ? "field wide" : "field" }, h("label", { for: own }, label), control, hint ? h("p", { class: "hint", id: about }, said(hint)) : null);
}

function check(label, checked, hint) {
  const box = h("input", { type: "checkbox", checked });
  return { box, node: h("label", { class: "check" }, box, h("span", null, label, hint ? h("span", { class: "hint" }, ` ${hint}`) : null)) };
}

function choice(all, chosen) {
  return h("select", null, all.map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
}

const text = (value, props) => h("input", { type: "text", value: value ?? "", autocomplete: "off", spellcheck: "false", ...props });
const number = (value, props) => h("input", { type: "number", min: 1, step: 1, value: value ?? "", placeholder: "no limit", inputmode: "numeric", ...props });

/** An ordered choice of some of many: what was chosen, each to be left out or put earlier, and a list of the rest. */
function picker(all, chosen, label, changed) {
  const list = h("ol", { class: "picked" });
  const select = h("select", { id: id("field") });
  const show = () => {
    const one = (name, n) => h("li", null, h("b", null, name),
      n > 0 ? h("button", { type: "button", class: "plain small", "aria-label": `${name} earlier`, onclick: () => { chosen.splice(n - 1, 2, name, chosen[n - 1]); show(); } }, "↑") : null,
      h("button", { type: "button", class: "plain small", "aria-label": `Leave out ${name}`, onclick: () => { chosen.splice(n, 1); show(); select.focus(); } }, "Leave out"));
    put(list, chosen.map(one));
    list.hidden = !chosen.length;
    const rest = all.filter((known) => !chosen.includes(known.name));
    put(select, h("option", { value: "" }, rest.length ? "Add …" : "All of them are there"),
      rest.map((known) => h("option", { value: known.name }, known.title ? `${known.name}: ${known.title}` : known.name)));
    changed?.();
  };
  select.addEventListener("change", () => {
    if (select.value) chosen.push(select.value);
    show();
  });
  show();
  return h("div", { class: "field wide" }, h("label", { for: select.id }, label), list, select);
}

/** When a line would be due, in its zone and in UTC; what is wrong is told of the field that has it. */
function due(cron, zone, clock) {
  const node = h("div", { class: "due", role: "status" });
  let timer = null;
  let turn = 0;
  const ask = async () => {
    turn += 1;
    const own = turn;
    const wrong = (input, is) => (is ? input.setAttribute("aria-invalid", "true") : input.removeAttribute("aria-invalid"));
    if (!cron.value.trim()) {
      [cron, zone].forEach((input) => wrong(input, false));
      put(node, empty("Say when it is due: minute, hour, day of the month, month, day of the week."));
      return;
    }
    try {
      const when = await api.get(api.query("due", { cron: cron.value, zone: zone.value || "UTC", clock_change: clock.value }));
      if (own !== turn) return;
      [cron, zone].forEach((input) => wrong(input, false));
      put(node, h("p", null, when.words),
        when.either_day ? h("p", { class: "remark" }, "It is due on either of the two days, not only on days that are both: for one of them write ", code("sun#1"), ".") : null,
        h("table", null, h("caption", { class: "hidden" }, "The next five times"),
          h("thead", null, h("tr", null, h("th", { scope: "col" }, zone.value || "UTC"), h("th", { scope: "col" }, "UTC"))),
          h("tbody", null, when.next.map((one) => h("tr", null, h("td", null, one.local), h("td", { class: "quiet" }, one.utc))))));
    } catch (error) {
      if (own !== turn) return;
      wrong(cron, error.field === "cron");
      wrong(zone, error.field === "zone");
      put(node, h("p", { class: "wrong" }, said(error.message)));
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(ask, QUIET); };
  [cron, zone, clock].forEach((input) => input.addEventListener("input", soon));
  ask();
  return { node, ask };
}

/** The definition that is changed, or the one that a new one begins as. */
async function beginning(name, like) {
  const from = name ?? like;
  if (!from) return { says: {}, version: 0 };
  const known = await api.get(`schedules/${encodeURIComponent(from)}`);
  const says = Object.fromEntries(Object.entries(known).filter(([key]) => !TOLD.includes(key)));
  return { says, version: known.version };
}

export async function form(context, name, like) {
  const [{ says, version }, operations, schedules, channels] = await Promise.all([
    beginning(name, like), api.get("operations"), api.get("schedules"), api.get("channels"),
  ]);
  const groups = [...new Set(operations.flatMap((one) => one.groups))].map((group) => ({ name: group, title: "a group" }));
  const run = [...(says.run ?? [])];
  const after = [...(says.after ?? [])];
  const called = text(name ?? "", { required: true, pattern: "[A-Za-z0-9_.\\-]+", title: "letters, digits, _ - and .", maxlength: 60 });
  const description = text(says.description);

  const way = h("select", null, h("option", { value: "cron" }, "At certain times"), h("option", { value: "after", selected: after.length > 0 }, "When other schedules have done their work"));
  const cron = text(says.cron ?? (name || like ? "" : "0 2 * * *"), { class: "mono" });
  const zones = id("zones");
  const zone = text(says.zone ?? "UTC", { list: zones });
  const clock = choice([["run", "right after the clock change"], ["skip", "not on that day"]], says.clock_change ?? "run");
  const times = due(cron, zone, clock);
  const usual = h("div", { class: "usual", role: "group", "aria-label": "Usual times" }, USUAL.map(([words, line]) => h("button", {
    type: "button", class: "plain small", onclick: () => { cron.value = line; times.ask(); },
  }, words)));
  const byTime = h("div", { class: "columns even" },
    h("div", { class: "stack" }, field("Cron line", cron, "minute, hour, day of the month, month, day of the week", true), usual,
      field("Zone", zone, null, true), h("datalist", { id: zones }, Intl.supportedValuesOf("timeZone").map((value) => h("option", { value })))),
    h("div", { class: "stack" }, h("h3", null, "Next times"), times.node));
  const others = schedules.filter((one) => one.name !== name).map((one) => ({ name: one.name, title: one.description }));
  const byOthers = picker(others, after, "After these; if one of them fails, it is passed over");
  const shown = () => { byTime.hidden = way.value !== "cron"; byOthers.hidden = way.value !== "after"; };
  way.addEventListener("change", shown);
  shown();

  const dry = check("Only show what would be done", says.dry_run ?? false);
  const look = check("Look first:", says.dry_run_first ?? false, "a dry run goes before each real one");
  const enabled = check("Runs by itself", says.enabled ?? true);
  const limits = LIMITS.map(([key, label]) => ({ key, label, input: number(says.options?.[key]) }));
  const missed = choice([["once", "made up for once"], ["skip", "left out"], ["all", "each made up for"]], says.missed ?? "once");
  const overlap = choice([["skip", "the next time is passed over"], ["queue", "the next time waits for its turn"], ["fail", "the next time has failed"]], says.overlap ?? "skip");
  const lateness = text(says.max_lateness, { placeholder: "6 hours" });
  const jitter = text(says.jitter, { placeholder: "10 min" });
  const blackouts = text((says.blackouts ?? []).join(", "), { placeholder: "12-24..01-02" });
  const most = number(says.alert_threshold, { placeholder: "as configured" });

  const own = says.notifications;
  const who = h("select", null, h("option", { value: "" }, "As the configuration says"), h("option", { value: "own", selected: Boolean(own) }, "As said here"));
  const on = { on_success: check("that all went well", own?.on_success ?? false), on_failure: check("that it was not done", own?.on_failure ?? true), on_warnings: check("that there is something to look at", own?.on_warnings ?? true) };
  const by = channels.map((channel) => ({ name: channel.name, ...check(channel.name, own?.channels?.includes(channel.name) ?? false) }));
  const recipients = text((own?.recipients ?? []).join(", "), { placeholder: "those of the channels" });
  const told = h("div", { class: "stack" },
    h("fieldset", null, h("legend", null, "Tells"), Object.values(on).map((one) => one.node)),
    by.length ? h("fieldset", null, h("legend", null, "By these channels; by all where none is chosen"), by.map((one) => one.node)) : h("p", { class: "quiet" }, "There is no channel: they stand in the configuration, as tables [notify.NAME]."),
    field("To", recipients, "mail addresses, or `CHANNEL:ADDRESS`, with commas between", true));
  const telling = () => { told.hidden = who.value !== "own"; };
  who.addEventListener("change", telling);
  telling();

  const list = (input) => input.value.split(",").map((part) => part.trim()).filter(Boolean);
  const typed = (input) => input.value.trim() || null;
  /** Keys that have no field here stay as they are. */
  const definition = () => {
    const options = { ...says.options };
    for (const { key, input } of limits) {
      if (input.value) options[key] = Number(input.value);
      else delete options[key];
    }
    const timed = way.value === "cron";
    return {
      ...says, description: typed(description), run, cron: timed ? cron.value.trim() : null, zone: zone.value.trim() || "UTC", after: timed ? [] : after,
      enabled: enabled.box.checked, dry_run: dry.box.checked, dry_run_first: look.box.checked, missed: missed.value, overlap: overlap.value,
      max_lateness: typed(lateness), jitter: typed(jitter), clock_change: clock.value, blackouts: list(blackouts), options,
      alert_threshold: most.value ? Number(most.value) : null,
      notifications: who.value === "own" ? {
        ...Object.fromEntries(Object.entries(on).map(([key, one]) => [key, one.box.checked])),
        channels: by.filter((one) => one.box.checked).map((one) => one.name), recipients: list(recipients),
      } : null,
    };
  };

  const answer = h("div");
  const keep = act(name ? "Keep the changes" : "Add the schedule", async () => {
    put(answer);
    if (!called.reportValidity()) return;
    const wanted = name ?? called.value.trim();
    try {
      const kept = await api.put(`schedules/${encodeURIComponent(wanted)}`, definition(), name ? version : 0);
      say(kept.approval_needed ? `${wanted} is kept. Until somebody approves it, it only shows what it would do.` : `${wanted} is kept.`);
      context.go(`schedules/${encodeURIComponent(wanted)}`);
    } catch (error) {
      if (error.code !== "changed") throw error;
      put(answer, name ? trouble(error, () => context.again()) : trouble({ ...error, message: `There is a schedule ${wanted} already: take another name.` }));
    }
  }, { class: "main" });
  const body = h("form", { class: "sheet", novalidate: true, onsubmit: (event) => { event.preventDefault(); keep.click(); } },
    card("What", null,
      h("div", { class: "columns even" }, name ? null : field("Name", called, "letters, digits, `_`, `-` and `.`", true), field("Description", description, null, true)),
      picker([...groups, ...operations.map((one) => ({ name: one.id, title: one.description }))], run, "Runs, in this order")),
    card("When", null, field("It is due", way, null, true), byTime, byOthers),
    card("How", null, h("div", { class: "stack" }, enabled.node, dry.node, look.node),
      h("div", { class: "fields" }, limits.map((one) => field(one.label, one.input))),
      more("When times are missed, too late or shut out",
        h("div", { class: "fields" }, field("Missed times are", missed), field("While it is still at work", overlap), field("No later than", lateness),
          field("Spread by up to", jitter), field("Times that the clock leaps over", clock), field("Not on these days", blackouts), field("Duplicates before an alert", most)))),
    card("Who is told", null, field("Messages", who, null, true), told),
    h("div", { class: "buttons start" }, keep, h("a", { class: "button", href: name ? `#/schedules/${encodeURIComponent(name)}` : "#/schedules" }, "Cancel")), answer);
  return {
    title: name ? `Change ${name}` : "A new schedule",
    nodes: [heading(name ? `Change ${name}` : "A new schedule"),
      name ? h("p", { class: "lead" }, "A change ends its approval: until somebody gives it again, it only shows what it would do.") : h("p", { class: "lead" }, "Until somebody approves it, it only shows what it would do."), body],
  };
}
