/** The server over a real home: what was built, differed and was denied is on its pages and in its API. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { isObject, type JsonObject, parseJson } from "../src/json.ts";
import { bitforbit, project, PINNED } from "./command.ts";

async function served(t: TestContext, folder: string): Promise<{ url: string; child: ChildProcess }> {
  const main = resolve(import.meta.dirname, "../src/cli/main.ts");
  const child = spawn(process.execPath, [main, "serve", "--port", "0", "--json", "--quiet"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  while (!text.endsWith("}\n")) {
    const [chunk] = (await once(child.stdout, "data")) as [Buffer];
    text += chunk.toString();
  }
  return { url: (JSON.parse(text) as { url: string }).url, child };
}

async function page(url: string, status = 200): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  const text = await answer.text();
  assert.equal(answer.status, status, `${url}: ${text.slice(0, 500)}`);
  return text;
}

async function api(url: string): Promise<JsonObject> {
  const value = parseJson(await page(url), url);
  assert.ok(isObject(value));
  return value;
}

test("pages and API of a real build show its verdict, causes and denial", { timeout: 40_000 }, async (t) => {
  const recipe = `name = "thing"\ncommand = '''mkdir out; hostname > out/who; echo same > out/same'''\noutputs = ["out/*"]\n${PINNED}`;
  const folder = project(t, { "bitforbit.toml": recipe });
  const built = JSON.parse((await bitforbit(folder, ["build", "--json"])).stdout) as {
    build: string;
    artifacts: { digest: string; file: string }[];
  };
  const artifact = built.artifacts.find(({ file }) => file.endsWith("who"));
  assert.ok(artifact !== undefined);
  assert.equal((await bitforbit(folder, ["verify", artifact.file])).code, 1);
  assert.equal((await bitforbit(folder, ["promote", artifact.digest, "prod"])).code, 1);

  const { url, child } = await served(t, folder);
  const builds = await page(`${url}/`);
  assert.match(builds, /thing/);
  assert.ok(builds.includes(built.build), "the list leads to the build");
  const build = await page(`${url}/builds/${built.build}`);
  assert.match(build, /differs/);
  assert.match(build, /hostname/);
  assert.match(build, /bitforbit-canon[\s\S]*vrompelzak-host/, "what stands on each side");
  assert.ok(build.includes(artifact.digest));
  const artifactPage = await page(`${url}/artifacts/${artifact.digest}`);
  assert.match(artifactPage, /denied/i);
  assert.match(artifactPage, /verdict is differs/, "with the reason");

  const story = await api(`${url}/api/v1/builds/${built.build}`);
  assert.match(JSON.stringify(story), /"verdict":"differs"/);
  assert.match(JSON.stringify(story), /"name":"hostname"/);
  const about = `${url}/api/v1/artifacts/${artifact.digest}`;
  const decision = JSON.stringify(await api(`${about}/decision`));
  assert.match(decision, /"reproduced"/);
  assert.match(decision, /"ok":false|"allowed":false/);
  assert.match(JSON.stringify(await api(`${about}/attestations`)), /slsa\.dev\/provenance/);
  assert.match(JSON.stringify(await api(about)), /"name":"who"|out\/who/);
  assert.match(JSON.stringify(await api(`${url}/api/v1/promotions`)), /"environment":"prod"/);
  assert.match(JSON.stringify(await api(`${url}/api/v1/builds`)), new RegExp(built.build));
  assert.match(await page(`${url}/log/checkpoint`), /\n3\n/, "three statements are in the log");
  const metrics = await page(`${url}/metrics`);
  assert.match(metrics, /^bitforbit_\w+.* 0$/m);
  await page(`${url}/builds/${"0".repeat(32)}`, 404);
  await page(`${url}/artifacts/sha256:${"0".repeat(64)}`, 404);

  child.kill("SIGTERM");
  const [code] = (await once(child, "close")) as [number];
  assert.equal(code, 0, "ended, not killed");
});
