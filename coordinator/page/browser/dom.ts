// What of a browser's objects the page uses: the project is compiled without their types, which the rest of it should not see.

export interface PageEvent {
  readonly key: string;
  readonly target: unknown;
  readonly clientX: number;
  readonly clientY: number;
  readonly offsetX: number;
  readonly offsetY: number;
  readonly data?: string;
  preventDefault(): void;
}

export interface Drawing {
  fillStyle: string;
  strokeStyle: string;
  lineWidth: number;
  font: string;
  textAlign: string;
  textBaseline: string;
  globalAlpha: number;
  clearRect(x: number, y: number, width: number, height: number): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  strokeRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  beginPath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  stroke(): void;
  setTransform(a: number, b: number, c: number, d: number, e: number, f: number): void;
}

export interface PageElement {
  id: string;
  textContent: string | null;
  className: string;
  hidden: boolean;
  disabled: boolean;
  checked: boolean;
  value: string;
  /** Of a canvas. */
  width: number;
  height: number;
  readonly clientWidth: number;
  readonly offsetHeight: number;
  readonly isConnected: boolean;
  readonly dataset: Record<string, string | undefined>;
  readonly style: { setProperty(name: string, value: string): void };
  readonly children: ArrayLike<PageElement>;
  append(...nodes: (PageElement | string)[]): void;
  replaceChildren(...nodes: (PageElement | string)[]): void;
  insertBefore(node: PageElement, before: PageElement | null): void;
  remove(): void;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  getBoundingClientRect(): { readonly left: number; readonly top: number; readonly bottom: number };
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  focus(): void;
  showModal(): void;
  close(): void;
  getContext(kind: "2d"): Drawing | null;
}

interface EventStream {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  close(): void;
}

export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
}

declare const document: {
  title: string;
  readonly documentElement: PageElement;
  getElementById(id: string): PageElement | null;
  createElement(tag: string): PageElement;
  createElementNS(namespace: string, tag: string): PageElement;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
};
declare const location: { hash: string; reload(): void };
declare const getComputedStyle: (element: PageElement) => { getPropertyValue(name: string): string };
declare const matchMedia: (query: string) => { addEventListener(type: "change", listener: () => void): void };
declare const addEventListener: (type: string, listener: () => void) => void;
declare const requestAnimationFrame: (action: () => void) => void;
declare const ResizeObserver: new (action: () => void) => { observe(element: PageElement): void; disconnect(): void };
declare const EventSource: new (url: string) => EventStream;
declare const fetch: (url: string, how?: Record<string, unknown>) => Promise<Answer>;
declare const localStorage: { getItem(name: string): string | null; setItem(name: string, value: string): void };
declare const devicePixelRatio: number;
declare const innerWidth: number;
declare const innerHeight: number;

/** An element of the page that must be there. */
export function byId(id: string): PageElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}`);
  return found;
}

type Child = PageElement | string | undefined;

/** A new element. What is put into it as text stays text. */
export function make(
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Child[]
): PageElement {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Child[]
): PageElement {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(
  element: PageElement,
  attributes: Readonly<Record<string, string>>,
  children: readonly Child[],
): PageElement {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

/** Changes a text only where it is another: screen readers are not told again, and selections stay. */
export function setText(element: PageElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setData(element: PageElement, name: string, value: string): void {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** How large text is: 1 on most screens, more on a wall. */
export function textScale(): number {
  const size = Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue("font-size"));
  return size > 0 ? size / 16 : 1;
}

export function setTitle(text: string): void {
  if (document.title !== text) document.title = text;
}

export function setTheme(theme: string): void {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
}

export function onColours(action: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", action);
}

export function onResize(element: PageElement, action: () => void): void {
  new ResizeObserver(() => requestAnimationFrame(action)).observe(element);
}

export function onHash(action: () => void): void {
  addEventListener("hashchange", action);
}

export function hash(): string {
  return location.hash.slice(1);
}

export function setHash(text: string): void {
  location.hash = text;
}

export function reload(): void {
  location.reload();
}

/** Says something to those who cannot see it. */
export function announce(text: string): void {
  setText(byId("said"), text);
}

/** Runs an action once before the next picture, however often it is asked for. Nothing runs while nobody looks. */
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

/** A setting of the reader's, kept where the browser keeps such. */
export function remembered(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(`amalgam ${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`amalgam ${name}`, value);
  } catch {
    // It is not kept, then.
  }
}

/** A canvas as sharp as the screen, and what draws on it in CSS pixels. */
export function sized(canvas: PageElement, width: number, height: number): Drawing | undefined {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.setProperty("height", `${height}px`);
  const drawing = canvas.getContext("2d") ?? undefined;
  drawing?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return drawing;
}

export function openStream(url: string): EventStream {
  return new EventSource(url);
}

/** Why it failed, in the words of the server; undefined: it is done. */
export async function post(url: string, body?: string): Promise<string | undefined> {
  try {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, ...(body === undefined ? {} : { body }) });
    if (answer.ok) return undefined;
    return errorIn(await answer.text()) || `The server answers ${answer.status}`;
  } catch {
    return "The server cannot be reached";
  }
}

function errorIn(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly error?: unknown }).error ?? "");
  } catch {
    return text.trim().slice(0, 500);
  }
}

/** Undefined where there is none. */
export async function get(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url);
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}

/** Puts a box beside a place of the window, inside it. */
export function place(box: PageElement, x: number, y: number): void {
  const height = box.offsetHeight;
  const left = Math.max(8, Math.min(x + 14, innerWidth - box.clientWidth - 16));
  const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${Math.max(8, top)}px`);
}
