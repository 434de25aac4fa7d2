import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { RequestListener, ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { digestOf } from "../digest.ts";
import { makeAuthority } from "./authority.ts";
import { bodyPath } from "../body-path.ts";
import { type Note, type RecorderOptions, startRecorder } from "./recorder.ts";
import { type Recording, readRecording, saveRecording } from "./recording.ts";
import { startReplayer, type Unanswered } from "./replayer.ts";
import { get, type Got, listening, loopback, startUpstream, type UpstreamForTests } from "./upstream-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "record-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
let count = 0;

type Ask = (path: string, options?: Parameters<typeof get>[3]) => Promise<Got>;

/** Runs `work` against an upstream behind a recorder, and gives what was recorded. */
async function recorded(
  listener: RequestListener,
  work: (ask: Ask, upstream: UpstreamForTests, proxy: string) => Promise<void>,
  options: Partial<RecorderOptions> = {},
): Promise<{ recording: Recording; notes: Note[]; cache: string; upstream: UpstreamForTests }> {
  const upstream = await startUpstream(listener);
  const { server, proxy } = await listening();
  const authority = makeAuthority();
  const cache = join(own, `cache-${count++}`);
  const notes: Note[] = [];
  const recorder = startRecorder(server, {
    authority,
    cache,
    environment: {},
    authorities: [upstream.authority.pem],
    lookup: loopback,
    onNote: (note) => notes.push(note),
    ...options,
  });
  try {
    await work(async (path, asked) => await get(upstream.https + path, proxy, authority, asked), upstream, proxy);
  } finally {
    upstream.close();
  }
  return { recording: await recorder.close(), notes, cache, upstream };
}

async function replayed(
  recording: Recording,
  cache: string,
  base: string,
  work: (ask: Ask) => Promise<void>,
): Promise<Unanswered[]> {
  const { server, proxy } = await listening();
  const authority = makeAuthority();
  const unanswered: Unanswered[] = [];
  const replayer = startReplayer(server, {
    authority,
    cache,
    recording,
    epoch: 1_000_000_000,
    identify: async () => "curl of the test",
    onUnanswered: (request) => unanswered.push(request),
  });
  await work(async (path, asked) => await get(base + path, proxy, authority, asked));
  await replayer.close();
  return unanswered;
}

test("what was answered is recorded by digest, without secrets, and replayed to the byte", async () => {
  const seen: Record<string, unknown>[] = [];
  const body = gzipSync("a document ".repeat(1000));
  const { recording, notes, cache, upstream } = await recorded(
    (request, response) => {
      seen.push(request.headers);
      response.writeHead(200, {
        "content-type": "application/json",
        "content-encoding": "gzip",
        etag: '"1"',
        "set-cookie": "session=secret",
        "x-served-by": "machine-17",
      });
      response.end(body);
    },
    async (ask) => {
      const headers = {
        authorization: "Bearer secret",
        cookie: "a=secret",
        "if-none-match": '"1"',
        "accept-encoding": "gzip",
      };
      const got = await ask("/doc?b=2&a=1", { headers });
      assert.equal(got.status, 200);
      assert.deepEqual(got.body, body);
      assert.equal(got.headers["set-cookie"], undefined);
    },
  );
  assert.equal(seen[0]?.["authorization"], "Bearer secret", "credentials reach the registry");
  assert.equal(seen[0]?.["if-none-match"], undefined, "the whole answer is asked for");
  assert.deepEqual(notes, []);
  const [exchange] = recording.exchanges;
  assert.equal(exchange?.url, `${upstream.https}/doc?b=2&a=1`);
  assert.equal(exchange?.digest, digestOf(body));
  assert.deepEqual(exchange?.headers, [
    ["content-encoding", "gzip"],
    ["content-type", "application/json"],
    ["etag", '"1"'],
  ]);
  const file = join(own, "first.jsonl");
  await saveRecording(file, recording);
  assert.doesNotMatch(readFileSync(file, "utf8"), /secret|machine-17/);
  const read = await readRecording(file);
  assert.deepEqual(read, recording);
  assert.ok(read !== undefined);
  const unanswered = await replayed(read, cache, upstream.https, async (ask) => {
    const got = await ask("/doc?b=2&a=1", { headers: { "accept-encoding": "gzip, br" } });
    assert.deepEqual(got.body, body);
    assert.equal(got.headers.date, "Sun, 09 Sep 2001 01:46:40 GMT");
    assert.equal(got.headers["content-encoding"], "gzip");
    // A client that takes no gzip gets what is in it.
    const plain = await ask("/doc?b=2&a=1");
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.body.toString(), "a document ".repeat(1000));
    const head = await ask("/doc?b=2&a=1", { method: "HEAD", headers: { "accept-encoding": "gzip" } });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
  });
  assert.deepEqual(unanswered, []);
});

