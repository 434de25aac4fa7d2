import { strict as assert } from "node:assert";
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, beforeEach } from "node:test";
import { loadCompiled, MAX_FILES } from "./compiled-code.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-code-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const chunk = join(folder, "chunk.cjs");
const cache = join(folder, "cache");
const environment = { BITFORBIT_CACHE: cache };
const require = createRequire(join(folder, "entry.cjs"));

beforeEach(() => {
  rmSync(cache, { recursive: true, force: true });
  writeFileSync(chunk, "exports.answer = (n) => 6 * n;\n");
});

/** As a run of the bundle: loads the chunk, calls it, keeps its code. */
async function run(given: NodeJS.ProcessEnv = environment): Promise<number> {
  const keep = loadCompiled(join(folder, "entry.cjs"), given);
  delete require.cache[chunk];
  const { answer } = require(chunk) as { answer: (n: number) => number };
  const found = answer(7);
  await keep?.();
  return found;
}

function kept(): string {
  const [place = "", ...others] = readdirSync(cache);
  assert.deepEqual(others, []);
  return join(cache, place, "chunk.cjs.code");
}

test("code is kept once, for the user alone", async () => {
  assert.equal(await run(), 42);
  const { ino, mode } = lstatSync(kept());
  assert.equal(mode & 0o777, 0o600);
  assert.equal(await run(), 42);
  assert.equal(lstatSync(kept()).ino, ino);
});

test("code that was changed, or is of another source, is not run but made again", async () => {
  await run();
  const good = readFileSync(kept());
  for (const at of [0, 40, good.length >> 1, good.length - 1]) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    writeFileSync(kept(), bad);
    assert.equal(await run(), 42, `byte ${at}`);
    assert.notDeepEqual(readFileSync(kept()), bad);
  }
  for (const length of [0, 31, 32, 100]) {
    writeFileSync(kept(), good.subarray(0, length));
    assert.equal(await run(), 42);
  }
  // V8 itself compares no more of a source than its length.
  writeFileSync(chunk, "exports.answer = (n) => 5 * n;\n");
  assert.equal(await run(), 35);
  assert.equal(await run(), 35);
});

test("a folder that others may write to is neither read nor written", async () => {
  await run();
  const path = kept();
  rmSync(path);
  chmodSync(join(path, ".."), 0o777);
  assert.equal(await run(), 42);
  assert.deepEqual(readdirSync(join(path, "..")), []);
});

test("of many files the older half goes, and code is kept as before", async () => {
  await run();
  const place = join(kept(), "..");
  rmSync(kept());
  for (let n = 0; n < MAX_FILES; n++) {
    const path = join(place, `old-${n}.code`);
    writeFileSync(path, "");
    utimesSync(path, n + 1, n + 1);
  }
  await run();
  const names = readdirSync(place);
  assert.equal(names.length, MAX_FILES / 2 + 1);
  assert.ok(
    names.includes("chunk.cjs.code") && names.includes(`old-${MAX_FILES - 1}.code`) && !names.includes("old-0.code"),
  );
});

test("without a place for it all is as ever", async () => {
  assert.equal(await run({}), 42);
  assert.equal(await run({ BITFORBIT_CACHE: "beside/us" }), 42);
  writeFileSync(cache, "a file");
  assert.equal(await run(), 42);
});
