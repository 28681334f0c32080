/**
 * Resolves when the work is done or has failed, or after `ms` milliseconds. The timer keeps the process alive meanwhile: where
 * nothing else did, Node.js would end it in the middle with exit code 13.
 */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, patience]).catch(() => undefined);
  clearTimeout(timer);
}
