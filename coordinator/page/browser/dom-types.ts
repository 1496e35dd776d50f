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
  /** Of a dialog. */
  readonly open: boolean;
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
