import { SetupError } from '../config/problem.js';
import type { ClaimSet, Claims } from '../lane/rows/claims.js';
import { GENERATOR_VERSION, type Plan } from '../plan/plan.js';

/** A plan and the existing rows that it knows: all that a lane needs to be played again, without a database. */
export interface StoredPlan {
  readonly plan: Plan;
  readonly claims: ClaimSet;
}

const FORMAT = 1;

/** As plain JSON. */
export function encodePlan({ plan, claims }: StoredPlan): object {
  return { format: FORMAT, plan, claims: claims.map(toText) };
}

/** @throws SetupError where it is none, or one of another version's generator; `file` says where it came from. */
export function decodePlan(encoded: unknown, file: string): StoredPlan {
  const stored = encoded as { format?: number; plan: Plan; claims: StoredClaims[] } | null;
  if (stored?.format !== FORMAT || !Array.isArray(stored.claims))
    throw SetupError.of(file, 'not a plan file; --plan-out writes one');
  if (stored.plan.generatorVersion !== GENERATOR_VERSION) {
    throw SetupError.of(
      file,
      `was made with generator_version ${stored.plan.generatorVersion}, but this version has ${GENERATOR_VERSION} and makes other values from the same seed; use the version that made it`,
    );
  }
  return { plan: stored.plan, claims: stored.claims.map(fromText) };
}

type StoredClaims = Omit<Claims, 'bytes' | 'offsets' | 'lanes' | 'references' | 'parents'> & {
  readonly bytes: string;
  readonly offsets: number[];
  readonly lanes: number[];
  readonly references: number[];
  readonly parents: number[][];
};

function toText(claims: Claims): StoredClaims {
  return {
    ...claims,
    bytes: Buffer.from(claims.bytes).toString('base64'),
    offsets: [...claims.offsets],
    lanes: [...claims.lanes],
    references: [...claims.references],
    parents: claims.parents.map((parents) => [...parents]),
  };
}

function fromText(stored: StoredClaims): Claims {
  return {
    ...stored,
    bytes: Uint8Array.from(Buffer.from(stored.bytes, 'base64')),
    offsets: Uint32Array.from(stored.offsets),
    lanes: Uint16Array.from(stored.lanes),
    references: Uint32Array.from(stored.references),
    parents: stored.parents.map((parents) => Int32Array.from(parents)),
  };
}
