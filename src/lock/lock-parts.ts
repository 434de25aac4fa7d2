/** What of a lock is no list of packages: recipe, source, lockfiles, environment, deps. */
import { rfc3339 } from "../clock.ts";
import type { LockChange } from "./changes.ts";
import type { LockedEnvironment } from "./environment.ts";
import type { Lock } from "./lock.ts";

/** Parts of a lock that are no list of packages: by a key of their own, what each is called and its value. */
function partsOf(lock: Lock): Map<string, [what: string, value: string]> {
  const { environment, source, deps } = lock;
  const parts: [string, string | undefined][] = [
    ["name", lock.name],
    ["recipe", lock.recipe],
    ["source", source?.sha256],
    ["source.purl", source?.purl],
    ["source.url", source?.url],
    ["as of", lock.asOf === undefined ? undefined : rfc3339(lock.asOf * 1000)],
    ["deps", deps?.digest],
    ["deps.files", deps?.files.toString()],
    ["deps.bytes", deps?.bytes.toString()],
    ...environmentParts(environment),
  ];
  const files = [...(lock.patches ?? []), ...lock.lockfiles];
  return new Map([
    ...parts.map(([what, value]): [string, [string, string]] => [what, [what, value ?? "none"]]),
    ...files.map(({ path, sha256 }): [string, [string, string]] => [`file ${path}`, [path, `sha256:${sha256}`]]),
  ]);
}

function environmentParts(environment: LockedEnvironment): [string, string][] {
  const type: [string, string] = ["environment", environment.type === "host" ? "host, not pinned" : environment.type];
  if (environment.type === "host") return [type];
  if (environment.type === "debian") {
    const { suite, components, architecture, root } = environment;
    const parts = { suite, components: components.join(" "), architecture, root };
    return [type, ...Object.entries(parts).map(([key, value]): [string, string] => [`environment.${key}`, value])];
  }
  const { image, platform, manifest, root, layers } = environment;
  const parts = { image, platform, manifest, root };
  return [
    type,
    ...Object.entries(parts).map(([key, value]): [string, string] => [`environment.${key}`, value]),
    ...layers.map((digest, index): [string, string] => [`environment.layer ${index + 1}`, digest]),
  ];
}

/** In which of these parts two locks differ. */
export function partsChanged(before: Lock, after: Lock): LockChange[] {
  const [old, now] = [partsOf(before), partsOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) => {
    const [[name, was], [what, is]] = [old.get(key) ?? ["", "none"], now.get(key) ?? ["", "none"]];
    return was === is ? [] : [{ what: what === "" ? name : what, before: was, after: is }];
  });
}
