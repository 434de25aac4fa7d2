/** The unified diff is one that git applies, whatever the texts. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { unifiedDiff } from "./unified.ts";

test("two changes close together share a hunk, others have their own", () => {
  const lines = Array.from({ length: 30 }, (_, index) => `${index}\n`);
  const after = lines.toSpliced(2, 1, "x\n").toSpliced(5, 1).toSpliced(24, 0, "y\n");
  const text = unifiedDiff("d/f", lines.join(""), after.join(""));
  assert.deepEqual(text.match(/^@@.*$/gm), ["@@ -1,9 +1,8 @@", "@@ -23,6 +22,7 @@"]);
  assert.ok(text.startsWith("--- a/d/f\n+++ b/d/f\n"));
  assert.equal(unifiedDiff("f", "a", "a"), "");
});

test("git makes the one text of the other with it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const text = fc
    .array(fc.constantFrom("a\n", "b\n", "c\n", "\n", "d"), { minLength: 1, maxLength: 14 })
    .map((all) => all.join(""));
  fc.assert(
    fc.property(text, text, (a, b) => {
      fc.pre(a !== b);
      writeFileSync(join(folder, "f"), a);
      const ran = spawnSync("git", ["apply", "-"], { cwd: folder, input: unifiedDiff("f", a, b), encoding: "utf8" });
      assert.equal(ran.status, 0, ran.stderr);
      assert.equal(readFileSync(join(folder, "f"), "utf8"), b);
    }),
    { numRuns: 40 },
  );
});
