import { SetupError } from '../config/problem.js';
import { readHistory } from '../history/history-file.js';
import { historyEvents } from '../proof/history-events.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { EXIT } from './exit.js';
import { historyText } from './verify/history.js';

export interface HistoryOptions {
  readonly file: string;
  /** True to print every change as a line, instead of a description of the history. */
  readonly events: boolean;
}

/** Shows a history, or the changes that follow from it. Returns the exit code. */
export async function history({ file, events }: HistoryOptions): Promise<number> {
  try {
    const read = readHistory(file);
    if (!events) {
      process.stdout.write(shown(historyText(read, file)));
      return EXIT.finished;
    }
    for (const { event, origin } of historyEvents(read)) {
      const { xid: _, commit: __, unchanged: ___, ...told } = event;
      if (!process.stdout.write(`${JSON.stringify({ v: 1, ...told, by: origin })}\n`))
        await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
    return EXIT.finished;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    new Progress(process.stderr, { json: false, quiet: false }).message('error', error.message);
    return EXIT.setup;
  }
}
