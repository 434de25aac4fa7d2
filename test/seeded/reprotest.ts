/**
 * The same projects under reprotest's own search for the variations that break a build:
 * `reprotest --auto-build`, with every variation but that of the user, which needs sudo and a second user.
 */
import { spawn, spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";
import type { CauseName } from "../../src/world.ts";
import { BUILD_ENVIRONMENT, type Case, outputsOf } from "./generate.ts";

export interface PeerScore {
  named: CauseName[];
  found: number;
  missed: number;
  extra: number;
  builds: number;
  seconds: number;
  /** Whether it called the project reproducible, named something, or gave up. */
  said: "reproducible" | "named" | "gave up" | "failed";
}

/** What its variations are called here. */
const CAUSES: Readonly<Record<string, CauseName>> = {
  environment: "environment",
  build_path: "path",
  kernel: "kernel",
  aslr: "aslr",
  num_cpus: "cpu-count",
  time: "clock",
  fileordering: "readdir-order",
  domain_host: "hostname",
  home: "user",
  locales: "locale",
  exec_path: "environment",
  timezone: "timezone",
  umask: "umask",
};

/** rustc never ends under libfaketime, by which it varies the time. */
export const canReprotest = ({ language }: Case): boolean => language !== "rust";

export const hasReprotest = (): boolean =>
  spawnSync("sh", ["-c", "command -v reprotest && command -v faketime && command -v disorderfs"]).status === 0;

/** Runs it over the project in `folder`. */
export async function reprotest(one: Case, folder: string): Promise<PeerScore> {
  const began = performance.now();
  const variables = Object.entries(BUILD_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const command = `env ${variables.join(" ")} SOURCE_DATE_EPOCH=1709374830 sh -eu build.sh`;
  const words = ["--auto-build", "--vary=-user_group", "--no-diffoscope", "-v", "-c", command, folder];
  const text = await output("reprotest", [...words, `${outputsOf(one)}/*`]);
  const listed = /Observed unreproducibility when varying each of the following:\n(.*)/.exec(text)?.[1] ?? "";
  const causes = listed.split(" ").flatMap((name) => CAUSES[name] ?? []);
  const named = [...new Set(causes)].sort();
  const truth = one.breaks === undefined ? one.causes : [one.breaks];
  const found = truth.filter((cause) => named.includes(cause)).length;
  return {
    named,
    found,
    missed: truth.length - found,
    extra: named.filter((cause) => !truth.includes(cause) && !one.also.includes(cause)).length,
    builds: text.match(/^INFO:reprotest:build "/gm)?.length ?? 0,
    seconds: (performance.now() - began) / 1000,
    said: text.includes("Reproducible, even when")
      ? "reproducible"
      : text.includes("Not reproducible, even when")
        ? "gave up"
        : named.length > 0
          ? "named"
          : "failed",
  };
}

async function output(program: string, args: readonly string[]): Promise<string> {
  return await new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: 600_000 });
    let text = "";
    const add = (chunk: Buffer): void => void (text += chunk.toString());
    child.stdout.on("data", add);
    child.stderr.on("data", add);
    child.on("error", fail);
    child.on("close", () => done(text));
  });
}
