/**
 * The fault table of appending: the process is killed after each single step
 * that reached the disk, and the disk runs full at every point; then nothing
 * that was acknowledged, or shown to a witness, may be missing or contradicted.
 */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { scratch, signerOf } from "../../test/logs.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { startsWith } from "./mirror.ts";
import { openLog } from "./writer.ts";

const signer = signerOf("faults");

/** Appends batches whose trees cross tile borders; says each step, what a witness saw, and what was acknowledged. */
const PROGRAM = `
import { writeSync } from "node:fs";
import { signerOf } from ${JSON.stringify(new URL("../../test/logs.ts", import.meta.url).href)};
import { openLog } from ${JSON.stringify(new URL("writer.ts", import.meta.url).href)};
const say = (...words) => writeSync(1, words.join("\\t") + "\\n");
const dieAt = Number(process.env.DIE_AT);
let steps = 0;
const step = (what) => {
  say("step", what);
  if (++steps === dieAt) process.kill(process.pid, "SIGKILL");
};
const cosign = async ({ note }) => {
  say("witness", Buffer.from(note).toString("base64"));
  return note;
};
const log = await openLog(process.env.LOG, signerOf("faults"), { step, cosign, origin: "faults.example" });
for (const [batch, count] of [3, 300, 1].entries()) {
  const leaves = Array.from({ length: count }, (_, at) => process.env.NAME + " " + batch + " " + at);
  const proofs = await log.appendAll(leaves.map((leaf) => Buffer.from(leaf)));
  for (const [at, { index }] of proofs.entries()) say("acknowledged", index, leaves[at]);
  await log.settled();
}
`;

interface Told {
  steps: string[];
  witnessed: string[];
  acknowledged: [index: number, leaf: string][];
}

async function run(path: string, name: string, dieAt: number): Promise<Told> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    env: { ...process.env, LOG: path, NAME: name, DIE_AT: String(dieAt) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const signal = await new Promise((resolve) => child.on("close", (_code, by) => resolve(by)));
  const lines = output.split("\n").map((line) => line.split("\t"));
  const steps = lines.filter(([kind]) => kind === "step").map(([, what = ""]) => what);
  assert.equal(signal, steps.length === dieAt ? "SIGKILL" : null);
  return {
    steps,
    witnessed: lines.flatMap(([kind, note = ""]) =>
      kind === "witness" ? [Buffer.from(note, "base64").toString()] : [],
    ),
    acknowledged: lines.flatMap(([kind, index, leaf = ""]) =>
      kind === "acknowledged" ? [[Number(index), leaf] satisfies [number, string]] : [],
    ),
  };
}

/** Opens the log that a dead process left, and holds it against all that was told before. */
async function assertKept(path: string, told: readonly Told[], what: string): Promise<void> {
  const log = await openLog(path, signer);
  assert.deepEqual((await log.audit()).problems, [], what);
  const seen = new Map<number, string>();
  for (const [index, leaf] of told.flatMap(({ acknowledged }) => acknowledged)) {
    assert.ok(!seen.has(index), `${what}: index ${index} was given out twice`);
    seen.set(index, leaf);
    assert.equal(Buffer.from(await log.entry(index)).toString(), leaf, what);
  }
  const { tree } = await log.newest();
  for (const note of told.flatMap(({ witnessed }) => witnessed)) {
    const checkpoint = openCheckpoint(note, log.verifier);
    assert.ok(await startsWith(tree, checkpoint), `${what}: a witness saw a tree of ${checkpoint.size} that is gone`);
  }
}

test("killed after every durable step: nothing acknowledged or witnessed is lost", { timeout: 900_000 }, async (t) => {
  const folder = scratch(t);
  const whole = await run(join(folder, "whole", "log"), "whole", 0);
  assert.equal(whole.acknowledged.length, 304);
  assert.ok(whole.steps.length > 25, whole.steps.join(" "));
  for (let at = 1; at <= whole.steps.length; at++) {
    const path = join(folder, `killed-${at}`, "log");
    const first = await run(path, "first", at);
    assert.equal(first.steps.length, at);
    const what = `killed after step ${at}, ${first.steps.at(-1)}`;
    const told = [first];
    // Of every third, what mends it is killed, too, at another step each time; then it is opened for good.
    if (at % 3 === 0) told.push(await run(path, "second", 1 + ((at / 3) % 5)));
    await assertKept(path, told, what);
  }
});

