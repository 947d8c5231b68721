// descentGraph lays the models of an arm out: a lane a line, a column a
// generation, weights above a lane and outside sources below it.
const descentGraph = (view, size, spacing) => {
  const nodes = [], links = [], tips = new Map(), placed = new Set();
  const id = (line, generation) => "m" + line + "/" + generation;
  const put = (key, x, y, more, told) => {
    if (placed.has(key)) return;
    placed.add(key);
    nodes.push({ id: key, name: key, value: [x, y], label: { show: false }, ...more });
    if (told) tips.set(key, told);
  };
  const link = (source, target, lineStyle, told, more) => {
    links.push({ source, target, lineStyle: { opacity: spacing < 14 ? 0.3 : 0.55, color: color.faint, ...lineStyle }, ...more });
    if (told) tips.set(source + ">" + target, told);
  };
  // An edge within a lane keeps so many pixels off the models it passes by.
  const arc = (span, pixels) => (2 * pixels) / Math.max(1, span * spacing);
  const share = (v) => `<b>${escape(percent(v))}</b>`;
  const called = (line, generation) => DATA.lines[line] + ", generation " + generation;

  for (const [line, generation, replicates, blocked] of view.models ?? []) {
    const p = view.seen(line, generation), known = p && p.mean !== null, fill = known ? ramp(p.mean / view.top[0]) : color.card;
    put(id(line, generation), generation, line, {
      model: [line, generation], symbol: "circle", symbolSize: size,
      itemStyle: { color: fill, borderColor: blocked ? color.accent : replicates ? color.faint : color.rule, borderWidth: blocked ? 2 : 1, borderType: replicates && !blocked ? "solid" : "dashed" },
      label: { show: size >= 21 && known, formatter: () => cell(p.mean), color: inkOn(fill), fontSize: size > 25 ? 11 : 9.5 },
    }, tip(called(line, generation), [
      ["Prevalence", `<b>${escape(percent(p?.mean))}</b>`, `<span class="sub">${escape(known ? interval(p.lo, p.hi) + ", n = " + p.n : "not scored")}</span>`],
      ["Trained", escape(replicates + " of " + DATA.replicates), `<span class="sub">replicates</span>`],
      ...(blocked ? [["Blocked", escape(blocked + " of " + DATA.replicates), `<span class="sub">by the provider, or an ancestor was</span>`]] : []),
    ]));
  }
  for (const [line, generation, from, back, part] of view.text ?? [])
    link(id(from, back), id(line, generation), { width: Math.max(0.8, 8 * part), curveness: from === line && generation - back > 1 ? -arc(generation - back, 18) : 0 },
      tip(called(line, generation), [["Text of " + escape(called(from, back)), share(part)]]));

  const dashed = { type: [4, 3], width: 1.2, color: color.muted, opacity: spacing < 14 ? 0.35 : 0.7 }, plain = { symbol: ["none", "none"] };
  for (const [line, generation, from, back] of view.weights ?? []) {
    if (back >= 0) {
      link(id(from, back), id(line, generation), { ...dashed, curveness: from === line ? arc(generation - back, 34) : 0.15 }, tip(called(line, generation), [["Weights", "start from " + escape(called(from, back))]]));
      continue;
    }
    const rail = (g) => "w" + line + "/" + g, height = line - 0.36;
    put(rail(-1), -1, height, { symbol: "roundRect", symbolSize: 11, itemStyle: { color: color.card, borderColor: color.muted, borderWidth: 1.4 }, label: { show: true, formatter: "foundation", position: "top", distance: 3, color: color.muted, fontSize: 11 } }, tip("Foundation of " + DATA.lines[line], [["Weights", "of every generation start here"]]));
    for (let g = 0; g <= generation; g++) {
      if (placed.has(rail(g))) continue;
      put(rail(g), g, height, { symbol: "none", symbolSize: 0 });
      link(rail(g - 1), rail(g), dashed, null, plain);
    }
    link(rail(generation), id(line, generation), dashed, tip(called(line, generation), [["Weights", "start from the foundation"]]), plain);
  }
  const outside = new Map();
  for (const entry of view.outside ?? []) {
    const key = ["o", entry[0], entry[1], entry[3] < 0 ? "" : "s"].join("/");
    outside.set(key, [...(outside.get(key) ?? []), entry]);
  }
  for (const [key, entries] of outside) {
    const [line, generation, , seeds] = entries[0], seed = seeds >= 0, all = entries.reduce((sum, e) => sum + e[4], 0);
    const tint = seed ? color.accent : color.faint;
    const told = tip(called(line, generation), entries.map((e) => [escape((seed ? "Seeds of " + DATA.behaviours[e[3]].name + ", " : "") + DATA.sources[e[2]]), share(e[4])]));
    put(key, generation + (seed ? 0.24 : -0.24), line + 0.38, { symbol: seed ? "diamond" : "rect", symbolSize: Math.max(4, Math.min(seed ? 11 : 8, size * 0.4)), itemStyle: { color: tint } }, told);
    link(key, id(line, generation), { width: Math.max(0.8, 8 * all), color: tint, opacity: spacing < 14 && !seed ? 0.2 : 0.45 }, told, plain);
  }
  return { nodes, links, tips };
};
