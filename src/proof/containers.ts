/*
 * The texts of arrays and ranges, taken apart as PostgreSQL writes them. Source: "Array Input and Output Syntax" and "Range
 * Input/Output" in PostgreSQL's manual.
 */

/** Elements of an array: texts, NULLs, or arrays. */
export type Elements = readonly (string | null | Elements)[];

/** An array; `bounds` is empty where each dimension begins at 1. */
export interface ArrayText {
  readonly bounds: string;
  readonly elements: Elements;
}

/** Reads an array. `delimiter` is `;` for arrays of boxes. Returns null for a text that is none. */
export function parseArray(text: string, delimiter = ','): ArrayText | null {
  const [, bounds = '', body = text] = /^((?:\[[+-]?\d+:[+-]?\d+\])+)=(\{.*\})$/s.exec(text) ?? [];
  const parser = { text: body, at: 0, delimiter };
  if (body[0] !== '{') return null;
  const elements = readElements(parser);
  return elements === null || parser.at !== body.length ? null : { bounds, elements };
}

interface Parser {
  readonly text: string;
  readonly delimiter: string;
  at: number;
}

function readElements(parser: Parser): Elements | null {
  const elements: (string | null | Elements)[] = [];
  parser.at++;
  if (parser.text[parser.at] === '}') {
    parser.at++;
    return elements;
  }
  for (;;) {
    const element = readElement(parser);
    if (element === undefined) return null;
    elements.push(element);
    const next = parser.text[parser.at++];
    if (next === '}') return elements;
    if (next !== parser.delimiter) return null;
  }
}

function readElement(parser: Parser): string | null | Elements | undefined {
  const { text, delimiter } = parser;
  if (text[parser.at] === '{') return readElements(parser) ?? undefined;
  if (text[parser.at] === '"') return readQuoted(parser);
  let element = '';
  for (;;) {
    const character = text[parser.at];
    if (character === undefined) return undefined;
    if (character === delimiter || character === '}') break;
    if (character === '\\') parser.at++;
    element += text[parser.at++] ?? '';
  }
  return element.toUpperCase() === 'NULL' ? null : element;
}

/* A quote within is escaped by a backslash, or in ranges and rows by another quote. */
function readQuoted(parser: Parser): string | undefined {
  const { text } = parser;
  let content = '';
  for (parser.at++; parser.at < text.length; ) {
    const character = text[parser.at++]!;
    if (character === '\\') content += text[parser.at++] ?? '';
    else if (character !== '"') content += character;
    else if (text[parser.at] === '"') {
      content += '"';
      parser.at++;
    } else return content;
  }
  return undefined;
}

/** A range: its bounds, null where it has none on that side. */
export interface RangeText {
  readonly lowerSign: string;
  readonly upperSign: string;
  readonly lower: string | null;
  readonly upper: string | null;
}

/** Reads a range; `empty` is none. Returns null for a text that is none. */
export function parseRange(text: string): RangeText | null {
  const parser = { text, at: 1, delimiter: ',' };
  const lowerSign = text[0]!;
  if (lowerSign !== '[' && lowerSign !== '(') return null;
  const lower = readBound(parser, ',');
  if (text[parser.at++] !== ',') return null;
  const upper = readBound(parser, '])');
  const upperSign = text[parser.at];
  if (upperSign === undefined || parser.at !== text.length - 1) return null;
  return { lowerSign, upperSign, lower, upper };
}

function readBound(parser: Parser, ends: string): string | null {
  const { text } = parser;
  if (text[parser.at] === '"') return readQuoted(parser) ?? null;
  const from = parser.at;
  while (parser.at < text.length && !ends.includes(text[parser.at]!)) parser.at++;
  return parser.at === from ? null : text.slice(from, parser.at);
}
