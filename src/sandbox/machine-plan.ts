import type { HostAbilities } from "./host.ts";
import { environmentOf, type SandboxSpec } from "./sandbox.ts";

/** Where the sandbox around a machine has what the machine is made of; hidden from the build. */
export const PARTS_FOLDER = "/machine-parts";

/** What the first process of the machine does, in the words of machine-init.ts. */
export function planOf(
  spec: SandboxSpec,
  host: HostAbilities,
  modules: readonly string[],
  trees: readonly { to: string }[],
): Uint8Array {
  const { world } = spec;
  const { user, clockHeld: held } = world;
  const cpus = Math.max(1, world.cpus ?? host.cpus.length);
  const range = cpus === 1 ? "0\n" : `0-${cpus - 1}\n`;
  const words = [
    ...modules.flatMap((name) => ["module", `/${name}`]),
    "host",
    world.hostname,
    "ids",
    String(user.uid),
    String(user.gid),
    "clock",
    String(world.clockOffset),
    held === undefined ? "-" : String(held),
    "hide",
    PARTS_FOLDER,
    "fresh",
    "/tmp",
    "1777",
    "root",
    "fresh",
    user.home,
    "0755",
    "own",
    "fresh",
    "/sys",
    "0755",
    "root",
    ...["online", "possible", "present"].flatMap((name) => ["file", `/sys/devices/system/cpu/${name}`, range]),
    ...trees.flatMap(({ to }, index) => ["tree", `tree${index}`, to]),
    ...(world.firstPid === undefined ? [] : ["first", String(world.firstPid)]),
    ...stepsOf(spec).flatMap((step) => ["step", step]),
    "directory",
    spec.directory,
    ...Object.entries(environmentOf(spec, host, {})).flatMap(([name, value]) => ["env", `${name}=${value}`]),
    ...spec.command.flatMap((word) => ["arg", word]),
  ];
  return new Uint8Array(Buffer.from(words.map((word) => `${word}\0`).join("")));
}

/** Of `enter`, inside the machine: the same that lead to a build without one, but for those that the machine itself takes over. */
function stepsOf({ world, limits }: SandboxSpec): string[] {
  const answers = [
    ...(world.clockHeld === undefined ? [] : ["clock", String(world.clockOffset), String(world.clockHeld)]),
    ...(world.random === undefined ? [] : ["random", String(world.random)]),
    ...(world.schedule === undefined ? [] : ["schedule", String(world.schedule)]),
  ];
  return [
    ...(answers.length === 0 ? [] : ["chain", "1", world.buildPath, ...answers]),
    "order",
    world.directoryOrder,
    "0",
    "umask",
    world.umask.toString(8).padStart(4, "0"),
    "limit",
    "core",
    "0",
    "limit",
    "nproc",
    String(limits.processes),
    ...(world.aslr ? [] : ["noaslr"]),
    ...(world.kernel === "2.6" ? ["uname26"] : []),
    ...(world.load === "busy" ? ["busy"] : []),
  ];
}
