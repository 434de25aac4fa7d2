import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { leavesOf, scratch, signerOf } from "../../test/logs.ts";
import { base64, utf8 } from "../bytes.ts";
import { fixedClock } from "../clock.ts";
import { COSIGNATURE, cosignatureLine } from "../format/cosignature.ts";
import { type VerifierKey, noteVerifier, parseVerifierKey, verifierKeyText } from "../format/note.ts";
import { Witness, type WitnessAnswer } from "./witness.ts";
import { verifyCheckpoint } from "./witnessed.ts";
import { type Log, openLog } from "./writer.ts";

const signer = signerOf("log");
const witnessSigner = signerOf("witness");
const key: VerifierKey = { name: "witness.example/w1", type: COSIGNATURE, publicKey: witnessSigner.raw };
const AT = Date.parse("2026-03-01T12:00:00Z");
const logKey = noteVerifier("log.example", signer.publicKeyPem);

interface Setting {
  witness: Witness;
  clock: ReturnType<typeof fixedClock>;
  folder: string;
  alarms: string[];
}

function setting(t: TestContext, folder: string = scratch(t)): Setting {
  const clock = fixedClock(AT);
  const alarms: string[] = [];
  const alarm = (message: string): void => void alarms.push(message);
  const options = { folder, key, sign: witnessSigner.sign, logs: [logKey], clock, alarm };
  return { witness: new Witness(options), clock, folder, alarms };
}

/** The request for the log's newest checkpoint, from the tree of `old` leaves. */
async function requestFor(log: Log, old: number): Promise<string> {
  const { note, size } = await log.checkpoint();
  const { hashes } = await log.consistency(Math.min(old, size));
  return `old ${old}\n${hashes.map((hash) => `${base64(hash)}\n`).join("")}\n${note}`;
}

async function logAt(t: TestContext, name = "log"): Promise<Log> {
  return await openLog(join(scratch(t), name), signer, { origin: "log.example" });
}

const add = async ({ witness }: Setting, request: string): Promise<WitnessAnswer> =>
  await witness.addCheckpoint(utf8(request));

test("what grows is cosigned, with its time, and the line makes the note verify", async (t) => {
  const [log, held] = [await logAt(t), setting(t)];
  const sizes = [0];
  for (const count of [3, 1, 300, 0]) {
    if (count > 0) await log.appendAll(leavesOf(count, `batch ${sizes.length}`));
    const answer = await add(held, await requestFor(log, sizes.at(-1) ?? 0));
    assert.equal(answer.status, 200, answer.body);
    const { note, size } = await log.checkpoint();
    const verified = verifyCheckpoint(note + answer.body, logKey, [key], 1);
    assert.deepEqual(verified.cosignedBy, [{ name: key.name, at: held.clock.now() }]);
    assert.equal(verified.at, held.clock.now());
    sizes.push(size);
    held.clock.advance(60_000);
  }
  // A clock that is set back signs no earlier than before.
  held.clock.advance(-86_400_000);
  const answer = await add(held, await requestFor(log, 304));
  const { at } = verifyCheckpoint((await log.checkpoint()).note + answer.body, logKey, [key], 1);
  assert.equal(at, AT + 3 * 60_000);
});

