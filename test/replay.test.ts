/** A build that asks the network, recorded when the lock is made and answered from the recording ever after. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { bitforbit, project } from "./command.ts";

const skip = spawnSync("curl", ["--version"]).error === undefined ? false : "curl is not installed";

/** Not 127.0.0.1, which clients ask directly: this address goes through the proxy. */
const ADDRESS = "127.0.0.2";

async function served(answer: (path: string) => string | undefined): Promise<{ server: Server; base: string }> {
  const server = createServer((request, response) => {
    const text = answer(request.url ?? "");
    response.writeHead(text === undefined ? 404 : 200, { "content-type": "text/plain" }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  return { server, base: `http://${ADDRESS}:${(server.address() as AddressInfo).port}` };
}

const recipe = (command: string): string =>
  `name = "thing"\nnetwork = "replay"\ncommand = '''${command}'''\noutputs = ["out"]\n[environment]\ntools = ["curl"]\n`;

interface Checked {
  verdict: string;
  worlds: { name: string; failure?: string }[];
}

test("what a build asks for is answered from the recording, when nobody serves it any more", { skip }, async (t) => {
  let asked = 0;
  const { server, base } = await served((path) => (path === "/data" ? `data ${++asked}\n` : undefined));
  t.after(() => server.close());
  const folder = project(t, { "bitforbit.toml": recipe(`curl -sSf ${base}/data -o out`) });
  const locked = await bitforbit(folder, ["lock"]);
  assert.equal(locked.code, 0, locked.stderr);
  assert.equal(asked, 1);
  await new Promise((resolve) => server.close(resolve));
  const checked = await bitforbit(folder, ["check", "--json"]);
  assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  assert.equal((JSON.parse(checked.stdout) as Checked).verdict, "reproducible");
  assert.equal(asked, 1, "both worlds had the recorded answer");
});

test("a request that was not recorded is named, with who asked", { skip }, async (t) => {
  const { server, base } = await served((path) => `about ${path}\n`);
  t.after(() => server.close());
  const folder = project(t, { "bitforbit.toml": recipe(`curl -sSf "${base}/$(uname -n)" -o out`) });
  assert.equal((await bitforbit(folder, ["lock"])).code, 0);
  const checked = await bitforbit(folder, ["check", "--json"]);
  const { verdict, worlds } = JSON.parse(checked.stdout) as Checked;
  assert.equal(verdict, "fails-in-adversarial");
  const failure = worlds.find(({ name }) => name === "adversarial")?.failure ?? "";
  assert.match(failure, /GET http:\/\/127\.0\.0\.2:\d+\/vrompelzak-host is not in the recording, asked by curl /);
  assert.match(failure, /'bitforbit lock' records anew/);
});

test(
  "an upstream that changed is named by lock --check, and a build goes on with what was recorded",
  { skip },
  async (t) => {
    let text = "first\n";
    const { server, base } = await served(() => text);
    t.after(() => server.close());
    const folder = project(t, { "bitforbit.toml": recipe(`curl -sSf ${base}/tool-1.0.tar.gz -o out`) });
    assert.equal((await bitforbit(folder, ["lock"])).code, 0);
    assert.equal((await bitforbit(folder, ["lock", "--check"])).code, 0);
    text = "second\n";
    const changed = await bitforbit(folder, ["lock", "--check"]);
    assert.equal(changed.code, 1, changed.stdout);
    assert.match(changed.stdout, /tool-1\.0\.tar\.gz/);
    assert.match(changed.stdout, /sha256:[0-9a-f]{64}[^]*sha256:[0-9a-f]{64}/);
    assert.equal((await bitforbit(folder, ["check"])).code, 0);
  },
);

test("a fetch that fails by itself is told from one that was not answered", { skip }, async (t) => {
  const { server, base } = await served((path) => (path === "/data" ? "data\n" : undefined));
  t.after(() => server.close());
  const gone = await served(() => "");
  await new Promise((resolve) => gone.server.close(resolve));
  const cases: [fetch: string, code: number, hint: RegExp][] = [
    ["cp nothing /deps/x", 3, /hint: check the script .* no request through HTTPS_PROXY$/m],
    [`curl -sSf ${base}/data -o /deps/x; cp nothing /deps/y`, 3, /hint: check the script .* requests were answered$/m],
    [
      `curl -sSf ${base}/other -o /deps/x`,
      4,
      /hint: GET http:\/\/127\.0\.0\.2:\d+\/other was answered with status 404/,
    ],
    [`curl -sSf ${gone.base}/ -o /deps/x`, 4, /hint: check the network/],
  ];
  for (const [fetch, code, hint] of cases) {
    const text = recipe("cp $BITFORBIT_DEPS/x out").replace('network = "replay"', `fetch = "${fetch}"`);
    const ran = await bitforbit(project(t, { "bitforbit.toml": text }), ["lock"]);
    assert.equal(ran.code, code, `${fetch}: ${ran.stderr}`);
    assert.match(ran.stderr, hint);
    assert.match(ran.stderr, /the fetch script exited with \d+\n[^]*(?:cp: cannot stat|curl: )/);
    if (code === 3) assert.doesNotMatch(ran.stderr, /network/);
  }
});
