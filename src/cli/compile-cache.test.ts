import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const SCRIPT = `
  const { useCompileCache } = await import(${JSON.stringify(new URL("./compile-cache.ts", import.meta.url).href)});
  const { getCompileCacheDir } = await import("node:module");
  useCompileCache();
  process.stdout.write(getCompileCacheDir() ?? "none");
`;

function cacheWith(environment: Record<string, string>): string {
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", SCRIPT], {
    encoding: "utf8",
    env: environment,
    timeout: 30_000,
  });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

test("compiled code is kept in the user's own folder, and in none that others may write to", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  assert.ok(cacheWith({ XDG_CACHE_HOME: folder }).startsWith(join(folder, "bitforbit", "compiled")));
  assert.ok(cacheWith({ HOME: folder }).startsWith(join(folder, ".cache", "bitforbit", "compiled")));
  assert.equal(cacheWith({}), "none");
  assert.equal(cacheWith({ XDG_CACHE_HOME: "relative" }), "none");

  const open = join(folder, "open", "bitforbit", "compiled");
  mkdirSync(open, { recursive: true });
  chmodSync(open, 0o777);
  assert.equal(cacheWith({ XDG_CACHE_HOME: join(folder, "open") }), "none");
  assert.deepEqual(readdirSync(open), []);
});
