import { expect, it } from 'vitest';
import { compareChains, compareFinal, type Link, type Promised } from '../../src/proof/chain.js';
import { classOf } from '../../src/proof/values.js';

const TYPES = new Map([
  ['id', 'integer'],
  ['v', 'text'],
  ['big', 'text'],
]);
const PROMISED: Promised = {
  delivery: 'exactly-once',
  isOrdered: true,
  allowsCompaction: false,
  allowsKeyPairs: false,
  allowsMovePairs: false,
};

let position = 0;

function link(kind: Link['kind'], row: Link['row'], more: Partial<Link> = {}): Link {
  const plain = { isHalf: false, isCounted: true, isMove: false, unchanged: [], origin: null, epoch: 0 };
  return { position: ++position, kind, row, ...plain, ...more };
}

const INSERT = link('insert', { id: '1', v: 'a', big: 'B' });

it('takes an update for superseded by one that left the same behind, where compaction is allowed', () => {
  const again = () => link('update', { id: '1', v: 'b', big: 'B' });
  const source = [INSERT, again(), again()];
  const compacted = { ...PROMISED, allowsCompaction: true };
  expect(compareChains(source, [again()], TYPES, compacted).differences).toEqual([]);
  // Without its last state something is lost, whatever is allowed.
  expect(compareChains(source, [INSERT], TYPES, compacted).differences).toMatchObject([{ class: 'lost' }]);
});

it('takes no value from the change before where changes may come in any order', () => {
  const [b, c] = ['b', 'c'].map((v) => link('update', { id: '1', v }, { unchanged: ['big'] })) as [Link, Link];
  const unordered = { ...PROMISED, isOrdered: false };
  expect(compareChains([INSERT, b, c], [INSERT, c, b], TYPES, unordered).differences).toEqual([]);
  expect(compareChains([INSERT, b, c], [c, INSERT], TYPES, unordered).differences).toMatchObject([{ class: 'lost' }]);
});

it('says that a value under a key that has changed could not be compared', () => {
  const half = (row: Link['row'], unchanged: string[]) => link('insert', row, { isHalf: true, unchanged });
  const source = [half({ id: '2', v: 'a' }, ['big'])];
  expect(compareChains(source, [half({ id: '2', v: 'a' }, ['big'])], TYPES, PROMISED).underOldKey).toBe(0);
  expect(compareChains(source, [half({ id: '2', v: 'a', big: 'X' }, [])], TYPES, PROMISED).underOldKey).toBe(1);
});

it('counts rows without a key that are there more often than they were made', () => {
  const row = () => link('insert', { v: 'a' });
  const surplus = (source: Link[], target: Link[]) => compareFinal(source, target, TYPES, true).surplus;
  expect(surplus([row()], [row(), row()])).toBe(1);
  expect(surplus([row(), link('delete', null)], [row()])).toBe(1);
  expect(surplus([row()], [row()])).toBe(0);
  // Others' rows, which look like none of the run's.
  expect(surplus([], [row()])).toBe(0);
});

it('takes what a consumer leaves out for NULL, not for the value before', () => {
  const update = (row: Link['row']) => link('update', row);
  const source = [INSERT, update({ id: '1', v: null, big: 'B' })];
  expect(compareChains(source, [INSERT, update({ id: '1', big: 'B' })], TYPES, PROMISED).differences).toEqual([]);
  const kept = [INSERT, update({ id: '1', v: 'a', big: 'B' })];
  expect(compareChains(kept, [INSERT, update({ id: '1', big: 'B' })], TYPES, PROMISED).differences).toMatchObject([
    { class: 'wrong_value', columns: [{ column: 'v' }] },
  ]);
});

it('loses no last change whose value others do not tell', () => {
  const source = [
    INSERT,
    link('update', { id: '1', v: 'b' }, { unchanged: ['big'] }),
    link('update', { id: '1', v: 'b', big: 'C' }),
  ];
  const compacted = { ...PROMISED, allowsCompaction: true };
  const { differences } = compareChains(source, [source[1]!], TYPES, compacted);
  expect(differences.map((each) => each.class)).toContain('lost');
});

it.for([
  ['integer', '100', '142', 'other'],
  ['integer', '100', '8', 'other'],
  ['bigint', '9007199254740993', '9007199254740992', 'rounded'],
  ['numeric(10,2)', '12.50', '12.51', 'other'],
  ['numeric(10,2)', '12.55', '12.6', 'rounded'],
  ['numeric', '1234567', '1.23457e6', 'rounded'],
  ['numeric', '0.1', '0.1000000000000000055', 'rounded'],
  ['numeric', '1.50', '1.5', 'representation'],
  ['time with time zone', '14:00:00+02', '12:00:00Z', 'representation'],
  ['time with time zone', '00:30:00+02', '22:30:00+00', 'representation'],
  ['time with time zone', '14:00:00+02', '14:00:00Z', 'shifted'],
  ['time with time zone', '12:00:00.4+02', '10:00:00Z', 'rounded'],
  ['time with time zone', '12:00:00+02', '12:00:00.5Z', 'other'],
  ['interval', '2 mons 2 days 03:04:05', '+0-2 +2 +3:04:05', 'representation'],
  ['interval', '-3 days -04:05:06', '-3 4:05:06', 'representation'],
  ['interval', '-3:04:05', '-03:04:05', 'representation'],
  ['interval', '1 year 2 mons', '1-2', 'representation'],
  ['interval', '3 days 04:05:06', '3 4:05:06', 'representation'],
  ['macaddr', '08:00:2b:01:02:03', '08002b010203', 'representation'],
  ['public.hstore', '"a"=>"1", "b"=>NULL', '{"b":null,"a":"1"}', 'representation'],
  ['hstore', '"a"=>"1"', '{"a":"2"}', 'other'],
  ['nummultirange', '{[1.50,2],(3,4)}', '{[1.5,2.0],(3,4)}', 'representation'],
  [
    'tstzmultirange',
    '{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")}',
    '{["2024-01-01T01:00:00+01","2024-01-02T00:00:00Z")}',
    'representation',
  ],
  ['nummultirange', '{[1.55,2]}', '{[1.6,2]}', 'rounded'],
  ['int4multirange', '{[1,3)}', '{[1,4)}', 'other'],
] as const)('%s: %s became %s: %s', ([type, a, b, found]) => {
  expect(classOf(type, a, b)).toBe(found);
});

it('explains very many changes of one key in little time', () => {
  const updates = (suffix: string) =>
    Array.from({ length: 20_000 }, (_, n) => link('update', { id: '1', v: `${n}${suffix}`, big: 'B' }));
  const { differences } = compareChains([INSERT, ...updates('a')], [INSERT, ...updates('b')], TYPES, PROMISED);
  expect(differences).toHaveLength(20_000);
  expect(new Set(differences.map((each) => each.class))).toEqual(new Set(['wrong_value']));
});
