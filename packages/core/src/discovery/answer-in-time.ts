/**
 * `answer`, or `otherwise` when it has not come after `ms`. What is asked goes on in the background, and its failure is
 * then nobody's: a file server that never answers must hold up neither a scan nor Core's end.
 */
export async function answerInTime<T, U>(answer: Promise<T>, ms: number, otherwise: U): Promise<T | U> {
  const { promise: isLate, resolve } = Promise.withResolvers<U>();
  const timer = setTimeout(() => resolve(otherwise), ms);
  try {
    return await Promise.race([answer, isLate]);
  } finally {
    clearTimeout(timer);
  }
}
