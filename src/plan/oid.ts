/** OIDs of PostgreSQL's own types (pg_type.dat; the same in every version). */
export const OID = {
  bool: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  point: 600,
  xml: 142,
  float4: 700,
  float8: 701,
  money: 790,
  macaddr: 829,
  cidr: 650,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
  tsvector: 3614,
} as const;

/** Precision and scale out of a numeric's atttypmod. */
export function numericModifier(modifier: number): { precision: number; scale: number } {
  const bits = modifier - 4;
  return { precision: (bits >>> 16) & 0xffff, scale: ((bits & 0x7ff) ^ 1024) - 1024 };
}
