/** Logs that are read over HTTP, copied and checked: what a liar or a bad disk may give. */
import { strict as assert } from "node:assert";
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { leavesOf, scratch, serveFolder, signerOf } from "../../test/logs.ts";
import { noteVerifier } from "../format/note.ts";
import { LogAddress } from "./address.ts";
import { judge, parseEvidence } from "./contradiction.ts";
import { checkLog } from "./fsck.ts";
import { LogFolder } from "./folder.ts";
import { mirrorLog } from "./mirror.ts";
import { verifyConsistency, verifyInclusion } from "./proof.ts";
import { readLog } from "./reader.ts";
import { leafHash } from "./tile.ts";
import { type Log, openLog } from "./writer.ts";

const signer = signerOf("log");
const QUICK = { pauseMilliseconds: 1, timeoutMilliseconds: 5000 };

async function logOf(folder: string, count: number): Promise<{ log: Log; path: string; leaves: Uint8Array[] }> {
  const path = join(folder, "log");
  const log = await openLog(path, signer);
  const leaves = leavesOf(count);
  await log.appendAll(leaves);
  await log.settled();
  return { log, path, leaves };
}

const address = (url: string): LogAddress => new LogAddress(url, QUICK);

/** The files that a copy must have, with their content. */
const published = (log: string): Map<string, string> =>
  new Map(
    globSync(["checkpoint", "tile/**"], { cwd: log, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [path.slice(log.length + 1), readFileSync(path).toString("base64")] as const;
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

test("a log behind a static web server: entries, proofs and consistency, with every tile checked", async (t) => {
  const { path, leaves, log } = await logOf(scratch(t), 70_000);
  const { url } = await serveFolder(t, () => path);
  const reader = await readLog(address(`${url}/`), signer.publicKeyPem);
  assert.equal(reader.identity.origin, log.identity.origin);
  const { size, root } = await reader.checkpoint();
  assert.equal(size, 70_000);
  for (const index of [0, 255, 256, 65_535, 65_536, 69_888, 69_999]) {
    const leaf = leaves[index] ?? assert.fail();
    assert.deepEqual(Buffer.from(await reader.entry(index)), Buffer.from(leaf));
    const proof = await reader.prove(index);
    assert.ok(verifyInclusion(index, size, leafHash(leaf), proof.hashes, root));
  }
  const { hashes } = await reader.consistency(65_537);
  const first = await (await openLog(join(scratch(t), "other"), signer)).appendAll(leaves.slice(0, 65_537));
  assert.ok(verifyConsistency(65_537, size, first.at(-1)?.rootHash ?? assert.fail(), root, hashes));
});

test("a full tile is taken where a partial one has gone, and what was read stays good when the log grows", async (t) => {
  const { log, path, leaves } = await logOf(scratch(t), 300);
  const { url, asked } = await serveFolder(t, () => path);
  const reader = await readLog(address(url), signer.publicKeyPem);
  await reader.prove(3);
  const before = asked.length;
  await reader.prove(4);
  assert.deepEqual(asked.slice(before), ["/checkpoint"], "tiles that were checked are asked for once");
  const old = readFileSync(join(path, "checkpoint"));
  await log.appendAll(leavesOf(300, "more"));
  await log.settled();
  assert.ok(!existsSync(join(path, "tile/0/001.p")), "the partial tiles went with the full one");
  writeFileSync(join(path, "checkpoint"), old);
  const late = await readLog(address(url), signer.publicKeyPem);
  const proof = await late.prove(299);
  assert.equal(proof.treeSize, 300);
  assert.ok(verifyInclusion(299, 300, leafHash(leaves[299] ?? assert.fail()), proof.hashes, proof.rootHash));
});

type Answer = [status: number, body: Buffer] | undefined;
const honest = (): Answer => undefined;

test("a server that lies, breaks off or floods is refused by name; one that stumbles is asked again", async (t) => {
  const { path } = await logOf(scratch(t), 600);
  let answer: (url: string) => Answer = honest;
  const { url, asked } = await serveFolder(
    t,
    () => path,
    (request, response) => {
      const given = answer(request.url ?? "");
      if (given === undefined) return false;
      response.writeHead(given[0]).end(given[1]);
      return true;
    },
  );
  const read = async (): Promise<unknown> => (await readLog(address(url), signer.publicKeyPem)).prove(1);
  const flip = (name: string): Buffer => {
    const bytes = readFileSync(join(path, name));
    bytes[7] = (bytes[7] ?? 0) ^ 1;
    return bytes;
  };
  const lies: [string, Buffer, RegExp][] = [
    ["/tile/0/000", flip("tile/0/000"), /tile\/0\/000 of .*: it is not what the checkpoint was signed over/],
    ["/tile/0/000", Buffer.alloc(8192), /tile\/0\/000/],
    ["/tile/0/000", Buffer.alloc(8191), /8191 bytes/],
    ["/tile/0/000", Buffer.alloc(9000), /larger than 8192 bytes/],
    ["/tile/1/000.p/2", flip("tile/1/000.p/2"), /the right edge/],
    ["/checkpoint", Buffer.alloc(70_000, "a"), /larger than 65536/],
    ["/checkpoint", Buffer.from([0xff, 0xfe]), /not UTF-8/],
    ["/checkpoint", flip("checkpoint"), /bad signature|not of|cannot be read|malformed|not signed/],
  ];
  for (const [name, body, message] of lies) {
    answer = (asking) => (asking === name ? [200, body] : undefined);
    await assert.rejects(read(), { message }, name);
  }
  answer = (asking) => (asking === "/tile/0/000" ? [404, Buffer.alloc(0)] : undefined);
  await assert.rejects(read(), { code: "input", message: /tile\/0\/000 is missing/ });
  answer = () => [500, Buffer.alloc(0)];
  asked.length = 0;
  await assert.rejects(read(), { code: "outside", message: /checkpoint answers 500/ });
  assert.equal(asked.length, 4);
  let stumbles = 2;
  answer = () => (stumbles-- > 0 ? [503, Buffer.alloc(0)] : undefined);
  await read();
  answer = () => [403, Buffer.alloc(0)];
  asked.length = 0;
  await assert.rejects(read(), { code: "outside", message: /answers 403/ });
  assert.equal(asked.length, 1, "a refusal is not asked again");
  await assert.rejects(readLog(new LogAddress("http://127.0.0.1:1", QUICK), signer.publicKeyPem), { code: "outside" });
  for (const wrong of ["ftp://x/", "http://u:p@x/", "http://x/?a", "x", "http://x/#y"]) {
    assert.throws(() => new LogAddress(wrong), { code: "input" }, wrong);
  }
});

test("a mirror is what the log published, goes on after it was cut short, and mends what does not fit", async (t) => {
  const folder = scratch(t);
  const { log, path } = await logOf(folder, 2000);
  let left = 7;
  const { url, asked } = await serveFolder(
    t,
    () => path,
    (request, response) => {
      if (!(request.url ?? "").startsWith("/tile") || left-- > 0) return false;
      response.writeHead(403).end();
      return true;
    },
  );
  const verifier = noteVerifier(log.identity.origin, signer.publicKeyPem);
  const copy = join(folder, "copy");
  await assert.rejects(mirrorLog(address(url), verifier, copy), { code: "outside" });
  assert.ok(!existsSync(join(copy, "checkpoint")), "no checkpoint without its tiles");
  const there = published(copy).size;
  assert.ok(there > 0);
  left = Number.MAX_SAFE_INTEGER;
  asked.length = 0;
  const { size, written } = await mirrorLog(address(url), verifier, copy);
  assert.deepEqual([size, there + written + 1], [2000, published(copy).size]);
  assert.deepEqual(published(copy), published(path));
  assert.ok(asked.length < 2 + written * 2 + 8, "what was there was not fetched again");

  // A copy that a bad disk changed is mended; one more entry costs few requests.
  writeFileSync(join(copy, "tile/0/002"), Buffer.alloc(8192));
  writeFileSync(join(copy, "tile/entries/003"), Buffer.alloc(99));
  await log.appendAll(leavesOf(1, "one more"));
  await log.settled();
  asked.length = 0;
  const again = await mirrorLog(address(url), verifier, copy);
  assert.deepEqual([again.before, again.size], [2000, 2001]);
  assert.ok(asked.length <= 12, asked.join(" "));
  assert.deepEqual(published(copy), published(path));
  assert.deepEqual((await checkLog(new LogFolder(copy), verifier)).problems, []);
  const none = await mirrorLog(new LogFolder(path), verifier, copy);
  assert.deepEqual([none.written, none.bytes], [0, 0]);
});

test("a mirror refuses an older and a rewritten log, and keeps both checkpoints of the latter", async (t) => {
  const folder = scratch(t);
  const { log, path } = await logOf(folder, 20);
  cpSync(path, join(folder, "old"), { recursive: true });
  cpSync(path, join(folder, "fork/log"), { recursive: true });
  const fork = await openLog(join(folder, "fork/log"), signer);
  await log.appendAll(leavesOf(10, "told to some"));
  await fork.appendAll(leavesOf(12, "told to others"));
  await fork.settled();
  const verifier = noteVerifier(log.identity.origin, signer.publicKeyPem);
  const copy = join(folder, "copy");
  await mirrorLog(new LogFolder(path), verifier, copy);
  await assert.rejects(mirrorLog(new LogFolder(join(folder, "old")), verifier, copy), {
    code: "refused",
    message: /has 20 entries, the copy in .* already 30/,
  });
  const before = published(copy);
  await assert.rejects(mirrorLog(new LogFolder(join(folder, "fork/log")), verifier, copy), {
    code: "refused",
    message: /was rewritten/,
  });
  assert.deepEqual(published(copy), before);
  const evidence = parseEvidence(readFileSync(`${copy}.contradiction.json`, "utf8"), "the evidence");
  assert.equal(evidence.second, readFileSync(join(folder, "fork/log/checkpoint"), "utf8"));
  assert.equal(judge(evidence, verifier).verdict, "contradiction");
});

const DAMAGE: [name: string, damage: (bytes: Buffer) => Buffer | undefined, first: RegExp, restore: string[]][] = [
  ["tile/entries/001", (bytes) => flipped(bytes, 9), /entry 256 does not match/, ["tile/entries/001"]],
  ["tile/entries/001", (bytes) => bytes.subarray(0, -1), /cut off/, ["tile/entries/001"]],
  ["tile/entries/001", () => undefined, /is missing/, ["tile/entries/001"]],
  ["tile/0/001", (bytes) => flipped(bytes, 9), /does not follow from the entries/, ["tile/0/001"]],
  ["tile/0/001", () => undefined, /missing or cut off/, ["tile/0/001"]],
  ["tile/1/000.p/5", (bytes) => flipped(bytes, 40), /does not follow from the entries/, ["tile/1/000.p/5"]],
  ["tile/1/000.p/5", () => undefined, /missing or cut off/, ["tile/1/000.p/5"]],
  ["tile/0/005.p/20", (bytes) => flipped(bytes, 40), /does not follow from the entries/, ["tile/0/005.p/20"]],
  ["tile/entries/005.p/20", (bytes) => flipped(bytes, 5), /does not match its hash/, ["tile/entries/005.p/20"]],
  ["checkpoint", (bytes) => flipped(bytes, 40), /./, ["checkpoint"]],
  ["checkpoint", () => undefined, /is missing/, ["checkpoint"]],
];

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

async function damagedLog(
  t: TestContext,
  size: number,
): Promise<{ path: string; check: () => ReturnType<typeof checkLog> }> {
  const { path, log } = await logOf(scratch(t), size);
  const verifier = noteVerifier(log.identity.origin, signer.publicKeyPem);
  return { path, check: async () => await checkLog(new LogFolder(path), verifier) };
}

test("fsck names the one file that is damaged, whichever it is, and nothing else", async (t) => {
  const { path, check } = await damagedLog(t, 1300);
  const sound = await check();
  assert.deepEqual(
    [sound.ok, sound.size, sound.entries, sound.tiles, sound.problems],
    [true, 1300, 1300, 6 + 6 + 1, []],
  );
  for (const [name, damage, first, restore] of DAMAGE) {
    const file = join(path, name);
    const bytes = readFileSync(file);
    const changed = damage(bytes);
    if (changed === undefined) rmSync(file);
    else writeFileSync(file, changed);
    const found = await check();
    assert.equal(found.ok, false, name);
    assert.match(found.problems[0]?.what ?? "", first, name);
    assert.deepEqual([found.restore, found.damaged], [restore, 1], name);
    writeFileSync(file, bytes);
  }
});

test("fsck tells several damages, the leftmost first, and an entry and its hash that were changed together", async (t) => {
  const { path, check } = await damagedLog(t, 66_000);
  assert.equal((await check()).tiles, 258 + 258 + 2 + 1);
  for (const name of ["tile/1/000", "tile/2/000.p/1"]) {
    const bytes = readFileSync(join(path, name));
    writeFileSync(join(path, name), flipped(bytes, 9));
    const { restore, damaged } = await check();
    assert.deepEqual([restore, damaged], [[name], 1]);
    writeFileSync(join(path, name), bytes);
  }
  for (const name of ["tile/entries/200", "tile/0/100", "tile/entries/003"]) {
    writeFileSync(join(path, name), flipped(readFileSync(join(path, name)), 5));
  }
  assert.deepEqual((await check()).restore, ["tile/entries/003", "tile/0/100", "tile/entries/200"]);
  const entries = readFileSync(join(path, "tile/entries/000"));
  entries[2] = (entries[2] ?? 0) ^ 1;
  writeFileSync(join(path, "tile/entries/000"), entries);
  const hashes = readFileSync(join(path, "tile/0/000"));
  const length = entries.readUInt16BE(0);
  hashes.set(leafHash(entries.subarray(2, 2 + length)), 0);
  writeFileSync(join(path, "tile/0/000"), hashes);
  assert.deepEqual((await check()).restore.slice(0, 2).sort(), ["tile/0/000", "tile/entries/000"]);
});
