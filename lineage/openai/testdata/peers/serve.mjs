// Serves on a free port, tells its address, and ends with its standard input.
// The second argument is the share of the requests that meet each kind of fault.
import { LLMock } from "@copilotkit/aimock";

const mock = new LLMock({ port: 0, logLevel: "silent", chunkSize: 3 });
mock.onMessage(/question/, { content: "an answer of another server" });
mock.onEmbedding(/.*/, { embedding: [0.25, -0.5] });
const rate = Number(process.argv[2] ?? 0);
if (rate > 0) mock.setChaos({ dropRate: rate, malformedRate: rate, disconnectRate: rate, rateLimitRate: rate });
console.log(await mock.start());
process.stdin.on("end", () => process.exit(0)).resume();
