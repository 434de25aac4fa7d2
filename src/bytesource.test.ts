import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { openSource } from "./bytesource.ts";

test("small reads here and there give what stands there, and what was lent out stays", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const size of [0, 1, 4096, 64 << 10, (64 << 10) + 1, 3_000_001]) {
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at++) content[at] = (at * 31 + (at >> 8)) & 0xff;
    const path = join(folder, String(size));
    writeFileSync(path, content);
    const source = openSource(path);
    t.after(() => source.close());
    const lent: { bytes: Uint8Array; at: number }[] = [];
    for (let turn = 0; turn < 400; turn++) {
      const length = Math.min(size, [0, 1, 40, 4096, 5000][turn % 5] ?? 0);
      const at = turn % 7 === 0 ? size - length : (turn * 7_919_999) % (size - length + 1);
      lent.push({ bytes: source.read(at, length), at });
    }
    for (const { bytes, at } of lent) {
      assert.ok(content.subarray(at, at + bytes.length).equals(bytes), `${size} bytes: ${bytes.length} at ${at}`);
    }
    assert.throws(() => source.read(size, 1), /it ends at/);
  }
});
