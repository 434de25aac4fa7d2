/**
 * Metrics in Prometheus's text exposition format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats): base units
 * (ratios, seconds), one HELP and TYPE for each name, all gauges, for they are
 * taken over a window that moves.
 */
import type { Metric, MetricId, Unit } from "./metrics.ts";

/** The base unit of each unit: its suffix, and the number of it divided by the number of ours. */
const BASE: Readonly<Record<Unit, { suffix: string; times: number; by: number }>> = {
  percent: { suffix: "_ratio", times: 1, by: 100 },
  minutes: { suffix: "_seconds", times: 60, by: 1 },
  seconds: { suffix: "_seconds", times: 1, by: 1 },
  count: { suffix: "", times: 1, by: 1 },
};

/** Written out, for alert rules are written against them: a name never changes. */
const NAMES: Readonly<Record<MetricId, string>> = {
  M1: "bitforbit_build_reproducibility",
  M2: "bitforbit_attestation_verification",
  M3: "bitforbit_promotion_failure",
  M4: "bitforbit_build_to_deploy_median",
  M5: "bitforbit_sbom_completeness",
  M6: "bitforbit_binary_diff_alerts",
  M7: "bitforbit_verification_latency_median",
  M8: "bitforbit_build_flakiness",
  M9: "bitforbit_key_rotation_compliance",
  M10: "bitforbit_provenance_coverage",
};

/** A metric without a value has no sample: absence is what alert rules ask for with `absent()`. */
export function prometheus(metrics: readonly Metric[]): string {
  const measured = metrics.filter(({ value }) => value !== undefined);
  const families = measured.map((metric) =>
    family(`${NAMES[metric.id]}${BASE[metric.unit].suffix}`, `${metric.id}: ${metric.name}.`, [
      ["", inBaseUnit(metric.value ?? 0, metric.unit)],
    ]),
  );
  return [
    ...families,
    family(
      "bitforbit_metric_target",
      "Starting target, in the unit of the metric's own sample.",
      labelled(metrics, ({ target, unit }) => inBaseUnit(target.value, unit)),
    ),
    family(
      "bitforbit_metric_meets_target",
      "1 when the metric meets its target, 0 when it does not.",
      labelled(measured, ({ meets }) => (meets === true ? 1 : 0)),
    ),
    family(
      "bitforbit_metric_samples",
      "Events, artifacts or keys behind the metric.",
      labelled(metrics, ({ samples }) => samples),
    ),
  ].join("");
}

function labelled(metrics: readonly Metric[], value: (metric: Metric) => number): [string, number][] {
  return metrics.map((metric) => [`{metric="${metric.id}"}`, value(metric)]);
}

function family(name: string, help: string, samples: readonly [labels: string, value: number][]): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${escapedHelp(help)}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

function inBaseUnit(value: number, unit: Unit): number {
  return (value * BASE[unit].times) / BASE[unit].by;
}

function escapedHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
