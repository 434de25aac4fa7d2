/** Real clients in a network namespace of their own, recorded against a registry on loopback, then replayed without it. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { utf8 } from "../bytes.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes } from "../format/tar-write.ts";
import { zipBytes } from "../format/zip-write.ts";
import { listenIn, processBehind } from "../sandbox/listen.ts";
import { makeAuthority } from "./authority.ts";
import { withMaterials } from "./materials.ts";
import { type Note, startRecorder } from "./recorder.ts";
import type { Recording } from "./recording.ts";
import { startReplayer, type Unanswered } from "./replayer.ts";
import { clientSettings } from "./settings.ts";
import { loopback, startUpstream } from "./upstream-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "clients-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const runs = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { timeout: 20_000 }).status === 0;
const BWRAP = ["--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net"];
const skip = runs("bwrap", ...BWRAP, "true") ? false : "bubblewrap makes no network namespace on this machine";

const member = (name: string, text: string): { name: string; content: Uint8Array } => ({ name, content: utf8(text) });
const tgz = (...members: ReturnType<typeof member>[]): Uint8Array =>
  gzipBytes(tarBytes(members.map((one) => ({ ...one, mtime: 499_162_500 }))));
const sum = (algorithm: string, bytes: Uint8Array, form: "hex" | "base64" = "hex"): string =>
  createHash(algorithm).update(bytes).digest(form);

const npmPackage = tgz(
  member("package/package.json", '{"name":"@scope/tiny","version":"1.0.0"}'),
  member("package/index.js", "1"),
);
const wheel = zipBytes([
  member("tiny/__init__.py", ""),
  member("tiny-1.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0.0\n"),
  member("tiny-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
  member("tiny-1.0.0.dist-info/RECORD", ""),
]);
const manifest = '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n';
const crate = tgz(
  member("tiny-1.0.0/Cargo.toml", manifest),
  member("tiny-1.0.0/Cargo.toml.orig", manifest),
  member("tiny-1.0.0/src/lib.rs", ""),
);
const goMod = "module example.test/tiny\n\ngo 1.20\n";
const goZip = zipBytes([
  member("example.test/tiny@v1.0.0/go.mod", goMod),
  member("example.test/tiny@v1.0.0/tiny.go", "package tiny\n"),
]);

/** What the registry has, but for git, by path. `base`: its own URL. */
function files(base: string, deb: Buffer | undefined): Record<string, [type: string, content: Uint8Array | string]> {
  const name = { name: "@scope/tiny", version: "1.0.0" };
  const dist = {
    tarball: `${base}/npm/@scope/tiny/-/tiny-1.0.0.tgz`,
    integrity: `sha512-${sum("sha512", npmPackage, "base64")}`,
  };
  const line = { name: "tiny", vers: "1.0.0", deps: [], cksum: sum("sha256", crate), features: {}, yanked: false };
  const packages =
    deb === undefined
      ? ""
      : `Package: tiny\nVersion: 1:2.0\nArchitecture: all\nMaintainer: nobody\nFilename: ./tiny.deb\nSize: ${deb.length}\nSHA256: ${sum("sha256", deb)}\nDescription: tiny\n\n`;
  return {
    "/npm/@scope%2ftiny": [
      "application/json",
      JSON.stringify({ name: name.name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": { ...name, dist } } }),
    ],
    "/npm/@scope/tiny/-/tiny-1.0.0.tgz": ["application/octet-stream", npmPackage],
    "/simple/tiny/": [
      "text/html",
      `<a href="../../files/tiny-1.0.0-py3-none-any.whl#sha256=${sum("sha256", wheel)}">tiny-1.0.0-py3-none-any.whl</a>`,
    ],
    "/files/tiny-1.0.0-py3-none-any.whl": ["application/octet-stream", wheel],
    "/index/config.json": ["application/json", JSON.stringify({ dl: `${base}/crates` })],
    "/index/ti/ny/tiny": ["text/plain", `${JSON.stringify(line)}\n`],
    "/crates/tiny/1.0.0/download": ["application/gzip", crate],
    "/go/example.test/tiny/@v/v1.0.0.info": ["application/json", '{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}'],
    "/go/example.test/tiny/@v/v1.0.0.mod": ["text/plain", goMod],
    "/go/example.test/tiny/@v/v1.0.0.zip": ["application/zip", goZip],
    "/apt/Packages": ["text/plain", packages],
    "/apt/tiny.deb": ["application/octet-stream", deb ?? ""],
    "/hello": ["text/plain", "hello over TLS\n"],
  };
}

interface Client {
  name: string;
  tool: string;
  script(base: string): string;
  /** What the script prints; the same in a recording and in a replay. */
  prints: RegExp;
  purl?: string;
}

const JAVA = `import java.net.*; import java.io.*; public class Get { public static void main(String[] a) throws Exception { System.out.write(new URL(a[0]).openStream().readAllBytes()); System.out.flush(); } }`;

const CLIENTS: readonly Client[] = [
  {
    name: "npm",
    tool: "npm",
    script: (base) =>
      `echo '{"name":"x"}' >package.json; npm install --no-audit --registry ${base}/npm @scope/tiny >/dev/null; cat node_modules/@scope/tiny/package.json`,
    prints: /"@scope\/tiny"/,
    purl: "pkg:npm/%40scope/tiny@1.0.0",
  },
  {
    name: "pip",
    tool: "python3",
    script: (base) =>
      `python3 -m pip --isolated --cert "$PIP_CERT" --proxy "$PIP_PROXY" download -q --no-cache-dir --index-url ${base}/simple -d . tiny; sha256sum *.whl`,
    prints: new RegExp(sum("sha256", wheel)),
    purl: "pkg:pypi/tiny@1.0.0?file_name=tiny-1.0.0-py3-none-any.whl",
  },
  {
    name: "cargo",
    tool: "cargo",
    script: (base) =>
      `mkdir -p src .cargo; echo >src/lib.rs; printf '[package]\\nname="x"\\nversion="0.1.0"\\n[dependencies]\\ntiny="1"\\n' >Cargo.toml; printf '[source.crates-io]\\nreplace-with="local"\\n[source.local]\\nregistry="sparse+${base}/index/"\\n' >.cargo/config.toml; cargo fetch -q; cat Cargo.lock`,
    prints: new RegExp(sum("sha256", crate)),
    purl: "pkg:cargo/tiny@1.0.0",
  },
  {
    name: "go",
    tool: "go",
    script: (base) =>
      `export GOFLAGS=-modcacherw GOTOOLCHAIN=local GONOSUMDB='*' GOPROXY=${base}/go; go mod init x.test/x 2>/dev/null; go mod download -json example.test/tiny@v1.0.0 | grep Sum`,
    prints: /"Sum": "h1:/,
    purl: "pkg:golang/example.test/tiny@v1.0.0",
  },
  {
    name: "java",
    tool: "javac",
    script: (base) => `echo '${JAVA}' >Get.java; java Get.java ${base}/hello`,
    prints: /hello over TLS/,
  },
  { name: "curl", tool: "curl", script: (base) => `curl -sS ${base}/hello`, prints: /hello over TLS/ },
  { name: "wget", tool: "wget", script: (base) => `wget -q -O - ${base}/hello`, prints: /hello over TLS/ },
  {
    name: "node",
    tool: process.execPath,
    script: (base) =>
      `'${process.execPath}' -e 'fetch("${base}/hello").then((answer) => answer.text()).then((text) => process.stdout.write(text))'`,
    prints: /hello over TLS/,
  },
  {
    name: "python",
    tool: "python3",
    script: (base) => `python3 -c 'import urllib.request as r; print(r.urlopen("${base}/hello").read())'`,
    prints: /hello over TLS/,
  },
  {
    name: "git",
    tool: "git",
    script: (base) => `git clone -q ${base}/repository.git r; git -C r rev-parse HEAD; cat r/file`,
    prints: /[0-9a-f]{40}\nof the repository/,
  },
  {
    name: "apt",
    tool: "apt-get",
    script: (base) =>
      `mkdir -p s/lists/partial c/archives/partial e; echo 'deb [trusted=yes] ${base}/apt ./' >e/list; O="-qq -o Dir::Etc::SourceList=$PWD/e/list -o Dir::Etc::SourceParts=/dev/null -o Dir::State=$PWD/s -o Dir::State::status=/dev/null -o Dir::Cache=$PWD/c -o APT::Sandbox::User="; apt-get $O update && apt-get $O download tiny; sha256sum *.deb`,
    prints: /[0-9a-f]{64} {2}tiny_1%3a2\.0_all\.deb/,
    purl: "pkg:deb/debian/tiny@1:2.0?arch=all",
  },
];

/** CGI (RFC 3875), enough for git http-backend. */
function gitBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const [path = "", query = ""] = (request.url ?? "").split("?");
  const env = {
    PATH: process.env["PATH"],
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: path,
    QUERY_STRING: query,
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: request.headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
  };
  const child = spawn("git", ["http-backend"], { env, stdio: ["pipe", "pipe", "inherit"] });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.on("close", () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf("\r\n\r\n");
    for (const line of all.subarray(0, end).toString().split("\r\n")) {
      const [name = "", value = ""] = line.split(/: ?/, 2);
      if (name === "Status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(all.subarray(end + 4));
  });
}

function makeRepository(): string {
  const root = join(own, "git");
  const git = (...args: string[]): void =>
    assert.equal(spawnSync("git", ["-C", root, ...args], { stdio: "inherit" }).status, 0);
  mkdirSync(root, { recursive: true });
  git("init", "-q", "work");
  writeFileSync(join(root, "work", "file"), "of the repository\n");
  const who = ["-c", "user.name=x", "-c", "user.email=x@x.test"];
  git("-C", "work", "add", "file");
  git("-C", "work", ...who, "commit", "-q", "-m", "first");
  git("clone", "-q", "--bare", "work", "repository.git");
  return root;
}

function makeDeb(): Buffer | undefined {
  const folder = join(own, "deb");
  mkdirSync(join(folder, "DEBIAN"), { recursive: true });
  writeFileSync(
    join(folder, "DEBIAN", "control"),
    "Package: tiny\nVersion: 1:2.0\nArchitecture: all\nMaintainer: nobody\nDescription: tiny\n",
  );
  return runs("dpkg-deb", "--root-owner-group", "-b", folder, `${folder}.deb`)
    ? readFileSync(`${folder}.deb`)
    : undefined;
}

interface Session {
  pid: number;
  /** Lets the scripts run, and gives what each printed. */
  run(): Promise<Record<string, string>>;
}

/** A sandbox without network whose clients wait until the proxy listens. */
async function session(
  name: string,
  clients: readonly Client[],
  base: string,
  settings: ReturnType<typeof clientSettings>,
): Promise<Session> {
  const home = join(own, name);
  for (const { to, content } of settings.files) {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, content);
  }
  const jobs = clients.map((client) => {
    const folder = join(home, client.name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "script"), client.script(base));
    return `(cd ${folder}; HOME=${folder} sh -u script >said 2>errors) &`;
  });
  const environment = {
    PATH: process.env["PATH"],
    CARGO_HOME: join(home, "cargo-home"),
    RUSTUP_HOME: process.env["RUSTUP_HOME"] ?? join(homedir(), ".rustup"),
    ...settings.environment,
  };
  const child: ChildProcess = spawn(
    "bwrap",
    [...BWRAP, "--json-status-fd", "3", "sh", "-c", `read go; ${jobs.join(" ")} wait`],
    {
      stdio: ["pipe", "inherit", "inherit", "pipe"],
      env: environment,
    },
  );
  const status = child.stdio[3];
  assert.ok(status !== null && status !== undefined);
  let text = "";
  while (!text.includes("\n")) text += String((await once(status, "data"))[0]);
  const { "child-pid": pid } = JSON.parse(text.split("\n")[0] ?? "") as { "child-pid": number };
  return {
    pid,
    run: async () => {
      child.stdin?.end("go\n");
      await once(child, "exit");
      return Object.fromEntries(
        clients.map((client) => {
          const folder = join(home, client.name);
          const [said, errors] = ["said", "errors"].map((file) => readFileSync(join(folder, file), "utf8"));
          return [client.name, client.prints.test(said ?? "") ? (said ?? "") : `${said}\nerrors: ${errors}`];
        }),
      );
    },
  };
}

