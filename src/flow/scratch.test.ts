/** Scratch folders go, whatever happens; what a killed run left goes a day later. */
import { strict as assert } from "node:assert";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { fixedClock } from "../clock.ts";
import { namesIn } from "../tree.ts";
import { type Home, homeAt } from "./home.ts";
import { withScratch } from "./scratch.ts";

function homeOf(t: TestContext): Home {
  const folder = mkdtempSync(join(tmpdir(), "scratch-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return homeAt(folder);
}

/** Leaves what builds leave: files in folders that nobody may write. */
function fill(folder: string): void {
  mkdirSync(join(folder, "ro"));
  writeFileSync(join(folder, "ro", "x"), "1");
  chmodSync(join(folder, "ro"), 0o500);
}

test("the folder is there for the work, of its own, and gone afterwards", async (t) => {
  const home = homeOf(t);
  const folders = await Promise.all(
    [1, 2].map(async (n) =>
      withScratch(home, {}, async (folder) => {
        fill(folder);
        await new Promise((resolve) => setTimeout(resolve, 5 * n));
        assert.ok(existsSync(join(folder, "ro/x")));
        return folder;
      }),
    ),
  );
  assert.equal(new Set(folders).size, 2);
  assert.deepEqual(await namesIn(home.scratch), []);
});

test("it is gone when the work throws, and the error is the work's", async (t) => {
  const home = homeOf(t);
  const work = withScratch(home, {}, async (folder) => {
    fill(folder);
    throw new Error("of the work");
  });
  await assert.rejects(work, /of the work/);
  assert.deepEqual(await namesIn(home.scratch), []);
});

test("it is kept on request, and said where", async (t) => {
  const home = homeOf(t);
  const said: string[] = [];
  const kept = await withScratch(home, { keep: true, say: (line) => said.push(line) }, async (folder) => folder);
  assert.ok(existsSync(kept));
  assert.deepEqual(said, [`kept: ${kept}`]);
});

test("what was left a day ago is removed, what is younger may be another run's", async (t) => {
  const home = homeOf(t);
  const clock = fixedClock(Date.UTC(2026, 10, 23));
  for (const [name, hours] of [
    ["old", 25],
    ["young", 23],
  ] as const) {
    mkdirSync(join(home.scratch, name), { recursive: true });
    fill(join(home.scratch, name));
    const at = clock.now() / 1000 - hours * 3600;
    utimesSync(join(home.scratch, name), at, at);
  }
  await withScratch(home, { clock }, async () => undefined);
  assert.deepEqual(await namesIn(home.scratch), ["young"]);
});
