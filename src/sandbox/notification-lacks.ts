import { getSystemErrorName } from "node:util";
import type { Lack, World } from "../world.ts";

/** What a shifted clock did not reach. */
const STATIC_CLOCK = "clock: static programs under the real clock";
const REAL_RANDOM = "random: programs had the kernel's random numbers";

/** What a world asks for that only answers to system calls could give, where there are none. */
export function unansweredLacks(world: World, shiftsClock: boolean): Lack[] {
  const remedy = "install a C compiler, and use Linux 5.19 or later where seccomp and ptrace are allowed";
  return [
    ...(shiftsClock ? [{ what: STATIC_CLOCK, remedy, causes: ["clock" as const] }] : []),
    ...(world.random === undefined ? [] : [{ what: REAL_RANDOM, remedy, causes: ["random" as const] }]),
    ...(world.schedule === undefined
      ? []
      : [{ what: "race: programs started without delays", remedy, causes: ["race" as const] }]),
  ];
}

/** What the account of the process that answers (notifications.ts) says of programs whose start it could not rewrite. */
export function startLacks(account: string, world: World): Lack[] {
  const refused = Number(/\brefused=(\d+)/.exec(account)?.[1] ?? 0);
  if (refused === 0) return [];
  const why = getSystemErrorName(-Number(/\bwhy=(\d+)/.exec(account)?.[1] ?? 1));
  const how = ` (${refused} starts, ${why})`;
  const remedy =
    why === "ENOSYS"
      ? "use Linux 5.19 or later"
      : "allow ptrace of own processes: sysctl -w kernel.yama.ptrace_scope=1";
  if (world.random === undefined) return [{ what: STATIC_CLOCK + how, remedy, causes: ["clock"] }];
  return [{ what: REAL_RANDOM + how, remedy, causes: ["random"] }];
}
