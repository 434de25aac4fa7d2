import { strict as assert } from "node:assert";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { copyTree, removeTree, treeDigest, walkTree } from "./tree.ts";

test("a copied tree has the same content, modes and times, read-only folders included", async (context) => {
  const root = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  context.after(() => removeTree(root));
  const [from, to] = [join(root, "from"), join(root, "to")];
  mkdirSync(join(from, "deep", "empty"), { recursive: true });
  writeFileSync(join(from, "deep", "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(join(from, "é"), "text");
  symlinkSync("nowhere", join(from, "link"));
  chmodSync(join(from, "é"), 0o440);
  for (const path of ["deep/run.sh", "é", "deep/empty", "deep", ""])
    utimesSync(join(from, path), 1000, 1_600_000_000.5);
  chmodSync(join(from, "deep"), 0o555);
  copyTree(from, to);
  assert.equal((await treeDigest(to)).digest, (await treeDigest(from)).digest);
  assert.equal(lstatSync(to).mtimeMs, 1_600_000_000_500);
  for await (const { path, stats } of walkTree(from)) {
    const copy = lstatSync(join(to, path));
    assert.deepEqual([copy.mode, copy.mtimeMs], [stats.mode, stats.mtimeMs], path);
  }
  assert.throws(() => copyTree(from, to), { code: "EEXIST" });
});
