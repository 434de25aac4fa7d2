/**
 * Sources by package URL. Each is fetched by its ecosystem's own client, which
 * knows the user's registries, mirrors and credentials; none of the package's
 * own code runs. What comes is checked against the recipe's digest afterwards.
 */
import { copyFile, lstat, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { digestOfFile, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { formatPurl, parsePurl, type Purl } from "../format/purl.ts";
import { isTable, parseToml } from "../format/toml.ts";
import { isObject, parseJson } from "../json.ts";
import { namesIn } from "../tree.ts";
import { runClient } from "./client.ts";
import { fetchDebianSource } from "./debian-source.ts";
import { fetchSdist } from "./sdist.ts";

type Fetcher = (purl: Purl & { version: string }, into: string) => Promise<void>;

const FETCHERS: Readonly<Record<string, Fetcher>> = {
  npm: fetchNpm,
  pypi: fetchSdist,
  cargo: fetchCrate,
  golang: fetchGoModule,
  maven: fetchMavenSources,
  deb: fetchDebianSource,
};

/** Fetches the source that `text` names into the empty folder `into`. Throws `input`, `lacking` or `outside`. */
export async function fetchPurl(text: string, into: string): Promise<void> {
  const purl = parsePurl(text);
  const fetcher = Object.hasOwn(FETCHERS, purl.type) ? FETCHERS[purl.type] : undefined;
  if (fetcher === undefined) {
    throw new BitforbitError("input", `no client is known for ${JSON.stringify(purl.type)} in ${text.slice(0, 200)}`, {
      hint: `sources come from pkg:${Object.keys(FETCHERS).join(", pkg:")}, or from a url`,
    });
  }
  const { version } = purl;
  if (version === undefined || !/^[\w.+~:-]{1,128}$/.test(version) || version.startsWith("-")) {
    throw new BitforbitError("input", `no exact version in ${text.slice(0, 200)}`, { hint: "write it as …@1.2.3" });
  }
  if (![...(purl.namespace?.split("/") ?? []), purl.name].every((part) => /^[@\w~][\w.+~-]{0,213}$/.test(part))) {
    throw new BitforbitError("input", `not a package's name: ${text.slice(0, 200)}`);
  }
  await fetcher({ ...purl, version }, into);
}

/** Where in an extracted archive the project lies, for archives that nest it deeper than one folder. */
export async function rootOfPurl(text: string, tree: string): Promise<string | undefined> {
  const { type, namespace, name, version } = parsePurl(text);
  if (type === "deb") return tree;
  if (type !== "golang") return undefined;
  const root = join(tree, ...(namespace?.split("/") ?? []), `${name}@${version ?? ""}`);
  if (await lstat(root).catch(() => undefined)) return root;
  throw new BitforbitError("input", `the module's zip has no folder ${name}@${version ?? ""}`);
}

async function fetchNpm(purl: Purl & { version: string }, into: string): Promise<void> {
  const spec = `${purl.namespace === undefined ? "" : `${purl.namespace}/`}${purl.name}@${purl.version}`;
  const args = ["pack", spec, "--pack-destination", into, "--ignore-scripts", "--loglevel=error"];
  await runClient("npm", args, { cwd: into, about: spec, env: { npm_config_update_notifier: "false" } });
}

/** A scratch package that depends on the crate alone; cargo leaves the .crate in its own cache. */
async function fetchCrate(purl: Purl & { version: string }, into: string): Promise<void> {
  const scratch = `${into}.cargo`;
  const about = `${purl.name} ${purl.version}`;
  try {
    await mkdir(join(scratch, "src"), { recursive: true });
    await writeFile(join(scratch, "src", "lib.rs"), "");
    await writeFile(
      join(scratch, "Cargo.toml"),
      `[package]\nname = "scratch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nwanted = { package = ${JSON.stringify(purl.name)}, version = ${JSON.stringify(`=${purl.version}`)} }\n[workspace]\n`,
    );
    await runClient("cargo", ["fetch"], { cwd: scratch, about });
    const lock = parseToml(await readFile(join(scratch, "Cargo.lock"), "utf8"), "Cargo.lock");
    const packages = Array.isArray(lock["package"]) ? lock["package"].filter(isTable) : [];
    const found = packages.find((item) => item["name"] === purl.name && item["version"] === purl.version);
    await copyCached(`${purl.name}-${purl.version}.crate`, String(found?.["checksum"] ?? ""), into);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function copyCached(file: string, sha256: string, into: string): Promise<void> {
  const home = process.env["CARGO_HOME"] ?? join(process.env["HOME"] ?? "/", ".cargo");
  const caches = join(home, "registry", "cache");
  for (const registry of await namesIn(caches).catch(() => [])) {
    const path = join(caches, registry, file);
    const digest = await digestOfFile(path).catch(() => undefined);
    if (digest !== undefined && hexOf(digest) === sha256) return await copyFile(path, join(into, file));
  }
  throw new BitforbitError("outside", `cargo fetched ${file}, but it is not in its cache with SHA-256 ${sha256}`);
}

async function fetchGoModule(purl: Purl & { version: string }, into: string): Promise<void> {
  const module = [...(purl.namespace === undefined ? [] : [purl.namespace]), purl.name].join("/");
  const about = `${module}@${purl.version}`;
  const ran = await runClient("go", ["mod", "download", "-json", about], {
    cwd: into,
    about,
    env: { GOFLAGS: "-mod=mod", GO111MODULE: "on", GOTOOLCHAIN: "local" },
  });
  const said = parseJson(ran.stdout, "go mod download");
  const zip = isObject(said) ? said["Zip"] : undefined;
  if (typeof zip !== "string") throw new BitforbitError("outside", `go mod download gave no zip for ${about}`);
  await copyFile(zip, join(into, basename(zip)));
}

async function fetchMavenSources(purl: Purl & { version: string }, into: string): Promise<void> {
  const classifier = purl.qualifiers?.["classifier"] ?? "sources";
  const type = purl.qualifiers?.["type"] ?? "jar";
  const artifact = [purl.namespace, purl.name, purl.version, type, classifier].join(":");
  if (!/^[\w.:+-]+$/.test(artifact)) throw new BitforbitError("input", `not a Maven artifact: ${formatPurl(purl)}`);
  const args = ["-B", "-q", "dependency:copy", `-Dartifact=${artifact}`, `-DoutputDirectory=${into}`];
  await runClient("mvn", args, { cwd: into, about: artifact });
}
