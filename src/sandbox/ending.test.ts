/** However and whenever a run is ended, nothing of it is left. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { nothingIsLeft } from "../processes-for-tests.ts";
import type { World } from "../world.ts";
import { type HostAbilities, probeHost } from "./host.ts";
import { runSandboxed, type SandboxSpec } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "ending-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const world: World = plainWorld("test");

const ABORTS = 30;

/** Who watches over the run: the process that orders directories, one that does nothing else, a shell. */
const CHANGES: readonly [watcher: string, change: Partial<HostAbilities>, kills: number][] = [
  ["the process that answers calls", {}, 5],
  ["a process for that alone", { ordering: undefined }, 2],
  ["a shell", { enter: undefined, starter: undefined, ordering: undefined }, 2],
];

/** Runs until somebody ends it; the mark is in the command lines of all its processes. */
function endless(mark: string): SandboxSpec {
  const folder = join(own, mark);
  mkdirSync(folder, { recursive: true });
  return {
    world,
    command: ["sh", "-c", `while :; do :; done; : ${mark}`],
    directory: world.buildPath,
    mounts: [{ from: folder, to: world.buildPath, writable: true }],
    environment: {},
    network: "none",
    limits: { timeoutSeconds: 3600, memoryBytes: 256 << 20, processes: 200, diskBytes: 64 << 20, logBytes: 1 << 20 },
    log: join(own, `${mark}.log`),
  };
}

describe("nothing is left of a run", { concurrency: false }, () => {
  for (const [watcher, change, kills] of CHANGES) {
    test(`that is cancelled at any moment, watched by ${watcher}`, async () => {
      const host = { ...(await probeHost()), ...change };
      const mark = `cancelled-${watcher.length}-${process.pid}`;
      for (let at = 0; at < ABORTS; at++) {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), at * 3);
        const { outcome } = await runSandboxed({ ...endless(mark), signal: abort.signal }, host);
        assert.equal(outcome, "cancelled");
      }
      await nothingIsLeft(mark);
    });

    test(`whose process is killed at any moment, watched by ${watcher}`, async () => {
      const mark = `killed-${watcher.length}-${process.pid}`;
      const script = `
        import { probeHost } from ${JSON.stringify(join(import.meta.dirname, "host.ts"))};
        import { runSandboxed } from ${JSON.stringify(join(import.meta.dirname, "sandbox.ts"))};
        const host = await probeHost();
        for (const name of process.argv.slice(1)) host[name] = undefined;
        process.stdout.write("ready");
        await runSandboxed(${JSON.stringify(endless(mark))}, host);`;
      const words = ["--input-type=module", "-e", script, ...Object.keys(change)];
      for (let at = 0; at < kills; at++) {
        const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
        const gone = new Promise((resolve) => child.once("close", resolve));
        for await (const _ of child.stdout) {
          await new Promise((resolve) => setTimeout(resolve, at * 15 + kills));
          child.kill("SIGKILL");
        }
        await gone;
        await nothingIsLeft(mark);
      }
    });
  }
});
