const NAME = /^\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z$/;

/** Whether a name in the journals folder is that of a journal; other entries are not ours. The names sort by age. */
export const isJournalName = (name: string): boolean => NAME.test(name);

/**
 * The name of a new journal: the time, or the next free millisecond.
 *
 * @param now milliseconds since the epoch
 */
export const freeJournalName = (now: number, isTaken: (name: string) => boolean): string => {
  const name = new Date(now).toISOString().replaceAll(":", ".");
  return isTaken(name) ? freeJournalName(now + 1, isTaken) : name;
};
