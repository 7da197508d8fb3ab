// Charts as SVG, drawn for the width that there is. What a chart shows stands beside it as a table, for whoever does not see it.

import { h, s, id, put } from "./dom.js";
import { dayOf, moment } from "./words.js";

const LEFT = 62;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 24;

/** Round steps for an axis from 0 (or `low`) to `high`: at most five lines. */
function steps(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const first = Math.floor(low / step) * step;
  const lines = [];
  for (let value = first; lines.length < 8; value += step) {
    lines.push(value);
    if (value >= high) break;
  }
  return lines;
}

/** Draws again whenever the width changes. */
function drawn(height, draw) {
  const box = h("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width || now < 40) return;
    width = now;
    put(box, draw(width, height));
  }).observe(box);
  return box;
}

function frame(width, height, label, lines, y, format) {
  const title = id("chart");
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-labelledby": title }, s("title", { id: title }, label));
  for (const value of lines) {
    svg.append(s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      s("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  return svg;
}

function days(svg, width, height, first, last, x) {
  const many = Math.max(2, Math.min(6, Math.floor((width - LEFT) / 110)));
  const near = last - first < 36 * 3600e3;
  for (let n = 0; n < many; n += 1) {
    const at = first + ((last - first) * n) / (many - 1);
    const anchor = n === 0 ? "start" : n === many - 1 ? "end" : "middle";
    svg.append(s("text", { class: "tick", x: x(at), y: height - 6, "text-anchor": anchor }, near ? moment(at).split(", ").pop() : dayOf(at)));
  }
}

/** A line with what lies below it. `points` are `[moment, value]`, the oldest first. */
export function line(points, { label, format, height = 180, zero = false }) {
  const all = points.map(([at, value]) => [new Date(at).getTime(), value]);
  const [first, last] = [all[0][0], all[all.length - 1][0]];
  const values = all.map(([, value]) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  // Small changes of something large are what a person wants to see.
  const low = zero || least - (most - least) < least * 0.4 ? 0 : least - (most - least) * 0.3;
  const lines = steps(Math.max(0, low), most);
  const [bottom, top] = [lines[0], lines[lines.length - 1]];
  return drawn(height, (width) => {
    const x = (at) => LEFT + ((at - first) / (last - first || 1)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - (value - bottom) / (top - bottom || 1)) * (height - TOP - BOTTOM);
    const svg = frame(width, height, label, lines, y, format);
    const path = all.map(([at, value], n) => `${n ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    if (all.length > 1) {
      svg.append(s("path", { class: "area", d: `${path}L${x(last).toFixed(1)} ${y(bottom)}L${x(first).toFixed(1)} ${y(bottom)}Z` }),
        s("path", { class: "line", d: path }));
    }
    const dots = all.length <= 40 ? all : [all[all.length - 1]];
    for (const [at, value] of dots) {
      svg.append(s("circle", { class: "dot", cx: x(at), cy: y(value), r: 3 }, s("title", null, `${moment(at)}: ${format(value)}`)));
    }
    days(svg, width, height, first, last, x);
    return svg;
  });
}

/** Bars, one for each `{ name, value, tone, about }`. */
export function bars(all, { label, format, height = 180, names = true }) {
  const most = Math.max(...all.map((one) => one.value), 0);
  const lines = steps(0, most || 1);
  const top = lines[lines.length - 1];
  return drawn(height, (width) => {
    const room = (width - LEFT - RIGHT) / all.length;
    const y = (value) => TOP + (1 - value / (top || 1)) * (height - TOP - BOTTOM);
    const svg = frame(width, height, label, lines, y, format);
    const every = Math.max(1, Math.ceil(54 / room));
    all.forEach((one, n) => {
      const wide = Math.max(1, Math.min(28, room * 0.7));
      const left = LEFT + room * n + (room - wide) / 2;
      const high = Math.max(one.value > 0 ? 1.5 : 0, y(0) - y(one.value));
      svg.append(s("rect", { class: `bar ${one.tone ?? ""}`, x: left, y: y(0) - high, width: wide, height: high, rx: Math.min(2, wide / 3) },
        s("title", null, `${one.about ?? one.name}: ${format(one.value)}`)));
      if (names && n % every === 0) {
        svg.append(s("text", { class: "tick", x: left + wide / 2, y: height - 6, "text-anchor": "middle" }, one.name));
      }
    });
    return svg;
  });
}

/** A small line without axes, as wide as there is room. */
export function spark(points, label) {
  const [width, height] = [100, 38];
  const [first, last] = [new Date(points[0][0]).getTime(), new Date(points[points.length - 1][0]).getTime()];
  const values = points.map(([, value]) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const x = (at) => ((new Date(at).getTime() - first) / (last - first || 1)) * width;
  const y = (value) => (most === least ? height / 2 : 4 + (1 - (value - least) / (most - least)) * (height - 8));
  const d = points.map(([at, value], n) => `${n ? "L" : "M"}${x(at).toFixed(2)} ${y(value).toFixed(2)}`).join("");
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("path", { class: "area", d: `${d}L${width} ${height}L0 ${height}Z` }), s("path", { class: "line", d }));
}

/** The same figures as a table, shut at first. */
export function figuresOf(all, columns) {
  return h("details", { class: "more" }, h("summary", null, "As a table"),
    h("div", { class: "table scroll", tabindex: "0", role: "region", "aria-label": "The figures of the chart" }, h("table", null,
      h("thead", null, h("tr", null, columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, all.map((row) => h("tr", null, row.map((cell) => h("td", null, cell))))))));
}
