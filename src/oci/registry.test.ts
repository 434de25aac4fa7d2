/** Faults that a real registry cannot be made to show. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { namesIn, removeTree } from "../tree.ts";
import { bodyIn } from "../body-path.ts";
import { writeBody } from "./bodies.ts";
import { retryAfter } from "./http.ts";
import { OCI_MANIFEST } from "./manifest.ts";
import { openRegistry, type Registry, type RegistryOptions } from "./registry.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-faults-"));
const servers: ReturnType<typeof createServer>[] = [];
after(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await removeTree(home);
});

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => unknown;

async function serving(handler: Handler): Promise<string> {
  let count = 0;
  const server = createServer((request, response) => {
    if (request.url === "/v2/") return response.end("{}");
    return handler(request, response, ++count);
  });
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function faulty(handler: Handler, more: RegistryOptions = {}): Promise<Registry & { waits: number[] }> {
  const waits: number[] = [];
  const options: RegistryOptions = {
    credentials: async () => undefined,
    pause: async (milliseconds) => void waits.push(milliseconds),
    ...more,
  };
  return { ...openRegistry(await serving(handler), options), waits };
}

const user = async () => ({ type: "basic", user: "u", password: "p" }) as const;

const CONTENT = new Uint8Array(300_000).map((_, at) => (at * 7919) % 251);
const BLOB = { digest: digestOf(CONTENT), size: CONTENT.length };
const bodies = join(home, "bodies");

async function pull(registry: Registry, blob: { digest: Digest; size: number } = BLOB): Promise<Uint8Array> {
  return readFileSync(await writeBody(bodies, blob, registry.blob("a/b", blob), "the blob"));
}

test("a blob that is cut off is taken up where it broke", async () => {
  const ranges: (string | undefined)[] = [];
  const registry = await faulty((request, response) => {
    ranges.push(request.headers.range);
    const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
    response.writeHead(start === 0 ? 200 : 206, {
      "content-length": CONTENT.length - start,
      ...(start === 0 ? {} : { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` }),
    });
    if (start >= 200_000) return response.end(CONTENT.subarray(start));
    return response.write(CONTENT.subarray(start, start + 100_000), () => setTimeout(() => response.destroy(), 20));
  });
  assert.equal(digestOf(await pull(registry)), BLOB.digest);
  // How much of a cut-off answer comes through is the kernel's affair; it is never asked for again.
  const starts = ranges.map((range) => Number(/^bytes=(\d+)-299999$/.exec(range ?? "bytes=0-299999")?.[1]));
  assert.equal(ranges[0], undefined);
  assert.ok(
    starts.length >= 3 && starts.every((start, at) => at === 0 || start > (starts[at - 1] ?? 0)),
    ranges.join(),
  );
});

test("a server that knows no ranges is asked again, and what is known is passed over", async () => {
  const registry = await faulty((_request, response, count) => {
    response.writeHead(200, { "content-length": CONTENT.length });
    if (count === 3) return response.end(CONTENT);
    return response.write(CONTENT.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
  });
  assert.equal(digestOf(await pull(registry)), BLOB.digest);
  const hasher = createHash("sha256");
  assert.equal(hasher.update(CONTENT).digest("hex"), BLOB.digest.slice(7));
});

test("a server that always breaks is given up, and nothing is kept", async () => {
  const registry = await faulty((_request, response) => response.destroy());
  const blob = { digest: digestOf("never"), size: 5 };
  await assert.rejects(pull(registry, blob), /cannot talk to 127/);
  assert.equal(existsSync(bodyIn(bodies, blob.digest)), false);
  assert.deepEqual(registry.waits.slice(0, 4), [250, 500, 1000, 2000]);
  assert.deepEqual(
    (await namesIn(bodies)).filter((name) => name.startsWith(".tmp-")),
    [],
  );
});

test("a silent server is given up", async () => {
  const registry = await faulty(() => {}, { idleMilliseconds: 50, attempts: 2 });
  await assert.rejects(registry.manifest("a/b", "1"), /silent for 1 seconds/);
});

test("wrong bytes, too few and too many are named and not kept", async () => {
  const cases: [Uint8Array, RegExp][] = [
    [CONTENT.map((byte) => byte ^ 1), /came with digest sha256:.* was asked for/],
    [CONTENT.subarray(0, 1000), /sends 1000 bytes for .*, which has 300000/],
    [new Uint8Array(400_000), /more than the 300000 bytes come/],
  ];
  for (const [bytes, said] of cases) {
    const folder = join(home, "wrong");
    const registry = await faulty((_request, response) => response.end(bytes));
    await assert.rejects(writeBody(folder, BLOB, registry.blob("a/b", BLOB), "the blob"), said);
    assert.equal(existsSync(bodyIn(folder, BLOB.digest)), false);
  }
});

test("a part that was not asked for is refused", async () => {
  const registry = await faulty((_request, response, count) => {
    if (count > 1) {
      return response.writeHead(206, { "content-range": "bytes 5-299999/300000" }).end(CONTENT.subarray(5));
    }
    response.writeHead(200, { "content-length": CONTENT.length });
    return response.write(CONTENT.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
  });
  await assert.rejects(pull(registry, BLOB), /another part of/);
});

const MANIFEST = utf8(`{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}"}`);
const giveManifest = (response: ServerResponse): unknown =>
  response.writeHead(200, { "content-type": OCI_MANIFEST }).end(MANIFEST);

test("a busy server is waited for as long as it asks, within bounds", async () => {
  const registry = await faulty((_request, response, count) => {
    if (count === 1) return response.writeHead(429, { "retry-after": "7" }).end();
    if (count === 2) return response.writeHead(503).end();
    return giveManifest(response);
  });
  assert.equal((await registry.manifest("a/b", "1")).digest, digestOf(MANIFEST));
  assert.deepEqual(registry.waits, [7000, 500]);

  const impatient = await faulty((_request, response) => response.writeHead(429, { "retry-after": "3600" }).end());
  await assert.rejects(impatient.manifest("a/b", "1"), /answers 429 .* and asks to wait 3600 seconds/);
  const down = await faulty((_request, response) => response.writeHead(503, { "retry-after": "0" }).end());
  await assert.rejects(down.manifest("a/b", "1"), /answers 503 .*5 times in a row/);

  assert.equal(retryAfter("Mon, 23 Nov 2026 00:00:30 GMT", Date.UTC(2026, 10, 23)), 30_000);
  assert.equal(retryAfter("soon"), undefined);
});

test("redirects are followed without the password, and not for ever", async () => {
  const seen: (string | undefined)[] = [];
  const other = await serving((request, response) => {
    seen.push(request.headers.authorization);
    return response.end(CONTENT);
  });
  const registry = await faulty(
    (request, response) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === undefined) {
        return response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      }
      return response.writeHead(307, { location: `http://${other}/signed?key=secret` }).end();
    },
    { credentials: user },
  );
  assert.equal(digestOf(await pull(registry)), BLOB.digest);
  assert.deepEqual(seen, [undefined, "Basic dTpw", undefined]);

  const round = await faulty((request, response) => response.writeHead(302, { location: request.url ?? "" }).end());
  await assert.rejects(round.manifest("a/b", "1"), /redirects over 5 times/);
  const clear = await faulty((_request, response) =>
    response.writeHead(302, { location: "http://192.0.2.1/x?key=1" }).end(),
  );
  await assert.rejects(clear.manifest("a/b", "1"), (error: unknown) => {
    assert.ok(error instanceof BitforbitError);
    assert.equal(error.code, "refused");
    assert.equal(error.message, "http://192.0.2.1/x is not https");
    return true;
  });
  const nowhere = await faulty((_request, response) => response.writeHead(302).end());
  await assert.rejects(nowhere.manifest("a/b", "1"), /redirects to nowhere/);
});

test("a password is not sent to a server that shows no need of it, nor twice where it is not taken", async () => {
  let asked = 0;
  const credentials = async () => {
    asked++;
    return { type: "basic", user: "u", password: "p" } as const;
  };
  const open = await faulty((_request, response) => giveManifest(response), { credentials });
  await open.manifest("a/b", "1");
  assert.equal(asked, 0);
  const digest = await faulty((_request, response) =>
    response.writeHead(401, { "www-authenticate": "Digest x=1" }).end(),
  );
  await assert.rejects(digest.manifest("a/b", "1"), /answers 401 and asks for digest/);
  let requests = 0;
  const closed = await faulty(
    (_request, response) => {
      requests++;
      return response
        .writeHead(401, { "www-authenticate": "Basic" })
        .end('{"errors":[{"code":"DENIED","message":"no\\u001b[2J"}]}');
    },
    { credentials },
  );
  await assert.rejects(closed.manifest("a/b", "1"), /does not let us read .*: 401 \(DENIED: no\\u001b\[2J\)/);
  assert.equal(requests, 2);
});

test("a token server that answers nonsense is named, and not quoted", async () => {
  for (const answer of ["<html>", '{"token":"a b\\nc"}', "{}", "[]"]) {
    const tokens = await serving((_request, response) => response.end(answer));
    const registry = await faulty((_request, response) =>
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${tokens}/t",service="s"` }).end(),
    );
    await assert.rejects(registry.manifest("a/b", "1"), /answers without a token$/);
  }
  const clear = await faulty((_request, response) =>
    response.writeHead(401, { "www-authenticate": 'Bearer realm="http://192.0.2.1/t"' }).end(),
  );
  await assert.rejects(clear.manifest("a/b", "1"), /http:\/\/192\.0\.2\.1\/t is not https/);
});

test("an identity token is exchanged, and a token that expired is renewed", async () => {
  const bodiesSeen: string[] = [];
  let issued = 0;
  const tokens = await serving((request, response) => {
    request.on("data", (chunk: Buffer) => void bodiesSeen.push(chunk.toString()));
    request.on("end", () => response.end(JSON.stringify({ access_token: `t${++issued}` })));
  });
  const registry = await faulty(
    (request, response, count) => {
      const good = count <= 2 ? "Bearer t1" : "Bearer t2";
      if (request.headers.authorization === good) return giveManifest(response);
      return response.writeHead(401, { "www-authenticate": `Bearer realm="http://${tokens}/t",service="s"` }).end();
    },
    { credentials: async () => ({ type: "identity", token: "refresh" }) },
  );
  await registry.manifest("a/b", "1");
  await registry.manifest("a/b", "2");
  assert.equal(issued, 2);
  assert.equal(
    bodiesSeen[0],
    "service=s&scope=repository%3Aa%2Fb%3Apull&grant_type=refresh_token&refresh_token=refresh&client_id=bitforbit",
  );
});

test("web pages, oversize and changed manifests are named", async () => {
  const page = await faulty((_request, response) =>
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Sign in"),
  );
  await assert.rejects(page.manifest("a/b", "1"), /answers with a web page when asked for 127.*a\/b:1/);
  await assert.rejects(pull(page), /answers with a web page/);
  const large = await faulty((_request, response) => response.end(new Uint8Array((4 << 20) + 1)));
  await assert.rejects(large.manifest("a/b", "1"), (error: unknown) => {
    assert.equal((error as BitforbitError).code, "limit");
    assert.match(String(error), /is larger than 4194304 bytes/);
    return true;
  });
  const changed = await faulty((_request, response) => giveManifest(response));
  await assert.rejects(changed.manifest("a/b", digestOf("other")), /sends a manifest with digest .* for .*a\/b@sha256/);
  const lying = await faulty((_request, response) =>
    response.writeHead(200, { "docker-content-digest": digestOf("other") }).end(MANIFEST),
  );
  await assert.rejects(lying.manifest("a/b", "1"), /sends a manifest with digest/);
});

test("an abort ends everything at once", async () => {
  const controller = new AbortController();
  const registry = await faulty(() => setTimeout(() => controller.abort(new Error("enough")), 10), {
    signal: controller.signal,
  });
  await assert.rejects(registry.manifest("a/b", "1"), /enough/);
});
