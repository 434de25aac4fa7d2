import { strict as assert } from "node:assert";
import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import test, { after, before } from "node:test";
import { equalBytes, fromBase64 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { BuildRecord } from "./evidence.ts";
import { send } from "./http-test-client.ts";
import { type MemoryEvidence, memoryEvidence, rootOf } from "./memory-evidence.ts";
import { createServer, type RunningServer } from "./server.ts";

let evidence: MemoryEvidence;
let server: RunningServer;
let build: BuildRecord;
let artifact: string;
const get = (path: string, options: Parameters<typeof send>[2] = {}) => send(server.url, path, options);

const attempt = (options: Parameters<typeof createServer>[1]) => createServer(memoryEvidence(), options);
const statusFor = async (url: string, Host: string) => (await send(url, "/healthz", { headers: { Host } })).status;
const neverAsked = (what: string) => async () => assert.fail(`${what} was asked`);
const never = new Promise<never>(() => {});

before(async () => {
  evidence = memoryEvidence();
  server = await createServer(evidence, { port: 0 });
  const found = evidence.builds.find((one) => one.verdict === "reproducible");
  assert.ok(found?.outputs[0]);
  build = found;
  artifact = found.outputs[0].digest;
});
after(() => server.close());

test("every answer carries the security headers, refusals too", async () => {
  for (const path of ["/", "/api/v1/builds", "/metrics", "/log/checkpoint", "/nothing", "/api/v1/builds/nothing"]) {
    const { headers } = await get(path);
    assert.match(String(headers["content-security-policy"]), /default-src 'none'/, path);
    assert.match(String(headers["content-security-policy"]), /frame-ancestors 'none'/, path);
    assert.doesNotMatch(String(headers["content-security-policy"]), /unsafe|\*|script-src/, path);
    assert.equal(headers["x-content-type-options"], "nosniff", path);
    assert.equal(headers["referrer-policy"], "no-referrer", path);
    assert.equal(headers["cache-control"], "no-store", path);
    assert.equal(headers["access-control-allow-origin"], undefined, path);
  }
});

test("metrics come as Prometheus reads them", async () => {
  const { status, headers, text } = await get("/metrics");
  assert.equal(status, 200);
  assert.match(String(headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  assert.equal(text, await evidence.metricsText());
});

test("builds are paged by the id that the last page ended with", async () => {
  const seen: string[] = [];
  let next: string | undefined;
  do {
    const answer = await get(`/api/v1/builds?limit=2${next === undefined ? "" : `&before=${next}`}`);
    const page = answer.json() as unknown as { builds: BuildRecord[]; next?: string };
    assert.ok(page.builds.length <= 2);
    seen.push(...page.builds.map(({ id }) => id));
    next = page.next;
  } while (next !== undefined && seen.length < 100);
  assert.deepEqual(
    seen,
    evidence.builds.map(({ id }) => id),
  );
});

test("query parameters are bounded, and unknown or repeated ones are refused", async () => {
  for (const query of ["limit=0", "limit=201", "limit=1e2", "limit=", "limit=-1", "limit=9".padEnd(40, "9")]) {
    assert.equal((await get(`/api/v1/builds?${query}`)).status, 400, query);
  }
  for (const query of ["before=../x", "before=", "before=%00", "limt=5", "limit=1&limit=2"]) {
    const answer = await get(`/api/v1/builds?${query}`);
    assert.equal(answer.status, 400, query);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.ok(String(answer.json()["hint"]).length > 5, query);
  }
});

test("ids and digests that are not what they should be are refused before anybody looks them up", async () => {
  const strict = memoryEvidence();
  const deaf = await createServer(
    {
      ...strict,
      ledger: { ...strict.ledger, build: neverAsked("the ledger"), artifact: neverAsked("the ledger") },
      store: { ...strict.store, artifact: neverAsked("the store") },
      log: { ...strict.log, tile: neverAsked("the log") },
    },
    { port: 0 },
  );
  try {
    for (const id of ["..%2f..%2fetc", "-x", "a%00b", "a b".replace(" ", "%20"), "x".repeat(129), "%e2%80%ae"]) {
      assert.equal((await send(deaf.url, `/api/v1/builds/${id}`)).status, 400, id);
      assert.equal((await send(deaf.url, `/builds/${id}`)).status, 400, id);
    }
    const digits = artifact.slice(7);
    for (const digest of [
      digits,
      `SHA256:${digits}`,
      `sha256:${digits.toUpperCase()}`,
      `sha512:${digits}`,
      `${artifact}0`,
    ]) {
      for (const rest of ["", "/decision", "/attestations"]) {
        assert.equal((await send(deaf.url, `/api/v1/artifacts/${digest}${rest}`)).status, 400, digest + rest);
      }
    }
    for (const tile of [
      "0/000.p/0",
      "0/000.p/256",
      "64/000",
      "00/000",
      "0/0",
      "0/x000/001",
      "entries/",
      "0/000/",
      "%2e%2e/000",
      "0/..%2f000",
      "0/000%00",
    ]) {
      const { status } = await send(deaf.url, `/log/tile/${tile}`);
      assert.ok(status === 400 || status === 404, `${tile}: ${status}`);
    }
  } finally {
    await deaf.close();
  }
});

test("a path out of the log's tree reaches neither the log nor a file", async () => {
  const asked: string[] = [];
  const watched = memoryEvidence();
  const tile = async (path: string) => {
    asked.push(path);
    return undefined;
  };
  const running = await createServer({ ...watched, log: { ...watched.log, tile } }, { port: 0 });
  try {
    for (const path of [
      "/log/tile/../../../../etc/passwd",
      "/log/tile/..%2f..%2f..%2fetc%2fpasswd",
      "/log/tile/%2e%2e/%2e%2e/checkpoint.key",
      "/log/tile/0/x001/../../../secret",
      "/log/tile//etc/passwd",
      "/log/tile/0\\..\\..\\secret",
      "/log/tile/0/000?../../x",
      "/log/tile/0/000;x",
    ]) {
      const answer = await send(running.url, path);
      assert.ok(answer.status === 400 || answer.status === 404, `${path}: ${answer.status}`);
    }
    assert.deepEqual(
      asked.filter((path) => path !== "tile/0/000"),
      [],
    );
  } finally {
    await running.close();
  }
});

test("a client of tile logs can read the tree and recompute its root", async () => {
  const checkpoint = await get("/log/checkpoint");
  assert.match(String(checkpoint.headers["content-type"]), /^text\/plain/);
  const [origin, size, root, blank, signature] = checkpoint.text.split("\n");
  assert.equal(origin, "bitforbit.example.org");
  assert.equal(blank, "");
  assert.match(signature ?? "", /^— bitforbit\.example\.org [A-Za-z0-9+/]+=*$/);
  const tile = await get(`/log/tile/0/000.p/${size}`);
  assert.equal(tile.headers["content-type"], "application/octet-stream");
  assert.equal(tile.bytes.length, 32 * Number(size));
  const hashes = Array.from({ length: Number(size) }, (_, index) => tile.bytes.subarray(32 * index, 32 * index + 32));
  assert.ok(equalBytes(rootOf(hashes), fromBase64(root ?? "")));
  assert.equal((await get(`/log/tile/entries/000.p/${size}`)).status, 200);
  assert.equal((await get("/log/tile/0/000")).status, 404);
});

test("what never changes is immutable and answers a known ETag with 304; what may change does neither", async () => {
  const listed = (await get(`/api/v1/artifacts/${artifact}/attestations`)).json() as unknown as {
    attestations: { url: string; digest: string }[];
  };
  assert.equal(listed.attestations.length, 2);
  for (const path of ["/log/tile/0/000.p/5", ...listed.attestations.map(({ url }) => url)]) {
    const first = await get(path);
    assert.equal(first.status, 200, path);
    assert.match(String(first.headers["cache-control"]), /immutable/);
    const etag = String(first.headers["etag"]);
    assert.equal(etag, `"${digestOf(first.bytes).slice(7)}"`);
    const again = await get(path, { headers: { "If-None-Match": `"x", W/${etag}` } });
    assert.equal(again.status, 304);
    assert.equal(again.bytes.length, 0);
    assert.equal((await get(path, { headers: { "If-None-Match": '"x"' } })).status, 200);
  }
  const [bundle] = listed.attestations;
  assert.equal(digestOf((await get(bundle?.url ?? "")).bytes), bundle?.digest);
  assert.equal((await get(`/api/v1/artifacts/${artifact}/decision`)).headers["etag"], undefined);
});

test("one decision answers all who ask at the same time", async () => {
  const slow = memoryEvidence();
  const gate = Promise.withResolvers<void>();
  const verify = async (digest: Parameters<typeof slow.verify>[0]) => {
    const decision = await slow.verify(digest);
    await gate.promise;
    return decision;
  };
  const running = await createServer({ ...slow, verify }, { port: 0 });
  try {
    const path = `/api/v1/artifacts/${artifact}/decision`;
    const asking = Array.from({ length: 8 }, () => send(running.url, path));
    // The ninth is a page that does not wait for the gate: when it is answered, the others have arrived.
    await send(running.url, "/");
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.resolve();
    const answers = await Promise.all(asking);
    assert.ok(answers.every((answer) => answer.json()["ok"] === true));
    assert.equal(slow.asked, 1);
    await send(running.url, path);
    assert.equal(slow.asked, 2, "a later question is decided anew");
  } finally {
    await running.close();
  }
});

test("HEAD is GET without its body", async () => {
  for (const path of [
    "/",
    "/healthz",
    "/metrics",
    `/builds/${build.id}`,
    "/log/tile/0/000.p/5",
    "/api/v1/builds",
    "/no",
  ]) {
    const [got, headed] = [await get(path), await get(path, { method: "HEAD" })];
    assert.equal(headed.status, got.status, path);
    assert.equal(headed.bytes.length, 0, path);
    assert.equal(headed.headers["content-type"], got.headers["content-type"], path);
  }
});

test("only GET and HEAD are answered, whatever the path", async () => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]) {
    const answer = await get("/api/v1/builds", { method, ...(method === "POST" ? { body: "x".repeat(100_000) } : {}) });
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers["allow"], "GET, HEAD");
    assert.equal(answer.json()["status"], 405);
  }
});

