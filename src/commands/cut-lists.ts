/** Cuts the lists of a statement, in brackets and behind SET, after so many items: `(a, b, … 12 more)`. */
export function cutLists(sql: string, most: number): string {
  let out = '';
  // How many items each open list has so far, the statement itself first.
  const open: number[] = [1];
  const isShown = () => open.every((items) => items <= most);
  const put = (piece: string) => {
    if (isShown()) out += piece;
  };
  const close = (items: number) => {
    if (isShown() && items > most) out += `, … ${items - most} more`;
  };
  for (const piece of sql.match(PIECES) ?? []) {
    if (piece === '(') {
      put(piece);
      open.push(1);
    } else if (piece === ')') {
      close(open.pop()!);
      put(piece);
    } else if (piece === ', ') {
      open[open.length - 1]!++;
      put(piece);
    } else {
      if (open.length === 1 && CLAUSE.test(piece)) close(open.splice(0, 1, 1)[0]!);
      put(piece);
    }
  }
  close(open.splice(0, 1, 1)[0]!);
  return out;
}

/* Joined they are the statement. */
const PIECES = /"(?:[^"]|"")*"|'(?:[^']|'')*'|, | (?:FROM|WHERE|RETURNING|ON)(?= )|[^"'(), ]+|[\s\S]/g;
/* What ends the list behind SET. */
const CLAUSE = /^ (?:FROM|WHERE|RETURNING|ON)$/;
