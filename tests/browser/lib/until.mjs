// Waits for a condition, with a deadline: no test sleeps for a fixed time.

/** How long a condition may take; a slow machine may be given more. */
export const patience = Number(process.env.PATIENCE_MS ?? 20_000);

export async function until(what, condition, milliseconds = patience) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`Waited ${milliseconds} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
