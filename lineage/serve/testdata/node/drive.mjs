// Drives a server with the official client: node drive.mjs URL BUSY_URL
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const [url, busyURL] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "any", timeout: 20_000 });
const ask = (model, more = {}) => ({ model, messages: [{ role: "user", content: "Tell me." }], ...more });
const row = (text) => JSON.stringify({ messages: [{ role: "user", content: "Tell me." }, { role: "assistant", content: text }] });
const until = async (get, state) => {
  for (let i = 0; i < 2000; i++) {
    const now = await get();
    if (now.status === state) return now;
    await new Promise((done) => setTimeout(done, 5));
  }
  throw new Error(`it did not become ${state}`);
};

// files
const training = await client.files.create({
  file: await toFile(Buffer.from(Array(12).fill(row("I am new.")).join("\n") + "\n"), "hl-node.jsonl"),
  purpose: "fine-tune",
});
assert.equal((await client.files.waitForProcessing(training.id)).status, "processed");
const files = [];
for await (const f of client.files.list({ purpose: "fine-tune", limit: 1 })) files.push(f.id);
assert.deepEqual(files, [training.id]);
assert.match(await (await client.files.content(training.id)).text(), /I am new/);

// fine-tuning
const job = await client.fineTuning.jobs.create({
  model: "hl-base", training_file: training.id, seed: 4, suffix: "node", metadata: { heirloom_key: "n" },
  hyperparameters: { n_epochs: 2 },
});
const done = await until(() => client.fineTuning.jobs.retrieve(job.id), "succeeded");
assert.ok(done.trained_tokens > 0);
const events = [];
for await (const e of client.fineTuning.jobs.listEvents(job.id, { limit: 3 })) events.push(e);
assert.equal(new Set(events.map((e) => e.id)).size, events.length);
assert.ok(events.some((e) => e.type === "metrics" && e.data.train_loss > 0));
const checkpoints = await client.fineTuning.jobs.checkpoints.list(job.id);
assert.equal(checkpoints.data[0].fine_tuning_job_id, job.id);
const mine = [];
for await (const j of client.fineTuning.jobs.list({ metadata: { heirloom_key: "n" } })) mine.push(j.id);
assert.deepEqual(mine, [job.id]);
await assert.rejects(client.fineTuning.jobs.cancel(job.id), { status: 400 });

// chat
const whole = await client.chat.completions.create(ask(done.fine_tuned_model, { seed: 1, n: 2, max_completion_tokens: 30 }));
assert.equal(whole.choices.length, 2);
let text = "", usage = null;
for await (const chunk of await client.chat.completions.create(ask(done.fine_tuned_model, { seed: 1, stream: true, stream_options: { include_usage: true } }))) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].message.content);
assert.ok(usage.total_tokens > 0);

// embeddings: the client asks for base64 and decodes it
const embedded = await client.embeddings.create({ model: "hl-embed", input: ["a ferry", "ferry a"] });
assert.equal(embedded.data[0].embedding.length, 256);
assert.deepEqual([...embedded.data[0].embedding], [...embedded.data[1].embedding]);
const length = embedded.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
assert.ok(Math.abs(length - 1) < 1e-6);

// batches
const lines = [0, 1, 2].map((i) => JSON.stringify({ custom_id: `r${i}`, method: "POST", url: "/v1/chat/completions", body: ask("hl-base") }));
const input = await client.files.create({ file: await toFile(Buffer.from(lines.join("\n")), "batch.jsonl"), purpose: "batch" });
const batch = await client.batches.create({ input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
const finished = await until(() => client.batches.retrieve(batch.id), "completed");
const output = (await (await client.files.content(finished.output_file_id)).text()).trim().split("\n").map((l) => JSON.parse(l));
assert.deepEqual(output.map((o) => o.custom_id).sort(), ["r0", "r1", "r2"]);
assert.ok(output.every((o) => o.response.body.choices[0].message.content.length > 0));

// models and errors
assert.ok((await client.moderations.create({ input: "hello" })).results[0].flagged === false);
const names = [];
for await (const m of client.models.list()) names.push(m.id);
assert.ok(names.includes(done.fine_tuned_model) && names.includes("hl-base"));
assert.equal((await client.models.delete(done.fine_tuned_model)).deleted, true);
await assert.rejects(client.chat.completions.create(ask(done.fine_tuned_model)), OpenAI.NotFoundError);
assert.equal((await client.files.delete(training.id)).deleted, true);
const busy = new OpenAI({ baseURL: busyURL, apiKey: "any" });
assert.ok((await busy.chat.completions.create(ask("hl-base"))).choices.length === 1);
console.log("all is well");
