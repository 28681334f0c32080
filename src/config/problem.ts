/** One thing wrong with the user's input: where it stands, what was expected, what stood there, what would help. */
export interface Problem {
  /** `event-generator.yaml:12:5`, or the option or relation that it is about. */
  readonly place: string;
  /** Key path, as `generator.operation_weights`; empty where the problem is about the whole file. */
  readonly key: string;
  readonly message: string;
}

/** Everything wrong with the input, all at once. The user's mistake: shown without a stack, exit code 1. */
export class SetupError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'SetupError';
    this.problems = problems;
  }

  /** A set-up error of one problem that has no place in the file. */
  static of(place: string, message: string): SetupError {
    return new SetupError([{ place, key: '', message }]);
  }
}

function formatProblem(problem: Problem): string {
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${problem.place}: ${key}${problem.message}`;
}
