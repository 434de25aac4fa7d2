import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type ByteSource, memorySource, openSource } from "../bytesource.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import type { Sink } from "./inflation.ts";

/** Content that was produced, to be read until it is closed. */
export interface Spooled {
  source: ByteSource;
  close(): void;
}

/**
 * Keeps what `produce` gives: in memory up to `inMemory` bytes, beyond that in
 * a file of its own in `folder`, mode 0600, that is gone after `close`.
 */
export async function spool(
  folder: string,
  name: string,
  produce: (sink: Sink) => Promise<unknown>,
  inMemory: number = 16 << 20,
): Promise<Spooled> {
  const parts: Uint8Array[] = [];
  let size = 0;
  let path: string | undefined;
  let descriptor = -1;
  const write = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  };
  const discard = (): void => {
    if (descriptor >= 0) closeSync(descriptor);
    if (path !== undefined) rmSync(path, { force: true });
  };
  try {
    await produce((chunk) => {
      size += chunk.length;
      if (descriptor >= 0) return write(chunk);
      parts.push(chunk);
      if (size <= inMemory) return;
      mkdirSync(folder, { recursive: true });
      path = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
      descriptor = openSync(path, "wx", 0o600);
      for (const part of parts.splice(0)) write(part);
    });
  } catch (error) {
    discard();
    throw error;
  }
  if (path === undefined) return { source: memorySource(new Uint8Array(Buffer.concat(parts)), name), close: () => {} };
  closeSync(descriptor);
  descriptor = -1;
  const file = openSource(path, name);
  // Unlinked while open: nothing is left behind, however the process ends.
  rmSync(path, { force: true });
  return { source: file, close: () => file.close() };
}
