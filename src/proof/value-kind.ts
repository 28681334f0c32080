/** How two texts of one value differ, the mildest first; `representation` is the same value in other words. */
const VALUE_CLASSES = ['representation', 'rounded', 'shifted', 'truncated', 'encoding', 'null', 'other'] as const;
export type ValueClass = (typeof VALUE_CLASSES)[number];

/** How values of a type are compared. */
export interface ValueKind {
  /** A canonical text: two texts have the same one if and only if they mean the same value. Null if the text is not valid for the type. */
  readonly canonical: (text: string) => string | null;
  /** The class of two texts that are different values. */
  readonly classify: (a: string, b: string) => ValueClass;
}

/** The graver of two classes. */
export function graver(a: ValueClass | null, b: ValueClass | null): ValueClass | null {
  if (a === null) return b;
  if (b === null) return a;
  return VALUE_CLASSES.indexOf(a) > VALUE_CLASSES.indexOf(b) ? a : b;
}
