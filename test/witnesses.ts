/** Witnesses with keys of their own, which cosign whatever they are shown at the time that they are told. */
import { COSIGNATURE, cosignatureLine } from "../src/format/cosignature.ts";
import { type VerifierKey, verifierKeyText } from "../src/format/note.ts";
import { noteText } from "../src/log/checkpoint.ts";
import type { Cosign } from "../src/log/writer.ts";
import { signerOf } from "./logs.ts";

export interface TestWitness {
  key: VerifierKey;
  /** As a policy lists it. */
  listed: string;
  /** Its line under a note, at a time in milliseconds since 1970. */
  line(note: string, at: number): Promise<string>;
}

export function testWitness(name: string, seed: string = name): TestWitness {
  const { raw, sign } = signerOf(`witness ${seed}`);
  const key = { name, type: COSIGNATURE, publicKey: raw };
  return {
    key,
    listed: verifierKeyText(key),
    line: async (note, at) => await cosignatureLine(noteText(note), Math.floor(at / 1000), key, sign),
  };
}

export function cosigning(witnesses: readonly TestWitness[], at: number): Cosign {
  return async ({ note }) => note + (await Promise.all(witnesses.map((one) => one.line(note, at)))).join("");
}
