/** Against a real registry server, with every kind of authorization that it knows. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { systemClock } from "../clock.ts";
import { credentialsOfClients } from "../oci/credentials.ts";
import { bodyPath } from "../body-path.ts";
import { file, folder, imageOf, indexOf, plainLayer, whiteout } from "../oci/test-images.ts";
import { pushed, startRegistry, type TestRegistry, WITHOUT_REGISTRY } from "../oci/test-registry.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { removeTree } from "../tree.ts";
import { type OciContext, openOci, resolveOci } from "./oci.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-registry-"));
const running: TestRegistry[] = [];
after(async () => {
  for (const registry of running) await registry.stop();
  await removeTree(home);
});

async function registryOf(name: string, setup: Parameters<typeof startRegistry>[1] = {}): Promise<TestRegistry> {
  const registry = await startRegistry(join(home, name), setup);
  running.push(registry);
  return registry;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

let caches = 0;
function contextOf(registry: OciContext["registry"] = {}): OciContext & { said: string[] } {
  const said: string[] = [];
  const cache = join(home, `cache${caches++}`);
  const none = { credentials: async () => undefined };
  return {
    cache,
    host: {} as HostAbilities,
    onProgress: (line) => void said.push(line),
    said,
    registry: { ...none, ...registry },
  };
}

const someone = async () => ({ type: "basic", user: "someone", password: "x" }) as const;
const options = { skip: WITHOUT_REGISTRY };
const BASE = [folder("etc"), file("etc/one"), file("etc/two"), folder("opt"), file("opt/gone")];
const UPPER = [whiteout("opt/.wh.gone"), file("etc/two", "changed")];

test("tags, digests, indexes and Docker's own types are pulled", options, async () => {
  const registry = await registryOf("plain");
  const oci = imageOf([BASE, UPPER]);
  const docker = imageOf([BASE, UPPER], { docker: true });
  const plain = imageOf([BASE], { packed: [plainLayer(UPPER)], architecture: "arm64" });
  await registry.push("team/base", ...pushed(oci, "12", oci.manifest.digest));
  await registry.push("team/base", ...pushed(docker, "docker"));
  await registry.push("team/base", ...pushed(plain, plain.manifest.digest));
  const index = indexOf([
    { image: oci, platform: { os: "linux", architecture: "amd64" } },
    { image: plain, platform: { os: "linux", architecture: "arm64" } },
  ]);
  await registry.push("team/base", [], { multi: index });
  const context = contextOf();
  const name = `${registry.host}/team/base`;
  const roots: string[] = [];
  for (const image of [`${name}:12`, `${name}:docker`, `${name}@${oci.manifest.digest}`, `${name}:multi`]) {
    const { locked, root } = await resolveOci({ image, platform: "linux/amd64" }, context);
    assert.equal(locked.image, image.replace(/@.*/, ""));
    assert.equal(readFileSync(join(root.folder, "etc/two"), "utf8"), "changed");
    roots.push(root.digest);
    const fresh = await openOci(locked, contextOf());
    assert.equal(fresh.digest, root.digest);
  }
  const arm = await resolveOci({ image: `${name}:multi`, platform: "linux/arm64" }, context);
  assert.equal(arm.locked.manifest, plain.manifest.digest);
  // However the layers are packed and the documents are named, the root is the same.
  assert.equal(new Set([...roots, arm.root.digest]).size, 1);
  await assert.rejects(
    resolveOci({ image: `${name}:13`, platform: undefined }, context),
    /there is no .*base:13: .* answers 404 \(MANIFEST_UNKNOWN/,
  );
  await assert.rejects(
    resolveOci({ image: `${registry.host}/team/absent`, platform: undefined }, context),
    /there is no .*absent:latest: .* answers 404/,
  );
});

