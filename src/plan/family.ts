import { quoteQualified, type Type } from '../catalog/model.js';
import type { Family } from '../constraint/candidates.js';
import type { ColumnDraft } from './column.js';
import { OID } from './oid.js';

const FAMILIES: ReadonlyMap<number, Family> = new Map<number, Family>([
  [OID.bool, 'boolean'],
  [OID.int2, 'integer'],
  [OID.int4, 'integer'],
  [OID.int8, 'integer'],
  [OID.numeric, 'number'],
  [OID.float4, 'number'],
  [OID.float8, 'number'],
  [OID.money, 'number'],
  [OID.text, 'text'],
  [OID.varchar, 'text'],
  [OID.bpchar, 'text'],
  [OID.name, 'text'],
  [OID.inet, 'network'],
  [OID.cidr, 'network'],
  [OID.date, 'date'],
  [OID.timestamp, 'timestamp'],
  [OID.timestamptz, 'timestamp'],
  [OID.json, 'json'],
  [OID.jsonb, 'json'],
  [OID.bytea, 'bytes'],
  [OID.interval, 'interval'],
  [OID.xml, 'xml'],
  [OID.time, 'time'],
  [OID.timetz, 'time'],
  [OID.point, 'point'],
]);

/** Returns the type under a domain, or the type itself. */
export function baseOf(oid: number, types: ReadonlyMap<number, Type>): number {
  const type = types.get(oid);
  return type?.kind === 'domain' ? baseOf(type.base, types) : oid;
}

/** Returns the family of a type, as far as the search distinguishes them. */
export function familyOf(oid: number, types: ReadonlyMap<number, Type>): Family {
  const type = types.get(oid);
  switch (type?.kind) {
    case 'domain':
      return familyOf(type.base, types);
    case 'enum':
      return 'enum';
    case 'array':
      return 'array';
    case 'range':
      return 'range';
    case 'base':
      return type.name === 'citext' ? 'text' : (FAMILIES.get(oid) ?? 'other');
    default:
      return 'other';
  }
}

/** Returns the labels of an enum; none for other types. */
export function labelsOf(oid: number, types: ReadonlyMap<number, Type>): readonly string[] {
  const type = types.get(oid);
  if (type?.kind === 'domain') return labelsOf(type.base, types);
  return type?.kind === 'enum' ? type.labels : [];
}

/* Bytes of a name, NAMEDATALEN − 1; the server cuts longer ones. */
const LONGEST_NAME = 63;

/** Returns the declared length of a text column or its domain; null if there is none. */
export function longestText(
  attribute: { type: number; modifier: number },
  types: ReadonlyMap<number, Type>,
): number | null {
  const type = types.get(attribute.type);
  if (type?.kind === 'domain') return longestText({ type: type.base, modifier: type.modifier }, types);
  if (attribute.type === OID.name) return LONGEST_NAME;
  const isLimited = attribute.type === OID.varchar || attribute.type === OID.bpchar;
  return isLimited && attribute.modifier >= 4 ? attribute.modifier - 4 : null;
}

/* Values are read as the base type, because a CHECK of the domain would end the whole batch with an error. */
export function plainType({ attribute }: ColumnDraft, types: ReadonlyMap<number, Type>): string {
  let type = types.get(attribute.type);
  if (type?.kind !== 'domain') return attribute.typeName;
  while (type?.kind === 'domain') type = types.get(type.base);
  return type === undefined ? attribute.typeName : quoteQualified(type);
}
