// One operation, or a group: what it would do, and doing it once a person agrees to just that.

import * as api from "../api.js";
import { h, id, put, say } from "../dom.js";
import { ask } from "../dialog.js";
import { act, badge, card, code, figures, heading, link, mark, more, severity, table, time, trouble, waiting } from "../parts.js";
import { count, duration, handled, rows } from "../words.js";
import * as plans from "./plan.js";

const LIMITS = [
  ["max_rows", "Rows at most", "no limit"], ["max_seconds", "Seconds at most", "no limit"],
  ["batch_size", "Rows a batch", "sized by time"], ["rows_per_second", "Rows a second", "as fast as it is gentle"],
];

function limits() {
  const fields = LIMITS.map(([name, title, none]) => {
    const own = id("limit");
    const input = h("input", { id: own, type: "number", min: 1, step: 1, placeholder: none, inputmode: "numeric" });
    return { name, input, node: h("div", { class: "field small" }, h("label", { for: own }, title), input) };
  });
  const said = () => Object.fromEntries(fields.filter(({ input }) => input.value).map(({ name, input }) => [name, Number(input.value)]));
  return { said, node: more("Limits for this time", h("div", { class: "fields" }, fields.map((field) => field.node))) };
}

/** Asks as much as can go wrong: nothing, a button, or a name typed. */
async function agreed(name, plan, force) {
  const severityOf = plans.worst(plan);
  const number = plans.matched(plan, force);
  if (severityOf === "LOW") return true;
  const grave = plan.items.filter((item) => ["HIGH", "CRITICAL"].includes(item.operation.severity));
  const gone = plan.items.filter((item) => item.undo.keep === "nothing");
  return ask({
    title: `Run ${name}?`,
    body: [
      h("p", null, "It is about ", h("b", null, rows(number)), " on ", [...new Set(plan.items.map((item) => item.operation.database))].join(", "), "."),
      gone.length ? h("p", null, mark("nothing can be put back", "warn"), " of ", gone.map((item) => item.operation.name).join(", "), ".")
        : h("p", { class: "quiet" }, "What it changes can be put back afterwards."),
    ],
    action: number > 0 ? `Run on ${rows(number)}` : "Run",
    type: grave.length ? grave[0].operation.name : undefined,
    danger: severityOf !== "MEDIUM",
  });
}

/** What the API wants to hear for a plan. */
function confirmation(plan) {
  const critical = plan.items.find((item) => item.operation.severity === "CRITICAL");
  return critical ? critical.operation.name : true;
}

export async function view(context) {
  const name = context.rest[0];
  const [all, runs] = await Promise.all([api.get("operations"), api.get("runs?brief=true&limit=200")]);
  const one = all.find((known) => known.id === name);
  const members = one ? [one] : all.filter((known) => known.groups.includes(name));
  if (!members.length) throw Object.assign(new Error(`there is no operation or group ${name}`), { status: 404 });
  const own = runs.filter((run) => run.operations.some((done) => members.some((member) => member.id === done.operation))).slice(0, 10);
  const chosen = limits();
  const result = h("div");

  async function preview(force) {
    put(result, waiting("Counting …"));
    result.setAttribute("aria-busy", "true");
    try {
      const plan = await api.post("plans", { operations: [name], options: chosen.said(), force, examples: 5 });
      put(result, buttons(plan, force), plans.shown(plan));
      const out = plans.refused(plan, force).length === plan.items.length;
      say(out ? "It would be refused." : `Planned: ${rows(plans.matched(plan, force))}.`);
      result.querySelector(".decide button, .decide p")?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      put(result);
      throw error;
    } finally {
      result.removeAttribute("aria-busy");
    }
  }

  function buttons(plan, force) {
    const number = plans.matched(plan, force);
    const run = act(number > 0 ? `Run on ${rows(number)} …` : "Run …", async () => {
      if (!(await agreed(name, plan, force))) return;
      try {
        const begun = await api.post("runs", { plan: plan.plan_id, confirm: confirmation(plan) });
        context.go(`runs/${begun.run_id}`);
      } catch (error) {
        if (error.code === "data") put(result, trouble(error, () => preview(force).catch((again) => put(result, trouble(again)))));
        else throw error;
      }
    }, { class: plans.worst(plan) === "LOW" || plans.worst(plan) === "MEDIUM" ? "main" : "danger" });
    const refused = plans.refused(plan, force);
    if (refused.length) {
      const all = refused.length === plan.items.length;
      return h("div", { class: "decide" }, all ? null : run,
        h("p", null, mark(all ? "it would be refused" : `${refused.map((item) => item.operation.name).join(", ")} would be refused`, "bad"),
          all ? " What stands in the way is told below." : " The others run; what stands in the way is told below."),
        !force && plans.forcible(plan) && !context.may("admin") ? h("p", { class: "quiet" }, "Whoever has the role admin may plan it all the same.") : null,
        !force && plans.forcible(plan) && context.may("admin") ? act("Plan it all the same …", async () => {
          const sure = await ask({
            title: "Override the guard?",
            body: [h("p", null, "What stands in the way is there to protect your data. Read it first; the run is still remembered and can be put back as the plan says.")],
            action: "Plan it all the same", danger: true, type: name,
          });
          if (sure) await preview(true);
        }) : null);
    }
    // Where the configuration wants a look first, this is the look.
    const dry = act("Dry run", async () => {
      const begun = await api.post("runs", { operations: [name], options: chosen.said(), force, dry_run: true });
      context.go(`runs/${begun.run_id}`);
    });
    return h("div", { class: "decide" }, run, dry, h("p", { class: "quiet" }, "Runs just what is shown here, or refuses when that no longer fits. The plan holds for 15 minutes."));
  }

  const ready = context.may("run");
  return {
    title: name,
    nodes: [
      heading(name, one ? severity(one.severity) : mark("group", "info")),
      one ? h("p", { class: "lead" }, one.description) : h("p", { class: "lead" }, "Runs ", members.map((member, n) => [n ? ", " : "", link(`operations/${encodeURIComponent(member.id)}`, member.id)]), "."),
      one ? figures([["kind", one.kind], ["database", link(`databases/${encodeURIComponent(one.database)}`, one.database)],
        ["backup first", one.backup_required ? "yes" : "no"], ["in groups", one.groups.map((group, n) => [n ? ", " : "", link(`operations/${encodeURIComponent(group)}`, group)])]]) : null,
      card("What it would do", null,
        ready ? h("div", { class: "buttons start" }, act("Preview", () => preview(false), { class: "main" }))
          : h("p", { class: "quiet" }, "Your token may only look. ", code("sexton token create NAME --role run"), " makes one that may also plan and run."),
        ready ? chosen.node : null),
      result,
      card("Last runs", { aside: one ? link(`runs?operation=${encodeURIComponent(name)}`, "all") : null }, table([
        { title: "When", cell: (run) => link(`runs/${run.run_id}`, time(run.metadata.started_at)) },
        { title: "By", whole: true, cell: (run) => run.metadata.actor },
        { title: "Rows", end: true, cell: (run) => count(run.operations.filter((done) => members.some((member) => member.id === done.operation)).reduce((sum, done) => sum + handled(done), 0)) },
        { title: "Took", end: true, cell: (run) => duration(run.metadata.duration_seconds) },
        { title: "", cell: (run) => [badge(run.status), run.metadata.dry_run ? mark("dry run", "calm") : null] },
      ], own, { empty: "It has never run.", label: "Last runs" })),
    ],
  };
}
