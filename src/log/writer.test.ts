import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { base64, hex, utf8 } from "../bytes.ts";
import { noteVerifier } from "../format/note.ts";
import { noteText, parseCheckpoint } from "./checkpoint.ts";
import { LogFolder } from "./folder.ts";
import { verifyConsistency, verifyInclusion } from "./proof.ts";
import { type LeafProof, openLogReader } from "./reader.ts";
import { edgeTiles, emptyRoot, leafHash, newTiles, tilePath, writeEntries } from "./tile.ts";
import { type CheckpointSigner, openLog } from "./writer.ts";

const folder = mkdtempSync(join(tmpdir(), "log-test-"));
test.after(() => rmSync(folder, { recursive: true }));
let logs = 0;
const newFolder = (): string => join(folder, `home-${++logs}`, "log");

const pair = generateKeyPairSync("ed25519");
const privatePem = pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
const signer: CheckpointSigner = {
  publicKeyPem: createPublicKey(pair.privateKey).export({ format: "pem", type: "spki" }).toString(),
  sign: async (bytes) => new Uint8Array(sign(null, bytes, pair.privateKey)),
};
const leavesOf = (count: number, what = "leaf"): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => utf8(`${what} ${at}`));

/** What a holder of the log's key checks: nothing of the writer's own state. */
function assertProven(leaf: Uint8Array, proof: LeafProof): void {
  const { origin } = parseCheckpoint(noteText(proof.checkpoint));
  const verifier = noteVerifier(origin, signer.publicKeyPem);
  const { size, root } = parseCheckpoint(noteText(proof.checkpoint));
  assert.equal(verifier.name, origin);
  assert.equal(size, proof.treeSize);
  assert.ok(verifyInclusion(proof.index, size, leafHash(leaf), proof.hashes, root), `leaf ${proof.index} of ${size}`);
}

const tilesIn = (log: string): string[] =>
  globSync("tile/**/*", { cwd: log })
    .filter((path) => /\/\d{3}(?:\.p\/\d+)?$/.test(path))
    .sort();

/** Waits until the log has tidied up after its last acknowledgement. */
async function settled(log: string): Promise<void> {
  for (let tries = 0; existsSync(join(log, ".writing")); tries++) {
    assert.ok(tries < 500, "the log did not finish writing");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("what is appended is proven, found again and consistent, across tile borders", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  assert.match(log.identity.origin, /^log-[0-9a-f]{16}\.bitforbit\.local$/);
  const all: Uint8Array[] = [];
  assert.deepEqual((await log.checkpoint()).root, emptyRoot());
  const heads: { size: number; root: Uint8Array }[] = [];
  for (const count of [1, 1, 3, 250, 1, 1, 255, 513, 0, 2]) {
    const leaves = leavesOf(count, `batch ${heads.length}`);
    const proofs = await log.appendAll(leaves);
    assert.equal(proofs.length, count);
    for (const [at, proof] of proofs.entries()) {
      assert.equal(proof.index, all.length + at);
      assertProven(leaves[at] ?? assert.fail(), proof);
    }
    all.push(...leaves);
    heads.push(await log.checkpoint());
  }
  for (const index of [0, 1, 255, 256, 511, 512, 1023, all.length - 1]) {
    const leaf = all[index] ?? assert.fail();
    assert.deepEqual(Buffer.from(await log.entry(index)), Buffer.from(leaf));
    assertProven(leaf, await log.prove(index));
  }
  for (const [at, first] of heads.entries()) {
    for (const second of heads.slice(at)) {
      const { hashes } = await log.consistency(first.size, second.size);
      assert.ok(verifyConsistency(first.size, second.size, first.root, second.root, hashes));
    }
  }
  assert.deepEqual(await log.audit(), { ok: true, origin: log.identity.origin, size: all.length, problems: [] });
  for (const index of [-1, all.length, 0.5]) {
    await assert.rejects(log.prove(index), { code: "input", message: /there is no entry/ });
    await assert.rejects(log.entry(index), { code: "input" });
  }
  await assert.rejects(log.consistency(0, all.length + 1), { code: "input" });
});

test("the folder holds exactly the tiles of C2SP tlog-tiles, and partial ones until they are full", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  for (const count of [3, 5, 300, 1]) await log.appendAll(leavesOf(count));
  await settled(path);
  assert.deepEqual(tilesIn(path), [
    "tile/0/000",
    "tile/0/001.p/52",
    "tile/0/001.p/53",
    "tile/1/000.p/1",
    "tile/entries/000",
    "tile/entries/001.p/52",
    "tile/entries/001.p/53",
  ]);
  const entries = leavesOf(1);
  assert.deepEqual(readFileSync(join(path, "tile/entries/001.p/53")).subarray(-8), Buffer.from(writeEntries(entries)));
  const note = readFileSync(join(path, "checkpoint"), "utf8");
  assert.equal(readFileSync(`${path}.last`, "utf8"), note);
  assert.match(
    note,
    /^log-[0-9a-f]{16}\.bitforbit\.local\n309\n[A-Za-z0-9+/=]{44}\n\n— log-[0-9a-f]{16}\.bitforbit\.local [A-Za-z0-9+/=]+\n$/,
  );
});

