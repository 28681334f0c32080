import { withoutSecrets } from '../config/secrets.js';

/*
 * Control characters but for line ends and tabs, which could move the cursor or hide text, and those that turn the
 * direction of what follows.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A text with names, values or messages of others in it, as it may be shown: what cannot be seen is written as an escape. */
export function shown(text: string): string {
  return escaped(withoutSecrets(text));
}

/** The same of a text in which no password can stand, but names that are equal to one. */
export function escaped(text: string): string {
  return text.replaceAll(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