test(
  "real clients are recorded behind the proxy, and get the same from a replay",
  { skip, timeout: 120_000 },
  async () => {
    const clients = CLIENTS.filter(({ tool }) => existsSync(tool) || runs("sh", "-c", `command -v ${tool}`));
    const [repositories, deb] = [makeRepository(), makeDeb()];
    let content: ReturnType<typeof files> = {};
    const listener: RequestListener = (request, response) => {
      if (request.url?.startsWith("/repository.git/") === true) return gitBackend(repositories, request, response);
      const [type, body] = content[request.url ?? ""] ?? [];
      if (type === undefined) return void response.writeHead(404).end("there is no such thing");
      response.writeHead(200, { "content-type": type }).end(body);
    };
    const upstream = await startUpstream(listener);
    const base = upstream.https;
    content = files(base, deb);
    const cache = join(own, "cache");
    const prepare = async (
      name: string,
    ): Promise<{ session: Session; authority: ReturnType<typeof makeAuthority> }> => {
      const authority = makeAuthority();
      const options = {
        authority,
        proxy: "http://127.0.0.1:3128",
        folder: join(own, name, "settings"),
        home: join(own, name),
      };
      return { session: await session(name, clients, base, clientSettings(options)), authority };
    };

    const first = await prepare("record");
    const notes: Note[] = [];
    const recorder = startRecorder(await listenIn(first.session.pid, 3128), {
      authority: first.authority,
      cache,
      environment: {},
      authorities: [upstream.authority.pem],
      lookup: loopback,
      onNote: (note) => notes.push(note),
    });
    const recordedSaid = await first.session.run();
    const recording: Recording = await recorder.close();
    upstream.close();
    for (const { name, prints } of clients) assert.match(recordedSaid[name] ?? "", prints, name);
    assert.deepEqual(notes, []);

    const { exchanges, contradictions } = await withMaterials(recording, cache);
    const purls = exchanges.flatMap(({ purl }) => purl ?? []);
    assert.deepEqual(purls.sort(), clients.flatMap(({ purl }) => purl ?? []).sort());
    assert.deepEqual(contradictions, []);
    const module = exchanges.find(({ purl }) => purl?.startsWith("pkg:golang/"));
    if (module !== undefined) assert.ok((recordedSaid["go"] ?? "").includes(`"Sum": "${module.checksums?.goH1}"`));

    const second = await prepare("replay");
    const unanswered: Unanswered[] = [];
    const replayer = startReplayer(await listenIn(second.session.pid, 3128), {
      authority: second.authority,
      cache,
      recording,
      epoch: 1_000_000_000,
      identify: async (port) => await processBehind(second.session.pid, port),
      onUnanswered: (request) => unanswered.push(request),
    });
    const replayedSaid = await second.session.run();
    await replayer.close();
    assert.deepEqual(unanswered, []);
    assert.deepEqual(replayedSaid, recordedSaid);
  },
);
