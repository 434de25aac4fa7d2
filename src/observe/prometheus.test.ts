import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import test from "node:test";
import type { Metric } from "./metrics.ts";
import { prometheus } from "./prometheus.ts";

const blank: Metric = {
  id: "M1",
  name: "build reproducibility rate",
  value: 95,
  unit: "percent",
  numerator: 19,
  denominator: 20,
  target: { is: ">=", value: 95 },
  meets: true,
  samples: 20,
  note: "",
};
const some: readonly Metric[] = [
  blank,
  { ...blank, id: "M4", name: "build-to-deploy time", value: 12.5, unit: "minutes", target: { is: "<", value: 30 } },
  { ...blank, id: "M6", name: "alerts\\ with\na break", value: 0, unit: "count", target: { is: "<=", value: 0 } },
  { ...blank, id: "M7", name: "latency", value: 1e-7, unit: "seconds", meets: false, target: { is: "<", value: 120 } },
  { ...blank, id: "M9", value: undefined, meets: undefined, samples: 0 },
];

/** A strict reader of format 0.0.4, written from its specification; throws on anything that is not in it. */
function read(text: string): Map<string, number> {
  assert.ok(text.endsWith("\n"), "the last line must end with a line feed");
  const samples = new Map<string, number>();
  const helped = new Set<string>();
  const typed = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*)$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^\\"]|\\\\|\\"|\\n)*"\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
        line,
      );
    if (help !== null) {
      assert.ok(!helped.has(help[1] ?? ""), `one HELP for each name: ${line}`);
      helped.add((current = help[1] ?? ""));
    } else if (type !== null) {
      assert.ok(!typed.has(type[1] ?? ""), `one TYPE for each name: ${line}`);
      assert.equal(type[1], current, "TYPE stands with its HELP, before its samples");
      typed.add(current);
    } else {
      assert.ok(sample, `not a line of the format: ${JSON.stringify(line)}`);
      assert.equal(sample[1], current, "samples of one name stand together");
      const key = `${sample[1]}${sample[2] ?? ""}`;
      assert.ok(!samples.has(key), `each sample once: ${key}`);
      samples.set(key, Number(sample[3]));
    }
  }
  assert.deepEqual(helped, typed);
  return samples;
}

test("the exposition is valid and in base units", () => {
  const samples = read(prometheus(some));
  assert.deepEqual(Object.fromEntries(samples), {
    bitforbit_build_reproducibility_ratio: 0.95,
    bitforbit_build_to_deploy_median_seconds: 750,
    bitforbit_binary_diff_alerts: 0,
    bitforbit_verification_latency_median_seconds: 1e-7,
    'bitforbit_metric_target{metric="M1"}': 0.95,
    'bitforbit_metric_target{metric="M4"}': 1_800,
    'bitforbit_metric_target{metric="M6"}': 0,
    'bitforbit_metric_target{metric="M7"}': 120,
    'bitforbit_metric_target{metric="M9"}': 0.95,
    'bitforbit_metric_meets_target{metric="M1"}': 1,
    'bitforbit_metric_meets_target{metric="M4"}': 1,
    'bitforbit_metric_meets_target{metric="M6"}': 1,
    'bitforbit_metric_meets_target{metric="M7"}': 0,
    'bitforbit_metric_samples{metric="M1"}': 20,
    'bitforbit_metric_samples{metric="M4"}': 20,
    'bitforbit_metric_samples{metric="M6"}': 20,
    'bitforbit_metric_samples{metric="M7"}': 20,
    'bitforbit_metric_samples{metric="M9"}': 0,
  });
});

test("our own reader would notice", () => {
  for (const bad of ["x 1", "x 1\n", "# HELP x y\n# TYPE x gauge\nx{a=1} 1\n", "# HELP x y\n# TYPE x gauge\nx NaN\n"]) {
    assert.throws(() => read(bad), assert.AssertionError, bad);
  }
  assert.throws(() => read(prometheus(some) + prometheus(some)), /one HELP/);
});

test("without any value it is still valid", () => {
  const samples = read(prometheus(some.map((metric) => ({ ...metric, value: undefined, meets: undefined }))));
  assert.equal(samples.size, 10);
  assert.equal(prometheus([]), "");
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;

test("promtool has nothing to say", { skip: promtool ? false : "promtool is not installed" }, () => {
  const ran = spawnSync("promtool", ["check", "metrics"], { input: prometheus(some) });
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
  assert.equal(`${ran.stdout}${ran.stderr}`, "");
});
