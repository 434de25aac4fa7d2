import { spawn } from "node:child_process";
import { BitforbitError, systemCode } from "./errors.ts";

export interface Ran {
  exitCode: number;
  stdout: Uint8Array;
  stderr: string;
}

/**
 * Runs a program of this machine that we trust (git, apt-get, a package
 * manager's own client), never a project's build: that is `sandbox/`. No shell;
 * output is bounded. Throws `lacking` when the program is not installed.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: {
    cwd?: string;
    env?: Readonly<Record<string, string | undefined>>;
    input?: Uint8Array | string;
    maxBytes?: number;
    timeoutMilliseconds?: number;
  } = {},
): Promise<Ran> {
  const maxBytes = options.maxBytes ?? 64 << 20;
  return await new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // Node's own timer goes on, and keeps us alive, when the program is not there.
    const { timeoutMilliseconds: limit } = options;
    const timer = limit === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), limit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    const take = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        child.kill("SIGKILL");
        reject(new BitforbitError("limit", `${program} printed more than ${maxBytes} bytes`));
        return;
      }
      into.push(chunk);
    };
    child.stdout?.on("data", take(out));
    child.stderr?.on("data", take(err));
    child.on("error", (error) => {
      clearTimeout(timer);
      if (systemCode(error) === "ENOENT") {
        reject(
          new BitforbitError("lacking", `${program} is not installed`, {
            cause: error,
            hint: `install ${program}, then run again`,
          }),
        );
      } else {
        reject(error);
      }
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({
        exitCode: code ?? -1,
        stdout: new Uint8Array(Buffer.concat(out)),
        stderr: Buffer.concat(err).toString(),
      });
    });
    if (options.input !== undefined) {
      child.stdin?.on("error", () => child.stdin?.destroy());
      child.stdin?.end(options.input);
    }
  });
}
