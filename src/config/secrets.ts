/* What is shorter, or is a name as well, cannot be told from ordinary text. */
const SHORTEST = 6;

/** Texts that no output may hold; as they are, and as URLs write them. */
const SECRETS = new Set<string>();

/* Of a URL in anybody's message. Up to the last "@": a password may hold one. */
const IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/"'<>]*):[^\s/"'<>]*@/gi;

/** Takes note of a password, so that no message or file shows it. `names`: texts that are shown although they are equal to it. */
export function learnSecret(secret: string | undefined, names: readonly string[]): void {
  if (secret === undefined || secret.length < SHORTEST || names.includes(secret)) return;
  for (const form of [secret, encodeURIComponent(secret)]) SECRETS.add(form);
}

/** A text for others to read, without passwords that we know, or that stand in a URL. */
export function withoutSecrets(text: string): string {
  let shown = text.includes('://') ? text.replaceAll(IN_URL, '$1:***@') : text;
  // The longest first: one may begin another.
  const longest = [...SECRETS].sort((a, b) => b.length - a.length);
  for (const secret of longest) shown = shown.replaceAll(secret, '***');
  return shown;
}

/** Data as JSON for others to read, its texts without passwords. */
export function publicJson(data: unknown, indent?: number): string {
  return JSON.stringify(
    data,
    (_, value: unknown) => (typeof value === 'string' ? withoutSecrets(value) : value),
    indent,
  );
}
