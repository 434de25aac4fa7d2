import type { ByteSource } from "../bytesource.ts";
import type { Parse } from "../format/part.ts";
import { looksLikeJson } from "../format/text-kinds.ts";

/** A format that `diff` looks into: told by its first bytes, its parser loaded only when it is met. */
export interface FormatEntry {
  /** What it is called on screen and in documents: "ELF", "Java class". */
  name: string;
  /**
   * A quick look at the first 4 KiB (fewer in a smaller file). `name` is the
   * file's name, or that of the member, for what has no magic number: the
   * parser then throws when the content is something else, and it is compared
   * as text or bytes.
   */
  looksLike(start: Uint8Array, name: string, source: ByteSource): boolean;
  load(): Promise<Parse>;
}

/** In the order in which they are tried: the more specific before the more general. */
export const FORMATS: readonly FormatEntry[] = [
  // Packages and archives.
  // File systems and images.
  // Programs and libraries.
  // Code and data of runtimes.
  // Documents, pictures, keys.
  // Models and arrays.
  // Structured text.
  { name: "JSON", looksLike: looksLikeJson, load: async () => (await import("../format/json.ts")).jsonParts },
];
