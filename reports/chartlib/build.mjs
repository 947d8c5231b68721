// Bundles entry.js into dist/, where Go embeds it:
//
//	echarts.js.gz  the minified bundle, gzip without a time stamp
//	LICENSES.txt   what its licences ask to travel with it
//	stamp          digest of everything the bundle was made from
//
// The same lockfile gives the same bytes. When the stamp fits, nothing is done.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

process.chdir(import.meta.dirname);
const read = (path) => readFileSync(path, "utf8").replace(/\r\n/g, "\n").trim();
const outputs = ["dist/echarts.js.gz", "dist/LICENSES.txt"];

const hash = createHash("sha256");
for (const path of ["package-lock.json", "entry.js", "build.mjs"]) hash.update(read(path) + "\0");
const stamp = hash.digest("hex") + "\n";
if (outputs.every(existsSync) && existsSync("dist/stamp") && readFileSync("dist/stamp", "utf8") === stamp) process.exit(0);

const version = (name) => JSON.parse(read(`node_modules/${name}/package.json`)).version;
const banner = `/*!
Apache ECharts ${version("echarts")}, a subset bundled with zrender ${version("zrender")} and tslib ${version("tslib")}; minified, otherwise unchanged.
${read("node_modules/echarts/NOTICE")}
Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
Distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
Parts: zrender, (c) 2017 Baidu Inc., BSD-3-Clause; d3, (c) 2010-2016 Mike Bostock, BSD-3-Clause; tslib, (c) Microsoft Corporation, 0BSD.
*/`;

const result = await build({
  entryPoints: ["entry.js"],
  bundle: true,
  minify: true,
  write: false,
  format: "iife",
  target: "es2020",
  charset: "ascii",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  banner: { js: banner },
});
const code = Buffer.from(result.outputFiles[0].contents);
if (/<\/script|<!--/i.test(code.toString("latin1"))) throw new Error("entry.js: the bundle has a sequence that would end a script element");

const packed = gzipSync(code, { level: 9 });
packed[9] = 255; // the operating system that packed it is nobody's business

const licences = [
  ["Apache ECharts: NOTICE", "echarts/NOTICE"],
  ["Apache ECharts: LICENSE", "echarts/LICENSE"],
  ["d3, parts of which are in Apache ECharts", "echarts/licenses/LICENSE-d3"],
  ["zrender", "zrender/LICENSE"],
  ["tslib", "tslib/LICENSE.txt"],
].map(([title, path]) => `${title}\n\n${read("node_modules/" + path)}\n`);

mkdirSync("dist", { recursive: true });
writeFileSync("dist/echarts.js.gz", packed);
writeFileSync("dist/LICENSES.txt", licences.join("\n\n"));
writeFileSync("dist/stamp", stamp);
console.log(`echarts.js ${code.length} bytes, ${packed.length} packed, sha256 ${createHash("sha256").update(code).digest("hex")}`);
