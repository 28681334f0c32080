import { type AST, RegExpParser } from '@eslint-community/regexpp';
import type { Recipe } from '../datum/recipe.js';

/* How often an element without an upper bound is repeated at most, beyond its lower bound. */
const OPEN_END = 8;
const MOST_REPETITIONS = 10_000;

const PRINTABLE = charactersBetween(0x20, 0x7e);
const DIGITS = charactersBetween(0x30, 0x39);
const WORD = [...DIGITS, ...charactersBetween(0x41, 0x5a), '_', ...charactersBetween(0x61, 0x7a)];
const SPACE = [' '];

/**
 * Returns the recipe of texts that match a regular expression in JavaScript's syntax from end to end; characters that it
 * leaves open are printable ASCII.
 * @throws Error which says what the pattern has that cannot be turned into values
 */
export function patternRecipe(pattern: string): Recipe {
  const { alternatives } = new RegExpParser().parsePattern(pattern, 0, pattern.length, { unicode: true });
  return oneOf(
    alternatives.map(({ elements }) => {
      // The text matches from end to end anyway.
      const from = isAssertion(elements[0], 'start') ? 1 : 0;
      const to = elements.length - (elements.length > from && isAssertion(elements.at(-1), 'end') ? 1 : 0);
      return sequenceOf(elements.slice(from, to));
    }),
  );
}

function isAssertion(element: AST.Element | undefined, kind: 'start' | 'end'): boolean {
  return element?.type === 'Assertion' && element.kind === kind;
}

function oneOf(recipes: readonly Recipe[]): Recipe {
  return recipes.length === 1 ? recipes[0]! : { kind: 'mixture', of: recipes };
}

function sequenceOf(elements: readonly AST.Element[]): Recipe {
  return { kind: 'format', parts: elements.map(partOf) };
}

function partOf(element: AST.Element): string | Recipe {
  switch (element.type) {
    case 'Character':
      return String.fromCodePoint(element.value);
    case 'CharacterSet':
    case 'CharacterClass':
      return oneCharacter(charactersOf(element), element.raw);
    case 'Group':
    case 'CapturingGroup':
      return oneOf(element.alternatives.map((alternative) => sequenceOf(alternative.elements)));
    case 'Quantifier':
      return repetition(element);
    default:
      throw new Error(`"${element.raw}" is not supported in a pattern`);
  }
}

function repetition({ element, min, max, raw }: AST.Quantifier): Recipe {
  const most = max === Number.POSITIVE_INFINITY ? min + OPEN_END : max;
  if (most > MOST_REPETITIONS) throw new Error(`"${raw}" repeats more than ${MOST_REPETITIONS} times`);
  const part = partOf(element);
  const repeated: Recipe = typeof part === 'string' ? { kind: 'format', parts: [part] } : part;
  if (min === most && repeated.kind === 'code') return { ...repeated, length: min };
  return { kind: 'repeat', element: repeated, separator: '', min, max: most };
}

function oneCharacter(characters: readonly string[], raw: string): Recipe {
  if (characters.length === 0) throw new Error(`"${raw}" matches no printable ASCII character`);
  // A code is made of ASCII characters.
  return characters.every((character) => character.codePointAt(0)! < 0x80)
    ? { kind: 'code', length: 1, characters: characters.join('') }
    : { kind: 'choice', values: characters, cumulative: characters.map((_, index) => index + 1) };
}

type Characters = AST.CharacterSet | AST.CharacterClass | AST.CharacterClassElement;

function charactersOf(element: Characters): string[] {
  switch (element.type) {
    case 'Character':
      return [String.fromCodePoint(element.value)];
    case 'CharacterClassRange':
      return charactersBetween(element.min.value, element.max.value);
    case 'CharacterClass': {
      const listed = new Set(element.elements.flatMap((each) => charactersOf(each)));
      return element.negate ? PRINTABLE.filter((character) => !listed.has(character)) : [...listed];
    }
    case 'CharacterSet': {
      const named = { any: PRINTABLE, digit: DIGITS, word: WORD, space: SPACE, property: null }[element.kind];
      if (named === null) break;
      return 'negate' in element && element.negate
        ? PRINTABLE.filter((character) => !named.includes(character))
        : [...named];
    }
    default:
      break;
  }
  throw new Error(`"${element.raw}" is not supported in a pattern`);
}

function charactersBetween(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index));
}
