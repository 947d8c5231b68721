// Options: the template of a figure, filled with a view for a width.

// hydrate copies a template of the page's own making and resolves its names of
// functions and colours. No data of the study passes through it.
const hydrate = (value, key) => {
  if (typeof value === "string") {
    if (value.startsWith("@fn:")) return /^(formatter|renderItem|symbolSize)$/.test(key) ? FUNCTIONS[value.slice(4)] : undefined;
    if (value.startsWith("$")) return color[value.slice(1)];
    return value;
  }
  if (Array.isArray(value)) return value.map((v) => hydrate(v, key));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, hydrate(v, k)]));
  return value;
};
const template = (id) => {
  const option = hydrate(DATA.options[id], "");
  const series = Object.fromEntries(option.series.map((s) => [s.id, s]));
  return { ...option, x: [option.xAxis].flat()[0], y: [option.yAxis].flat()[0], series };
};

const MARKS = ["circle", "rect", "triangle", "diamond", "arrow"];
const generationTicks = (labels) => {
  const every = [1, 2, 5, 10, 20, 25, 50].find((e) => Math.floor((DATA.generations - 1) / e) + 1 <= labels) ?? Math.ceil(DATA.generations / Math.max(1, labels));
  return range(DATA.generations).filter((g) => g % every === 0);
};
const generationAxis = (x, width) => {
  const ticks = generationTicks(Math.max(2, Math.floor(width / 38)));
  return { ...x, max: Math.max(1, DATA.generations - 1), axisTick: { customValues: ticks }, axisLabel: { ...x.axisLabel, customValues: ticks } };
};
const ticksTo = ([top, step]) => ({ max: top, interval: step });

// Custom series draw a whole curve at once; ECharts wants a datum to call them for.
const drawOnce = (series, id, renderItem, more) => ({ ...series, id, renderItem, data: [[0, 0]], ...more });

const meanSeries = (series, c, id, more, key = "mean") => {
  const step = Math.max(1, Math.ceil(c.g.length / 12)), control = isControl(c.a), tint = hue(c.a);
  return {
    ...series, id, data: c.g.map((g, i) => [g, at(c[key], i)]), itemStyle: { color: tint },
    symbol: control ? "emptyCircle" : MARKS[state.arms.indexOf(c.a)] ?? "circle", symbolSize: series.symbolSize(control && c.g.length > 1 ? 0 : step),
    lineStyle: { ...series.lineStyle, color: tint, type: control ? [6, 4] : "solid" }, showSymbol: true, ...more,
  };
};

// What the detector reads, beside what that comes to corrected.
const rawSeries = (series, c) => {
  const thin = meanSeries(series, c, "raw" + c.a, { silent: true, tooltip: { show: false }, showSymbol: false, z: 3 });
  return { ...thin, lineStyle: { ...thin.lineStyle, width: 1, opacity: 0.75 } };
};

