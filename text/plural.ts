/** `1 tag`, `2 tags`; pass `many` for an irregular plural. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
