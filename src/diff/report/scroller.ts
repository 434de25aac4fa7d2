/**
 * Scrolls through a height that no browser has (they end at 17 to 33 million
 * pixels): what is drawn lies in a layer that stays in view, and the place is
 * kept as a number of ours. Where the height is too large the scroll bar stands
 * for it in proportion, while wheel, touch and keys still move pixel by pixel.
 */
import { document, type PageElement, requestAnimationFrame } from "./browser.ts";

/** Within what every browser can lay out. */
const MOST_PIXELS = 6_000_000;
/** A step of the scroll bar is larger than this many views; wheel and keys move less. */
const NEAR = 3;

export class Scroller {
  /** The first pixel in view. */
  top = 0;
  readonly element: PageElement;
  readonly layer: PageElement;
  readonly #spacer: PageElement;
  readonly #draw: () => void;
  #total = 0;
  #last = 0;
  #drawing = false;
  #settling: ReturnType<typeof setTimeout> | undefined;

  constructor(element: PageElement, layer: PageElement, draw: () => void) {
    this.element = element;
    this.layer = layer;
    this.#draw = draw;
    this.#spacer = document.createElement("div");
    this.#spacer.className = "spacer";
    this.#spacer.append(layer);
    element.append(this.#spacer);
    element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  get view(): number {
    return this.element.clientHeight;
  }

  set total(total: number) {
    this.#total = total;
    this.#spacer.style.height = `${Math.max(Math.min(total, MOST_PIXELS), this.view)}px`;
    this.layer.style.height = `${this.view}px`;
    this.to(this.top);
  }

  /** Moves to a place and draws soon. */
  to(top: number): void {
    this.top = Math.max(0, Math.min(top, this.#total - this.view));
    this.#align();
    this.redraw();
  }

  /** Draws in the next frame, once. */
  redraw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  get #proportional(): boolean {
    return this.#total > MOST_PIXELS;
  }

  #align(): void {
    const room = Math.max(1, Math.min(this.#total, MOST_PIXELS) - this.view);
    const at = this.#proportional ? (this.top / Math.max(1, this.#total - this.view)) * room : this.top;
    if (Math.abs(this.element.scrollTop - at) >= 1) this.element.scrollTop = at;
    this.#last = this.element.scrollTop;
  }

  #scrolled(): void {
    const at = this.element.scrollTop;
    const moved = at - this.#last;
    if (moved === 0) return;
    this.#last = at;
    const most = this.#total - this.view;
    if (!this.#proportional) this.top = at;
    else {
      const room = MOST_PIXELS - this.view;
      if (at <= 0) this.top = 0;
      else if (at >= room - 1) this.top = most;
      else
        this.top =
          Math.abs(moved) < NEAR * this.view ? Math.max(0, Math.min(most, this.top + moved)) : (at / room) * most;
      clearTimeout(this.#settling);
      // What stands in view stays; only the bar moves to where it belongs.
      this.#settling = setTimeout(() => this.#align(), 200);
    }
    this.redraw();
  }
}
