import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { leavesOf, scratch, signerOf } from "../../test/logs.ts";
import { checkLog } from "./fsck.ts";
import { leafHash, tileRows } from "./tile.ts";
import { TileCache } from "./verified.ts";
import { openLog } from "./writer.ts";

const rows = (at: number): Uint8Array[][] =>
  tileRows(new Uint8Array(Buffer.concat(Array.from({ length: 256 }, () => leafHash(Uint8Array.of(at, at >> 8))))));

test("a tile comes back from the cache as it was, also when its rows were let go, and the oldest go", () => {
  const cache = new TileCache();
  const [first, second] = [rows(0), rows(1)];
  cache.set("0/0", first);
  for (let at = 1; at <= 200; at++) cache.set(`0/${at}`, second);
  assert.deepEqual(cache.get("0/0"), first);
  assert.deepEqual(cache.get("0/200"), second);
  assert.equal(cache.get("0/201"), undefined);
  for (let at = 201; at <= 4300; at++) cache.set(`0/${at}`, second);
  assert.equal(cache.get("0/1"), undefined);
});

test("a pipe where a tile should be is damage, and does not keep anybody waiting", async (t) => {
  const folder = join(scratch(t), "log");
  const log = await openLog(folder, signerOf("log"), { origin: "log.example" });
  await log.appendAll(leavesOf(300));
  await log.settled();
  rmSync(join(folder, "tile/0/000"));
  execFileSync("mkfifo", [join(folder, "tile/0/000")]);
  const { ok, restore } = await checkLog(log.source, log.verifier);
  assert.deepEqual([ok, restore], [false, ["tile/0/000"]]);
});
