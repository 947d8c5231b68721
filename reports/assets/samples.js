// Samples: what models wrote, found by what it is and by what it says.

const PER_PAGE = 12;
const OUTCOMES = ["not scorable", "absent", "present"];
const PARTS = ["output", "probe answer"];

// Characters that cannot be seen; page_text.go has the same set.
const HIDDEN = /[\u115f\u1160\u3164\uffa0\u{e0100}-\u{e01ef}]|(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const put = (node, text) => {
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    node.append(text.slice(from, found.index), el("span", { className: "unseen", title: "a character that cannot be seen" }, "U+" + found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")));
    from = found.index + found[0].length;
  }
  node.append(text.slice(from));
  return node;
};

const option = (value, text) => el("option", { value: String(value) }, text);
const picker = (text, list, value, pick, all) => {
  const select = el("select", { onchange: () => pick(select.value === "" ? "" : Number(select.value)) }, ...(all ? [option("", all)] : []), ...list.map(([v, name]) => option(v, name)));
  select.value = String(value);
  return el("label", { className: "made" }, el("span", {}, text), select);
};

// A survey calls its subjects, behaviours and contexts by other words.
const WORDS = DATA.words ?? { behaviour: "Behaviour", arm: "Arm", line: "Line" };
const placeOf = (s) => (DATA.words ? DATA.lines[s.l] ?? "" : `${DATA.lines[s.l] ?? "–"}, generation ${s.g}, replicate ${s.r}`);

// What stood before the text: every turn with its role, folded away where it is long.
const turnsOf = (s) => {
  if (!s.turns) return null;
  const turns = s.turns.map(([role, text]) => el("div", { className: "turn" }, put(el("span", { className: "role" }), role), put(el("div", { className: "prompt", dir: "auto" }), text)));
  if (s.before) turns.unshift(el("p", { className: "sub" }, `${s.before} turns before these are left out.`));
  return turns.length < 3 ? el("div", {}, ...turns) : el("details", {}, el("summary", { className: "sub" }, `${s.turns.length + (s.before ?? 0)} turns before`), ...turns);
};

const present = (key) => new Set(TEXTS.list.map((s) => s[key]));
const filters = () => {
  const has = { arm: present("a"), line: present("l"), behaviour: present("b"), generation: present("g"), outcome: present("o") };
  const probes = TEXTS.list.some((s) => s.p);
  const named = (list, kept) => list.map((item, i) => [i, item.name ?? item]).filter(([i]) => kept.has(i));
  const choices = {
    behaviour: [WORDS.behaviour, named(DATA.behaviours, has.behaviour)], arm: [WORDS.arm, named(DATA.arms, has.arm)], line: [WORDS.line, named(DATA.lines, has.line)],
    generation: ["Generation", [...has.generation].sort((a, b) => a - b).map((g) => [g, String(g)])],
    outcome: ["Outcome", [2, 1, 0].filter((o) => has.outcome.has(o)).map((o) => [o, OUTCOMES[o]])],
    part: ["Kind", probes ? [[0, PARTS[0]], [1, PARTS[1]]] : []],
  };
  const text = el("input", { type: "search", placeholder: "Search the text", value: state.sample.text, oninput: () => sift({ text: text.value }) });
  $("#filters").replaceChildren(
    ...Object.entries(choices).filter(([key, [, list]]) => list.length > 1 || state.sample[key] !== "")
      .map(([key, [name, list]]) => picker(name, list, state.sample[key], (v) => sift({ [key]: v }), "All")),
    el("label", { className: "grow made" }, el("span", {}, "Contains"), text),
    el("button", { type: "button", className: "button made", onclick: () => sift({ arm: "", line: "", behaviour: "", generation: "", outcome: "", part: "", text: "" }, true) }, "Clear"),
    el("span", { className: "count made", id: "sample-count", role: "status" }));
  $("#filters").hidden = false;
};

const matching = () => {
  const want = state.sample, words = want.text.toLowerCase();
  const is = (value, wanted) => wanted === "" || value === wanted;
  return TEXTS.list.filter((s) =>
    is(s.a, want.arm) && is(s.l, want.line) && is(s.b, want.behaviour) && is(s.g, want.generation) && is(s.o, want.outcome) && is(s.p ? 1 : 0, want.part) &&
    (!words || s.s.map((part) => part.t).join("").toLowerCase().includes(words)));
};

const sampleCard = (s) => {
  const text = el("div", { className: "text", dir: "auto" });
  for (const part of s.s)
    text.append(part.d ? el("mark", { title: part.d }, put(el("span"), part.t), el("sup", {}, part.d + (s.o === 0 || s.v === null ? "" : " " + s.v.toFixed(2)))) : put(el("span"), part.t));
  if (s.cut) text.append(el("span", { className: "sub" }, `… ${s.cut} characters are left out.`));
  const fact = (...children) => el("div", {}, ...children);
  const tint = el("span", { className: "dot" });
  tint.style.background = "var(--" + variable(s.a) + ")";
  return el("article", { className: "sample made" },
    el("div", { className: "sample-facts" },
      fact(el("b", {}, DATA.behaviours[s.b]?.name ?? "–")),
      fact(el("span", { className: "badge outcome-" + s.o }, OUTCOMES[s.o] ?? "–"), s.o === 0 || s.v === null ? "" : " score " + s.v.toFixed(2)),
      fact(tint, DATA.arms[s.a]?.name ?? "–"),
      fact(placeOf(s)),
      fact(el("span", { className: "sub" }, s.d + (s.p ? " · probe" : ""))),
      s.why ? fact(put(el("span", { className: "sub" }), s.why)) : null),
    el("div", { className: "sample-text" }, s.ask ? put(el("div", { className: "prompt", dir: "auto" }), s.ask) : null, turnsOf(s), text, el("code", { className: "sub" }, s.id)));
};

const list = () => {
  const found = matching(), pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  $("#sample-list").replaceChildren(...found.slice(state.page * PER_PAGE, (state.page + 1) * PER_PAGE).map(sampleCard),
    ...(found.length ? [] : [el("p", { className: "status made" }, TEXTS.list.length ? "No sample in this file fits. Fewer conditions may find one." : "This file has no samples.")]));
  $("#sample-count").textContent = `${found.length} of ${TEXTS.list.length} samples` + (TEXTS.left ? `; ${TEXTS.left} more texts were read and are not in this file` : "");
  $("#pager").hidden = pages < 2;
  $("#page-number").textContent = `Page ${state.page + 1} of ${pages}`;
  for (const button of $$("[data-page]")) button.disabled = button.dataset.page < 0 ? state.page === 0 : state.page === pages - 1;
};

// sift narrows the samples; read narrows them to one thing and goes there.
const sift = (change, rebuild) => {
  Object.assign(state.sample, change);
  state.page = 0;
  save();
  if (rebuild) filters();
  list();
};
const read = (wanted) => {
  sift({ arm: "", line: "", behaviour: "", generation: "", outcome: "", part: "", text: "", ...wanted }, true);
  $("#samples").scrollIntoView({ block: "start" });
};