test("what is in the cache needs no registry, and what is not is named", options, async () => {
  const registry = await registryOf("gone");
  const image = imageOf([BASE, UPPER]);
  await registry.push("base", ...pushed(image, "1"));
  const context = contextOf({ attempts: 2, pause: async () => {} });
  const { locked, root } = await resolveOci({ image: `${registry.host}/base:1`, platform: "linux/amd64" }, context);
  await registry.stop();
  assert.equal((await openOci(locked, context)).digest, root.digest);
  await removeTree(join(context.cache, "roots"));
  assert.equal((await openOci(locked, context)).digest, root.digest);
  await removeTree(join(context.cache, "roots"));
  rmSync(bodyPath(context.cache, locked.layers[1] ?? locked.root));
  await assert.rejects(openOci(locked, context), /cannot talk to 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});

test("a registry that asks for a password gets it from the clients' files", options, async () => {
  const folder = join(home, "basic");
  mkdirSync(folder);
  const password = "a pass:word";
  writeFileSync(join(folder, "htpasswd"), "someone:$2y$05$abcdefghijklmnopqrstuu10lxYOyE3chuoYxKhfTNqEK/po8Rjfe\n");
  const basic = `Basic ${Buffer.from(`someone:${password}`).toString("base64")}`;
  const auth = `  htpasswd:\n    realm: test\n    path: ${join(folder, "htpasswd")}\n`;
  const registry = await registryOf("basic", { auth, authorization: basic });
  await registry.push("closed", ...pushed(imageOf([BASE]), "1"));
  const spec = { image: `${registry.host}/closed:1`, platform: "linux/amd64" };
  await assert.rejects(resolveOci(spec, contextOf()), (error: unknown) => {
    assert.match(String(error), /asks for a name and password \(401\)/);
    assert.equal((error as { hint?: string }).hint, `docker login ${registry.host}`);
    return true;
  });
  const config = (auths: unknown): void => writeFileSync(join(folder, "config.json"), JSON.stringify(auths));
  const credentials = credentialsOfClients({ DOCKER_CONFIG: folder, HOME: folder });
  config({ auths: { [registry.host]: { auth: Buffer.from("someone:wrong").toString("base64") } } });
  await assert.rejects(resolveOci(spec, contextOf({ credentials })), /does not let us read .*: 401 \(UNAUTHORIZED/);
  config({ auths: { [registry.host]: { auth: basic.slice("Basic ".length) } } });
  assert.ok((await resolveOci(spec, contextOf({ credentials }))).root.digest);

  const helper = join(folder, "docker-credential-bitforbit-test");
  writeFileSync(
    helper,
    `#!/bin/sh\nread host\necho '{"ServerURL":"'$host'","Username":"someone","Secret":"${password}"}'\n`,
    {
      mode: 0o755,
    },
  );
  config({ credHelpers: { [registry.host]: "bitforbit-test" } });
  const path = process.env["PATH"];
  process.env["PATH"] = `${folder}:${path}`;
  try {
    assert.ok((await resolveOci(spec, contextOf({ credentials }))).root.digest);
  } finally {
    process.env["PATH"] = path;
  }
  await assert.rejects(
    resolveOci(spec, contextOf({ credentials })),
    /docker-credential-bitforbit-test is not installed/,
  );
});

test("a registry that asks for a token gets one of the server that it names", options, async () => {
  const folder = join(home, "token");
  mkdirSync(folder);
  const made = spawnSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=test",
      "-keyout",
      join(folder, "key.pem"),
      "-out",
      join(folder, "cert.pem"),
    ],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  const key = createPrivateKey(readFileSync(join(folder, "key.pem")));
  const certificate = new X509Certificate(readFileSync(join(folder, "cert.pem"))).raw.toString("base64");
  const asked: { scope: string; authorization: string | undefined }[] = [];
  const tokens = createServer((request, response) => {
    const scope = new URL(request.url ?? "", "http://x").searchParams.get("scope") ?? "";
    asked.push({ scope, authorization: request.headers.authorization });
    if (request.headers.authorization === undefined && scope.includes("secret")) return response.writeHead(401).end();
    response.end(JSON.stringify({ token: tokenFor(scope) }));
    return undefined;
  });
  await new Promise<void>((resolve) => void tokens.listen(0, "127.0.0.1", resolve));
  function tokenFor(scope: string): string {
    const [type, name, actions = ""] = scope.split(":");
    const now = Math.floor(systemClock.now() / 1000);
    const claims = {
      iss: "test",
      aud: "registry",
      sub: "someone",
      jti: scope,
      nbf: now - 60,
      iat: now,
      exp: now + 600,
    };
    const access = [{ type, name, actions: actions.split(",") }];
    const signed = `${encode({ typ: "JWT", alg: "ES256", x5c: [certificate] })}.${encode({ ...claims, access })}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }
  try {
    const realm = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`;
    const auth = `  token:\n    realm: ${realm}\n    service: registry\n    issuer: test\n    rootcertbundle: ${join(folder, "cert.pem")}\n`;
    for (const repository of ["open", "team/secret"]) {
      const authorization = `Bearer ${tokenFor(`repository:${repository}:pull,push`)}`;
      const registry = await registryOf(`token-${repository.replace("/", "-")}`, { auth, authorization });
      await registry.push(repository, ...pushed(imageOf([BASE, UPPER]), "1"));
      const spec = { image: `${registry.host}/${repository}:1`, platform: "linux/amd64" };
      if (repository === "open") {
        asked.length = 0;
        assert.ok((await resolveOci(spec, contextOf())).root.digest);
        // One token serves the manifest and all blobs.
        assert.deepEqual(asked, [{ scope: "repository:open:pull", authorization: undefined }]);
        continue;
      }
      await assert.rejects(resolveOci(spec, contextOf()), /gives no token without credentials/);
      assert.ok((await resolveOci(spec, contextOf({ credentials: someone }))).root.digest);
      assert.equal(asked.at(-1)?.authorization, `Basic ${Buffer.from("someone:x").toString("base64")}`);
    }
  } finally {
    tokens.closeAllConnections();
    tokens.close();
  }
});

test("a certificate that nobody vouches for is named", options, async () => {
  const folder = join(home, "token");
  const http = `  tls:\n    certificate: ${join(folder, "cert.pem")}\n    key: ${join(folder, "key.pem")}\n`;
  const registry = await registryOf("tls", { http, scheme: "https" });
  const context = contextOf({ attempts: 1 });
  await assert.rejects(
    resolveOci({ image: `${registry.host}/base:1`, platform: undefined }, context),
    (error: unknown) => {
      assert.match(String(error), /cannot talk to 127\.0\.0\.1:\d+: .*(?:self-signed|DEPTH_ZERO)/);
      assert.match((error as { hint?: string }).hint ?? "", /NODE_EXTRA_CA_CERTS/);
      return true;
    },
  );
});
