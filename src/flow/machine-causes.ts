/** What about a virtual machine a difference comes from: its processor, its memory, or that it is one. */
import type { Attribution, Place } from "../explain/group-testing.ts";
import type { CauseName, World } from "../world.ts";

/** Less than what a strange machine has, and enough to build in. */
const OTHER_MEMORY = 2203 * 2 ** 20;

/** Worlds with another processor, and with other memory, than `world` has. */
export function otherMachines(world: World): { cause: CauseName; world: World }[] {
  const { machine } = world;
  if (machine === undefined) return [];
  return [
    {
      cause: "cpu-model",
      world: { ...world, name: "another processor", machine: { ...machine, processor: "full" } },
    },
    {
      cause: "memory",
      world: { ...world, name: "another memory", machine: { ...machine, memoryBytes: OTHER_MEMORY } },
    },
  ];
}

/**
 * Puts the cause that was found in the place of `machine`, wherever that is blamed: what differs between two machines that
 * differ in one thing comes from that. What none of them changes stays with the machine: its kernel, its clock.
 */
export function nameMachineCauses(
  attribution: Attribution,
  differing: ReadonlyMap<CauseName, ReadonlySet<Place>>,
): void {
  for (const [place, sets] of attribution) {
    const found = [...differing].filter(([, places]) => places.has(place)).map(([cause]) => cause);
    if (found.length === 0) continue;
    const told = sets.flatMap((set) =>
      set.includes("machine") ? found.map((cause) => set.map((name) => (name === "machine" ? cause : name))) : [set],
    );
    attribution.set(place, [...new Map(told.map((set) => [set.join(" "), set])).values()]);
  }
}
