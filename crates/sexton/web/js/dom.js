// Makes elements. Text is only ever text: nothing here, and nothing elsewhere, takes a string for markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, value);
  }
  add(node, children);
  return node;
}

/** Appends nodes, texts and lists of them; what is null or false is left out. */
export function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** An element: `h("p", { class: "x", onclick: f }, "text", other)`. */
export function h(name, props, ...children) {
  return fill(document.createElement(name), props, children);
}

/** The same for a part of a picture. */
export function s(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

/** Puts these in the place of all that is in a node. */
export function put(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

let last = 0;
/** A new id for what refers to something. */
export function id(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** Tells people who do not see the page, and those who do for a moment. */
export function say(text) {
  const box = document.getElementById("said");
  put(box, h("p", null, text));
  clearTimeout(say.timer);
  say.at = Date.now();
  say.timer = setTimeout(() => put(box), 6000);
}

/** What was said of one place is no matter of the next, but for what was said on the way there. */
export function hush() {
  if (Date.now() - (say.at ?? 0) > 1000) put(document.getElementById("said"));
}
