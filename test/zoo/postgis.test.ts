import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { configFor, count, createDatabase, runCli, runCommand } from '../server/database.js';

/* The embedded PostgreSQL has no PostGIS; Debian's has. */
const PROGRAMS = '/usr/lib/postgresql/15/bin';
const isHere = existsSync('/usr/share/postgresql/15/extension/postgis.control');
const WHY = 'needs PostGIS: apt install postgresql-15-postgis-3';

const TABLES = ['curves', 'by_checks', 'by_list', 'any_kind', 'places', 'four'];
const SQL = `
  CREATE EXTENSION postgis;
  CREATE TABLE curves (id serial PRIMARY KEY, a geometry(CurvePolygon,2056), b geometry(CompoundCurveZ,2056), c geometry(CircularString),
    d geometry(MultiCurveZM,4326), e geometry(MultiSurface), f geometry(PolyhedralSurfaceZ), g geometry(TriangleZ), h geometry(TINZ),
    i geometry(GeometryCollectionM), j geography(MultiPolygonZ));
  CREATE TABLE by_checks (id serial PRIMARY KEY, geom geometry, CONSTRAINT enforce_dims_geom CHECK (st_ndims(geom) = 2),
    CONSTRAINT enforce_geotype_geom CHECK (geometrytype(geom) = 'MULTILINESTRING'::text OR geom IS NULL),
    CONSTRAINT enforce_srid_geom CHECK (st_srid(geom) = 4326));
  CREATE TABLE by_list (id serial PRIMARY KEY, geom geometry NOT NULL, CHECK (st_ndims(geom) = 3), CHECK (st_srid(geom) = 31370),
    CHECK (geometrytype(geom) = ANY (ARRAY['POLYGON'::text, 'MULTIPOLYGON'::text])), CHECK (st_isvalid(geom)));
  CREATE TABLE any_kind (id serial PRIMARY KEY, geom geometry(Geometry,2154) NOT NULL CHECK (st_isvalid(geom)),
    centroid geometry(Point,2154) CHECK (NOT st_isempty(centroid)), line geography NOT NULL,
    area numeric GENERATED ALWAYS AS (st_area(geom)) STORED, CHECK (st_geometrytype(geom) IN ('ST_Polygon', 'ST_MultiPolygon')));
  CREATE TABLE places (id serial PRIMARY KEY,
    geom geometry(Point,4326) NOT NULL CHECK (st_x(geom) BETWEEN -180 AND 180 AND st_y(geom) BETWEEN -90 AND 90),
    route geometry(LineString,4326) CHECK (st_npoints(route) >= 2 AND st_length(route) > 0));
  CREATE TABLE four (id serial PRIMARY KEY, geom geometry CHECK (st_coorddim(geom) = 4), CHECK (st_zmflag(geom) = 3))`;

let cluster: Cluster;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'eventgen-postgis-'));
  if (isHere) cluster = await startCluster({ programs: PROGRAMS });
});

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('takes every operation on spatial columns, whether their type or CHECKs tell the kind', async ({ skip }) => {
  skip(!isHere && process.env['CI'] === undefined, WHY);
  const database = await createDatabase(SQL, cluster.settings.port);
  const { code, summary, stderr } = await runCli(
    configFor(database, `random_seed: 3\noperation_weights: [2, 1, 1]\nmanual_table_list: [${TABLES.join()}]`),
  );
  expect(stderr).not.toContain('error:');
  expect([code, summary.totals.rejected, summary.errors]).toEqual([0, 0, {}]);
  expect(Object.keys(summary.tables).sort()).toEqual(TABLES.map((name) => `public.${name}`).sort());
  for (const [table, { insert, update, delete: deleted, rows_expected: rows }] of Object.entries(summary.tables)) {
    expect(rows).toBe(await count(database, table));
    for (const { operations } of [insert, update, deleted]) expect(operations, table).toBeGreaterThan(20);
  }
  // Columns that may be NULL get values as well, and different ones.
  const { rows } = await database.client.query(
    `SELECT (SELECT count(DISTINCT st_astext(geom)) > 100 FROM by_checks) AS checks, (SELECT count(DISTINCT st_astext(a)) > 50 FROM curves) AS curves,
       (SELECT count(DISTINCT geometrytype(geom)) FROM by_list)::int AS kinds, (SELECT count(DISTINCT st_astext(geom)) > 50 FROM four) AS four`,
  );
  expect(rows).toEqual([{ checks: true, curves: true, kinds: 2, four: true }]);
  await database.drop();
}, 60_000);

it('fills spatial tables by load', async ({ skip }) => {
  skip(!isHere && process.env['CI'] === undefined, WHY);
  const database = await createDatabase(SQL, cluster.settings.port);
  const config = path.join(folder, 'load.yaml');
  writeFileSync(config, configFor(database, `random_seed: 3\nmanual_table_list: [${TABLES.join()}]`));
  expect((await runCommand(['load', '-c', config, '--rows', '100'])).code).toBe(0);
  for (const table of TABLES) expect(await count(database, table), table).toBe(100);
  await database.drop();
}, 60_000);
