import type { PageElement } from "./dom-types.js";

declare const document: { title: string; readonly documentElement: PageElement };
declare const location: { hash: string; reload(): void };
declare const getComputedStyle: (element: PageElement) => { getPropertyValue(name: string): string };
declare const matchMedia: (query: string) => { addEventListener(type: "change", listener: () => void): void };
declare const addEventListener: (type: string, listener: () => void) => void;
declare const requestAnimationFrame: (action: () => void) => void;
declare const ResizeObserver: new (action: () => void) => { observe(element: PageElement): void; disconnect(): void };
declare const localStorage: { getItem(name: string): string | null; setItem(name: string, value: string): void };

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

/** As somebody would who wants the page anew. */
export function reload(): void {
  location.reload();
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