test("each status of the protocol, and that none of them moves the witness", async (t) => {
  const [log, held] = [await logAt(t), setting(t)];
  await log.appendAll(leavesOf(20));
  await log.settled();
  assert.equal((await add(held, await requestFor(log, 0))).status, 200);
  await log.appendAll(leavesOf(13, "more"));
  const good = await requestFor(log, 20);
  const fork = await logAt(t, "fork");
  await fork.appendAll(leavesOf(33, "other"));
  const other = await openLog(join(scratch(t), "other"), signer, { origin: "other.example" });
  const stranger = await openLog(join(scratch(t), "stranger"), signerOf("stranger"), { origin: "log.example" });
  const cases: [what: string, request: string, status: number, body: RegExp][] = [
    ["nothing", "", 400, /no empty line/],
    ["no old size", good.replace("old 20\n", ""), 400, /first line/],
    ["leading zero", good.replace("old 20", "old 020"), 400, /first line/],
    ["negative", good.replace("old 20", "old -1"), 400, /first line/],
    [
      "64 hashes",
      `old 20\n${`${base64(new Uint8Array(32))}\n`.repeat(64)}\n${(await log.checkpoint()).note}`,
      400,
      /more than 63/,
    ],
    ["a short hash", good.replace(/\n[^\n]{44}\n/, "\nAAAA\n"), 400, /32 bytes/],
    ["not base64", good.replace(/\n[^\n]{44}\n/, "\n!!!!\n"), 400, /base64/],
    ["no signatures", good.slice(0, good.indexOf("— ")), 400, /./],
    ["larger old", good.replace("old 20", "old 34"), 400, /larger than the checkpoint/],
    ["another log", await requestFor(other, 0), 404, /not a log/],
    ["another key", await requestFor(stranger, 0), 403, /not signed/],
    ["a bad signature", good.replace("\n33\n", "\n32\n"), 403, /bad signature/],
    ["older old", await requestFor(log, 3), 409, /^20\n$/],
    ["from nothing", await requestFor(log, 0), 409, /^20\n$/],
    ["another tree", await requestFor(fork, 20), 422, /does not verify/],
    ["no proof", good.replace(/\n[^\n]{44}(?=\n)/, ""), 422, /does not verify/],
  ];
  for (const [what, request, status, body] of cases) {
    const answer = await add(held, request);
    assert.equal(answer.status, status, `${what}: ${answer.body}`);
    assert.match(answer.body, body, what);
    assert.equal(answer.type, status === 409 ? "text/x.tlog.size" : "text/plain; charset=utf-8");
  }
  assert.deepEqual(held.alarms, []);
  assert.equal((await add(held, good)).status, 200, "it still is at 20");
  assert.equal((await add(held, await requestFor(fork, 33))).status, 409, "two trees of one size");
  assert.match(held.alarms.join(), /log\.example signed two trees of 33 entries/);
  const kept = readdirSync(held.folder).find((name) => name.endsWith(".contradiction")) ?? assert.fail();
  assert.equal(readFileSync(join(held.folder, kept), "utf8"), (await fork.checkpoint()).note);
  const tooLarge = await held.witness.addCheckpoint(new Uint8Array(200_000));
  assert.equal(tooLarge.status, 400);
});

