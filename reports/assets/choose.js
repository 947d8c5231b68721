// Choosing: what the figures show.

const drawing = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
// swatch of an arm: its line and its mark, as figures draw them.
const lineSwatch = (arm) => {
  const picture = drawing("svg", { viewBox: "0 0 28 12", width: 28, height: 12, "aria-hidden": "true" }), slot = state.arms.indexOf(arm);
  const marks = ["M14 2a4 4 0 1 0 .01 0z", "M10.5 2.5h7v7h-7z", "M14 1.5l4.5 8h-9z", "M14 1l4.5 5-4.5 5-4.5-5z", "M14 1.5l4.5 8.5-4.5-2.2-4.5 2.2z"];
  picture.append(drawing("path", { d: "M1 6H27", stroke: "currentColor", "stroke-width": 2.2, "stroke-dasharray": isControl(arm) ? "5 3" : "none" }));
  if (slot >= 0) picture.append(drawing("path", { d: marks[slot], fill: "currentColor" }));
  const holder = el("span", { className: "swatch" }, picture);
  holder.style.color = "var(--" + variable(arm) + ")";
  return holder;
};

const toggle = (arm) => {
  const places = isControl(arm) ? state.controls : state.arms, place = places.indexOf(arm);
  if (isControl(arm)) state.controls = place >= 0 ? [] : [arm];
  else if (place >= 0) state.arms[place] = -1;
  else if (state.arms.includes(-1)) state.arms[state.arms.indexOf(-1)] = arm;
  change({});
};

const chooser = () => {
  const form = $("#choose"), focus = document.activeElement?.dataset?.arm, full = !state.arms.includes(-1);
  const detectors = DATA.behaviours[state.behaviour]?.detectors ?? [];
  state.detector = Math.min(state.detector, Math.max(0, detectors.length - 1));
  const numbered = (list) => list.map((item, i) => [i, item.name ?? item]);
  const chips = DATA.arms.map((arm, i) =>
    el("button", {
      type: "button", className: "chip", "aria-pressed": String(isShown(i)), "data-arm": String(i), title: arm.about ?? arm.name,
      disabled: full && !isShown(i) && !arm.control, onclick: () => toggle(i),
    }, lineSwatch(i), el("span", {}, arm.name)));
  form.replaceChildren(
    ...(DATA.behaviours.length > 1 ? [picker("Behaviour", numbered(DATA.behaviours), state.behaviour, (v) => change({ behaviour: v, detector: 0 }))] : []),
    ...(detectors.length > 1 ? [picker("Detector", numbered(detectors), state.detector, (v) => change({ detector: v }))] : []),
    ...(DATA.lines.length > 1 ? [picker("Line", numbered(DATA.lines), state.line, (v) => change({ line: v }))] : []),
    ...(DATA.arms.length > 1 ? [picker("Arm in detail", numbered(DATA.arms), state.arm, (v) => change({ arm: v, controls: DATA.arms[v].base >= 0 ? [DATA.arms[v].base] : state.controls }))] : []),
    el("div", { className: "chips made", role: "group", "aria-label": "Arms compared" }, ...chips),
    ...(DATA.arms.filter((a) => !a.control).length > SLOTS ? [el("span", { className: "sub made" }, full ? `${SLOTS} arms and a control at once; turn one off to compare another.` : "Turn on an arm to compare it.")] : []));
  form.hidden = DATA.arms.length === 0;
  if (focus) $(`[data-arm="${focus}"]`, form)?.focus();
};

// termSwitch is between rates as the detector reads them and corrected ones.
const termSwitch = (probes) => {
  const list = shown().map((arm) => curve(arm, state.line, state.behaviour, probes, state.detector)).filter(Boolean);
  if (!window.echarts || !correctable(list)) return [];
  return [el("div", { className: "segments", role: "group", "aria-label": "Detector's errors" },
    ...[["corrected", "Corrected"], ["raw", "Raw"]].map(([terms, text]) =>
      el("button", { type: "button", "aria-pressed": String(state.terms === terms), "data-terms": terms, onclick: () => change({ terms }) }, text)))];
};

const choices = () => {
  const key = $("[data-figure=prevalence] .figure-choice");
  const hatch = drawing("svg", { viewBox: "0 0 28 12", width: 28, height: 12, "aria-hidden": "true" });
  hatch.append(drawing("path", { d: "M2 1V11M7 1V11M12 1V11M17 1V11M22 1V11M27 1V11", stroke: "currentColor", opacity: 0.6 }));
  const detail = curve(state.arm, state.line, state.behaviour, 0, state.detector);
  const hatched = detail?.[detail && termsOf(detail).mlo] != null ? [hatch, el("span", { className: "sub" }, "copying alone, " + DATA.arms[state.arm].name)] : [];
  key?.replaceChildren(...hatched, ...termSwitch(0));
  $("[data-figure=penetrance] .figure-choice")?.replaceChildren(...termSwitch(1));
  const heat = $("[data-figure=heat] .figure-choice");
  const kinds = [["behaviours", DATA.behaviours], ["arms", DATA.arms], ["lines", DATA.lines]].filter(([, list]) => list.length > 1);
  if (heat && kinds.length > 1)
    heat.replaceChildren(el("div", { className: "segments", role: "group", "aria-label": "Rows" },
      ...kinds.map(([kind]) => el("button", { type: "button", "aria-pressed": String(state.rows === kind), onclick: () => change({ rows: kind }) }, kind[0].toUpperCase() + kind.slice(1)))));
  const panels = $("[data-figure=replicates] .figure-choice"), pages = views.replicates().pages;
  if (panels && pages > 1)
    panels.replaceChildren(
      el("button", { type: "button", className: "button", disabled: state.panel === 0, onclick: () => change({ panel: state.panel - 1 }) }, "Previous"),
      el("span", { className: "sub" }, `Arms ${state.panel * PANELS + 1}–${Math.min(DATA.arms.length, (state.panel + 1) * PANELS)} of ${DATA.arms.length}`),
      el("button", { type: "button", className: "button", disabled: state.panel === pages - 1, onclick: () => change({ panel: state.panel + 1 }) }, "Next"));
};

// A long table of verdicts shows those of the choice, and the rest on demand.
const VERDICTS = 16;
let allVerdicts = false;
const verdicts = () => {
  const rows = $$("#verdict-table tbody"), long = rows.length > VERDICTS, head = $("#verdicts .caption");
  for (const row of rows) $(".dot", row).style.background = "var(--" + variable(Number(row.dataset.row.split("/")[2])) + ")";
  if (!long) return;
  for (const row of rows) row.hidden = !allVerdicts && !row.dataset.row.startsWith(`${state.behaviour}/${state.line}/`);
  $(".made", head)?.remove();
  head.append(el("button", {
    type: "button", className: "button made", "aria-pressed": String(allVerdicts),
    onclick: () => {
      allVerdicts = !allVerdicts;
      verdicts();
    },
  }, allVerdicts ? "Show those of the chosen behaviour and line" : `Show all ${rows.length}`));
};

const refresh = () => {
  chooser();
  choices();
  verdicts();
  list();
  return drawAll();
};
const change = (wanted) => {
  Object.assign(state, wanted);
  save();
  refresh();
};
