import { shown } from '../src/report/shown.js';

type Child = Node | string;

/** An element with attributes and children; texts are never read as HTML. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map((child) => (typeof child === 'string' ? shown(child) : child)));
  return made;
}

/** Sets a text where it has changed: what stays the same is not announced again. */
export function setText(node: HTMLElement, text: string): void {
  const seen = shown(text);
  if (node.textContent !== seen) node.textContent = seen;
}
