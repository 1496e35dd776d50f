import { quote } from "../../shared/quote.js";
import { allOrNone, type Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import { isGlob, problemWithGlob } from "./glob.js";
import type {
  FilterEntry,
  GradientSetting,
  Located,
  RecipeParameter,
  RecipeParameters,
  ScalarSetting,
  Setting,
} from "./recipe.js";
import { describe } from "./wording.js";
import { numberOf, type YamlList, type YamlMapping, type YamlNode, type YamlScalar } from "./yaml/node.js";

/** Reads a `parameters` mapping. Which names and values make sense is the method's to say, in `bindParameters()`. */
export function readParameters(mapping: YamlMapping | undefined, complaints: Complaints): RecipeParameters {
  const parameters = new Map<string, RecipeParameter>();
  for (const [name, { keyAt, value }] of mapping?.entries ?? []) {
    const setting = new SettingReader(name, complaints).read(value);
    if (setting !== undefined) parameters.set(name, { value: setting, at: value.at, nameAt: keyAt });
  }
  return parameters;
}

/** Reads the value of one parameter. */
class SettingReader {
  readonly #name: string;
  readonly #complaints: Complaints;

  constructor(name: string, complaints: Complaints) {
    this.#name = quote(name);
    this.#complaints = complaints;
  }

  read(node: YamlNode): Setting | undefined {
    if (node.kind === "mapping") return this.#loneFilter(node);
    const isFilters = node.kind === "list" && node.items.some((item) => item.kind === "mapping");
    return isFilters ? this.#filters(node) : this.#scalarOrGradient(node);
  }

  #scalarOrGradient(node: YamlNode): ScalarSetting | GradientSetting | undefined {
    if (node.kind === "list") return this.#gradient(node);
    if (node.kind === "scalar") return this.#scalar(node);
    return this.#complain(node, "must be a value or a list, found a mapping");
  }

  /** As in mergekit, a list of one filter can do without the list. */
  #loneFilter(mapping: YamlMapping): Setting | undefined {
    const isFilter = mapping.entries.has("value") || mapping.entries.has("filter");
    if (!isFilter) return this.#complain(mapping, "must be a value or a list, found a mapping");
    const entry = this.#filter(mapping);
    return entry && { kind: "filters", entries: [entry] };
  }

  #scalar(node: YamlScalar): ScalarSetting | undefined {
    const value = numberOf(node) ?? node.value;
    if (value === null) return this.#complain(node, "has no value");
    if (typeof value === "number" && !Number.isFinite(value)) {
      return this.#complain(node, `must be finite, found ${describe(node)}`);
    }
    return { kind: "scalar", value };
  }

  #gradient(list: YamlList): GradientSetting | undefined {
    if (list.items.length === 0) return this.#complain(list, "is an empty list");
    const values = allOrNone(list.items.map((item) => this.#point(item)));
    return values && { kind: "gradient", values };
  }

  #point(item: YamlNode): number | boolean | string | undefined {
    const value = numberOf(item) ?? (item.kind === "scalar" ? item.value : null);
    if (value !== null && (typeof value !== "number" || Number.isFinite(value))) return value;
    return this.#complain(item, `is a list over the layers, which holds finite values only, found ${describe(item)}`);
  }

  #filters(list: YamlList): Setting | undefined {
    const entries = allOrNone(list.items.map((item) => this.#filter(item)));
    return entries && { kind: "filters", entries };
  }

  #filter(node: YamlNode): FilterEntry | undefined {
    if (node.kind !== "mapping") {
      return this.#complain(node, `is a list of filters, in which every entry needs "value", found ${describe(node)}`);
    }
    const fields = new Fields(node, this.#complaints);
    fields.checkKeys(["filter", "value"]);
    const filter = fields.text("filter");
    if (filter !== undefined) this.#checkFilter(filter);
    const value = fields.entry("value")?.value;
    if (value === undefined) return fields.missing("value", ` in a filter of parameter ${this.#name}`);
    const setting = this.#scalarOrGradient(value);
    return setting && { filter: filter?.value, setting, at: value.at };
  }

  #checkFilter({ value: filter, at }: Located<string>): void {
    const problem = isGlob(filter) ? problemWithGlob(filter) : undefined;
    if (problem !== undefined) this.#complaints.add(at, `Filter ${quote(filter)} ${problem}`);
  }

  #complain(node: YamlNode, message: string): undefined {
    return this.#complaints.add(node.at, `Parameter ${this.#name} ${message}`);
  }
}
