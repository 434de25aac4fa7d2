/** The process that starts sandboxes for us: what it is told, what it tells, and what happens when it is gone. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import test, { after } from "node:test";
import { nothingIsLeft } from "../processes-for-tests.ts";
import { probeHost } from "./host.ts";
import { runSandboxed, type SandboxSpec } from "./sandbox.ts";
import { CONTROL_FD } from "./starter-source.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "starter-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const host = await probeHost();
const skip = host.starter === undefined ? "needs a C compiler" : false;
const world = plainWorld("test");

function running(name: string, script: string, more: Partial<SandboxSpec> = {}): SandboxSpec {
  const folder = join(own, name);
  mkdirSync(folder, { recursive: true });
  return {
    world,
    command: ["sh", "-c", script],
    directory: world.buildPath,
    mounts: [{ from: folder, to: world.buildPath, writable: true }],
    environment: {},
    network: "none",
    limits: { timeoutSeconds: 60, memoryBytes: 256 << 20, processes: 200, diskBytes: 64 << 20, logBytes: 1 << 20 },
    log: join(own, `${name}.log`),
    ...more,
  };
}

/** Children of ours that are the starter, as /proc lists them. */
function starters(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, parent] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
        return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, "latin1") === `${host.starter}\0`;
      } catch {
        return false;
      }
    });
}

test("one starts all runs, side by side, each with its own output, files and end", { skip }, async () => {
  const runs = Array.from({ length: 12 }, async (_, index) => {
    const file = { to: "/of-this-run", content: Buffer.from(`file ${index}\n`.repeat(index * 2000)) };
    const script = `wc -l </of-this-run; echo run ${index}; exit ${index}`;
    const ran = await runSandboxed(running(`side-${index}`, script, { files: [file] }), host);
    return [ran.exitCode, readFileSync(join(own, `side-${index}.log`), "utf8")];
  });
  const expected = runs.map((_, index) => [index, `${index * 2000}\nrun ${index}\n`]);
  assert.deepEqual(await Promise.all(runs), expected);
  assert.equal(starters().length, 1);
});

test("when it is killed its runs end, which is said, and the next has another", { skip }, async () => {
  await runSandboxed(running("before", "true"), host);
  const [first = 0, ...others] = starters();
  assert.deepEqual([first > 0, others], [true, []]);
  const mark = `starter-${process.pid}-killed`;
  const started = Promise.withResolvers<void>();
  const lost = runSandboxed(
    running("lost", `echo on; while :; do :; done; : ${mark}`, { onOutput: () => started.resolve() }),
    host,
  );
  await started.promise;
  process.kill(first, "SIGKILL");
  await assert.rejects(lost, /what starts it is gone|cannot start/);
  await nothingIsLeft(mark);
  const ran = await runSandboxed(running("next", "echo again"), host);
  assert.deepEqual([ran.exitCode, readFileSync(join(own, "next.log"), "utf8")], [0, "again\n"]);
  assert.notDeepEqual(starters(), [first]);
});

test("nonsense ends it, and so does our end of its control: it starts nothing by accident", { skip }, async () => {
  const { starter = "" } = host;
  const requests = [
    Buffer.alloc(0),
    Buffer.from([255, 255, 255, 255]),
    Buffer.from([3, 0, 0, 0, 1, 2, 3]),
    // One argument is promised, and no string is there; then one whose length goes beyond the request.
    Buffer.from(new Uint32Array([16, 1, 0, 1, 0]).buffer),
    Buffer.from(new Uint32Array([20, 1, 0, 1, 0, 4_000_000_000]).buffer),
  ];
  for (const request of requests) {
    const child = spawn(starter, [], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const streams: readonly unknown[] = child.stdio;
    const control = streams[CONTROL_FD] as Duplex;
    const said: Buffer[] = [];
    control.on("error", () => undefined).on("data", (chunk: Buffer) => said.push(chunk));
    control.end(request);
    await once(child, "exit");
    assert.deepEqual(Buffer.concat(said), Buffer.alloc(0), request.toString("hex"));
  }
});

test("a request larger than it takes is started from here", { skip }, async () => {
  const file = { to: "/large", content: Buffer.alloc(20 << 20, "x") };
  const ran = await runSandboxed(running("large", "wc -c </large", { files: [file] }), host);
  assert.deepEqual([ran.exitCode, readFileSync(join(own, "large.log"), "utf8")], [0, `${20 << 20}\n`]);
});
