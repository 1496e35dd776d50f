/** A sample line of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
};

/**
 * Reads Prometheus' text format, version 0.0.4, and throws at whatever Prometheus would not take: a line of no known form, a
 * family in two places or without a type, a sample of another family or twice, a histogram whose buckets go down.
 */
export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith("\n")) throw new Error("The last line does not end");
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const helps = new Map<string, string>();
  const seen = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment !== null) {
      const [, what, name = "", rest = ""] = comment;
      if (what === "HELP") helps.set(name, rest);
      else {
        if (!(rest in suffixes)) throw new Error(`${name} has the unknown type ${rest}`);
        if (families.has(name)) throw new Error(`${name} has two types`);
        families.set(name, { type: rest, help: helps.get(name) ?? "", samples: [] });
        current = name;
      }
      continue;
    }
    const sample = parseSample(line);
    const family = families.get(current);
    const allowed = suffixes[family?.type ?? ""]?.map((suffix) => `${current}${suffix}`);
    if (family === undefined || !allowed?.includes(sample.name)) throw new Error(`${line} stands below ${current}`);
    const identity = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (seen.has(identity)) throw new Error(`${line} is told twice`);
    seen.add(identity);
    family.samples.push(sample);
  }
  for (const [name, { type, samples }] of families) if (type === "histogram") checkBuckets(name, samples);
  return families;
}

function parseSample(line: string): Sample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)( \d+)?$/.exec(line);
  if (match === null) throw new Error(`${JSON.stringify(line)} is no sample`);
  const [, name = "", inside = "", number = ""] = match;
  const labels: Record<string, string> = {};
  let rest = inside;
  while (rest !== "") {
    const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)/.exec(rest);
    if (pair === null) throw new Error(`${JSON.stringify(line)} has labels of no known form`);
    labels[pair[1] ?? ""] = pair[2] ?? "";
    rest = rest.slice(pair[0].length);
  }
  const value = number === "+Inf" ? Infinity : number === "-Inf" ? -Infinity : Number(number);
  // Prometheus takes any case of it.
  if (Number.isNaN(value) && !/^nan$/i.test(number)) throw new Error(`${JSON.stringify(line)} has no number`);
  return { name, labels, value };
}

function checkBuckets(name: string, samples: readonly Sample[]): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples.filter((one) => one.name === `${name}_bucket`)) {
    const { le, ...others } = sample.labels;
    if (le === undefined) throw new Error(`${name} has a bucket without an end`);
    const key = JSON.stringify(others);
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const buckets of series.values()) {
    if (buckets.at(-1)?.labels["le"] !== "+Inf") throw new Error(`${name} does not end with +Inf`);
    const counts = buckets.map(({ value }) => value);
    if (counts.some((count, index) => count < (counts[index - 1] ?? 0)))
      throw new Error(`${name} has buckets that go down`);
  }
}
