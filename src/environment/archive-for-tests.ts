/**
 * A Debian archive in small, for tests: packages of this machine's own
 * programs, built by dpkg-deb, an index signed by gpg with a key made for the
 * run, served over HTTP on loopback. Everything that reads it is the real
 * program: apt, gpgv, dpkg.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { sha256Hex } from "../digest.ts";
import { namesIn } from "../tree.ts";

export interface SmallPackage {
  name: string;
  version: string;
  /** Further control fields. */
  fields?: Readonly<Record<string, string>>;
  /** Path to content, or to a file of this machine. */
  files?: Readonly<Record<string, string | { copyOf: string } | { linkTo: string }>>;
  /** Control files: preinst, postinst, conffiles, triggers. */
  control?: Readonly<Record<string, string>>;
  compression?: "xz" | "gzip" | "zstd" | "none";
}

const TOOLS = ["gpg", "gpgv", "apt-get", "dpkg-deb", "ldd"];

/** Why such an archive cannot be made here, or undefined. */
export function lackingForArchive(): string | undefined {
  const missing = TOOLS.filter((name) => spawnSync(name, ["--version"]).error !== undefined);
  return missing.length === 0 ? undefined : `${missing.join(", ")} not installed`;
}

/** Programs that a root needs so that dpkg can configure packages in it. */
const PROGRAMS: readonly string[] = (
  "dpkg dpkg-deb dpkg-query dpkg-split dpkg-trigger dpkg-divert update-alternatives start-stop-daemon " +
  "tar rm mkdir cp mv ln cat ls chmod chown mknod touch date hostname id sync env diff"
).split(" ");

function found(name: string): string {
  for (const folder of ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]) {
    const path = join(folder, name);
    if (existsSync(path)) return path;
  }
  throw new Error(`${name} is not installed`);
}

