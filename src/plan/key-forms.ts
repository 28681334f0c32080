import { constantsIn, type Expression } from '../catalog/expression.js';
import { type Family, patternsIn } from '../constraint/candidates.js';
import { countOf, DIGITS, HEX, LOWER, type Places, placesOf, UPPER } from '../constraint/regular.js';
import type { Recipe } from '../datum/recipe.js';
import { boundedForms, steppedForms } from './stepped-forms.js';
import { byPlaces, drawn, type UniqueRecipe } from './unique-recipe.js';

/* With so many values, two of a run are hardly ever equal; if they are, the second one is drawn again. */
const LEAST_VALUES = 1e12;
const USUAL_LENGTHS = [16, 24, 32, 40];
const USUAL_BYTES = [16, 20, 32, 64];
const LONGEST = 1000;
const PADDED = 40;
const MOST_PARTS = 4;

/**
 * Forms of unique values, the most readable first, for a column under conditions that are not read: one of which the
 * server takes all samples numbers rows without end, where a list of single values would hold few.
 */
export function keyForms(
  recipe: Recipe,
  family: Family,
  conditions: readonly Expression[],
  longest: number | null,
): UniqueRecipe[] {
  const constants = [...new Set(conditions.flatMap(constantsIn))];
  const lengths = constants
    .map(Number)
    .filter((value) => Number.isInteger(value) && value > 0 && value <= LONGEST)
    .flatMap((value) => [value, value + 1, value - 1]);
  if (family === 'bytes')
    return [...new Set([...lengths, ...USUAL_BYTES])]
      .filter((exact) => isAmple(256, exact))
      .map((exact) => drawn({ kind: 'bytes', minBytes: exact, exact }));
  const stepped = [...steppedForms(family, constants), ...boundedForms(recipe, constants)];
  if (family !== 'text') return stepped;
  const within = (length: number) => longest === null || length <= longest;
  const codes = [...new Set([...lengths, ...USUAL_LENGTHS])].filter(within).flatMap(codesOf);
  const patterned = conditions.flatMap(patternsIn).flatMap((pattern) => {
    const places = placesOf(pattern, longest);
    if (places === null) return [];
    // If the pattern is open at its end, more characters may follow.
    const open = pattern.endsWith('$') ? null : [...places, ...roomBehind(places, longest)];
    return [...(open === null ? [] : [byPlaces(ofOneCase(open))]), byPlaces(ofOneCase(places))];
  });
  const starts = [
    ...new Set(constants.filter((text) => /^[\w:/@.+-]{1,40}$/.test(text) && Number.isNaN(Number(text)))),
  ];
  const begun = starts.slice(0, MOST_PARTS).flatMap((start) => startingWith(start, lengths, within));
  const ends = constants.flatMap(literalEnds).filter(({ text }) => within(text.length + 16));
  const short = [...new Set(lengths)].filter((length) => within(length) && length < 16).flatMap(shortCodes);
  return [
    ...patterned,
    ...(recipe.kind === 'sequence' && recipe.form.kind === 'text' && within(PADDED)
      ? [drawn({ ...recipe, form: { ...recipe.form, minBytes: PADDED } })]
      : []),
    ...begun,
    ...ends.slice(0, MOST_PARTS).map(({ text, at }) => framed(at === 'start' ? [text, ''] : ['', text])),
    ...codes,
    ...short,
    ...(within(PADDED) ? FRAMES.map(framed) : []),
    ...(within(36) ? [drawn({ kind: 'uuid' })] : []),
  ];
}

/* Number of places behind a pattern without an end. */
const OPEN_PLACES = 10;

function roomBehind(places: Places, longest: number | null): Places {
  const room = longest === null ? OPEN_PLACES : Math.max(0, Math.min(OPEN_PLACES, longest - places.length));
  return Array.from({ length: room }, () => LOWER + DIGITS);
}

/* With so many values left, letters of one case are enough: the index may not tell them apart. */
const AMPLE_VALUES = 1e6;

/** Leaves out uppercase letters where the lowercase ones are allowed, too, if that leaves enough values. */
function ofOneCase(places: Places): Places {
  const folded = places.map((characters) =>
    [...characters].filter((each) => each === each.toLowerCase() || !characters.includes(each.toLowerCase())).join(''),
  );
  return countOf(folded) >= AMPLE_VALUES ? folded : places;
}

/** Returns texts that begin with a constant, of the lengths that conditions name. */
function startingWith(start: string, lengths: readonly number[], within: (length: number) => boolean): UniqueRecipe[] {
  const ends = [...new Set(lengths)].map((length) => length - start.length).filter((rest) => rest > 0);
  const behind = [...ends, 16].filter((rest) => within(start.length + rest));
  return behind.flatMap((rest) =>
    [LOWER + DIGITS, UPPER + DIGITS, DIGITS]
      .filter((characters) => isAmple(characters.length, rest))
      .map((characters) => drawn({ kind: 'format', parts: [start, { kind: 'code', length: rest, characters }] })),
  );
}

/* Texts before and after a code. */
const FRAMES: readonly (readonly [string, string])[] = [
  ['user.', '@example.com'],
  ['https://example.com/', ''],
  ['/', ''],
  ['', '.example.com'],
];

function framed([before, behind]: readonly [string, string]): UniqueRecipe {
  const parts = [before, { kind: 'code', length: 16 } as const, behind].filter((part) => part !== '');
  return drawn({ kind: 'format', parts });
}

/** Returns codes of a length, from sets of characters that patterns and functions distinguish. */
function codesOf(length: number): UniqueRecipe[] {
  const code = (characters: string, count = length): Recipe[] =>
    isAmple(characters.length, count) ? [{ kind: 'code', length: count, characters }] : [];
  const behind = (first: string, characters: string): Recipe[] =>
    code(characters, length - 1).map((rest) => ({ kind: 'format', parts: [first, rest] }));
  return [
    ...behind('a', LOWER + DIGITS),
    ...code(LOWER + DIGITS),
    ...code(LOWER),
    ...behind('A', UPPER + DIGITS),
    ...code(UPPER),
    ...code(HEX),
    ...code(HEX.toUpperCase()),
    ...behind('1', DIGITS),
  ].map(drawn);
}

/** Returns all codes of few characters in sequence, because they are too few to be drawn at random. */
function shortCodes(length: number): UniqueRecipe[] {
  return [LOWER, UPPER, DIGITS, HEX, HEX.toUpperCase()].map((characters) =>
    byPlaces(Array.from({ length }, () => characters)),
  );
}

/** Returns true if so many places for one of so many characters give enough different values. */
function isAmple(characters: number, places: number): boolean {
  let values = 1;
  for (let place = 0; place < places && values < LEAST_VALUES; place++) values *= characters;
  return values >= LEAST_VALUES;
}

/** Returns how values of a pattern begin or end, if the pattern has literal characters there. */
function literalEnds(pattern: string): { text: string; at: 'start' | 'end' }[] {
  const start = /^\^?([\w:/@-]+)/.exec(pattern)?.[1]?.replace(/_$/, '');
  const end = /%([\w:/@.-]+)$/.exec(pattern)?.[1];
  return [
    ...(start === undefined || start === '' || start === pattern ? [] : [{ text: start, at: 'start' as const }]),
    ...(end === undefined ? [] : [{ text: end, at: 'end' as const }]),
  ];
}
