/** What ran side by side, in traces as builds leave them. */
import { strict as assert } from "node:assert";
import test from "node:test";
import type { FileEvent, Trace } from "../sandbox/trace.ts";
import { wroteAlone, wroteSideBySide } from "./side-by-side.ts";

const ROOT = "/build/thing";

/** Steps in order: `+ PARENT COMMAND` begins a process, `PROCESS what FILE` is an event. */
function traceOf(...steps: string[]): Trace {
  const trace: Trace = { processes: [], events: [], doubts: [] };
  for (const step of steps) {
    const [first = "", second = "", ...rest] = step.split(" ");
    if (first === "+") {
      const parent = second === "-" ? undefined : Number(second);
      const [id, began] = [trace.processes.length, trace.events.length];
      trace.processes.push({ id, parent, argv: rest, directory: ROOT, began });
    } else {
      const event = { process: Number(first), what: second, path: `${ROOT}/${rest[0] ?? ""}` };
      trace.events.push(event as FileEvent);
    }
  }
  return trace;
}

function told(output: string, ...steps: string[]): string {
  const [artifact = "", ...leaf] = output.split(" > ");
  const question = { artifact, leaf, evidence: new Uint8Array() };
  const context = { buildPath: ROOT, sources: [] };
  const trace = traceOf(...steps);
  const race = wroteSideBySide(question, trace, context);
  const alone = wroteAlone(question, trace, context);
  assert.ok(!race || !alone, "what is a race was not written alone");
  return race ? "race" : alone ? "alone" : "neither";
}

const SHELL = "+ - sh -eu build.sh";

test("two that append to one file while both are there race for it; one after the other does not", () => {
  const both = ["0 write log", "+ 0 first", "1 write log", "+ 0 second", "2 write log", "1 read libc"];
  assert.equal(told("log", SHELL, ...both), "race");
  const inTurn = ["0 write log", "+ 0 first", "1 write log", "1 read libc", "+ 0 second", "2 write log"];
  assert.equal(told("log", SHELL, ...inTurn), "alone");
});

test("what one process starts to write for it is no race, whoever opened the file", () => {
  assert.equal(told("log", SHELL, "0 write log", "+ 0 worker", "1 write log", "0 read x", "1 read libc"), "alone");
});

test("a program that began and opened its files late was there all along", () => {
  const late = ["+ 0 quick", "+ 0 slow", "1 write log", "1 read libc", "2 write log", "2 read libc"];
  assert.equal(told("log", SHELL, ...late), "race");
});

test("a file that one process wrote beside another is not sure to be that one's own doing", () => {
  const jobs = ["+ 0 make -j2", "+ 1 config", "+ 1 tool", "2 write config.h", "2 read libc", "3 write tool.o"];
  assert.equal(told("tool.o", SHELL, ...jobs), "neither");
  const joined = ["+ 1 cat tool.o config.h", "4 write out", "4 read tool.o", "4 read config.h"];
  assert.equal(told("out", SHELL, ...jobs, ...joined), "neither", "what it was made of was written side by side");
  const byShell = ["+ 1 sh -c cat", "4 write out", "+ 4 cat tool.o", "5 read tool.o"];
  assert.equal(told("out", SHELL, ...jobs, ...byShell), "neither", "and the shell had a child read it");
  assert.equal(told("other", SHELL, ...jobs, "+ 0 map-first", "4 write other"), "alone");
});

test("a member is followed to its file through an archive that was touched after it was made", () => {
  const jobs = ["0 write log", "+ 0 first", "+ 0 second", "1 write log", "2 write log", "1 read libc"];
  const archive = ["+ 0 tar -cf a.tar log", "3 write a.tar", "3 read log", "+ 0 touch a.tar", "4 write a.tar"];
  assert.equal(told("a.tar > ./log", SHELL, ...jobs, ...archive), "race");
});

test("of a file that the trace does not know nothing is told", () => {
  assert.equal(told("elsewhere", SHELL, "+ 0 first", "1 write log"), "neither");
});
