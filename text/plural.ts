/** `1 tag`, `2 tags`; `many` where it is not formed by an s. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