const filled = {
  curves: (id, view, width) => {
    const o = template(id), narrow = width < 640;
    const room = narrow ? 16 : Math.min(240, 30 + Math.max(50, ...view.list.map((c) => widthOf(DATA.arms[c.a].name, "600 12px"))));
    const events = view.events.slice(0, 6);
    o.grid = { ...o.grid, left: 52, right: room, top: 16 + EVENT * events.length };
    return {
      ...o, xAxis: generationAxis(o.x, width - 52 - room), yAxis: { ...o.y, ...ticksTo(view.top) },
      series: [
        drawOnce(o.series.events, "events", o.series.events.renderItem(events, room)),
        ...(view.detail ? [drawOnce(o.series.neutral, "neutral", o.series.neutral.renderItem(view.detail, termsOf(view.detail).mlo, termsOf(view.detail).mhi))] : []),
        ...view.list.map((c) => drawOnce(o.series.band, "band" + c.a, o.series.band.renderItem(c, termsOf(c)))),
        ...view.list.filter((c) => termsOf(c).raw).map((c) => rawSeries(o.series.mean, c)),
        ...view.list.map((c) => meanSeries(o.series.mean, c, "mean" + c.a, {}, termsOf(c).mean)),
        ...(narrow ? [] : [drawOnce(o.series.ends, "ends", o.series.ends.renderItem(view.list, room))]),
      ],
      tooltip: { ...o.tooltip, formatter: o.tooltip.formatter(view) },
    };
  },

  replicates: (id, view, width) => {
    const o = template(id), { across, panel } = panels(width, view.list.length), left = 46, gap = 18;
    const wide = (width - left - 6 - gap * (across - 1)) / across;
    const place = (i) => ({ left: left + (i % across) * (wide + gap), top: 30 + Math.floor(i / across) * panel });
    const each = (f) => view.list.map((c, i) => f(c, i));
    return {
      ...o,
      grid: each((_, i) => ({ ...place(i), width: wide, height: panel - 54 })),
      title: each((c, i) => ({
        text: fit(DATA.arms[c.a].name, wide, "600 12.5px"), left: place(i).left - 4, top: place(i).top - 26,
        textStyle: { color: hue(c.a) === color.muted ? color.ink : hue(c.a), fontSize: 12.5, fontWeight: 600 },
      })),
      xAxis: each((_, i) => ({ ...generationAxis(o.x, wide), gridIndex: i })),
      yAxis: each((_, i) => ({ ...o.y, ...ticksTo(view.top), gridIndex: i, axisLabel: { ...o.y.axisLabel, show: i % across === 0 } })),
      series: each((c, i) => {
        const on = { xAxisIndex: i, yAxisIndex: i };
        return [
          drawOnce(o.series.neutral, "neutral" + i, o.series.neutral.renderItem(c, "slo", "shi"), on),
          ...(c.reps ? [drawOnce(o.series.replicates, "replicates" + i, o.series.replicates.renderItem(c), on)] : []),
          ...(baseline(c) ? [meanSeries(o.series.mean, baseline(c), "control" + i, { ...on, silent: true, tooltip: { show: false } })] : []),
          meanSeries(o.series.mean, c, "mean" + i, { ...on, showSymbol: c.g.length === 1 }),
        ];
      }).flat(),
      tooltip: { ...o.tooltip, formatter: o.tooltip.formatter(view) },
    };
  },

  heat: (id, view, width) => {
    const o = template(id), narrow = width < 640, left = narrow ? 108 : 168;
    const right = narrow ? 8 : 86, cellWidth = (width - left - right) / DATA.generations;
    const labels = generationTicks(Math.max(2, Math.floor((width - left - right) / 30)));
    const data = view.list.flatMap((c, row) => (c ? c.g.map((g, i) => [g, row, at(c.mean, i)]).filter((d) => d[2] !== null) : []));
    return {
      ...o, grid: { ...o.grid, left, right, bottom: narrow ? 84 : 44 },
      xAxis: { ...o.x, data: range(DATA.generations).map(String), axisLabel: { interval: (i) => labels.includes(i) }, axisTick: { show: false } },
      yAxis: { ...o.y, data: view.names, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { interval: 0, formatter: (name) => fit(name, left - 16), color: color.ink } },
      visualMap: rampKey(o.visualMap, view.top[0], narrow),
      series: [{
        ...o.series.cells,
        data: data.map((value) => ({ value, label: { show: cellWidth >= 22, color: inkOn(ramp(value[2] / view.top[0])) } })),
      }],
      tooltip: { ...o.tooltip, formatter: o.tooltip.formatter(view) },
    };
  },

  descent: (id, view, width) => {
    const o = template(id), narrow = width < 640, left = narrow ? 70 : 120, right = narrow ? 8 : 86;
    const first = (view.weights ?? []).some((w) => w[3] < 0) ? -1.3 : -0.6, last = DATA.generations - 0.5;
    const spacing = (width - left - right) / (last - first);
    const ticks = generationTicks(Math.max(2, Math.floor((width - left - right) / 30)));
    const lanes = range(DATA.lines.length);
    const graph = descentGraph(view, Math.max(5, Math.min(30, spacing * 0.7)), spacing);
    view.tips = graph.tips;
    return {
      ...o, grid: { ...o.grid, left, right, bottom: narrow ? 84 : 44 },
      xAxis: { ...o.x, min: first, max: last, axisLine: { onZero: false }, axisTick: { customValues: ticks }, axisLabel: { ...o.x.axisLabel, customValues: ticks } },
      yAxis: {
        ...o.y, min: -0.55, max: lanes.length - 0.45, axisLine: { show: false }, axisTick: { show: false },
        axisLabel: { customValues: lanes, formatter: (v) => fit(DATA.lines[v] ?? "", left - 14, "600 12px"), color: color.ink, fontWeight: 600 },
      },
      visualMap: { ...rampKey(o.visualMap, view.top[0], narrow), seriesIndex: [] },
      series: [{ ...o.series.descent, data: graph.nodes, links: graph.links, edgeSymbol: ["none", spacing < 20 ? "none" : "arrow"] }],
      tooltip: { ...o.tooltip, formatter: o.tooltip.formatter(view) },
    };
  },
};
filled.prevalence = filled.penetrance = filled.curves;

const panels = (width, n) => {
  const across = Math.max(1, Math.min(n, width < 480 ? 2 : width < 760 ? 3 : n <= 5 ? n : 4));
  return { across, panel: across === 1 || n <= 3 ? 240 : 190 };
};

const rampKey = (key, top, narrow) => ({
  ...key, max: top, text: [percent(top).replace(".0", ""), "0%"], textStyle: { color: color.muted },
  ...(narrow ? { orient: "horizontal", bottom: 0, left: "center", right: null, top: null } : {}),
});

// heights of the figures whose height depends on what they show.
const heights = {
  replicates: (view, width) => {
    const { across, panel } = panels(width, view.list.length);
    return Math.ceil(view.list.length / across) * panel + 6;
  },
  heat: (view, width) => Math.max(170, view.names.length * 28 + (width < 640 ? 92 : 52)),
  descent: (view, width) => Math.max(210, DATA.lines.length * 118 + (width < 640 ? 96 : 58)),
};

// The theme of every figure, for all that an option leaves open.
const themed = () => {
  const axis = {
    axisLine: { lineStyle: { color: color.faint } }, axisTick: { lineStyle: { color: color.faint } },
    axisLabel: { color: color.muted, fontSize: 12 }, splitLine: { lineStyle: { color: color.rule } },
    nameTextStyle: { color: color.muted, fontSize: 12.5 },
  };
  return { textStyle: { fontFamily: color.font, color: color.ink }, backgroundColor: "transparent", categoryAxis: { ...axis, splitLine: { show: false } }, valueAxis: axis };
};

const optionFor = (id, view, width) => {
  const option = filled[id](id, view, width);
  delete option.x;
  delete option.y;
  option.tooltip = {
    confine: true, className: "ec-tip", transitionDuration: 0, backgroundColor: color.card, borderColor: color.rule, padding: 10,
    textStyle: { color: color.ink, fontSize: 12.5 }, extraCssText: "box-shadow:0 4px 18px rgba(0,0,0,.16);border-radius:8px",
    axisPointer: { lineStyle: { color: color.faint } }, ...option.tooltip,
  };
  const caption = $(`[data-figure="${id}"] figcaption`).innerText;
  option.aria = { enabled: true, label: { description: caption + " Shown: " + view.subject + ". The Table button gives the numbers." } };
  return option;
};