test("a large leaf is refused before anything is written", async () => {
  const log = await openLog(newFolder(), signer);
  await assert.rejects(log.appendAll([utf8("small"), new Uint8Array(65_536)]), { code: "limit" });
  assert.equal((await log.checkpoint()).size, 0);
  const [proof] = await log.appendAll([new Uint8Array(65_535)]);
  assert.equal(proof?.index, 0);
});

test("appends at once in one process are written together, in order, each with its own proof", async () => {
  const log = await openLog(newFolder(), signer);
  const leaves = leavesOf(600);
  const proofs = (await Promise.all(leaves.map((leaf) => log.appendAll([leaf])))).flat();
  for (const [at, proof] of proofs.entries()) {
    assert.equal(proof.index, at);
    assertProven(leaves[at] ?? assert.fail(), proof);
  }
  assert.ok(new Set(proofs.map(({ treeSize }) => treeSize)).size <= 4, "600 appends took more than four checkpoints");
  assert.ok((await log.audit()).ok);
});

test("more leaves than a batch holds", async () => {
  const log = await openLog(newFolder(), signer);
  const leaves = leavesOf(9000);
  const proofs = await log.appendAll(leaves);
  for (const at of [0, 4095, 4096, 8191, 8192, 8999]) {
    assert.equal(proofs[at]?.index, at);
    assertProven(leaves[at] ?? assert.fail(), proofs[at] ?? assert.fail());
  }
  assert.ok((await log.audit()).ok);
});

test("a reader needs only the public key, and refuses another", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  const leaves = leavesOf(10);
  await log.appendAll(leaves);
  const reader = await openLogReader(path, signer.publicKeyPem);
  assertProven(leaves[3] ?? assert.fail(), await reader.prove(3));
  await log.appendAll(leavesOf(1, "later"));
  assert.equal((await reader.prove(10)).treeSize, 11);
  const stranger = generateKeyPairSync("ed25519").publicKey.export({ format: "pem", type: "spki" }).toString();
  await assert.rejects((await openLogReader(path, stranger)).checkpoint(), { code: "refused" });
  await assert.rejects((await openLogReader(path, signer.publicKeyPem, "other.example")).checkpoint(), {
    code: "refused",
  });
  await assert.rejects(openLogReader(newFolder(), signer.publicKeyPem), { code: "input", message: /there is no log/ });
});

test("tiles that a crash left beyond the checkpoint are not believed", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  await log.appendAll(leavesOf(200));
  const before = readFileSync(join(path, "checkpoint"), "utf8");
  // A run that died between tiles and checkpoint, with leaves that nobody was promised.
  const copy = newFolder();
  cpSync(join(path, ".."), join(copy, ".."), { recursive: true });
  await (await openLog(copy, signer)).appendAll(leavesOf(3000, "never acknowledged"));
  cpSync(join(copy, "tile"), join(path, "tile"), { recursive: true });
  writeFileSync(join(path, ".writing"), "");
  assert.equal(readFileSync(join(path, "checkpoint"), "utf8"), before);

  // A reader sees the acknowledged tree; the log that was open all along notices and clears up.
  assertProven(leavesOf(200)[150] ?? assert.fail(), await (await openLogReader(path, signer.publicKeyPem)).prove(150));
  const [proof] = await log.appendAll([utf8("after the crash")]);
  assert.equal(proof?.index, 200);
  assert.deepEqual(await log.audit(), { ok: true, origin: log.identity.origin, size: 201, problems: [] });
  await settled(path);
  assert.deepEqual(tilesIn(path), [
    "tile/0/000.p/200",
    "tile/0/000.p/201",
    "tile/entries/000.p/200",
    "tile/entries/000.p/201",
  ]);
  assert.ok(!existsSync(join(path, ".writing")));
  // The same on opening anew.
  cpSync(join(copy, "tile"), join(path, "tile"), { recursive: true });
  const again = await openLog(path, signer);
  await again.appendAll(leavesOf(400, "again"));
  assert.ok((await again.audit()).ok);
});

