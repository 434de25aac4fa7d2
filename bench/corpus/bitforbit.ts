/** The command line, as a user has it. */
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";

const ROOT = resolve(import.meta.dirname, "../..");
const PROGRAM = join(ROOT, "bin/bitforbit");

/** Of schemas/{init,lock,check,fix,error}.schema.json what is used here. */
export interface Document {
  verdict?: string;
  environment?: string;
  materials?: number;
  causes?: { name: string; confidence?: string }[];
  worlds?: { name: string; failure?: string; log?: string }[];
  outputs?: { path: string; digest: string }[];
  builds?: number;
  /** Variations that break the build. */
  breaks?: string[][];
  /** Of fix. */
  tried?: { remedy: string; says: string; outcome: string; helped: boolean }[];
  stopped?: string;
  error?: { code: string; message: string };
}

export interface Ran {
  code: number | null;
  document: Document;
  seconds: number;
  /** The last of what it said to people. */
  said: string;
}

export type Bitforbit = (folder: string, args: readonly string[]) => Promise<Ran>;

/** Ended after `seconds`, as Ctrl-C ends it, so that it takes its builds with it. */
export function bitforbitWithin(seconds: number): Bitforbit {
  return async (folder, args) => {
    const began = performance.now();
    return await new Promise((done, fail) => {
      const child = spawn(PROGRAM, [...args, "--json"], {
        cwd: folder,
        env: { ...process.env, NO_COLOR: "1", BITFORBIT_HOME: join(folder, ".bitforbit") },
        timeout: seconds * 1000,
        killSignal: "SIGINT",
        stdio: ["ignore", "pipe", "pipe"],
      });
      let [stdout, said] = ["", ""];
      child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
      child.on("error", fail);
      child.on("close", (code) => {
        done({ code, document: documentOf(stdout, said), said, seconds: (performance.now() - began) / 1000 });
      });
    });
  };
}

function documentOf(stdout: string, said: string): Document {
  try {
    return JSON.parse(stdout) as Document;
  } catch {
    return { error: { code: "none", message: said.trim().split("\n").at(-1) ?? "no document and no words" } };
  }
}

/** Says that something failed, and not what. */
const HOLLOW = /^make(\[\d+\])?: \*\*\*|Error 2$|^Picked up|COMPILATION ERROR/;
const TELLING = /\berror\b|cannot|can't|not found|no such|failed|unmet|undefined reference|refuse/i;

/** Why it failed, in a line: what bitforbit said, and the first line of the script's or build's log that tells. */
export function reasonOf({ code, document }: Ran): string {
  const world = document.worlds?.find(({ failure }) => failure !== undefined);
  const [words = "", ...rest] = (document.error?.message ?? world?.failure ?? `exit code ${code}`).split("\n");
  const log = [...rest, ...(world?.log?.split("\n") ?? [])].map((line) => line.trim());
  const telling = log.find((line) => TELLING.test(line) && !HOLLOW.test(line));
  return withoutAddresses([words, ...(telling === undefined ? [] : [telling])].join(": ")).slice(0, 300);
}

/** Results are published: they name no host of a registry and no folder of this machine. */
export function withoutAddresses(text: string): string {
  return text
    .replace(/\b[a-z][a-z+]*:\/\/[^\s/"')]+/g, "(registry)")
    .replaceAll(process.env["HOME"] ?? "\0", "~")
    .replace(/\/(?:tmp|var\/tmp|work)\/[^\s:"')]*/g, "(folder)");
}