test("a request that is not in the recording is named with its process, and a damaged body is refused", async () => {
  const { recording, cache, upstream } = await recorded(
    (_, response) => response.end("the body"),
    async (ask) => void (await ask("/kept")),
  );
  const [exchange] = recording.exchanges;
  assert.ok(exchange !== undefined);
  const unanswered = await replayed(recording, cache, upstream.https, async (ask) => {
    const missing = await ask("/other");
    assert.deepEqual([missing.status, missing.reason], [403, "Not In The Recording"]);
    assert.match(
      missing.body.toString(),
      /GET https:\/\/registry\.test:\d+\/other is not in the recording\n.*bitforbit lock/,
    );
    assert.equal((await ask("/kept")).body.toString(), "the body");
    writeFileSync(bodyPath(cache, exchange.digest), "the b0dy");
    const damaged = await ask("/kept");
    assert.equal(damaged.status, 403);
    assert.match(damaged.body.toString(), /is not what its digest says/);
    rmSync(bodyPath(cache, exchange.digest));
    assert.match((await ask("/kept")).body.toString(), /is gone/);
  });
  assert.deepEqual(
    unanswered.map(({ kind, process, url }) => [kind, process, new URL(url).pathname]),
    [
      ["unrecorded", "curl of the test", "/other"],
      ["poisoned", "curl of the test", "/kept"],
      ["poisoned", "curl of the test", "/kept"],
    ],
  );
});

test("answers that say what is there are recorded, those that say nothing are not", async () => {
  const bodies: Record<string, [number, Record<string, string>, string]> = {
    "/missing": [404, { "content-type": "text/plain" }, "no such package"],
    "/gone": [410, {}, ""],
    "/moved": [302, { location: "/elsewhere?token=1" }, ""],
    "/page": [200, { "content-type": "text/html" }, "<html>sign in</html>"],
    "/empty": [204, {}, ""],
    "/busy": [429, { "retry-after": "7" }, "slow down"],
    "/broken": [503, {}, "maintenance"],
    "/timeout": [408, {}, ""],
  };
  const ask404 = async (ask: Ask): Promise<void> => {
    for (const [path, [status, , body]] of Object.entries(bodies)) {
      const got = await ask(path);
      assert.equal(got.status, status, path);
      assert.equal(got.body.toString(), body, path);
      if (status === 429) assert.equal(got.headers["retry-after"], "7");
    }
  };
  const { recording, notes, cache, upstream } = await recorded((request, response) => {
    const [status, headers, body] = bodies[request.url ?? ""] ?? [500, {}, ""];
    response.writeHead(status, headers).end(body);
  }, ask404);
  assert.deepEqual(
    recording.exchanges.map(({ url, status }) => `${new URL(url).pathname} ${status}`),
    ["/empty 204", "/gone 410", "/missing 404", "/moved 302", "/page 200"],
  );
  assert.deepEqual(
    notes.map(({ kind, url }) => `${kind} ${new URL(url).pathname}`),
    ["not-recorded /busy", "not-recorded /broken", "not-recorded /timeout"],
  );
  const unanswered = await replayed(recording, cache, upstream.https, async (ask) => {
    assert.equal((await ask("/missing")).status, 404);
    assert.equal((await ask("/moved")).headers.location, "/elsewhere?token=1");
    assert.equal((await ask("/busy")).status, 403);
  });
  assert.equal(unanswered.length, 1);
});

const breakOff = (response: ServerResponse): void => void setTimeout(() => response.destroy(), 200);

test("an answer that breaks off, stalls, lies about its length or is too large is not recorded, and the client sees it", async () => {
  const { recording, notes } = await recorded(
    (request, response) => {
      if (request.url === "/cut") {
        // Long enough for what was written to arrive: otherwise there was no answer at all.
        response.writeHead(200, { "content-length": 1000 }).write("only this", () => breakOff(response));
      } else if (request.url === "/chunked") {
        response.write("a chunk", () => breakOff(response));
      } else if (request.url === "/stall") {
        response.writeHead(200, { "content-length": 1000 }).write("drip");
      } else if (request.url === "/silent") {
        // Never answers.
      } else if (request.url === "/bad") {
        response.socket?.end("HTTP/1.1 200 OK\r\nbroken header\r\nX: \0\r\n\r\n");
      } else if (request.url === "/large") {
        response.end(Buffer.alloc(200_000));
      } else response.end("fine");
    },
    async (ask) => {
      for (const path of ["/cut", "/chunked", "/stall", "/large"]) await assert.rejects(ask(path), path);
      for (const path of ["/silent", "/bad"]) {
        const got = await ask(path);
        assert.equal(got.status, 502, path);
        assert.match(got.body.toString(), /registry\.test:\d+ cannot be asked/, path);
      }
      assert.equal((await ask("/fine")).body.toString(), "fine");
    },
    { idleMilliseconds: 300, limits: { body: 100_000 } },
  );
  assert.deepEqual(
    recording.exchanges.map(({ url }) => new URL(url).pathname),
    ["/fine"],
  );
  assert.deepEqual(notes.map(({ kind, url }) => `${kind} ${new URL(url).pathname}`).sort(), [
    "cut-off /chunked",
    "cut-off /cut",
    "cut-off /stall",
    "too-large /large",
    "unreachable /bad",
    "unreachable /silent",
  ]);
});

