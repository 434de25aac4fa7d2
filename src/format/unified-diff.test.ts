import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { BitforbitError } from "../errors.ts";
import { unifiedDiff } from "../flow/unified.ts";
import { parsePatch, patched } from "./unified-diff.ts";

const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

function applied(patch: string, before: string): string {
  const [file] = parsePatch(patch, "x.patch");
  assert.ok(file !== undefined);
  return Buffer.from(patched(file, bytes(before), "x.patch"), "latin1").toString("utf8");
}

test("what unifiedDiff writes is applied to the last byte, whatever ends and signs lines have", () => {
  const line = fc.constantFrom(
    "a",
    "b",
    "",
    "-- x",
    "++ y",
    "@@ -1 +1 @@",
    "\\ no",
    " ",
    "é\r",
    "--- a/x",
    "diff --git",
  );
  const text = fc
    .tuple(fc.array(line, { maxLength: 30 }), fc.boolean())
    .map(([lines, end]) => lines.join("\n") + (end ? "\n" : ""));
  fc.assert(
    fc.property(text, text, (before, after) => {
      fc.pre(before !== after);
      assert.equal(applied(unifiedDiff("d/f", before, after), before), after);
    }),
    { numRuns: 500 },
  );
});

test("files made and removed, modes, git's own lines and a letter around them", () => {
  const patch = `From 0123456789 Mon Sep 17 00:00:00 2001
Subject: [PATCH] two files
---
 new.sh | 1 +
diff --git a/new.sh b/new.sh
new file mode 100755
index 0000000..1111111
--- /dev/null
+++ b/new.sh
@@ -0,0 +1 @@
+true
diff --git a/old b/old
deleted file mode 100644
--- a/old\t2024-01-01 00:00:00
+++ /dev/null
@@ -1,2 +0,0 @@
-one
-two
-- 
2.39.2
`;
  const files = parsePatch(patch, "x.patch");
  assert.deepEqual(
    files.map(({ path, change, executable }) => ({ path, change, executable })),
    [
      { path: "new.sh", change: "make", executable: true },
      { path: "old", change: "remove", executable: false },
    ],
  );
});

const HEAD = "--- a/f\n+++ b/f\n";

test("what is cut, moved, vague or more than text is refused with its line", () => {
  for (const [patch, said] of [
    ["", /x\.patch: no unified diff/],
    [`${HEAD}@@ -1,2 +1,2 @@\n a\n-b\n`, /x\.patch:6: fewer lines/],
    [`${HEAD}@@ -1 +1 @@\n-a\n+b\n+c\n`, /x\.patch:6: a line that belongs to no hunk/],
    [`${HEAD}@@ -1 +1 @@\n-a\n-b\n`, /x\.patch:5: more lines/],
    [`${HEAD}nothing\n`, /no hunk/],
    ["--- a/f\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n", /f would be renamed to g/],
    ["--- /dev/null\n+++ b/../g\n@@ -0,0 +1 @@\n+b\n", /x\.patch:2: not a path/],
    ["--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+b\n", /not a path/],
    ["--- /dev/null\n+++ /etc/passwd\n@@ -0,0 +1 @@\n+b\n", undefined],
    ["diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", /not a change of text/],
    ["diff --git a/x b/x\nGIT binary patch\n", /not a change of text/],
    ["diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n", /not a change of text/],
    ["diff --git a/x b/x\nnew file mode 100644\nindex 0..1\n", /no text to change/],
  ] as const) {
    if (said === undefined) assert.equal(parsePatch(patch, "x.patch")[0]?.path, "etc/passwd", "below the source");
    else assert.throws(() => parsePatch(patch, "x.patch"), said, patch);
  }
  const moved = `${HEAD}@@ -2 +2 @@\n-a\n+b\n`;
  assert.throws(() => applied(moved, "a\nb\n"), /x\.patch:3: does not fit f at line 2/);
});

test("whatever is read, it ends in a value or an error of ours", () => {
  const line = fc.constantFrom(
    "--- a/f",
    "+++ b/f",
    "@@ -1 +1 @@",
    "@@ -0,0 +1,9 @@",
    "-a",
    "+b",
    " c",
    "",
    "\\ x",
    "diff --git a/f b/f",
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      try {
        for (const file of parsePatch(lines.join("\n"), "x.patch")) patched(file, "c\na\n", "x.patch");
      } catch (error) {
        assert.ok(error instanceof BitforbitError && error.code === "input", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
