/** Two versions of packages that registries publish one after the other, fetched by the registry's own client. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { copy, found, inScratch, type Pair, run, write } from "./workshop.ts";

/** Fetches one version into a folder and gives the file. */
type Fetch = (folder: string, version: string) => string;

interface Published {
  name: string;
  versions: readonly [a: string, b: string];
  fetch: Fetch;
  file: string;
  what: string;
}

export const npm =
  (name: string): Fetch =>
  (folder, version) => {
    run("npm", ["pack", "--silent", `${name}@${version}`], { cwd: folder });
    return found(folder, /\.tgz$/);
  };

export const pip =
  (name: string, kind: "wheel" | "sdist"): Fetch =>
  (folder, version) => {
    const platform = ["--only-binary=:all:", "--platform=manylinux2014_x86_64", "--python-version=3.11"];
    const how = kind === "wheel" ? platform : ["--no-binary=:all:"];
    run("pip", ["download", "-q", "--no-deps", ...how, "-d", folder, `${name}==${version}`]);
    return found(folder, kind === "wheel" ? /\.whl$/ : /\.tar\.gz$/);
  };

const cargo = (name: string) => (folder: string, version: string) => {
  write(
    join(folder, "Cargo.toml"),
    `[package]\nname = "pair"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n${name} = "=${version}"\n`,
  );
  write(join(folder, "src/lib.rs"), "");
  run("cargo", ["fetch", "-q"], { cwd: folder });
  const home = process.env["CARGO_HOME"] ?? join(process.env["HOME"] ?? "", ".cargo");
  return found(join(home, "registry/cache"), new RegExp(`/${name}-${version.replaceAll(".", "\\.")}\\.crate$`));
};

const go = (name: string) => (folder: string, version: string) => {
  const told = run("go", ["mod", "download", "-json", `${name}@${version}`], { cwd: folder }).toString();
  return (JSON.parse(told) as { Zip: string }).Zip;
};

export const maven =
  (group: string, name: string): Fetch =>
  (folder, version) => {
    const repository = join(folder, "repository");
    run("mvn", [
      "-q",
      "-B",
      `-Dmaven.repo.local=${repository}`,
      "dependency:get",
      "-Dtransitive=false",
      `-Dartifact=${group}:${name}:${version}`,
    ]);
    return found(join(repository, ...group.split("."), name), /\.jar$/);
  };

const PACKAGES: readonly Published[] = [
  {
    name: "npm-picocolors",
    what: "npm",
    versions: ["1.1.0", "1.1.1"],
    fetch: npm("picocolors"),
    file: "picocolors.tgz",
  },
  {
    name: "npm-commander",
    what: "npm",
    versions: ["13.0.0", "13.1.0"],
    fetch: npm("commander"),
    file: "commander.tgz",
  },
  {
    name: "pypi-requests",
    what: "wheel",
    versions: ["2.32.2", "2.32.3"],
    fetch: pip("requests", "wheel"),
    file: "requests.whl",
  },
  {
    name: "pypi-markupsafe",
    what: "wheel with native code",
    versions: ["3.0.1", "3.0.2"],
    fetch: pip("markupsafe", "wheel"),
    file: "markupsafe.whl",
  },
  { name: "pypi-idna", what: "sdist", versions: ["3.9", "3.10"], fetch: pip("idna", "sdist"), file: "idna.tar.gz" },
  { name: "crate-itoa", what: "crate", versions: ["1.0.14", "1.0.15"], fetch: cargo("itoa"), file: "itoa.crate" },
  { name: "crate-memchr", what: "crate", versions: ["2.7.3", "2.7.4"], fetch: cargo("memchr"), file: "memchr.crate" },
  {
    name: "go-pflag",
    what: "Go module zip",
    versions: ["v1.0.5", "v1.0.6"],
    fetch: go("github.com/spf13/pflag"),
    file: "pflag.zip",
  },
  {
    name: "maven-codec",
    what: "jar",
    versions: ["1.17.0", "1.17.1"],
    fetch: maven("commons-codec", "commons-codec"),
    file: "commons-codec.jar",
  },
  {
    name: "maven-gson",
    what: "jar",
    versions: ["2.11.0", "2.12.0"],
    fetch: maven("com.google.code.gson", "gson"),
    file: "gson.jar",
  },
];

/** Fetches both versions. */
export const published = ({ name, what, versions, fetch, file }: Published): Pair => ({
  name,
  what: `${what}: ${versions.join(" and ")}`,
  file,
  make: (a, b) => {
    for (const [at, side] of [a, b].entries()) {
      inScratch((folder) => {
        const place = join(folder, "fetched");
        mkdirSync(place);
        if (readdirSync(place).length > 0) throw new Error(`${place} is not empty`);
        copy(fetch(place, versions[at] ?? ""), side);
      });
    }
  },
});

export const PUBLISHED: readonly Pair[] = PACKAGES.map(published);
