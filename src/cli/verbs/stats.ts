import { rfc3339, systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { withLedger } from "../../flow/record.ts";
import { type Metric, metrics } from "../../observe/metrics.ts";
import { prometheus } from "../../observe/prometheus.ts";
import type { Options } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import { stdout } from "../streams.ts";
import type { Terminal } from "../terminal.ts";

const DAY = 86_400_000;

/** `bitforbit stats`: M1 to M10 from the ledger; one without events says so. */
export async function stats(_args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const words = text(options, "days") ?? "30";
  const days = /^\d{1,5}$/.test(words) ? Number(words) : 0;
  if (days < 1) throw new BitforbitError("usage", `--days takes a whole number from 1, not ${JSON.stringify(words)}`);
  const now = systemClock.now();
  const computed = await withLedger(home, async (ledger) =>
    metrics(ledger, { from: now - days * DAY, to: now + 1, now }),
  );
  if (options["prometheus"] === true && !terminal.json) {
    stdout.write(prometheus(computed));
    return 0;
  }
  terminal.document({ days, from: rfc3339(now - days * DAY), to: rfc3339(now), metrics: computed });
  terminal.line(terminal.strong(`the last ${days} days`));
  for (const metric of computed) terminal.line(metricLine(metric, terminal));
  return 0;
}

function metricLine(metric: Metric, terminal: Terminal): string {
  const unit =
    metric.unit === "percent" ? " %" : metric.unit === "count" ? "" : metric.unit === "seconds" ? " s" : " min";
  const value = metric.value === undefined ? "—" : `${Number(metric.value.toFixed(2))}${unit}`;
  const target = `${metric.target.is === ">=" ? "≥" : metric.target.is === "<=" ? "≤" : "<"} ${metric.target.value}${unit}`;
  const sign = metric.meets === undefined ? " " : metric.meets ? terminal.good("✓") : terminal.bad("✗");
  const note = metric.note === "" ? "" : terminal.dim(`  ${metric.note}`);
  return `  ${sign} ${metric.id.padEnd(4)}${metric.name.padEnd(34)} ${value.padStart(10)}  ${terminal.dim(`target ${target}`.padEnd(16))}${note}`;
}