test("a name that is not the loopback's is refused: DNS rebinding", async () => {
  for (const Host of [
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "[::2]",
  ]) {
    const answer = await get("/api/v1/builds", { headers: { Host } });
    assert.equal(answer.status, 421, Host);
    assert.match(String(answer.json()["hint"]), /localhost/);
  }
  for (const Host of ["a b", "localhost:99999999", "localhost/", "user@localhost"]) {
    assert.equal((await get("/", { headers: { Host } })).status, 400, Host);
  }
  for (const Host of ["localhost", "LOCALHOST:1", "127.0.0.1:9", "127.1.2.3", "[::1]:8080"]) {
    assert.equal((await get("/api/v1/builds", { headers: { Host } })).status, 200, Host);
  }
});

test("a proxy's name is answered when it was allowed, and any name on other addresses", async () => {
  const proxied = await createServer(memoryEvidence(), { port: 0, allowHosts: ["Builds.example.org"] });
  const open = await createServer(memoryEvidence(), { port: 0, host: "0.0.0.0" });
  try {
    assert.equal(await statusFor(proxied.url, "builds.example.org"), 200);
    assert.equal(await statusFor(proxied.url, "other.example.org"), 421);
    assert.equal(await statusFor(open.url, "builds.example.org:8080"), 200);
    assert.equal(await statusFor(open.url, "a b"), 400);
  } finally {
    await Promise.all([proxied.close(), open.close()]);
  }
});