test("requests at once from one size: one is cosigned, the others are told the new size", async (t) => {
  const [log, held] = [await logAt(t), setting(t)];
  const requests: string[] = [];
  for (let at = 0; at < 6; at++) {
    await log.appendAll(leavesOf(2, `batch ${at}`));
    requests.push(await requestFor(log, 0));
  }
  const answers = await Promise.all(requests.map(async (request) => await add(held, request)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal(answers.filter(({ status }) => status === 409).length, 5);
});

test("damaged memory is an error, never a fresh start", async (t) => {
  const [log, held] = [await logAt(t), setting(t)];
  await log.appendAll(leavesOf(2));
  await add(held, await requestFor(log, 0));
  const file = readdirSync(held.folder).find((name) => name.endsWith(".checkpoint")) ?? assert.fail();
  const note = readFileSync(join(held.folder, file), "utf8");
  for (const damage of [
    "",
    note.slice(0, 30),
    note.replace("\n2\n", "\n1\n"),
    note.replace("log.example", "lag.example"),
  ]) {
    writeFileSync(join(held.folder, file), damage);
    await assert.rejects(add(held, await requestFor(log, 0)), { name: "BitforbitError" });
  }
});

const PROGRAM = `
import { readFileSync, writeSync } from "node:fs";
import { signerOf } from ${JSON.stringify(new URL("../../test/logs.ts", import.meta.url).href)};
import { noteVerifier } from ${JSON.stringify(new URL("../format/note.ts", import.meta.url).href)};
import { Witness } from ${JSON.stringify(new URL("witness.ts", import.meta.url).href)};
import { systemClock } from ${JSON.stringify(new URL("../clock.ts", import.meta.url).href)};
const signer = signerOf("witness");
const witness = new Witness({
  folder: process.env.FOLDER,
  key: { name: "witness.example/w1", type: 4, publicKey: signer.raw },
  sign: async (bytes) => {
    if (process.env.DIE === "before") process.kill(process.pid, "SIGKILL");
    return await signer.sign(bytes);
  },
  logs: [noteVerifier("log.example", signerOf("log").publicKeyPem)],
  clock: systemClock,
  alarm: () => {},
  step: () => process.env.DIE === "after" && process.kill(process.pid, "SIGKILL"),
});
const { status } = await witness.addCheckpoint(readFileSync(0));
writeSync(1, String(status));
`;

test("killed around the write: what was answered is remembered, what is remembered is not taken back", async (t) => {
  const log = await logAt(t);
  await log.appendAll(leavesOf(5));
  const request = await requestFor(log, 0);
  const fork = await logAt(t, "fork");
  await fork.appendAll(leavesOf(5, "other"));
  for (const [die, remembered] of [
    ["before", false],
    ["after", true],
    ["never", true],
  ] as const) {
    const folder = scratch(t);
    const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
      env: { ...process.env, FOLDER: folder, DIE: die },
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.end(request);
    let answered = "";
    child.stdout.on("data", (chunk: Buffer) => (answered += chunk.toString()));
    await new Promise((done) => child.on("close", done));
    assert.equal(answered, die === "never" ? "200" : "");
    const after = setting(t, folder);
    assert.equal((await add(after, await requestFor(fork, 0))).status, remembered ? 409 : 200, die);
    assert.ok(existsSync(folder));
  }
});

test("a quorum counts each key once, leaves strangers aside, and gives the time that liars cannot move", async (t) => {
  const log = await logAt(t);
  await log.appendAll(leavesOf(3));
  const { note } = await log.checkpoint();
  const text = note.slice(0, note.indexOf("\n\n") + 1);
  const at = [100, 300, 200, 50];
  const signers = at.map((_, n) => signerOf(`w${n}`));
  const keys = signers.map(({ raw }, n): VerifierKey => ({ name: `w${n}.example`, type: COSIGNATURE, publicKey: raw }));
  const lines = await Promise.all(
    keys.map(async (one, n) => await cosignatureLine(text, at[n] ?? 0, one, signers[n]?.sign ?? assert.fail())),
  );
  const trusted = keys.slice(0, 3);
  const all = note + lines.join("");
  assert.equal(verifyCheckpoint(all, logKey, trusted, 1).at, 100_000);
  assert.equal(verifyCheckpoint(all, logKey, trusted, 2).at, 200_000);
  assert.equal(verifyCheckpoint(all, logKey, trusted, 3).at, 300_000);
  assert.equal(verifyCheckpoint(all, logKey, trusted, 0).at, undefined);
  assert.deepEqual(verifyCheckpoint(note + lines[3], logKey, trusted, 0).cosignedBy, []);
  assert.throws(() => verifyCheckpoint(note + lines[3], logKey, trusted, 1), {
    code: "refused",
    message: /0 of the 1 .* not w0\.example/,
  });
  assert.throws(() => verifyCheckpoint(all, logKey, trusted, 4), { code: "input" });
  // One key under two names is one witness.
  const twin: VerifierKey = { ...(keys[0] ?? assert.fail()), name: "twin.example" };
  const twice = note + lines[0] + (await cosignatureLine(text, 100, twin, signers[0]?.sign ?? assert.fail()));
  assert.throws(() => verifyCheckpoint(twice, logKey, [keys[0] ?? twin, twin], 2), { code: "input" });
  // From the future; a bad one by a known key; one that was moved to another time.
  assert.throws(() => verifyCheckpoint(all, logKey, trusted, 1, -1_000_000), { code: "refused" });
  const broken = all.replace(lines[1] ?? "", await cosignatureLine(text, 300, keys[1] ?? twin, signerOf("x").sign));
  assert.throws(() => verifyCheckpoint(broken, logKey, trusted, 1), { code: "refused", message: /bad signature/ });
  const line = lines[0] ?? "";
  const bytes = Buffer.from(line.split(" ")[2] ?? "", "base64");
  bytes[11] = 99;
  assert.throws(() => verifyCheckpoint(`${note}— w0.example ${bytes.toString("base64")}\n`, logKey, trusted, 1), {
    code: "refused",
  });
});

test("verifier keys: written, read, and refused when a byte is another", () => {
  const line = verifierKeyText(key);
  assert.deepEqual(parseVerifierKey(line), key);
  // The example of C2SP signed-note.
  assert.equal(
    parseVerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").name,
    "PeterNeumann",
  );
  for (const bad of [
    "",
    "a",
    `x${line}`,
    line.replace("+", " "),
    line.slice(0, -4),
    `${line}AAAA`,
    line.replace(/\+[0-9a-f]{8}/, "+00000000"),
  ]) {
    assert.throws(() => parseVerifierKey(bad), { name: "BitforbitError" }, bad);
  }
});