test("a large body passes without being held", async () => {
  const size = 300 << 20;
  const chunk = Buffer.alloc(1 << 20, "bitforbit");
  let peak = 0;
  const base = process.memoryUsage().rss;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 10);
  const { recording } = await recorded(
    (_, response) => {
      let left = size;
      const go = (): void => {
        for (; left > 0; left -= chunk.length) {
          if (response.write(chunk)) continue;
          left -= chunk.length;
          return void response.once("drain", go);
        }
        response.end();
      };
      go();
    },
    async (_, upstream, proxy) => {
      // Not this process, which would hold what it downloads.
      const said = await promisify(execFile)("curl", [
        "-sS",
        "-x",
        proxy,
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        `${upstream.http}/large`,
      ]);
      assert.equal(said.stdout, String(size));
    },
  );
  clearInterval(watch);
  assert.equal(recording.exchanges[0]?.size, size);
  assert.ok(peak - base < 120 << 20, `${(peak - base) >> 20} MiB more while ${size >> 20} MiB passed`);
});

test("POST is told apart by its body; what changes things is not passed", async () => {
  const asked: string[] = [];
  const { recording, notes, cache, upstream } = await recorded(
    (request, response) => {
      asked.push(request.method ?? "");
      request.pipe(response);
    },
    async (ask) => {
      assert.equal((await ask("/audit", { method: "POST", body: "one" })).body.toString(), "one");
      assert.equal((await ask("/audit", { method: "POST", body: "two" })).body.toString(), "two");
      assert.equal((await ask("/publish", { method: "PUT", body: "evil" })).status, 405);
    },
  );
  assert.deepEqual(asked, ["POST", "POST"]);
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ["not-passed"],
  );
  const unanswered = await replayed(recording, cache, upstream.https, async (ask) => {
    assert.equal((await ask("/audit", { method: "POST", body: "two" })).body.toString(), "two");
    assert.equal((await ask("/audit", { method: "POST", body: "one" })).body.toString(), "one");
    assert.equal((await ask("/audit", { method: "POST", body: "three" })).status, 403);
  });
  assert.equal(unanswered.length, 1);
});

async function formsOf(ask: Ask): Promise<void> {
  const part = await ask("/file", { headers: { range: "bytes=2-4" } });
  assert.deepEqual([part.status, part.body.toString(), part.headers["content-range"]], [206, "234", "bytes 2-4/10"]);
  assert.equal((await ask("/file", { headers: { range: "bytes=-3" } })).body.toString(), "789");
  assert.equal((await ask("/file", { headers: { range: "bytes=10-" } })).status, 416);
  assert.equal((await ask("/file", { headers: { range: "bytes=1-2,4-5" } })).body.toString(), "0123456789");
  assert.equal((await ask("/file", { headers: { accept: "text/html" } })).body.toString(), "<p>page</p>");
}

test("a range is cut from the whole, Accept tells answers apart, and a change within the run is told", async () => {
  let times = 0;
  const listener: RequestListener = (request, response) => {
    assert.equal(request.headers.range, undefined);
    if (request.url === "/news") return void response.end(`news ${times++}`);
    if (request.url === "/login") {
      return void response.writeHead(request.headers.authorization === undefined ? 401 : 200).end("for members");
    }
    response.setHeader("vary", "Accept-Encoding, Accept");
    response.end(request.headers.accept === "text/html" ? "<p>page</p>" : "0123456789");
  };
  const { recording, notes, cache, upstream } = await recorded(listener, async (ask) => {
    await formsOf(ask);
    for (let time = 0; time < 2; time++) await ask("/news");
    assert.equal((await ask("/login")).status, 401);
    assert.equal((await ask("/login", { headers: { authorization: "Basic eA==" } })).status, 200);
    assert.equal((await ask("/login")).status, 401);
  });
  assert.deepEqual(
    notes.map(({ kind, url }) => `${kind} ${new URL(url).pathname}`),
    ["changed /news"],
  );
  await replayed(recording, cache, upstream.https, async (ask) => {
    await formsOf(ask);
    assert.equal((await ask("/news")).body.toString(), "news 1");
    assert.equal((await ask("/login")).status, 200, "the answer that was wanted, not the challenge before it");
  });
});

