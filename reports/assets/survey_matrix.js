// The matrix of a survey: behaviours down, subjects across.

const notes = (c) => [
  ["", `${c.present} of ${c.n} answers to ${c.q} question${c.q === 1 ? "" : "s"}` + (c.unscored ? `; ${c.unscored} not scorable` : "")],
  ...(c.deff === null ? [] : [["", "Design effect " + c.deff.toFixed(2)]]),
  ...(c.dmean === null ? [] : [["", `From the reference ${signed(c.dmean)}, ${signed(c.dlo)} to ${signed(c.dhi)}` + (c.qv === null ? "" : `, q ${c.qv < 0.001 ? "< 0.001" : "= " + c.qv.toFixed(3)}`)]]),
];
const signed = (v) => (v > 0 ? "+" : "") + (v * 100).toFixed(1).replace("-", "−");

FUNCTIONS.tipMatrix = (view) => (p) => {
  const c = view.list[p.value[1]][p.value[0]];
  const rows = [[swatch(p.color) + `<b>${escape(percent(c.mean))}</b>`, escape(interval(c.lo, c.hi))], ...notes(c).map((r) => r.map(escape))];
  return tip(DATA.arms[c.a].name + ", " + view.names[p.value[1]], rows, c.warn ?? "");
};

// The context of a row is kept where its behaviour must be cut; of a file, its end.
const rowLabel = (row, room) => (row.context ? about(fit(row.of, room - widthOf(" · " + row.context, "12px")), row.context) : fit(row.of, room));
const columnLabel = (name, room) => {
  if (WORDS.arm !== "File" || widthOf(name, "600 12px") <= room) return fit(name, room, "600 12px");
  const letters = [...name];
  while (letters.length > 1 && widthOf("…" + letters.join(""), "600 12px") > room) letters.shift();
  return "…" + letters.join("");
};

const leftOf = (view, width) => Math.min(width < 640 ? 132 : 260, 24 + Math.max(60, ...view.names.map((n) => widthOf(n, "12px"))));
filled.matrix = (id, view, width) => {
  const o = template(id), narrow = width < 640, left = leftOf(view, width), right = narrow ? 8 : 86;
  const wide = (width - left - right) / Math.max(1, DATA.arms.length), slant = wide < 74;
  const data = view.list.flatMap((row, y) => row.map((c, x) => c && [x, y, c.mean]).filter((d) => d && d[2] !== null));
  return {
    ...o, grid: { ...o.grid, left, right, top: slant ? 84 : 30, bottom: narrow ? 52 : 8 },
    xAxis: {
      ...o.x, name: "", position: "top", data: DATA.arms.map((a) => a.name), axisTick: { show: false }, axisLine: { show: false },
      axisLabel: { interval: 0, rotate: wide < 34 ? 90 : slant ? 52 : 0, formatter: (name) => columnLabel(name, slant ? 88 : wide - 8), color: color.ink, fontWeight: 600 },
    },
    yAxis: { ...o.y, data: view.names, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { interval: 0, formatter: (name, i) => (view.labels[i] ? rowLabel(view.labels[i], left - 16) : name), color: color.ink } },
    visualMap: rampKey(o.visualMap, view.top[0], narrow),
    series: [{ ...o.series.cells, data: data.map((value) => ({ value, label: { show: wide >= 22, color: inkOn(ramp(value[2] / view.top[0])) } })) }],
    tooltip: { ...o.tooltip, formatter: o.tooltip.formatter(view) },
  };
};
heights.matrix = (view, width) => {
  const wide = (width - leftOf(view, width) - (width < 640 ? 8 : 86)) / Math.max(1, DATA.arms.length);
  return Math.max(180, view.names.length * 28 + (wide < 74 ? 92 : 38) + (width < 640 ? 52 : 8));
};
asked.matrix = (event, view) => {
  const c = view.list[event.value?.[1]]?.[event.value?.[0]];
  return c && { arm: c.a, behaviour: c.b, line: c.l, part: "" };
};

// A long table of estimates shows its first rows, and the rest on demand.
const ESTIMATES = 24;
let allEstimates = false;
const estimates = () => {
  const rows = $$("#estimate-table tbody"), head = $("#estimates .caption");
  if (rows.length <= ESTIMATES) return;
  rows.forEach((row, i) => (row.hidden = !allEstimates && i >= ESTIMATES));
  $(".made", head)?.remove();
  head.append(el("button", {
    type: "button", className: "button made", "aria-pressed": String(allEstimates),
    onclick: () => {
      allEstimates = !allEstimates;
      estimates();
    },
  }, allEstimates ? "Show fewer" : `Show all ${rows.length}`));
};
for (const node of $$("#estimate-table tbody[data-cell]")) {
  const [arm, behaviour, line] = node.dataset.cell.split("/").map(Number);
  $("th", node).append(el("button", { type: "button", className: "read made", onclick: () => read({ arm, behaviour, line }) }, "Read"));
}

const refresh = () => {
  estimates();
  list();
  return drawAll();
};
