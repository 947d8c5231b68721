// Views: which numbers each figure shows for what the reader chose. A figure
// draws from its view, and its table and CSV are the view's rows.

const curveHead = [
  "arm", "line", "behaviour", "generation", "mean", "ci_low", "ci_high", "replicates",
  "difference", "difference_low", "difference_high", "present", "scored", "not_scorable", "neutral_low", "neutral_high",
  "corrected", "corrected_low", "corrected_high", "method", "corrected_difference", "corrected_difference_low", "corrected_difference_high",
  "corrected_neutral_low", "corrected_neutral_high", "questions", "effective_n", "design_effect", "question_low", "question_high",
];
const curveColumns = [
  "mean", "lo", "hi", "n", "dmean", "dlo", "dhi", "present", "scored", "unscored", "mlo", "mhi",
  "cmean", "clo", "chi", "cby", "cdmean", "cdlo", "cdhi", "cmlo", "cmhi", "q", "qn", "qd", "qlo", "qhi",
];
const METHODS = ["", "rogan-gladen", "ppi++"];
const curveCell = (c, key, i) => (key === "cby" ? METHODS[at(c.cby, i) ?? 0] : at(c[key], i) ?? null);

// Terms: what a curve is drawn by, corrected for the detector's errors or as it
// reads them. A curve of which nothing is corrected has the latter alone.
const READ = { mean: "mean", lo: "lo", hi: "hi", mlo: "mlo", mhi: "mhi" };
const CORRECTED = { mean: "cmean", lo: "clo", hi: "chi", mlo: "cmlo", mhi: "cmhi", raw: "mean" };
const termsOf = (c) => (c.cmean !== undefined && state.terms === "corrected" ? CORRECTED : READ);
const correctable = (list) => list.some((c) => c.cmean !== undefined);

const curveRows = (list) =>
  list.flatMap((c) =>
    c.g.map((g, i) => [DATA.arms[c.a].name, DATA.lines[c.l], DATA.behaviours[c.b].name, g, ...curveColumns.map((key) => curveCell(c, key, i))]));

// baseline is the curve of the control that an arm is compared with.
const baseline = (c) => {
  const base = curve(DATA.arms[c.a].base, c.l, c.b, c.p ? 1 : 0, c.d);
  return base === c ? undefined : base;
};

const chosen = () => [DATA.behaviours[state.behaviour]?.name, DATA.lines[state.line]];

// The point of a curve where it ends: the last that has a number.
const ending = (c, key = "mean") => {
  for (let i = c.g.length - 1; i >= 0; i--) if (at(c[key], i) !== null) return i;
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

// correctionNote says how the curves were corrected, or why they were not.
const correctionNote = (list) => {
  if (!list.length) return "";
  if (!correctable(list)) {
    const why = DATA.behaviours[state.behaviour]?.refused?.[state.detector];
    return why ? `Rates as the detector reads them, uncorrected: ${why}.` : "";
  }
  if (state.terms !== "corrected") return "Rates as the detector reads them, errors included.";
  const by = [0, 0, 0];
  for (const c of list) c.g.forEach((_, i) => at(c.mean, i) !== null && by[at(c.cby, i) ?? 0]++);
  const ways = [[1, "by the detector's calibration"], [2, "by labels of the very texts (PPI++)"], [0, "not at all"]].filter(([k]) => by[k]);
  return "Corrected " + ways.map(([k, how]) => (ways.length > 1 ? `${how} in ${by[k]} of ${by[0] + by[1] + by[2]} points` : how)).join(", ") + ". Thin lines are the rates as the detector reads them.";
};

const curvesView = (probes) => {
  const list = shown().map((arm) => curve(arm, state.line, state.behaviour, probes, state.detector)).filter(Boolean);
  const own = curve(state.arm, state.line, state.behaviour, probes, state.detector), detail = probes ? undefined : own;
  return {
    list, detail, note: [own?.note, correctionNote(list)].filter(Boolean).join(" "), key: state.behaviour + "/" + state.line, subject: about(...chosen()), events: eventsOf(shown()),
    top: niceCeiling(Math.max(...list.map((c) => highest([c], termsOf(c).mean, termsOf(c).hi, "mean")), detail ? highest([detail], termsOf(detail).mhi) : 0)),
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
