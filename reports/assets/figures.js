// Figures: drawing, saving and switching them.

const figure = (id) => $(`[data-figure="${id}"]`);
const ids = $$("[data-figure]").map((node) => node.dataset.figure).filter((id) => views[id]);
const live = {};
const heightOf = (id, view, width) => heights[id]?.(view, width) ?? Number(figure(id).dataset.height);

const start = (box, renderer, option) => {
  const chart = echarts.init(box, themed(), { renderer });
  chart.setOption(option);
  return chart;
};

const draw = (id) => {
  const fig = figure(id), view = views[id]();
  $(".subject", fig).textContent = view.subject;
  $(".note", fig).textContent = view.note ?? "";
  if (!window.echarts) return still(fig, view);
  const box = $(".plot", fig), width = box.clientWidth;
  live[id]?.dispose();
  box.style.height = heightOf(id, view, width) + "px";
  live[id] = start(box, "svg", optionFor(id, view, width));
  live[id].drawnAt = width;
  live[id].on("click", (event) => {
    const wanted = asked[id](event, view);
    if (wanted) read({ behaviour: state.behaviour, line: state.line, part: id === "penetrance" ? 1 : 0, ...wanted });
  });
  table(fig, view, true);
};

// still shows the static figure of this choice, where the page has one.
const still = (fig, view) => {
  let found = false;
  for (const node of $$(".still", fig)) {
    node.hidden = node.dataset.key !== view.key;
    found ||= !node.hidden;
  }
  $(".unstill", fig).hidden = found;
  table(fig, view, true);
};

// One figure at a time, so that the page answers in between; a later call takes over.
let turn = 0;
const drawAll = async () => {
  const mine = ++turn;
  for (const id of ids) {
    if (mine !== turn) return;
    draw(id);
    await new Promise((next) => setTimeout(next));
  }
};
// What a click on a figure asks to read.
const ofCurve = (event, view) => {
  const c = view.list[/^mean\d/.test(event.seriesId) && (view.pages ? +event.seriesId.slice(4) : view.list.findIndex((x) => "mean" + x.a === event.seriesId))];
  return c && { arm: c.a, generation: event.dataIndex >= 0 ? c.g[event.dataIndex] : "" };
};
const asked = {
  prevalence: ofCurve, penetrance: ofCurve, replicates: ofCurve,
  heat: (event, view) => {
    const c = view.list[event.value?.[1]];
    return c && { arm: c.a, line: c.l, behaviour: c.b, generation: event.value[0] };
  },
  descent: (event) => event.dataType === "node" && event.data.model && { arm: state.arm, line: event.data.model[0], generation: event.data.model[1] },
};

// Saving: the title, what is shown and the study go with a picture.
const fileName = (id, kind) => (DATA.study + "-" + id).toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80) + "." + kind;
const download = (name, blob) => {
  const a = el("a", { href: URL.createObjectURL(blob), download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 4000);
};
const csvCell = (v) => {
  let s = v === null || v === undefined ? "" : String(v);
  if (typeof v === "string" && /^[=+\-@\t\r]/.test(s)) s = "'" + s;
  return /[",\n\r]/.test(s) ? '"' + s.replace(/"/g, '""') + '"' : s;
};
const csv = (id) => {
  const view = views[id]();
  return [view.head, ...view.rows].map((row) => row.map(csvCell).join(",") + "\r\n").join("");
};

const PICTURE = 1100, HEADER = 58, FOOTER = 26;
const offscreen = (id, renderer, use) => {
  const view = views[id](), height = heightOf(id, view, PICTURE);
  const box = el("div", { style: `position:fixed;left:-9999px;width:${PICTURE}px;height:${height}px` });
  document.body.append(box);
  const chart = start(box, renderer, optionFor(id, view, PICTURE));
  try {
    return use(chart, height, [
      [$("h2", figure(id)).textContent, 26, "600 17px " + color.font, color.ink],
      [fit(view.subject, PICTURE - 40, "13px"), 46, "13px " + color.font, color.muted],
      [fit("heirloom · " + DATA.study + " · " + DATA.digest, PICTURE - 40, "11px"), HEADER + height + 14, "11px " + color.font, color.muted],
    ]);
  } finally {
    chart.dispose();
    box.remove();
  }
};
const png = (id) => offscreen(id, "canvas", (chart, height, lines) => {
  const picture = el("canvas", { width: 3 * PICTURE, height: 3 * (HEADER + height + FOOTER) }), ink = picture.getContext("2d");
  ink.scale(3, 3);
  ink.fillStyle = color.card;
  ink.fillRect(0, 0, picture.width, picture.height);
  for (const [text, y, font, tint] of lines) {
    ink.font = font;
    ink.fillStyle = tint;
    ink.fillText(text, 20, y);
  }
  ink.drawImage(chart.renderToCanvas({ pixelRatio: 3 }), 0, HEADER, PICTURE, height);
  return picture;
});
const svg = (id) => offscreen(id, "svg", (chart, height, lines) => {
  const all = HEADER + height + FOOTER;
  const text = lines.map(([t, y, font, tint]) => `<text x="20" y="${y}" style="font:${escape(font)}" fill="${escape(tint)}">${escape(t)}</text>`).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${PICTURE}" height="${all}" viewBox="0 0 ${PICTURE} ${all}"><rect width="100%" height="100%" fill="${escape(color.card)}"/>${text}` +
    chart.renderToSVGString().replace("<svg ", () => `<svg y="${HEADER}" `) + "</svg>";
});

const TABLE_ROWS = 500;
const written = (v) => (v === null || v === undefined ? "" : typeof v === "number" && !Number.isInteger(v) ? String(+v.toPrecision(5)) : String(v));
const table = (fig, view, refresh) => {
  const open = $(".table", fig), button = $("[data-tool=Table]", fig);
  if (!refresh || open) open?.remove();
  if (Boolean(open) !== Boolean(refresh)) return button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-expanded", "true");
  const cells = (tag, row, props) => el("tr", {}, ...row.map((v) => el(tag, { ...props, className: typeof v === "number" ? "r" : "" }, written(v))));
  fig.append(el("div", { className: "table made", tabIndex: 0 },
    el("table", {}, el("thead", {}, cells("th", view.head, { scope: "col" })), el("tbody", {}, ...view.rows.slice(0, TABLE_ROWS).map((row) => cells("td", row)))),
    view.rows.length > TABLE_ROWS ? el("p", { className: "sub" }, `The first ${TABLE_ROWS} of ${view.rows.length} rows; the CSV has all of them.`) : null));
};

const furnish = (id) => {
  const fig = figure(id), tools = el("div", { className: "figure-tools made" });
  const tool = (name, act) => tools.append(el("button", { type: "button", "data-tool": name, onclick: act }, name));
  tool("CSV", () => download(fileName(id, "csv"), new Blob([csv(id)], { type: "text/csv" })));
  if (window.echarts) {
    tool("PNG", () => png(id).toBlob((blob) => download(fileName(id, "png"), blob)));
    tool("SVG", () => download(fileName(id, "svg"), new Blob([svg(id)], { type: "image/svg+xml" })));
  }
  tool("Table", () => table(fig, views[id](), false));
  $("figcaption", fig).after(el("div", { className: "figure-head made" }, el("p", { className: "subject" }), el("div", { className: "figure-choice" })));
  fig.append(el("p", { className: "unstill status made", hidden: true }, "This choice has no static drawing. The table has its numbers."),
    el("div", { className: "plot made", hidden: !window.echarts }), el("p", { className: "note sub made" }), tools);
};
