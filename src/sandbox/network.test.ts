import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { World } from "../world.ts";
import { probeHost } from "./host.ts";
import { networkConfiguration } from "./network.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "network-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

test("of the caller's environment only what leads to registries is passed", () => {
  const authority = join(own, "authority.pem");
  writeFileSync(authority, "certificates");
  const found = networkConfiguration("/home/x", {
    HTTPS_PROXY: "http://proxy.example:3128",
    no_proxy: "localhost",
    SSL_CERT_FILE: authority,
    PIP_INDEX_URL: "https://index.example/simple",
    npm_config_registry: "https://npm.example/",
    npm_config_cache: "/home/caller/.npm",
    CARGO_HTTP_CAINFO: authority,
    CARGO_HOME: "/home/caller/.cargo",
    GOPROXY: "https://go.example",
    GITHUB_TOKEN: "secret",
    AWS_SECRET_ACCESS_KEY: "secret",
    LD_PRELOAD: "/tmp/evil.so",
    HOME: "/home/caller",
    PATH: "/home/caller/bin",
  });
  assert.deepEqual(Object.keys(found.environment), [
    "CARGO_HTTP_CAINFO",
    "GOPROXY",
    "HTTPS_PROXY",
    "PIP_INDEX_URL",
    "SSL_CERT_FILE",
    "no_proxy",
    "npm_config_registry",
  ]);
  assert.deepEqual(found.paths, [authority]);
});

const world: World = plainWorld("fetch", {
  buildPath: "/build/net",
  hostname: "net-host",
  user: { name: "netter", uid: 1000, gid: 1000, group: "netter", fullName: "Net", home: "/home/netter" },
});

test("with the network a server of this machine is reached, without it is not", async () => {
  const server = createServer((_, response) => response.end("hello from outside")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const get = `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => "localhost", PeerPort => ${port}) or die "unreachable\\n"; print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>'; echo; test -s /etc/resolv.conf && echo resolves`;
  const said: Record<string, string> = {};
  for (const network of ["host", "none"] as const) {
    const folder = join(own, network);
    mkdirSync(folder);
    const log = join(own, `${network}.log`);
    await runSandboxed(
      {
        world,
        command: ["sh", "-c", get],
        directory: world.buildPath,
        mounts: [{ from: folder, to: world.buildPath, writable: true }],
        environment: {},
        network,
        limits: { timeoutSeconds: 20, memoryBytes: 1 << 28, processes: 100, diskBytes: 1 << 26, logBytes: 1 << 20 },
        log,
      },
      await probeHost(),
    );
    said[network] = readFileSync(log, "utf8");
  }
  server.close();
  server.closeAllConnections();
  assert.match(said["host"] ?? "", /hello from outside/);
  assert.doesNotMatch(said["none"] ?? "", /hello|resolves/);
});
