import type { FileConfig } from './schema.js';

/**
 * Keys that INTERFACE promises and this version does not carry out yet: accepted at their default, refused otherwise,
 * never ignored. Each entry leaves the list with the feature.
 */
export function keysNotInThisVersion(config: FileConfig): readonly (readonly string[])[] {
  const { generator } = config;
  const refused: string[][] = [];
  const refuseIf = (condition: boolean, ...path: string[]) => {
    if (condition) refused.push(path);
  };
  refuseIf(generator.defaults === 'all', 'generator', 'defaults');
  return refused;
}
