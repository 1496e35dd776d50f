import type { Drawing, PageElement } from "./dom-types.js";

declare const document: {
  getElementById(id: string): PageElement | null;
  createElement(tag: string): PageElement;
  createElementNS(namespace: string, tag: string): PageElement;
};
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

/** Says something to those who cannot see it. */
export function announce(text: string): void {
  setText(byId("said"), text);
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

/** Puts a box beside a place of the window, inside it. */
export function place(box: PageElement, x: number, y: number): void {
  const height = box.offsetHeight;
  const left = Math.max(8, Math.min(x + 14, innerWidth - box.clientWidth - 16));
  const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${Math.max(8, top)}px`);
}
