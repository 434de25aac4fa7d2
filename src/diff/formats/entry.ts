import type { ByteSource } from "../../bytesource.ts";
import type { Parse } from "../../format/part.ts";

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
  /** It holds one content, compressed: two such formats can be compared by what they hold. */
  wraps?: true;
  /** Much else looks so too: that a content is something else is not worth a word. */
  guess?: true;
}
