/** A world in which nothing is varied, for tests of the sandbox. */
import type { World } from "../world.ts";

/** That world under a name, with what a test wants otherwise. */
export function plainWorld(name: string, otherwise: Partial<World> = {}): World {
  return {
    name,
    clockOffset: 0,
    startDelay: 0,
    buildPath: "/build/thing",
    hostname: "test-host",
    user: { name: "tester", uid: 1234, gid: 1235, group: "testers", fullName: "Test Er", home: "/home/tester" },
    timezone: "UTC",
    locale: "C.UTF-8",
    umask: 0o022,
    cpus: undefined,
    directoryOrder: "sorted",
    aslr: true,
    environment: {},
    ...otherwise,
  };
}
