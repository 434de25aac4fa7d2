import { fstatSync, writeSync } from "node:fs";
import { systemCode } from "../errors.ts";

/**
 * stdout or stderr. Written to by its descriptor, because Node's own streams
 * take milliseconds to load, and on Linux wait for the reader just the same; by
 * Node's where that does not wait, and for terminals.
 */
export interface Output {
  write(chunk: string | Uint8Array): void;
}

export const stdout: Output = { write: (chunk) => write(1, chunk) };
export const stderr: Output = { write: (chunk) => write(2, chunk) };

/** Node's own streams, once they are used: then nothing may overtake what they hold. */
const streams: { 1?: NodeJS.WriteStream; 2?: NodeJS.WriteStream } = {};

/** Node's stdout or stderr, for what writes there by itself and for the size of the screen. */
export function streamOf(descriptor: 1 | 2): NodeJS.WriteStream {
  const known = streams[descriptor];
  if (known !== undefined) return known;
  const stream = descriptor === 1 ? process.stdout : process.stderr;
  stream.on("error", (error) => failed(descriptor, error));
  streams[descriptor] = stream;
  return stream;
}

function write(descriptor: 1 | 2, chunk: string | Uint8Array): void {
  const stream = streams[descriptor];
  if (stream !== undefined) return void stream.write(chunk);
  const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  let at = 0;
  try {
    while (at < bytes.length) at += writeSync(descriptor, bytes, at);
  } catch (error) {
    // A pipe that does not wait for its reader.
    if (systemCode(error) === "EAGAIN") streamOf(descriptor).write(bytes.subarray(at));
    else failed(descriptor, error as Error);
  }
}

/** A reader that has seen enough (`| head -1`) ends the answer, not the work: a build goes on to its evidence. */
function failed(descriptor: 1 | 2, error: Error): void {
  if (systemCode(error) === "EPIPE" || descriptor === 2) return;
  stderr.write(`bitforbit: the answer cannot be written to stdout: ${error.message}\n`);
  process.exitCode = 4;
}

/** /dev/null: the one character device that output goes to and that is no terminal. */
const NULL_DEVICE = 0x103;

/** Whether a person reads there. Loads `node:tty` for character devices only: that takes milliseconds. */
export function isTerminal(descriptor: 1 | 2): boolean {
  try {
    const found = fstatSync(descriptor);
    if (!found.isCharacterDevice() || found.rdev === NULL_DEVICE) return false;
  } catch {
    // Closed.
    return false;
  }
  return process.getBuiltinModule("node:tty").isatty(descriptor);
}
