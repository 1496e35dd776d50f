// What of a browser's objects the page uses: the project is compiled without their types, which the rest of it should not see.

export interface PageEvent {
  readonly key: string;
  readonly target: unknown;
  preventDefault(): void;
}

export interface PageElement {
  id: string;
  textContent: string | null;
  className: string;
  hidden: boolean;
  value: string;
  tabIndex: number;
  readonly clientWidth: number;
  readonly classList: { toggle(name: string, force: boolean): void };
  readonly style: { setProperty(name: string, value: string): void };
  append(...nodes: (PageElement | string)[]): void;
  replaceChildren(...nodes: (PageElement | string)[]): void;
  setAttribute(name: string, value: string): void;
  getAttribute(name: string): string | null;
  removeAttribute(name: string): void;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  querySelectorAll(selector: string): Iterable<PageElement>;
  focus(options?: { readonly preventScroll: boolean }): void;
}

interface MediaQuery {
  readonly matches: boolean;
  addEventListener(type: "change", listener: () => void): void;
}

declare const document: {
  readonly documentElement: PageElement;
  readonly body: PageElement;
  getElementById(id: string): PageElement | null;
  createElement(tag: string): PageElement;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
};
declare const location: { readonly hash: string };
declare const history: { replaceState(state: null, title: string, url: string): void };
declare const navigator: { readonly clipboard?: { writeText(text: string): Promise<void> } };
declare const getComputedStyle: (element: PageElement) => { getPropertyValue(name: string): string };
declare const matchMedia: (query: string) => MediaQuery;
declare const addEventListener: (type: string, listener: () => void) => void;
declare const requestAnimationFrame: (action: () => void) => void;
declare const ResizeObserver: new (action: () => void) => { observe(element: PageElement): void };

/** An element of the page that must be there. */
export function byId(id: string): PageElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}`);
  return found;
}

/** A new element. What is put into it as text stays text. */
export function make(
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (PageElement | string)[]
): PageElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Lets a list be chosen from; `onChoice` is told the place of what is chosen. */
export function choose(id: string, names: readonly string[], chosen: number, onChoice: (place: number) => void): void {
  const select = byId(id);
  select.replaceChildren(...names.map((name, i) => make("option", { value: String(i) }, name)));
  select.value = String(chosen);
  select.addEventListener("change", () => onChoice(Number(select.value)));
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function hash(): string {
  return location.hash.slice(1);
}

export function setHash(text: string): void {
  history.replaceState(null, "", `#${text}`);
}

export function onHash(action: () => void): void {
  addEventListener("hashchange", action);
}

export function onKey(action: (event: PageEvent) => void): void {
  document.addEventListener("keydown", action);
}

/** A mouse or a pen, with which something can be dragged without scrolling the page. */
export function hasFinePointer(): boolean {
  return matchMedia("(pointer: fine)").matches;
}

export function onColours(action: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", action);
}

export function onResize(element: PageElement, action: () => void): void {
  new ResizeObserver(() => requestAnimationFrame(action)).observe(element);
}

/** Runs an action once before the next picture, however often it is asked for. */
export function oncePerFrame(action: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      action();
    });
  };
}

/** Whether the text could be put into the clipboard. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard?.writeText(text);
    return navigator.clipboard !== undefined;
  } catch {
    return false;
  }
}
