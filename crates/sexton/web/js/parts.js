// What several views are built of: tables, badges, findings, moments, boxes for what went wrong.

import { h, id, put } from "./dom.js";
import { ago, moment, standing, words } from "./words.js";

/** A moment: how long ago, with the moment itself for whoever wants to know. */
export function time(at, how = ago) {
  if (!at) return "–";
  const text = how === ago ? ago(at) : moment(at);
  const other = how === ago ? moment(at) : ago(at);
  return h("time", { datetime: at, title: other }, text);
}

/** How something stands, in a word and a colour. */
export function badge(status) {
  const [text, tone] = standing(status);
  return mark(text, tone);
}

export const mark = (text, tone) => h("span", { class: `badge ${tone}` }, text);

/** How much can go wrong. */
export function severity(level) {
  const tone = { LOW: "calm", MEDIUM: "info", HIGH: "warn", CRITICAL: "bad" }[level] ?? "calm";
  return h("span", { class: `badge ${tone}`, title: `severity: ${level.toLowerCase()}` }, level.toLowerCase());
}

/** What a run is called: its operations, the first ones by name. */
export function called(run) {
  const names = run.operations.map((one) => one.operation);
  if (!names.length) return run.run_id;
  return names.length <= 2 ? names.join(", ") : `${names[0]}, ${names.length - 1}\u00a0more`;
}

/** A text of the program: what it has in backticks is something to type or a name. */
export const said = (text) => String(text ?? "").split("`").map((part, n) => (n % 2 ? h("code", null, part) : part));

export const link = (to, ...children) => h("a", { href: `#/${to}` }, children);
export const code = (text) => h("code", null, text);

/** A part of a page with a heading of its own. */
export function card(title, props, ...children) {
  const name = id("card");
  const head = h("div", { class: "card-head" }, h("h2", { id: name }, title), props?.aside ?? null);
  return h("section", { class: `card ${props?.class ?? ""}`, "aria-labelledby": name }, head, children);
}

/**
 * A table. A column is `{ title, cell: (row) => node, end: true for figures, whole: true for what stays in one line }`; on narrow screens each row becomes a small list.
 */
export function table(columns, all, props) {
  if (!all.length) return empty(props?.empty ?? "There is nothing here yet.");
  const head = h("tr", null, columns.map((column) => h("th", { scope: "col", class: column.end ? "end" : null }, column.title)));
  const body = all.map((row) => h("tr", props?.row?.(row) ?? null, columns.map((column, n) => {
    const cell = column.cell(row);
    const props = { class: column.end ? "end" : column.whole ? "whole" : null, "data-title": column.title };
    return n === 0 ? h("th", { scope: "row", ...props }, cell) : h("td", props, cell);
  })));
  return h("div", { class: "table", role: props?.label ? "region" : null, "aria-label": props?.label ?? null },
    h("table", null, props?.label ? h("caption", { class: "hidden" }, props.label) : null, h("thead", null, head), h("tbody", null, body)));
}

export const empty = (...text) => h("p", { class: "empty" }, text);

/** Figures worth a word each: `[["rows", "12"], …]`. */
export function figures(all) {
  const pairs = all.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== "" && pair[1].length !== 0);
  return h("dl", { class: "figures" }, pairs.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/** What was found, the worst first, each with what to do. */
export function findings(all) {
  const tones = { refuse: "bad", error: "bad", warning: "warn", overridden: "warn", note: "info" };
  return h("ul", { class: "findings" }, all.map((one) => h("li", { class: tones[one.level] ?? "info" },
    h("p", { class: "what" }, mark(one.level === "refuse" ? "in the way" : one.level, tones[one.level] ?? "info"), " ",
      one.object ? h("b", null, one.object) : null, one.object ? ": " : null, said(one.what)),
    one.remedy ? h("p", { class: "remedy" }, "→ ", said(one.remedy)) : null)));
}

/** What the API refused, in its own words, with the id under which it is in the log. */
export function trouble(error, again) {
  const where = error.correlation ? h("p", { class: "quiet" }, "In the log under ", code(error.correlation), ".") : null;
  const retry = again ? h("button", { type: "button", class: "plain", onclick: again }, "Try again") : null;
  return h("div", { class: "trouble", role: "alert" }, h("p", null, said(words(error.message))), where, retry);
}

export const waiting = (text = "Looking …") => h("p", { class: "waiting" }, h("span", { class: "dots", "aria-hidden": "true" }), text);

/** So many milliseconds pass before it is said that something takes time. */
export const SOON = 160;

/** Fills a node with what `load` gives, with a word while it takes and what went wrong. */
export async function fill(node, load, text) {
  const slow = setTimeout(() => put(node, waiting(text)), SOON);
  node.setAttribute("aria-busy", "true");
  try {
    const content = await load();
    put(node, content);
  } catch (error) {
    if (error.status === 401) throw error;
    put(node, trouble(error, () => fill(node, load, text)));
  } finally {
    clearTimeout(slow);
    node.removeAttribute("aria-busy");
  }
}

/** A node that fills itself; what it shows is asked for now. */
export function later(load, text) {
  const node = h("div");
  fill(node, load, text).catch(lost);
  return node;
}

/** Whoever is no longer signed in is told so by the shell. */
export function lost(error) {
  if (error.status !== 401) throw error;
  window.dispatchEvent(new CustomEvent("signed-out"));
}

/** A button that works once at a time and tells what went wrong beside itself. */
export function act(text, what, props) {
  const button = h("button", { type: "button", ...props }, text);
  button.addEventListener("click", async () => {
    // Not `disabled`, which would take the focus away.
    if (button.hasAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    button.parentElement?.querySelector(":scope > .trouble")?.remove();
    try {
      await what();
    } catch (error) {
      if (error.status === 401) lost(error);
      else button.after(trouble(error));
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  return button;
}

/** How much of something is done, in words and as a bar. */
export function meter(done, total, label) {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  return h("progress", { class: "meter", max: 1, value: share, "aria-label": label });
}

/** Long texts such as statements, shut at first. */
export function more(summary, ...children) {
  return h("details", { class: "more" }, h("summary", null, summary), children);
}

/** The heading of a view, with what stands beside it. */
export function heading(title, ...beside) {
  return h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, title), beside.length ? h("div", { class: "beside" }, beside) : null);
}
