import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Cause } from "../explain/cause.ts";
import { type Edit, inSequence, withEdits, without } from "../explain/remedies/edit.ts";
import type { Texts } from "../explain/remedies/project.ts";
import type { Remedy } from "../explain/remedies/remedy.ts";
import { readLock } from "../lock/lock-file.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import type { CauseName } from "../world.ts";
import { check, type CheckOptions, type Verdict } from "./check.ts";
import { inScripts, remediesFor } from "./fix-choice.ts";
import { isNeeded, judge, type Judgement, type State, stateOf, worsened } from "./fix-judge.ts";
import { type ChangedFile, changedProject, changesOf, type Original, originalTexts, projectOf } from "./fix-texts.ts";
import { type PlacedEdit, placed } from "./fix-places.ts";
import type { Prepared } from "./prepare.ts";

/** A remedy that was tried, and what came of it. */
export interface Trial {
  cause: CauseName;
  remedy: string;
  says: string;
  /** `broke`: the build fails with it. `not-needed`: it helped, and the others do without it. */
  outcome: "helped" | "no-help" | "broke" | "not-needed";
  /** Why it was not kept. */
  because?: string;
  changes: PlacedEdit[];
}

export interface Fixed {
  before: Verdict;
  after: Verdict;
  trials: Trial[];
  /** In the project's folder: what is written. */
  files: ChangedFile[];
  /** Unified, of recipe and source. */
  diff: string;
  /** The project with the changes; its staged source lies in the caller's scratch. */
  prepared: Prepared;
  /** Builds of trials and of the verdicts before and after. */
  builds: number;
  /** Why it ended before everything was tried. */
  stopped?: "budget" | "builds" | "interrupted";
}

export interface FixOptions {
  host: HostAbilities;
  scratch: string;
  /** Milliseconds, for everything. */
  budget?: number;
  /** Builds of trials. */
  maxBuilds?: number;
  /** Mend this cause only. */
  cause?: CauseName;
  clock?: Clock;
  signal?: AbortSignal;
  /** What is done, in a line; and what came of each trial. */
  onProgress?: (line: string) => void;
  onTrial?: (trial: Trial) => void;
  /** Builds and judges: `check`, unless a test stands in for it. */
  verdictOn?: (prepared: Prepared, options: CheckOptions) => Promise<Verdict>;
}

const BUDGET = 30 * 60_000;
const MAX_BUILDS = 40;
const MAX_ROUNDS = 3;

/**
 * Mends what keeps a project from reproducing: for each cause, remedies are
 * applied to a copy, from the least intrusive on, built in the worlds that
 * exposed it, and kept when they help and harm nothing. What is kept in the end
 * is what is needed. The working tree is not touched. An interruption ends it
 * with what was kept until then.
 */
export async function fix(prepared: Prepared, options: FixOptions): Promise<Fixed> {
  // What was locked stays locked, but for the digests of what is changed.
  const lock = (await readLock(prepared.folder)) ?? prepared.lock;
  const session = new Session({ ...prepared, lock }, await originalTexts(prepared), options);
  return await session.run();
}

/** What was kept, in the order in which it was applied. */
interface Kept {
  edit: Edit;
  trial: Trial;
}

class Session {
  readonly #prepared: Prepared;
  readonly #original: Original;
  readonly #options: FixOptions;
  readonly #clock: Clock;
  readonly #end: number;
  readonly #trials: Trial[] = [];
  #kept: Kept[] = [];
  #trialBuilds = 0;
  #builds = 0;
  #count = 0;
  #stopped: Fixed["stopped"];
  /** Of what is kept so far. */
  #accepted: Verdict | undefined;

  constructor(prepared: Prepared, original: Original, options: FixOptions) {
    this.#prepared = prepared;
    this.#original = original;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#end = this.#clock.elapsed() + (options.budget ?? BUDGET);
  }

