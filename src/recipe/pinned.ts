/** A pinned environment for a detected project: Debian packages that have its tools. */
import { existsSync, readFileSync } from "node:fs";
import { parseDeb822 } from "../format/deb822.ts";
import { byteOrder } from "../order.ts";
import { readProjectFile } from "../project-file.ts";
import type { EnvironmentSpec, Recipe } from "./recipe.ts";

/** Packages of Debian 12 and newer that bring a tool, with what it needs to be of use. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  autoconf: ["autoconf", "libtool"],
  automake: ["automake"],
  cargo: ["cargo"],
  cc: ["gcc", "libc6-dev"],
  "dpkg-buildpackage": ["build-essential", "dpkg-dev"],
  fakeroot: ["fakeroot"],
  go: ["golang-go"],
  java: ["default-jdk-headless"],
  make: ["make"],
  mvn: ["maven"],
  node: ["nodejs"],
  npm: ["npm"],
  python3: ["python3", "python3-pip", "python3-venv"],
  rustc: ["rustc"],
};

const KEYRINGS = "/usr/share/keyrings";

/**
 * The newest stable suite whose keys this machine has; undefined where apt is
 * not there to resolve it.
 */
export function suiteHere(): string | undefined {
  if (!existsSync("/usr/bin/apt-get")) return undefined;
  if (existsSync(`${KEYRINGS}/debian-archive-trixie-stable.gpg`)) return "trixie";
  if (!existsSync(`${KEYRINGS}/debian-archive-keyring.gpg`)) return undefined;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID="?debian"?$/m.test(release) ? /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1] : undefined;
}

/** The environment that a recipe for the host's tools would have as packages; undefined for a tool that is not known here. */
export async function pinnedEnvironment(
  recipe: Recipe,
  folder: string,
  suite: string,
): Promise<EnvironmentSpec | undefined> {
  const { tools } = recipe.environment;
  if (tools.some((tool) => PACKAGES[tool] === undefined)) return undefined;
  const named = tools.flatMap((tool) => PACKAGES[tool] ?? []);
  const needed = recipe.ecosystem === "debian" ? await buildDepends(folder) : [];
  return {
    type: "debian",
    tools,
    suite,
    components: ["main"],
    packages: [...new Set([...named, ...needed])].sort(byteOrder),
    architecture: undefined,
  };
}

/**
 * What debian/control asks for (Debian policy, 7.1 and 7.7): of alternatives
 * the first; what is for other architectures is left out, versions as well,
 * since a suite has one.
 */
async function buildDepends(folder: string): Promise<string[]> {
  const control = await readProjectFile(folder, "debian/control");
  const [source] = control === undefined ? [] : parseDeb822(control, "debian/control");
  const fields = ["build-depends", "build-depends-arch", "build-depends-indep"];
  return fields
    .flatMap((field) => (source?.get(field) ?? "").split(","))
    .flatMap((entry) => {
      const [first = ""] = entry.split("|");
      const name = /^\s*([a-z0-9][a-z0-9+.-]+)/.exec(first)?.[1];
      const only = /\[([^\]]*)\]/.exec(first)?.[1]?.trim().split(/\s+/) ?? [];
      return name === undefined || !isForHere(only) || /^debhelper-compat$/.test(name) ? [] : [name];
    })
    .concat(/debhelper/.test(source?.get("build-depends") ?? "") ? ["debhelper"] : []);
}

function isForHere(architectures: readonly string[]): boolean {
  const here: readonly string[] = ["any", "linux-any", process.arch === "x64" ? "amd64" : process.arch];
  const [first] = architectures;
  if (first === undefined) return true;
  if (first.startsWith("!")) return !architectures.some((one) => here.includes(one.slice(1)));
  return architectures.some((one) => here.includes(one));
}
