import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { constants as osConstants } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable, Writable } from "node:stream";
import { killGroup } from "../child.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { ARGUMENTS_FD, LIFELINE_FD, STATUS_FD } from "./launch.ts";
import { CONTROL_FD, MAX_REQUEST, SAID } from "./starter-source.ts";

/** A chain of programs that shall become a sandbox. */
export interface ChainSpec {
  program: string;
  args: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Named pipe that takes stdout and stderr; its reader is there. */
  output: string;
  /** Named pipe that becomes descriptor 5. */
  gate: string;
  /** Contents of the descriptors from `ARGUMENTS_FD` on. */
  files: readonly Buffer[];
}

/** One that runs, as the leader of its own process group. */
export interface Chain {
  pid: number | undefined;
  /** What it writes to `STATUS_FD`. */
  status: Readable;
  /** Closed on our side, or by our death, it ends the chain: see `enter.ts`. */
  lifeline: Duplex;
  /** Why it could not be started; undefined when it ran and has ended. */
  ended: Promise<Error | undefined>;
}

/** Starts the chain: by the starter where there is one, otherwise from this process. `folder` is ours alone. */
export async function startChain(starter: string | undefined, folder: string, spec: ChainSpec): Promise<Chain> {
  const socket = join(folder, "starter");
  // sun_path, unix(7).
  if (starter === undefined || Buffer.byteLength(socket) > 107) return startHere(spec);
  const length =
    spec.args.reduce((sum, text) => sum + text.length, 0) + spec.files.reduce((sum, { length }) => sum + length, 0);
  if (length > MAX_REQUEST / 4) return startHere(spec);
  kept ??= new Starter(starter, socket, () => (kept = undefined));
  return await kept.start(spec);
}

let kept: Starter | undefined;

function startHere(spec: ChainSpec): Chain {
  const output = openSync(spec.output, constants.O_WRONLY);
  const gate = openSync(spec.gate, constants.O_RDWR);
  let child: ChildProcess;
  try {
    child = spawn(spec.program, spec.args, {
      cwd: "/",
      env: spec.environment,
      stdio: ["ignore", output, output, "pipe", "pipe", gate, ...spec.files.map(() => "pipe" as const)],
      detached: true,
    });
  } finally {
    closeSync(output);
    closeSync(gate);
  }
  const streams: readonly unknown[] = child.stdio;
  spec.files.forEach((content, index) => {
    const stream = streams[ARGUMENTS_FD + index] as Writable;
    stream.on("error", () => undefined);
    stream.end(content);
  });
  const ended = new Promise<Error | undefined>((resolve) => {
    child.once("error", resolve);
    child.once("exit", () => resolve(undefined));
  });
  return { pid: child.pid, status: streams[STATUS_FD] as Readable, lifeline: streams[LIFELINE_FD] as Duplex, ended };
}

/** A run that was asked for, until all that its chain consists of is there. */
class Run {
  readonly #started = Promise.withResolvers<Chain>();
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly #connections = new Map<number, Socket>();
  #pid: number | undefined;

  get chain(): Promise<Chain> {
    return this.#started.promise;
  }

  isStartedAs(pid: number): void {
    this.#pid = pid;
    this.#advance();
  }

  isConnected(descriptor: number, connection: Socket): void {
    this.#connections.set(descriptor, connection);
    this.#advance();
  }

  hasEnded(): void {
    this.#ended.resolve(undefined);
  }

