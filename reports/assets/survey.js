// A survey: its subjects stand in the place of arms, its contexts in that of lines.

const cells = new Map(DATA.cells.map((c) => [[c.a, c.b, c.l].join(), c]));
const rowsOf = () =>
  DATA.behaviours.flatMap((b, i) => DATA.lines.map((context, l) => ({ b: i, l, name: DATA.lines.length > 1 ? about(b.name, context) : b.name, of: b.name, context: DATA.lines.length > 1 ? context.replace(/ probes$/, "") : "" })))
    .filter((row) => DATA.cells.some((c) => c.b === row.b && c.l === row.l));

const views = {
  matrix: () => {
    const rows = rowsOf();
    const list = rows.map((row) => DATA.arms.map((_, a) => cells.get([a, row.b, row.l].join())));
    return {
      rows: rows.flatMap((row, i) => list[i].filter(Boolean).map((c) => [
        DATA.arms[c.a].name, DATA.behaviours[row.b].name, DATA.lines[row.l], c.mean, c.lo, c.hi, c.q, c.n, c.present, c.unscored, c.deff, c.dmean, c.dlo, c.dhi, c.qv,
      ])),
      head: [WORDS.arm, WORDS.behaviour, WORDS.line].map((w) => w.toLowerCase()).concat("penetrance", "ci_low", "ci_high", "questions", "scored", "present", "not_scorable", "design_effect", "difference", "difference_low", "difference_high", "q"),
      names: rows.map((row) => row.name), labels: rows, list, key: "all", subject: "",
      top: niceCeiling(Math.max(0, ...DATA.cells.map((c) => c.mean ?? 0))),
    };
  },
};
