import type { Faker } from '@faker-js/faker';
import { faker } from '@faker-js/faker/locale/en';
import { type Seed, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import type { Meaning } from './meaning.js';

const POOL_SIZE = 1024;
/* Of values that must not be longer than so many characters. */
const MOST_TRIES = 8;
/* What COPY and JSON escape. */
const SPECIAL = /[\\\p{Cc}"]/gu;

/** So many texts, each made where it is asked for first, then kept as bytes. */
export class Pool {
  readonly size = POOL_SIZE;
  /** What has been made so far; another buffer after some calls of `startOf`. */
  bytes = Buffer.allocUnsafe(4096);
  private readonly make: (index: number) => string;
  private readonly starts = new Int32Array(POOL_SIZE).fill(-1);
  private readonly ends = new Int32Array(POOL_SIZE);
  private used = 0;

  constructor(make: (index: number) => string) {
    this.make = make;
  }

  /** Where a value stands in `bytes`. */
  startOf(index: number): number {
    const start = this.starts[index]!;
    return start < 0 ? this.fill(index) : start;
  }

  /** Where it ends: for a value whose start has been asked for. */
  endOf(index: number): number {
    return this.ends[index]!;
  }

  private fill(index: number): number {
    const text = this.make(index);
    const most = text.length * 3;
    if (this.used + most > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.used + most));
      this.bytes.copy(larger, 0, 0, this.used);
      this.bytes = larger;
    }
    const start = this.used;
    this.used += this.bytes.write(text, start, 'utf8');
    this.starts[index] = start;
    this.ends[index] = this.used;
    return start;
  }
}

/* Relative dates of faker count from here, never from the clock. */
const REFERENCE_DATE = '2026-01-01T00:00:00.000Z';

const METHODS: Readonly<Record<Meaning, (source: Faker) => string>> = {
  email: (source) => source.internet.exampleEmail().toLowerCase(),
  fullName,
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
 * Pools of one faker seed: a faker call costs 2–6 µs, the first ones of a kind ten times that, a draw from a pool
 * 0.03 µs. A value depends on the seed, its pool and its place in it alone, so it is the same in every thread and
 * whatever else is generated.
 */
export class Pools {
  private readonly seed: Seed;
  private readonly stream = new Stream();
  private readonly source = fakerOn(this.stream);
  private readonly pools = new Map<string, Pool>();

  constructor(fakerSeed: Seed) {
    this.seed = split(fakerSeed, 'pools');
  }

  /** Values of a meaning that fit into `max` characters (null: no limit), cut where that is rare; COPY need not escape them. */
  text(meaning: Meaning, max: number | null): Pool {
    const method = METHODS[meaning];
    return this.pool(`${meaning}/${max ?? ''}`, meaning, (source) => plain(method(source)), max);
  }

  /** Values of a user's faker method, as `person.fullName`. */
  method(name: string, max: number | null): Pool {
    return this.pool(`method ${name}/${max ?? ''}`, `method ${name}`, (source) => callFaker(source, name), max);
  }

  /** Small JSON objects, without their opening brace, so that a number can be written before them. */
  jsonTail(): Pool {
    return this.pool('json', 'json', jsonTail, null);
  }

  tsvector(): Pool {
    return this.pool(
      'tsvector',
      'tsvector',
      (source) => source.lorem.words({ min: 1, max: 6 }).replaceAll(' ', "' '").replace(/^|$/g, "'"),
      null,
    );
  }

  private pool(key: string, label: string, method: (source: Faker) => string, max: number | null): Pool {
    let pool = this.pools.get(key);
    if (pool === undefined) {
      const seed = split(this.seed, label);
      const draw = () => method(this.source);
      this.stream.restart(seed, SAMPLE, 0);
      const tries = max === null || hasFitting(draw, max) ? MOST_TRIES : 1;
      pool = new Pool((index) => {
        this.stream.restart(seed, VALUE, index);
        return max === null ? draw() : fitting(draw, max, tries);
      });
      this.pools.set(key, pool);
    }
    return pool;
  }
}

const VALUE = split({ hi: 0, lo: 0 }, 'pool value');
const SAMPLE = split({ hi: 0, lo: 0 }, 'pool sample');

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

/** A faker whose chance is the stream's. */
function fakerOn(stream: Stream): Faker {
  const FakerClass = faker.constructor as new (options: object) => Faker;
  const own = new FakerClass({
    locale: faker.rawDefinitions,
    randomizer: { next: () => stream.fraction(), seed: () => undefined },
  });
  own.setDefaultRefDate(REFERENCE_DATE);
  return own;
}

/* Of faker's own one in a few has a title; its patterns cost thirty times as much. */
function fullName({ person }: Faker): string {
  return `${person.firstName()} ${person.lastName()}`;
}

function jsonTail(source: Faker): string {
  const value = {
    name: plain(fullName(source)),
    active: source.datatype.boolean(),
    score: source.number.int({ min: -1000, max: 1000 }) / 10,
    tags: source.helpers.multiple(() => source.lorem.word(), { count: { min: 0, max: 3 } }),
    ...(source.datatype.boolean() ? { address: { city: plain(source.location.city()), zip: null } } : {}),
  };
  return JSON.stringify(value).slice(1);
}

/* Characters, not UTF-16 units: varchar(n) counts code points. */
function fitting(draw: () => string, max: number, tries: number): string {
  const first = draw();
  let value = first;
  for (let tried = 1; !isWithin(value, max) && tried < tries; tried++) value = draw();
  if (isWithin(value, max)) return value;
  return [...first].slice(0, max).join('').trimEnd() || first.slice(0, max);
}

function plain(text: string): string {
  return text.replaceAll(SPECIAL, ' ');
}

/** True where it is worth while to draw again until a value is short enough. */
function hasFitting(draw: () => string, max: number): boolean {
  for (let drawn = 0; drawn < MOST_TRIES; drawn++) if (isWithin(draw(), max)) return true;
  return false;
}

function isWithin(text: string, max: number): boolean {
  return text.length <= max || [...text].length <= max;
}