/** The one essential package: a shell, dpkg and a few more, with their libraries. */
function systemPackage(): SmallPackage {
  const files: Record<string, string | { copyOf: string } | { linkTo: string }> = {
    "usr/bin/sh": { linkTo: "dash" },
    "usr/bin/dash": { copyOf: found("dash") },
    "usr/sbin/ldconfig": { copyOf: found("ldconfig") },
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:20780:0:99999:7:::\n",
    "etc/shadow-": "a backup\n",
    "etc/alternatives/README": "links\n",
    "var/log/dpkg.log": "",
  };
  for (const name of PROGRAMS) files[`usr/bin/${name}`] = { copyOf: found(name) };
  const libraries = new Set<string>();
  for (const name of [...PROGRAMS, "dash"]) {
    const listed = execFileSync("ldd", [found(name)], { encoding: "utf8" });
    for (const match of listed.matchAll(/(\/\S+) \(0x/g)) libraries.add(match[1] ?? "");
  }
  // As old packages have them: in folders that a merged system has as links.
  for (const path of libraries) files[path.slice(1).replace(/^usr\//, "")] = { copyOf: path };
  return { name: "system", version: "1.0", fields: { Essential: "yes" }, files, compression: "none" };
}

export interface SmallArchive {
  /** Stands for /etc/apt. */
  aptFolder: string;
  /** "http://127.0.0.1:PORT/debian". */
  uri: string;
  /** Files that are served. */
  folder: string;
  /** Paths asked for, in order. */
  asked: string[];
  /** Answers instead of the archive when it returns true. */
  interfere: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Writes the index anew and signs it. */
  sign(options?: { home?: string; validUntil?: string; date?: string }): Promise<void>;
  add(one: SmallPackage): void;
  /** Another key than the one that apt knows. */
  strangerHome: string;
  close(): Promise<void>;
}

export async function smallArchive(base: string, packages: readonly SmallPackage[]): Promise<SmallArchive> {
  const folder = join(base, "debian");
  const homes = ["keys", "stranger"].map((name) => makeKey(join(base, name)));
  const [home = "", strangerHome = ""] = homes;
  const aptFolder = join(base, "apt");
  mkdirSync(join(aptFolder, "sources.list.d"), { recursive: true });
  mkdirSync(join(folder, "pool"), { recursive: true });
  writeFileSync(join(base, "archive.gpg"), execFileSync("gpg", ["--homedir", home, "--export"]));
  const asked: string[] = [];
  const server = createServer((request, response) => serve(archive, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
  const source = `Types: deb\nURIs: ${uri}\nSuites: small\nComponents: main\nSigned-By: ${join(base, "archive.gpg")}\n`;
  writeFileSync(join(aptFolder, "sources.list.d", "small.sources"), source);
  const archive: SmallArchive = {
    aptFolder,
    uri,
    folder,
    asked,
    interfere: undefined,
    strangerHome,
    add: (one) => buildPackage(one, join(base, "staged"), join(folder, "pool")),
    sign: async (options = {}) => await writeIndex(folder, { home, ...options }),
    close: async () => await closed(server),
  };
  for (const one of [systemPackage(), ...packages]) archive.add(one);
  await archive.sign();
  return archive;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function makeKey(home: string): string {
  mkdirSync(home, { mode: 0o700 });
  const quiet = ["--homedir", home, "--batch", "--quiet", "--passphrase", ""];
  execFileSync("gpg", [...quiet, "--quick-generate-key", basename(home), "ed25519", "sign", "never"], {
    stdio: "pipe",
  });
  return home;
}

function serve(archive: SmallArchive, request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
  archive.asked.push(path);
  if (archive.interfere?.(request, response) === true) return;
  const file = join(dirname(archive.folder), path);
  if (!existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const content = readFileSync(file);
  response.writeHead(200, { "content-length": content.length }).end(content);
}

function buildPackage(one: SmallPackage, staging: string, pool: string): void {
  const folder = join(staging, `${one.name}_${one.version}`);
  mkdirSync(join(folder, "DEBIAN"), { recursive: true });
  for (const [path, content] of Object.entries(one.files ?? {})) {
    const to = join(folder, path);
    mkdirSync(dirname(to), { recursive: true });
    if (typeof content === "string") writeFileSync(to, content, { mode: path.includes("bin/") ? 0o755 : 0o644 });
    else if ("linkTo" in content) execFileSync("ln", ["-s", content.linkTo, to]);
    else cpSync(realpathSync(content.copyOf), to);
  }
  const fields = {
    Package: one.name,
    Version: one.version,
    Architecture: execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim(),
    Maintainer: "Nobody <nobody@example.org>",
    Description: "for a test",
    ...one.fields,
  };
  const control = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(folder, "DEBIAN", "control"), control.join(""));
  for (const [name, content] of Object.entries(one.control ?? {})) {
    writeFileSync(join(folder, "DEBIAN", name), content);
    if (/^(?:pre|post)/.test(name)) chmodSync(join(folder, "DEBIAN", name), 0o755);
  }
  const args = ["--root-owner-group", `-Z${one.compression ?? "xz"}`, "--build", folder, pool];
  execFileSync("dpkg-deb", args, { stdio: "pipe" });
}

async function writeIndex(
  folder: string,
  { home, validUntil, date }: { home: string; validUntil?: string; date?: string },
): Promise<void> {
  const paragraphs: string[] = [];
  for (const name of await namesIn(join(folder, "pool"))) {
    const content = readFileSync(join(folder, "pool", name));
    const control = execFileSync("dpkg-deb", ["--field", join(folder, "pool", name)], { encoding: "utf8" });
    paragraphs.push(`${control}Filename: pool/${name}\nSize: ${content.length}\nSHA256: ${sha256Hex(content)}\n`);
  }
  const architecture = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
  const path = `main/binary-${architecture}/Packages`;
  const suite = join(folder, "dists", "small");
  mkdirSync(dirname(join(suite, path)), { recursive: true });
  const index = paragraphs.join("\n");
  writeFileSync(join(suite, path), index);
  const release = [
    "Origin: Debian",
    "Suite: small",
    "Codename: small",
    `Date: ${date ?? "Thu, 01 Jan 2026 00:00:00 UTC"}`,
    ...(validUntil === undefined ? [] : [`Valid-Until: ${validUntil}`]),
    `Architectures: ${architecture}`,
    "Components: main",
    "SHA256:",
    ` ${sha256Hex(index)} ${Buffer.byteLength(index)} ${path}`,
    "",
  ].join("\n");
  const sign = ["--homedir", home, "--batch", "--yes", "--passphrase", "", "--clearsign"];
  writeFileSync(
    join(suite, "InRelease"),
    execFileSync("gpg", sign, { input: release, stdio: ["pipe", "pipe", "pipe"] }),
  );
}
