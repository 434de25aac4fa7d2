/** A check that was interrupted goes on where it was, from the command line. */
import { strict as assert } from "node:assert";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import test from "node:test";
import { bitforbit, PINNED, project } from "./command.ts";

const MAIN = resolve(import.meta.dirname, "../src/cli/main.ts");

const recipe = (command: string): string =>
  `name = "thing"\ncommand = '''\nmkdir -p out\n${command}\n'''\noutputs = ["out/*"]\n${PINNED}`;

/** Differs in what no byte names, so that there are many builds; each lasts long enough to be caught in one. */
const SLOW = recipe("sleep 1; umask > out/umask; head -1 /proc/meminfo > out/memory; echo same > out/same");

interface Document {
  verdict: string;
  resumed?: number;
  builds: number;
  open: string[];
  causes: { name: string; artifact: string }[];
}

const keptIn = (folder: string): string[] => globSync(join(folder, ".bitforbit/builds/*/*.json")).sort();

/** Starts a check, and gives it when so many builds are kept. */
async function begun(folder: string, builds: number): Promise<{ child: ChildProcess; stderr: () => string }> {
  const child = spawn(process.execPath, [MAIN, "check"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data: Buffer) => (said += data.toString()));
  while (keptIn(folder).length < builds) {
    assert.equal(child.exitCode, null, `it ended before it was interrupted: ${said}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return { child, stderr: () => said };
}

const causesOf = ({ causes }: Document): string[] => causes.map(({ name, artifact }) => `${artifact}: ${name}`).sort();

test("after kill -9 the next check uses the builds that are whole, and says so", { timeout: 400_000 }, async (t) => {
  const folder = project(t, { "bitforbit.toml": SLOW });
  const { child } = await begun(folder, 4);
  child.kill("SIGKILL");
  await once(child, "exit");
  const kept = keptIn(folder);
  assert.ok(kept.length >= 4);
  // What a crash may leave: a description cut short, and a content cut short.
  const [broken = "", bare = ""] = kept;
  truncateSync(broken, 100);
  const { seen } = JSON.parse(readFileSync(bare, "utf8")) as {
    seen: { result: { outputs: { path: string; digest: string }[] } };
  };
  const digest = seen.result.outputs.find(({ path }) => path === "out/same")?.digest ?? "";
  const content = join(folder, ".bitforbit/builds", bare.split("/").at(-2) ?? "", "files", digest.slice(7));
  assert.ok(existsSync(content));
  writeFileSync(content, "sam");

  const ran = await bitforbit(folder, ["check", "--json"]);
  assert.equal(ran.code, 1, ran.stderr);
  assert.match(ran.stderr, new RegExp(`resumed +${kept.length - 1} builds were there`));
  const resumed = JSON.parse(ran.stdout) as Document;
  // The first two builds needed what was cut short, were made again, and made it whole for the others.
  assert.ok((resumed.resumed ?? 0) <= kept.length - 2, `${resumed.resumed} of ${kept.length}`);
  assert.deepEqual(causesOf(resumed), ["out/memory: memory", "out/umask: umask"]);
  assert.deepEqual(keptIn(folder), [], "there is a verdict: nothing is kept");
});

test("Ctrl-C ends it at once, says how to go on, and what goes on says the same", { timeout: 400_000 }, async (t) => {
  const folder = project(t, { "bitforbit.toml": SLOW });
  const { child, stderr } = await begun(folder, 3);
  child.kill("SIGINT");
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 130);
  assert.match(
    stderr(),
    /bitforbit: interrupted: nothing is decided\n {2}hint: 'bitforbit check' goes on: \d+ builds are kept\n$/,
  );
  assert.deepEqual(globSync(join(folder, ".bitforbit/scratch/*")), [], "nothing is left behind but the builds");
  const kept = keptIn(folder).length;

  const ran = await bitforbit(folder, ["check", "--json"]);
  const resumed = JSON.parse(ran.stdout) as Document;
  assert.equal(resumed.resumed, kept);
  assert.ok(resumed.builds > kept);
  assert.deepEqual(causesOf(resumed), ["out/memory: memory", "out/umask: umask"]);
});

test("a spent budget leaves open what it did, names what goes on, and keeps the builds; --fresh forgets them", async (t) => {
  const folder = project(t, { "bitforbit.toml": SLOW });
  const short = await bitforbit(folder, ["check", "--budget", "1s", "--json"]);
  assert.equal(short.code, 1, short.stderr);
  const document = JSON.parse(short.stdout) as Document;
  assert.match(
    document.open[0] ?? "",
    /^the budget was spent .*'bitforbit check --budget \d+m' goes on from the 2 builds/,
  );
  assert.equal(keptIn(folder).length, 2);
  const other = await bitforbit(folder, ["check", "--quick", "--json"]);
  assert.equal((JSON.parse(other.stdout) as Document).resumed, 2);
  assert.equal((await bitforbit(folder, ["check", "--budget", "1s", "--json"])).code, 1);
  assert.equal(keptIn(folder).length, 2);
  const fresh = await bitforbit(folder, ["check", "--fresh", "--quick", "--json"]);
  assert.equal((JSON.parse(fresh.stdout) as Document).resumed, undefined);
});

test("another source is another check: nothing of the old one is used", async (t) => {
  const folder = project(t, { "bitforbit.toml": SLOW, note: "one\n" });
  assert.equal((await bitforbit(folder, ["check", "--budget", "1s", "--json"])).code, 1);
  assert.equal(keptIn(folder).length, 2);
  writeFileSync(join(folder, "note"), "two\n");
  const ran = await bitforbit(folder, ["check", "--quick", "--json"]);
  assert.equal((JSON.parse(ran.stdout) as Document).resumed, undefined);
});
