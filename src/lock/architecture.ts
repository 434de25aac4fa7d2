/** Whether this machine can run what a lock pins. */
import { BitforbitError } from "../errors.ts";
import type { LockedEnvironment } from "./environment.ts";

/** Node's names of architectures, as Debian and as container platforms write them. */
const NAMES: Readonly<Record<string, { debian: readonly string[]; platform: readonly string[] }>> = {
  x64: { debian: ["amd64", "i386"], platform: ["linux/amd64", "linux/386"] },
  ia32: { debian: ["i386"], platform: ["linux/386"] },
  arm64: { debian: ["arm64"], platform: ["linux/arm64", "linux/arm64/v8"] },
  arm: { debian: ["armhf", "armel"], platform: ["linux/arm", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"] },
  ppc64: { debian: ["ppc64el"], platform: ["linux/ppc64le"] },
  s390x: { debian: ["s390x"], platform: ["linux/s390x"] },
  riscv64: { debian: ["riscv64"], platform: ["linux/riscv64"] },
  loong64: { debian: ["loong64"], platform: ["linux/loong64"] },
};

/**
 * Throws `input` when a locked environment is of an architecture that this
 * machine does not run, naming both; `machine` is Node's word for it. Whoever
 * opens an environment asks first.
 */
export function requireArchitecture(environment: LockedEnvironment, machine: string = process.arch): void {
  if (environment.type === "host") return;
  const names = NAMES[machine];
  const [locked, runs] =
    environment.type === "debian" ? [environment.architecture, names?.debian] : [environment.platform, names?.platform];
  if (runs?.includes(locked) === true) return;
  throw new BitforbitError("input", `bitforbit.lock is for ${locked}, and this machine is ${runs?.[0] ?? machine}`, {
    hint: "build on a machine of that architecture, or set the recipe's own and run 'bitforbit lock'",
  });
}
