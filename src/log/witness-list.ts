/** The file of a log's witnesses: who they are, where, and how many must cosign. */
import { base64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { cosignatureVerifier } from "../format/cosignature.ts";
import { type VerifierKey, parseVerifierKey } from "../format/note.ts";

const MAX_WITNESSES = 32;

export interface WitnessAt {
  key: VerifierKey;
  /** Submission prefix, without a slash at the end. */
  url: string;
}

export interface Witnesses {
  witnesses: WitnessAt[];
  quorum: number;
}

/** Parses the file of witnesses: `quorum N`, then a verifier key and an address a line; `#` begins a comment. Throws `input`. */
export function parseWitnesses(content: string, what: string): Witnesses {
  const witnesses: WitnessAt[] = [];
  let quorum: number | undefined;
  for (const [at, line] of content.split("\n").entries()) {
    const words = line
      .replace(/(?:^|\s)#.*$/, "")
      .trim()
      .split(/\s+/);
    const [first = "", second = ""] = words;
    if (first === "") continue;
    const place = `${what}, line ${at + 1}`;
    if (words.length !== 2)
      throw new BitforbitError("input", `${place}: not "quorum N", nor a verifier key and an address`);
    if (first === "quorum") {
      if (quorum !== undefined || !/^[1-9]\d?$/.test(second))
        throw new BitforbitError("input", `${place}: not one quorum from 1`);
      quorum = Number(second);
      continue;
    }
    const url = URL.canParse(second) ? new URL(second) : undefined;
    if (
      url === undefined ||
      !/^https?:$/.test(url.protocol) ||
      url.username + url.password + url.search + url.hash !== ""
    ) {
      throw new BitforbitError(
        "input",
        `${place}: not an http or https address: ${JSON.stringify(second.slice(0, 200))}`,
      );
    }
    const key = parseVerifierKey(first);
    cosignatureVerifier(key);
    if (witnesses.some((other) => base64(other.key.publicKey) === base64(key.publicKey))) {
      throw new BitforbitError("input", `${place}: the key of ${key.name} is there twice`);
    }
    witnesses.push({ key, url: url.href.replace(/\/+$/, "") });
  }
  if (witnesses.length > MAX_WITNESSES)
    throw new BitforbitError("limit", `${what}: more than ${MAX_WITNESSES} witnesses`);
  if (quorum === undefined || quorum > witnesses.length) {
    throw new BitforbitError(
      "input",
      `${what}: ${witnesses.length} witnesses and ${quorum === undefined ? "no quorum" : `a quorum of ${quorum}`}`,
      {
        hint: 'a line "quorum N" says how many of the witnesses must cosign before a checkpoint is published',
      },
    );
  }
  return { witnesses, quorum };
}
