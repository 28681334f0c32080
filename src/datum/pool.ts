import type { Faker } from '@faker-js/faker';
import { faker } from '@faker-js/faker/locale/en';
import { type Seed, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import type { Meaning } from './meaning.js';

/** Texts ready as bytes: value i stands at offsets[i] … offsets[i + 1]. */
export interface Pool {
  readonly bytes: Buffer;
  readonly offsets: Uint32Array;
  readonly size: number;
}

const known = new WeakMap<Pool, boolean>();
const BACKSLASH = 92;
const SPACE = 32;

/** True for a pool of texts without a backslash and control characters. */
export function isPlainPool(pool: Pool): boolean {
  let plain = known.get(pool);
  if (plain === undefined) {
    plain = pool.bytes.every((byte) => byte >= SPACE && byte !== BACKSLASH);
    known.set(pool, plain);
  }
  return plain;
}

const POOL_SIZE = 1024;

/* Relative dates of faker count from here, never from the clock. */
const REFERENCE_DATE = '2026-01-01T00:00:00.000Z';

const METHODS: Readonly<Record<Meaning, (source: Faker) => string>> = {
  email: (source) => source.internet.email().toLowerCase(),
  fullName: (source) => source.person.fullName(),
  firstName: (source) => source.person.firstName(),
  lastName: (source) => source.person.lastName(),
  username: (source) => source.internet.username(),
  password: (source) => source.internet.password(),
  phone: (source) => source.phone.number(),
  url: (source) => source.internet.url(),
  domain: (source) => source.internet.domainName(),
  city: (source) => source.location.city(),
  country: (source) => source.location.country(),
  countryCode: (source) => source.location.countryCode(),
  street: (source) => source.location.streetAddress(),
  zip: (source) => source.location.zipCode(),
  state: (source) => source.location.state(),
  company: (source) => source.company.name(),
  job: (source) => source.person.jobTitle(),
  product: (source) => source.commerce.productName(),
  category: (source) => source.commerce.department(),
  color: (source) => source.color.human(),
  currency: (source) => source.finance.currencyCode(),
  ip: (source) => source.internet.ip(),
  mac: (source) => source.internet.mac(),
  userAgent: (source) => source.internet.userAgent(),
  mime: (source) => source.system.mimeType(),
  file: (source) => source.system.fileName(),
  locale: (source) => source.location.language().alpha2,
  timezone: (source) => source.location.timeZone(),
  iban: (source) => source.finance.iban(),
  hash: (source) => source.string.hexadecimal({ length: 40, casing: 'lower', prefix: '' }),
  semver: (source) => source.system.semver(),
  slug: (source) => source.lorem.slug(),
  title: (source) => source.lorem.sentence({ min: 2, max: 5 }).replace(/\.$/, ''),
  sentence: (source) => source.lorem.sentence(),
  paragraph: (source) => source.lorem.paragraph(),
  word: (source) => source.lorem.words({ min: 1, max: 3 }),
};

/**
 * Pools of one faker seed, filled on first use: a faker call costs 2–6 µs, a draw from a pool 0.03 µs. A pool depends
 * on its key alone, so it is the same in every thread and whatever else is generated.
 */
export class Pools {
  private readonly seed: Seed;
  private readonly pools = new Map<string, Pool>();

  constructor(fakerSeed: Seed) {
    this.seed = split(fakerSeed, 'pools');
  }

  /** Values of a meaning that fit into `max` characters (null: no limit); cut where too few would fit. */
  text(meaning: Meaning, max: number | null): Pool {
    return this.fill(`${meaning}/${max ?? ''}`, meaning, METHODS[meaning], max);
  }

  /** Values of a user's faker method, as `person.fullName`. */
  method(name: string, max: number | null): Pool {
    return this.fill(`method ${name}/${max ?? ''}`, `method ${name}`, (source) => callFaker(source, name), max);
  }

  /** Small JSON objects, without their opening brace, so that a number can be written before them. */
  jsonTail(): Pool {
    return this.fill('json', 'json', jsonTail, null);
  }

  tsvector(): Pool {
    return this.fill(
      'tsvector',
      'tsvector',
      (source) => source.lorem.words({ min: 1, max: 6 }).replaceAll(' ', "' '").replace(/^|$/g, "'"),
      null,
    );
  }

  private fill(key: string, label: string, method: (source: Faker) => string, max: number | null): Pool {
    let pool = this.pools.get(key);
    if (pool === undefined) {
      const source = fakerOf(split(this.seed, label));
      const values = Array.from({ length: POOL_SIZE }, () => method(source));
      pool = pack(max === null ? values : shorten(values, max));
      this.pools.set(key, pool);
    }
    return pool;
  }
}

/** True where faker has the method: checked before a run, so that a typing error is no surprise in a worker. */
export function isFakerMethod(name: string): boolean {
  try {
    callFaker(faker, name);
    return true;
  } catch {
    return false;
  }
}

function callFaker(source: Faker, name: string): string {
  const [moduleName, methodName, ...rest] = name.split('.');
  const holder = Object.hasOwn(source, moduleName ?? '')
    ? (source as unknown as Record<string, Record<string, unknown>>)[moduleName!]
    : undefined;
  const method = holder?.[methodName ?? ''];
  if (rest.length > 0 || typeof method !== 'function' || methodName === 'constructor')
    throw new Error(`faker has no method ${name}`);
  const value: unknown = method.call(holder);
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

function fakerOf(seed: Seed): Faker {
  const stream = Stream.of(seed);
  const FakerClass = faker.constructor as new (options: object) => Faker;
  const own = new FakerClass({
    locale: faker.rawDefinitions,
    randomizer: { next: () => stream.fraction(), seed: () => undefined },
  });
  own.setDefaultRefDate(REFERENCE_DATE);
  return own;
}

function jsonTail(source: Faker): string {
  const value = {
    name: source.person.fullName(),
    active: source.datatype.boolean(),
    score: source.number.int({ min: -1000, max: 1000 }) / 10,
    tags: source.helpers.multiple(() => source.lorem.word(), { count: { min: 0, max: 3 } }),
    ...(source.datatype.boolean() ? { address: { city: source.location.city(), zip: null } } : {}),
  };
  return JSON.stringify(value).slice(1);
}

/* Characters, not UTF-16 units: varchar(n) counts code points. */
function shorten(values: readonly string[], max: number): string[] {
  const fitting = values.filter((value) => [...value].length <= max);
  if (fitting.length >= POOL_SIZE / 8) return fitting;
  return values.map((value) => [...value].slice(0, max).join('').trimEnd() || value.slice(0, max));
}

function pack(values: readonly string[]): Pool {
  const parts = values.map((value) => Buffer.from(value, 'utf8'));
  const offsets = new Uint32Array(parts.length + 1);
  for (const [index, part] of parts.entries()) offsets[index + 1] = offsets[index]! + part.length;
  return { bytes: Buffer.concat(parts), offsets, size: parts.length };
}
