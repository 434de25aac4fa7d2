/** What a long run is about: which build of about how many, in what world, and the time that is left. */
import { type Clock, systemClock } from "../clock.ts";
import type { BuildEvent } from "../flow/builds.ts";
import { duration, type Terminal } from "./terminal.ts";

export interface ProgressOptions {
  /** Builds that are certain; undefined: a difference takes as many as it takes. */
  total?: number;
  /** Milliseconds for what comes after the first two builds. */
  budget: number;
  clock?: Clock;
}

/** Builds that a difference takes in the middle of many projects. */
const USUAL_BUILDS = 20;
/** Where there is no line to replace, a line is worth this many milliseconds of silence. */
const SILENCE = 10_000;
const LONG_SILENCE = 60_000;

/** Shown on a terminal in one line that is replaced; elsewhere in plain lines, seldom; never in the answer. */
export class BuildProgress {
  readonly #terminal: Pick<Terminal, "live" | "progress" | "say">;
  readonly #options: ProgressOptions;
  readonly #clock: Clock;
  readonly #running = new Map<string, number>();
  #begun = 0;
  #ended = 0;
  #explaining: number | undefined;
  #last: number;
  #output = "";
  readonly #timer: NodeJS.Timeout;

  constructor(terminal: Pick<Terminal, "live" | "progress" | "say">, options: ProgressOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#last = this.#clock.elapsed();
    this.#timer = setInterval(() => this.tick(), 1000).unref();
  }

  build({ world, what }: BuildEvent): void {
    if (what === "begins") this.#running.set(world.name, this.#clock.elapsed());
    if (what !== "ends") this.#begun++;
    if (what !== "begins") {
      this.#running.delete(world.name);
      this.#ended++;
    }
    if (this.#ended === 2) this.#explaining ??= this.#clock.elapsed();
    this.#output = "";
    if (what === "begins") this.#show(SILENCE);
  }

  /** A line that a build printed. */
  output(world: string, line: string): void {
    this.#output = `${world}: ${line}`;
    if (this.#terminal.live) this.#show(SILENCE);
  }

  /** Once a second: the time goes on though nothing else does. */
  tick(): void {
    if (this.#running.size > 0) this.#show(LONG_SILENCE);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#terminal.progress(undefined);
  }

  #show(silence: number): void {
    const line = this.#line();
    if (this.#terminal.live) return this.#terminal.progress(this.#output === "" ? line : `${line} · ${this.#output}`);
    const now = this.#clock.elapsed();
    if (now - this.#last < silence) return;
    this.#last = now;
    this.#terminal.say(`  ${line}`);
  }

  #line(): string {
    const now = this.#clock.elapsed();
    const first = this.#begun - this.#running.size + 1;
    const numbers = this.#running.size > 1 ? `builds ${first} to ${this.#begun}` : `build ${this.#begun}`;
    const worlds = [...this.#running].map(([name, since]) => {
      const seconds = Math.floor((now - since) / 1000);
      return seconds === 0 ? shortened(name) : `${shortened(name)} (${duration(seconds * 1000)})`;
    });
    const left = this.#explaining === undefined ? [] : [timeLeft(this.#options.budget - (now - this.#explaining))];
    return [`${numbers}${this.#about()}`, worlds.join(" | "), ...left].join(" · ");
  }

  #about(): string {
    const { total } = this.#options;
    if (total !== undefined && this.#begun <= total) return ` of ${total}`;
    return this.#explaining !== undefined && this.#begun <= USUAL_BUILDS ? ` of about ${USUAL_BUILDS}` : "";
  }
}

const timeLeft = (milliseconds: number): string =>
  milliseconds <= 0 ? "no time left: the last builds" : `${duration(milliseconds)} of the budget left`;

const MAX_NAME = 40;

/** The name of an experiment's world lists what varies in it. */
function shortened(name: string): string {
  if (name.length <= MAX_NAME) return name;
  const parts = name.split("+");
  return parts.length > 2 ? `${parts[0]}+…+${parts.at(-1)} (${parts.length} vary)` : `${name.slice(0, MAX_NAME)}…`;
}
