/**
 * What a regular expression says of each place of a text, where it can be said so: the characters that may stand there.
 * A text made of one character from each place matches.
 */
export type Places = readonly string[];

export const LOWER = 'abcdefghijklmnopqrstuvwxyz';
export const UPPER = LOWER.toUpperCase();
export const DIGITS = '0123456789';
export const HEX = `${DIGITS}abcdef`;
const WORD = `${DIGITS}${LOWER}`;
/* Of a part without an upper bound. */
const OPEN_END = 12;
const MOST_PLACES = 400;

/** The places of texts that match a pattern (as JavaScript writes it); null where it says more than places can tell. */
export function placesOf(pattern: string, longest: number | null): Places | null {
  const reader = new Reader(pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, ''), longest);
  return reader.read();
}

/** So many texts there are, at most the largest safe number. */
export function countOf(places: Places): number {
  return places.reduce((count, characters) => Math.min(Number.MAX_SAFE_INTEGER, count * characters.length), 1);
}

class Reader {
  private readonly text: string;
  private readonly longest: number | null;
  private at = 0;

  constructor(text: string, longest: number | null) {
    this.text = text;
    this.longest = longest;
  }

  read(): Places | null {
    const parts: { places: Places; least: number; most: number }[] = [];
    while (this.at < this.text.length) {
      const places = this.atom();
      if (places === null) return null;
      const bounds = this.quantifier();
      if (bounds === null) return null;
      parts.push({ places, ...bounds });
    }
    // The text is as long as allowed, for variety. Optional parts are omitted if they are single characters.
    const least = parts.reduce((sum, part) => sum + part.places.length * part.least, 0);
    let room = Math.min(MOST_PLACES, this.longest ?? MOST_PLACES) - least;
    if (room < 0) return null;
    const places = parts.flatMap(({ places: unit, least: from, most }) => {
      const wanted = Math.min(most, Math.max(from, unit.length > 1 ? 1 : OPEN_END)) - from;
      const isVaried = unit.some((characters) => characters.length > 1);
      const more = isVaried ? Math.max(0, Math.min(wanted, Math.floor(room / unit.length))) : 0;
      room -= more * unit.length;
      return Array.from({ length: from + more }, () => unit).flat();
    });
    return places;
  }

  private atom(): Places | null {
    const character = this.text[this.at++]!;
    switch (character) {
      case '[':
        return this.characterClass();
      case '(':
        return this.group();
      case '.':
        return [WORD];
      case '\\':
        return this.escaped(this.text[this.at++]);
      case '|':
      case ')':
      case '*':
      case '+':
      case '?':
      case '^':
      case '$':
        return null;
      default:
        return [character];
    }
  }

  private escaped(character: string | undefined): Places | null {
    if (character === undefined) return null;
    if (character === 'd') return [DIGITS];
    if (character === 'w') return [WORD];
    if (character === 's') return [' '];
    return /[A-Za-z0-9]/.test(character) ? null : [character];
  }

  private characterClass(): Places | null {
    const end = this.text.indexOf(']', this.at + 1);
    if (end < 0 || this.text[this.at] === '^') return null;
    const body = this.text.slice(this.at, end);
    this.at = end + 1;
    const characters = new Set<string>();
    for (let i = 0; i < body.length; i++) {
      const character = body[i] === '\\' ? body[++i]! : body[i]!;
      if (body[i - 1] === '\\' && /[dws]/.test(character)) {
        for (const each of character === 'd' ? DIGITS : character === 'w' ? WORD : ' ') characters.add(each);
        continue;
      }
      if (body[i + 1] === '-' && i + 2 < body.length) {
        for (let code = character.charCodeAt(0); code <= body.charCodeAt(i + 2); code++)
          characters.add(String.fromCharCode(code));
        i += 2;
      } else characters.add(character);
    }
    const printable = [...characters].filter((each) => each > ' ' && each <= '~').sort(byUsefulness);
    return printable.length === 0 ? null : [printable.join('')];
  }

  /** (a|b|c) of single characters is a place; any other group is a text of its own. */
  private group(): Places | null {
    let depth = 1;
    const from = this.at;
    while (this.at < this.text.length && depth > 0) {
      const character = this.text[this.at++]!;
      if (character === '\\') this.at++;
      else if (character === '(') depth++;
      else if (character === ')') depth--;
    }
    const body = this.text.slice(from, this.at - 1).replace(/^\?:/, '');
    if (depth > 0 || body.startsWith('?')) return null;
    const branches = body.split('|');
    if (branches.length > 1 && branches.every((branch) => /^[\w -]$/.test(branch))) return [branches.join('')];
    // Of several branches the first will do.
    return new Reader(branches[0]!, this.longest).read();
  }

  private quantifier(): { least: number; most: number } | null {
    const rest = this.text.slice(this.at);
    const match = /^(?:\{(\d+)(,)?(\d*)\}|([*+?]))\??/.exec(rest);
    if (match === null) return { least: 1, most: 1 };
    this.at += match[0].length;
    if (match[4] === '*') return { least: 0, most: Number.MAX_SAFE_INTEGER };
    if (match[4] === '+') return { least: 1, most: Number.MAX_SAFE_INTEGER };
    if (match[4] === '?') return { least: 0, most: 1 };
    const least = Number(match[1]);
    if (match[2] === undefined) return { least, most: least };
    return { least, most: match[3] === '' ? Number.MAX_SAFE_INTEGER : Number(match[3]) };
  }
}

/* Digits and letters before anything else: the first ones stand in most values. */
function byUsefulness(a: string, b: string): number {
  const rank = (character: string) =>
    DIGITS.includes(character) ? 0 : LOWER.includes(character) ? 1 : UPPER.includes(character) ? 2 : 3;
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}
