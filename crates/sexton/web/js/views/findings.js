// What is wrong with each database, the most harmful first.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { card, empty, findings, heading, later, link, mark, more } from "../parts.js";
import { of } from "../words.js";

/** Findings of one look: what needs a person first, the rest shut. */
export function shown(found) {
  const needs = found.findings.filter((one) => one.level !== "note");
  const notes = found.findings.filter((one) => one.level === "note");
  return h("div", null,
    needs.length ? findings(needs) : h("p", { class: "calm-line" }, mark("healthy", "good"), " Nothing needs you."),
    notes.length ? more(of(notes.length, "note", "notes"), findings(notes)) : null);
}

export async function view() {
  const databases = await api.get("databases");
  const body = h("div");
  const look = (fresh) => put(body, databases.map((one) => card(link(`databases/${encodeURIComponent(one.name)}`, one.name), null,
    later(async () => shown(await api.get(api.query(`databases/${encodeURIComponent(one.name)}/findings`, { fresh: fresh || null }))), "Examining …"))));
  look(false);
  return {
    title: "Findings",
    nodes: [
      heading("Findings", h("button", { type: "button", class: "plain", onclick: () => look(true) }, "Look again")),
      h("p", { class: "lead" }, "What the doctor finds in the catalogue and the counters of each database. It reads no rows and waits for no lock."),
      databases.length ? body : empty("No database is configured."),
    ],
  };
}