test("a smaller, rewritten, forged or headless log is refused: nothing is signed", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  await log.appendAll(leavesOf(20));
  await settled(path);
  const old = newFolder();
  cpSync(join(path, ".."), join(old, ".."), { recursive: true });
  await log.appendAll(leavesOf(30, "more"));
  await settled(path);

  // An old copy of the folder is restored.
  const shrunk = newFolder();
  mkdirSync(join(shrunk, ".."), { recursive: true });
  cpSync(old, shrunk, { recursive: true });
  cpSync(`${path}.last`, `${shrunk}.last`);
  await assert.rejects(openLog(shrunk, signer), { code: "refused", message: /has 20 entries, but 50 were signed/ });

  // Another tree of the same log, as large: a split view.
  const split = await openLog(old, signer);
  await split.appendAll(leavesOf(40, "other"));
  await settled(old);
  cpSync(`${path}.last`, `${old}.last`);
  await assert.rejects(openLog(old, signer), { code: "refused", message: /contradicts the checkpoint/ });

  // A checkpoint by another key, or none.
  const note = readFileSync(join(path, "checkpoint"), "utf8");
  writeFileSync(join(path, "checkpoint"), note.replace("\n50\n", "\n49\n"));
  await assert.rejects(openLog(path, signer), { code: "refused", message: /bad signature/ });
  await assert.rejects(log.appendAll([utf8("x")]), { code: "refused" });
  rmSync(join(path, "checkpoint"));
  await assert.rejects(openLog(path, signer), { code: "refused", message: /checkpoint of the log in .* is gone/ });
  writeFileSync(join(path, "checkpoint"), note);
  assert.equal((await (await openLog(path, signer)).checkpoint()).size, 50);
  assert.equal((await log.appendAll([utf8("x")]))[0]?.index, 50);
});

test("damage at the edge is refused on opening; damage anywhere is found by the audit", async () => {
  const path = newFolder();
  await (await openLog(path, signer)).appendAll(leavesOf(600));
  const reader = await openLogReader(path, signer.publicKeyPem);
  const cases: [string, "opens" | "refused"][] = [
    ["tile/0/002.p/88", "refused"],
    ["tile/1/000.p/2", "refused"],
    ["tile/entries/002.p/88", "refused"],
    ["tile/0/000", "opens"],
    ["tile/entries/001", "opens"],
  ];
  for (const [name, outcome] of cases) {
    const file = join(path, name);
    const bytes = readFileSync(file);
    const changed = Buffer.from(bytes);
    changed[40] = (changed[40] ?? 0) ^ 1;
    for (const damage of [changed, bytes.subarray(0, -1), undefined]) {
      if (damage === undefined) rmSync(file);
      else writeFileSync(file, damage);
      const audit = await reader.audit();
      assert.equal(audit.ok, false, `${name} was changed and the audit is content`);
      assert.ok(audit.problems.length > 0 && audit.problems.length <= 20);
      if (outcome === "refused")
        await assert.rejects(openLog(path, signer), { code: "input", message: /damaged|cut off/ });
      else await openLog(path, signer);
      writeFileSync(file, bytes);
    }
  }
  assert.ok((await reader.audit()).ok);
});

test("after a failed write the log goes on from what is on the disk", async () => {
  const path = newFolder();
  let fail = true;
  const log = await openLog(path, {
    ...signer,
    sign: async (bytes) => {
      if (fail && hex(bytes).includes(hex(utf8("\n5\n")))) throw new Error("the key service is away");
      return await signer.sign(bytes);
    },
  });
  await log.appendAll(leavesOf(3));
  await assert.rejects(log.appendAll(leavesOf(2, "lost")), { message: "the key service is away" });
  fail = false;
  const [proof] = await log.appendAll([utf8("next")]);
  assert.equal(proof?.index, 3);
  assert.deepEqual(await log.audit(), { ok: true, origin: log.identity.origin, size: 4, problems: [] });
});

