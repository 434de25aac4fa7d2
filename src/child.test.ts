import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { keep, run } from "./child.ts";
import { systemClock } from "./clock.ts";
import { BitforbitError } from "./errors.ts";
import { nothingIsLeft } from "./processes-for-tests.ts";

const skip = spawnSync("bwrap", ["--ro-bind", "/", "/", "true"]).status === 0 ? false : "bubblewrap does not run here";
const MANY = 30;

/** A sandbox that never ends by itself and holds its output; its processes bear the mark in their command lines. */
const sandbox = (mark: string): string[] =>
  `bwrap --unshare-user --unshare-pid --unshare-net --die-with-parent --ro-bind / / --proc /proc --dev /dev sh -c`
    .split(" ")
    .concat(`echo begun; while :; do :; done; : ${mark}`);

const pause = async (milliseconds: number): Promise<void> =>
  await new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("a kept program", { skip, concurrency: false }, () => {
  const none = openSync("/dev/null", "r");
  test.after(() => closeSync(none));

  test("is ended with all that it started, at whatever moment that is", async () => {
    const mark = `kept-aborted-${process.pid}`;
    for (let at = 0; at < MANY; at++) {
      const abort = new AbortController();
      const { child, ended } = keep(sandbox(mark), { shown: none, timeoutMilliseconds: 600_000, signal: abort.signal });
      child.stdout?.resume();
      child.stderr?.resume();
      await pause(at);
      abort.abort();
      assert.equal(await ended, undefined);
    }
    await nothingIsLeft(mark);
  });

  test("ends with us, though we be killed", async () => {
    const mark = `kept-killed-${process.pid}`;
    const script = `
      import { keep } from ${JSON.stringify(join(import.meta.dirname, "child.ts"))};
      process.stdout.write("!");
      process.stdin.once("data", () => {
        const { child } = keep(${JSON.stringify(sandbox(mark))}, { shown: 0, timeoutMilliseconds: 600_000, signal: undefined });
        child.stdout.resume();
        process.stdout.write("!");
      });`;
    for (let at = 0; at < 8; at++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const gone = new Promise((resolve) => child.once("close", resolve));
      let said = "";
      for await (const chunk of child.stdout) {
        said += String(chunk);
        if (said === "!") child.stdin.write("go");
        if (said !== "!!") continue;
        await pause(at * 4);
        child.kill("SIGKILL");
      }
      await gone;
      assert.equal(said, "!!");
    }
    await nothingIsLeft(mark);
  });

  test("gives its exit code and its output, and is ended at its time", async () => {
    const options = { shown: none, timeoutMilliseconds: 600_000, signal: undefined };
    const { child, ended } = keep(["sh", "-c", "echo said; exit 7"], options);
    let output = "";
    child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    assert.equal(await ended, 7);
    assert.equal(output, "said\n");
    const late = keep(["sleep", "3600"], { ...options, timeoutMilliseconds: 50 });
    assert.equal(await late.ended, undefined);
  });
});

describe("a trusted program", () => {
  test("that is ended at its time is not waited for, though its child holds the output", async () => {
    const began = systemClock.elapsed();
    const ran = await run("sh", ["-c", "sleep 300 & echo $!; wait"], { timeoutMilliseconds: 500 });
    assert.equal(ran.exitCode, -1);
    assert.ok(systemClock.elapsed() - began < 250_000, "waited for the child");
    process.kill(Number(Buffer.from(ran.stdout).toString()), "SIGKILL");
  });

  test("that prints without end is ended", async () => {
    await assert.rejects(run("yes", [], { maxBytes: 1 << 20 }), (error) => error instanceof BitforbitError);
  });
});
