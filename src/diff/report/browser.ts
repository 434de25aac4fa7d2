/**
 * The little of a browser that the page uses, as types: the whole of them
 * ("lib": "dom") would let every other file take `name` or `event` for defined.
 * What is declared here exists in browsers only.
 */
export interface PageEvent {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly target: PageElement | null;
  preventDefault(): void;
  stopPropagation(): void;
}

export interface PageElement {
  className: string;
  id: string;
  textContent: string | null;
  title: string;
  hidden: boolean;
  tabIndex: number;
  value: string;
  checked: boolean;
  open: boolean;
  scrollTop: number;
  readonly tagName: string;
  readonly clientHeight: number;
  readonly clientWidth: number;
  readonly isConnected: boolean;
  readonly style: { height: string; transform: string; paddingLeft: string; paddingTop: string };
  readonly dataset: Record<string, string | undefined>;
  append(...children: (PageElement | string)[]): void;
  replaceChildren(...children: (PageElement | string)[]): void;
  remove(): void;
  contains(other: PageElement | null): boolean;
  closest(selector: string): PageElement | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  focus(options?: { preventScroll: boolean }): void;
  select(): void;
  showModal(): void;
  close(): void;
  getBoundingClientRect(): { width: number; height: number };
  addEventListener(type: string, listener: (event: PageEvent) => void, options?: { passive: boolean }): void;
}

interface PageDocument {
  title: string;
  readonly body: PageElement;
  readonly documentElement: PageElement;
  readonly activeElement: PageElement | null;
  createElement(tag: string): PageElement;
  getElementById(id: string): PageElement | null;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
}

export declare const document: PageDocument;
export declare const location: { hash: string };
export declare const history: { replaceState(state: null, title: string, url: string): void };
export declare function requestAnimationFrame(draw: () => void): number;
export declare function addEventListener(type: string, listener: () => void): void;
export declare const ResizeObserver: new (changed: () => void) => { observe(element: PageElement): void };
