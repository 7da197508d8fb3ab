// The shell: who is signed in, where one is, the colours. Each address after `#/` is a view of its own file.

import * as api from "./api.js";
import { h, hush, put, say } from "./dom.js";
import { SOON, heading, link, trouble, waiting } from "./parts.js";
import { zone } from "./words.js";
import * as audit from "./views/audit.js";
import * as backups from "./views/backups.js";
import * as database from "./views/database.js";
import * as findings from "./views/findings.js";
import * as migrations from "./views/migrations.js";
import * as operation from "./views/operation.js";
import * as operations from "./views/operations.js";
import * as overview from "./views/overview.js";
import * as run from "./views/run.js";
import * as runs from "./views/runs.js";
import * as schedules from "./views/schedules.js";
import * as signIn from "./views/sign_in.js";
import * as trends from "./views/trends.js";
import * as undo from "./views/undo.js";

const PLACES = [
  ["", "Overview"], ["operations", "Operations"], ["runs", "Runs"], ["schedules", "Schedules"], ["findings", "Findings"],
  ["undo", "Undo"], ["backups", "Backups"], ["migrations", "Migrations"], ["trends", "Trends"], ["audit", "Audit trail"],
];
const VIEWS = {
  "": overview, operations, operation, runs, run, schedules, findings, databases: database, undo, backups, migrations, trends, audit,
};

const shell = document.getElementById("shell");
let who = null;
let leave = null;
let turn = 0;

/** The view, what comes after it, and the query. */
function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [first = "", ...rest] = path.split("/").map(decodeURIComponent);
  let name = first;
  if (first === "operations" && rest.length) name = "operation";
  if (first === "runs" && rest.length) name = "run";
  return { first, name, rest, query: new URLSearchParams(search ?? "") };
}

function frame() {
  const menu = h("button", { type: "button", class: "menu plain", "aria-expanded": "false", "aria-controls": "places" }, "Menu");
  const places = h("nav", { id: "places", "aria-label": "Places" },
    h("ul", null, PLACES.map(([path, name]) => h("li", null, h("a", { href: `#/${path}`, "data-place": path }, name)))));
  menu.addEventListener("click", () => {
    const open = menu.getAttribute("aria-expanded") !== "true";
    menu.setAttribute("aria-expanded", String(open));
    places.classList.toggle("open", open);
  });
  places.addEventListener("click", () => { menu.setAttribute("aria-expanded", "false"); places.classList.remove("open"); });
  const out = h("button", { type: "button", class: "plain", onclick: signOut }, "Sign out");
  put(shell,
    h("header", { class: "top" },
      h("a", { class: "mark", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), "Sexton"), menu, places,
      h("div", { class: "who" }, h("p", { class: "quiet" }, h("b", null, who.name), ` · ${who.role}`), colours(), out)),
    h("main", { id: "main" }),
    h("footer", null, `Sexton ${who.version} · times in ${zone} · `, h("a", { href: "/health" }, "health")));
}

/** Light, dark, or as the system has it. */
function colours() {
  const root = document.documentElement;
  const chosen = root.dataset.theme ?? "auto";
  const select = h("select", { "aria-label": "Colours" },
    [["auto", "Colours: auto"], ["light", "Light"], ["dark", "Dark"]].map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
  select.addEventListener("change", () => {
    if (select.value === "auto") delete root.dataset.theme;
    else root.dataset.theme = select.value;
    try {
      if (select.value === "auto") localStorage.removeItem("sexton-theme");
      else localStorage.setItem("sexton-theme", select.value);
    } catch { /* it holds until the page is left */ }
  });
  return select;
}

async function signOut() {
  try {
    await api.signOut();
  } catch { /* whoever has no session is out already */ }
  who = null;
  await show();
}

async function show(moved = false) {
  turn += 1;
  const own = turn;
  leave?.();
  leave = null;
  if (!who) {
    document.title = "Sign in · Sexton";
    put(shell, signIn.view(async (token) => { who = await api.signIn(token); frame(); await show(); }));
    return;
  }
  const at = place();
  const view = VIEWS[at.name];
  const main = document.getElementById("main");
  for (const one of document.querySelectorAll("nav a[data-place]")) {
    if (one.dataset.place === (at.first === "databases" ? "" : at.first)) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  if (!view) {
    put(main, heading("There is no such place"), h("p", null, "Go to the ", link("", "overview"), "."));
    return;
  }
  main.setAttribute("aria-busy", "true");
  // What takes no time needs no word.
  const slow = setTimeout(() => { if (own === turn) put(main, waiting()); }, SOON);
  const context = {
    who, rest: at.rest, query: at.query, may: (role) => api.may(who, role),
    go: (path) => { location.hash = `#/${path}`; }, onLeave: (what) => { if (own === turn) leave = what; else what(); },
    again: () => show(),
  };
  try {
    const shown = await view.view(context);
    // Somebody went elsewhere while this was looked up.
    if (own !== turn) return;
    document.title = `${shown.title} · Sexton`;
    put(main, shown.nodes);
    if (moved) main.querySelector("h1")?.focus({ preventScroll: true });
    if (moved) window.scrollTo(0, 0);
  } catch (error) {
    if (own !== turn) return;
    if (error.status === 401) { lost(); return; }
    document.title = "Something is wrong · Sexton";
    put(main, heading(error.status === 404 ? "That is not there" : "That did not work"), trouble(error, () => show()));
    if (!error.status && error.status !== 0) throw error;
  } finally {
    clearTimeout(slow);
    if (own === turn) main.removeAttribute("aria-busy");
  }
}

function lost() {
  if (!who) return;
  who = null;
  say("The session is over: sign in again.");
  show();
}

window.addEventListener("signed-out", lost);
window.addEventListener("hashchange", () => { hush(); show(true); });
// The link to the content is no address of a view.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector("h1")?.focus();
});

try {
  who = await api.session();
  if (who) frame();
  await show();
} catch (error) {
  put(shell, h("main", { class: "alone" }, heading("Sexton"), trouble(error, () => location.reload())));
}
