/* In a narrower terminal, most lines would hold one word. */
const NARROWEST = 20;
const HANGING = 2;

/**
 * Breaks lines at spaces, so that they fit a terminal of so many columns; the rest of a line stands indented below it.
 * Lines of tables, whose columns would no longer be aligned, and commands, which are copied, stay as they are.
 */
export function wrapped(text: string, columns: number | undefined): string {
  if (columns === undefined || columns < NARROWEST) return text;
  return text
    .split('\n')
    .flatMap((line) => (line.length <= columns || isTable(line) || isCommand(line) ? [line] : broken(line, columns)))
    .join('\n');
}

function isTable(line: string): boolean {
  return /\S {2,}\S/.test(line);
}

function isCommand(line: string): boolean {
  return /^ *(to repeat this (run|load): |npx |npm |node |event-generator |pg-event-generator )/.test(line);
}

function broken(line: string, columns: number): string[] {
  const indent = ' '.repeat(line.length - line.trimStart().length);
  const lines: string[] = [];
  let current = indent;
  for (const word of line.trim().split(' ')) {
    const start = lines.length === 0 ? indent : indent + ' '.repeat(HANGING);
    const longer = current.trim() === '' ? start + word : `${current} ${word}`;
    if (longer.length <= columns || current.trim() === '') current = longer;
    else {
      lines.push(current);
      current = `${indent}${' '.repeat(HANGING)}${word}`;
    }
  }
  return [...lines, current];
}
