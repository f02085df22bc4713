/** From 0 to below `below`. */
export const whole = (random: () => number, below: number): number => Math.floor(random() * below);

/** One of these, each as likely as any other; undefined where there are none. */
export const anyOf = <T>(items: readonly T[], random: () => number): T | undefined => items[whole(random, items.length)];

/** One of these, each as likely as its weight says. */
export function chosen<T>(items: readonly T[], weight: (item: T) => number, random: () => number): T {
  let left = random() * items.reduce((sum, item) => sum + weight(item), 0);
  const found = items.find((item) => {
    left -= weight(item);
    return left < 0;
  });
  return found ?? (items[0] as T);
}
