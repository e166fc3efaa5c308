/** `1 tag`, `2 tags`; `many` where it is not formed by an s. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
