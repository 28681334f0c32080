import type { Line, Types } from './mutants.js';

const UNAVAILABLE = '__debezium_unavailable_value';

/** Changes as Debezium's connector writes them by its defaults, as JSON without schema; a changed key is a delete, a tombstone and a create. */
export function toDebezium(lines: readonly Line[], types: Types): string[] {
  return lines.flatMap((line) => {
    const source = { schema: line.schema, table: line.table, txId: Number(line.xid) };
    const envelope = (op: string, before: unknown, after: unknown) =>
      JSON.stringify({ before, after, source, op, ts_ms: 1 }).replaceAll(/"#(-?\d+)#"/g, '$1');
    const image = (row: Line['new']) =>
      row === null
        ? null
        : {
            ...Object.fromEntries(
              Object.entries(row).map(([column, text]) => [column, valueIn(text, types(line)[column] ?? '')]),
            ),
            ...Object.fromEntries((line.unchanged ?? []).map((column) => [column, UNAVAILABLE])),
          };
    const key = line.key === null ? line.old : line.key;
    const isMoved =
      line.op === 'update' &&
      line.key !== null &&
      Object.entries(line.key).some(([name, value]) => line.new?.[name] !== value);
    if (isMoved) return [envelope('d', image(key), null), 'null', envelope('c', null, image(line.new))];
    switch (line.op) {
      case 'insert':
        return [envelope('c', null, image(line.new))];
      case 'update':
        return [envelope('u', line.key === null ? image(key) : null, image(line.new))];
      case 'delete':
        return [envelope('d', image(key), null), 'null'];
      default:
        return [envelope('t', null, null)];
    }
  });
}

/* Numbers stand between # until the JSON is made: JavaScript would round them. */
function valueIn(text: string | null, type: string): unknown {
  if (text === null) return null;
  if (/^(bigint|integer|smallint)$/.test(type)) return `#${text}#`;
  if (/^(real|double)/.test(type)) return Number(text);
  if (type === 'boolean') return text === 't';
  if (/^numeric\(/.test(type)) return decimal(text, Number(/,(\d+)\)/.exec(type)![1]));
  if (type === 'bytea') return Buffer.from(text.slice(2), 'hex').toString('base64');
  if (type === 'date') return Date.parse(`${text}T00:00:00Z`) / 86_400_000;
  if (type.startsWith('timestamp without')) return `#${micros(`${text.replace(' ', 'T')}Z`)}#`;
  if (type.startsWith('timestamp with')) return text.replace(' ', 'T').replace(/\+00$/, 'Z');
  if (type.startsWith('time ')) return `#${micros(`1970-01-01T${text}Z`)}#`;
  if (type === 'text[]' || type === 'integer[]') return elements(text, type);
  if (/^bit\(8\)$/.test(type)) return Buffer.from([Number.parseInt(text, 2)]).toString('base64');
  return text;
}

function micros(moment: string): bigint {
  const [seconds, fraction = ''] = moment.slice(0, -1).split('.');
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0'));
}

function decimal(text: string, scale: number): string {
  const [whole, fraction = ''] = text.split('.');
  const unscaled = BigInt(`${whole}${fraction.padEnd(scale, '0')}`);
  const bytes: number[] = [];
  for (let rest = unscaled; ; rest >>= 8n) {
    bytes.unshift(Number(rest & 0xffn));
    const isDone = (rest === 0n && bytes[0]! < 0x80) || (rest >> 8n === 0n && bytes[0]! < 0x80);
    if (isDone) return Buffer.from(bytes).toString('base64');
  }
}

function elements(text: string, type: string): unknown[] {
  const inner = text.replace(/^\[[\d:]+\]=/, '').slice(1, -1);
  return [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, plain]) => {
    if (plain === 'NULL') return null;
    return type === 'integer[]' ? Number(plain) : (quoted ?? plain);
  });
}
