/** Thousands apart, as the terminal shows them. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Three digits and a unit: 1.25 ms, 340 ms, 12.0 s. */
export function duration(seconds: number | null): string {
  if (seconds === null) return '–';
  if (seconds === 0) return '0 ms';
  if (seconds < 0.001) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  return seconds < 120 ? `${digits(seconds)} s` : clock(seconds);
}

/** Hours, minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

export function bytes(value: number | null): string {
  if (value === null) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let left = value;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit++;
  }
  return `${digits(left)} ${units[unit]!}`;
}

export function rate(value: number | null): string {
  if (value === null) return '–';
  return value >= 100 ? count(value) : digits(value);
}

export function percent(ratio: number): string {
  return ratio === 0 ? '0 %' : `${digits(ratio * 100)} %`;
}

function digits(value: number): string {
  if (value >= 1000) return count(value);
  return String(Number(value.toPrecision(3)));
}
