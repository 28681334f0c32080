/** Columns lined up: the first ones to the left, figures to the right. */
export function table(rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    `  ${row.map((cell, column) => (column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ')}`.trimEnd(),
  );
}

/** Three digits, or a whole number. */
export function figure(value: number): string {
  return value >= 100 ? number(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** Thousands apart, the same on every machine. */
export function number(value: number): string {
  const [whole, fraction] = String(value).split('.');
  return whole!.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
}

/** A number with what it counts: 1 row, 2 rows. */
export function counted(count: number, what: string): string {
  return `${number(count)} ${what}${count === 1 ? '' : 's'}`;
}

export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60].map((part) =>
    String(part).padStart(2, '0'),
  );
  return parts.join(':');
}

export function ms(valueSeconds: number): string {
  const value = valueSeconds * 1000;
  if (value >= 1000) return `${valueSeconds.toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : String(Math.round(value))} ms`;
}

export function bytes(value: number): string {
  if (value < 1e6) return `${figure(value / 1e3)} kB`;
  return value < 1e9 ? `${figure(value / 1e6)} MB` : `${figure(value / 1e9)} GB`;
}
