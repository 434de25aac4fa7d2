/** Which log a command is about: this home's own, or another in a folder or at an address. */
import { lstat, readFile } from "node:fs/promises";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { parseVerifierKey, ED25519 } from "../format/note.ts";
import { ed25519Pem, parseSpki } from "../format/spki.ts";
import { publicKeys } from "../keys/keys.ts";
import { LogAddress } from "../log/address.ts";
import { LogFolder } from "../log/folder.ts";
import { type LogReader, readLog } from "../log/reader.ts";
import type { TileSource } from "../log/source.ts";
import type { Options } from "./program.ts";
import { nearestHome, text } from "./project.ts";

const MAX_KEY_BYTES = 16 << 10;

/** A public key of a log; the origin is known when it was given as a verifier key. */
export interface LogKey {
  pem: string;
  origin?: string;
}

/** The log that `--log` names, or `place`; without either, the nearest home's own. */
export async function namedLog(options: Options, place?: string): Promise<LogReader> {
  const named = place ?? text(options, "log");
  const key = await namedKey(options);
  if (named === undefined) {
    const home = await nearestHome(".", options);
    const { pem, origin } = key ?? { pem: (await publicKeys(home.root)).checkpoint.pem };
    return await readLog(new LogFolder(home.log), pem, origin);
  }
  if (key === undefined) {
    throw new BitforbitError("usage", `--log-key is missing: whose log is ${named}?`, {
      hint: "its public key as PEM ('bitforbit keys export --role checkpoint') or as a verifier key ('bitforbit log key')",
    });
  }
  return await readLog(tilesAt(named), key.pem, key.origin);
}

export function tilesAt(place: string): TileSource {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(place) ? new LogAddress(place) : new LogFolder(place);
}

export async function namedKey(options: Options): Promise<LogKey | undefined> {
  const file = text(options, "logKey");
  return file === undefined ? undefined : parseLogKey(await readSmall(file), file);
}

/** Reads a key of a log: one PEM block, or a verifier key of C2SP signed-note. Throws `input`, naming `what`. */
export function parseLogKey(content: string, what: string): LogKey {
  if (content.includes("-----BEGIN")) {
    const { algorithm } = parseSpki(content, what);
    if (algorithm !== "ed25519") throw new BitforbitError("input", `${what} is ${algorithm}; logs sign with ed25519`);
    return { pem: content };
  }
  const { name, type, publicKey } = parseVerifierKey(content);
  if (type !== ED25519) {
    throw new BitforbitError("input", `${what} is a key of type ${type}, a witness's perhaps; a log's is of type 1`);
  }
  return { pem: ed25519Pem(publicKey), origin: name };
}

/** A small text file that a person named. Throws `input`. */
export async function readSmall(file: string, most: number = MAX_KEY_BYTES): Promise<string> {
  try {
    const { size } = await lstat(file);
    if (size > most) throw new BitforbitError("limit", `${file} is larger than ${most} bytes`);
    return await readFile(file, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError(
      "input",
      `cannot read ${file}: ${code === "ENOENT" ? "it is not there" : messageOf(error)}`,
      { cause: error },
    );
  }
}