  /** It can no longer be told what becomes of it: nothing of it shall live on. */
  fail(error: Error): void {
    // Whoever holds the other end of the lifeline ends all of it, and would be in the group that we could end.
    for (const connection of this.#connections.values()) connection.destroy();
    if (!this.#connections.has(LIFELINE_FD)) killGroup(this.#pid);
    this.#started.reject(error);
    this.#ended.resolve(error);
  }

  #advance(): void {
    const [pid, status, lifeline] = [this.#pid, this.#connections.get(STATUS_FD), this.#connections.get(LIFELINE_FD)];
    if (pid === undefined || status === undefined || lifeline === undefined) return;
    this.#started.resolve({ pid, status, lifeline, ended: this.#ended.promise });
  }
}

/** With which a connection begins: the number of the run, and that of the descriptor. */
const HELLO_BYTES = 5;
const SAID_BYTES = 9;

class Starter {
  readonly #socket: string;
  readonly #control: Socket;
  readonly #server: Server;
  readonly #listening: Promise<void>;
  readonly #runs = new Map<number, Run>();
  readonly #gone: () => void;
  #count = 0;
  #said = Buffer.alloc(0);

  /** `gone` is called when it has ended, whyever: it is of no more use. */
  constructor(program: string, socket: string, gone: () => void) {
    this.#socket = socket;
    this.#gone = gone;
    const child = spawn(program, [], { cwd: "/", env: {}, stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const streams: readonly unknown[] = child.stdio;
    this.#control = streams[CONTROL_FD] as Socket;
    this.#server = createServer((connection) => this.#greet(connection));
    rmSync(socket, { force: true });
    this.#listening = new Promise((resolve, reject) => {
      this.#server.once("error", reject).listen(socket, resolve);
    });
    this.#listening.catch((error: unknown) => this.#fail(messageOf(error)));
    child.once("error", (error) => this.#fail(error.message));
    child.once("exit", () => this.#fail("it ended"));
    this.#control.on("error", () => undefined);
    this.#control.on("data", (chunk: Buffer) => this.#hear(chunk));
    child.unref();
    this.#server.unref();
    this.#control.unref();
  }

  async start(spec: ChainSpec): Promise<Chain> {
    const number = ++this.#count;
    const run = new Run();
    this.#runs.set(number, run);
    // Until then nothing else keeps this process alive.
    this.#control.ref();
    await this.#listening;
    this.#control.write(requestFor(number, this.#socket, spec));
    return await run.chain;
  }

  #greet(connection: Socket): void {
    connection.on("error", () => undefined);
    connection.once("readable", () => {
      const hello = connection.read(HELLO_BYTES) as Buffer | null;
      const run = hello === null ? undefined : this.#runs.get(hello.readUInt32LE(0));
      if (hello === null || run === undefined) return void connection.destroy();
      run.isConnected(hello.readUInt8(4), connection);
    });
  }

  #hear(chunk: Buffer): void {
    this.#said = Buffer.concat([this.#said, chunk]);
    for (; this.#said.length >= SAID_BYTES; this.#said = this.#said.subarray(SAID_BYTES)) {
      const [what, number, value] = [this.#said.readUInt8(0), this.#said.readUInt32LE(1), this.#said.readInt32LE(5)];
      const run = this.#runs.get(number);
      if (what === SAID.started && value > 0) run?.isStartedAs(value);
      else if (what === SAID.started) run?.fail(cannotStart(errorName(-value)));
      else run?.hasEnded();
      if (what === SAID.ended || value <= 0) this.#forget(number);
    }
  }

  #forget(number: number): void {
    this.#runs.delete(number);
    if (this.#runs.size === 0) this.#control.unref();
  }

  #fail(why: string): void {
    this.#gone();
    this.#server.close();
    this.#control.destroy();
    for (const run of this.#runs.values()) run.fail(cannotStart(`what starts it is gone: ${why}`));
    this.#runs.clear();
  }
}

function cannotStart(why: string): BitforbitError {
  return new BitforbitError("lacking", `cannot start a sandbox: ${why}`);
}

function errorName(number: number): string {
  return Object.entries(osConstants.errno).find(([, one]) => one === number)?.[0] ?? `error ${number}`;
}

/** The request as starter-source.ts describes it. */
function requestFor(run: number, socket: string, spec: ChainSpec): Buffer {
  const variables = Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`);
  const command = [spec.program, ...spec.args];
  const strings = [socket, spec.output, spec.gate, ...variables, ...command].map((text) => Buffer.from(text));
  const parts: Buffer[] = [numbers(run, variables.length, command.length, spec.files.length)];
  for (const content of [...strings, ...spec.files]) parts.push(numbers(content.length), content);
  return Buffer.concat([numbers(parts.reduce((sum, part) => sum + part.length, 0)), ...parts]);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
}
