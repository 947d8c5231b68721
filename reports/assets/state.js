// The data of the page, what the reader chose, and the colours of the theme.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const root = document.documentElement;
delete root.dataset.ready;

// el makes an element; text goes in as text, whatever is in it.
const el = (tag, props = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};

// inflate gives the text of an element, unpacked where it is gzip in base64.
const inflate = async (node) => {
  if (node.type !== "application/octet-stream") return node.textContent;
  const bytes = Uint8Array.from(atob(node.textContent), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};

const fail = (what, error) => {
  $("#status").textContent = what + " (" + error.message + "). Tables and static figures are still here.";
};
addEventListener("error", (event) => fail("Something in this report failed", event));
addEventListener("unhandledrejection", (event) => fail("Something in this report failed", event.reason));

const DATA = JSON.parse(await inflate($("#findings")));
const TEXTS = JSON.parse(await inflate($("#texts")));

// A page that was saved after it ran has what it had made; it is made anew.
$$(".made").forEach((node) => node.remove());

const SLOTS = DATA.opens.a.length;
const range = (n) => [...Array(n).keys()];
const at = (column, i) => (Array.isArray(column) ? column[i] : column);
const index = (list, name) => list.findIndex((item) => (item.name ?? item) === name);

const curves = new Map(DATA.curves.map((c) => [[c.a, c.l, c.b, c.d, c.p ? 1 : 0].join(), c]));
const curve = (arm, line, behaviour, probes = 0, detector = 0) => curves.get([arm, line, behaviour, detector, probes].join());

// What the reader chose. The address keeps all of it, by name, so that a link
// shows another reader the same.
const opening = () => ({
  theme: "auto", terms: "corrected", behaviour: DATA.opens.b, line: DATA.opens.l, arm: DATA.opens.f, detector: 0,
  arms: [...DATA.opens.a], controls: [...(DATA.opens.c ?? [])],
  rows: DATA.behaviours.length > 1 ? "behaviours" : DATA.arms.length > 1 ? "arms" : "lines",
  panel: 0, page: 0,
  sample: { arm: "", line: "", behaviour: "", generation: "", outcome: "", part: "", text: "" },
});
const state = opening();

const named = { behaviour: DATA.behaviours, line: DATA.lines, arm: DATA.arms };
const nameOf = (list, i) => list[i]?.name ?? list[i] ?? "";

const load = () => {
  Object.assign(state, opening());
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const [key, list] of Object.entries(named)) {
    const i = index(list, hash.get(key));
    if (i >= 0) state[key] = i;
    const s = index(list, hash.get("sample." + key));
    if (s >= 0) state.sample[key] = s;
  }
  if (hash.has("show")) {
    const shown = hash.getAll("show").map((name) => index(DATA.arms, name));
    state.arms = range(SLOTS).map((i) => (shown[i] >= 0 && !DATA.arms[shown[i]].control ? shown[i] : -1));
    state.controls = shown.filter((i) => i >= 0 && DATA.arms[i].control).slice(0, 1);
  }
  if (["auto", "light", "dark"].includes(hash.get("theme"))) state.theme = hash.get("theme");
  if (["corrected", "raw"].includes(hash.get("terms"))) state.terms = hash.get("terms");
  if (["behaviours", "arms", "lines"].includes(hash.get("rows"))) state.rows = hash.get("rows");
  for (const key of ["detector", "panel", "page"]) state[key] = Math.max(0, parseInt(hash.get(key), 10) || 0);
  for (const key of ["generation", "outcome", "part"]) {
    const value = parseInt(hash.get("sample." + key), 10);
    if (value >= 0) state.sample[key] = value;
  }
  state.sample.text = hash.get("sample.text") ?? "";
};

const save = () => {
  const hash = new URLSearchParams();
  const plain = opening();
  for (const key of ["theme", "terms", "rows", "detector", "panel", "page"]) if (state[key] !== plain[key]) hash.set(key, state[key]);
  for (const [key, list] of Object.entries(named)) {
    if (state[key] !== plain[key]) hash.set(key, nameOf(list, state[key]));
    if (state.sample[key] !== "") hash.set("sample." + key, nameOf(list, state.sample[key]));
  }
  for (const key of ["generation", "outcome", "part", "text"]) if (state.sample[key] !== "") hash.set("sample." + key, state.sample[key]);
  if (state.arms.join() !== plain.arms.join() || state.controls.join() !== plain.controls.join())
    for (const i of [...state.arms, ...state.controls]) hash.append("show", nameOf(DATA.arms, i));
  const text = hash.toString();
  try {
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  } catch {
    // A sandboxed viewer has no address to write to.
  }
};

// Colours come from the style sheet, so that figures follow the theme.
const system = matchMedia("(prefers-color-scheme: dark)");
let color = {};
const setTheme = (forced) => {
  root.dataset.theme = forced || (state.theme === "auto" ? (system.matches ? "dark" : "light") : state.theme);
  const style = getComputedStyle(root);
  color = {};
  for (const key of ["bg", "card", "ink", "muted", "faint", "rule", "accent"]) color[key] = style.getPropertyValue("--" + key).trim();
  color.series = range(SLOTS + 1).map((i) => style.getPropertyValue("--s" + i).trim());
  color.ramp = style.getPropertyValue("--ramp").trim().split(",");
  color.font = getComputedStyle(document.body).fontFamily.replaceAll('"', "'"); // an SVG puts it in quotes
  for (const button of $$("[data-theme-set]")) button.setAttribute("aria-pressed", button.dataset.themeSet === state.theme);
};

const isControl = (arm) => Boolean(DATA.arms[arm]?.control);
const isShown = (arm) => (isControl(arm) ? state.controls : state.arms).includes(arm);
const shown = () => range(DATA.arms.length).filter(isShown);
const hue = (arm) => (isControl(arm) ? color.series[SLOTS] : state.arms.includes(arm) ? color.series[state.arms.indexOf(arm)] : color.muted);
const variable = (arm) => (isControl(arm) ? "s" + SLOTS : state.arms.includes(arm) ? "s" + state.arms.indexOf(arm) : "muted");
