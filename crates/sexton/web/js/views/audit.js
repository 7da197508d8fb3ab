// Who did what, newest first.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { card, heading, more, table, time } from "../parts.js";
import { moment } from "../words.js";

/** Long details, such as options and reports, are shut at first. */
function detail(text) {
  const [, before, options, after] = /^(.*?) with (\{.*\}); (.*)$/s.exec(text) ?? [];
  if (options) return [`${before}; ${after}`, options === "{}" ? null : more("with", h("pre", { tabindex: "0" }, JSON.stringify(JSON.parse(options), null, 2)))];
  if (text.length <= 90) return text;
  if (text.startsWith("{")) {
    try { return more("what it came to", h("pre", { tabindex: "0" }, JSON.stringify(JSON.parse(text), null, 2))); } catch { /* it is a text */ }
  }
  return more(`${text.slice(0, 60)} …`, h("pre", { tabindex: "0" }, text));
}

export async function view() {
  const all = await api.get("audit?limit=300");
  const shown = h("div");
  const draw = (text) => put(shown, table([
    { title: "When", cell: (one) => time(one.at, moment) },
    { title: "Who", whole: true, cell: (one) => one.actor },
    { title: "Did", whole: true, cell: (one) => one.action },
    { title: "To", cell: (one) => one.object.replaceAll(",", ", ") },
    { title: "Detail", cell: (one) => detail(one.detail) },
  ], all.filter((one) => `${one.actor} ${one.action} ${one.object}`.toLowerCase().includes(text.toLowerCase())), { empty: "No line fits.", label: "Audit trail" }));
  draw("");
  return {
    title: "Audit trail",
    nodes: [
      heading("Audit trail", h("input", { type: "search", placeholder: "Find", "aria-label": "Find lines", oninput: (event) => draw(event.target.value) })),
      card("Who did what", null, shown),
    ],
  };
}
