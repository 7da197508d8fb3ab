// Asks before something is done: with a button, or by having a name typed where much can go wrong.

import { h, id } from "./dom.js";

/**
 * Asks; true when it was agreed to. With `type`, that very text has to be typed first.
 * @param {{ title: string, body: Node[], action: string, type?: string, danger?: boolean }} what
 */
export function ask(what) {
  return new Promise((resolve) => {
    const name = id("ask");
    const go = h("button", { type: "submit", class: what.danger ? "danger" : "main" }, what.action);
    const stay = h("button", { type: "button", class: "plain" }, "Cancel");
    let typed = null;
    let field = null;
    if (what.type) {
      const input = id("typed");
      typed = h("input", { id: input, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
      field = h("div", { class: "field" }, h("label", { for: input }, "Type ", h("b", null, what.type), " to go on"), typed);
      go.disabled = true;
      typed.addEventListener("input", () => { go.disabled = typed.value.trim() !== what.type; });
    }
    const form = h("form", { method: "dialog" }, h("h2", { id: name }, what.title), what.body, field,
      h("div", { class: "buttons" }, stay, go));
    const dialog = h("dialog", { "aria-labelledby": name, class: what.danger ? "grave" : null }, form);
    let agreed = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (go.disabled) return;
      agreed = true;
      dialog.close();
    });
    stay.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(agreed); });
    document.body.append(dialog);
    dialog.showModal();
    // Who only presses Enter has not agreed to anything grave.
    (typed ?? (what.danger ? stay : go)).focus();
  });
}
