// Backups: what there is of each database, how far it was proven, and the drills.

import * as api from "../api.js";
import { h } from "../dom.js";
import { card, code, empty, figures, findings, heading, link, mark, more, table, time } from "../parts.js";
import { bytes, count, duration, moment, of } from "../words.js";

function proof(one) {
  if (!one.checked) return mark("not checked", "warn");
  return one.verified ? h("span", null, mark("verified", "good"), h("span", { class: "under" }, "restored and counted ", time(one.checked.at)))
    : h("span", null, mark("checked", "info"), h("span", { class: "under" }, "as it was written ", time(one.checked.at)));
}

const rowsIn = (one) => {
  const all = (one.tables ?? []).map((table) => table.rows);
  return all.length && all.every((rows) => rows !== null && rows !== undefined) ? all.reduce((sum, rows) => sum + rows, 0) : null;
};

/** The newest of a database, and the newest that was restored. */
function ofDatabase(name, all, drills) {
  const own = all.filter((one) => one.database === name);
  const verified = own.find((one) => one.verified);
  const drill = drills.find((one) => own.some((backup) => backup.id === one.backup));
  return card(link(`databases/${encodeURIComponent(name)}`, name), null, figures([
    ["newest", time(own[0].taken_at)], ["size", bytes(own[0].size_bytes)], ["proof", proof(own[0])],
    ["last restored", verified ? time(verified.checked.at) : mark("never", "warn")],
    ["restoring takes", drill ? duration(drill.restore_seconds) : null],
    ["kept", of(own.length, "backup", "backups")],
  ]));
}

export async function view() {
  const all = await api.get("backups");
  if (!all.enabled) return { title: "Backups", nodes: [heading("Backups"), empty("Backups are switched off: set enabled = true in [backup].")] };
  const names = [...new Set(all.backups.map((one) => one.database))];
  return {
    title: "Backups",
    nodes: [
      heading("Backups"),
      h("p", { class: "lead" }, "A backup is only trusted once it has been restored into a scratch database and counted there."),
      figures([["in the store", code(all.store)], ["kept for", all.keep], ["counts as fresh for", all.fresh]]),
      all.broken.length ? findings(all.broken.map((what) => ({ level: "error", object: "", what }))) : null,
      h("div", { class: "databases" }, names.map((name) => ofDatabase(name, all.backups, all.drills))),
      card("All backups", null, table([
        { title: "Backup", cell: (one) => [code(one.id), one.run ? h("span", { class: "under" }, link(`runs/${one.run}`, "its run")) : null] },
        { title: "Database", cell: (one) => one.database },
        { title: "Taken", cell: (one) => time(one.taken_at, moment) },
        { title: "Size", end: true, cell: (one) => bytes(one.size_bytes) },
        { title: "Rows", end: true, cell: (one) => count(rowsIn(one)) },
        { title: "Took", end: true, cell: (one) => duration(one.seconds) },
        { title: "Sealed", cell: (one) => [one.compression, one.encryption].filter(Boolean).join(", ") || "plain" },
        { title: "Proof", cell: proof },
      ], all.backups, { empty: "There is no backup yet: sexton backup create takes one.", label: "Backups" })),
      card("Drills", null, table([
        { title: "Backup", cell: (one) => code(one.backup) },
        { title: "When", cell: (one) => time(one.at, moment) },
        { title: "By", cell: (one) => one.actor },
        { title: "Tables", end: true, cell: (one) => count(one.tables) },
        { title: "Rows", end: true, cell: (one) => count(one.rows) },
        { title: "Restored in", end: true, cell: (one) => duration(one.restore_seconds) },
        { title: "Assertions", end: true, cell: (one) => count(one.held) },
        { title: "", cell: (one) => (one.findings.length ? more(mark(of(one.findings.length, "finding", "findings"), "bad"), findings(one.findings)) : mark("held", "good")) },
      ], all.drills, { empty: "No drill yet: sexton backup drill restores the newest backup of each database.", label: "Drills" })),
    ],
  };
}
