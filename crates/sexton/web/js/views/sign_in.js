// Signing in: a token is typed once, and exchanged for a session.

import { h, id, put } from "../dom.js";
import { code, trouble } from "../parts.js";

export function view(signIn) {
  const name = id("token");
  const about = id("about");
  const field = h("input", {
    id: name, type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": about,
  });
  const button = h("button", { type: "submit", class: "main" }, "Sign in");
  const wrong = h("div");
  const form = h("form", null,
    h("div", { class: "field" }, h("label", { for: name }, "Token"), field), wrong, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.hasAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    put(wrong);
    try {
      await signIn(field.value.trim());
    } catch (error) {
      field.setAttribute("aria-invalid", "true");
      put(wrong, trouble(error));
      field.select();
      field.focus();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  queueMicrotask(() => field.focus());
  return h("main", { id: "main", class: "alone" },
    h("div", { class: "card door" },
      h("img", { src: "icon.svg", alt: "", width: 44, height: 44 }),
      h("h1", { tabindex: "-1" }, "Sexton"),
      h("p", { class: "quiet" }, "keeps the databases here healthy"),
      form,
      h("p", { class: "quiet", id: about }, "No token yet? On the machine: ", code("sexton token create NAME --role run"))));
}
