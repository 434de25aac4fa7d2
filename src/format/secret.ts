import { createHash } from "node:crypto";
import type { Part } from "./part.ts";

/**
 * A value that must not be shown, such as a private key: that it differs is
 * told by its SHA-256. Only for what nobody can guess and try.
 */
export function secretPart(key: string, bytes: Uint8Array, offset: number, length: number): Part {
  return {
    key,
    kind: "content",
    offset,
    length,
    decode: {
      name: "sha-256",
      run: (sink) => {
        const digest = createHash("sha256")
          .update(bytes.subarray(offset, offset + length))
          .digest("hex");
        sink(new Uint8Array(Buffer.from(`private, shown by its SHA-256: ${digest}\n`)));
        return Promise.resolve();
      },
    },
  };
}
