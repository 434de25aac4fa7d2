import { closeSync, openSync, writeSync } from "node:fs";

/**
 * A build's log, bounded: the first half of the bound is written as it comes,
 * the rest is kept in a ring so that the end survives too, and a line between
 * them says how many bytes were dropped. It never blocks the build.
 */
export class BoundedLog {
  readonly #file: number;
  readonly #tailBytes: number;
  #headLeft: number;
  #tail: Buffer[] = [];
  #tailSize = 0;
  #dropped = 0;
  #partial = "";
  readonly #onLine: ((line: string) => void) | undefined;

  /** Creates or empties the file at `path`. `bytes` bounds head and tail together. */
  constructor(path: string, bytes: number, onLine?: (line: string) => void) {
    this.#file = openSync(path, "w", 0o644);
    this.#headLeft = Math.ceil(bytes / 2);
    this.#tailBytes = Math.floor(bytes / 2);
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    if (this.#onLine !== undefined) this.#lines(chunk, this.#onLine);
    const head = chunk.subarray(0, this.#headLeft);
    if (head.length > 0) writeSync(this.#file, head);
    this.#headLeft -= head.length;
    const rest = chunk.subarray(head.length);
    if (rest.length === 0) return;
    this.#tail.push(Buffer.from(rest));
    this.#tailSize += rest.length;
    while (this.#tailSize > this.#tailBytes) {
      const first = this.#tail[0] ?? Buffer.alloc(0);
      const excess = Math.min(first.length, this.#tailSize - this.#tailBytes);
      if (excess === first.length) this.#tail.shift();
      else this.#tail[0] = first.subarray(excess);
      this.#tailSize -= excess;
      this.#dropped += excess;
    }
  }

  /** Lines longer than 8 KiB are handed on in pieces; of a log beyond its bound, one line a chunk. */
  #lines(chunk: Buffer, onLine: (line: string) => void): void {
    const shown = this.#dropped === 0 ? chunk : chunk.subarray(-512);
    const lines = (this.#partial + shown.toString("utf8")).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of this.#dropped === 0 ? lines : lines.slice(-1)) onLine(line);
    if (this.#partial.length > 8192) {
      onLine(this.#partial);
      this.#partial = "";
    }
  }

  /** Writes the tail and closes the file; tells whether something was dropped. */
  end(): { truncated: boolean } {
    if (this.#partial !== "") this.#onLine?.(this.#partial);
    if (this.#dropped > 0) {
      writeSync(this.#file, `\n[bitforbit: ${this.#dropped} bytes of output were dropped here]\n`);
    }
    for (const chunk of this.#tail) writeSync(this.#file, chunk);
    closeSync(this.#file);
    this.#tail = [];
    return { truncated: this.#dropped > 0 };
  }
}
