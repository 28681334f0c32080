import { styleText } from 'node:util';

/* How a run ended, and marks for what was met and what was not. */
const GOOD = /^(Finished|No regression)\b|✓/gm;
const BAD = /^(Ended|Regression)\b|✗/gm;

/** Colours what tells good from bad, if the stream is a terminal that shows colours. */
export function coloured(text: string, stream: NodeJS.WriteStream): string {
  if (stream.isTTY !== true || !stream.hasColors()) return text;
  return text
    .replaceAll(GOOD, (found) => styleText('green', found))
    .replaceAll(BAD, (found) => styleText('red', found));
}
