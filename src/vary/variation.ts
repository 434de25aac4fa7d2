import type { CauseName, World } from "../world.ts";

/** Real time during which a build ran, epoch milliseconds. */
export interface BuildTimes {
  start: number;
  end: number;
}

/** `certain`: nothing else writes that; `likely`; `weak`: worth saying only when nothing better was found. */
export type Confidence = "certain" | "likely" | "weak";

export interface Match {
  /** Into the bytes that were searched. */
  offset: number;
  length: number;
  /** What was found, for showing. */
  text: string;
  confidence: Confidence;
}

/** A value of one world in one family of encodings, and how to find it in bytes. */
export interface Watermark {
  cause: CauseName;
  /** "host name 'x' as UTF-8": what a person reads when it was found. */
  label: string;
  confidence: Confidence;
  /** At most MAX_MATCHES matches in ascending order. Reads each byte a bounded number of times. */
  find(bytes: Uint8Array): Match[];
}

/** One way in which worlds differ. Adding a way is adding one file with one of these. */
export interface Variation {
  name: CauseName;
  /** How the sandbox makes the worlds differ. This, `shows`, `beyond` and `remedy` are what docs/variations.md says. */
  how: string;
  /** What it leaves in bytes, and in which encodings that is searched. */
  shows: string;
  /** What it cannot reach, and what is therefore not covered. */
  beyond: string;
  /** "umask 0022 against 0002"; empty when the two worlds agree. */
  describe(a: World, b: World): string;
  /** `world` with what this varies taken from `other`: the two then agree in it. */
  take(world: World, other: World): World;
  /** `world` with what this varies held still, where a canonical world leaves it to the machine. */
  hold?(world: World): World;
  /** Not part of the adversarial world unless it is asked for by name: it costs too much, or breaks what builds rely on. */
  optional?: true;
  /** Of an optional one: "all" does not ask for it, only its own name does. */
  slow?: true;
  /** What to look for in what was built in `world`. */
  watermarks(world: World, times: BuildTimes): Watermark[];
  /** What to change in the project, in one or two lines. */
  remedy: string;
}

export const MAX_MATCHES = 64;

/** The differing values, or nothing when they are the same. */
export function against(what: string, a: string, b: string): string {
  return a === b ? "" : `${what} ${a} against ${b}`;
}

/** Fields of a world that may be absent: the machine's own way then holds. */
type Optional = { [Key in keyof World]-?: undefined extends World[Key] ? Key : never }[keyof World];

/** `world` with the field `key` as `other` has it, absent where it is absent there. */
export function withField(world: World, other: World, key: Optional): World {
  const { [key]: value } = other;
  const rest = Object.fromEntries(Object.entries(world).filter(([name]) => name !== key)) as unknown as World;
  return value === undefined ? rest : { ...rest, [key]: value };
}
