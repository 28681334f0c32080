import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { createDemo } from '../../src/server/demo.js';
import { CLI, connectTo } from '../server/database.js';

/* As it stands in a file; it holds what URLs and JSON write in another way. */
const MARK = 'mark"ed@S3cret';
const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).error === undefined;
if (!hasOpenssl) {
  if (process.env['CI'] === 'true') throw new Error('CI must install openssl');
  console.warn('skipped: encrypted connections; install openssl');
}
const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-secrets-'));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  const { port } = cluster.settings;
  const admin = await connectTo(port, 'postgres');
  await createDemo(admin);
  await admin.query(`CREATE ROLE keeper LOGIN SUPERUSER PASSWORD '${MARK}'`);
  const data = path.join(cluster.home, 'data');
  const rules = path.join(data, 'pg_hba.conf');
  writeFileSync(rules, `host all keeper 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`);
  if (hasOpenssl) {
    const key = path.join(data, 'server.key');
    const certificate = path.join(data, 'server.crt');
    spawnSync('openssl', [
      'req',
      '-new',
      '-x509',
      '-nodes',
      '-subj',
      '/CN=localhost',
      '-keyout',
      key,
      '-out',
      certificate,
    ]);
    const { uid, gid } = statSync(data);
    for (const file of [key, certificate]) chownSync(file, uid, gid);
    chmodSync(key, 0o600);
    await admin.query('ALTER SYSTEM SET ssl = on');
  }
  await admin.query('SELECT pg_reload_conf()');
  await admin.end();
});
afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Called {
  readonly code: number | null;
  readonly said: string;
}

