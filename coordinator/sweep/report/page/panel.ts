import { byId, copy, make, type PageElement } from "./dom.js";
import type { View } from "./view.js";
import { scoreText, shortNumber, valueText } from "./words.js";

/** Everything about the trial that is selected, with its recipe. */
export function drawPanel(view: View): void {
  const draw = (): void => {
    const { selected } = view;
    byId("layout").classList.toggle("with-panel", selected !== undefined);
    byId("panel").hidden = selected === undefined;
    if (selected !== undefined) show(view, selected);
  };
  draw();
  view.onChange(draw);
  byId("panel-close").addEventListener("click", () => view.select(undefined));
  byId("recipe-copy").addEventListener("click", () => {
    void copy(byId("recipe").textContent ?? "").then((isDone) => {
      byId("recipe-copied").textContent = isDone ? "Copied" : "Mark the text to copy it";
    });
  });
}

/** The recipe of a trial; undefined where the page has none. */
export function recipeOf({ data }: View, which: number): string | undefined {
  const { lines, of } = data.recipes;
  const places = of[which];
  return places === undefined ? undefined : `${places.map((place) => lines[place]).join("\n")}\n`;
}

function show(view: View, which: number): void {
  const { data } = view;
  const { trials, scores, dimensions, agents } = data;
  byId("panel-title").textContent = `Trial ${trials.number[which]}`;
  byId("panel-note").textContent = trials.notes[which] ?? "";
  const told = scores.flatMap(({ name, values }) => {
    const value = values[which];
    return value === null || value === undefined ? [] : [line(name, scoreText(value))];
  });
  const violation = trials.violation[which] ?? 0;
  byId("panel-scores").replaceChildren(...told, ...(violation > 0 ? [line("violation", scoreText(violation))] : []));
  byId("panel-point").replaceChildren(...dimensions.map(({ name }, d) => line(name, valueText(data, d, which))));
  const agent = agents[trials.agent[which] ?? -1];
  byId("panel-facts").replaceChildren(
    line("examples", shortNumber(trials.examples[which])),
    line("seconds", shortNumber(trials.seconds[which])),
    ...(agent === undefined ? [] : [line("agent", agent.name)]),
  );
  const recipe = recipeOf(view, which);
  byId("recipe").textContent = recipe ?? data.recipes.missing;
  byId("recipe-copy").hidden = recipe === undefined;
  byId("recipe-copied").textContent = "";
}

function line(name: string, value: string): PageElement {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value));
}
