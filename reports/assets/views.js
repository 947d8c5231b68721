// Views: which numbers each figure shows for what the reader chose. A figure
// draws from its view, and its table and CSV are the view's rows.

const curveHead = [
  "arm", "line", "behaviour", "generation", "mean", "ci_low", "ci_high", "replicates",
  "difference", "difference_low", "difference_high", "present", "scored", "not_scorable", "neutral_low", "neutral_high",
];
const curveColumns = ["mean", "lo", "hi", "n", "dmean", "dlo", "dhi", "present", "scored", "unscored", "mlo", "mhi"];

const curveRows = (list) =>
  list.flatMap((c) =>
    c.g.map((g, i) => [DATA.arms[c.a].name, DATA.lines[c.l], DATA.behaviours[c.b].name, g, ...curveColumns.map((key) => at(c[key], i))]));

// baseline is the curve of the control that an arm is compared with.
const baseline = (c) => {
  const base = curve(DATA.arms[c.a].base, c.l, c.b, c.p ? 1 : 0, c.d);
  return base === c ? undefined : base;
};

const chosen = () => [DATA.behaviours[state.behaviour]?.name, DATA.lines[state.line]];

// The point of a curve where it ends: the last that could be scored.
const ending = (c) => {
  for (let i = c.g.length - 1; i >= 0; i--) if (at(c.mean, i) !== null) return i;
  return -1;
};

const highest = (list, ...columns) => Math.max(0, ...list.flatMap((c) => columns.flatMap((key) => [].concat(c[key] ?? 0))).filter((v) => v !== null));

const eventsOf = (arms) => {
  const known = new Map();
  for (const arm of arms)
    for (const e of DATA.arms[arm].events ?? []) if (!e.lines || e.lines.includes(state.line)) known.set(e.text, e);
  return [...known.values()];
};

const PANELS = 12;

const curvesView = (probes) => {
  const list = shown().map((arm) => curve(arm, state.line, state.behaviour, probes, state.detector)).filter(Boolean);
  const detail = probes ? undefined : curve(state.arm, state.line, state.behaviour, 0, state.detector);
  return {
    list, detail, note: detail?.note ?? "", key: state.behaviour + "/" + state.line, subject: about(...chosen()), events: eventsOf(shown()),
    top: niceCeiling(Math.max(highest(list, "mean", "hi"), detail ? highest([detail], "mhi") : 0)),
    head: curveHead, rows: curveRows(list),
  };
};

const heatRows = {
  behaviours: () => range(DATA.behaviours.length).map((b) => [DATA.behaviours[b].name, curve(state.arm, state.line, b)]),
  arms: () => range(DATA.arms.length).map((a) => [DATA.arms[a].name, curve(a, state.line, state.behaviour, 0, state.detector)]),
  lines: () => range(DATA.lines.length).map((l) => [DATA.lines[l], curve(state.arm, l, state.behaviour, 0, state.detector)]),
};

const views = {
  prevalence: () => curvesView(0),
  penetrance: () => curvesView(1),

  replicates: () => {
    const arms = range(DATA.arms.length).filter((arm) => curve(arm, state.line, state.behaviour, 0, state.detector));
    const pages = Math.max(1, Math.ceil(arms.length / PANELS));
    state.panel = Math.min(state.panel, pages - 1);
    const list = arms.slice(state.panel * PANELS, (state.panel + 1) * PANELS).map((arm) => curve(arm, state.line, state.behaviour, 0, state.detector));
        const generations = range(DATA.generations);
    const rows = list.flatMap((c) => [
      [DATA.arms[c.a].name, "mean", ...generations.map((g) => at(c.mean, c.g.indexOf(g)) ?? null)],
      ...(c.reps ?? []).map((r, i) => [DATA.arms[c.a].name, i, ...generations.map((g) => r[g] ?? null)]),
    ]);
    return {
      list, pages, subject: about(...chosen()), head: ["arm", "replicate", ...generations.map((g) => "generation_" + g)], rows,
      top: niceCeiling(Math.max(highest(list, "mean"), ...list.flatMap((c) => (c.reps ?? []).flat()))),
    };
  },

  heat: () => {
    const rows = heatRows[state.rows](), list = rows.map((r) => r[1]).filter(Boolean);
    const key = state.rows === "arms" ? [state.behaviour, state.line] : state.rows === "behaviours" ? [state.arm, state.line] : [state.arm, state.behaviour];
    return {
      names: rows.map((r) => r[0]), list: rows.map((r) => r[1]), key: state.rows + "/" + key.join("/"),
      subject: about(state.rows !== "arms" && DATA.arms[state.arm]?.name, state.rows !== "lines" && DATA.lines[state.line], state.rows !== "behaviours" && DATA.behaviours[state.behaviour]?.name),
      top: niceCeiling(highest(list, "mean")), head: curveHead, rows: curveRows(list),
    };
  },

  descent: () => {
    const d = DATA.descents[state.arm] ?? {}, arm = DATA.arms[state.arm]?.name, behaviour = DATA.behaviours[state.behaviour]?.name;
    const seen = (line, generation) => {
      const c = curve(state.arm, line, state.behaviour, 0, state.detector), i = c ? c.g.indexOf(generation) : -1;
      return i < 0 ? null : { mean: at(c.mean, i), lo: at(c.lo, i), hi: at(c.hi, i), n: at(c.n, i), present: at(c.present, i), scored: at(c.scored, i) };
    };
    const row = (line, generation, channel, from, back, share) => {
      const p = seen(line, generation);
      return [arm, DATA.lines[line], generation, behaviour, p?.mean ?? null, p?.lo ?? null, p?.hi ?? null, p?.n ?? null, channel, from, back, share];
    };
    return {
      ...d, seen, subject: about(arm, behaviour), top: niceCeiling(highest(range(DATA.lines.length).map((l) => curve(state.arm, l, state.behaviour, 0, state.detector)).filter(Boolean), "mean")),
      head: ["arm", "line", "generation", "behaviour", "mean", "ci_low", "ci_high", "replicates", "channel", "from", "from_generation", "share"],
      rows: [
        ...(d.text ?? []).map(([l, g, from, back, share]) => row(l, g, "text", DATA.lines[from], back, share)),
        ...(d.weights ?? []).map(([l, g, from, back]) => row(l, g, "weights", back < 0 ? "foundation" : DATA.lines[from], back < 0 ? null : back, null)),
        ...(d.outside ?? []).map(([l, g, source, seeds, share]) => row(l, g, seeds < 0 ? "outside" : "seed", DATA.sources[source] + (seeds < 0 ? "" : ": " + DATA.behaviours[seeds].name), null, share)),
      ].sort((a, b) => a[2] - b[2]),
    };
  },
};