test("tiles that growing touches are the tiles that were written", async () => {
  const path = newFolder();
  const log = await openLog(path, signer);
  await log.appendAll(leavesOf(700));
  const tiles = new LogFolder(path);
  for (const { level, index, width } of newTiles(0, 700)) {
    assert.equal((await tiles.hashes(level, index, width)).length, width * 32);
    assert.ok(existsSync(join(path, tilePath(level, index, width))));
  }
  assert.equal(edgeTiles(700).length, 2);
});

/** A process of its own that appends one leaf after another and says which are acknowledged. */
function appender(path: string, name: string, count = 1_000_000): ReturnType<typeof spawn> {
  const program = `
    import { createPrivateKey, sign } from "node:crypto";
    import { openLog } from ${JSON.stringify(new URL("writer.ts", import.meta.url).href)};
    const key = createPrivateKey(process.env.KEY);
    const log = await openLog(process.env.LOG, { publicKeyPem: process.env.PUB, sign: async (bytes) => new Uint8Array(sign(null, bytes, key)) });
    console.log("ready");
    for (let at = 0; at < ${count}; ) {
      const leaves = Array.from({ length: 1 + (at * 7) % 90 }, (_, n) => "${name} " + (at + n));
      const proofs = await log.appendAll(leaves.map((text) => new TextEncoder().encode(text)));
      for (const [n, proof] of proofs.entries()) console.log(proof.index + "\\t" + leaves[n]);
      at += leaves.length;
    }`;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...process.env, LOG: path, KEY: privatePem, PUB: signer.publicKeyPem },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("kill -9 at any moment: nothing acknowledged is lost, and the log audits", { timeout: 120_000 }, async () => {
  const path = newFolder();
  const acknowledged = new Map<number, string>();
  let unfinished = 0;
  for (let round = 0; round < 30; round++) {
    const child = appender(path, `round ${round}`);
    const { stdout } = child;
    if (stdout === null) return assert.fail();
    let output = "";
    // Killed after none to four acknowledgements and some milliseconds, other numbers each round.
    let words = 0;
    stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (++words === 1 + (round % 5)) setTimeout(() => child.kill("SIGKILL"), (round * 37) % 41);
    });
    await new Promise((resolve) => child.on("close", resolve));
    if (existsSync(join(path, ".writing"))) unfinished++;
    const lines = output.split("\n");
    lines.pop();
    for (const line of lines.filter((text) => text !== "ready")) {
      const [index = "", leaf = ""] = line.split("\t");
      assert.ok(!acknowledged.has(Number(index)), `index ${index} was given out twice`);
      acknowledged.set(Number(index), leaf);
    }
  }
  const log = await openLog(path, signer);
  assert.deepEqual((await log.audit()).problems, []);
  assert.ok(acknowledged.size > 100, `only ${acknowledged.size} leaves were acknowledged in 30 rounds`);
  assert.ok(unfinished > 3, `only ${unfinished} of 30 rounds were killed while writing`);
  for (const [index, leaf] of acknowledged) {
    assert.equal(Buffer.from(await log.entry(index)).toString(), leaf);
  }
});

test("two processes appending at once: one tree, every leaf once", { timeout: 60_000 }, async () => {
  const path = newFolder();
  await openLog(path, signer);
  const outputs = await Promise.all(
    ["one", "two"].map(async (name) => {
      const child = appender(path, name, 500);
      let output = "";
      child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
      const code = await new Promise((resolve) => child.on("close", resolve));
      assert.equal(code, 0);
      return output.split("\n").filter((line) => line.includes("\t"));
    }),
  );
  const lines = outputs.flat().map((line) => line.split("\t"));
  assert.equal(new Set(lines.map(([index]) => index)).size, lines.length);
  const reader = await openLogReader(path, signer.publicKeyPem);
  assert.deepEqual(await reader.audit(), {
    ok: true,
    origin: reader.identity.origin,
    size: lines.length,
    problems: [],
  });
  for (const [index, leaf] of lines) assert.equal(Buffer.from(await reader.entry(Number(index))).toString(), leaf);
  assert.equal(base64(reader.identity.keyHash).length, 44);
});