test("long addresses, long headers and other protocols are refused in so many words", async () => {
  const long = await get(`/api/v1/builds?before=${"a".repeat(4000)}`);
  assert.equal(long.status, 414);
  assert.equal(long.headers["content-type"], "application/problem+json");
  const heavy = await get("/", { headers: { "X-Heavy": "x".repeat(20_000) } });
  assert.equal(heavy.status, 431);
  assert.match(String(heavy.json()["detail"]), /16 KiB/);
  assert.match(await raw("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.match(await raw("\x16\x03\x01 not http\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*problem\+json/);
  assert.match(await raw("GET / HTTP/1.1\r\nHost:\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.match(await raw("GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.equal((await get("/healthz")).status, 200);
});

/** What the server says to bytes that no HTTP client would send. */
async function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(server.url);
  return await new Promise<string>((resolve, reject) => {
    let said = "";
    const socket = connect(Number(port), hostname, () => socket.end(bytes));
    socket.on("data", (chunk: Buffer) => (said += chunk.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(said));
  });
}

test("what is not there is 404: a page for pages, a problem for the rest", async () => {
  const none = `sha256:${"0".repeat(64)}`;
  for (const path of ["/builds/none", `/artifacts/${none}`]) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.match(String(answer.headers["content-type"]), /^text\/html/);
    assert.match(answer.text, /What to do/);
  }
  const some = `/api/v1/artifacts/${artifact}/attestations/${none}`;
  for (const path of [
    "/api/v1/builds/none",
    `/api/v1/artifacts/${none}/decision`,
    some,
    "/x",
    "/api/v2",
    "//evil.example/",
  ]) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.equal(answer.json()["status"], 404);
  }
});

test("a fault inside is reported to the operator and not shown to the other side", async () => {
  const failing = memoryEvidence();
  const fault = new BitforbitError("outside", "cannot read /srv/secret/ledger.sqlite");
  const builds = async () => {
    throw fault;
  };
  const verify = async () => {
    throw fault;
  };
  const running = await createServer({ ...failing, ledger: { ...failing.ledger, builds }, verify }, { port: 0 });
  try {
    for (const path of ["/", "/healthz", "/api/v1/builds", `/api/v1/artifacts/${artifact}/decision`]) {
      const answer = await send(running.url, path);
      assert.equal(answer.status, 500, path);
      assert.doesNotMatch(answer.text, /secret/, path);
    }
    assert.deepEqual(failing.reported, [fault, fault, fault, fault]);
    const page = await send(running.url, `/artifacts/${artifact}`);
    assert.equal(page.status, 200, "the page shows what is known all the same");
    assert.match(page.text, /not decided/);
    const decision = /id="decision"[\s\S]*?<\/section>/.exec(page.text)?.[0] ?? "";
    assert.match(decision, /treat it as denied/);
    assert.doesNotMatch(decision, /allowed|✓/);
    assert.doesNotMatch(page.text, /secret/);
  } finally {
    await running.close();
  }
});

test("an answer that takes too long becomes 503", async () => {
  const stuck = memoryEvidence();
  const running = await createServer({ ...stuck, metrics: () => never }, { port: 0, timeoutMilliseconds: 60 });
  try {
    const answer = await send(running.url, "/api/v1/metrics");
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.equal((await send(running.url, "/healthz")).status, 200);
  } finally {
    await running.close();
  }
});

test("a port in use, a port that is none and an address of elsewhere are said clearly", async () => {
  const port = Number(new URL(server.url).port);
  await assert.rejects(attempt({ port }), { code: "conflict", message: `port ${port} of 127.0.0.1 is in use` });
  await assert.rejects(attempt({ port: 70_000 }), { code: "usage", message: "not a port: 70000" });
  await assert.rejects(attempt({ port: 0, host: "192.0.2.1" }), { code: "usage" });
});

test("closing lets the running answer end, takes no new one, and may be asked for twice", async () => {
  const slow = memoryEvidence();
  const here = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const metricsText = async () => {
    here.resolve();
    await gate.promise;
    return "x 1\n";
  };
  const running = await createServer({ ...slow, metricsText }, { port: 0 });
  const agent = new Agent({ keepAlive: true });
  const answer = send(running.url, "/metrics", { agent });
  await here.promise;
  const closed = [running.close(), running.close()];
  await assert.rejects(send(running.url, "/healthz"), { code: "ECONNREFUSED" });
  gate.resolve();
  assert.equal((await answer).text, "x 1\n");
  const late = AbortSignal.timeout(2000);
  await Promise.race([Promise.all(closed), once(late, "abort")]);
  agent.destroy();
  assert.ok(!late.aborted, "a connection that is kept alive does not hold the server");
});
