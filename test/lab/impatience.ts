/** The script of a delivery whose watch looks every second: tests wait for it. */
export const watchedEverySecond = (script: string): string => script.replaceAll(/^(On\w+Sec)=10$/gm, "$1=1");

/** One that is rolled back six seconds after nobody has confirmed it, for tests that wait for that. */
export const impatient = (script: string): string => script.replace("CONFIRM_SECONDS=60", "CONFIRM_SECONDS=6");