  async run(): Promise<Fixed> {
    const before = await this.#verdictOn(this.#prepared, { budget: this.#left() / 3 });
    let after = before;
    let current = this.#prepared;
    try {
      for (let round = 0; round < MAX_ROUNDS && this.#wants(after) && this.#mayGoOn(); round++) {
        const had = this.#kept.length;
        const state = await this.#rounds(stateOf(after));
        if (this.#kept.length === had) break;
        await this.#minimise(state);
        // What is kept is judged as a whole, with all that the first verdict had.
        const { project } = await this.#apply(this.#texts());
        after = await this.#verdictOn(project, { budget: Math.max(this.#left() / 2, 1) });
        current = project;
      }
    } catch (error) {
      if (this.#options.signal?.aborted !== true) throw error;
      this.#stopped = "interrupted";
      after = this.#accepted ?? before;
      ({ project: current } = await this.#apply(this.#texts()));
    }
    return this.#result(before, after, current);
  }

  #result(before: Verdict, after: Verdict, prepared: Prepared): Fixed {
    for (const { trial } of this.#kept) {
      trial.outcome = "helped";
      delete trial.because;
    }
    const { files, diff } = changesOf(this.#original, this.#texts());
    return {
      before,
      after,
      trials: this.#trials,
      files,
      diff,
      prepared,
      builds: this.#builds,
      ...(this.#stopped === undefined ? {} : { stopped: this.#stopped }),
    };
  }

  #wants({ outcome }: Verdict): boolean {
    return outcome === "differs" || outcome === "fails-in-adversarial";
  }

  /** Every cause once, those that nothing named last. */
  async #rounds(from: State): Promise<State> {
    const names = [...new Set(from.causes.map(({ name }) => name))].filter(
      (name) => this.#options.cause === undefined || name === this.#options.cause,
    );
    let state = await this.#together(
      names.filter((one) => one !== "unknown"),
      from,
    );
    for (const name of [...names.filter((one) => one !== "unknown"), ...names.filter((one) => one === "unknown")]) {
      if (!this.#mayGoOn()) break;
      state = await this.#mend(name, state);
    }
    return state;
  }

  /**
   * One trial of the first remedy of every cause at once. Where it is the mending, that is all; where it mends some
   * causes and harms nothing, they are dealt with; otherwise each is tried by itself.
   */
  async #together(names: readonly CauseName[], state: State): Promise<State> {
    let texts = this.#texts();
    const parts: Kept[] = [];
    for (const name of names) {
      const causes = state.causes.filter((cause) => cause.name === name);
      for (const remedy of remediesFor(name)[0]) {
        const all = this.#edits([remedy], texts, causes);
        const focused = inScripts(all, texts, causes);
        const edits = focused.length > 0 ? focused : all;
        if (edits.length === 0) continue;
        const trial = trialOf(name, [remedy], placed(texts, edits));
        parts.push(...edits.map((edit) => ({ edit, trial })));
        texts = withEdits(texts, edits);
        break;
      }
    }
    const trials = [...new Set(parts.map(({ trial }) => trial))];
    if (trials.length < 2 || !this.#mayGoOn()) return state;
    this.#options.onProgress?.(`trying ${trials.map(({ remedy }) => remedy).join(" + ")} together`);
    const { verdict, state: after } = await this.#stateWith(texts, state);
    const left = trials.filter(({ cause }) => hasCause(after, cause));
    if (worsened(state, after) !== undefined || left.length === trials.length) return state;
    this.#kept.push(...parts);
    this.#accepted = verdict;
    for (const trial of trials) {
      if (left.includes(trial)) Object.assign(trial, NO_HELP_TOGETHER);
      this.#trials.push(trial);
      this.#options.onTrial?.(trial);
    }
    return after;
  }

  /** Tries what there is for one cause until it is gone; of either kind, at last, all together that did nothing alone. */
  async #mend(name: CauseName, from: State): Promise<State> {
    let state = from;
    const useless: Remedy[] = [];
    for (const group of remediesFor(name)) {
      const known = useless.length;
      for (const remedy of group) {
        if (!hasCause(state, name) || !this.#mayGoOn()) return state;
        const { next, trial } = await this.#try(name, [remedy], state);
        state = next;
        if (trial?.outcome === "no-help") useless.push(remedy);
      }
      if (useless.length < 2 || useless.length === known || !hasCause(state, name) || !this.#mayGoOn()) continue;
      state = (await this.#try(name, useless, state)).next;
    }
    return state;
  }

  /** Applies remedies, builds, keeps or undoes. */
  async #try(name: CauseName, chosen: readonly Remedy[], state: State): Promise<{ next: State; trial?: Trial }> {
    const causes = state.causes.filter((cause) => cause.name === name);
    const texts = this.#texts();
    const all = this.#edits(chosen, texts, causes);
    const focused = inScripts(all, texts, causes);
    let last: { next: State; trial?: Trial } = { next: state };
    for (const edits of focused.length > 0 && focused.length < all.length ? [focused, all] : [all]) {
      if (edits.length === 0 || !this.#mayGoOn()) continue;
      last = await this.#attempt(name, chosen, edits, state);
      if (last.trial?.outcome === "helped") return last;
    }
    return last;
  }

  /** The edits of several remedies, each found in what the ones before it leave. */
  #edits(chosen: readonly Remedy[], from: Texts, causes: readonly Cause[]): Edit[] {
    let texts = from;
    return chosen.flatMap((remedy) => {
      const edits = inSequence(remedy.propose(projectOf(this.#prepared, texts), causes));
      try {
        texts = withEdits(texts, edits);
        changesOf(this.#original, texts);
      } catch (error) {
        if (!(error instanceof BitforbitError)) throw error;
        this.#options.onProgress?.(`${remedy.name}: ${error.message}`);
        return [];
      }
      return edits;
    });
  }

  async #attempt(
    name: CauseName,
    chosen: readonly Remedy[],
    edits: readonly Edit[],
    state: State,
  ): Promise<{ next: State; trial: Trial }> {
    const texts = this.#texts();
    const trial = trialOf(name, chosen, placed(texts, edits));
    this.#options.onProgress?.(`${name}: trying ${trial.remedy}`);
    const { verdict, state: after } = await this.#stateWith(withEdits(texts, edits), state);
    const judged: Judgement = judge(state, after, name);
    this.#trials.push(trial);
    if (judged.helped) {
      this.#kept.push(...edits.map((edit) => ({ edit, trial })));
      this.#accepted = verdict;
    } else {
      trial.outcome = judged.broke ? "broke" : "no-help";
      trial.because = judged.because;
    }
    this.#options.onTrial?.(trial);
    return { next: judged.helped ? after : state, trial };
  }

  /** Takes each edit out once: what is as good without it goes. */
  async #minimise(kept: State): Promise<void> {
    if (this.#kept.length < 2) return;
    let state = kept;
    for (let index = 0; index < this.#kept.length && this.#kept.length > 1;) {
      if (!this.#mayGoOn()) return;
      const fewer = without(
        this.#kept.map(({ edit }) => edit),
        index,
      );
      const dropped = this.#kept[index];
      const now = fewer === undefined ? undefined : await this.#stateOfEdits(fewer, state, dropped?.trial.remedy ?? "");
      if (fewer === undefined || dropped === undefined || now === undefined || isNeeded(state, now)) {
        index++;
        continue;
      }
      const rest = this.#kept.toSpliced(index, 1);
      this.#kept = rest.map(({ trial }, at) => ({ trial, edit: fewer[at] as Edit }));
      state = now;
      this.#settle(dropped.trial);
    }
  }

  async #stateOfEdits(edits: readonly Edit[], state: State, name: string): Promise<State | undefined> {
    let texts: Texts;
    try {
      texts = withEdits(this.#original.texts, edits);
    } catch (error) {
      if (error instanceof BitforbitError) return undefined;
      throw error;
    }
    this.#options.onProgress?.(`is ${name} still needed?`);
    return (await this.#stateWith(texts, state)).state;
  }

  /** A remedy of which nothing is kept any more was not needed; the others show what of them is. */
  #settle(trial: Trial): void {
    const own = this.#kept.filter((one) => one.trial === trial);
    if (own.length > 0 || trial.outcome !== "helped") return;
    trial.outcome = "not-needed";
    trial.because = "what else was kept does without it";
  }

  #texts(): Texts {
    return withEdits(
      this.#original.texts,
      this.#kept.map(({ edit }) => edit),
    );
  }

  async #stateWith(texts: Texts, before: State): Promise<{ verdict: Verdict; state: State }> {
    const { project, folder } = await this.#apply(texts);
    try {
      const verdict = await this.#verdictOn(project, { quick: true });
      this.#trialBuilds += verdict.builds;
      return { verdict, state: stateOf(verdict, before) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #apply(texts: Texts): Promise<{ project: Prepared; folder: string }> {
    const folder = join(this.#options.scratch, `fix-${this.#count++}`);
    return { project: await changedProject(this.#prepared, changesOf(this.#original, texts), folder), folder };
  }

  async #verdictOn(project: Prepared, how: Pick<CheckOptions, "quick" | "budget">): Promise<Verdict> {
    const { host, signal, onProgress } = this.#options;
    const scratch = join(this.#options.scratch, `builds-${this.#count++}`);
    const verdict = await (this.#options.verdictOn ?? check)(project, {
      host,
      scratch,
      clock: this.#clock,
      ...how,
      ...(signal === undefined ? {} : { signal }),
      onProgress: (world, line) => onProgress?.(`${world} · ${line}`),
    });
    this.#builds += verdict.builds;
    await rm(scratch, { recursive: true, force: true }).catch((error: unknown) => {
      onProgress?.(messageOf(error)); // it goes with the scratch folder
    });
    return verdict;
  }

  #left(): number {
    return Math.max(0, this.#end - this.#clock.elapsed());
  }

  #mayGoOn(): boolean {
    this.#options.signal?.throwIfAborted();
    if (this.#left() <= 0) this.#stopped = "budget";
    else if (this.#trialBuilds + 2 > (this.#options.maxBuilds ?? MAX_BUILDS)) this.#stopped = "builds";
    return this.#stopped === undefined;
  }
}

const trialOf = (cause: CauseName, chosen: readonly Remedy[], changes: PlacedEdit[]): Trial => ({
  cause,
  remedy: chosen.map(({ name }) => name).join(" + "),
  says: chosen.map(({ says }) => says).join("; "),
  outcome: "helped",
  changes,
});

/** It stays with the others while it does no harm: something else may be what it lacks. */
const NO_HELP_TOGETHER = { outcome: "no-help", because: "the same differs as before" } as const;

const hasCause = ({ causes }: State, name: CauseName): boolean => causes.some((cause) => cause.name === name);
