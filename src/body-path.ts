import { join } from "node:path";
import { type Digest, hexOf } from "./digest.ts";

/** Where the bytes of a digest lie in a folder of bodies: `sha256/<first two digits>/<all 64 digits>`. */
export function bodyIn(folder: string, digest: Digest): string {
  const hex = hexOf(digest);
  return join(folder, "sha256", hex.slice(0, 2), hex);
}

/** The same in a cache, whose bodies environments and recordings share. */
export function bodyPath(cache: string, digest: Digest): string {
  return bodyIn(join(cache, "bodies"), digest);
}
