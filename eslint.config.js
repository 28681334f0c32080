import tseslint from 'typescript-eslint';

/* Biome formats and lints fast; this adds the rules that need types. */
export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'scripts/', 'eslint.config.js'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
    },
  },
  {
    // The pure part: the same inputs give the same operations, on any machine, at any time.
    files: [
      'src/random/**',
      'src/catalog/model.ts',
      'src/catalog/expression.ts',
      'src/datum/**',
      'src/constraint/**',
      'src/plan/**',
      'src/lane/**',
    ],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'performance',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'crypto',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Draw from a Stream.' },
        { object: 'Math', property: 'pow', message: 'Its bits differ between engine versions: use a table.' },
        { object: 'Date', property: 'now', message: 'No clock here.' },
        ...[
          'exp',
          'expm1',
          'log',
          'log1p',
          'log2',
          'log10',
          'sin',
          'cos',
          'tan',
          'sinh',
          'cosh',
          'tanh',
          'asin',
          'acos',
          'atan',
          'atan2',
          'cbrt',
          'hypot',
        ].map((property) => ({
          object: 'Math',
          property,
          message: 'Its bits may differ between engine versions: use whole numbers or a table.',
        })),
        { property: 'localeCompare', message: 'Its order differs between machines: compare by code point.' },
        { property: 'toLocaleString', message: 'Its text differs between machines.' },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "BinaryExpression[operator='**']",
          message: 'Its bits differ between engine versions: use a table.',
        },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'No clock here.' },
      ],
    },
  },
);
