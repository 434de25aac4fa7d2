/**
 * dpkg's database (dpkg(1) "FILES", deb-triggers(5)) for packages that we
 * unpacked ourselves: as dpkg itself would have left it after `dpkg --unpack`,
 * so that `dpkg --configure` can go on from there.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { parseDeb822 } from "../format/deb822.ts";
import type { EnvironmentPackage } from "../lock/environment.ts";
import { byteOrder, sortedBy } from "../order.ts";

/** What the control.tar of a package says. */
export interface ControlFiles {
  /** dpkg's name for it in file names: "gcc", or "libc6:amd64" when versions for several machines can stand side by side. */
  infoName: string;
  name: string;
  essential: boolean;
  /** Names of the packages that Depends and Pre-Depends speak of, alternatives included. */
  needs: ReadonlySet<string>;
  /** Names that it stands in for. */
  provides: ReadonlySet<string>;
  /** Names of packages whose files it may take over. */
  replaces: ReadonlySet<string>;
  /** Paths without the leading slash. */
  conffiles: ReadonlySet<string>;
  /** The control file's text. */
  control: string;
  /** Everything else: preinst, postinst, triggers, md5sums, … */
  files: ReadonlyMap<string, { mode: number; content: Uint8Array }>;
}

export interface UnpackedPackage {
  control: ControlFiles;
  /** As in the tar, with leading slash; "/." first. */
  paths: string[];
  /** MD5 in hexadecimal of each conffile that was unpacked, by path without leading slash. */
  conffileSums: ReadonlyMap<string, string>;
}

/** Reads what stands in a control.tar. Throws `refused` when it is another package than the lock says. */
export function controlFiles(
  members: ReadonlyMap<string, { mode: number; content: Uint8Array }>,
  locked: EnvironmentPackage,
): ControlFiles {
  const what = `${locked.name} ${locked.version}`;
  const control = utf8Text(members.get("control")?.content ?? new Uint8Array(0));
  const fields = control === undefined ? undefined : parseDeb822(control, `${what}: control`)[0];
  if (control === undefined || fields === undefined) throw new BitforbitError("input", `${what}: no control file`);
  for (const key of ["name", "version", "architecture"] as const) {
    const stated = fields.get(key === "name" ? "package" : key);
    if (stated !== locked[key]) {
      throw new BitforbitError("refused", `the package locked as ${what} says that its ${key} is ${stated ?? "none"}`, {
        hint: "the lock was edited by hand, or is wrong: lock again",
      });
    }
  }
  const several = fields.get("multi-arch") === "same";
  const files = new Map([...members].filter(([name]) => name !== "control"));
  return {
    infoName: several ? `${locked.name}:${locked.architecture}` : locked.name,
    name: locked.name,
    essential: fields.get("essential") === "yes",
    needs: namesOf(`${fields.get("pre-depends") ?? ""},${fields.get("depends") ?? ""}`),
    provides: namesOf(fields.get("provides")),
    replaces: namesOf(fields.get("replaces")),
    conffiles: new Set(
      linesOf(files.get("conffiles")?.content)
        .filter((line) => line.startsWith("/"))
        .map((line) => line.slice(1)),
    ),
    control: control.replace(/\n+$/, "\n").replaceAll(/^\n/gm, ""),
    files,
  };
}

/** Names in a relationship field: deb-control(5). */
function namesOf(field: string | undefined): Set<string> {
  const names = (field ?? "").split(/[,|]/).map((one) => one.trim().replace(/[\s(:[<].*$/, ""));
  return new Set(names.filter((name) => name !== ""));
}

function linesOf(content: Uint8Array | undefined): string[] {
  const text = content === undefined ? "" : Buffer.from(content).toString();
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** Writes the whole database below `root` for these packages, none of which is configured yet. */
export function writeDatabase(root: string, packages: readonly UnpackedPackage[], architecture: string): void {
  const base = join(root, "var", "lib", "dpkg");
  for (const folder of ["info", "updates", "triggers", "parts", "alternatives"]) {
    mkdirSync(join(base, folder), { recursive: true, mode: 0o755 });
  }
  for (const name of ["available", "diversions", "statoverride"]) writeFileSync(join(base, name), "", { flag: "a" });
  writeFileSync(join(base, "info", "format"), "1\n");
  const sorted = sortedBy(packages, ({ control }) => control.infoName);
  const foreign = new Set(sorted.map(({ control }) => architectureOf(control)));
  foreign.delete("all");
  foreign.delete(architecture);
  if (foreign.size > 0) {
    writeFileSync(join(base, "arch"), [architecture, ...[...foreign].sort(byteOrder), ""].join("\n"));
  }
  for (const one of sorted) writeInfo(join(base, "info"), one);
  writeFileSync(join(base, "status"), sorted.map(statusOf).join("\n"));
  writeTriggers(join(base, "triggers"), sorted);
}

function architectureOf(control: ControlFiles): string {
  return /^Architecture:\s*(\S+)/im.exec(control.control)?.[1] ?? "all";
}

/** The scripts and lists of one package. */
export function writeInfo(info: string, { control, paths }: UnpackedPackage): void {
  for (const [name, { mode, content }] of control.files) {
    writeFileSync(join(info, `${control.infoName}.${name}`), content, { mode: (mode & 0o111) === 0 ? 0o644 : 0o755 });
  }
  writeFileSync(join(info, `${control.infoName}.list`), [...paths, ""].join("\n"), { encoding: "latin1" });
}

function statusOf({ control, conffileSums }: UnpackedPackage): string {
  const [first = "", ...rest] = control.control.split("\n").filter((line) => !/^(?:Status|Conffiles):/i.test(line));
  const conffiles = sortedBy(conffileSums, ([path]) => path).map(([path, sum]) => ` /${path} ${sum}`);
  return [
    first,
    "Status: install ok unpacked",
    ...rest.filter((line) => line !== ""),
    ...(conffiles.length > 0 ? ["Conffiles:", ...conffiles] : []),
    "",
  ].join("\n");
}

/** Who is interested in which trigger: `triggers/File` for paths, a file each for names. */
function writeTriggers(folder: string, packages: readonly UnpackedPackage[]): void {
  const byPath: string[] = [];
  const byName = new Map<string, string[]>();
  for (const { control } of packages) {
    for (const line of linesOf(control.files.get("triggers")?.content)) {
      const match = /^interest(-await|-noawait)?\s+(\S+)$/.exec(line);
      if (match === null) continue;
      const [, how, trigger = ""] = match;
      const interested = control.infoName + (how === "-noawait" ? "/noawait" : "");
      if (trigger.startsWith("/")) byPath.push(`${trigger} ${interested}\n`);
      else if (/^[A-Za-z0-9.+_-]+$/.test(trigger)) byName.set(trigger, [...(byName.get(trigger) ?? []), interested]);
    }
  }
  writeFileSync(join(folder, "File"), byPath.sort(byteOrder).join(""));
  writeFileSync(join(folder, "Unincorp"), "");
  for (const [name, interested] of byName) writeFileSync(join(folder, name), [...interested, ""].join("\n"));
}
