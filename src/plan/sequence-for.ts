import type { Attribute, Type } from '../catalog/model.js';
import { meaningOf } from '../datum/meaning.js';
import type { Recipe, SequenceForm } from '../datum/recipe.js';
import { DAY_YEAR_1 } from '../datum/temporal.js';
import { numericModifier, OID } from './oid.js';
import { drawn, listed, UNBOUNDED, type UniqueRecipe } from './unique-recipe.js';

const POWERS = [1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/** Returns the unique recipe of a column, undefined if its type has none. In expressions `c` stands for the column. */
export function uniqueRecipeFor(
  attribute: Attribute,
  types: ReadonlyMap<number, Type>,
  minBytes: number,
): UniqueRecipe | undefined {
  const type = types.get(attribute.type);
  return type === undefined ? undefined : forType(type, attribute.modifier, attribute.name, types, minBytes);
}

function forType(
  type: Type,
  modifier: number,
  name: string,
  types: ReadonlyMap<number, Type>,
  minBytes: number,
): UniqueRecipe | undefined {
  switch (type.kind) {
    case 'enum':
      return listed(type.labels);
    case 'domain': {
      const base = types.get(type.base);
      return base === undefined ? undefined : forType(base, type.modifier, name, types, minBytes);
    }
    case 'base':
      if (type.extension === 'citext' && type.name === 'citext') return text(null, name, minBytes);
      return builtin(type.oid, modifier, name, minBytes);
    case 'range':
      return spans(type.subtype, false, types);
    case 'multirange': {
      const range = types.get(type.range);
      return range?.kind === 'range' ? spans(range.subtype, true, types) : undefined;
    }
    case 'array':
    case 'composite':
    case 'other':
      return undefined;
  }
}

function builtin(oid: number, modifier: number, name: string, minBytes: number): UniqueRecipe | undefined {
  const counted = (
    form: (Recipe & { kind: 'sequence' })['form'],
    capacity: number,
    expression: string | null,
    start = 0,
    least = start,
  ): UniqueRecipe => ({
    recipe: { kind: 'sequence', form, start },
    capacity,
    least,
    watermark: expression === null ? { kind: 'none' } : { kind: 'max', expression },
  });
  switch (oid) {
    case OID.int2:
      return counted({ kind: 'integer' }, 32_767, 'max(c)', 1, -32_768);
    case OID.int4:
      return counted({ kind: 'integer' }, 2_147_483_647, 'max(c)', 1, -2_147_483_648);
    case OID.int8:
      return counted({ kind: 'integer' }, UNBOUNDED - 1, 'max(c)', 1, 1 - UNBOUNDED);
    case OID.numeric: {
      const { precision, scale } = modifier < 4 ? { precision: 15, scale: 0 } : numericModifier(modifier);
      if (scale > 15 || scale < 0) return undefined;
      const most = POWERS[Math.min(15, precision)]! - 1;
      return counted({ kind: 'decimal', scale }, most, `trunc(max(c) * ${POWERS[scale]})`, 1, -most);
    }
    case OID.float4:
      return counted({ kind: 'integer' }, 16_777_216, null);
    case OID.float8:
      return counted({ kind: 'integer' }, UNBOUNDED, `max(c) FILTER (WHERE c < 1e15)`);
    case OID.money:
      return counted({ kind: 'decimal', scale: 2 }, 9_000_000_000_000_000, `trunc(max(c)::numeric * 100)`, 1);
    case OID.text:
      return text(null, name, minBytes);
    case OID.varchar:
      return text(modifier < 0 ? null : modifier - 4, name, minBytes);
    case OID.bpchar:
      return text(modifier < 0 ? 1 : modifier - 4, name, minBytes);
    case OID.bytea:
      return drawn({ kind: 'bytes', minBytes: Math.max(16, minBytes) });
    case OID.date:
      return counted(
        { kind: 'date' },
        2_921_939,
        `max(c) FILTER (WHERE isfinite(c)) - '2000-01-01'::date`,
        0,
        DAY_YEAR_1,
      );
    case OID.timestamp:
    case OID.timestamptz: {
      const precision = modifier < 0 ? 6 : modifier;
      const zone = oid === OID.timestamptz;
      const seconds = `extract(epoch FROM max(c) FILTER (WHERE isfinite(c)) - '2000-01-01'::${zone ? 'timestamptz' : 'timestamp'})`;
      return counted(
        { kind: 'timestamp', zone, precision },
        Math.floor(UNBOUNDED / POWERS[6 - precision]!),
        `trunc(${seconds} * ${POWERS[precision]})`,
        0,
        Math.ceil(-UNBOUNDED / POWERS[6 - precision]!),
      );
    }
    case OID.time:
    case OID.timetz: {
      const precision = modifier < 0 ? 6 : modifier;
      return counted({ kind: 'time', zone: oid === OID.timetz, precision }, 86_400 * POWERS[precision]!, null);
    }
    case OID.interval:
      return counted({ kind: 'interval' }, 1_000_000_000_000, null);
    case OID.inet:
    case OID.macaddr:
    case OID.uuid:
      return drawn(oid === OID.inet ? { kind: 'inet' } : oid === OID.macaddr ? { kind: 'macaddr' } : { kind: 'uuid' });
    case OID.bit:
    case OID.varbit: {
      const length = modifier < 0 ? (oid === OID.bit ? 1 : 52) : modifier;
      if (length >= 96) return drawn({ kind: 'bits', length, varying: false });
      return counted(
        { kind: 'bits', length, varying: oid === OID.varbit },
        length >= 52 ? UNBOUNDED : POWERS_OF_TWO[length]!,
        null,
      );
    }
    case OID.bool:
      return listed(['false', 'true']);
    default:
      return undefined;
  }
}

/* The length of time ranges, as a power of ten in seconds. */
const SPAN_SECONDS = 3;

/** Returns consecutive ranges that begin after the highest end of existing ones. */
function spans(subtype: number, many: boolean, types: ReadonlyMap<number, Type>): UniqueRecipe | undefined {
  const type = types.get(subtype);
  if (type?.kind === 'domain') return spans(type.base, many, types);
  const ordered = (of: SequenceForm, capacity: number, expression: string): UniqueRecipe => ({
    recipe: { kind: 'sequence', form: { kind: 'span', of, many }, start: 1 },
    capacity,
    watermark: { kind: 'max', expression },
  });
  switch (subtype) {
    case OID.int4:
      return ordered({ kind: 'integer' }, 2_147_483_646, 'max(upper(c))');
    case OID.int8:
    case OID.numeric:
      return ordered({ kind: 'integer' }, UNBOUNDED - 2, 'trunc(max(upper(c)))');
    case OID.date:
      return ordered(
        { kind: 'date' },
        2_921_938,
        `max(upper(c)) FILTER (WHERE isfinite(upper(c))) - '2000-01-01'::date`,
      );
    case OID.timestamp:
    case OID.timestamptz: {
      const zone = subtype === OID.timestamptz;
      const last = `max(upper(c)) FILTER (WHERE isfinite(upper(c))) - '2000-01-01'::${zone ? 'timestamptz' : 'timestamp'}`;
      return ordered(
        { kind: 'timestamp', zone, precision: -SPAN_SECONDS },
        200_000_000,
        `trunc(extract(epoch FROM ${last}) / ${POWERS[SPAN_SECONDS]})`,
      );
    }
    default:
      return undefined;
  }
}

/** Returns recipes for two columns with the ends of such ranges, `last` being the higher; undefined for other types. */
export function endsOf(
  type: number,
  last: string,
  types: ReadonlyMap<number, Type>,
): readonly [UniqueRecipe, UniqueRecipe] | undefined {
  const whole = spans(type, false, types);
  if (whole?.recipe.kind !== 'sequence' || whole.recipe.form.kind !== 'span' || whole.watermark.kind !== 'max')
    return undefined;
  const { form, start } = whole.recipe;
  const expression = whole.watermark.expression.replaceAll('upper(c)', 'c');
  const end = (at: 0 | 1): UniqueRecipe => ({
    recipe: { kind: 'sequence', form: { kind: 'end', of: form.of, end: at }, start },
    capacity: Math.floor(whole.capacity / 2) - 1,
    watermark: { kind: 'max', expression, column: last },
  });
  return [end(0), end(1)];
}

const POWERS_OF_TWO: readonly number[] = Array.from({ length: 53 }, (_, index) => Number(1n << BigInt(index)));

/* Room for four characters of salt, ten digits, a separator and readable text. */
const SHORTEST_READABLE = 20;

function text(max: number | null, name: string, minBytes: number): UniqueRecipe {
  if (max === null || max >= SHORTEST_READABLE) {
    const form = { kind: 'text', meaning: meaningOf(name), salt: '', max, minBytes } as const;
    return { recipe: { kind: 'sequence', form, start: 0 }, capacity: 9_999_999_999, watermark: { kind: 'salt' } };
  }
  let capacity = 1;
  for (let i = 0; i < Math.min(max, 10); i++) capacity *= 36;
  return {
    recipe: { kind: 'sequence', form: { kind: 'code', width: max }, start: 0 },
    capacity,
    watermark: {
      kind: 'max',
      expression: `max(c COLLATE "C") FILTER (WHERE c COLLATE "C" ~ '^[0-9a-z]+$' AND pg_catalog.length(c::text) = ${max})`,
    },
  };
}