test("the order of the steps is entries, hashes, signed checkpoint, witness, checkpoint", async (t) => {
  const folder = scratch(t);
  const steps: string[] = [];
  const log = await openLog(join(folder, "log"), signer, { step: (what) => steps.push(what.replace(/.*\/log\//, "")) });
  await log.appendAll([Buffer.from("one")]);
  await log.settled();
  assert.deepEqual(
    steps.filter((step) => !/^tile(?:\/entries|\/0)?(?:\/000\.p)?$/.test(step) && step !== join(folder, "log")),
    ["tile/entries/000.p/1", "tile/0/000.p/1", "last", "cosigned", "checkpoint", "tidied"],
  );
});

/** Fills a small file system but for a little, appends until it is full, makes room, and goes on. */
const FULL = `
import { rmSync, writeFileSync } from "node:fs";
import { signerOf } from ${JSON.stringify(new URL("../../test/logs.ts", import.meta.url).href)};
import { openLog } from ${JSON.stringify(new URL("writer.ts", import.meta.url).href)};
const disk = process.env.DISK;
const log = await openLog(disk + "/log", signerOf("faults"));
const acknowledged = [];
const append = async (name, count) => {
  const leaves = Array.from({ length: count }, (_, at) => Buffer.from(name + " " + at + " ".repeat(90)));
  const proofs = await log.appendAll(leaves);
  for (const [at, { index }] of proofs.entries()) acknowledged.push([index, leaves[at]]);
};
await append("start", 10);
let refused = 0;
for (let free = 0; free <= 76; free += 4) {
  const blocks = [];
  for (let at = 0; ; at++) {
    try {
      writeFileSync(disk + "/ballast" + at, Buffer.alloc(4096));
      blocks.push(disk + "/ballast" + at);
    } catch {
      rmSync(disk + "/ballast" + at, { force: true });
      break;
    }
  }
  for (const path of blocks.slice(0, free / 4)) rmSync(path);
  try {
    await append("full " + free, 150);
  } catch (error) {
    if (error.code !== "outside" || !/no space left/.test(error.message)) throw error;
    refused++;
  }
  for (const path of blocks) rmSync(path, { force: true });
  await append("room " + free, 1);
}
await log.settled();
const { problems } = await log.audit();
let lost = 0;
for (const [index, leaf] of acknowledged) if (!Buffer.from(await log.entry(index)).equals(leaf)) lost++;
console.log(JSON.stringify({ problems, lost, refused, acknowledged: acknowledged.length }));
`;

test("the disk runs full at every point: the append is refused, the log stays whole and goes on", (t) => {
  const disk = join(scratch(t), "disk");
  mkdirSync(disk);
  const mounting = ["-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$DISK" && exec "$@"', "sh"];
  const inside = (...command: string[]): ReturnType<typeof spawnSync> =>
    spawnSync("unshare", [...mounting, ...command], { env: { ...process.env, DISK: disk }, encoding: "utf8" });
  const tried = inside("true");
  if (tried.status !== 0)
    return t.skip(`needs root, or user namespaces, to mount a small disk: ${String(tried.stderr).trim()}`);
  const ran = inside(process.execPath, "--input-type=module", "-e", FULL);
  assert.equal(ran.status, 0, String(ran.stderr));
  const told = JSON.parse(String(ran.stdout)) as {
    problems: string[];
    lost: number;
    refused: number;
    acknowledged: number;
  };
  assert.deepEqual([told.problems, told.lost], [[], 0]);
  assert.ok(told.refused >= 5, `only ${told.refused} appends met a full disk`);
  assert.ok(told.acknowledged > 30);
});