test("upstream certificates are verified, clients that do not trust ours are named, nonsense is refused", async () => {
  const { recording, notes } = await recorded(
    (_, response) => response.end("never"),
    async (ask, upstream, proxy) => {
      const untrusted = await ask("/");
      assert.equal(untrusted.status, 502);
      assert.match(untrusted.body.toString(), /SSL_CERT_FILE/);
      const port = Number(new URL(proxy).port);
      const talk = async (text: string): Promise<string> => {
        const socket = connect(port, "127.0.0.1");
        socket.end(text);
        let said = "";
        for await (const chunk of socket) said += String(chunk);
        return said;
      };
      assert.match(await talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 400 /);
      assert.match(await talk("CONNECT nonsense HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 400 /);
      assert.match(await talk("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 400 /);
      assert.match(
        await talk("GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        /link-local/,
      );
      assert.match(await talk("\x16\x03\x01 what is this\r\n\r\n"), /^HTTP\/1\.1 400 /);
      const socket = connect(port, "127.0.0.1");
      socket.write(`CONNECT ${new URL(upstream.https).host} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await once(socket, "data");
      const tls = connectTls({ socket, servername: "registry.test" });
      const [error] = (await once(tls, "error")) as [Error & { code: string }];
      assert.match(error.code, /SELF_SIGNED|UNABLE_TO/);
      await new Promise((resolve) => setTimeout(resolve, 50));
    },
    { authorities: [] },
  );
  assert.deepEqual(recording.exchanges, []);
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ["unreachable", "unreachable", "refused-handshake"],
  );
  assert.match(notes.at(-1)?.message ?? "", /registry\.test/);
});

test("the caller's own proxy is used, and NO_PROXY holds", async () => {
  const upstream = await startUpstream((_, response) => response.end("from beyond"));
  const corporate = await listening();
  const authority = makeAuthority();
  // The caller's proxy is a recorder, too: it ends TLS with an authority that the caller trusts.
  const outer = startRecorder(corporate.server, {
    authority,
    cache: join(own, `cache-${count++}`),
    environment: {},
    authorities: [upstream.authority.pem],
    lookup: loopback,
  });
  const bundle = join(own, "caller.pem");
  writeFileSync(bundle, authority.pem);
  const { server, proxy } = await listening();
  const trusted = makeAuthority();
  const inner = startRecorder(server, {
    authority: trusted,
    cache: join(own, `cache-${count++}`),
    environment: { HTTPS_PROXY: corporate.proxy, NO_PROXY: "inside.test", SSL_CERT_FILE: bundle },
    authorities: [upstream.authority.pem],
    lookup: loopback,
  });
  assert.equal((await get(`${upstream.https}/far`, proxy, trusted)).body.toString(), "from beyond");
  assert.equal(
    (await get(`${upstream.https.replace("registry.test", "inside.test")}/near`, proxy, trusted)).body.toString(),
    "from beyond",
  );
  const seen = await inner.close();
  const passed = await outer.close();
  upstream.close();
  assert.deepEqual(
    seen.exchanges.map(({ url }) => new URL(url).pathname),
    ["/near", "/far"],
  );
  assert.deepEqual(
    passed.exchanges.map(({ url }) => new URL(url).pathname),
    ["/far"],
  );
});

test("the caller's proxy is given its credentials, and its refusal is told", async () => {
  const refusing = await listening();
  let head = "";
  refusing.server.on("connection", (socket) => {
    socket.once("data", (chunk: Buffer) => {
      head = chunk.toString("latin1");
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    });
  });
  const HTTPS_PROXY = refusing.proxy.replace("//", "//user:secret@");
  const { recording, notes } = await recorded(
    (_, response) => response.end("never"),
    async (ask) => assert.equal((await ask("/")).status, 502),
    { environment: { HTTPS_PROXY } },
  );
  refusing.server.close();
  assert.match(head, /^CONNECT registry\.test:\d+ /);
  assert.ok(head.includes(`Basic ${Buffer.from("user:secret").toString("base64")}`));
  assert.deepEqual([recording.exchanges, notes.map(({ kind }) => kind)], [[], ["unreachable"]]);
});
