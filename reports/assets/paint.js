// Paint: how numbers and shapes are written. Options name these functions by
// id ("@fn:…"); nothing in the data is ever evaluated or looked up here.

const escape = (text) => String(text).replace(/[&<>"'`]/g, (c) => "&#" + c.charCodeAt(0) + ";");
const percent = (v) => {
  if (v === null || v === undefined) return "–";
  const a = Math.abs(v * 100);
  return (a === 0 ? "0" : a < 0.1 ? (v * 100).toPrecision(2) : (v * 100).toFixed(1)).replace("-", "−") + "%";
};
const cell = (v) => (v > 0 && v < 0.005 ? "<1" : String(Math.round(v * 100)));
const interval = (lo, hi) => (lo === null || lo === undefined || hi === null ? "no interval" : "95% CI " + percent(lo) + " to " + percent(hi));

const about = (...parts) => parts.filter(Boolean).join(" · ");
// niceCeiling is the end of an axis from 0 that shows v, and the step of its ticks.
const niceCeiling = (v) => {
  v = Math.min(v > 0 ? v : 0.05, 1);
  const unit = 10 ** Math.floor(Math.log10(v / 4));
  for (const m of [1, 2, 2.5, 5, 10]) {
    const step = m * unit, top = Math.ceil(v / step - 1e-9) * step;
    if (Math.round(top / step) <= 6) return top > 1 ? [1, 0.2] : [top, step];
  }
  return [1, 0.2];
};

const hex = (c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
const ramp = (share) => {
  const t = Math.max(0, Math.min(0.9999, share)) * (color.ramp.length - 1), i = Math.floor(t);
  const a = hex(color.ramp[i]), b = hex(color.ramp[i + 1]);
  return "#" + a.map((x, k) => Math.round(x + (b[k] - x) * (t - i)).toString(16).padStart(2, "0")).join("");
};
const luminance = (c) => {
  const [r, g, b] = hex(c).map((x) => ((x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const inkOn = (c) => (luminance(c) > 0.1791 ? "#000000" : "#ffffff");

const pen = document.createElement("canvas").getContext("2d");
const widthOf = (text, font) => {
  pen.font = font + " " + color.font;
  return pen.measureText(text).width;
};
// fit shortens a text to so many pixels.
const fit = (text, width, font = "12px") => {
  if (widthOf(text, font) <= width) return text;
  const letters = [...text];
  let low = 0, high = letters.length;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (widthOf(letters.slice(0, mid).join("") + "…", font) <= width) low = mid;
    else high = mid - 1;
  }
  return letters.slice(0, low).join("").trimEnd() + "…";
};

// spread moves labels apart to gap pixels, in their order, between top and bottom.
const spread = (list, gap, top, bottom) => {
  const order = [...list].sort((a, b) => a.y - b.y);
  let edge = top;
  for (const l of order) edge = (l.at = Math.max(l.y, edge)) + gap;
  edge = bottom;
  for (const l of order.reverse()) edge = (l.at = Math.min(l.at, edge)) - gap;
  return list;
};

const swatch = (c) => `<span class="dot" style="background:${/^#[0-9a-f]{6}$/i.test(c) ? c : "#888888"}"></span>`;
const tip = (title, rows, note) =>
  `<div class="tip"><b>${escape(title)}</b><table>${rows.map((r) => "<tr>" + r.map((c) => `<td>${c}</td>`).join("") + "</tr>").join("")}</table>${note ? `<span class="sub">${escape(note)}</span>` : ""}</div>`;
const tipRow = (c, i, name, hueOf, terms = READ) => [
  swatch(hueOf) + escape(name), `<b>${escape(percent(at(c[terms.mean], i)))}</b>`,
  `<span class="sub">${escape(interval(at(c[terms.lo], i), at(c[terms.hi], i)))}${terms.raw ? ", raw " + escape(percent(at(c.mean, i))) : ""}, n = ${escape(at(c.n, i))}, texts ${escape(at(c.present, i))} of ${escape(at(c.scored, i))}</span>`,
];

// stroke writes points as an SVG path that breaks at gaps.
const stroke = (points) => {
  let d = "", down = false;
  for (const p of points) {
    d += p ? (down ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1) : "";
    down = Boolean(p);
  }
  return d;
};
// between writes the area between two columns of a curve, gaps left out.
const between = (c, low, high, api) => {
  let d = "", run = [];
  const close = () => {
    // One point alone is a bar.
    if (run.length === 1) {
      const [x, bottom] = api.coord([c.g[run[0]], at(c[low], run[0])]), [, top] = api.coord([c.g[run[0]], at(c[high], run[0])]);
      d += stroke([[x - 3, bottom], [x + 3, bottom], [x + 3, top], [x - 3, top]]) + "Z";
    }
    if (run.length > 1) d += stroke([...run.map((i) => api.coord([c.g[i], at(c[low], i)])), ...run.toReversed().map((i) => api.coord([c.g[i], at(c[high], i)]))]) + "Z";
    run = [];
  };
  c.g.forEach((_, i) => (at(c[low], i) === null || at(c[high], i) === null ? close() : run.push(i)));
  close();
  return d;
};

const EVENT = 21; // pixels for each intervention above a plot

const FUNCTIONS = {
  whole: (v) => (Number.isInteger(v) ? String(v) : ""),
  percentTick: (v) => parseFloat((v * 100).toPrecision(4)) + "%",
  cellText: (p) => cell(p.value[2]),
  // The rest are given what they draw and return what ECharts calls.
  markSize: (every) => (_, p) => (every && p.dataIndex % every === 0 ? 7 : 0),
  band: (c, terms) => (_, api) => ({ type: "path", shape: { pathData: between(c, terms.lo, terms.hi, api) }, style: { fill: hue(c.a), opacity: 0.16 } }),
  hatch: (c, low, high) => (_, api) => {
    let d = "";
    for (let i = 0; i + 1 < c.g.length; i++) {
      const edge = [at(c[low], i), at(c[low], i + 1), at(c[high], i), at(c[high], i + 1)];
      if (edge.includes(null)) continue;
      const [a, b, e, f] = edge.map((v, k) => api.coord([c.g[i + (k % 2)], v]));
      const strokes = Math.max(1, Math.round((b[0] - a[0]) / 5));
      for (let k = 0; k < strokes + (i + 2 === c.g.length); k++) {
        const t = k / strokes, x = a[0] + (b[0] - a[0]) * t;
        d += stroke([[x, a[1] + (b[1] - a[1]) * t], [x, e[1] + (f[1] - e[1]) * t]]);
      }
    }
    return { type: "path", shape: { pathData: d }, style: { fill: "none", stroke: color.muted, lineWidth: 1, opacity: 0.3 } };
  },
  replicates: (c) => (_, api) => ({
    type: "path", style: { fill: "none", stroke: hue(c.a), lineWidth: 0.8, opacity: c.reps.length > 12 ? 0.35 : 0.55 },
    shape: { pathData: c.reps.map((r) => stroke(r.map((v, g) => v !== null && api.coord([g, v])))).join("") },
  }),
  events: (list, room) => (params, api) => {
    const { x, y, width, height } = params.coordSys, children = [];
    const begun = new Set(list.map((e) => e.from));
    list.forEach((e, i) => {
      const row = y - 10 - EVENT * (list.length - 1 - i), last = DATA.generations - 1;
      const from = api.coord([Math.min(e.from, last), 0])[0], to = Math.max(from + 3, api.coord([Math.min(e.to, last), 0])[0]);
      const right = from > x + width / 2, space = right ? to : x + width + room - from;
      if (begun.delete(e.from)) children.push({ type: "line", shape: { x1: from, y1: y - 4, x2: from, y2: y + height }, style: { stroke: color.faint, lineWidth: 1.2, lineDash: [4, 3] } });
      children.push(
        { type: "rect", shape: { x: from, y: row + 3, width: to - from, height: 3 }, style: { fill: color.faint } },
        { type: "text", x: right ? to : from + 4, y: row + 1, style: { text: fit(e.text, space), fill: color.muted, font: "12px " + color.font, align: right ? "right" : "left", verticalAlign: "bottom" } });
    });
    return { type: "group", children };
  },
  ends: (list, room) => (params, api) => {
    const { x, y, width, height } = params.coordSys;
    const ends = list.map((c) => ({ c, i: ending(c, termsOf(c).mean) })).filter((e) => e.i >= 0)
      .map((e) => ({ ...e, y: api.coord([e.c.g[e.i], at(e.c[termsOf(e.c).mean], e.i)])[1], x: api.coord([e.c.g[e.i], 0])[0] }));
    // Across the plot, from a curve that ends early, it would look like the curve.
    const lead = (e) => (e.c.g[e.i] === DATA.generations - 1 ? [[e.x + 5, e.y]] : []);
    const children = spread(ends, 16, y + 6, y + height - 4).flatMap((e) => [
      { type: "polyline", shape: { points: [...lead(e), [x + width + 8, e.at], [x + width + 14, e.at]] }, style: { stroke: hue(e.c.a), lineWidth: 1, opacity: 0.6, fill: "none" } },
      { type: "text", x: x + width + 18, y: e.at, style: { text: fit(DATA.arms[e.c.a].name, room - 22, "600 12px"), fill: hue(e.c.a), font: "600 12px " + color.font, verticalAlign: "middle" } },
    ]);
    return { type: "group", children };
  },
  tipCurves: (view) => (params) => {
    const g = params[0]?.value[0];
    const rows = view.list.map((c) => [c, c.g.indexOf(g)]).filter(([c, i]) => i >= 0 && at(c.mean, i) !== null)
      .sort(([c, i], [d, j]) => at(d[termsOf(d).mean], j) - at(c[termsOf(c).mean], i)).map(([c, i]) => tipRow(c, i, DATA.arms[c.a].name, hue(c.a), termsOf(c)));
    const d = view.detail, i = d ? d.g.indexOf(g) : -1;
    const [low, high] = d ? [at(d[termsOf(d).mlo], i), at(d[termsOf(d).mhi], i)] : [];
    return tip("Generation " + g, rows, i >= 0 && low !== null ? "Copying alone: mean within " + percent(low) + " and " + percent(high) : "");
  },
  tipPanel: (view) => (params) => {
    const c = view.list[params[0]?.axisIndex ?? 0], g = params[0]?.value[0], i = c?.g.indexOf(g) ?? -1;
    return i < 0 ? "" : tip(DATA.arms[c.a].name + ", generation " + g, [tipRow(c, i, "Mean", hue(c.a))]);
  },
  tipHeat: (view) => (p) => {
    const c = view.list[p.value[1]], i = p.value[0];
    return tip(view.names[p.value[1]] + ", generation " + c.g[i], [tipRow(c, i, "Mean", p.color)]);
  },
  tipDescent: (view) => (p) => view.tips.get(p.dataType === "edge" ? p.data.source + ">" + p.data.target : p.data.id) ?? "",
};
