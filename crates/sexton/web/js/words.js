// Figures and moments as people read them.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const spaced = (text) => text.replaceAll(",", "\u202f");

/** `12 345`. */
export const count = (number) => (number === null || number === undefined ? "–" : spaced(plain.format(number)));

/** `1 row`, `12 rows`. */
export const of = (number, one, many) => `${count(number)}\u00a0${number === 1 ? one : many}`;
export const rows = (number) => of(number, "row", "rows");

/** `12.3 MB`. */
export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const sign = number < 0 ? "−" : "";
  let left = Math.abs(number);
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (left < 1000 || unit === "TB") return `${sign}${spaced(short.format(left))}\u00a0${unit}`;
    left /= 1000;
  }
  return "–";
}

/** `3.2 s`, `4 min`, `2 h 10 min`, `3 d`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return "0\u00a0s";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))}\u00a0ms`;
  if (seconds < 60) return `${short.format(seconds)}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours}\u00a0h\u00a0${minutes % 60}\u00a0min` : `${hours}\u00a0h`;
  return `${Math.round(hours / 24)}\u00a0d`;
}

/** How long ago, or how long until: `4 min ago`, `in 3 h`. */
export function ago(at, now = Date.now()) {
  const seconds = (now - new Date(at).getTime()) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  const text = size < 60 ? `${Math.round(size)}\u00a0s` : duration(size);
  return seconds >= 0 ? `${text}\u00a0ago` : `in\u00a0${text}`;
}

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const far = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** `29 Nov, 06:40`, with the year where it is another one. */
export function moment(at) {
  const when = new Date(at);
  return (when.getFullYear() === new Date().getFullYear() ? day : far).format(when);
}
export const dayOf = (at) => date.format(new Date(at));
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** `12.3 %`. */
export const percent = (share) => (share === null || share === undefined ? "–" : `${short.format(share)}\u00a0%`);

/** The first letter large, underscores as blanks. */
export function words(text) {
  const said = String(text).replaceAll("_", " ");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** What happened to rows, from counts: `311 deleted, 12 dependants`. */
export function counts(one) {
  const parts = [
    ["deleted", one.rows_deleted ?? one.deleted],
    ["changed", one.rows_changed ?? one.changed],
    ["moved", one.moved],
    ["archived", one.rows_archived ?? one.archived],
    ["put back", one.rows_restored ?? one.restored],
    ["dependants", one.rows_dependent ?? one.dependants],
    ["left alone", one.rows_skipped ?? one.skipped],
    ["failed", one.rows_failed ?? one.failed],
  ];
  const said = parts.filter(([, number]) => number > 0).map(([word, number]) => `${count(number)}\u00a0${word}`);
  return said.join(", ");
}

/** Rows that an operation, or a whole run, handled. */
export const handled = (one) => (one.rows_deleted ?? one.deleted ?? 0) + (one.rows_changed ?? one.changed ?? 0)
  + (one.moved ?? 0) + (one.rows_restored ?? one.restored ?? 0);

/** Whether a run goes on still. */
export const isOpen = (status) => ["new", "planned", "ready", "running", "verifying"].includes(status);
/** Whether it can be gone on with. */
export const canResume = (status) => ["cancelled", "timed_out", "failed", "interrupted"].includes(status);

/** How a status is said, and how it looks. */
export function standing(status) {
  const known = {
    completed: ["done", "good"], running: ["at work", "busy"], planned: ["planned", "calm"], new: ["beginning", "busy"],
    ready: ["beginning", "busy"], verifying: ["checking", "busy"], partial: ["done, with findings", "warn"],
    failed: ["failed", "bad"], refused: ["refused", "warn"], cancelled: ["stopped", "warn"], timed_out: ["out of time", "warn"],
    interrupted: ["interrupted", "bad"], skipped: ["skipped", "calm"], done: ["done", "good"], waiting: ["waiting", "calm"],
    taken: ["about to begin", "calm"], claimed: ["at work", "busy"], open: ["can be put back", "calm"], used: ["put back", "good"], partly: ["partly put back", "warn"],
    applied: ["in", "good"], baseline: ["in", "good"], pending: ["pending", "warn"], rolled_back: ["taken out", "calm"],
  };
  return known[status] ?? [words(status ?? "unknown").toLowerCase(), "calm"];
}
