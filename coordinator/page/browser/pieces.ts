import { draw, make, setData, setText } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import { mark, oneLine } from "./words.js";

/** A state as a word with a shape. */
export function stateLabel(): { readonly element: PageElement; show(state: string, word?: string): void } {
  const [shape, word] = [make("i", { "aria-hidden": "true" }), make("span", {})];
  const element = make("span", { class: "state" }, shape, word);
  return {
    element,
    show: (state, text = state) => {
      setData(element, "state", state);
      setText(shape, mark(state));
      setText(word, text);
    },
  };
}

/** Text of strangers, apart from what is around it in whichever direction it runs. */
export function theirs(text: string, attributes: Readonly<Record<string, string>> = {}): PageElement {
  return make("bdi", { dir: "auto", ...attributes }, oneLine(text));
}

/** Figures by name; only those that there are. */
export function figures(): {
  readonly element: PageElement;
  show(facts: readonly (readonly [string, string])[]): void;
} {
  const element = make("dl", { class: "figures" });
  const values = new Map<string, PageElement>();
  return {
    element,
    show: (facts) => {
      const names = facts.map(([name]) => name).join();
      if (names !== [...values.keys()].join()) {
        values.clear();
        for (const [name] of facts) values.set(name, make("dd", {}));
        element.replaceChildren(...facts.map(([name]) => make("div", {}, make("dt", {}, name), values.get(name))));
      }
      for (const [name, value] of facts) {
        const there = values.get(name);
        if (there === undefined) continue;
        setText(there, value);
        there.setAttribute("title", value);
      }
    },
  };
}

/** `meter`: how much of something is in use; it has no end that it comes to. */
export function bar(
  className: string,
  role: "progressbar" | "meter" = "progressbar",
): { readonly element: PageElement; show(share: number, label: string): void } {
  const fill = make("div", {});
  const element = make("div", { class: className, role, "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  return {
    element,
    show: (share, label) => {
      const value = Math.floor(100 * Math.max(0, Math.min(1, share)));
      element.setAttribute("aria-valuenow", String(value));
      element.setAttribute("aria-label", label);
      fill.style.setProperty("--share", `${value}%`);
      fill.style.setProperty("width", `${value}%`);
    },
  };
}

/** Throughput over time as a line on an area, stretched to the width there is. */
export function sparkline(): { readonly element: PageElement; show(rates: readonly number[], label: string): void } {
  const [area, line] = [draw("path", { class: "area" }), draw("path", { class: "line" })];
  const element = draw(
    "svg",
    { class: "spark", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img" },
    area,
    line,
  );
  return {
    element,
    show: (rates, label) => {
      const top = Math.max(1, ...rates);
      const points = rates.map((rate, i) => {
        const x = rates.length < 2 ? 0 : (100 * i) / (rates.length - 1);
        return `${x.toFixed(2)} ${(39 - (37 * rate) / top).toFixed(2)}`;
      });
      line.setAttribute("d", points.length < 2 ? "" : `M${points.join("L")}`);
      area.setAttribute("d", points.length < 2 ? "" : `M0 40L${points.join("L")}L100 40Z`);
      element.setAttribute("aria-label", label);
    },
  };
}
