/** The only file that draws on the machine's randomness; everything else is handed an `Entropy`. */
export interface Entropy {
  bytes(length: number): Uint8Array;
}

/** node:crypto is loaded when it is asked for: that takes a quarter of what Node itself takes to start. */
export const systemEntropy: Entropy = {
  bytes: (length) => new Uint8Array(process.getBuiltinModule("node:crypto").randomBytes(length)),
};

/** A name nobody else has: 128 random bits in hexadecimal. */
export function uniqueName(entropy: Entropy): string {
  return Buffer.from(entropy.bytes(16)).toString("hex");
}