/** Calls the program on a configuration in a folder of its own, which stays there. */
async function call(
  connection: string,
  { command = 'run', options = [] as string[], rest = '', environment = {} } = {},
): Promise<Called> {
  const home = mkdtempSync(path.join(folder, 'call-'));
  const file = path.join(home, 'config.yaml');
  writeFileSync(
    file,
    `connection: ${connection}\ngenerator: { manual_table_list: [eg_users, eg_orders], num_iterations: 100, connections: 2 }\nmetrics: { enabled: false }\n${rest}`,
  );
  const outputs = command === 'run' ? ['--summary', 's.json', '--report', 'r.html'] : [];
  const child = spawn(process.execPath, [CLI, command, '-c', file, ...outputs, ...options], {
    cwd: home,
    env: { ...process.env, PGPASSFILE: path.join(folder, 'nothing'), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  rmSync(file);
  for (const name of readdirSync(home)) said += readFileSync(path.join(home, name), 'utf8');
  return { code, said };
}

function expectNoSecret({ said }: Called): void {
  for (const form of ['S3cret', 'mark"ed', 'mark\\"ed', 'mark%22ed']) expect(said.includes(form), form).toBe(false);
}

const server = () => `host: 127.0.0.1, port: ${cluster.settings.port}, database: postgres`;
const inYaml = JSON.stringify(MARK);
const inUrl = encodeURIComponent(MARK);

describe('no output holds a password', () => {
  it.each(['run', 'inspect', 'load'])('of %s, wherever it stands', async (command) => {
    const options = command === 'load' ? ['--rows', '1500'] : [];
    const right = `{ ${server()}, user: keeper, password: ${inYaml} }`;
    const good = await call(right, { command, options });
    expect(good.code).toBe(0);
    expectNoSecret(good);
    const url = await call(`{ url: "postgresql://keeper:${inUrl}@127.0.0.1:${cluster.settings.port}/postgres" }`, {
      command,
      options: command === 'inspect' ? ['--json'] : [...options, '--log-format', 'json'],
    });
    expect(url.code).toBe(0);
    expectNoSecret(url);
    for (const wrong of [
      `{ ${server()}, user: postgres, database: nowhere_${inUrl.slice(0, 4)}, password: ${inYaml} }`,
      `{ ${server()}, user: nobody, password: ${inYaml} }`,
      `"postgresql://keeper:${inUrl}@127.0.0.1/postgres"`,
      `{ url: "postgresql://keeper:${inUrl}@127.0.0.1/postgres?unknown=1" }`,
    ]) {
      const refused = await call(wrong, { command, options });
      expect(refused.code).toBe(1);
      expectNoSecret(refused);
    }
  });

  it('of a gateway or a replication target, or of what the server says', async () => {
    const client = await connectTo(cluster.settings.port, 'postgres');
    await client.query(`CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'cannot reach postgresql://remote:${MARK.replaceAll('"', '')}@elsewhere/db'; END $$;
      CREATE TRIGGER tell BEFORE DELETE ON eg_orders FOR EACH ROW EXECUTE FUNCTION tell()`);
    const called = await call(`{ ${server()}, user: keeper, password: ${inYaml} }`, {
      options: ['--push-gateway', `http://pusher:${inUrl}@127.0.0.1:1`],
    });
    // Not the whole report, where this fails.
    expect(called.said.includes('could not be pushed to http://pusher:***@')).toBe(true);
    expectNoSecret(called);
    const away = await call(`{ ${server()}, user: keeper, password: ${inYaml} }`, {
      rest: `replication: { targets: [{ name: copy, kind: physical, connection: { host: 127.0.0.1, port: 1, password: ${inYaml} } }] }\n`,
    });
    expect(away.code).toBe(1);
    expectNoSecret(away);
    await client.query('DROP TRIGGER tell ON eg_orders');
    await client.end();
  });
});

describe('a password that stands elsewhere', () => {
  const command = (script: string) =>
    `{ ${server()}, user: keeper, password_command: [${JSON.stringify(process.execPath)}, -e, ${JSON.stringify(script)}] }`;

  it('is printed by a command', async () => {
    const called = await call(command(`console.log(${inYaml})`));
    expect(called.code).toBe(0);
    expectNoSecret(called);
  });

  it.each([
    ['process.exit(3)', 'ended with exit code 3'],
    ['console.error("locked"); process.exit(1)', 'ended with exit code 1: locked'],
    ['', 'printed nothing'],
  ])('is not: %s', async (script, message) => {
    const { code, said } = await call(command(script));
    expect(code).toBe(1);
    expect(said).toContain('password_command');
    expect(said).toContain(message);
  });

  it('is one of two places', async () => {
    const { code, said } = await call(`{ ${server()}, user: keeper, password: a, password_command: [true] }`);
    expect(code).toBe(1);
    expect(said).toContain('expected a text');
    const both = await call(`{ ${server()}, user: keeper, password: a, password_command: ["true"] }`);
    expect(both.said).toContain('cannot be combined with a password; remove one of them');
  });

  it('is looked up in a file that only its owner can read', async () => {
    const file = path.join(folder, 'pgpass');
    writeFileSync(file, `127.0.0.1:${cluster.settings.port}:*:keeper:${MARK}\n`);
    const connection = `{ ${server()}, user: keeper }`;
    for (const mode of [0o644, 0o600]) {
      chmodSync(file, mode);
      const called = await call(connection, { environment: { PGPASSFILE: file } });
      expectNoSecret(called);
      expect(called.said).not.toContain('deprecated');
      expect(called.code).toBe(mode === 0o600 ? 0 : 1);
      if (mode === 0o644)
        expect(called.said).toContain(
          `password file "${file}" has group or world access; permissions should be u=rw (0600) or less`,
        );
    }
    const without = await call(connection);
    expect(without.code).toBe(1);
    expect(without.said).toContain('set password, password_command, PGPASSWORD or ~/.pgpass');
  });
});

it.skipIf(!hasOpenssl)('is sent encrypted where the server can, and is refused where it must be', async () => {
  const admin = await connectTo(cluster.settings.port, 'postgres');
  const encrypted = `SELECT count(*)::int AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name LIKE 'eventgen%'`;
  for (const [ssl, expected] of [
    ['prefer', true],
    ['require', true],
    ['disable', false],
  ] as const) {
    const connection = `{ ${server()}, user: keeper, password: ${inYaml}, ssl: ${ssl} }`;
    const called = call(connection, { rest: 'traffic: { rate: 50, duration: 2s }\n' });
    let most = 0;
    let isOver = false;
    void called.then(() => {
      isOver = true;
    });
    while (!isOver) {
      most = Math.max(most, (await admin.query<{ n: number }>(encrypted)).rows[0]!.n);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await called).code).toBe(0);
    expect(most > 0, ssl).toBe(expected);
  }
  const { code, said } = await call(`{ ${server()}, user: keeper, password: ${inYaml}, ssl: verify-full }`);
  expect(code).toBe(1);
  expect(said).toContain('ssl_root_cert');
  await admin.query('ALTER SYSTEM SET ssl = off');
  await admin.query('SELECT pg_reload_conf()');
  await admin.end();
  // What prefers encryption does without it.
  const { code: plain } = await call(`{ ${server()}, user: keeper, password: ${inYaml}, ssl: prefer }`);
  expect(plain).toBe(0);
});
