/** One word of a POSIX shell, whatever it holds: the commands that are printed are to be copied. */
export function shellWord(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
