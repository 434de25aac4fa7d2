/** Elements of the page. Text from the inputs comes in here only, and goes into text nodes only. */
import { document, type PageElement } from "./browser.ts";

type Child = PageElement | string;

/** An element with a class, and children; a string is text, whatever it holds. */
export function element(tag: string, className: string, ...children: Child[]): PageElement {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  if (children.length > 0) made.append(...children);
  return made;
}

export function withAttributes(
  made: PageElement,
  attributes: Readonly<Record<string, string | number | boolean>>,
): PageElement {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

export function button(className: string, label: string, pressed: () => void): PageElement {
  const made = withAttributes(element("button", className, label), { type: "button" });
  made.addEventListener("click", pressed);
  return made;
}

/** `1,234,567`. */
export function shownNumber(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

export function shownCount(count: number, noun: string): string {
  return `${shownNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
}
