// One run: live while it is at work, with rate and time left; afterwards its report, and the ways on from there.

import * as api from "../api.js";
import { h, put, say } from "../dom.js";
import { ask } from "../dialog.js";
import { act, badge, called, card, code, figures, heading, mark, meter, time } from "../parts.js";
import { canResume, count, duration, handled, isOpen, moment, standing, words } from "../words.js";
import * as reports from "./report.js";

/** Rates are those of the last so many seconds. */
const WINDOW = 15_000;

/** A run is answered before it is begun: a moment is given to it. */
async function found(id) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await api.get(`runs/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error.status !== 404 || tries > 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }
}

/** An event in a line; those that say nothing to people are left out. */
function line(event, report) {
  const name = report.operations[event.item]?.operation ?? "";
  const told = {
    planned: () => `planned: ${count(event.matched)} rows`,
    guarded: () => (event.findings.length ? `the guards note: ${event.findings.map((one) => one.what).join("; ")}` : "the guards have nothing against it"),
    refused: () => `refused: ${event.findings.map((one) => one.what).join("; ")}`,
    backed_up: () => (event.reused ? "there is a fresh backup" : "a backup was taken"),
    started: () => (event.resumed ? "goes on" : "begins"),
    retried: () => `tries again: ${event.error}`,
    paused: () => `waited ${duration(event.seconds)}: ${event.reason}`,
    gave_up: () => `passed over ${event.scope}: ${event.error}`,
    began_again: () => `began again: ${event.reason}`,
    stopped: () => "stopped between two batches",
    failed: () => `failed: ${event.error}`,
    skipped: () => `skipped: ${event.reason}`,
    verified: () => (event.findings.length ? `checked: ${event.findings.map((one) => one.what).join("; ")}` : "checked: all is as it should be"),
    noted: () => event.text,
    finished: () => (event.item === null || event.item === undefined ? "the run is over" : "over"),
  }[event.event];
  return told ? h("li", null, h("time", { datetime: event.at }, new Date(event.at).toLocaleTimeString("en-GB")), " ", name ? h("b", null, `${name} `) : null, told()) : null;
}

/** The live part: a bar, figures and the last events. */
function live(report) {
  const bar = meter(report.progress.done, report.progress.total, "How much is done");
  const share = h("b", { class: "share" });
  const told = h("div");
  const log = h("ol", { class: "log", tabindex: "0", "aria-label": "What happened" });
  const batches = [];
  let done = 0;
  let at = "";
  let stopping = false;
  const draw = () => {
    const total = report.progress.total;
    const now = batches[batches.length - 1];
    const first = batches.find((one) => now && now.at - one.at <= WINDOW);
    const seconds = first && now ? (now.at - first.at) / 1000 : 0;
    const rate = seconds > 0.3 ? (now.done - first.done) / seconds : null;
    bar.value = total > 0 ? Math.min(1, done / total) : 0;
    put(share, total > 0 ? `${Math.floor(Math.min(1, done / total) * 100)}\u00a0%` : "");
    put(told, figures([
      ["rows", `${count(done)} of ${count(total)}`],
      ["rate", rate ? `${count(rate)} rows/s` : "measuring"],
      ["time left", rate && total > done ? `about ${duration((total - done) / rate)}` : total > done ? "measuring" : "nearly done"],
      ["batches", count(batches.length)],
      ["at work on", at],
      stopping ? ["", mark("stopping after this batch", "warn")] : null,
    ]));
  };
  const take = (event) => {
    if (event.event === "advanced") {
      done += handled(event.counts);
      const operation = report.operations[event.item];
      const part = operation?.targets[event.step]?.label;
      at = report.operations.length > 1 ? [operation?.operation, part].filter(Boolean).join(", ") : part ?? "";
      batches.push({ at: new Date(event.at).getTime(), done });
    }
    if (event.event === "began_again") done = 0;
    const said = line(event, report);
    if (said) {
      log.append(said);
      log.scrollTop = log.scrollHeight;
    }
    draw();
  };
  draw();
  return {
    take, stopping: () => { stopping = true; draw(); },
    node: [h("div", { class: "progress" }, bar, share), told, log],
  };
}

export async function view(context) {
  const id = context.rest[0];
  const body = h("div");
  const events = [];
  let close = null;
  let gone = false;
  context.onLeave(() => { gone = true; close?.(); });

  function top(report) {
    return [
      heading(called(report), badge(report.status), report.metadata.dry_run ? mark("dry run", "calm") : null),
      figures([["run", code(report.run_id)], ["began", time(report.metadata.started_at, moment)], ["by", report.metadata.actor],
        ["from", words(report.metadata.trigger).replace("Api", "API or page").replace("Cli", "command line")],
        ["took", isOpen(report.status) ? null : duration(report.metadata.duration_seconds)], ["database", report.metadata.database]]),
    ];
  }

  function atWork(report) {
    const watched = live(report);
    const stop = act("Stop", async () => {
      await api.post(`runs/${encodeURIComponent(report.run_id)}/cancel`);
      watched.stopping();
      say("It stops after the batch at work; what is done stays done and can be put back.");
    }, { class: "danger" });
    put(body, top(report), card("At work", { aside: context.may("run") ? stop : null }, watched.node));
    close = api.events(report.run_id, (event) => { events.push(event); watched.take(event); }, async () => {
      if (gone) return;
      await over(true);
    });
    return report;
  }

  async function over(fresh) {
    // The last event is told a moment before the report is done.
    let report = await found(id);
    for (let tries = 0; isOpen(report.status) && tries < 20; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      report = await found(id);
    }
    if (gone) return report;
    if (isOpen(report.status)) return atWork(report);
    finished(report);
    if (fresh) say(`The run is over: ${standing(report.status)[0]}.`);
    return report;
  }

  function finished(report) {
    const canUndo = !report.metadata.dry_run && report.operations.some((one) => one.undo_id) && report.operations.every((one) => one.kind !== "undo");
    const ways = context.may("run") ? h("div", { class: "buttons start" },
      canUndo ? h("a", { class: "button", href: `#/undo/${report.run_id}` }, "Put it back …") : null,
      canResume(report.status) && !report.metadata.dry_run ? act("Go on with it", async () => {
        const sure = await ask({
          title: "Go on with this run?", action: "Go on",
          body: [h("p", null, "It goes on after the last batch that was committed.")],
        });
        if (!sure) return;
        await api.post(`runs/${encodeURIComponent(report.run_id)}/resume`);
        events.length = 0;
        await begunAgain(report);
      }, { class: "main" }) : null) : null;
    put(body, top(report), ways?.childElementCount ? ways : null, reports.shown(report, events), logOf(report));
  }

  /** Waits until a run that was gone on with is at work, or over again. */
  async function begunAgain(before) {
    for (let tries = 0; tries < 40; tries += 1) {
      const report = await found(id);
      if (isOpen(report.status)) return atWork(report);
      if (report.status !== before.status) break;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return over(true);
  }

  function logOf(report) {
    const list = h("ol", { class: "log", tabindex: "0", "aria-label": "What happened" }, events.map((event) => line(event, report)));
    const details = h("details", { class: "more" }, h("summary", null, "What happened, in order"), list);
    if (!events.length) {
      details.addEventListener("toggle", () => {
        close = api.events(report.run_id, (event) => { events.push(event); const said = line(event, report); if (said) list.append(said); }, () => {});
      }, { once: true });
    }
    return card("Log", null, details, h("p", { class: "quiet" }, "In every log line: ", code(report.correlation_id)));
  }

  const report = await found(id);
  if (isOpen(report.status)) atWork(report);
  else finished(report);
  return { title: called(report), nodes: [body] };
}

