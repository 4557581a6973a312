/** Hours as people say them: whole days where they are. */
export function inDays(hours: number): string {
  const [count, unit] = hours % 24 === 0 ? [hours / 24, "day"] : [hours, "hour"];
  return `${count.toLocaleString()} ${unit}${count === 1 ? "" : "s"}`;
}
