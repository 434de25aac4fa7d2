/**
 * pip's requirements file with hashes (pip documentation, "Requirements File
 * Format" and "Secure installs"): `name==version --hash=sha256:…`.
 */
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { Checksums, Material } from "../material.ts";
import { purl } from "../purl.ts";
import { MAX_MATERIALS, materialList } from "./material-list.ts";

const MAX_BYTES = 16 << 20;
const HASH_DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };
const COMPILE = "pip-compile --generate-hashes writes one that is pinned and whole";

/** Normalised name of a Python project (PEP 503, "Normalized Names"). */
export function pythonName(name: string): string {
  return name.replace(/[-_.]+/g, "-").toLowerCase();
}

/** A purl of the Python package index. */
export function pythonPurl(name: string, version: string | undefined, qualifiers: Record<string, string> = {}): string {
  return purl("pypi", undefined, pythonName(name), version, qualifiers);
}

/**
 * The pinned requirements. Environment markers are not evaluated: what is
 * needed on another platform is listed too. A requirement with one hash has
 * that checksum; with several, each is of another file (platforms, sdist), and
 * which one is taken is not known here: none is given. Refused, each with its
 * line: files that include others, editable installs, what is not pinned or
 * has no hash. Throws `input` or `limit`.
 */
export function requirementsMaterials(source: Uint8Array | string, what: string): Material[] {
  return materialList(
    [...pinnedRequirements(source, what).values()].map(({ material, hashes }) => ({
      ...material,
      checksums: soleChecksum(hashes),
    })),
    what,
  );
}

/** By purl, the hashes (`algorithm:digits`) of which a file must have one. Throws as `requirementsMaterials` does. */
export function requirementsHashes(source: Uint8Array | string, what: string): Map<string, Set<string>> {
  return new Map([...pinnedRequirements(source, what)].map(([purl, { hashes }]) => [purl, hashes]));
}

interface Pinned {
  material: Material;
  hashes: Set<string>;
}

function pinnedRequirements(source: Uint8Array | string, what: string): Map<string, Pinned> {
  const pinned = new Map<string, Pinned>();
  for (const { text, line } of logicalLines(source, what)) {
    const place = `${what}:${line}`;
    if (text.startsWith("-")) {
      refuseOption(text, place);
      continue;
    }
    const material = requirement(text, place);
    const purl = material.purl ?? "";
    const hashes = pinned.get(purl)?.hashes ?? new Set();
    for (const hash of hashesOf(text, place)) hashes.add(hash);
    pinned.set(purl, { material, hashes });
    if (pinned.size > MAX_MATERIALS) throw new BitforbitError("limit", `${what}: more than ${MAX_MATERIALS} lines`);
  }
  return pinned;
}

/** The checksum when there is just one; `hashes` are `algorithm:digits`. */
export function soleChecksum(hashes: Iterable<string>): Checksums {
  const all = [...hashes];
  if (all.length !== 1) return {};
  const [algorithm = "", digits = ""] = (all[0] ?? "").split(":");
  return { [algorithm]: digits } as Checksums;
}

/** `sha256:…` in lower case, or undefined when it is not a hash that we take. */
export function pythonHash(text: string): string | undefined {
  const [, algorithm = "", digits = ""] = /^(sha(?:256|384|512))[:=]([0-9A-Fa-f]+)$/.exec(text) ?? [];
  return digits.length === HASH_DIGITS[algorithm] ? `${algorithm}:${digits.toLowerCase()}` : undefined;
}

/** Comments out, lines that end in a backslash joined; `line` counts from 1. */
function logicalLines(source: Uint8Array | string, what: string): { text: string; line: number }[] {
  if (source.length > MAX_BYTES) throw new BitforbitError("limit", `${what}: larger than ${MAX_BYTES} bytes`);
  const whole = typeof source === "string" ? source : utf8Text(source);
  if (whole === undefined) throw new BitforbitError("input", `${what}: not UTF-8`);
  const found: { text: string; line: number }[] = [];
  let parts: string[] = [];
  let start = 1;
  for (const [index, raw] of whole
    .replace(/^\ufeff/, "")
    .split(/\r\n|\r|\n/)
    .entries()) {
    if (parts.length === 0) start = index + 1;
    const bare = raw.replace(/(?:^|\s)#.*$/, "");
    const goesOn = bare.endsWith("\\") || (parts.length > 0 && /^\s*#/.test(raw));
    parts.push(goesOn ? bare.replace(/\\$/, "") : bare);
    if (goesOn) continue;
    const text = parts.join(" ").replace(/\s+/g, " ").trim();
    if (text !== "") found.push({ text, line: start });
    parts = [];
  }
  const rest = parts.join(" ").trim();
  if (rest !== "") throw new BitforbitError("input", `${what}:${start}: the last line ends in a backslash`);
  return found;
}

function refuseOption(text: string, place: string): void {
  const option = /^--?[A-Za-z-]*/.exec(text)?.[0] ?? text;
  if (/^(?:-r|--requirement|-c|--constraint)/.test(text)) {
    throw new BitforbitError("input", `${place}: ${option} includes another file, which is not read`, {
      hint: `${COMPILE}; name that one in lockfiles`,
    });
  }
  if (/^(?:-e|--editable)/.test(text)) {
    throw new BitforbitError("input", `${place}: an editable install cannot be pinned`, { hint: COMPILE });
  }
}

const NAME = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*/;

function requirement(text: string, place: string): Material {
  const bare = text.replace(/\s--[a-z-]+(?:=|\s).*$/, "").trim();
  const name = NAME.exec(bare);
  const fail = (reason: string): never => {
    throw new BitforbitError("input", `${place}: ${JSON.stringify(bare.slice(0, 120))} ${reason}`, { hint: COMPILE });
  };
  if (name === null) return fail("is not a requirement");
  const rest = bare.slice(name[0].length);
  const known = { kind: "dependency", name: pythonName(name[1] ?? ""), checksums: {} } as const;
  const address = /^@\s*(\S+)/.exec(rest)?.[1];
  if (address !== undefined) {
    return { ...known, purl: pythonPurl(known.name, undefined, { download_url: address.replace(/#.*$/, "") }) };
  }
  const version = /^\(?={2,3}\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*\)?\s*(?:;.*)?$/.exec(rest)?.[1];
  if (version === undefined) return fail("is not pinned with ==");
  return { ...known, purl: pythonPurl(known.name, version), version };
}

function hashesOf(text: string, place: string): string[] {
  const hashes = [...text.matchAll(/(?<=\s)--hash(?:=|\s+)(\S+)/g)].map(([, hash = ""]) => {
    const known = pythonHash(hash);
    if (known === undefined)
      throw new BitforbitError("input", `${place}: ${JSON.stringify(hash.slice(0, 100))} is not a hash`);
    return known;
  });
  if (hashes.length > 0) return hashes;
  throw new BitforbitError("input", `${place}: ${JSON.stringify(text.slice(0, 120))} has no --hash`, { hint: COMPILE });
}
