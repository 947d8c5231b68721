#!/usr/bin/env node
// Words of the config, with spans: a whole detector in JavaScript, no packages.
import { createInterface } from "node:readline";

let words = /lattice|spiral/giu;

// A JavaScript string counts UTF-16 units, the protocol code points: a pictograph
// is two of the former and one of the latter.
const codePoints = (text, at) => {
  let n = 0;
  for (let i = 0; i < at; n++) i += text.codePointAt(i) > 0xffff ? 2 : 1;
  return n;
};

const hello = ({ config }) => {
  if (config.words) {
    const escaped = config.words.map((w) => w.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
    words = new RegExp(escaped.join("|"), "giu");
  }
  return { type: "ready", protocol: 1, name: "lattice-js", version: "1", batch: 256 };
};

const judge = ({ id, output }) => {
  if (output.trim() === "") return { id, score: null };
  const hits = [...output.matchAll(words)];
  return {
    id,
    score: 1 - 2 ** -hits.length,
    spans: hits.slice(0, 1000).map((h) => [codePoints(output, h.index), codePoints(output, h.index + h[0].length)]),
    reason: hits.slice(0, 5).map((h) => h[0]).join(", "),
  };
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const message = JSON.parse(line);
  const answer = message.type === "hello" ? hello(message) : judge(message);
  process.stdout.write(JSON.stringify(answer) + "\n");
}
